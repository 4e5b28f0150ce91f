/**
 * Images that were built before, by the hashes of all that went into them: `KEY.json` in the store says what the newest image of a flow was
 * built from, and its hash.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { abiVersion } from "#abi";
import { type Built, type Image, projectFolder } from "#image";
import { kernelArtifacts } from "#kernel";
import { version } from "../package.ts";
import { buildFlow } from "./build.ts";
import { pinnedImages } from "./pins.ts";
import { getImage, pruneImages, putImage, storeFolder, writeWhole } from "./store.ts";

export interface CachedImage {
  readonly image: Image;
  /** Every source file it depends on, absolute. */
  readonly inputs: readonly string[];
  /** Where the image lies; undefined when it could not be kept. */
  readonly file: string | undefined;
  /** Milliseconds the build took, undefined when it was there already. */
  readonly buildMs: number | undefined;
}

interface Entry {
  readonly made: string;
  readonly sha256: string;
  readonly inputs: readonly { readonly path: string; readonly sha256: string }[];
}

async function hashOf(path: string): Promise<string | undefined> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch {
    return undefined;
  }
}

/** Dependencies of an image besides its sources. */
function maker(): string {
  return `mayfly ${version()} abi ${abiVersion} kernel ${kernelArtifacts().hash}`;
}

/** Names of entries, as `cachedImage` makes them. */
const entryName = /^[0-9a-f]{24}\.json$/;

async function readEntry(folder: string, key: string, base: string): Promise<CachedImage | undefined> {
  try {
    const entry = JSON.parse(await readFile(join(folder, `${key}.json`), "utf8")) as Entry;
    if (entry.made !== maker()) return undefined;
    for (const { path, sha256 } of entry.inputs) if ((await hashOf(resolve(base, path))) !== sha256) return undefined;
    const inputs = entry.inputs.map(({ path }) => resolve(base, path));
    return { ...(await getImage(folder, entry.sha256)), inputs, buildMs: undefined };
  } catch {
    return undefined; // not there, or not whole: built anew
  }
}

interface EntryPlace {
  /** Of the store. */
  readonly folder: string;
  readonly key: string;
  /** Of the project: paths are kept relative to it. */
  readonly base: string;
  readonly flow: string;
}

async function writeEntry({ folder, key, base, flow }: EntryPlace, { image, inputs }: Built): Promise<string> {
  const hashed = await Promise.all(inputs.map(async (path) => ({ path: relative(base, path), sha256: (await hashOf(path)) ?? "" })));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = await putImage(folder, image, relative(base, flow));
  const entry: Entry = { made: maker(), sha256: image.sha256, inputs: hashed };
  await writeWhole(join(folder, `${key}.json`), `${JSON.stringify(entry, undefined, 2)}\n`);
  await pruneImages(folder, new Set([...(await newestImages(folder)), ...(await pinnedImages(folder))]));
  return file;
}

/** Hashes of the images that flows of this project were built to last. */
async function newestImages(folder: string): Promise<ReadonlySet<string>> {
  const newest = new Set<string>();
  for (const name of await readdir(folder)) {
    if (!entryName.test(name)) continue;
    try {
      newest.add((JSON.parse(await readFile(join(folder, name), "utf8")) as Entry).sha256);
    } catch {
      // An entry that can't be read is built anew.
    }
  }
  return newest;
}

export interface CacheOptions {
  readonly name?: string;
  /** False: neither checked nor cached, since a cached image passes for a checked one. */
  readonly check?: boolean;
  /** As `BuildOptions.include`; the nearest mayfly.yaml's unless given. */
  readonly include?: readonly string[] | undefined;
}

/** The image of the flow at `flow`: from the cache when nothing has changed, built otherwise. Throws what buildImage throws. */
export async function cachedImage(flow: string, { name, check = true, include }: CacheOptions = {}): Promise<CachedImage> {
  const base = check ? projectFolder(flow) : undefined;
  const path = resolve(flow);
  const key = createHash("sha256")
    .update(`${base === undefined ? "" : relative(base, path)}\0${name ?? ""}`)
    .digest("hex")
    .slice(0, 24);
  const folder = storeFolder(base ?? "");
  const known = base === undefined ? undefined : await readEntry(folder, key, base);
  if (known !== undefined) return known;
  const started = performance.now();
  const built = await buildFlow(path, { check, include, ...(name === undefined ? {} : { name }) });
  const buildMs = performance.now() - started;
  // A folder that can't be written to is no reason to fail: the next start is slower, nothing else.
  const file = base === undefined ? undefined : await writeEntry({ folder, key, base, flow: path }, built).catch(() => undefined);
  return { image: built.image, inputs: built.inputs, file, buildMs };
}
