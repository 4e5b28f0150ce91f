// `npm run check`: everything that needs no server and no build, in parallel: format, types, promises that are not awaited, tidy.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { ensureInstalled, root, sourceFolders } from "./setup.mjs";

ensureInstalled();
const tool = (...path) => join(root, "node_modules", ...path);
const folder = tool(".mayfly-check");

/** One file of the sources as JavaScript, two folders below the root as in dist/. */
async function compiled(entry, name) {
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${name}.mjs`);
  const options = { bundle: true, platform: "node", format: "esm", packages: "external", conditions: ["source"], logLevel: "error" };
  await build({ entryPoints: [join(root, entry)], outfile, absWorkingDir: root, ...options });
  return outfile;
}

const tsc = (project) => [tool("typescript", "bin", "tsc"), "-p", project, "--noEmit", "--incremental", "false"];
const formatted = [...sourceFolders, "package.json", "tsconfig.json", "biome.json"];
const checks = {
  format: async () => [tool("@biomejs", "biome", "bin", "biome"), "format", ...formatted],
  types: async () => tsc("tsconfig.json"),
  "types in the page": async () => tsc(join("dashboard", "tsconfig.json")),
  "types in the machine": async () => tsc(join("kernel", "runtime", "tsconfig.json")),
  promises: async () => [join(root, "scripts", "check-promises.mjs"), pathToFileURL(await compiled("image/promises.ts", "promises")).href],
  tidy: async () => ["--test-reporter=spec", await compiled("test/tidy.test.ts", "tidy")],
};

async function run(name) {
  const started = performance.now();
  const child = spawn(process.execPath, await checks[name](), { cwd: root });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (output += bytes));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) console.error(output.trimEnd());
  console.error(`mayfly: ${name} ${code === 0 ? "passed" : "failed"} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return code === 0;
}

const passed = await Promise.all(Object.keys(checks).map(run));
process.exit(passed.every(Boolean) ? 0 : 1);
