/** Fresh machine → reply for the reference flow, beside other ways to isolate one message: an isolate, a worker thread, a process. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type DeliverEvent, encodeEvent } from "#abi";
import { toUtf8 } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { trackedModules, PageStore, WarmInstance } from "#monitors/embedded";
import { peerModule } from "./peers.ts";
import { durations, type Row, type Sample, sample, say } from "./rows.ts";

export const referenceFlow = fileURLToPath(new URL("../../bench/flows/reference.ts", import.meta.url));

export const order = {
  id: 7,
  customer: { name: "Ada Lovelace" },
  lines: Array.from({ length: 10 }, (_, i) => ({ sku: `sku-${i}`, qty: i + 1, price: 9.5 })),
};
export const orderText = JSON.stringify(order);

/** The same transform as plain JavaScript, for the peers. */
export const transformSource = `(text) => {
  const order = JSON.parse(text);
  const total = order.lines.reduce((sum, line) => sum + line.qty * line.price, 0);
  return JSON.stringify({ id: order.id, total, name: order.customer.name.toUpperCase(), route: total > 1000 ? "big" : "small" });
}`;

let delivered = 0;
export function deliverOrder(body: Uint8Array = toUtf8(orderText)): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: Date.now(),
    seed: randomBytes(32),
    id: `bench-${delivered++}`,
    source: "bench",
    attempt: 1,
    key: undefined,
    headersJson: '{"content-type":"application/json"}',
    stateJson: undefined,
    body,
  };
}

async function machineAlone(count: number): Promise<Sample> {
  const { image } = await buildImage(referenceFlow, { check: false });
  const store = new PageStore();
  const table = store.add(image);
  const { engine, native } = trackedModules();
  const instance = new WarmInstance(
    engine,
    native,
    store.chunks.map((chunk) => new Uint8Array(chunk)),
    () => 0,
  );
  const all: number[] = [];
  for (let i = 0; i < count; i++) {
    const frame = encodeEvent(deliverOrder());
    const started = performance.now();
    instance.reset(table, 256);
    if (instance.step(frame).status !== "complete") throw new Error("the reference flow failed");
    all.push(performance.now() - started);
  }
  return sample(all);
}

async function throughMonitor(count: number): Promise<Sample> {
  const monitor = embeddedMonitor({ workers: 1 });
  const loaded = await monitor.load((await buildImage(referenceFlow, { check: false })).image);
  const all = await durations(count, async () => {
    const { status } = await monitor.start(loaded, deliverOrder()).first;
    if (status !== "done") throw new Error("the reference flow failed");
  });
  await monitor.close();
  return sample(all);
}

interface IsolatedVm {
  readonly Isolate: new (options: {
    memoryLimit: number;
  }) => {
    createContextSync(): { evalClosureSync(code: string, values: unknown[], options: object): string };
    dispose(): void;
  };
}

async function freshIsolate(count: number): Promise<Sample | undefined> {
  const loaded = (await peerModule("isolated-vm")) as { default?: IsolatedVm } & Partial<IsolatedVm>;
  const Isolate = loaded?.default?.Isolate ?? loaded?.Isolate;
  if (Isolate === undefined) return undefined;
  const all = await durations(count, () => {
    const isolate = new Isolate({ memoryLimit: 16 });
    isolate.createContextSync().evalClosureSync(`return (${transformSource})($0)`, [orderText], {});
    isolate.dispose();
  });
  return sample(all);
}

async function freshWorker(count: number): Promise<Sample> {
  const code = `const { parentPort, workerData } = require("node:worker_threads"); parentPort.postMessage((${transformSource})(workerData));`;
  const all = await durations(
    count,
    () =>
      new Promise((done, failed) => {
        const worker = new Worker(code, { eval: true, workerData: orderText });
        worker.once("message", done).once("error", failed);
      }),
  );
  return sample(all);
}

async function freshProcess(count: number): Promise<Sample> {
  const code = `let text = ""; process.stdin.on("data", (part) => (text += part)).on("end", () => process.stdout.write((${transformSource})(text)));`;
  const all = await durations(
    count,
    () =>
      new Promise((done, failed) => {
        const child = spawn(process.execPath, ["-e", code], { stdio: ["pipe", "pipe", "inherit"] });
        child.stdout.resume();
        child.on("close", done).on("error", failed);
        child.stdin.end(orderText);
      }),
  );
  return sample(all);
}

function beside(name: string, value: number, mine: number): Pick<Row, "beside" | "ratio"> {
  return { beside: { name, value }, ratio: value / mine };
}

export async function startRows(quick: boolean): Promise<Row[]> {
  const suite = "start";
  const many = quick ? 4000 : 20_000;
  const few = quick ? 10 : 40;
  say("fresh machine per message");
  const alone = await machineAlone(many);
  const monitored = await throughMonitor(many);
  const rows: Row[] = [
    { suite, name: "fresh machine → reply, in its thread, p50", value: alone.p50, unit: "ms", aim: "≤ 0.10 ms", met: alone.p50 <= 0.1 },
    { suite, name: "fresh machine → reply, in its thread, p99", value: alone.p99, unit: "ms" },
    {
      suite,
      name: "fresh machine → reply, through the monitor and back, p50",
      value: monitored.p50,
      unit: "ms",
      aim: "≤ 0.10 ms",
      met: monitored.p50 <= 0.1,
    },
    { suite, name: "fresh machine → reply, through the monitor and back, p99", value: monitored.p99, unit: "ms" },
  ];
  say("peers");
  const isolate = await freshIsolate(quick ? 100 : 400);
  const name = "p50 beside a fresh isolated-vm isolate";
  if (isolate === undefined) rows.push({ suite, name, value: Number.NaN, unit: "ms", skipped: "isolated-vm can't be installed here" });
  else
    rows.push({
      suite,
      name,
      value: monitored.p50,
      unit: "ms",
      ...beside("isolated-vm", isolate.p50, monitored.p50),
      aim: "≥ 20×",
      met: isolate.p50 / monitored.p50 >= 20,
    });
  const worker = await freshWorker(few);
  rows.push({
    suite,
    name: "p50 beside a fresh worker thread",
    value: monitored.p50,
    unit: "ms",
    ...beside("worker thread", worker.p50, monitored.p50),
  });
  const node = await freshProcess(few);
  rows.push({
    suite,
    name: "p50 beside a fresh Node process",
    value: monitored.p50,
    unit: "ms",
    ...beside("Node process", node.p50, monitored.p50),
  });
  return rows;
}
