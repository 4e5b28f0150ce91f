/** The image a recording is replayed on: the record's own, another by its hash, or that of a flow's source. */
import { dirname, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { type Image, loadImage, memoryShortage } from "#image";
import { cachedImage } from "../images/cache.ts";
import { namedImage } from "../images/store.ts";
import { usageError } from "../failure.ts";
import { isImagePath } from "../machine/load.ts";

export interface ImageChoice {
  /** `sha256:DIGITS`, or the path of an image. */
  readonly image?: string | undefined;
  /** A flow's source. */
  readonly flow?: string | undefined;
}

export interface RecordedFlow {
  /** Path of mayfly.yaml. */
  readonly config: string;
  /** Name of the flow in it. */
  readonly name: string;
  /** The flow's source as mayfly.yaml names it; undefined where nothing is known of it. */
  readonly source: string | undefined;
}

function checked(image: Image, path: string): Image {
  const shortage = memoryShortage(image.manifest, image.manifest.limits.memoryBytes);
  if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", `${path}: ${shortage}`);
  return image;
}

/** The image of a flow's source, built as `serve` builds it: the same source has the same hash. */
export async function sourceImage(flow: string, name: string): Promise<Image> {
  return checked((await cachedImage(flow, { name })).image, flow);
}

/** Rejects with MF_IMAGE_NOT_FOUND, or as a build does. */
export async function chosenImage({ image, flow }: ImageChoice, { config, name }: RecordedFlow): Promise<Image | undefined> {
  if (image !== undefined && flow !== undefined) throw usageError("give --image or --flow, not both");
  if (flow !== undefined) return await sourceImage(flow, name);
  if (image === undefined) return undefined;
  if (isImagePath(image)) return checked(await loadImage(image), image);
  const digits = image.replace(/^sha256:/, "");
  if (!/^[0-9a-f]+$/i.test(digits)) throw usageError(`--image ${image}: give it as sha256:DIGITS, or as the path of an image`);
  return checked(await loadImage(await namedImage(dirname(resolve(config)), digits)), image);
}

/** The image that ran: kept by its hash, or built again if the flow's source is still the same. Rejects with MF_REPLAY_IMAGE_GONE. */
export async function recordedImage(sha256: string, { config, name, source }: RecordedFlow): Promise<Image> {
  try {
    return await loadImage(await namedImage(dirname(resolve(config)), sha256));
  } catch (error) {
    if (!isCoded(error) || error.code !== "MF_IMAGE_NOT_FOUND") throw error;
  }
  const built = source === undefined ? undefined : await sourceImage(source, name).catch(() => undefined);
  if (built?.sha256 === sha256) return built;
  const shown = source ?? "FLOW.ts";
  throw new CodedError(
    "MF_REPLAY_IMAGE_GONE",
    `the image sha256:${sha256} that ran this message is no longer kept in .mayfly/images, and ${shown} has changed since: check out the commit that was deployed then and repeat the command with the same version of Mayfly, or replay on the code of now with --flow ${shown}`,
  );
}
