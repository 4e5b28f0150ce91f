/** A service that is a Linux process, started and asked by tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changed, type ServiceChange } from "../../abi/testing/changed.ts";
import { buildImage, type Image, type ServiceSettings, writeServiceExecutable } from "#image";
import { plainService } from "#standalone";
import { freePort } from "../../base/testing/free-port.ts";

/** Why no such process can run here; undefined: it can. */
export function linuxMissing(): string | undefined {
  return process.platform === "linux" && process.arch === "x64" ? undefined : "it runs on x86-64 Linux only";
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** One process that serves, or has ended. */
export class LinuxService {
  readonly process: ChildProcess;
  readonly port: number;
  readonly ended: Promise<Ended>;
  out = "";
  err = "";
  #changed: () => void = () => undefined;
  #isOver = false;

  constructor(command: string, values: readonly string[], port: number, env: Readonly<Record<string, string>>) {
    this.port = port;
    this.process = spawn(command, values, { stdio: ["ignore", "pipe", "pipe"], env });
    const take =
      (name: "out" | "err") =>
      (text: string): void => {
        this[name] += text;
        this.#changed();
      };
    this.process.stdout?.setEncoding("utf8").on("data", take("out"));
    this.process.stderr?.setEncoding("utf8").on("data", take("err"));
    this.ended = new Promise((resolve, reject) => {
      this.process.once("error", reject).once("close", (code, signal) => {
        this.#isOver = true;
        this.#changed();
        resolve({ code, signal, out: this.out, err: this.err });
      });
    });
  }

  /** Resolves once the log has a text. Rejects if the process ends without it. */
  async logged(text: string): Promise<void> {
    while (!this.out.includes(text)) {
      if (this.#isOver) throw new Error(`it ended without "${text}": ${this.err}${this.out}`);
      await new Promise<void>((done) => (this.#changed = done));
    }
  }

  async serving(): Promise<this> {
    await this.logged('"msg":"serving on port');
    return this;
  }

  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /** A connection that is open. */
  connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1", () => resolve(socket.off("error", reject).on("error", () => undefined)));
      socket.once("error", reject);
    });
  }

  /** Drains it and waits for its end. */
  async stop(): Promise<Ended> {
    this.process.kill("SIGTERM");
    return await this.ended;
  }
}

/** A folder with executables, removed at the end, and what was started from it. */
export class ServiceFolder {
  readonly folder: string;
  readonly #started: LinuxService[] = [];
  #files = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<ServiceFolder> {
    return new ServiceFolder(await mkdtemp(join(tmpdir(), "mayfly-linux-")));
  }

  async image(source: string): Promise<Image> {
    const file = join(this.folder, `flow${this.#files++}.ts`);
    await writeFile(file, source);
    return (await buildImage(file, { check: false })).image;
  }

  /** Writes an executable; without a service one that gets every request. */
  async executable(image: Image, change: ServiceChange = {}, settings: ServiceSettings = {}): Promise<string> {
    const file = join(this.folder, `service${this.#files++}`);
    await writeFile(file, writeServiceExecutable(image, changed(plainService(image, "linux"), change), settings), { mode: 0o755 });
    return file;
  }

  /** Starts it on a free port. */
  async start(
    file: string,
    { values = [], env = {} }: { readonly values?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<LinuxService> {
    const port = await freePort();
    return this.run(file, ["-p", String(port), ...values], port, env);
  }

  run(file: string, values: readonly string[], port = 0, env: Readonly<Record<string, string>> = {}): LinuxService {
    const service = new LinuxService(file, values, port, env);
    this.#started.push(service);
    return service;
  }

  async close(): Promise<void> {
    for (const { process: child } of this.#started) child.kill("SIGKILL");
    await Promise.all(this.#started.map(({ ended }) => ended.catch(() => undefined)));
    await rm(this.folder, { recursive: true, force: true });
  }
}
