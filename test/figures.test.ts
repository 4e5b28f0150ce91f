/** Figures of the documents are those of the last measurement, and prose has none that would grow old. */
import { deepEqual, equal, match } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageRoot } from "#cli";

interface Measured {
  readonly node: string;
  readonly date: string;
  readonly machine: string;
  readonly runs: number;
  readonly rows: readonly object[];
}

interface Tables {
  readonly documents: readonly { readonly path: string; readonly all: boolean }[];
  joinRuns(runs: readonly (readonly object[])[]): readonly object[];
  withFigures(text: string, measured: readonly Measured[], all: boolean): string;
  proseOf(text: string): string;
}

const scripts = join(packageRoot, "scripts", "figures-table.mjs");
const { documents, joinRuns, withFigures, proseOf } = (await import(pathToFileURL(scripts).href)) as Tables;
const file = join(packageRoot, "bench", "figures.json");
const read = (path: string): string => readFileSync(join(packageRoot, path), "utf8");

test("the tables of the documents are what `npm run figures` writes", (t) => {
  if (!existsSync(file)) return t.skip("nothing was measured yet: npm run figures -- --measure");
  const measured = JSON.parse(readFileSync(file, "utf8")) as readonly Measured[];
  for (const { path, all } of documents) equal(read(path), withFigures(read(path), measured, all), `${path}: run npm run figures`);
});

test("README.md gives no measured figure in its prose", () => {
  const measuredFigure = /\d(\.\d+)?×|\d+ (microseconds|µs)|\d (requests|messages) a second|p99[^.]{0,20}\d/;
  for (const line of proseOf(read("README.md")).split("\n")) equal(measuredFigure.exec(line)?.[0], undefined, line);
});

const row = { suite: "peers-http", name: "requests a second", unit: "1/s", aim: "≥ 1×" };

test("runs are joined by their medians, with the spread of their ratios; a row that was skipped says why", () => {
  const run = (value: number, ratio: number): readonly object[] => [
    { ...row, value, beside: { name: "other", value: 2 * value }, ratio, met: ratio >= 1 },
    { suite: "start", name: "p50 beside a fresh isolate", value: Number.NaN, unit: "ms", skipped: "it is not here" },
  ];
  const rows = joinRuns([run(10, 0.9), run(30, 1.2), run(2000, 1.1)]);
  deepEqual(rows[0], { ...row, value: 30, beside: { name: "other", value: 60 }, ratio: 1.1, ratios: [0.9, 1.2], met: true });
  const text = "before\n<!-- figures: written by `npm run figures` -->\nold\n<!-- end of figures -->\nafter\n";
  const written = withFigures(text, [{ node: "20.20.2", date: "2026-11-30", machine: "two cores", runs: 3, rows }], false);
  match(written, /^before\n<!-- figures.*-->\nMeasured on 2026-11-30 with Node 20\.20\.2 on two cores; medians of 3 runs/);
  match(written, /\| peers-http \| requests a second \| 30\.0 1\/s \| other: 60\.0 1\/s \| 1\.1× \(0\.9 to 1\.2\) \| ≥ 1×: met \|/);
  match(written, /\| not measured: it is not here \|/);
  match(written, /\n<!-- end of figures -->\nafter\n$/);
  equal(proseOf(written), "before\n\nafter\n");
});
