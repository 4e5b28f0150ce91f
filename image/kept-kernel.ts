/** Kernels of older versions, beside the images that were booted with them. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { decodeKernel, type Kernel, kernelArtifacts, kernelFileName } from "#kernel";
import type { Manifest } from "./manifest.ts";

/** Kernels that were read, by their hash. */
const older = new Map<string, Kernel>();

/** The older kernel that an image needs, as it was kept beside it; undefined where it needs none, or none is there. */
export async function keptKernel(path: string, { kernel: hash }: Manifest): Promise<Kernel | undefined> {
  if (hash === kernelArtifacts().hash) return undefined;
  const known = older.get(hash);
  if (known !== undefined) return known;
  const bytes = await readFile(join(dirname(path), kernelFileName(hash))).catch(() => undefined);
  const kernel = bytes === undefined ? undefined : decodeKernel(bytes, hash);
  if (kernel !== undefined) older.set(hash, kernel);
  return kernel;
}
