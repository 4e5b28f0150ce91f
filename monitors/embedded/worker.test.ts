/** The ring of slots between the main thread and a worker: in whatever order the two take their turns, each step is run once or taken back. */
import { deepEqual, equal } from "node:assert/strict";
import { beforeEach, test } from "node:test";
import fc from "fast-check";
import { memoryBudget } from "#base";
import { FairQueue } from "../fair-queue.ts";
import { deliver } from "../monitor.case.ts";
import type { MonitorMemory } from "../monitor.ts";
import { PageStore } from "./page-store.ts";
import { type EmbeddedMachine, type Job, PoolWorker } from "./worker.ts";
import { operation, slotsPerWorker } from "./wire.ts";
import { ScriptedThread } from "./testing/scripted-thread.ts";

const setup = { engine: {} as WebAssembly.Module, native: {} as WebAssembly.Module, spin: 0, keptPages: 1, waitingBytes: 0 };
const store = new PageStore();
const line = new FairQueue<Job, PoolWorker>().line({ name: "flow", weight: 1 });

let memory: MonitorMemory;
let thread: ScriptedThread;
let worker: PoolWorker;
/** By number of the machine: the steps that were given to the worker. */
let machines = 0;
beforeEach(() => {
  const all = memoryBudget(2 ** 30);
  memory = { waiting: all.part("waiting"), workers: all.part("workers") };
  const owner = { drain: () => undefined, lost: () => undefined };
  worker = new PoolWorker(owner, setup, memory, (data) => (thread = new ScriptedThread(data)).worker);
  machines = 0;
});

/** Machines count from 1. */
function submit(body = ""): void {
  const seat = { number: ++machines, image: { slot: 1 } };
  const machine = { seat, limits: { memoryBytes: 0 }, events: [deliver({ body })] };
  const job = { machine: machine as unknown as EmbeddedMachine, line, operation: operation.step };
  worker.submit({ ...job, chargedMs: 1, stopped: false }, store);
}

const numbers = (jobs: readonly (Job | undefined)[]): (number | undefined)[] => jobs.map((job) => job?.machine.seat.number);

/** All answers that are there. */
function takeAll(): (number | undefined)[] {
  const jobs: (Job | undefined)[] = [];
  for (let next = worker.take(); next !== undefined; next = worker.take()) jobs.push(next.job);
  return numbers(jobs);
}

test("a recalled slot is filled again only once the worker has passed it", () => {
  while (worker.free) submit();
  equal(thread.begin(), 1);
  equal(worker.recall(() => true).length, slotsPerWorker - 1);
  deepEqual([takeAll(), worker.free], [[], false]);
  thread.end();
  deepEqual([takeAll(), worker.free], [[1], true]);
  submit(); // into the slot of the first
  deepEqual([takeAll(), worker.free], [[], false]);
  equal(thread.begin(), undefined);
  deepEqual([takeAll(), worker.free], [[undefined], true]);
  submit();
  for (let passed = 2; passed < slotsPerWorker; passed++) equal(thread.begin(), undefined);
  for (const machine of [slotsPerWorker + 1, slotsPerWorker + 2]) {
    equal(thread.begin(), machine);
    equal(worker.running()?.job?.machine.seat.number, machine);
    thread.end();
  }
});

test("in any order of turns each step is run once or taken back, under its own number", () => {
  const turn = fc.oneof(
    { weight: 8, arbitrary: fc.constant({ kind: "submit" as const, bytes: 0 }) },
    { weight: 1, arbitrary: fc.constant({ kind: "submit" as const, bytes: 40_000 }) },
    { weight: 6, arbitrary: fc.constant({ kind: "work" as const }) },
    { weight: 3, arbitrary: fc.constant({ kind: "take" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("recall" as const), each: fc.integer({ min: 1, max: 3 }) }) },
  );
  fc.assert(
    fc.property(fc.array(turn, { minLength: 50, maxLength: 400, size: "max" }), (turns) => {
      const [begun, answered, recalled]: [number[], number[], number[]] = [[], [], []];
      let running: number | undefined;
      const work = (): void => {
        if (running !== undefined) thread.end();
        running = running === undefined ? thread.begin() : undefined;
        if (running === undefined) return;
        begun.push(running);
        equal(worker.running()?.job?.machine.seat.number, running);
      };
      const take = (): void => void answered.push(...takeAll().filter((number) => number !== undefined));
      for (const each of turns) {
        if (each.kind === "submit" && worker.free) submit("x".repeat(each.bytes));
        if (each.kind === "work") work();
        if (each.kind === "take") take();
        if (each.kind === "recall")
          recalled.push(...worker.recall(({ machine }) => machine.seat.number % each.each === 0).map(({ machine }) => machine.seat.number));
      }
      while (worker.outstanding.length > 0) {
        work();
        take();
      }
      deepEqual(answered, begun);
      deepEqual(
        [...begun, ...recalled].sort((a, b) => a - b),
        Array.from({ length: machines }, (_, index) => index + 1),
      );
      deepEqual([worker.free, worker.aheadMs, memory.workers.takenBytes], [true, 0, 0]);
      machines = 0;
    }),
    { numRuns: 300 },
  );
});
