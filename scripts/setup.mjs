// Shared by `npm start`, `npm test`, `npx mayfly` and CI: install from the lockfile when needed, build when stale.
// Plain JavaScript on Node's own modules, because it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const sourceFolders = [
  "base",
  "abi",
  "kernel",
  "compiler",
  "image",
  "monitors",
  "gateway",
  "connectors",
  "embed",
  "replay",
  "explore",
  "standalone",
  "telemetry",
  "cluster",
  "dashboard",
  "cli",
  "bench",
  "test",
  "examples",
  "scripts",
];
const minimumNode = [20, 20];

function fail(message) {
  console.error(`mayfly: ${message}`);
  process.exit(2);
}

function say(message) {
  if (!process.env.MAYFLY_QUIET) console.error(`mayfly: ${message}`);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(" ")} failed with exit code ${result.status}`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < minimumNode[0] || (major === minimumNode[0] && minor < minimumNode[1]))
    fail(`Node ${minimumNode.join(".")} or newer is needed, this is ${process.versions.node}: install a newer Node and try again`);
}

/** Installs what package-lock.json names when node_modules is missing or was made from another lockfile. */
export function ensureInstalled() {
  checkNode();
  const lock = join(root, "package-lock.json");
  if (!existsSync(lock)) return; // installed as a package: npm did it
  const stamp = join(root, "node_modules", ".mayfly-lock");
  const wanted = createHash("sha256").update(readFileSync(lock)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say("installing dependencies from package-lock.json");
  run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
  writeFileSync(stamp, wanted);
}

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name === "node_modules" || entry.name === "peers" || entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (/\.(tsx?|mjs|json|css|html|svg)$/.test(entry.name)) yield path;
  }
}

/** Changes with the name, the time of change or the size of any file of these. */
function hashOf(paths) {
  const hash = createHash("sha256");
  const add = (path) => {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${relative(root, path).split(sep).join("/")} ${mtimeMs} ${size}\n`);
  };
  for (const path of paths.map((name) => join(root, name)).filter((each) => existsSync(each)))
    if (statSync(path).isDirectory()) for (const file of files(path)) add(file);
    else add(path);
  return hash.digest("hex");
}

/** Takes out of dist/ what was compiled from a file that is gone: a test of it would go on being run. */
function removeStale(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeStale(path);
    else {
      const name = relative(join(root, "dist"), path);
      const [, stem] = /^(.*)\.js(?:\.map)?$/.exec(name) ?? [];
      if (stem !== undefined && !existsSync(join(root, `${stem}.ts`))) rmSync(path);
    }
  }
}

/** Sources of the kernel and of the scripts that build it. */
const kernelSources = [
  "package-lock.json",
  "scripts/build-kernel.mjs",
  "abi",
  "base",
  "compiler",
  "kernel",
  "image/clean-free.ts",
  "image/exhaustion.ts",
  "monitors/embedded/track.ts",
];

/** Compiles TypeScript to dist/, AssemblyScript to dist/kernel/native.wasm.br, the in-machine runtime to dist/kernel/runtime.js.br. */
export async function ensureBuilt() {
  if (!existsSync(join(root, "tsconfig.json"))) return; // installed as a package: dist/ was shipped
  const stamp = join(root, "dist", ".stamp");
  const wanted = hashOf(["package.json", "tsconfig.json", "package-lock.json", ...sourceFolders]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say("building");
  mkdirSync(join(root, "dist"), { recursive: true });
  rmSync(stamp, { force: true });
  run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json"]);
  for (const folder of sourceFolders) if (existsSync(join(root, "dist", folder))) removeStale(join(root, "dist", folder));
  await ensureKernel();
  await ensureDashboard();
  writeFileSync(stamp, wanted);
}

/** Builds the page again when it, or what builds it, has changed. */
async function ensureDashboard() {
  const stamp = join(root, "dist", "dashboard", ".stamp");
  const wanted = hashOf(["package-lock.json", "scripts/build-dashboard.mjs", "dashboard"]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(stamp, { force: true });
  const { buildDashboard } = await import(pathToFileURL(join(root, "scripts", "build-dashboard.mjs")).href);
  await buildDashboard(root);
  writeFileSync(stamp, wanted);
}

/** Builds the kernel again when what it is made of has changed; TypeScript is compiled already. */
export async function ensureKernel() {
  const stamp = join(root, "dist", ".kernel-stamp");
  const wanted = hashOf(kernelSources);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(stamp, { force: true });
  const { buildKernel } = await import(pathToFileURL(join(root, "scripts", "build-kernel.mjs")).href);
  await buildKernel(root);
  writeFileSync(stamp, wanted);
}

export async function setUp() {
  ensureInstalled();
  await ensureBuilt();
}
