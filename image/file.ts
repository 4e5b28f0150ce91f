/**
 * The image file, `.mfi`. Little endian.
 *
 *      0  u32  magic "MFYI"
 *      4  u32  version of this layout: 1
 *      8  u32  length of the manifest, bytes
 *     12  u32  number of frozen pages
 *     16  u32  length of the source map, bytes
 *     20  manifest, JSON
 *         page numbers, u32 each, ascending: page n is memory [n × 4096, (n + 1) × 4096)
 *         zero bytes up to the next multiple of 4096
 *         the pages, 4096 bytes each; every page not named is zero
 *         source map, JSON
 *         SHA-256 of everything above: 32 bytes, and the image's name in the world
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { abiVersion, hardLimits } from "#abi";
import { CodedError, equalBytes, fromUtf8, isCoded, toHex, toUtf8 } from "#base";
import { type Kernel, layout } from "#kernel";
import { keptKernel } from "./kept-kernel.ts";
import { type Manifest, manifestFault } from "./manifest.ts";

const magic = 0x49_59_46_4d; // "MFYI"
const fileVersion = 1;
const headerBytes = 20;
const hashBytes = 32;
const { pageBytes } = layout;
const mostPages = hardLimits.memoryBytes / pageBytes;
/** Longest file of an image. */
export const mostFileBytes = hardLimits.memoryBytes + 64 * 1024 * 1024;

export interface Image {
  readonly manifest: Manifest;
  /** SHA-256 of the file's contents, 64 hexadecimal digits. */
  readonly sha256: string;
  /** Numbers of the frozen pages, ascending. */
  readonly pageNumbers: Uint32Array;
  /** The frozen pages, end to end. */
  readonly pages: Uint8Array;
  /** JSON of the bundle's source map, or empty. */
  readonly sourceMap: Uint8Array;
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** Kernel it was booted with, of an image of an older version whose kernel was kept. */
  readonly kernel?: Kernel | undefined;
}

function align(length: number): number {
  return Math.ceil(length / pageBytes) * pageBytes;
}

export interface ImageParts {
  readonly manifest: Manifest;
  readonly pageNumbers: Uint32Array;
  readonly pages: Uint8Array;
  readonly sourceMap: Uint8Array;
}

/** Lays out an image and names it. The same parts give the same bytes. */
export function writeImage(parts: ImageParts): Image {
  const manifest = toUtf8(JSON.stringify(parts.manifest));
  const pagesAt = align(headerBytes + manifest.length + 4 * parts.pageNumbers.length);
  const mapAt = pagesAt + parts.pages.length;
  const bytes = new Uint8Array(mapAt + parts.sourceMap.length + hashBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of [magic, fileVersion, manifest.length, parts.pageNumbers.length, parts.sourceMap.length].entries())
    view.setUint32(4 * index, value, true);
  bytes.set(manifest, headerBytes);
  for (const [index, page] of parts.pageNumbers.entries()) view.setUint32(headerBytes + manifest.length + 4 * index, page, true);
  bytes.set(parts.pages, pagesAt);
  bytes.set(parts.sourceMap, mapAt);
  const hash = createHash("sha256").update(bytes.subarray(0, -hashBytes)).digest();
  bytes.set(hash, bytes.length - hashBytes);
  return { ...parts, sha256: toHex(hash), bytes };
}

function corrupt(what: string): CodedError {
  return new CodedError("MF_IMAGE_CORRUPT", `the image can't be used, ${what}: build it again with \`mayfly build\``);
}

function readManifest(bytes: Uint8Array): Manifest {
  let manifest: unknown;
  try {
    manifest = JSON.parse(fromUtf8(bytes));
  } catch {
    throw corrupt("its manifest is not JSON");
  }
  const fault = manifestFault(manifest);
  if (fault !== undefined) throw corrupt(`its manifest is malformed (${fault})`);
  return manifest as Manifest;
}

function readPageNumbers(view: DataView, at: number, count: number, memoryPages: number): Uint32Array {
  const numbers = new Uint32Array(count);
  const last = (memoryPages * layout.wasmPageBytes) / pageBytes;
  let before = layout.monitorBytes / pageBytes - 1; // the monitor's own pages belong to no image
  for (let index = 0; index < count; index++) {
    const page = view.getUint32(at + 4 * index, true);
    if (page <= before || page >= last) throw corrupt("its pages are out of order or out of range");
    numbers[index] = page;
    before = page;
  }
  return numbers;
}

/** Reads an image; total on hostile bytes. Throws MF_IMAGE_CORRUPT, MF_IMAGE_VERSION. Views into `bytes` are kept. */
export function readImage(bytes: Uint8Array): Image {
  if (bytes.length < headerBytes + hashBytes || bytes.length > mostFileBytes) throw corrupt("its length is not that of an image");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) throw corrupt("it is not an image");
  if (view.getUint32(4, true) !== fileVersion)
    throw new CodedError(
      "MF_IMAGE_VERSION",
      `the image has layout ${view.getUint32(4, true)}, this Mayfly reads ${fileVersion}: build it again with \`mayfly build\``,
    );
  const hash = createHash("sha256").update(bytes.subarray(0, -hashBytes)).digest();
  if (!equalBytes(hash, bytes.subarray(-hashBytes))) throw corrupt("its contents do not match its SHA-256 (cut short or changed)");
  const [manifestLength, count, mapLength] = [view.getUint32(8, true), view.getUint32(12, true), view.getUint32(16, true)];
  if (count > mostPages) throw corrupt("it has more pages than a machine can have");
  const pagesAt = align(headerBytes + manifestLength + 4 * count);
  const mapAt = pagesAt + count * pageBytes;
  if (mapAt + mapLength + hashBytes !== bytes.length) throw corrupt("its lengths are inconsistent");
  const manifest = readManifest(bytes.subarray(headerBytes, headerBytes + manifestLength));
  if (manifest.abi !== abiVersion)
    throw new CodedError(
      "MF_IMAGE_VERSION",
      `the image speaks ABI ${manifest.abi}, this Mayfly speaks ${abiVersion}: build it again with \`mayfly build\``,
    );
  return {
    manifest,
    sha256: toHex(hash),
    pageNumbers: readPageNumbers(view, headerBytes + manifestLength, count, manifest.memoryPages),
    pages: bytes.subarray(pagesAt, mapAt),
    sourceMap: bytes.subarray(mapAt, mapAt + mapLength),
    bytes,
  };
}

/** Reads an image file. Throws MF_IMAGE_NOT_FOUND besides what `readImage` throws. */
export async function loadImage(path: string): Promise<Image> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new CodedError("MF_IMAGE_NOT_FOUND", `no image can be read at ${path}: ${(cause as Error).message}`, { cause });
  }
  let image: Image;
  try {
    image = readImage(bytes);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw new CodedError(error.code, `${path}: ${error.message}`, { cause: error });
  }
  const kernel = await keptKernel(path, image.manifest);
  return kernel === undefined ? image : { ...image, kernel };
}

/** True if the file begins like an image. False if it can't be read. */
export function isImageFile(path: string): boolean {
  const start = new Uint8Array(4);
  try {
    const file = openSync(path, "r");
    try {
      return readSync(file, start) === start.length && new DataView(start.buffer).getUint32(0, true) === magic;
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}
