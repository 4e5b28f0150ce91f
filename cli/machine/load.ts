/** Images by the path of a flow or of an image. */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError } from "#base";
import { type Built, type Image, isImageFile, loadImage, memoryShortage, projectFolder } from "#image";
import { buildFlow } from "../images/build.ts";

export interface Loaded {
  readonly image: Image;
  /** The flow's folder; undefined for an image, which may have been built elsewhere. */
  readonly folder: string | undefined;
  readonly built: Built | undefined;
}

const sourceEnding = /\.[mc]?[jt]sx?$/;

/** An image by its name, or, when that says nothing, by how it begins: `build -o` takes any name. */
export function isImagePath(path: string): boolean {
  return path.endsWith(".mfi") || (!sourceEnding.test(path) && isImageFile(path));
}

/** The folder of the project whose files a run of this flow or image may read. */
export function projectOf(path: string): string {
  return projectFolder(path) ?? dirname(resolve(path));
}

/** Loads an image, builds anything else. Throws MF_IMAGE_MEMORY when it leaves its machines no memory. */
export async function imageAt(path: string, check = true): Promise<Loaded> {
  const loaded = await loadOrBuild(path, check);
  const { manifest } = loaded.image;
  const shortage = memoryShortage(manifest, manifest.limits.memoryBytes);
  if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", `${path}: ${shortage}`);
  return loaded;
}

async function loadOrBuild(path: string, check: boolean): Promise<Loaded> {
  if (isImagePath(path)) return { image: await loadImage(path), folder: undefined, built: undefined };
  if (!existsSync(path)) throw new CodedError("MF_FLOW_NOT_FOUND", `there is no flow at ${path}`);
  if (!sourceEnding.test(path)) throw new CodedError("MF_FLOW_INVALID", `${path} is neither a flow (.ts, .js) nor an image (.mfi)`);
  const built = await buildFlow(path, { check });
  return { image: built.image, folder: dirname(resolve(path)), built };
}
