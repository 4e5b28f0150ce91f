/** `mayfly serve` as a process of its own in a control group with little memory: whatever it is sent, the kernel must not end it. */
import { equal } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "#cli";

interface Group {
  readonly dir: string;
  readonly procs: string;
  peakBytes(): number;
}

let groups = 0;

/** A control group of version 1 or 2 with this limit, or the reason why it is missing. */
function makeGroup(bytes: number): Group | string {
  const name = `mayfly-test-${process.pid}-${groups++}`;
  const tries = [
    { root: "/sys/fs/cgroup/memory", limits: ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"], peak: "memory.max_usage_in_bytes" },
    { root: "/sys/fs/cgroup", limits: ["memory.max"], peak: "memory.peak" },
  ];
  let why = "";
  for (const { root, limits, peak } of tries) {
    const dir = join(root, name);
    try {
      mkdirSync(dir);
      writeFileSync(join(dir, limits[0] as string), String(bytes));
      for (const swap of limits.slice(1)) writeIfThere(join(dir, swap), String(bytes));
      return { dir, procs: join(dir, "cgroup.procs"), peakBytes: () => readPeak(join(dir, peak)) };
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
      removeGroup(dir);
    }
  }
  return `no control group can be made: ${why}`;
}

/** The most since the last reading; since the start where the system does not forget it. */
function readPeak(file: string): number {
  const bytes = Number(readFileSync(file, "utf8"));
  writeIfThere(file, "0");
  return bytes;
}

function writeIfThere(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch {
    // swap is not counted here
  }
}

function removeGroup(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // never made, or its last process is just ending
  }
}

/** A flow that is asked while others are attacked, on the path /neighbour. */
export const neighbourFlow = `import { flow } from "mayfly"; export default flow((msg) => "hello " + msg.text());`;

export class Container {
  readonly folder: string;
  readonly #group: Group;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = "";

  private constructor(folder: string, group: Group, child: ChildProcess) {
    this.folder = folder;
    this.#group = group;
    this.#child = child;
    this.#ended = once(child, "close").then(([code, signal]) => (this.#output += `\nended with ${code} ${signal}`));
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk) => (this.#output = (this.#output + String(chunk)).slice(-100_000)));
  }

  /** Starts it with these files, and waits until it serves. A text is the reason why it can't be. */
  static async start(memoryBytes: number, files: Readonly<Record<string, string>>): Promise<Container | string> {
    const group = makeGroup(memoryBytes);
    if (typeof group === "string") return group;
    const folder = await mkdtemp(join(tmpdir(), "mayfly-container-"));
    const entry = pathToFileURL(join(packageRoot, "dist", "cli", "mod.js")).href;
    await writeFile(
      join(folder, "mayfly.mjs"),
      `const { main } = await import(${JSON.stringify(entry)}); process.exitCode = await main(process.argv.slice(2));\n`,
    );
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const command = 'echo $$ > "$1" && shift && exec "$@"';
    const child = spawn("sh", ["-c", command, "sh", group.procs, process.execPath, "mayfly.mjs", "serve", "-p", "0"], { cwd: folder });
    return new Container(folder, group, child);
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get output(): string {
    return this.#output;
  }

  peakBytes(): number {
    return this.#group.peakBytes();
  }

  async url(): Promise<string> {
    for (;;) {
      const found = /"url":"(http:[^"]+)".*"msg":"ready"/.exec(this.#output);
      if (found !== null) return found[1] as string;
      if (!this.alive) throw new Error(`it ended: ${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async neighbourAnswers(times: number): Promise<void> {
    const url = await this.url();
    for (let n = 0; n < times; n += 1) {
      const response = await fetch(`${url}/neighbour`, { method: "POST", body: String(n) }).catch((cause: unknown) => {
        throw new Error(`the neighbour was not answered: ${this.output.slice(-3000)}`, { cause });
      });
      equal(await response.text(), `hello ${n}`);
      equal(response.status, 200);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${await this.url()}/metrics`)).text();
  }

  /** Bytes that the budget counts now, but for those of the workers. */
  async takenBytes(): Promise<number> {
    return [...(await this.metrics()).matchAll(/^mayfly_memory_taken_bytes\{use="(?!workers)[^"]+"\} (\d+)$/gm)].reduce(
      (sum, [, bytes]) => sum + Number(bytes),
      0,
    );
  }

  async remove(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
    removeGroup(this.#group.dir);
    await rm(this.folder, { recursive: true, force: true });
  }
}
