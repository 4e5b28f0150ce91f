// What `npm test` and its kin choose from: test files under dist/, by parts of their paths and by names of tests.
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./setup.mjs";

// A file that does not end, because a failed test left a server open or hangs, is ended and counts as failed. The slowest file,
// test/chaos, takes about a minute.
const mostPerFileMs = 600_000;

function* tests(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* tests(path);
    else if (entry.name.endsWith(".test.js")) yield path;
  }
}

function readArguments(values, command) {
  try {
    return parseArgs({ args: values, options: { name: { type: "string" } }, allowPositionals: true });
  } catch (error) {
    console.error(`mayfly: ${error.message}; usage: ${command} -- [FILTER…] [--name PATTERN]`);
    process.exit(2);
  }
}

/** The test files that are wanted, and the pattern of names. */
export function chosenTests(values, command) {
  const {
    positionals: filters,
    values: { name },
  } = readArguments(values, command);
  const isWanted = (path) => filters.length === 0 || filters.some((filter) => relative(root, path).includes(filter));
  const files = [...tests(join(root, "dist"))].filter(isWanted);
  if (files.length === 0) {
    console.error(`mayfly: no test file matches ${filters.join(", ")}`);
    process.exit(2);
  }
  return { files, name };
}

export function testFlags(name) {
  const flags = ["--enable-source-maps", "--test", "--test-concurrency=2", `--test-timeout=${mostPerFileMs}`];
  return name === undefined ? flags : [...flags, `--test-name-pattern=${name}`];
}
