/**
 * Thousands of schedules of calls with crashes and disk faults, each checked against what was acknowledged (log/simulation.ts).
 * The first seed is printed; MAYFLY_SEED=n runs one schedule again, MAYFLY_SCHEDULES=n that many from it on. They run in a worker
 * thread, because node:test watches every promise of its own thread and that costs five times what the journal does.
 */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { noResult, runSchedule, type ScheduleResult } from "./testing/simulation.ts";

const only = process.env["MAYFLY_SEED"];
const schedules = Number(process.env["MAYFLY_SCHEDULES"] ?? (only === undefined ? 2_000 : 1));

interface Task {
  readonly first: number;
  readonly count: number;
  /** Crash the schedule `first` at every call of the disk instead. */
  readonly everywhere: boolean;
}

async function run({ first, count, everywhere }: Task): Promise<ScheduleResult> {
  const total = noResult();
  const add = (result: ScheduleResult): void => {
    for (const name of Object.keys(total) as (keyof ScheduleResult)[]) total[name] += result[name];
  };
  if (everywhere) {
    const { calls } = await runSchedule(first, { crashAt: Infinity, lives: 1 });
    for (let crashAt = 1; crashAt <= calls; crashAt++) add(await runSchedule(first, { crashAt, lives: 2 }));
  } else {
    for (let seed = first; seed < first + count; seed++) add(await runSchedule(seed));
  }
  return total;
}

function inWorker(task: Task): Promise<ScheduleResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the worker ended without a result")));
  });
}

if (isMainThread) {
  test("schedules of calls, crashes and faults lose nothing and complete nothing twice", async (t) => {
    const first = only === undefined ? Date.now() % 1_000_000_000 : Number(only);
    t.diagnostic(`seeds ${first} to ${first + schedules - 1}`);
    const result = await inWorker({ first, count: schedules, everywhere: false });
    t.diagnostic(JSON.stringify(result));
    if (schedules < 1_000) return;
    for (const [what, times] of Object.entries(result))
      ok(times > schedules / 500, `${what} happened ${times} times: the simulation is too tame`);
  });

  test("one schedule, crashed at every call of the disk", async (t) => {
    const result = await inWorker({ first: Number(only ?? 7), count: 1, everywhere: true });
    t.diagnostic(JSON.stringify(result));
  });
} else {
  parentPort?.postMessage(await run(workerData as Task));
}
