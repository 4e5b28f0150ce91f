/**
 * An image as an OCI artefact: a manifest (image-spec 1.1) with the `.mfi` file as its only layer and the empty config. It has no date and no
 * name of a computer, so that the same flow gives the same digest everywhere.
 */
import { createHash } from "node:crypto";
import { CodedError, fromUtf8, toUtf8 } from "#base";
import { type Image, readImage } from "../file.ts";
import { isDigest } from "./reference.ts";

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
  /** Type of the artefact. */
  flow: "application/vnd.mayfly.flow.v1",
  /** Type of its layer: the `.mfi` file. */
  image: "application/vnd.mayfly.image.v1",
} as const;

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly data?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly layers: readonly Descriptor[];
  readonly artifactType: string | undefined;
}

export interface Blob {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface Artefact {
  /** The flow, as its image is named. */
  readonly flow: string;
  /** Of the image. */
  readonly sha256: string;
  readonly manifest: Blob;
  /** All that the manifest names. */
  readonly blobs: readonly Blob[];
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function blobOf(bytes: Uint8Array): Blob {
  return { digest: digestOf(bytes), bytes };
}

/** The config of an artefact that needs none. */
export const emptyConfig: Blob = blobOf(toUtf8("{}"));

export function emptyDescriptor(): Descriptor {
  return { mediaType: mediaTypes.empty, digest: emptyConfig.digest, size: emptyConfig.bytes.length, data: "e30=" };
}

export function artefactOf(image: Image): Artefact {
  const { name: flow } = image.manifest;
  const layer = blobOf(image.bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.flow,
    config: emptyDescriptor(),
    layers: [
      {
        mediaType: mediaTypes.image,
        digest: layer.digest,
        size: layer.bytes.length,
        annotations: { "org.opencontainers.image.title": `${flow}.mfi` },
      },
    ],
    annotations: { "vnd.mayfly.flow": flow, "vnd.mayfly.image.sha256": image.sha256 },
  };
  return { flow, sha256: image.sha256, manifest: blobOf(toUtf8(JSON.stringify(manifest))), blobs: [emptyConfig, layer] };
}

function invalid(why: string): CodedError {
  return new CodedError("MF_ARTEFACT_INVALID", `the artefact can't be used, ${why}: build and push it again`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON of a peer, as an object. Throws MF_ARTEFACT_INVALID. */
export function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    throw invalid(`its ${what} is no JSON`);
  }
  if (!isRecord(value)) throw invalid(`its ${what} is no object`);
  return value;
}

/** A descriptor of a peer; undefined where it is malformed. */
export function descriptorOf(value: unknown): Descriptor | undefined {
  if (!isRecord(value)) return undefined;
  const { mediaType, digest, size, artifactType, annotations } = value;
  if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest)) return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
  const texts = isRecord(annotations)
    ? Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === "string")
    : [];
  return {
    mediaType,
    digest,
    size,
    ...(typeof artifactType === "string" ? { artifactType } : {}),
    annotations: Object.fromEntries(texts),
  };
}

/** Throws MF_ARTEFACT_INVALID. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const { layers, artifactType, mediaType } = parseObject(bytes, "manifest");
  if (mediaType === mediaTypes.index) throw invalid("it is an index of several");
  if (!Array.isArray(layers)) throw invalid("its manifest has no layers");
  return {
    layers: layers.map((layer) => {
      const parsed = descriptorOf(layer);
      if (parsed === undefined) throw invalid("its manifest has a layer without a digest and a size");
      return parsed;
    }),
    artifactType: typeof artifactType === "string" ? artifactType : undefined,
  };
}

/** The layer that is the image. Throws MF_ARTEFACT_INVALID for an artefact of something else, such as a container's image. */
export function imageLayer({ layers }: Manifest): Descriptor {
  const found = layers.filter(({ mediaType }) => mediaType === mediaTypes.image);
  const [layer] = found;
  if (layer === undefined || found.length > 1) throw invalid(layer === undefined ? "it is no flow's image" : "it has several images");
  return layer;
}

/** Compares a blob with its descriptor. Throws MF_ARTEFACT_INVALID. */
export function checkBlob({ digest, size }: Pick<Descriptor, "digest" | "size">, bytes: Uint8Array): void {
  if (bytes.length !== size || digestOf(bytes) !== digest) throw invalid("what came is not what its digest says");
}

/** Throws MF_ARTEFACT_INVALID, and what readImage throws. */
export function imageOf(layer: Descriptor, bytes: Uint8Array): Image {
  checkBlob(layer, bytes);
  return readImage(bytes);
}
