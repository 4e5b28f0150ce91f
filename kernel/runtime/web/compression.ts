/** The part `compression`: CompressionStream and DecompressionStream over whole bodies, by the package fflate. */
import { deflateSync, gunzipSync, gzipSync, inflateSync, unzlibSync, zlibSync } from "fflate";
import { kernel } from "../link.ts";
import { table } from "../table.ts";
import { bytesOf, PairOfStreams } from "./streams.ts";

interface Format {
  compress(bytes: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array): Uint8Array;
  /** Throws when the sum at the end of `packed` is not that of `bytes`; fflate looks at none. */
  check(packed: DataView, bytes: Uint8Array): void;
}

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 (RFC 1952, §8). */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let index = 0; index < bytes.length; index++) crc = crcTable[(crc ^ bytes[index]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Adler-32 (RFC 1950, §8.2). 3,800 bytes are fewer than the sums overflow at. */
function adler32(bytes: Uint8Array): number {
  let [low, high] = [1, 0];
  for (let at = 0; at < bytes.length; at += 3_800) {
    const end = Math.min(at + 3_800, bytes.length);
    for (let index = at; index < end; index++) high += low += bytes[index]!;
    low %= 65_521;
    high %= 65_521;
  }
  return ((high << 16) | low) >>> 0;
}

const formats: Readonly<Record<string, Format>> = table({
  gzip: {
    compress: (bytes) => gzipSync(bytes, { mtime: 0 }),
    decompress: (bytes) => gunzipSync(bytes),
    check(packed, bytes) {
      if (packed.getUint32(packed.byteLength - 8, true) !== crc32(bytes)) throw new TypeError("the sum at the end is another");
    },
  },
  deflate: {
    compress: (bytes) => zlibSync(bytes),
    decompress: (bytes) => unzlibSync(bytes),
    check(packed, bytes) {
      if (packed.getUint32(packed.byteLength - 4) !== adler32(bytes)) throw new TypeError("the sum at the end is another");
    },
  },
  "deflate-raw": { compress: (bytes) => deflateSync(bytes), decompress: (bytes) => inflateSync(bytes), check: () => undefined },
});

function formatOf(name: unknown, by: string): Format {
  const format = formats[`${name as string}`];
  if (format === undefined)
    throw new TypeError(`${by}: the format ${JSON.stringify(name)} is not one of ${Object.keys(formats).join(", ")}`);
  return format;
}

function whole(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Streams that take everything in, and give out one piece at the end. */
class WholeStream extends PairOfStreams {
  constructor(make: (bytes: Uint8Array) => Uint8Array) {
    const pieces: Uint8Array[] = [];
    super(
      (piece) => void pieces.push(bytesOf(piece)),
      (controller) => {
        const bytes = make(whole(pieces));
        if (bytes.length > 0) controller.enqueue(bytes);
      },
    );
  }
}

class CompressionStream extends WholeStream {
  constructor(format: string) {
    const { compress } = formatOf(format, "CompressionStream");
    super(compress);
  }
}

class DecompressionStream extends WholeStream {
  constructor(format: string) {
    const { decompress, check } = formatOf(format, "DecompressionStream");
    super((packed) => {
      try {
        const bytes = decompress(packed);
        check(new DataView(packed.buffer, packed.byteOffset, packed.byteLength), bytes);
        return bytes;
      } catch (cause) {
        throw Object.assign(new TypeError(`DecompressionStream: the bytes are not ${format}: ${(cause as Error).message}`), { cause });
      }
    });
  }
}

kernel.define("CompressionStream", CompressionStream);
kernel.define("DecompressionStream", DecompressionStream);
