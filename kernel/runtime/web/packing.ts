/** Deflate and inflate by native code, piece by piece, so that a flow's CPU limit ends what takes too long. */
import { kernel } from "../link.ts";

/** Sums over the bytes that are not compressed, as the natives number them. */
export const sumKinds = { none: 0, crc32: 1, adler32: 2 } as const;

// Of the natives' bytes (kernel/native/inflate.ts, deflate.ts).
const inflateOutputAt = 45_312;
const inflateBytes = inflateOutputAt + 256 * 1024;
const inflateSum = { at: 36, kindAt: 40 };
const doneInflating = 4;
const deflateOutputAt = 352_256;
const deflateBytes = 454_656;
const deflateSum = { at: 16, kindAt: 20 };

/** The engine asks after 10,000 operations whether it may go on, and a call of a native is one to it: with these it asks every few pieces. */
const operationsOfPiece = 2_500;
/** Pieces of inflate that take as long as one of deflate. */
const piecesAtOnce = 4;

function countPiece(): void {
  for (let operation = 0; operation < operationsOfPiece; operation++);
}

function workOf(bytes: number, { at, kindAt }: { at: number; kindAt: number }, kind: number): { work: Uint8Array; fields: DataView } {
  const work = new Uint8Array(bytes);
  const fields = new DataView(work.buffer);
  fields.setUint32(kindAt, kind, true);
  fields.setUint32(at, kind === sumKinds.adler32 ? 1 : 0, true);
  return { work, fields };
}

export interface Inflated {
  readonly pieces: readonly Uint8Array[];
  readonly sum: number;
  /** Offset of the byte behind. */
  readonly end: number;
}

/** Inflates what begins at `start`. Throws TypeError. */
export function inflateRaw(packed: Uint8Array, start: number, kind: number): Inflated {
  const { work, fields } = workOf(inflateBytes, inflateSum, kind);
  const pieces: Uint8Array[] = [];
  fields.setUint32(0, start, true);
  for (let calls = 1; fields.getUint32(4, true) !== doneInflating; calls++) {
    const made = kernel.native.inflate(work, packed);
    if (made < 0) throw new TypeError(made === -1 ? "they end early" : "they are damaged");
    if (made > 0) pieces.push(work.slice(inflateOutputAt, inflateOutputAt + made));
    if (calls % piecesAtOnce === 0) countPiece();
  }
  return { pieces, sum: fields.getUint32(inflateSum.at, true), end: fields.getUint32(0, true) };
}

export function deflateRaw(bytes: Uint8Array, kind: number): { readonly pieces: readonly Uint8Array[]; readonly sum: number } {
  const { work, fields } = workOf(deflateBytes, deflateSum, kind);
  const pieces: Uint8Array[] = [];
  while (fields.getUint32(12, true) === 0) {
    const made = kernel.native.deflate(work, bytes);
    pieces.push(work.slice(deflateOutputAt, deflateOutputAt + made));
    countPiece();
  }
  return { pieces, sum: fields.getUint32(deflateSum.at, true) };
}
