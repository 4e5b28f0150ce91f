/** A gateway in a process of its own whose callbacks can be made to throw: see sabotage.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Targets } from "./sabotage.ts";

export interface Sabotaged extends Targets {
  /** The calls of a durable journal fail as well. */
  readonly journal?: boolean;
}

const synchronousCalls = [
  "adopt",
  "release",
  "releaseOutbox",
  "hastenOutbox",
  "nextOutboxMs",
  "nextOutboxDateMs",
  "outboxDelayed",
  "outboxDepth",
  "liveHeaders",
  "stats",
];

/** Told through standard input which callback is to throw; `dist` is the folder of the built project. */
function script(dist: string, { callbacks, disk, journal }: Sabotaged): string {
  const at = (path: string): string => JSON.stringify(pathToFileURL(join(dist, path)).href);
  return `
import { createInterface } from "node:readline";
import { arm, calls, disarm, sabotage, sabotageCalls } from ${at("gateway/testing/sabotage.js")};
sabotage({ callbacks: ${String(callbacks)}, disk: ${String(disk)} });
const { serve } = await import(${at("cli/mod.js")});
${journal === true ? `sabotageCalls((await import(${at("gateway/journal/log/log-journal.js")})).LogJournal.prototype, ${JSON.stringify(synchronousCalls)});` : ""}
const serving = await serve({ file: "mayfly.yaml", port: 0 });
console.log("at " + serving.url);
createInterface({ input: process.stdin }).on("line", (line) => {
  const called = line === "count" ? calls() : disarm();
  if (line === "throw") setTimeout(() => { throw new Error("thrown into nowhere"); });
  else if (line === "reject") void Promise.reject(new Error("rejected into nowhere"));
  else if (line === "reject nonsense") void Promise.reject(undefined);
  else if (line === "stop") void serving.stop().then(() => process.exit(0));
  console.log("called " + called);
  if (line.startsWith("arm ")) arm(Number(line.slice(4)));
});
`;
}

export class SabotagedProcess {
  readonly folder: string;
  readonly #child: ChildProcess;
  /** All it has written. */
  written = "";
  #unread = "";
  /** Wakes the one who waits for words. */
  #awake: () => void = () => undefined;
  url = "";

  private constructor(folder: string) {
    this.folder = folder;
    this.#child = spawn(process.execPath, ["gateway.mjs"], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.written += text;
      this.#unread += text;
      this.#awake();
    });
    this.#child.on("exit", () => this.#awake());
  }

  /** `project`: files of the gateway's folder by name, mayfly.yaml among them. */
  static async start(dist: string, project: Readonly<Record<string, string>>, sabotaged: Sabotaged): Promise<SabotagedProcess> {
    const folder = await mkdtemp(join(tmpdir(), "mayfly-sabotage-"));
    for (const [name, text] of Object.entries(project)) await writeFile(join(folder, name), text);
    await writeFile(join(folder, "gateway.mjs"), script(dist, sabotaged));
    return await SabotagedProcess.#startIn(folder);
  }

  static async #startIn(folder: string): Promise<SabotagedProcess> {
    const started = new SabotagedProcess(folder);
    started.url = (await started.#said(/at (http:\S+)/))[1] as string;
    return started;
  }

  /** Starts anew in the same folder, once it has ended. */
  again(): Promise<SabotagedProcess> {
    return SabotagedProcess.#startIn(this.folder);
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Gives the number of callbacks called since the last `arm`; all lines but `count` disarm. */
  async tell(line: string): Promise<number> {
    this.#child.stdin?.write(`${line}\n`);
    return Number((await this.#said(/called (\d+)/))[1]);
  }

  /** Stops in order; gives the exit code. */
  async stop(): Promise<unknown> {
    const ended = once(this.#child, "exit");
    this.#child.stdin?.write("stop\n");
    return (await ended)[0];
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }

  async #said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#unread);
      if (found !== null) {
        this.#unread = this.#unread.slice(found.index + found[0].length);
        return found;
      }
      if (!this.alive) throw new Error(`the gateway has ended: ${this.written.slice(-2000)}`);
      await new Promise<void>((resolve) => (this.#awake = resolve));
    }
  }
}
