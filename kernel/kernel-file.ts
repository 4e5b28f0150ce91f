/**
 * A kernel as one file, `HASH.kernel`: an image runs only on the kernel it was booted with, and machines may sleep in it while Mayfly is
 * upgraded to a version that has another one.
 *
 *   brotli( u32 length, engine, u32 length, natives, u32 length, runtime )      lengths in bytes, little endian
 *
 * The name is the check: it is the hash of what is inside.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { type Kernel, kernelHash } from "./artifacts.ts";

/** Longest kernel that is read, in bytes: today's has 730,000. */
const mostBytes = 64 * 1024 * 1024;
const parts = 3;

export function kernelFileName(hash: string): string {
  return `${hash}.kernel`;
}

export function encodeKernel({ engine, native, runtime }: Kernel): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const part of [engine, native, runtime]) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length, true);
    pieces.push(length, part);
  }
  return brotliCompressSync(Buffer.concat(pieces), { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } });
}

/** Undefined where the bytes are not the kernel with this hash. */
export function decodeKernel(bytes: Uint8Array, hash: string): Kernel | undefined {
  let whole: Buffer;
  try {
    whole = brotliDecompressSync(bytes, { maxOutputLength: mostBytes });
  } catch {
    return undefined;
  }
  const found: Uint8Array[] = [];
  let at = 0;
  for (let part = 0; part < parts; part++) {
    if (at + 4 > whole.length) return undefined;
    const end = at + 4 + whole.readUInt32LE(at);
    if (end > whole.length) return undefined;
    found.push(whole.subarray(at + 4, end));
    at = end;
  }
  const [engine, native, runtime] = found as [Uint8Array, Uint8Array, Uint8Array];
  return at === whole.length && kernelHash([engine, native, runtime]) === hash ? { engine, native, runtime, hash } : undefined;
}
