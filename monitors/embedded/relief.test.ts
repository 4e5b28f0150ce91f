/** What a pool does about steps that take long, turn by turn: the test is the workers, and the clock of the watchdog. */
import { deepEqual, equal } from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { defaultFlowLimits, type StepOutcome } from "#abi";
import { memoryBudget } from "#base";
import type { Share } from "../fair-queue.ts";
import { deliver } from "../monitor.case.ts";
import type { EmbeddedImage } from "./embedded.ts";
import { EmbeddedMachine } from "./machine.ts";
import { PageStore } from "./page-store.ts";
import { Pool } from "./pool.ts";
import { ScriptedThread } from "./testing/scripted-thread.ts";

const setup = { engine: {} as WebAssembly.Module, native: {} as WebAssembly.Module, spin: 0, keptPages: 1, waitingBytes: 0 };
const table = { entries: new Uint32Array(), stackPointer: 0, memoryPages: 1 };
const image: EmbeddedImage = {
  sha256: "",
  name: "flow",
  slot: 1,
  table,
  limits: { ...defaultFlowLimits, cpuMs: 3_600_000, timeMs: 3_600_000 },
  share: { name: "flow", weight: 1 },
};
const evil: Share = { name: "evil", weight: 1 };
const good: Share = { name: "good", weight: 1 };
const waits = { effects: [{ kind: "timer", timer: 1, dueMs: 1 }], keptBytes: 1 } as const;

let threads: ScriptedThread[];
let pool: Pool;
let machines: number;
beforeEach(() => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  threads = [];
  machines = 0;
});
afterEach(async () => {
  await pool.close();
  mock.timers.reset();
});

/** Workers that are ready, and one more when their steps take long. */
function open(size: number): void {
  const all = memoryBudget(2 ** 22);
  const memory = { waiting: all.part("waiting"), workers: all.part("workers") };
  const start = (data: ConstructorParameters<typeof ScriptedThread>[0]): ScriptedThread["worker"] => {
    threads.push(new ScriptedThread(data));
    return thread(threads.length - 1).worker;
  };
  pool = new Pool({ size, setup, store: new PageStore(), memory, start });
  for (const each of threads) each.ready();
}

const thread = (index: number): ScriptedThread => threads[index] as ScriptedThread;

/** Machines count from 1. */
function start(share: Share): EmbeddedMachine {
  return new EmbeddedMachine(pool, image, ++machines, deliver(), { limits: image.limits, share });
}

const statuses = async (outcomes: readonly Promise<StepOutcome>[]): Promise<readonly string[]> =>
  (await Promise.all(outcomes)).map(({ status }) => status);

/** The watchdog looks often enough to call a step slow. */
const grow = (): void => mock.timers.tick(50);

/** A worker's long step: another worker is added. */
function long(): EmbeddedMachine {
  const machine = start(evil);
  equal(thread(0).begin(), machine.number);
  grow();
  return machine;
}

test("a worker that was added for a long step leaves when none has been long for a while", async () => {
  open(1);
  const first = long();
  equal(pool.workers.length, 2);
  thread(1).ready();
  thread(0).end();
  grow();
  equal(pool.workers.length, 2); // it may be wanted again
  mock.timers.tick(9000);
  const second = long();
  thread(0).end();
  mock.timers.tick(9000);
  equal(pool.workers.length, 2);
  mock.timers.tick(9000);
  deepEqual([pool.workers.length, threads.length, thread(1).threadId], [1, 2, -1]);
  const third = long();
  equal(threads.length, 3);
  thread(0).end();
  deepEqual(await statuses([first.first, second.first, third.first]), ["done", "done", "done"]);
});

test("what waits at a worker that leaves is run again where it goes on", async () => {
  open(1);
  const hostile = long();
  thread(1).ready();
  const machine = start(good);
  equal(thread(1).begin(), machine.number);
  thread(1).end(waits);
  thread(0).end();
  deepEqual(await statuses([hostile.first, machine.first]), ["done", "waiting"]);
  mock.timers.tick(10_000);
  deepEqual([pool.putOff, pool.workers.length], [1, 2]);
  thread(1).begin(); // to forget it
  mock.timers.tick(10_000);
  deepEqual([pool.putOff, pool.workers.length], [1, 1]);
  const next = machine.step({ kind: "wake", timeMs: 1, timer: 1 });
  equal(thread(0).begin(), machine.number);
  thread(0).end();
  deepEqual([await statuses([next]), pool.putOff], [["done"], 0]);
});

test("an added worker that nobody needs takes no step, and keeps none from the others", async () => {
  open(1);
  const hostile = long();
  thread(1).ready();
  thread(0).end({ cpuMs: 30 });
  const goods = [start(good), start(good)];
  deepEqual(
    pool.workers.map(({ outstanding }) => outstanding.length),
    [2, 0],
  );
  deepEqual([thread(0).begin(), thread(1).begin()], [2, undefined]);
  thread(0).end();
  equal(thread(0).begin(), 3);
  thread(0).end();
  deepEqual(await statuses([hostile, ...goods].map(({ first }) => first)), ["done", "done", "done"]);
});
