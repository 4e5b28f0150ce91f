/** The worker's side of the ring of slots, in a real thread: recalled slots are passed over, and what is in them afterwards is run. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeEffects, defaultFlowLimits } from "#abi";
import { fromUtf8, memoryBudget } from "#base";
import { buildImage, type Image } from "#image";
import { FairQueue } from "../fair-queue.ts";
import type { StepResult } from "../machine.ts";
import { deliver } from "../monitor.case.ts";
import { trackedModules } from "./kernels.ts";
import { PageStore } from "./page-store.ts";
import { type EmbeddedMachine, type Job, PoolWorker, startThread } from "./worker.ts";
import { operation, slotsPerWorker } from "./wire.ts";

const source = `import { flow } from "mayfly"; export default flow((msg) => { if (msg.text() === "loop") for (;;); return msg.text().slice(0, 10); });`;

async function built(): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-worker-"));
  try {
    await writeFile(join(folder, "flow.ts"), source);
    return (await buildImage(join(folder, "flow.ts"), { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function reply({ effects }: StepResult): string {
  const decoded = decodeEffects(effects ?? new Uint8Array());
  const last = decoded.ok ? decoded.value.at(-1) : undefined;
  return last?.kind === "done" && last.reply !== undefined ? fromUtf8(last.reply.body) : String(last?.kind);
}

test("recalled slots are passed over, and steps put there afterwards are run, each with its own frames", { timeout: 60_000 }, async () => {
  const store = new PageStore();
  const table = store.add(await built());
  const all = memoryBudget(2 ** 30);
  const memory = { waiting: all.part("waiting"), workers: all.part("workers") };
  const line = new FairQueue<Job, PoolWorker>().line({ name: "flow", weight: 1 });
  const replies: string[] = [];
  const setup = { ...trackedModules(), spin: 0, keptPages: 1000, waitingBytes: 0 };
  const worker = new PoolWorker({ drain: () => undefined, lost: () => undefined }, setup, memory, startThread);

  let number = 0;
  const submit = (body: string): void => {
    const limits = { ...defaultFlowLimits };
    const machine = { seat: { number: ++number, image: { slot: 1, table } }, limits, events: [deliver({ body })] };
    const job = { machine: machine as unknown as EmbeddedMachine, line, operation: operation.start };
    worker.submit({ ...job, chargedMs: 1, stopped: false }, store);
  };
  const takeAll = (): void => {
    for (let next = worker.take(); next !== undefined; next = worker.take()) if (next.job !== undefined) replies.push(reply(next.result));
  };
  const until = async (check: () => boolean): Promise<void> => {
    for (takeAll(); !check(); takeAll()) await new Promise((later) => setImmediate(later));
  };

  try {
    submit("loop");
    while (worker.free) submit(number % 2 === 0 ? "short" : "recalled, too long for a slot".padEnd(40_000));
    await until(() => worker.running() !== undefined);
    equal(worker.recall(() => true).length, slotsPerWorker - 1);
    worker.interrupt(0);
    const bodies = Array.from({ length: 2 * slotsPerWorker }, (_, index) => `body ${index}`);
    for (const [index, body] of bodies.entries()) {
      await until(() => worker.free);
      submit(index % 2 === 0 ? body : `${body},`.padEnd(40_000));
    }
    await until(() => worker.outstanding.length === 0);
    deepEqual(replies, ["fail", ...bodies.map((body, index) => (index % 2 === 0 ? body : `${body},`.padEnd(10)).slice(0, 10))]);
    equal(memory.workers.takenBytes > 0, true, "the worker's instance");
  } finally {
    await worker.thread.terminate();
  }
});
