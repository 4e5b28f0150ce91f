// `npm test [-- FILTER… --name PATTERN --again]`: sets up, then runs every *.test.js under dist/, or those whose path contains a FILTER; of
// these every test, or those whose name matches PATTERN. With --again, as CI has it, files with a failed test run a second time, alone, and
// those that pass then are named at the end: such a test is unsteady, and to be mended, but does not hold up a change.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { bringServices } from "./services.mjs";
import { root, setUp } from "./setup.mjs";

function* tests(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* tests(path);
    else if (entry.name.endsWith(".test.js")) yield path;
  }
}

function readArguments() {
  try {
    return parseArgs({ options: { name: { type: "string" }, again: { type: "boolean" } }, allowPositionals: true });
  } catch (error) {
    console.error(`mayfly: ${error.message}; usage: npm test -- [FILTER…] [--name PATTERN] [--again]`);
    process.exit(2);
  }
}

const { positionals: filters, values: wanted } = readArguments();
await setUp();
bringServices();
const chosen = [...tests(join(root, "dist"))].filter(
  (path) => filters.length === 0 || filters.some((f) => relative(root, path).includes(f)),
);
if (chosen.length === 0) {
  console.error(`mayfly: no test file matches ${filters.join(", ")}`);
  process.exit(2);
}
// A file that does not end, because a failed test left a server open or hangs, is ended and counts as failed. The slowest file,
// test/chaos, takes about a minute.
const mostPerFileMs = 600_000;
// `spec` repeats the failed tests at the end, where a long log that was cut still shows them; Node 20 writes TAP into pipes otherwise.
const flags = [
  "--enable-source-maps",
  "--test",
  `--test-timeout=${mostPerFileMs}`,
  "--test-reporter=spec",
  "--test-reporter-destination=stdout",
];
if (process.env.MAYFLY_SEED !== undefined) flags.push(`--import=${pathToFileURL(join(root, "scripts", "fast-check-seed.mjs")).href}`);
if (wanted.name !== undefined) flags.push(`--test-name-pattern=${wanted.name}`);

/** Files to run again for a test that is defined in `path`: a case file is part of each test that imports it. With source maps it is a source. */
function testsOf(path) {
  const compiled = path.endsWith(".ts") ? join(root, "dist", relative(root, path).replace(/\.ts$/, ".js")) : path;
  return chosen.includes(compiled) ? [compiled] : chosen.filter((test) => readFileSync(test, "utf8").includes(`/${basename(compiled)}"`));
}

/** Exit status of a run, and the test files to which its failed tests belong. */
function run(files, concurrency) {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-tests-"));
  const report = join(folder, "failed");
  const reporter = pathToFileURL(join(root, "scripts", "failed-files.mjs")).href;
  const own = [`--test-concurrency=${concurrency}`, `--test-reporter=${reporter}`, `--test-reporter-destination=${report}`];
  const { status } = spawnSync(process.execPath, [...flags, ...own, ...files], { cwd: root, stdio: "inherit" });
  const paths = readFileSync(report, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  rmSync(folder, { recursive: true });
  return { status: status ?? 1, failed: [...new Set(paths.flatMap(testsOf))], isKnown: paths.every((path) => testsOf(path).length > 0) };
}

const first = run(chosen, 2);
if (first.status === 0 || wanted.again !== true || !first.isKnown || first.failed.length === 0) process.exit(first.status);
console.error(`\nmayfly: ${first.failed.length} test files failed; they run once more, one at a time`);
const second = run(first.failed, 1);
const failedTwice = new Set(second.failed);
for (const path of first.failed) {
  const result = failedTwice.has(path) ? "FAILED twice" : "UNSTEADY: failed, then passed; mend it";
  console.error(`mayfly: ${relative(join(root, "dist"), path)}: ${result}`);
}
process.exit(second.status);
