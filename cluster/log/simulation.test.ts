/**
 * The journal's schedules of calls, crashes and faults, on the disk of a partition whose servers lose acknowledgements, refuse for nothing
 * and store what was given up. MAYFLY_SEED=n runs one schedule again, MAYFLY_SCHEDULES=n that many from it on. In a worker thread, as
 * gateway/journal/simulation.test.ts says.
 */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { noResult, runSchedule, type ScheduleResult } from "../../gateway/journal/testing/simulation.ts";
import { SimulatedReplication } from "./testing/simulated-replication.ts";

const only = process.env["MAYFLY_SEED"];
const schedules = Number(process.env["MAYFLY_SCHEDULES"] ?? (only === undefined ? 1_000 : 1));

interface Task {
  readonly first: number;
  readonly count: number;
  readonly everywhere: boolean;
}

interface Total {
  readonly journal: ScheduleResult;
  readonly log: Record<string, number>;
}

async function run({ first, count, everywhere }: Task): Promise<Total> {
  const total: Total = { journal: noResult(), log: {} };
  const one = async (seed: number, options: { readonly crashAt?: number; readonly lives?: number } = {}): Promise<ScheduleResult> => {
    let store: SimulatedReplication | undefined;
    const result = await runSchedule(seed, { ...options, store: (random) => (store = new SimulatedReplication(random)) });
    for (const name of Object.keys(result) as (keyof ScheduleResult)[]) total.journal[name] += result[name];
    for (const [name, times] of Object.entries(store?.log.counts ?? {})) total.log[name] = (total.log[name] ?? 0) + times;
    return result;
  };
  if (everywhere) {
    const { calls } = await one(first, { crashAt: Infinity, lives: 1 });
    for (let crashAt = 1; crashAt <= calls; crashAt++) await one(first, { crashAt, lives: 2 });
  } else {
    for (let seed = first; seed < first + count; seed++) await one(seed);
  }
  return total;
}

function inWorker(task: Task): Promise<Total> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the worker ended without a result")));
  });
}

if (isMainThread) {
  test("schedules of calls, crashes and faults on a replicated log lose nothing and complete nothing twice", async (t) => {
    const first = only === undefined ? Date.now() % 1_000_000_000 : Number(only);
    t.diagnostic(`seeds ${first} to ${first + schedules - 1}`);
    const { journal, log } = await inWorker({ first, count: schedules, everywhere: false });
    t.diagnostic(JSON.stringify({ ...journal, ...log }));
    if (schedules < 1_000) return;
    const { ahead: _, cut: __, ...expected } = { ...journal, ...log };
    for (const [what, times] of Object.entries(expected))
      ok(times > schedules / 500, `${what} happened ${times} times: the simulation is too tame`);
  });

  test("one schedule on a replicated log, crashed at every call of it", async (t) => {
    const { journal } = await inWorker({ first: Number(only ?? 7), count: 1, everywhere: true });
    t.diagnostic(JSON.stringify(journal));
  });
} else {
  parentPort?.postMessage(await run(workerData as Task));
}
