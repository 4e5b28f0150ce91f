// `npm run figures [-- --measure [SUITE…] [--runs N]]`: writes the tables of README.md and docs/PERFORMANCE.md from bench/figures.json.
// With --measure it runs the bench first, three times unless told otherwise, and keeps the medians for the Node that runs it: on a machine
// where nothing else runs. Named suites replace their rows only.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { documents, joinRuns, withFigures } from "./figures-table.mjs";
import { root, setUp } from "./setup.mjs";

const file = join(root, "bench", "figures.json");
const usage = "npm run figures [-- --measure [SUITE…] [--runs N]]";

function fail(message) {
  console.error(`figures: ${message}`);
  process.exit(2);
}

function readArguments(values) {
  const measures = values.includes("--measure");
  const at = values.indexOf("--runs");
  const runs = at < 0 ? 3 : Number(values[at + 1]);
  const suites = values.filter((value, index) => value !== "--measure" && index !== at && (at < 0 || index !== at + 1));
  if (!(runs >= 1) || suites.some((suite) => suite.startsWith("-")) || (!measures && values.length > 0)) fail(usage);
  return { measures, runs, suites };
}

function runBench(suites) {
  const values = ["--expose-gc", join(root, "dist", "bench", "main.js"), "--json", ...suites];
  const { status, stdout } = spawnSync(process.execPath, values, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) fail(`the bench ended with ${status}`);
  return JSON.parse(stdout).rows;
}

async function measure(known, runs, suites) {
  await setUp();
  const found = joinRuns(Array.from({ length: runs }, () => runBench(suites)));
  const major = process.versions.node.split(".")[0];
  const before = known.find(({ node }) => node.split(".")[0] === major);
  const kept = suites.length === 0 ? [] : (before?.rows.filter(({ suite }) => !suites.includes(suite)) ?? []);
  const now = {
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length} cores`,
    runs,
    rows: [...kept, ...found],
  };
  const all = [...known.filter((each) => each !== before), now].sort((a, b) => Number.parseInt(a.node, 10) - Number.parseInt(b.node, 10));
  writeFileSync(file, `${JSON.stringify(all, null, 1)}\n`);
  return all;
}

const { measures, runs, suites } = readArguments(process.argv.slice(2));
const known = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
const measured = measures ? await measure(known, runs, suites) : known;
if (measured.length === 0) fail(`there is no bench/figures.json yet: npm run figures -- --measure`);
for (const { path, all } of documents) {
  const text = readFileSync(join(root, path), "utf8");
  writeFileSync(join(root, path), withFigures(text, measured, all));
  console.error(`figures: ${path} is written`);
}
