/** A worker may end in any way and at any time: others' messages are answered, and the pool and the process stand. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { defaultFlowLimits, type StepOutcome } from "#abi";
import { memoryBudget } from "#base";
import { buildImage, type Image } from "#image";
import type { Share } from "../fair-queue.ts";
import { deliver } from "../monitor.case.ts";
import type { LoadedImage, Monitor, MonitorMemory } from "../monitor.ts";
import { embeddedMonitor } from "./embedded.ts";
import type { StartThread } from "./worker.ts";
import type { WickedSetup } from "./testing/wicked-thread.ts";

const wickedThread: StartThread = (workerData) =>
  new Worker(new URL("./testing/wicked-thread.js", import.meta.url), { workerData, resourceLimits: { maxOldGenerationSizeMb: 16 } });
const limits = { ...defaultFlowLimits, cpuMs: 5000 };
const tight = { ...limits, cpuMs: 50 };
const evil: Share = { name: "evil", weight: 1 };
const good: Share = { name: "good", weight: 1 };

let folder: string;
let image: Image;
let monitor: Monitor;
let loaded: LoadedImage;
let lines: string[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-pool-"));
  await writeFile(join(folder, "flow.ts"), `import { flow } from "mayfly"; export default flow(() => undefined);`);
  ({ image } = await buildImage(join(folder, "flow.ts"), { check: false }));
});
after(() => rm(folder, { recursive: true, force: true }));
afterEach(() => monitor.close());

/** Without `memory` the pool may add as many workers as ever. */
async function open(workers: number, startThread: StartThread = wickedThread, memory?: MonitorMemory): Promise<void> {
  lines = [];
  monitor = embeddedMonitor({
    workers,
    spin: 0,
    startThread,
    log: (line) => lines.push(line),
    ...(memory === undefined ? {} : { memory }),
  });
  loaded = await monitor.load(image);
}

const run = (body: string, share: Share): Promise<StepOutcome> =>
  monitor.start(loaded, deliver({ body }), body === "hang" ? tight : limits, share).first;
const result = ({ status, failure }: StepOutcome): unknown => [status, failure?.code, failure?.workersLost];

for (const deed of ["exit", "throw", "memory", "hang"]) {
  describe(`a step that ends its worker: ${deed}`, () => {
    test("is told so, however many there are, and others are answered", { timeout: 60_000 }, async () => {
      await open(2);
      const evils = Array.from({ length: 4 }, () => run(deed, evil));
      const goods = Array.from({ length: 40 }, () => run("fine", good));
      for (const outcome of await Promise.all(goods)) equal(outcome.status, "done");
      const expected = deed === "hang" ? ["broken", "MF_CPU_LIMIT", 1] : ["broken", "MF_MACHINE_LOST", 2];
      for (const outcome of await Promise.all(evils)) deepEqual(result(outcome), expected);
      equal(monitor.stats().replaced, deed === "hang" ? 4 : 8);
      if (deed !== "hang")
        ok(
          lines.some((line) => line.includes("while running evil")),
          lines.join("\n"),
        );
      equal((await run("fine", evil)).status, "done");
    });
  });
}

test("machines that wait where others end the worker are not held responsible", { timeout: 60_000 }, async () => {
  await open(1);
  const waiting = Array.from({ length: 5 }, () => monitor.start(loaded, deliver({ body: "wait" }), limits, good));
  for (const { first } of waiting) equal((await first).status, "waiting");
  const outcomes = waiting.map(async (machine) => {
    await run("exit", { ...evil });
    return machine.step({ kind: "wake", timeMs: 1, timer: 1 });
  });
  for (const outcome of await Promise.all(outcomes)) deepEqual(result(outcome), ["done", undefined, undefined]);
});

test("one message in three that ends its worker: the flow's others are answered", { timeout: 60_000 }, async () => {
  await open(1);
  const bodies = Array.from({ length: 12 }, (_, index) => (index % 3 === 0 ? "exit" : "fine"));
  const outcomes = await Promise.all(bodies.map((body) => run(body, evil)));
  deepEqual(
    outcomes.map(({ status }) => status),
    bodies.map((body) => (body === "fine" ? "done" : "broken")),
  );
});

describe("workers that can't be started", () => {
  test("while there is no thread to be had callers are told that the monitor is busy; then all is well", { timeout: 60_000 }, async () => {
    let failures = 0;
    await open(2, (data) => {
      if (failures++ < 6) throw new Error("no thread");
      return wickedThread(data);
    });
    deepEqual(result(await run("fine", good)), ["broken", "MF_MONITOR_BUSY", undefined]);
    for (;;) {
      const outcome = await run("fine", good);
      if (outcome.status === "done") break;
      equal(outcome.failure?.code, "MF_MONITOR_BUSY");
      await new Promise((done) => setTimeout(done, 5));
    }
    ok(lines.some((line) => line.includes("no thread")));
  });

  test("one that ends before it runs anything is replaced, later each time", { timeout: 60_000 }, async () => {
    let starts = 0;
    await open(1, (data) =>
      starts++ < 3 ? new Worker("throw new Error('not today')", { eval: true, workerData: data }) : wickedThread(data),
    );
    equal((await run("fine", good)).status, "done");
    equal(starts, 4);
    ok(lines.some((line) => line.includes("not today")));
  });
});

