/**
 * Starts a microVM, and knows when it serves.
 *
 *     claim a name ─▶ config.json ─▶ QEMU ─▶ record ─▶ first answer ─▶ config.json is gone
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { get } from "node:http";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Service } from "#abi";
import { CodedError } from "#base";
import { describeExit, probeQemu } from "#monitors";
import { standaloneLimits } from "../limits.ts";
import { machineCommand } from "./command.ts";
import { claimFolder, type Machine, type MachineRecord, type PortPair, removeFolder, tailOf, writePrivate, writeRecord } from "./folder.ts";
import { cleanText } from "./logs.ts";
import { checkFree } from "./ports.ts";
import { startOf } from "./process.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface StartOptions {
  readonly name: string;
  /** Path of the ELF, and the service in it. */
  readonly elf: string;
  readonly service: Service;
  /** Text of config.json. */
  readonly config: string;
  readonly ports: readonly PortPair[];
  readonly tap: string | undefined;
  readonly memoryBytes: number;
  /** Takes the console's text as it comes. Undefined: the microVM outlives this process. */
  readonly console: ((text: string) => void) | undefined;
  readonly environment: Environment;
  /** Aborted when nobody wants it any more. */
  readonly stopped?: AbortSignal;
}

export interface StartedMachine extends Machine {
  /** The accelerator, and the reason for it. */
  readonly reason: string;
  /** Milliseconds from exec of QEMU to the first answer; on a network of its own until it says that it listens. */
  readonly readyMs: number;
  /** Its end, as a sentence, and whether it was as asked. */
  readonly ended: Promise<MachineEnd>;
}

export interface MachineEnd {
  readonly clean: boolean;
  readonly text: string;
}

/** True once something on the port answers HTTP. */
function answers({ address, host }: PortPair): Promise<boolean> {
  const hostname = address === "0.0.0.0" ? "127.0.0.1" : address;
  return new Promise((done) => {
    const request = get({ hostname, port: host, path: "/healthz", agent: false, timeout: standaloneLimits.askMs }, (response) => {
      response.resume();
      request.destroy();
      done(true);
    });
    request
      .on("timeout", () => request.destroy())
      .on("error", () => done(false))
      .on("close", () => done(false));
  });
}

/** The last lines of files: the guest's console, QEMU's complaints. */
async function lastLines(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const { consoleTailBytes, consoleLines } = standaloneLimits;
  const texts = await Promise.all(names.map((name) => tailOf(join(folder, name), consoleTailBytes)));
  return texts
    .join("\n")
    .replace(/[^\n\x20-\x7e]/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-consoleLines);
}

function endOf(child: ChildProcess): Promise<MachineEnd> {
  return new Promise((done) => {
    child.once("error", (error) => done({ clean: false, text: `QEMU can't be started: ${error.message}` }));
    child.once("exit", (status, signal) => {
      // Without a device that takes a status, a guest that has powered off ends QEMU with 0.
      if (status === 0) done({ clean: true, text: "the microVM has powered off" });
      else {
        const { end, text } = describeExit(status, signal);
        done({ clean: end === "clean", text });
      }
    });
  });
}

/** True once the guest has said on its console that it listens (kernel/net/service): on a network of its own nobody here can ask it. */
async function says(folder: string): Promise<boolean> {
  return (await tailOf(join(folder, "console.log"), standaloneLimits.consoleTailBytes)).includes('"msg":"serving on port ');
}

/**
 * Milliseconds until the first answer, or its end. QEMU takes connections before the guest can, and tries again late: each question has a
 * connection of its own, and does not wait for those before.
 */
async function untilServing(
  { ports: [port], stopped }: StartOptions,
  folder: string,
  startedMs: number,
  ended: Promise<MachineEnd>,
): Promise<number | MachineEnd> {
  let end: MachineEnd | undefined;
  let readyMs: number | undefined;
  let ready = (): void => undefined;
  const answered = new Promise<void>((done) => (ready = done));
  void ended.then((known) => (end = known));
  while (end === undefined && readyMs === undefined) {
    void (port === undefined ? says(folder) : answers(port)).then((yes) => {
      if (!yes) return;
      readyMs ??= performance.now() - startedMs;
      ready();
    });
    if (performance.now() - startedMs > standaloneLimits.startMs)
      return { clean: false, text: `it has not answered within ${standaloneLimits.startMs / 1000} s` };
    if (stopped?.aborted === true) return { clean: false, text: "it was stopped before it had answered" };
    await Promise.race([ended, answered, pause(standaloneLimits.askEveryMs)]);
  }
  return end ?? (readyMs as number);
}

