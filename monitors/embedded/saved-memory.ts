/**
 * A waiting machine's memory as bytes that outlive the process: what it has written, as the difference from its image, so that most of it is
 * zeros and compresses well. Little endian, then deflated (RFC 1951):
 *
 *   u32 "MFPG" │ u32 stack pointer │ u32 memory, pages of 64 KiB │ u32 count │ u32 page numbers, growing │ pages of 4 KiB, XOR the image's
 *
 * They come back from a disk: the reader is total, and bounds what it inflates.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { layout } from "#kernel";
import { embeddedLimits } from "./limits.ts";

const magic = 0x47_50_46_4d;
const headerBytes = 16;
const { pageBytes, wasmPageBytes, monitorBytes } = layout;

/** A frame that was read; views into it. */
export interface SavedMemory {
  readonly stackPointer: number;
  readonly memoryPages: number;
  readonly pageNumbers: Uint32Array;
  /** XOR the image's, in the order of their numbers. */
  readonly pages: Uint8Array;
}

/** Bytes of a frame with as many pages. */
export function savedLength(pages: number): number {
  return headerBytes + pages * (4 + pageBytes);
}

export function encodeMemory({ stackPointer, memoryPages, pageNumbers, pages }: SavedMemory): Uint8Array {
  const frame = new Uint8Array(savedLength(pageNumbers.length));
  new Uint32Array(frame.buffer, 0, 4).set([magic, stackPointer, memoryPages, pageNumbers.length]);
  new Uint32Array(frame.buffer, headerBytes, pageNumbers.length).set(pageNumbers);
  frame.set(pages, headerBytes + 4 * pageNumbers.length);
  return frame;
}

export function packMemory(frame: Uint8Array): Uint8Array {
  return new Uint8Array(deflateRawSync(frame, { level: 1 }));
}

/** Undefined for bytes that hold something else. */
export function unpackMemory(packed: Uint8Array): SavedMemory | undefined {
  try {
    const inflated = inflateRawSync(packed, { maxOutputLength: embeddedLimits.savedBytes });
    return readMemory(new Uint8Array(inflated)); // aligned
  } catch {
    return undefined;
  }
}

/** Undefined for bytes that hold something else. `frame` begins at an even place of its buffer. */
export function readMemory(frame: Uint8Array): SavedMemory | undefined {
  if (frame.length < headerBytes || frame.byteOffset % 4 !== 0) return undefined;
  const [found, stackPointer = 0, memoryPages = 0, count = 0] = new Uint32Array(frame.buffer, frame.byteOffset, 4);
  if (found !== magic || frame.length !== savedLength(count)) return undefined;
  const pageNumbers = new Uint32Array(frame.buffer, frame.byteOffset + headerBytes, count);
  const end = (memoryPages * wasmPageBytes) / pageBytes;
  let before = monitorBytes / pageBytes - 1;
  for (const page of pageNumbers) {
    if (page <= before || page >= end) return undefined;
    before = page;
  }
  if (memoryPages > embeddedLimits.savedPages || stackPointer >= memoryPages * wasmPageBytes) return undefined;
  return { stackPointer, memoryPages, pageNumbers, pages: frame.subarray(headerBytes + 4 * count) };
}
