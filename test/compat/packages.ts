/** The packages of the suite, at the versions of the lock beside this file, installed once into a cache outside of the tree. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CodedError } from "#base";
import { defaultCacheFolder } from "#image";
import { compatLimits } from "./limits.ts";

const named = join(process.cwd(), "test", "compat", "packages");
const lists = ["package.json", "package-lock.json"];

/** Installs what is not installed yet, without scripts of packages. Gives the folder. Throws MF_USAGE when npm fails. */
export function installPackages(): string {
  const hash = createHash("sha256");
  for (const name of lists) hash.update(readFileSync(join(named, name)));
  const folder = join(dirname(defaultCacheFolder()), `compat-${hash.digest("hex").slice(0, 16)}`);
  const stamp = join(folder, "installed");
  if (existsSync(stamp)) return folder;
  process.stderr.write("mayfly: installing the packages of the suite\n");
  mkdirSync(folder, { recursive: true });
  for (const name of lists) copyFileSync(join(named, name), join(folder, name));
  const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    timeout: compatLimits.installMs,
  });
  if (npm.status !== 0)
    throw new CodedError("MF_USAGE", `npm ci failed in ${folder} with exit code ${npm.status}: the suite needs an npm registry`);
  writeFileSync(stamp, "");
  return folder;
}