/** `shown`: people have seen the console already. */
async function failed(folder: string, child: ChildProcess, shown: boolean, { text }: MachineEnd): Promise<CodedError> {
  const lines = await lastLines(folder, shown ? ["qemu.log"] : ["console.log", "qemu.log"]);
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await removeFolder(folder);
  const said = lines.length === 0 ? "" : `. Its last lines:\n  ${lines.join("\n  ")}`;
  return new CodedError("MF_MICROVM_ENDED", `the microVM does not serve: ${text}${said}`);
}

async function launch(options: StartOptions, folder: string, qemu: Awaited<ReturnType<typeof probeQemu>>): Promise<ChildProcess> {
  const foreground = options.console !== undefined;
  const { program, arguments: values } = machineCommand(qemu, {
    elf: resolve(options.elf),
    config: join(folder, "config.json"),
    console: join(folder, "console.log"),
    monitor: join(folder, "qmp.sock"),
    memoryBytes: options.memoryBytes,
    ports: options.ports,
    tap: options.tap,
    mac: `52:54:00${randomBytes(3).toString("hex").replace(/../g, ":$&")}`,
    foreground,
  });
  for (const name of ["console.log", "qemu.log"]) await writePrivate(join(folder, name), "");
  const complaints = await open(join(folder, "qemu.log"), "a", 0o600);
  try {
    // A session of its own: Ctrl-C on the terminal must not reach it.
    const child = spawn(program, values, {
      stdio: ["ignore", foreground ? "pipe" : "ignore", complaints.fd],
      cwd: "/",
      env: {},
      detached: true,
    });
    child.stdout?.setEncoding("utf8").on("data", (text: string) => options.console?.(cleanText(text)));
    return child;
  } finally {
    await complaints.close();
  }
}

/**
 * Resolves once the microVM answers, or listens where no port leads to it. Rejects with MF_MICROVM_ENDED, MF_MICROVM_NAME, MF_MICROVM_STATE,
 * MF_MICROVM_PORT, MF_PORT_IN_USE, MF_QEMU_MISSING or MF_QEMU_FAILED.
 */
export async function startMachine(options: StartOptions): Promise<StartedMachine> {
  const { name, service, ports, tap, memoryBytes, environment } = options;
  for (const port of ports) await checkFree(port);
  const qemu = await probeQemu();
  const folder = await claimFolder(name, environment);
  const config = join(folder, "config.json");
  if (Buffer.byteLength(join(folder, "qmp.sock")) > standaloneLimits.socketPathBytes) {
    await removeFolder(folder);
    throw new CodedError(
      "MF_MICROVM_STATE",
      `${folder} is too long for a socket in it: set XDG_STATE_HOME to a shorter folder, or choose a shorter --name`,
    );
  }
  await writePrivate(config, options.config);
  const startedMs = performance.now();
  const child = await launch(options, folder, qemu);
  const ended = endOf(child);
  const shown = options.console !== undefined;
  const start = child.pid === undefined ? undefined : startOf(child.pid);
  if (child.pid === undefined || start === undefined) throw await failed(folder, child, shown, await ended);
  const record: MachineRecord = {
    name,
    process: { pid: child.pid, start },
    startedAt: new Date().toISOString(),
    elf: resolve(options.elf),
    service: service.name,
    version: service.version,
    image: service.imageSha256,
    ports,
    ...(tap === undefined ? {} : { tap }),
    memoryBytes,
    accelerator: qemu.accelerator,
    drainMs: service.drainMs,
  };
  await writeRecord(folder, record);
  const ready = await untilServing(options, folder, startedMs, ended);
  if (typeof ready !== "number") throw await failed(folder, child, shown, ready);
  await rm(config, { force: true });
  if (options.console === undefined) child.unref();
  return { record, folder, running: true, reason: qemu.reason, readyMs: ready, ended };
}
