/** Ten thousand different idle flows, all of them addressable: memory for each, and the first message to any. */
import { randomBytes } from "node:crypto";
import { toUtf8 } from "#base";
import { buildImage, imageOfBundle } from "#image";
import { embeddedMonitor, type LoadedImage } from "#monitors";
import { prng } from "#base";
import { type Row, sample, say } from "./rows.ts";
import { deliverOrder, referenceFlow } from "./start.ts";

/** A bundle of its own for each flow: the reference flow, bundled once, with a constant that differs. */
function bundleText(script: string, index: number): string {
  return `${script.trimEnd().replace(/\}\)\(\);$/, "")}globalThis.__flow.options.number = ${index}; globalThis.__flow.table = [${Array.from({ length: 64 }, (_, i) => (index * 31 + i * 7) % 9973).join(",")}]; })();`;
}

export async function densityRows(quick: boolean): Promise<Row[]> {
  const suite = "density";
  const count = quick ? 500 : 10_000;
  say(`density: building ${count} flows`);
  const { bundle } = await buildImage(referenceFlow, { check: false });
  const script = Buffer.from(bundle.script).toString("utf8");
  const monitor = embeddedMonitor({ workers: 1 });
  global.gc?.();
  const before = process.memoryUsage().rss;
  const loaded: LoadedImage[] = [];
  for (let index = 0; index < count; index++) {
    const { image } = imageOfBundle({ ...bundle, script: toUtf8(bundleText(script, index)) }, "flow<never>(", `flow-${index}`, "1.0.0");
    loaded.push(await monitor.load(image));
    if (index % 1000 === 999) say(`density: ${index + 1} loaded`);
  }
  global.gc?.();
  const perFlow = (process.memoryUsage().rss - before) / count / 1024;
  const random = prng(1);
  const first: number[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < Math.min(count, 2000); i++) {
    const index = random.below(count);
    if (seen.has(index)) continue;
    seen.add(index);
    const started = performance.now();
    const { status } = await monitor.start(loaded[index] as LoadedImage, { ...deliverOrder(), seed: randomBytes(32) }).first;
    first.push(performance.now() - started);
    if (status !== "done") throw new Error("a flow failed");
  }
  const { p99 } = sample(first);
  await monitor.close();
  return [
    { suite, name: `memory of one of ${count} idle flows`, value: perFlow, unit: "KB", aim: "≤ 400 KB", met: perFlow <= 400 },
    { suite, name: `first message to any of ${count} flows, p99`, value: p99, unit: "ms", aim: "≤ 5 ms", met: p99 <= 5 },
  ];
}
