// `npm run test:watch -- FILTER… [--name PATTERN]`: compiles what is saved, and runs the tests that `npm test` would run with the same values.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chosenTests, testFlags } from "./test-files.mjs";
import { ensureKernel, root, setUp } from "./setup.mjs";

await setUp();
const chosen = chosenTests(process.argv.slice(2), "npm run test:watch");
const flags = testFlags(chosen.name);

let tests;
let turn = Promise.resolve();
/** One build of the kernel at a time; a fault in it is shown, and mended by the next save. */
function runTests() {
  tests?.kill();
  turn = turn
    .then(ensureKernel)
    .then(startTests)
    .catch((error) => console.error(`mayfly: ${error.message}`));
}

function startTests() {
  tests?.kill();
  tests = spawn(process.execPath, [...flags, "--test-reporter=spec", ...chosen.files], { cwd: root, stdio: "inherit" });
}

const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const watch = spawn(process.execPath, [compiler, "-p", "tsconfig.json", "--watch", "--preserveWatchOutput"], {
  cwd: root,
  stdio: ["ignore", "pipe", "inherit"],
});
createInterface({ input: watch.stdout }).on("line", (line) => {
  const [, errors] = /Found (\d+) errors?\b/.exec(line) ?? [];
  if (errors === "0") runTests();
  else if (line.trim() !== "" && !/Starting (?:incremental )?compilation/.test(line)) console.error(line);
});
process.on("SIGINT", () => {
  tests?.kill();
  watch.kill();
  process.exit(0);
});
