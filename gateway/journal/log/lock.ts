/**
 * One gateway per journal. The lock is a file that says who holds it; Node has no flock.
 *
 *   lock                 the holder: pid, its start time, boot and pid namespace of its kernel, and a nonce
 *   lock.after.NONCE     whoever takes over from the dead holder NONCE; made by link(2), so only one can, then renamed to `lock`
 *
 * A holder of this kernel and pid namespace is dead when no process has its pid and start time. Any other one (another container
 * on a shared volume, another machine) can't be asked: it writes a beat into the lock every few seconds, and is taken to be dead
 * when the beat stands still for as long as `silenceMs`, measured on our own clock.
 *
 * Not covered: network file systems whose link or rename is not atomic; a holder that is stopped (SIGSTOP, a suspended machine)
 * longer than silenceMs and is waited for from another namespace; three processes that take over at once while one of them dies
 * between link and rename. Each beat looks whether the lock is still ours; when it is not, `lost` is called and the journal stops.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { type Clock, CodedError } from "#base";
import { diskCode, journalError } from "./errors.ts";

export interface LockHolder {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks after boot. Empty where there is no /proc. */
  readonly startTime: string;
  readonly boot: string;
  readonly namespace: string;
  readonly host: string;
  readonly nonce: string;
  /** Digits of a fixed width, so that a beat is written in place: that needs no room on a full disk. */
  readonly beat: string;
}

const beatDigits = 12;

export interface LockTimes {
  readonly beatMs: number;
  readonly silenceMs: number;
}

export const lockTimes: LockTimes = { beatMs: 5_000, silenceMs: 20_000 };

export interface Lock {
  release(): Promise<void>;
}

async function textOf(path: string): Promise<string> {
  return fs.readFile(path, "utf8").catch(() => "");
}

/** Start time of a process, empty if the process or /proc is missing. */
async function startTimeOf(pid: number): Promise<string> {
  const stat = await textOf(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""; // the name before it may contain anything
}

async function myself(): Promise<LockHolder> {
  return {
    pid: process.pid,
    startTime: await startTimeOf(process.pid),
    boot: (await textOf("/proc/sys/kernel/random/boot_id")).trim(),
    namespace: await fs.readlink("/proc/self/ns/pid").catch(() => ""),
    host: hostname(),
    nonce: randomBytes(8).toString("hex"),
    beat: "0".repeat(beatDigits),
  };
}

async function holderIn(path: string): Promise<LockHolder | undefined> {
  try {
    const holder = JSON.parse(await fs.readFile(path, "utf8")) as LockHolder;
    return typeof holder.nonce === "string" && /^[0-9a-f]+$/.test(holder.nonce) && Number.isInteger(holder.pid) ? holder : undefined;
  } catch (error) {
    if (diskCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw journalError(error, "read its lock");
  }
}

function wait(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}

/** Somebody who looks at a lock: its own entry, and how it measures the silence of another's. */
interface Looker {
  readonly me: LockHolder;
  readonly clock: Clock;
  readonly times: LockTimes;
}

async function isDead(path: string, holder: LockHolder, { me, clock, times }: Looker): Promise<boolean> {
  if (holder.boot === me.boot && holder.namespace === me.namespace && me.startTime !== "") {
    return (await startTimeOf(holder.pid)) !== holder.startTime;
  }
  const sinceMs = clock.monotonicMs();
  while (clock.monotonicMs() - sinceMs < times.silenceMs) {
    await wait(clock, Math.min(times.beatMs, times.silenceMs));
    const now = await holderIn(path);
    if (now === undefined || now.nonce !== holder.nonce) return false;
    if (now.beat !== holder.beat) return false;
  }
  return true;
}

function locked(path: string, holder: LockHolder | undefined): CodedError {
  const who = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
  return new CodedError("MF_JOURNAL_LOCKED", `${who} uses this journal (${path}): stop it first, or set another folder for this gateway`);
}

async function writeNew(path: string, holder: LockHolder): Promise<string> {
  const temporary = `${path}.${holder.nonce}.tmp`;
  await fs.writeFile(temporary, `${JSON.stringify(holder)}\n`, { flag: "wx", mode: 0o600 });
  return temporary;
}

/** Makes `to` a second name of `from` unless there is such a name already. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await fs.link(from, to);
    return true;
  } catch (error) {
    if (diskCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function take(path: string, temporary: string, looker: Looker): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await linked(temporary, path)) return;
    const holder = await holderIn(path);
    if (holder === undefined) {
      // A lock is linked whole and beats in place, so what can't be read is damaged. Nobody vouches for it: look twice, then remove it.
      if ((await fs.stat(path).catch(() => undefined)) === undefined) continue;
      await wait(looker.clock, looker.times.beatMs);
      if ((await holderIn(path)) === undefined) await fs.rm(path, { force: true });
      continue;
    }
    if (!(await isDead(path, holder, looker))) throw locked(path, holder);
    const after = `${path}.after.${holder.nonce}`;
    if (!(await linked(temporary, after))) {
      const taker = await holderIn(after);
      if (taker !== undefined && !(await isDead(after, taker, looker))) throw locked(path, taker);
      await fs.rm(after, { force: true });
      continue;
    }
    if ((await holderIn(path))?.nonce === holder.nonce) return fs.rename(after, path);
    await fs.rm(after, { force: true });
  }
  throw locked(path, await holderIn(path));
}

/** Owner of the journal in `folder`, as far as known at once: undefined if nobody owns it, or a dead process of this machine. */
export async function holderOf(folder: string): Promise<LockHolder | undefined> {
  const path = join(folder, "lock");
  const holder = await holderIn(path);
  const me = await myself();
  if (holder === undefined || holder.boot !== me.boot || holder.namespace !== me.namespace || me.startTime === "") return holder;
  return (await startTimeOf(holder.pid)) === holder.startTime ? holder : undefined;
}

/** Takes the lock in `folder`. Rejects with MF_JOURNAL_LOCKED, or as the disk does. */
export async function takeLock(folder: string, clock: Clock, lost: () => void, times: LockTimes = lockTimes): Promise<Lock> {
  const path = join(folder, "lock");
  const me = await myself();
  let handle: fs.FileHandle;
  try {
    const temporary = await writeNew(path, me);
    try {
      await take(path, temporary, { me, clock, times });
      handle = await fs.open(path, "r+"); // beats go to this file, also when the name is somebody else's by then
    } finally {
      await fs.rm(temporary, { force: true });
    }
  } catch (error) {
    throw journalError(error, "lock itself");
  }
  let cancel: () => void = () => undefined;
  let beating: Promise<void> = Promise.resolve();
  let beats = 0;
  let released = false;
  const beat = async (): Promise<void> => {
    const holder = await holderIn(path).catch(() => me); // a disk that fails says nothing about who holds the lock
    if (holder?.nonce !== me.nonce) return lost();
    beats += 1;
    await handle.write(`${JSON.stringify({ ...me, beat: String(beats).padStart(beatDigits, "0") })}\n`, 0).catch(() => undefined);
    if (!released) again();
  };
  const again = (): void => {
    cancel = clock.after(times.beatMs, () => void (beating = beat()));
  };
  again();
  return {
    release: async () => {
      released = true;
      cancel();
      await beating;
      await handle.close().catch(() => undefined);
      if ((await holderIn(path).catch(() => undefined))?.nonce === me.nonce) await fs.rm(path, { force: true });
    },
  };
}
