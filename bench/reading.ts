/** Rows of a CSV read one after another in a machine, beside papaparse streaming the same bytes in Node. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import papaparse from "papaparse";
import { defaultFlowLimits } from "#abi";
import { assert } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor, type LoadedImage, type Monitor } from "#monitors";
import { driveMachine, type Stimulus } from "#replay";
import { type Row, say } from "./rows.ts";

const source = `import { flow } from "mayfly";
export default flow(async (msg) => {
  let [rows, sum] = [0, 0];
  for await (const row of msg.rows({ delimiter: "," })) {
    rows++;
    sum += Number(row.qty);
  }
  return { rows, sum };
});`;

function csvText(rows: number): string {
  const lines = Array.from({ length: rows }, (_, i) => `${i},"Müller, Söhne ${i % 97}",${i % 10},${i / 100},some longer note ${i}\n`);
  return `id,name,qty,price,note\n${lines.join("")}`;
}

/** Seconds that the flow takes for the body. */
async function inMachine(monitor: Monitor, image: LoadedImage, body: Uint8Array, rows: number): Promise<number> {
  const message = { id: "bench", source: "bench", attempt: 1, key: undefined, headers: {}, body, state: undefined, timeMs: 0 };
  const stimulus: Stimulus = { ...message, seed: new Uint8Array(32), signals: [] };
  const started = performance.now();
  const stub = (): never => assert(false, "the flow calls nobody") as never;
  const result = await driveMachine(monitor, image, { limits: defaultFlowLimits, stimulus, stub });
  assert(JSON.parse(Buffer.from(result.reply?.body ?? "").toString()).rows === rows, "every row is read");
  return (performance.now() - started) / 1000;
}

/** The types of papaparse know no streams of Node. */
const stream = papaparse.parse as unknown as (input: Readable, options: object) => void;

/** The same for papaparse, which is given pieces of the same length. */
function inNode(body: Buffer, rows: number): Promise<number> {
  const pieces = Array.from({ length: Math.ceil(body.length / 262_144) }, (_, i) => body.subarray(i * 262_144, (i + 1) * 262_144));
  const started = performance.now();
  let [count, sum] = [0, 0];
  return new Promise((resolve, reject) => {
    stream(Readable.from(pieces), {
      header: true,
      delimiter: ",",
      skipEmptyLines: true,
      step: ({ data }: { readonly data: { readonly qty: string } }) => {
        count++;
        sum += Number(data.qty);
      },
      complete: () => {
        assert(count === rows && sum > 0, "every row is read");
        resolve((performance.now() - started) / 1000);
      },
      error: reject,
    });
  });
}

export async function readingRows(quick: boolean): Promise<Row[]> {
  const rows = 60_000;
  const body = Buffer.from(csvText(rows));
  say(`msg.rows() of ${rows} rows`);
  const folder = await mkdtemp(join(tmpdir(), "mayfly-bench-reading-"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    await writeFile(join(folder, "rows.ts"), source);
    const image = await monitor.load((await buildImage(join(folder, "rows.ts"), { check: false })).image);
    const best = { machine: Number.POSITIVE_INFINITY, node: Number.POSITIVE_INFINITY };
    for (let run = 0; run < (quick ? 3 : 8); run++) {
      best.machine = Math.min(best.machine, await inMachine(monitor, image, body, rows));
      best.node = Math.min(best.node, await inNode(body, rows));
    }
    const [value, beside] = [rows / best.machine, rows / best.node];
    const name = "msg.rows() of CSV, five columns";
    return [
      { suite: "reading", name, value, unit: "rows/s", beside: { name: "papaparse, streaming", value: beside }, ratio: value / beside },
    ];
  } finally {
    await monitor.close();
    await rm(folder, { recursive: true, force: true });
  }
}
