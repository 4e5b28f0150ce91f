import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "#base";
import { trapKinds, type TrapKind } from "../assemble/code.ts";
import { writeExecutable } from "../link/executable.ts";
import type { Program } from "../link/program.ts";
import { benchBufferBytes } from "../runtime/platforms.ts";
import { functionAt } from "../runtime/trap-record.ts";

/** Runs a program of the `bench` platform and speaks its command protocol (see `platforms.ts`). For tests and measurements. */

export type Outcome =
  | { readonly kind: "values"; readonly words: readonly bigint[] }
  | { readonly kind: "trap"; readonly trap: TrapKind; readonly rip: bigint; readonly function: string };

interface Pending {
  readonly bytes: number;
  readonly deliver: (bytes: Buffer) => void;
  readonly fail: (error: Error) => void;
}

export class BenchProcess {
  readonly program: Program;
  readonly child: ChildProcess;
  private readonly folder: string;
  private readonly pending: Pending[] = [];
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private ended: string | undefined;
  private readonly closed: Promise<void>;

  /** Killed after `limitMs`, so that code that does not end ends the test. */
  constructor(program: Program, limitMs = 120_000) {
    assert(program.platform === "bench", "only bench programs take commands");
    this.program = program;
    this.folder = mkdtempSync(join(tmpdir(), "mayfly-bench-"));
    const file = join(this.folder, "program");
    writeFileSync(file, writeExecutable(program));
    chmodSync(file, 0o755);
    this.child = spawn(file, [], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdin?.on("error", () => undefined);
    this.child.stdout?.on("data", (chunk: Buffer) => this.receive(chunk));
    const timer = setTimeout(() => this.kill(), limitMs);
    timer.unref();
    this.closed = new Promise((resolve) => {
      const end = (why: string): void => {
        this.ended ??= why;
        clearTimeout(timer);
        for (const item of this.pending.splice(0)) item.fail(new Error(why));
        rmSync(this.folder, { recursive: true, force: true });
        resolve();
      };
      this.child.on("close", (code, signal) => end(`the program ended with ${signal ?? `code ${code}`}`));
      this.child.on("error", (error) => end(String(error)));
    });
  }

  private receive(chunk: Buffer): void {
    this.received.push(chunk);
    this.receivedBytes += chunk.length;
    let next = this.pending[0];
    if (next === undefined || this.receivedBytes < next.bytes) return;
    let all = this.received.length === 1 ? chunk : Buffer.concat(this.received);
    while (next !== undefined && all.length >= next.bytes) {
      this.pending.shift();
      next.deliver(all.subarray(0, next.bytes));
      all = all.subarray(next.bytes);
      next = this.pending[0];
    }
    this.received = [all];
    this.receivedBytes = all.length;
  }

  private command(words: readonly [number, number, bigint, bigint], payload: Uint8Array, answerBytes: number): Promise<Buffer> {
    const header = Buffer.alloc(32);
    header.writeUInt32LE(words[0], 0);
    header.writeUInt32LE(words[1], 4);
    header.writeBigUInt64LE(words[2], 8);
    header.writeBigUInt64LE(words[3], 16);
    if (this.ended !== undefined) return Promise.reject(new Error(this.ended));
    const answer =
      answerBytes === 0
        ? Promise.resolve(Buffer.alloc(0))
        : new Promise<Buffer>((deliver, fail) => this.pending.push({ bytes: answerBytes, deliver, fail }));
    this.child.stdin?.write(Buffer.concat([header, payload]));
    return answer;
  }

  /** Number of the thunk for an export; `instantiateName` instantiates. */
  thunk(module: string, name: string): number {
    const index = this.program.thunks.findIndex((t) => t.module === module && t.name === name);
    assert(index >= 0, `${module} has the function ${name}`);
    return index;
  }

  async invoke(module: string, name: string, args: readonly bigint[] = []): Promise<Outcome> {
    const index = this.thunk(module, name);
    const results = this.program.thunks[index]?.type.results.length ?? 0;
    assert(16 + 8 * Math.max(results, args.length) <= benchBufferBytes, "arguments and results fit in the bench's buffers");
    const payload = Buffer.alloc(8 * args.length);
    args.forEach((value, i) => payload.writeBigUInt64LE(BigInt.asUintN(64, value), 8 * i));
    const answer = await this.command([0, index, BigInt(args.length), BigInt(results)], payload, 16 + 8 * results);
    if (answer.readUInt32LE(0) !== 0) {
      const rip = answer.readBigUInt64LE(8);
      return { kind: "trap", trap: trapKinds[answer.readUInt32LE(4)] as TrapKind, rip, function: functionAt(this.program, rip) };
    }
    return { kind: "values", words: Array.from({ length: results }, (_, i) => answer.readBigUInt64LE(16 + 8 * i)) };
  }

  /** Bytes at an address of the machine. */
  async peek(address: bigint, bytes: number): Promise<Uint8Array> {
    return new Uint8Array(await this.command([1, 0, address, BigInt(bytes)], new Uint8Array(0), bytes));
  }

  async poke(address: bigint, bytes: Uint8Array): Promise<void> {
    await this.command([2, 0, address, BigInt(bytes.length)], bytes, 0);
  }

  async close(): Promise<void> {
    this.child.stdin?.end();
    await this.closed;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }
}
