/** Decompression within bounds: memory is taken as the bytes unfold, and unpacking stops where there is no more. */
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { Pieces } from "./pieces.ts";

const decompressors: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
]);

/** A new decompressor of a content encoding; undefined for an unknown one. */
export function decompressor(encoding: string): Transform | undefined {
  return decompressors.get(encoding)?.();
}

export type Unpacked = { readonly body: Uint8Array } | { readonly failed: "unknown" | "damaged" | "tooBig" | "noMemory" };

export interface UnpackOptions {
  readonly encoding: string;
  /** Most bytes unpacked. */
  readonly limit: number;
  /** Asked for every piece; false ends it. */
  readonly take: (bytes: number) => boolean;
}

/** Calls `done` once. What was taken stays taken: the caller gives it back, whatever the result. */
export function unpack(body: Uint8Array, { encoding, limit, take }: UnpackOptions, done: (unpacked: Unpacked) => void): void {
  const stream = decompressor(encoding);
  if (stream === undefined) return done({ failed: "unknown" });
  const pieces = new Pieces();
  let over = false;
  const end = (unpacked: Unpacked): void => {
    if (over) return;
    over = true;
    stream.destroy();
    done(unpacked);
  };
  stream.on("data", (piece: Buffer) => {
    if (over) return;
    if (pieces.bytes + piece.length > limit) end({ failed: "tooBig" });
    else if (take(piece.length)) pieces.add(piece);
    else end({ failed: "noMemory" });
  });
  stream.on("end", () => end({ body: pieces.whole() }));
  stream.on("error", () => end({ failed: "damaged" }));
  stream.end(body);
}
