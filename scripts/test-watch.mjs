// `npm run test:watch -- FILTER… [--name PATTERN]`: what `npm test` does with the same values, again whenever something is saved.
import { spawn } from "node:child_process";
import { watch } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, root, sourceFolders } from "./setup.mjs";

/** Editors write a file in several steps. */
const settleMs = 50;

ensureInstalled();
let tests;
let timer;

function run() {
  tests?.kill();
  tests = spawn(process.execPath, [join(root, "scripts", "test.mjs"), ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
}

for (const folder of sourceFolders)
  watch(join(root, folder), { recursive: true }, (_event, name) => {
    if (name === null || !/\.(ts|mjs|json)$/.test(name) || /(^|[\\/])(node_modules|peers)[\\/]/.test(name)) return;
    clearTimeout(timer);
    timer = setTimeout(run, settleMs);
  });
run();
