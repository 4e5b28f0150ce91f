/** `mayfly serve` as a child process that is started, told to reload, asked to stop, and killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { pause } from "./transports/transport.ts";

export interface GatewayOptions {
  readonly file: string;
  readonly port: number;
  /** All lives of the gateway write into this file. */
  readonly log: string;
  /** Says how far its clock is off. */
  readonly clockFile: string;
  /** It ended though nobody asked it to. */
  readonly died: (how: string) => void;
}

const command = fileURLToPath(new URL("./serve.js", import.meta.url));

export class GatewayProcess {
  readonly #options: GatewayOptions;
  #child: ChildProcess | undefined;
  starts = 0;
  /** The run is over: it is not started again. */
  ended = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it without waiting. */
  start(): void {
    const { file, log, clockFile, died } = this.#options;
    if (this.#child !== undefined || this.ended) return;
    this.starts += 1;
    const output = openSync(log, "a");
    const child = spawn(process.execPath, ["--enable-source-maps", command, "serve", "-c", file], {
      stdio: ["ignore", output, output],
      env: { ...process.env, NO_COLOR: "1", MAYFLY_CHAOS_CLOCK: clockFile },
    });
    closeSync(output);
    this.#child = child;
    child.on("exit", (code, signal) => {
      if (this.#child !== child) return; // it was told to go
      this.#child = undefined;
      died(signal ?? `exit code ${code}`);
    });
  }

  /** Its last answer other than ready. */
  lastAnswer = "";

  /** True once it takes messages; false when it ended before, or did not start within the limit. */
  async ready(limitMs = 30_000): Promise<boolean> {
    for (const end = Date.now() + limitMs; Date.now() < end && this.running; await pause(25)) {
      try {
        const answer = await request(`http://127.0.0.1:${this.#options.port}/ping`, { headersTimeout: 5_000 });
        await answer.body.dump();
        if (answer.statusCode === 200) return true;
        this.lastAnswer = `status ${answer.statusCode}`;
      } catch (error) {
        this.lastAnswer = (error as NodeJS.ErrnoException).code ?? String(error);
      }
    }
    return false;
  }

  /** The answer of /ready, for the report of a run that does not end. */
  async readiness(): Promise<string> {
    try {
      const answer = await request(`http://127.0.0.1:${this.#options.port}/ready`, { headersTimeout: 2_000 });
      return await answer.body.text();
    } catch (error) {
      return String(error);
    }
  }

  reload(): void {
    this.#child?.kill("SIGHUP");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async end(): Promise<void> {
    this.ended = true;
    await this.kill();
  }

  /** SIGTERM; killed when it is not gone after `graceMs`. Answers with what it ended by. */
  async stop(graceMs: number): Promise<string> {
    const child = this.#child;
    if (child === undefined) return "not running";
    this.#child = undefined;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve();
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await ended;
    clearTimeout(timer);
    return child.signalCode ?? `exit code ${child.exitCode}`;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve();
    child.kill(signal);
    await ended;
  }
}
