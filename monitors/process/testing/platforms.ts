/** Shared by the tests of this folder: platforms built for them, and a process driven directly. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Image, linuxExecutable } from "#image";
import { type Answer, AnswerReader, noBerth, requestHeader } from "../wire.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** Compiles a module of kernel/platform-linux. */
export async function testPlatform(entry: string): Promise<Uint8Array> {
  const builder = (await import(new URL("../../../../scripts/build-kernel.mjs", import.meta.url).href)) as {
    buildPlatform(root: string, entry: string): Promise<Uint8Array>;
  };
  return builder.buildPlatform(root, entry);
}

/** A folder for executables and compiled programs, removed at the end. */
export class Workshop {
  readonly folder: string = mkdtempSync(join(tmpdir(), "mayfly-process-test-"));
  #files = 0;

  executable(image: Image, platform?: Uint8Array): string {
    const file = join(this.folder, `machine-${this.#files++}`);
    const settings = { cacheFolder: this.folder, ...(platform === undefined ? {} : { platform }) };
    writeFileSync(file, linuxExecutable(image, settings), { mode: 0o755 });
    return file;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface RawRequest {
  readonly operation: number;
  readonly limitPages?: number;
  readonly cpuMs?: number;
  readonly berth?: number;
  readonly frame?: Uint8Array;
}

/** A machine process without a monitor: requests in, answers out. */
export class RawProcess {
  readonly process: ChildProcess;
  readonly #waiting: ((answer: Answer | undefined) => void)[] = [];
  readonly #answers: Answer[] = [];
  #over = false;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;

  constructor(file: string) {
    const reader = new AnswerReader();
    this.process = spawn(file, [], { stdio: ["pipe", "pipe", "inherit"], env: {} });
    this.process.stdin?.on("error", () => undefined);
    this.process.stdout?.on("data", (piece: Buffer) =>
      reader.push(piece, (answer) => {
        const next = this.#waiting.shift();
        if (next === undefined) this.#answers.push(answer);
        else next(answer);
        return true;
      }),
    );
    this.ended = new Promise((resolve) => {
      this.process.on("close", (code, signal) => {
        this.#over = true;
        for (const waiting of this.#waiting.splice(0)) waiting(undefined);
        resolve({ code, signal });
      });
    });
  }

  send({ operation, limitPages = 256, cpuMs = 2000, berth = noBerth, frame = new Uint8Array(0) }: RawRequest): void {
    this.process.stdin?.write(
      Buffer.concat([requestHeader({ operation: operation as 1, number: 7, limitPages, cpuMs, berth }, frame.length), frame]),
    );
  }

  /** The next answer; undefined when the process ended. */
  next(): Promise<Answer | undefined> {
    if (this.#over) return Promise.resolve(this.#answers.shift());
    const ready = this.#answers.shift();
    return ready === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(ready);
  }

  async ask(request: RawRequest): Promise<Answer> {
    this.send(request);
    const answer = await this.next();
    if (answer === undefined) throw new Error("the process ended instead of answering");
    return answer;
  }

  async end(): Promise<void> {
    this.process.stdin?.end();
    await this.ended;
  }
}
