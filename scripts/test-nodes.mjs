// `npm run test:nodes [-- --node 24[,26] FILTER…]`: the whole suite on other versions of Node, each fetched as an npm package into a
// temporary folder. Without --node: all that Mayfly is said to run on, but for the one that runs this.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { bringServices } from "./services.mjs";
import { root, setUp } from "./setup.mjs";

const supported = ["20", "22", "24", "26"];
const running = process.versions.node.split(".")[0];

function fail(message) {
  console.error(`mayfly: ${message}`);
  process.exit(2);
}

function readArguments(values) {
  const at = values.indexOf("--node");
  if (at < 0) return { versions: supported.filter((version) => version !== running), filters: values };
  const versions = (values[at + 1] ?? "").split(",");
  for (const version of versions)
    if (!supported.includes(version)) fail(`--node takes some of ${supported.join(", ")}, separated by commas`);
  return { versions, filters: [...values.slice(0, at), ...values.slice(at + 2)] };
}

/** The program of this version, or the reason why it is missing. */
function fetchNode(version, folder) {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  writeFileSync(join(folder, "package.json"), '{ "private": true }');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, stderr } = spawnSync("npm", ["install", ...flags, `${name}@${version}`], { cwd: folder, encoding: "utf8" });
  const program = join(folder, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node");
  if (status === 0 && existsSync(program)) return { program };
  return { why: `npm can't install ${name}@${version}: ${stderr.trim().split("\n").at(-1)}` };
}

function runSuite(program, filters) {
  const environment = { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env.PATH}` };
  return spawnSync(program, [join(root, "scripts", "test.mjs"), ...filters], { cwd: root, stdio: "inherit", env: environment }).status ?? 1;
}

const { versions, filters } = readArguments(process.argv.slice(2));
await setUp();
bringServices();
const results = [];
for (const version of versions) {
  const folder = mkdtempSync(join(tmpdir(), `mayfly-node-${version}-`));
  try {
    const { program, why } = fetchNode(version, folder);
    if (why !== undefined) results.push({ version, result: `skipped: ${why}`, failed: false });
    else {
      console.error(`mayfly: the suite on Node ${version}`);
      const status = runSuite(program, filters);
      results.push({ version, result: status === 0 ? "passed" : "FAILED", failed: status !== 0 });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
for (const { version, result } of results) console.log(`Node ${version}: ${result}`);
process.exit(results.some(({ failed }) => failed) ? 1 : 0);
