/** How cost grows: with the message's size, with workers, with the bundle's size. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toUtf8 } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor, type LoadedImage, type Monitor } from "#monitors";
import { durations, type Row, sample, say } from "./rows.ts";
import { deliverOrder, order, referenceFlow } from "./start.ts";

function orderOf(bytes: number): Uint8Array {
  const lines = [...order.lines];
  while (lines.length * 38 < bytes) lines.push({ sku: `sku-${lines.length}`, qty: 1 + (lines.length % 9), price: 9.5 });
  return toUtf8(JSON.stringify({ ...order, lines }));
}

async function one(monitor: Monitor, image: LoadedImage, body?: Uint8Array): Promise<void> {
  const { status } = await monitor.start(image, deliverOrder(body)).first;
  if (status !== "done") throw new Error("the reference flow failed");
}

async function perSecond(workers: number, count: number): Promise<number> {
  const monitor = embeddedMonitor({ workers });
  const image = await monitor.load((await buildImage(referenceFlow, { check: false })).image);
  for (let i = 0; i < 2000; i++) await one(monitor, image);
  const started = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (next++ < count) await one(monitor, image);
    }),
  );
  const rate = (count / (performance.now() - started)) * 1000;
  await monitor.close();
  return rate;
}

async function bundleOf(kilobytes: number): Promise<{ readonly p50: number; readonly imageBytes: number }> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-growth-"));
  const functions = Array.from(
    { length: Math.ceil((kilobytes * 1024) / 120) },
    (_, i) => `export const f${i} = (a, b) => { const c = a * ${i} + b; return c > ${i} ? c - ${i} : "value-" + c + "-${i}"; };`,
  );
  await writeFile(join(folder, "library.js"), functions.join("\n"));
  const flow =
    'import { flow } from "mayfly"; import * as library from "./library.js"; globalThis.library = { ...library }; export default flow((msg) => library.f1(msg.json().id, 2));';
  await writeFile(join(folder, "flow.js"), flow);
  const { image } = await buildImage(join(folder, "flow.js"), { check: false });
  const monitor = embeddedMonitor({ workers: 1 });
  const loaded = await monitor.load(image);
  const { p50 } = sample(await durations(2000, () => one(monitor, loaded)));
  await monitor.close();
  return { p50, imageBytes: image.bytes.length };
}

export async function growthRows(quick: boolean): Promise<Row[]> {
  const suite = "growth";
  const rows: Row[] = [];
  say("growth: message sizes");
  const monitor = embeddedMonitor({ workers: 1 });
  const image = await monitor.load((await buildImage(referenceFlow, { check: false })).image);
  for (const kilobytes of [1, 10, 100, 1024]) {
    const body = orderOf(kilobytes * 1024);
    const count = Math.ceil((quick ? 1000 : 4000) / kilobytes) + 20;
    const { p50 } = sample(await durations(count, () => one(monitor, image, body)));
    const v8 = sample(await durations(count, () => JSON.stringify(JSON.parse(Buffer.from(body).toString())))).p50;
    rows.push({
      suite,
      name: `message of ${kilobytes} KB, p50`,
      value: p50,
      unit: "ms",
      beside: { name: "V8's JSON.parse and stringify of it", value: v8 },
      ratio: v8 / p50,
      ...(kilobytes < 100 ? {} : { aim: "≤ 1.2 × that", met: p50 <= 1.2 * v8 }),
    });
  }
  await monitor.close();
  say("growth: workers");
  const [single, double] = [await perSecond(1, quick ? 10_000 : 40_000), await perSecond(2, quick ? 10_000 : 40_000)];
  rows.push({
    suite,
    name: "messages a second with two workers",
    value: double,
    unit: "1/s",
    beside: { name: "one worker", value: single },
    ratio: double / single,
  });
  say("growth: bundle sizes");
  for (const kilobytes of [1, 100, 1024]) {
    const { p50, imageBytes } = await bundleOf(kilobytes);
    rows.push({ suite, name: `bundle of ${kilobytes} KB (image ${Math.round(imageBytes / 1024)} KB), p50`, value: p50, unit: "ms" });
  }
  return rows;
}
