/**
 * Instructions of one request to a service without an operating system, counted and not timed. QEMU emulates the processor one instruction at a
 * time and writes the address and the function of each; the microVM is told that it has a real processor (`tcg-cpuid=off`), and takes the path that
 * it takes under KVM. An instruction that repeats itself (`rep movs`) is one, as a processor's counter has it. Turns of the drivers that find
 * nothing to do, while the network is waited for, are left out. `node dist/bench/instructions.js` prints it alone.
 *
 *     network and HTTP   functions of `net`                          reset     putBack (kernel/drivers/pages.ts) and what it calls
 *     machine            the engine, the natives, and their memory   drivers   all else: virtio, clock, randomness, copies between memories
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildImage, writeMicrovm, writeServiceExecutable } from "#image";
import { probeQemu, type Qemu } from "#monitors";
import { machineCommand, plainService, userNetwork } from "#standalone";
import { freePort } from "../base/testing/free-port.ts";
import { type Row, say } from "./rows.ts";
import { orderText, referenceFlow } from "./start.ts";

const suite = "standalone";
const mib = 2 ** 20;
/** Requests before the one that is counted: pages have frames of their own by then. */
const warmUp = 50;
/** The drivers are back in `hlt` by then. */
const settleMs = 300;
const startMs = 20_000;

type Part = "network and HTTP" | "machine" | "reset" | "drivers";
type Counts = Record<Part, number>;

const turn = "drivers.kernel/drivers/standalone/turn";
const putBack = "drivers.kernel/drivers/pages/putBack";
/** Functions that putBack calls. */
const ofReset = /^drivers\.kernel\/drivers\/(pages|frames|memory-size|parked)\//;
/** A turn that has one of these had something to do. */
const work = /^(engine|native)\.|^net\.kernel\/net\/main\/receive$|^drivers\.kernel\/drivers\/standalone\/send$/;

interface Step {
  readonly address: string;
  readonly name: string;
}

/** Lines of QEMU's log of executed blocks, of one instruction each; an instruction that repeats itself is one. */
function stepsOf(log: string): Step[] {
  const steps: Step[] = [];
  for (const [, address = "", name = ""] of log.matchAll(/^Trace \d+: \S+ \[\w+\/(\w+)\/\S+\] (\S*)$/gm))
    if (steps.at(-1)?.address !== address) steps.push({ address, name });
  return steps;
}

function isModule(name: string): boolean {
  return /^(net|engine|native|drivers)\./.test(name);
}

/** Counts the turns that worked. Throws where the log has none. */
function countOf(steps: readonly Step[]): Counts {
  const counts: Counts = { "network and HTTP": 0, machine: 0, reset: 0, drivers: 0 };
  const entry = steps.filter(({ name }) => name === turn).reduce((least, { address }) => (address < least ? address : least), "g");
  let pending: Counts = { ...counts };
  let worked = false;
  let part: Part = "drivers";
  const flush = (): void => {
    if (worked) for (const each of Object.keys(counts) as Part[]) counts[each] += pending[each];
    pending = { "network and HTTP": 0, machine: 0, reset: 0, drivers: 0 };
    worked = false;
  };
  for (const { address, name } of steps) {
    if (address === entry) flush();
    // Helpers of all modules belong to the one that called them.
    if (isModule(name)) {
      if (name.startsWith("net.")) part = "network and HTTP";
      else if (!name.startsWith("drivers.")) part = "machine";
      else if (name === putBack) part = "reset";
      else if (part !== "reset" || !ofReset.test(name)) part = "drivers";
    }
    pending[part]++;
    worked ||= work.test(name);
  }
  flush();
  if (counts.machine === 0) throw new Error("QEMU's log has no request");
  return counts;
}

