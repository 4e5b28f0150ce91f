/** Submission to a pool: bounds, places and order. The test takes the workers' turns. */
import { deepEqual, equal } from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Share } from "../fair-queue.ts";
import { ScriptedPool, statuses, waits } from "./testing/scripted-pool.ts";

const one: Share = { name: "one", weight: 1 };
const another: Share = { name: "another", weight: 1 };

let scripted: ScriptedPool;
afterEach(() => scripted.pool.close());

const wake = { kind: "wake", timeMs: 1, timer: 1 } as const;

test("one flow fills no more slots than run in a moment, so that another's step is not far behind", () => {
  scripted = new ScriptedPool({ size: 1 });
  for (let n = 0; n < 15; n++) scripted.start(one);
  deepEqual([scripted.outstanding, scripted.pool.queued], [[11], 14]);
  const late = scripted.start(another);
  for (let n = 1; n <= 11; n++) {
    equal(scripted.thread(0).begin(), n);
    scripted.thread(0).end();
  }
  equal(scripted.thread(0).begin(), late.seat.number);
});

test("steps go to the worker with the least to do", () => {
  scripted = new ScriptedPool({ size: 2 });
  for (let n = 0; n < 5; n++) scripted.start(one);
  deepEqual(scripted.outstanding, [3, 2]);
});

test("more than can wait are told that the monitor is busy", async () => {
  scripted = new ScriptedPool({ size: 1 });
  for (let n = 0; n < 11 + 65_536; n++) void scripted.start(one);
  deepEqual(await statuses([scripted.start(one).first, scripted.start(another).first]), ["MF_MONITOR_BUSY", "MF_MONITOR_BUSY"]);
  equal(scripted.thread(0).begin(), 1);
  scripted.thread(0).end();
  scripted.start(another);
  equal(scripted.pool.queued, 65_536 + 10);
});

test("a machine that waits and whose next step is refused is forgotten where it waits", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const machine = scripted.start(one);
  scripted.thread(0).begin();
  scripted.thread(0).end(waits);
  equal(scripted.pool.workers[0]?.machines.size, 1);
  for (let n = 0; n < 11 + 65_536; n++) void scripted.start(another);
  deepEqual(await statuses([machine.first, machine.step(wake)]), ["waiting", "MF_MONITOR_BUSY"]);
  equal(scripted.pool.workers[0]?.machines.size, 0);
});

test("whatever is under way when the pool closes is told so, and what comes later", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const machines = Array.from({ length: 12 }, () => scripted.start(one));
  equal(scripted.thread(0).begin(), 1);
  await scripted.pool.close();
  const late = scripted.start(one);
  deepEqual(new Set(await statuses([...machines, late].map(({ first }) => first))), new Set(["MF_MONITOR_CLOSED"]));
  equal(scripted.threads.length, 1);
});

test("when waiting machines take too much memory, those that have waited longest are put off", async () => {
  scripted = new ScriptedPool({ size: 1, bytes: 800 });
  const { pool } = scripted;
  const machines = [scripted.start(one), scripted.start(one), scripted.start(one)];
  for (const machine of machines) {
    equal(scripted.thread(0).begin(), machine.seat.number);
    scripted.thread(0).end({ ...waits, keptBytes: 400 });
    await machine.first;
  }
  deepEqual([scripted.putOff, [...(pool.workers[0]?.machines.values() ?? [])]], [1, [400, 400]]);
});

test("events of a machine in a step wait, up to a bound, and all are answered when it ends", { timeout: 60_000 }, async () => {
  scripted = new ScriptedPool({ size: 1 });
  const machine = scripted.start(one);
  equal(scripted.thread(0).begin(), 1);
  const steps = Array.from({ length: 1025 }, () => machine.step(wake));
  deepEqual(await statuses([steps[1024] as (typeof steps)[0]]), ["MF_MACHINE_ENDED"]);
  scripted.thread(0).end(waits);
  deepEqual(await statuses([machine.first]), ["waiting"]);
  equal(scripted.thread(0).begin(), 1);
  machine.end();
  equal(scripted.thread(0).isInterrupted, true);
  scripted.thread(0).end({ status: "interrupted", effects: [] });
  deepEqual(new Set(await statuses(steps)), new Set(["MF_MACHINE_ENDED"]));
});

test("a machine that waits past its time is over, and its worker forgets it", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const machine = scripted.start(one, { timeMs: -1 });
  scripted.thread(0).begin();
  scripted.thread(0).end(waits);
  deepEqual(await statuses([machine.first, machine.step(wake)]), ["waiting", "MF_TIME_LIMIT"]);
  equal(scripted.pool.workers[0]?.machines.size, 0);
  deepEqual(await statuses([machine.step(wake)]), ["MF_TIME_LIMIT"]);
});

test("a worker ends: its step is run once more, what it had not begun elsewhere, and what waited there again", {
  timeout: 60_000,
}, async () => {
  scripted = new ScriptedPool({ size: 1 });
  const { pool } = scripted;
  const waiting = [scripted.start(one), scripted.start(one)];
  for (const machine of waiting) {
    scripted.thread(0).begin();
    scripted.thread(0).end(waits);
    await machine.first;
  }
  const guilty = scripted.start(another);
  equal(scripted.thread(0).begin(), guilty.seat.number);
  const queued = [waiting[0]?.step(wake), scripted.start(one).first];
  deepEqual(scripted.outstanding, [3]);
  await scripted.thread(0).terminate();
  deepEqual([scripted.threads.length, pool.replaced, scripted.outstanding], [2, 1, [0]]);
  const later = waiting[1]?.step(wake);
  scripted.thread(1).ready();
  let next = scripted.thread(1).begin();
  for (; next !== undefined && next !== guilty.seat.number; next = scripted.thread(1).begin()) scripted.thread(1).end();
  equal(next, guilty.seat.number);
  await scripted.thread(1).terminate();
  scripted.thread(2).ready();
  while (scripted.thread(2).begin() !== undefined) scripted.thread(2).end();
  deepEqual(await statuses([guilty.first]), ["MF_MACHINE_LOST"]);
  deepEqual(await statuses([...queued, later] as (typeof guilty.first)[]), ["done", "done", "done"]);
  deepEqual([pool.replaced, pool.queued, pool.workers[0]?.machines.size], [2, 0, 0]);
});
