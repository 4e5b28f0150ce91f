import { equal, ok, rejects } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#base";
import { holderOf, type LockHolder, takeLock } from "./lock.ts";
import { openJournal } from "./open.ts";
import { SimulatedClock } from "../testing/simulated-clock.ts";

const times = { beatMs: 1_000, silenceMs: 3_000 };
const nothing = (): undefined => undefined;

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-lock-"));
  try {
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

test("a journal that is open is locked, and free again once it is closed", () =>
  inFolder(async (dir) => {
    const first = openJournal(dir);
    await first.recover();
    const second = openJournal(dir);
    await rejects(second.recover(), { code: "MF_JOURNAL_LOCKED", message: new RegExp(`process ${process.pid} on `) });
    equal((await holderOf(dir))?.pid, process.pid);
    await first.close();
    equal(await holderOf(dir), undefined);
    await second.recover();
    await second.close();
    ok(!(await readdir(dir)).some((name) => name.startsWith("lock")));
  }));

async function holder(dir: string): Promise<LockHolder> {
  const lock = await takeLock(dir, new SimulatedClock(0), nothing);
  const text = await readFile(join(dir, "lock"), "utf8");
  await lock.release();
  return JSON.parse(text) as LockHolder;
}

test("the lock of a process that is dead, or whose pid is another process by now, is taken over", () =>
  inFolder(async (dir) => {
    const me = await holder(dir);
    const dead = spawnSync(process.execPath, ["-e", "console.log(process.pid)"]).stdout.toString();
    for (const stale of [
      { ...me, pid: Number(dead) },
      { ...me, startTime: "1" },
    ]) {
      await writeFile(join(dir, "lock"), JSON.stringify({ ...stale, nonce: "abc1" }));
      equal(await holderOf(dir), undefined);
      const lock = await takeLock(dir, new SimulatedClock(0), nothing);
      await lock.release();
    }
  }));

test("of many that find a dead holder's lock, one takes it", () =>
  inFolder(async (dir) => {
    const me = await holder(dir);
    for (let round = 0; round < 20; round++) {
      await writeFile(join(dir, "lock"), JSON.stringify({ ...me, startTime: "1", nonce: "abc1" }));
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(dir, new SimulatedClock(0), nothing)));
      const winners = taken.filter((each) => each.status === "fulfilled");
      equal(winners.length, 1);
      await winners[0]?.value.release();
      for (const each of taken) if (each.status === "rejected") equal((each.reason as { code?: string }).code, "MF_JOURNAL_LOCKED");
    }
  }));

/** Lets a promise that waits on the clock go on, however many real file calls are in between. */
async function passing<T>(clock: SimulatedClock, work: Promise<T>, each: () => Promise<void> = async () => undefined): Promise<T> {
  let done = false;
  const ended = work.finally(() => (done = true));
  ended.catch(nothing);
  while (!done) {
    clock.advance(500);
    await each();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return ended;
}

test("a holder elsewhere is believed while its beat goes on, and taken over when it stands still", () =>
  inFolder(async (dir) => {
    const foreign = { ...(await holder(dir)), namespace: "pid:[1]", host: "elsewhere", nonce: "abc2" };
    let beat = 0;
    const beats = async (): Promise<void> => {
      beat += 1;
      await writeFile(join(dir, "beat"), JSON.stringify({ ...foreign, beat: String(beat).padStart(12, "0") }));
      await rename(join(dir, "beat"), join(dir, "lock")); // whole, as a holder's beat is
    };
    await beats();
    const clock = new SimulatedClock(0);
    await rejects(passing(clock, takeLock(dir, clock, nothing, times), beats), { code: "MF_JOURNAL_LOCKED", message: /on elsewhere uses/ });
    const lock = await passing(clock, takeLock(dir, clock, nothing, times));
    await lock.release();
  }));

test("who has lost the lock is told at the next beat, and leaves the new holder's alone", () =>
  inFolder(async (dir) => {
    const clock = new SimulatedClock(0);
    let lost = false;
    const lock = await takeLock(dir, clock, () => (lost = true), times);
    const path = join(dir, "lock");
    const before = JSON.parse(await readFile(path, "utf8")) as LockHolder;
    await rm(path);
    const other = JSON.stringify({ ...before, nonce: "abc3" });
    await writeFile(path, other);
    clock.advance(times.beatMs);
    while (!lost) await new Promise((resolve) => setTimeout(resolve, 1));
    await lock.release();
    equal(await readFile(path, "utf8"), other);
  }));

test("a journal that has lost its lock refuses", () =>
  inFolder(async (dir) => {
    const events: string[] = [];
    const journal = openJournal(dir, {
      lockTimes: { beatMs: 1, silenceMs: 10 },
      onEvent: (event) => events.push(event.kind),
      clock: systemClock,
    });
    await journal.recover();
    await rm(join(dir, "lock"));
    while (!events.includes("lock-lost")) await new Promise((resolve) => setTimeout(resolve, 1));
    await rejects(journal.lease("orders", 1), { code: "MF_JOURNAL_CLOSED", message: /another process has taken over/ });
    await journal.close();
  }));
