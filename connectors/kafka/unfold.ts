/** Bounds what compressed batches of records unfold to: a megabyte of zeros in gzip or zstd is a gigabyte and more. */
import { gunzipSync, type ZlibOptions } from "node:zlib";
import * as zlib from "node:zlib";
import { CodedError } from "#base";
import { kafkaLimits } from "./limits.ts";

/** Of the client's own type: a Buffer, or something that has one. */
type Packed = Buffer | { readonly buffer: Buffer };
type Unfold = (bytes: Uint8Array, options: ZlibOptions) => Buffer;

/** The client's table; the entries of snappy and lz4 are left alone: they unfold to 255 times their length at most. */
export interface Compressions {
  readonly gzip: { decompressSync: (data: never) => Buffer };
  readonly zstd: { decompressSync: (data: never) => Buffer };
}

export function boundUnfolding(compressions: Compressions): void {
  compressions.gzip.decompressSync = (data: Packed) => bounded(gunzipSync, data);
  const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: Unfold }; // not in Node 20
  if (zstdDecompressSync !== undefined) compressions.zstd.decompressSync = (data: Packed) => bounded(zstdDecompressSync, data);
}

function bounded(unfold: Unfold, data: Packed): Buffer {
  try {
    return unfold(Buffer.isBuffer(data) ? data : data.buffer, { maxOutputLength: kafkaLimits.unfoldedBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw cause;
    throw new CodedError(
      "MF_KAFKA_BATCH",
      `a batch of records unfolds to more than ${kafkaLimits.unfoldedBytes} bytes: move the group behind it, and find who sent it`,
      { cause },
    );
  }
}
