/**
 * Built images by their SHA-256, under `PROJECT/.mayfly/images/`: `SHA256.mfi` is the image, `SHA256.json` says which flow it was built
 * from. Older ones stay for a while, so that a dead letter finds the image it died in, and yesterday's can be served again.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CodedError } from "#base";
import type { StoredImage } from "#gateway";
import { type Image, loadImage } from "#image";
import { encodeKernel, kernelArtifacts, kernelFileName } from "#kernel";
import { cliLimits } from "../limits.ts";
import { userName } from "../user.ts";

const imageName = /^([0-9a-f]{64})\.mfi$/;

export function storeFolder(project: string): string {
  return join(project, ".mayfly", "images");
}

/** Written beside and renamed: two commands at once leave one of the two, never half of one. */
export async function writeWhole(path: string, data: Uint8Array | string): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await writeFile(beside, data, { mode: 0o600 });
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Keeps an image. Gives its path. `flow`: the file it was built from, relative to the project, or where it was pulled from. */
export async function putImage(folder: string, { sha256, bytes }: Image, flow: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${sha256}.mfi`);
  await writeWhole(path, bytes);
  await writeWhole(join(folder, `${sha256}.json`), `${JSON.stringify({ flow, builtAt: Date.now(), builtBy: userName() })}\n`);
  return path;
}

/** Resolves once the file or folder is on disk, so that a power loss leaves it whole. */
export async function synced(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes sure that the store has an image and keeps it through a power loss: a machine may fall asleep in it, and its own file, where it was
 * built elsewhere, may be replaced.
 */
export async function keepImage(folder: string, { sha256, bytes }: Image): Promise<void> {
  const path = join(folder, `${sha256}.mfi`);
  if ((await stat(path).catch(() => undefined)) === undefined) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, bytes);
  }
  await synced(path);
  await synced(folder);
}

/** The same of the kernel that this version boots images with: a later version runs what sleeps in them on it. Some 300 kB for each version; none is removed. */
export async function keepKernel(folder: string): Promise<void> {
  const kernel = kernelArtifacts();
  const path = join(folder, kernelFileName(kernel.hash));
  if ((await stat(path).catch(() => undefined)) === undefined) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, encodeKernel(kernel));
  }
  await synced(path);
  await synced(folder);
}

/** Reads an image by its hash, and counts it as used now. Rejects as loadImage does. */
export async function getImage(folder: string, sha256: string): Promise<{ readonly image: Image; readonly file: string }> {
  const file = join(folder, `${sha256}.mfi`);
  const image = await loadImage(file);
  await used(file);
  return { image, file };
}

/** Counts an image as used now: it is among the last to be deleted. */
export async function used(file: string): Promise<void> {
  const now = new Date();
  await utimes(file, now, now).catch(() => undefined); // a read-only store serves as well
}

/** The file of the flow an image was built from, absolute; undefined when nothing is known of it. */
export async function flowOf(project: string, sha256: string): Promise<string | undefined> {
  try {
    const { flow } = JSON.parse(await readFile(join(storeFolder(project), `${sha256}.json`), "utf8")) as { flow?: unknown };
    return typeof flow === "string" && !flow.startsWith("oci://") ? resolve(project, flow) : undefined;
  } catch {
    return undefined;
  }
}

/** Images of the store, the newest first. */
export async function listImages(folder: string): Promise<readonly StoredImage[]> {
  const names = (await readdir(folder).catch(() => [])).flatMap((name) => imageName.exec(name)?.[1] ?? []);
  const listed = await Promise.all(
    names.map(async (sha256): Promise<StoredImage | undefined> => {
      const found = await stat(join(folder, `${sha256}.mfi`)).catch(() => undefined);
      if (found === undefined) return undefined; // removed meanwhile
      const facts = await readFile(join(folder, `${sha256}.json`), "utf8").catch(() => "{}");
      return { sha256, bytes: found.size, ...builtFacts(facts) };
    }),
  );
  return listed.filter((each) => each !== undefined).sort((a, b) => (b.builtAt ?? 0) - (a.builtAt ?? 0));
}

function builtFacts(json: string): Pick<StoredImage, "flow" | "builtAt" | "builtBy"> {
  let facts: Readonly<Record<string, unknown>> = {};
  try {
    facts = JSON.parse(json) as Readonly<Record<string, unknown>>;
  } catch {
    // of an image that was written when the disk was full: nothing is known of it
  }
  const { flow, builtAt, builtBy } = facts;
  return {
    flow: typeof flow === "string" ? flow : null,
    builtAt: typeof builtAt === "number" ? builtAt : null,
    builtBy: typeof builtBy === "string" ? builtBy : null,
  };
}

/** The path of the image that `image: sha256:DIGITS` names. Rejects with MF_IMAGE_NOT_FOUND. */
export async function namedImage(project: string, digits: string): Promise<string> {
  const folder = storeFolder(project);
  const known = (await readdir(folder).catch(() => [])).flatMap((name) => imageName.exec(name)?.[1] ?? []);
  const found = digits.length < cliLimits.leastImageDigits ? [] : known.filter((sha256) => sha256.startsWith(digits.toLowerCase()));
  const [only] = found;
  if (found.length === 1 && only !== undefined) return join(folder, `${only}.mfi`);
  const why =
    found.length > 1
      ? "matches several images: give more digits"
      : `matches no image in ${folder}: give at least ${cliLimits.leastImageDigits} digits of an existing one, or build its flow again`;
  throw new CodedError("MF_IMAGE_NOT_FOUND", `sha256:${digits} ${why}`);
}

/** Removes the images that were used least recently, beyond what is kept; `used`: hashes of those that stay. */
export async function pruneImages(folder: string, used: ReadonlySet<string>): Promise<void> {
  const unused: { readonly sha256: string; readonly bytes: number; readonly usedMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const sha256 = imageName.exec(name)?.[1];
    if (sha256 === undefined || used.has(sha256)) continue;
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found !== undefined) unused.push({ sha256, bytes: found.size, usedMs: found.mtimeMs });
  }
  let kept = 0;
  let keptBytes = 0;
  for (const { sha256, bytes } of unused.sort((a, b) => b.usedMs - a.usedMs)) {
    kept += 1;
    keptBytes += bytes;
    if (kept <= cliLimits.unusedImages && keptBytes <= cliLimits.unusedImageBytes) continue;
    for (const ending of ["mfi", "json"]) await rm(join(folder, `${sha256}.${ending}`), { force: true });
  }
}
