/**
 * Images that were built before, by the hashes of all that went into them. Under `FOLDER/.mayfly/images/`: `KEY.json` says what an image
 * was built from, `KEY.mfi` is the image. A flow has one entry, so the cache is never larger than what is served.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { abiVersion } from "#abi";
import { type Built, type Image, loadImage, projectFolder } from "#image";
import { kernelArtifacts } from "#kernel";
import { version } from "../package.ts";
import { buildFlow } from "./build.ts";

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
  /** The flow's own file. */
  readonly flow: string;
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

/** What besides its sources an image depends on. */
function maker(): string {
  return `mayfly ${version()} abi ${abiVersion} kernel ${kernelArtifacts().hash}`;
}

/** Written beside and renamed: two commands at once leave one of the two, never half of one. */
async function writeWhole(path: string, data: Uint8Array | string): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await writeFile(beside, data);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function readEntry(folder: string, key: string, base: string): Promise<CachedImage | undefined> {
  try {
    const entry = JSON.parse(await readFile(join(folder, `${key}.json`), "utf8")) as Entry;
    if (entry.made !== maker()) return undefined;
    for (const { path, sha256 } of entry.inputs) if ((await hashOf(resolve(base, path))) !== sha256) return undefined;
    const image = await loadImage(join(folder, `${key}.mfi`));
    if (image.sha256 !== entry.sha256) return undefined;
    const inputs = entry.inputs.map(({ path }) => resolve(base, path));
    return { image, inputs, file: join(folder, `${key}.mfi`), buildMs: undefined };
  } catch {
    return undefined; // not there, or not whole: built anew
  }
}

async function writeEntry(folder: string, key: string, base: string, flow: string, { image, inputs }: Built): Promise<string> {
  const hashed = await Promise.all(inputs.map(async (path) => ({ path: relative(base, path), sha256: (await hashOf(path)) ?? "" })));
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, `${key}.mfi`), image.bytes);
  const entry: Entry = { made: maker(), flow: relative(base, flow), sha256: image.sha256, inputs: hashed };
  await writeWhole(join(folder, `${key}.json`), `${JSON.stringify(entry, undefined, 2)}\n`);
  return join(folder, `${key}.mfi`);
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
  const folder = join(base ?? "", ".mayfly", "images");
  const known = base === undefined ? undefined : await readEntry(folder, key, base);
  if (known !== undefined) return known;
  const started = performance.now();
  const built = await buildFlow(path, { check, include, ...(name === undefined ? {} : { name }) });
  const buildMs = performance.now() - started;
  // A folder that can't be written to is no reason to fail: the next start is slower, nothing else.
  const file = base === undefined ? undefined : await writeEntry(folder, key, base, path, built).catch(() => undefined);
  return { image: built.image, inputs: built.inputs, file, buildMs };
}

/** The cached image with this hash below `folder`, and its flow's file; undefined when it was built anew since. */
export async function findCachedImage(
  folder: string,
  sha256: string,
): Promise<{ readonly image: Image; readonly flow: string } | undefined> {
  const cache = join(folder, ".mayfly", "images");
  for (const name of await readdir(cache).catch(() => [])) {
    if (!name.endsWith(".json")) continue;
    try {
      const entry = JSON.parse(await readFile(join(cache, name), "utf8")) as Entry;
      if (entry.sha256 === sha256)
        return { image: await loadImage(join(cache, name.replace(/\.json$/, ".mfi"))), flow: resolve(folder, entry.flow) };
    } catch {
      // Half an entry is none.
    }
  }
  return undefined;
}
