/** `mayfly serve` as a process of its own, for tests that kill it or measure its memory. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert } from "#base";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** The bound is only there so that a broken gateway fails a test instead of holding it up. */
const patienceMs = 90_000;

export class ServedProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** All that it has printed. */
  said = "";

  /** Serves the mayfly.yaml in `folder`, on a port that is free. */
  constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [join(root, "scripts", "mayfly.mjs"), "serve", "--port", "0"], {
      cwd: folder,
      env: { ...process.env, CI: "1", ...environment },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    this.ended = new Promise((done) => this.#child.once("exit", done));
  }

  async url(): Promise<string> {
    return await this.until(() => /"url":"(http:[^"]+)".*"msg":"ready"/.exec(this.said)?.[1]);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.ended;
  }

  /** The most memory it has had so far, in bytes. */
  async peakBytes(): Promise<number> {
    return Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${this.#child.pid}/status`, "utf8"))?.[1]) * 1024;
  }

  /** Waits until `check` gives something; what the process has printed is in the error of one that never does. */
  async until<T>(check: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
    for (const endMs = Date.now() + patienceMs; Date.now() < endMs; await new Promise((done) => setTimeout(done, 20))) {
      const found = await check();
      if (found !== undefined && found !== null && found !== false) return found as NonNullable<Exclude<T, false>>;
    }
    throw new Error(`waited in vain for ${check}; ${this.said}`);
  }
}

/** The processes of one test, of which the last counts. */
export class ServedProcesses {
  readonly #started: ServedProcess[] = [];

  start(...values: ConstructorParameters<typeof ServedProcess>): ServedProcess {
    const process = new ServedProcess(...values);
    this.#started.push(process);
    return process;
  }

  /** As the process that was started last waits. */
  async until<T>(check: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
    const process = this.#started.at(-1);
    assert(process !== undefined, "nothing is served");
    return await process.until(check);
  }

  async killAll(): Promise<void> {
    for (const each of this.#started.splice(0)) await each.kill("SIGKILL");
  }
}
