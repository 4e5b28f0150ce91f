/** Brokers for tests: the computer's own, started if necessary, and private ones that a test may stop and start. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../base/testing/free-port.ts";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export function answers({ host, port }: BrokerAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.end());
  });
}

async function answersWithin(address: BrokerAddress, limitMs: number): Promise<boolean> {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    if (await answers(address)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

/** Undefined when the broker answers, if need be after starting Debian's service as root; else the reason to skip. */
export async function reachable(service: string, address: BrokerAddress): Promise<string | undefined> {
  if (await answers(address)) return undefined;
  const why = `${service} does not answer at ${address.host}:${address.port}`;
  if (process.getuid?.() !== 0) return `${why}, and only root can start it`;
  spawnSync("service", [service, "start"], { stdio: "ignore", timeout: 60_000 });
  return (await answersWithin(address, 15_000)) ? undefined : `${why}, though its service was started`;
}

export function installed(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program} || test -x /usr/sbin/${program}`], { stdio: "ignore" }).status === 0;
}

/** A broker of one test, with its data in a temporary folder that survives stop and start. */
export class PrivateBroker {
  readonly host = "127.0.0.1";
  readonly port: number;
  readonly dir: string;
  readonly #command: (dir: string, port: number) => readonly string[];
  readonly #startMs: number;
  #process: ChildProcess | undefined;

  private constructor(port: number, dir: string, command: (dir: string, port: number) => readonly string[], startMs: number) {
    this.port = port;
    this.dir = dir;
    this.#command = command;
    this.#startMs = startMs;
  }

  /** `prepare` may write files into the folder before the first start. */
  static async start(
    command: (dir: string, port: number) => readonly string[],
    prepare: (dir: string, port: number) => Promise<void> = async () => {},
    startMs = 8_000,
  ): Promise<PrivateBroker> {
    const port = await freePort();
    const dir = await mkdtemp(join(tmpdir(), "mayfly-broker-"));
    await prepare(dir, port);
    const broker = new PrivateBroker(port, dir, command, startMs);
    await broker.up();
    return broker;
  }

  async up(): Promise<void> {
    const [program, ...rest] = this.#command(this.dir, this.port);
    const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` };
    let output = "";
    const child = spawn(program ?? "", rest, { cwd: this.dir, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output = (output + String(chunk)).slice(-2_000)));
    this.#process = child;
    if (!(await answersWithin(this, this.#startMs))) throw new Error(`${program} did not start: ${output}`);
  }

  /** SIGTERM or SIGKILL, and waits for its end. */
  async down(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Of the process, which runs. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** SIGSTOP or SIGCONT, which `down` with SIGKILL needs no undoing of. */
  send(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async remove(): Promise<void> {
    await this.down("SIGKILL");
    await rm(this.dir, { recursive: true, force: true });
  }
}
