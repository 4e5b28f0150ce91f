/**
 * microVMs of this user, as files that only this user can read:
 *
 *     $XDG_STATE_HOME/mayfly/machines/NAME/    ~/.local/state by default
 *       machine.json    the record below
 *       console.log     what the guest printed
 *       qemu.log        QEMU's own complaints
 *       qmp.sock        QEMU's monitor (QMP)
 *       config.json     settings and secrets, until the microVM serves
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { CodedError } from "#base";
import { standaloneLimits } from "../limits.ts";
import { isAlive, type ProcessMark } from "./process.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A port of the host that leads to one of the guest. */
export interface PortPair {
  readonly address: string;
  readonly host: number;
  readonly guest: number;
}

export interface MachineRecord {
  readonly name: string;
  readonly process: ProcessMark;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Absolute path of the ELF. */
  readonly elf: string;
  readonly service: string;
  readonly version: string;
  readonly image: string;
  readonly ports: readonly PortPair[];
  /** Name of the tap device; undefined for user networking. */
  readonly tap?: string;
  readonly memoryBytes: number;
  readonly accelerator: string;
  readonly drainMs: number;
}

export interface Machine {
  readonly record: MachineRecord;
  readonly folder: string;
  /** False: it has ended by itself, and its files are still there. */
  readonly running: boolean;
}

export const machineNamePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

export function machinesFolder(environment: Environment): string {
  const { XDG_STATE_HOME: state = "", HOME: home = "" } = environment;
  return join(state.startsWith("/") ? state : join(home === "" ? homedir() : home, ".local", "state"), "mayfly", "machines");
}

function isRecord(value: unknown): value is MachineRecord {
  const record = value as MachineRecord | null;
  return (
    typeof record === "object" &&
    record !== null &&
    machineNamePattern.test(String(record.name)) &&
    Number.isSafeInteger(record.process?.pid) &&
    record.process.pid > 1 &&
    typeof record.process.start === "string" &&
    Array.isArray(record.ports) &&
    typeof record.drainMs === "number"
  );
}

async function recordIn(folder: string): Promise<MachineRecord | undefined> {
  try {
    const path = join(folder, "machine.json");
    if ((await stat(path)).size > standaloneLimits.recordBytes) return undefined;
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export async function machineNamed(name: string, environment: Environment): Promise<Machine | undefined> {
  if (!machineNamePattern.test(name)) return undefined;
  const folder = join(machinesFolder(environment), name);
  const record = await recordIn(folder);
  return record === undefined ? undefined : { record, folder, running: isAlive(record.process) };
}

/** Throws MF_MICROVM_UNKNOWN. */
export async function requireMachine(name: string, environment: Environment): Promise<Machine> {
  const machine = await machineNamed(name, environment);
  if (machine === undefined) throw new CodedError("MF_MICROVM_UNKNOWN", `there is no microVM named ${name}: \`mayfly ps\` lists them`);
  return machine;
}

/** By name. */
export async function allMachines(environment: Environment): Promise<readonly Machine[]> {
  const names = await readdir(machinesFolder(environment)).catch(() => []);
  const found: Machine[] = [];
  for (const name of names.sort().slice(0, standaloneLimits.machines)) {
    const machine = await machineNamed(name, environment);
    if (machine !== undefined) found.push(machine);
  }
  return found;
}

/** True while somebody else makes a record in a new folder. */
async function isClaimed(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < standaloneLimits.claimMs;
}

function unusable(folder: string, cause: unknown): CodedError {
  const why = (cause as Error).message;
  return new CodedError(
    "MF_MICROVM_STATE",
    `the folder ${folder} can't be used for microVMs: set XDG_STATE_HOME to a folder of yours (${why})`,
    {
      cause,
    },
  );
}

/** A new folder for a name. Throws MF_MICROVM_NAME when a running microVM has it, MF_MICROVM_STATE when there can be no folder. */
export async function claimFolder(name: string, environment: Environment): Promise<string> {
  if (!machineNamePattern.test(name))
    throw new CodedError(
      "MF_MICROVM_NAME",
      `${JSON.stringify(name.slice(0, 64))} is not a microVM's name: start with a letter and use letters, digits, _ and -, at most 64`,
    );
  const root = machinesFolder(environment);
  const folder = join(root, name);
  await mkdir(root, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw unusable(root, cause);
  });
  for (;;) {
    try {
      await mkdir(folder, { mode: 0o700 });
      return folder;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw unusable(folder, cause);
    }
    const known = await recordIn(folder);
    if (known === undefined ? await isClaimed(folder) : isAlive(known.process))
      throw new CodedError(
        "MF_MICROVM_NAME",
        `a microVM named ${name} is running: stop it with \`mayfly stop ${name}\`, or choose another name with --name`,
      );
    await removeFolder(folder);
  }
}

/** Takes the name away first, so that nobody finds half a folder. */
export async function removeFolder(folder: string): Promise<void> {
  const gone = join(folder, "..", `.${randomBytes(8).toString("hex")}`);
  try {
    await rename(folder, gone);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  await rm(gone, { recursive: true, force: true });
}

export async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: "w" });
}

export async function writeRecord(folder: string, record: MachineRecord): Promise<void> {
  const path = join(folder, "machine.json");
  await writePrivate(`${path}.new`, `${JSON.stringify(record, undefined, 2)}\n`);
  await rename(`${path}.new`, path);
}

/** The end of a file, as text. */
export async function tailOf(path: string, bytes: number): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const length = Math.min(size, bytes);
    const buffer = Buffer.alloc(length);
    await file.read(buffer, 0, length, size - length);
    return buffer.toString("utf8");
  } finally {
    await file.close();
  }
}
