// `npm run lint`: the format of every file, and the types of the project and of what runs inside machines.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, root, sourceFolders } from "./setup.mjs";

ensureInstalled();
const tool = (...path) => join(root, "node_modules", ...path);
// Named one by one: what somebody has made here with `mayfly init` is theirs to format.
const formatted = [...sourceFolders, "package.json", "tsconfig.json", "biome.json"];
const checks = [
  { name: "format", fix: "npm run format", values: [tool("@biomejs", "biome", "bin", "biome"), "format", ...formatted] },
  { name: "types", values: [tool("typescript", "bin", "tsc"), "-p", "tsconfig.json", "--noEmit", "--incremental", "false"] },
  {
    name: "types in the page",
    values: [tool("typescript", "bin", "tsc"), "-p", join("dashboard", "tsconfig.json"), "--noEmit", "--incremental", "false"],
  },
  {
    name: "types in the machine",
    values: [tool("typescript", "bin", "tsc"), "-p", join("kernel", "runtime", "tsconfig.json"), "--noEmit", "--incremental", "false"],
  },
];

let failed = 0;
for (const { name, fix, values } of checks) {
  if (!existsSync(values[0])) {
    console.error(`mayfly: ${values[0]} is missing: run npm ci`);
    process.exit(2);
  }
  const { status } = spawnSync(process.execPath, values, { cwd: root, stdio: "inherit" });
  if (status === 0) continue;
  failed += 1;
  console.error(`mayfly: ${name} failed${fix === undefined ? "" : `: ${fix} mends it`}`);
}
process.exit(failed === 0 ? 0 : 1);
