// `npm test [-- FILTER… --name PATTERN]`: sets up, then runs every *.test.js under dist/, or those whose path contains a FILTER; of these
// every test, or those whose name matches PATTERN.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
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
    return parseArgs({ options: { name: { type: "string" } }, allowPositionals: true });
  } catch (error) {
    console.error(`mayfly: ${error.message}; usage: npm test -- [FILTER…] [--name PATTERN]`);
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
const flags = ["--enable-source-maps", "--test", "--test-reporter=spec", "--test-concurrency=2", `--test-timeout=${mostPerFileMs}`];
if (process.env.MAYFLY_SEED !== undefined) flags.push(`--import=${pathToFileURL(join(root, "scripts", "fast-check-seed.mjs")).href}`);
if (wanted.name !== undefined) flags.push(`--test-name-pattern=${wanted.name}`);
const result = spawnSync(process.execPath, [...flags, ...chosen], {
  cwd: root,
  stdio: "inherit",
});
process.exit(result.status ?? 1);
