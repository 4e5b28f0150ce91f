/** Relief from steps that take long, turn by turn: the test is the workers, and the clock of the watchdog. */
import { deepEqual, equal } from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { Share } from "../fair-queue.ts";
import type { EmbeddedMachine } from "./worker.ts";
import { embeddedLimits } from "./limits.ts";
import { ScriptedPool, statuses, waits } from "./testing/scripted-pool.ts";

const evil: Share = { name: "evil", weight: 1 };
const good: Share = { name: "good", weight: 1 };
const other: Share = { name: "other", weight: 1 };

let scripted: ScriptedPool;
let nowMs = 0;
beforeEach(() => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  mock.method(performance, "now", () => nowMs);
});
afterEach(async () => {
  await scripted.pool.close();
  mock.timers.reset();
  mock.restoreAll();
});

/** The watchdog looks often enough to call a step slow. */
function grow(): void {
  for (let looks = 0; looks < 5; looks++) {
    nowMs += embeddedLimits.watchMs;
    mock.timers.tick(embeddedLimits.watchMs);
  }
}

/** A long step of the first worker: another worker is added. */
function long(): EmbeddedMachine {
  const machine = scripted.start(evil);
  equal(scripted.thread(0).begin(), machine.seat.number);
  grow();
  return machine;
}

const first = (machines: readonly EmbeddedMachine[]): Promise<readonly string[]> => statuses(machines.map((machine) => machine.first));

test("a worker that was added for a long step leaves when none has been long for a while", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const { pool, threads } = scripted;
  const machines = [long()];
  equal(pool.workers.length, 2);
  scripted.thread(1).ready();
  scripted.thread(0).end();
  grow();
  equal(pool.workers.length, 2); // it may be wanted again
  mock.timers.tick(9000);
  machines.push(long());
  scripted.thread(0).end();
  mock.timers.tick(9000);
  equal(pool.workers.length, 2);
  mock.timers.tick(9000);
  deepEqual([pool.workers.length, threads.length, scripted.thread(1).threadId], [1, 2, -1]);
  machines.push(long());
  equal(threads.length, 3);
  scripted.thread(0).end();
  deepEqual(await first(machines), ["done", "done", "done"]);
});

test("what waits at a worker that leaves is run again where it goes on", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const { pool } = scripted;
  const hostile = long();
  scripted.thread(1).ready();
  const machine = scripted.start(good);
  equal(scripted.thread(1).begin(), machine.seat.number);
  scripted.thread(1).end(waits);
  scripted.thread(0).end();
  deepEqual(await first([hostile, machine]), ["done", "waiting"]);
  mock.timers.tick(10_000);
  deepEqual([scripted.putOff, pool.workers.length], [1, 2]);
  scripted.thread(1).begin(); // to forget it
  mock.timers.tick(10_000);
  deepEqual([scripted.putOff, pool.workers.length], [1, 1]);
  const next = machine.step({ kind: "wake", timeMs: 1, timer: 1 });
  equal(scripted.thread(0).begin(), machine.seat.number);
  scripted.thread(0).end();
  deepEqual([await statuses([next]), scripted.putOff], [["done"], 0]);
});

test("an added worker that nobody needs takes no step, and keeps none from the others", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const hostile = long();
  scripted.thread(1).ready();
  scripted.thread(0).end({ cpuMs: 30 });
  const goods = [scripted.start(good), scripted.start(good)];
  deepEqual(scripted.outstanding, [2, 0]);
  for (const { seat } of goods) {
    equal(scripted.thread(0).begin(), seat.number);
    scripted.thread(0).end();
  }
  deepEqual(await first([hostile, ...goods]), ["done", "done", "done"]);
});

test("what is queued behind a long step runs elsewhere, in its order, and before what came later", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const hostile = scripted.start(evil);
  const goods = [scripted.start(good), scripted.start(good)];
  deepEqual(scripted.outstanding, [3]);
  equal(scripted.thread(0).begin(), hostile.seat.number);
  grow();
  goods.push(scripted.start(good));
  equal(scripted.pool.queued, 5, "two of them lie where they were until the worker has passed them");
  scripted.thread(1).ready();
  for (const { seat } of goods) {
    equal(scripted.thread(1).begin(), seat.number);
    scripted.thread(1).end();
  }
  deepEqual(await first(goods), ["done", "done", "done"]);
  scripted.thread(0).end();
  deepEqual([scripted.thread(0).begin(), scripted.thread(0).begin()], [undefined, undefined]);
  deepEqual(await first([hostile]), ["done"]);
  deepEqual(scripted.outstanding, [0, 0]);
});

test("a flow holds no more workers than leave one for others", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const evils = [long(), scripted.start(evil)];
  scripted.thread(1).ready();
  equal(scripted.thread(1).begin(), undefined);
  const quiet = scripted.start(good);
  equal(scripted.thread(1).begin(), quiet.seat.number);
  scripted.thread(1).end();
  deepEqual(await first([quiet]), ["done"]);
  scripted.thread(0).end();
  equal(scripted.thread(0).begin(), 2);
  scripted.thread(0).end();
  deepEqual(await first(evils), ["done", "done"]);
});

test("without a free worker the younger of two long steps makes way, once, and runs again", async () => {
  scripted = new ScriptedPool({ size: 1 });
  const older = long();
  scripted.thread(1).ready();
  const younger = scripted.start(other);
  equal(scripted.thread(1).begin(), younger.seat.number);
  grow();
  deepEqual([scripted.thread(0).isInterrupted, scripted.thread(1).isInterrupted], [false, false], "nobody waits");
  const quiet = scripted.start(good);
  grow();
  deepEqual([scripted.thread(0).isInterrupted, scripted.thread(1).isInterrupted], [false, true]);
  scripted.thread(1).end({ status: "interrupted", effects: [], cpuMs: 50 });
  equal(scripted.thread(1).begin(), quiet.seat.number);
  scripted.thread(1).end();
  equal(scripted.thread(1).begin(), younger.seat.number);
  grow();
  const next = scripted.start(good);
  grow();
  deepEqual([scripted.thread(0).isInterrupted, scripted.thread(1).isInterrupted], [true, false], "the other's turn to make way");
  scripted.thread(0).end({ status: "interrupted", effects: [], cpuMs: 50 });
  equal(scripted.thread(0).begin(), next.seat.number);
  scripted.thread(0).end();
  equal(scripted.thread(0).begin(), undefined, "one worker is left to those that were not stopped");
  scripted.thread(1).end();
  equal(scripted.thread(0).begin(), older.seat.number);
  scripted.thread(0).end();
  deepEqual(await first([older, younger, quiet, next]), ["done", "done", "done", "done"]);
  equal(scripted.pool.replaced, 0);
});

test("a machine that waits at a worker with a long step goes on elsewhere, and is forgotten there", async () => {
  scripted = new ScriptedPool({ size: 2 });
  const machine = scripted.start(good);
  equal(scripted.thread(0).begin(), machine.seat.number);
  scripted.thread(0).end(waits);
  deepEqual(await first([machine]), ["waiting"]);
  const hostile = long();
  const next = machine.step({ kind: "wake", timeMs: 1, timer: 1 });
  grow();
  equal(scripted.thread(1).begin(), machine.seat.number);
  scripted.thread(1).end();
  deepEqual(await statuses([next]), ["done"]);
  deepEqual(
    scripted.pool.workers.map(({ machines }) => machines.size),
    [0, 0],
  );
  scripted.thread(0).end();
  deepEqual(await first([hostile]), ["done"]);
});