test("a bell that is not heard and an end that is not told are found out", { timeout: 60_000 }, async () => {
  await open(1, (data) => {
    const thread = wickedThread(data);
    const on = thread.on.bind(thread);
    thread.on = ((name: string, callback: () => void) => (name === "error" ? on(name, callback) : thread)) as typeof thread.on;
    queueMicrotask(() => (thread.on = on)); // the pool's own listeners only
    return thread;
  });
  equal((await run("fine", good)).status, "done");
  equal((await run("exit", evil)).failure?.code, "MF_MACHINE_LOST");
  equal((await run("fine", good)).status, "done");
});

test("an event the port refuses is a failure of its message", { timeout: 60_000 }, async () => {
  await open(1, (data) => {
    const thread = wickedThread(data);
    const post = thread.postMessage.bind(thread);
    thread.postMessage = (message: { kind: string }) => {
      if (message.kind === "frames") throw new Error("could not be cloned");
      post(message);
    };
    return thread;
  });
  deepEqual(result(await run("x".repeat(100_000), evil)), ["broken", "MF_MACHINE_LOST", undefined]);
  equal((await run("fine", good)).status, "done");
});

describe("others wait for no more than the step that runs", () => {
  test("a flow's short steps do not wait behind another's long ones", { timeout: 60_000 }, async () => {
    await open(1);
    const order: string[] = [];
    const start = (body: string, share: Share): Promise<unknown> =>
      monitor.start(loaded, deliver({ body }), limits, share).first.then(() => order.push(share.name));
    await start("spin 5", evil);
    order.length = 0;
    const evils = Array.from({ length: 20 }, () => start("spin 30", evil));
    const goods = Array.from({ length: 20 }, () => start("spin 0", good));
    await Promise.all(goods);
    ok(order.filter((name) => name === "evil").length <= 6, order.join(" "));
    await Promise.all(evils);
  });

  let released: Int32Array;
  const release = (): number => Atomics.store(released, 0, 1);

  /** A worker, and one more when its step takes long. Steps that say "hold" end when they are released. */
  async function openTwo(): Promise<void> {
    const all = memoryBudget(2 ** 22);
    released = new Int32Array(new SharedArrayBuffer(4));
    const start: StartThread = (data) => wickedThread({ ...data, released } as WickedSetup);
    await open(1, start, { waiting: all.part("waiting"), workers: all.part("workers") });
  }

  const share = (name: string): Share => ({ name, weight: 1 });
  const minute = { ...limits, cpuMs: 60_000 };

  test("all workers are taken by steps that hardly end: one makes way, and none is lost", { timeout: 60_000 }, async () => {
    await openTwo();
    let over = 0;
    const evils = Array.from({ length: 6 }, async (_, index) => {
      const outcome = await monitor.start(loaded, deliver({ body: "hold" }), minute, share(`evil ${index % 3}`)).first;
      over += 1;
      return outcome;
    });
    for (let n = 0; n < 5; n++) equal((await run("fine", good)).status, "done");
    equal(over, 0);
    release();
    for (const outcome of await Promise.all(evils)) deepEqual(result(outcome), ["done", undefined, undefined]);
    equal(monitor.stats().replaced, 0);
    ok(monitor.stats().workers <= 2);
  });

  test("a machine that waits where a step takes long goes on elsewhere", { timeout: 60_000 }, async () => {
    await openTwo();
    const machine = monitor.start(loaded, deliver({ body: "wait" }), minute, good);
    equal((await machine.first).status, "waiting");
    let over = false;
    const long = monitor.start(loaded, deliver({ body: "hold" }), minute, evil).first.then(() => (over = true));
    deepEqual(result(await machine.step({ kind: "wake", timeMs: 1, timer: 1 })), ["done", undefined, undefined]);
    equal(over, false);
    release();
    await long;
    equal(monitor.stats().waitingBytes, 0);
  });

  test("a machine that is over is not run any more", { timeout: 60_000 }, async () => {
    await openTwo();
    const running = monitor.start(loaded, deliver({ body: "hold" }), minute, evil);
    const ended = Array.from({ length: 5 }, () => monitor.start(loaded, deliver({ body: "spin 3600000" }), minute, evil));
    for (const machine of ended) machine.end();
    release();
    for (const { first } of ended) equal((await first).failure?.code, "MF_MACHINE_ENDED");
    equal((await running.first).status, "done");
  });
});