/** QEMU's monitor: commands as a person would type them. */
class Monitor {
  readonly #socket: Socket;
  #text = "";
  #heard: () => void = () => undefined;

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.setEncoding("utf8").on("data", (part: string) => {
      this.#text += part;
      this.#heard();
    });
    this.#socket.write('{"execute":"qmp_capabilities"}\n');
  }

  async say(command: string): Promise<void> {
    this.#text = "";
    this.#socket.write(`${JSON.stringify({ execute: "human-monitor-command", arguments: { "command-line": command } })}\n`);
    while (!/"(return|error)": "[^]*\n/.test(this.#text)) await new Promise<void>((done) => (this.#heard = done));
    if (!/"return": ""/.test(this.#text)) throw new Error(`QEMU refused "${command}": ${this.#text}`);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A connection that stays open. */
class Caller {
  readonly #socket: Socket;
  #text = "";
  #heard: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.setEncoding("latin1").on("data", (part: string) => {
      this.#text += part;
      this.#heard();
    });
    this.#socket.on("close", () => this.#heard()).on("error", () => undefined);
  }

  async order(): Promise<void> {
    this.#text = "";
    this.#socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${orderText.length}\r\n\r\n${orderText}`,
    );
    for (;;) {
      const [head, length = ""] = /^HTTP\/1\.1 200 [^]*?content-length: (\d+)[^]*?\r\n\r\n/.exec(this.#text) ?? [""];
      if (head !== "" && this.#text.length >= head.length + Number(length)) return;
      if (this.#socket.closed) throw new Error(`no answer: ${this.#text}`);
      await new Promise<void>((done) => (this.#heard = done));
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Asks until it is answered. */
async function firstCaller(port: number): Promise<Caller> {
  for (const until = performance.now() + startMs; ; ) {
    const caller = new Caller(port);
    try {
      await caller.order();
      return caller;
    } catch (error) {
      caller.close();
      if (performance.now() > until) throw error;
      await pause(50);
    }
  }
}

async function countMicrovm(qemu: Qemu, folder: string): Promise<Counts> {
  const { image } = await buildImage(referenceFlow, { check: false });
  const [host, trace, monitorPath] = [await freePort(), join(folder, "trace"), join(folder, "qmp")];
  await writeFile(join(folder, "app.elf"), writeMicrovm(image, plainService(image)));
  await writeFile(join(folder, "config.json"), JSON.stringify({ network: userNetwork }));
  await chmod(folder, 0o777); // QEMU is nobody when root starts it
  const { program, arguments: values } = machineCommand(
    { ...qemu, accelerator: "tcg" },
    {
      elf: join(folder, "app.elf"),
      config: join(folder, "config.json"),
      console: join(folder, "console.log"),
      monitor: monitorPath,
      memoryBytes: 64 * mib,
      ports: [{ address: "127.0.0.1", host, guest: 80 }],
      tap: undefined,
      mac: "52:54:00:00:00:01",
      foreground: true,
    },
  );
  const realProcessor = values.map((value) => (value === "max" ? "max,tcg-cpuid=off" : value));
  const child = spawn(program, realProcessor, { stdio: "ignore", cwd: "/", env: {} });
  const ended = once(child, "close");
  let monitor: Monitor | undefined;
  try {
    const caller = await firstCaller(host);
    for (let turns = 0; turns < warmUp; turns++) await caller.order();
    await pause(settleMs);
    monitor = new Monitor(monitorPath);
    for (const command of [`logfile ${trace}`, "singlestep on", "log exec,nochain"]) await monitor.say(command);
    await caller.order();
    await pause(settleMs);
    await monitor.say("log none");
    caller.close();
    return countOf(stepsOf(await readFile(trace, "latin1")));
  } finally {
    monitor?.close();
    child.kill("SIGKILL");
    await ended;
  }
}

const aims: Readonly<Partial<Record<Part, number>>> = { "network and HTTP": 5_000, reset: 30_000 };

async function microvmRows(folder: string): Promise<Row[]> {
  const nothing = (why: string): Row[] => [{ suite, name: "instructions of a request", value: Number.NaN, unit: "", skipped: why }];
  const qemu = await probeQemu().catch((error: Error) => error);
  if (qemu instanceof Error) return nothing(qemu.message);
  say("microVM: instructions of a request");
  const counts = await countMicrovm(qemu, folder).catch((error: Error) => error);
  if (counts instanceof Error) return nothing(`QEMU's log could not be read: ${counts.message}`);
  const row = (name: string, value: number, aim?: number): Row => ({
    suite,
    name: `instructions of a request, ${name} (microVM, KVM's path, counted)`,
    value,
    unit: "instructions",
    ...(aim !== undefined && { aim: `≤ ${aim.toLocaleString("en")}`, met: value <= aim }),
  });
  const parts = (Object.entries(counts) as [Part, number][]).map(([part, value]) => row(part, value, aims[part]));
  return [
    ...parts,
    row(
      "all",
      Object.values(counts).reduce((sum, value) => sum + value, 0),
    ),
  ];
}

/** By the processor's counter, where it has one for programs. */
async function linuxRow(folder: string, requests: number): Promise<Row> {
  const name = "instructions of a request, in the process (Linux process, perf)";
  const row = { suite, name, value: Number.NaN, unit: "instructions" };
  if (process.platform !== "linux" || process.arch !== "x64") return { ...row, skipped: "it runs on x86-64 Linux only" };
  const probe = spawnSync("perf", ["stat", "-x", ",", "-e", "instructions:u", "true"], { encoding: "utf8" });
  if (probe.status !== 0 || /not (supported|counted)/.test(probe.stderr))
    return { ...row, skipped: "perf counts no instructions here: the processor's counter is not given to this computer, or to this user" };
  const { image } = await buildImage(referenceFlow, { check: false });
  const [app, port] = [join(folder, "app"), await freePort()];
  await writeFile(app, writeServiceExecutable(image, plainService(image, "linux")), { mode: 0o755 });
  const child = spawn(app, ["-p", String(port)], { stdio: "ignore", env: {} });
  try {
    const caller = await firstCaller(port);
    for (let turns = 0; turns < warmUp; turns++) await caller.order();
    const perf = spawn("perf", ["stat", "-x", ",", "-e", "instructions:u", "-p", String(child.pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let told = "";
    perf.stderr.setEncoding("utf8").on("data", (part: string) => (told += part));
    await pause(settleMs);
    for (let turns = 0; turns < requests; turns++) await caller.order();
    perf.kill("SIGINT");
    await once(perf, "close");
    caller.close();
    return { ...row, value: Math.round(Number(/^(\d+),/m.exec(told)?.[1]) / requests) };
  } finally {
    child.kill("SIGKILL");
  }
}

export async function instructionRows(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-count-"));
  try {
    return [...(await microvmRows(folder)), await linuxRow(folder, 1_000)];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await instructionRows()) console.log(JSON.stringify(row));
  process.exit(0);
}
