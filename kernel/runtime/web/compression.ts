/** The part `compression`: CompressionStream and DecompressionStream over whole bodies, by native code. */
import { kernel } from "../link.ts";
import { deflateRaw, type Inflated, inflateRaw, sumKinds } from "./packing.ts";
import { table } from "../table.ts";
import { bytesOf, PairOfStreams } from "./streams.ts";

interface Format {
  readonly sum: number;
  /** The bytes in front of what is compressed. */
  readonly head: Uint8Array;
  /** Their number in packed bytes. Throws TypeError. */
  headOf(packed: Uint8Array): number;
  /** The bytes behind it. */
  tail(sum: number, length: number): Uint8Array;
}

function wrong(why: string): never {
  throw new TypeError(why);
}

function endsEarly(): never {
  return wrong("they end early");
}

/** Of gzip's head (RFC 1952, §2.3): flags. */
const [hasHeadSum, hasExtra, hasName, hasComment, reserved] = [2, 4, 8, 16, 0xe0];

function gzipHead(packed: Uint8Array): number {
  if (packed.length < 10) endsEarly();
  if (packed[0] !== 0x1f || packed[1] !== 0x8b || packed[2] !== 8) wrong("they do not begin with a head of gzip");
  const flags = packed[3]!;
  if ((flags & reserved) !== 0) wrong("the head has flags that are not known");
  let at = 10;
  if ((flags & hasExtra) !== 0) at += 2 + (packed[at]! | (packed[at + 1]! << 8));
  for (const flag of [hasName, hasComment]) {
    if ((flags & flag) === 0) continue;
    at = packed.indexOf(0, at) + 1;
    if (at === 0) endsEarly();
  }
  if ((flags & hasHeadSum) === 0) return at;
  const sum = inflateRaw(packedStored(packed.subarray(0, at)), 0, sumKinds.crc32).sum;
  if ((packed[at]! | (packed[at + 1]! << 8)) !== (sum & 0xffff)) wrong("the sum of the head is another");
  return at + 2;
}

/** Bytes of fewer than 64 KiB as deflate has them in a stored block: their sum comes with them. */
function packedStored(bytes: Uint8Array): Uint8Array {
  return whole([Uint8Array.of(1, bytes.length, bytes.length >> 8, ~bytes.length, ~bytes.length >> 8), bytes]);
}

/** The head of zlib's format (RFC 1950, §2.2). */
function zlibHead([method, flags]: Uint8Array): number {
  if (method === undefined || flags === undefined) return endsEarly();
  if ((method & 15) !== 8 || method >> 4 > 7 || ((method << 8) | flags) % 31 !== 0) wrong("they do not begin with a head of zlib");
  if ((flags & 32) !== 0) wrong("they need a dictionary");
  return 2;
}

function littleEndian(...numbers: number[]): Uint8Array {
  return Uint8Array.from(numbers.flatMap((number) => [number, number >> 8, number >> 16, number >> 24]));
}

const nothing = new Uint8Array(0);

const formats: Readonly<Record<string, Format>> = table({
  gzip: {
    sum: sumKinds.crc32,
    head: Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff),
    headOf: gzipHead,
    tail: (sum, length) => littleEndian(sum, length),
  },
  deflate: { sum: sumKinds.adler32, head: Uint8Array.of(0x78, 0x9c), headOf: zlibHead, tail: (sum) => littleEndian(sum).reverse() },
  "deflate-raw": { sum: sumKinds.none, head: nothing, headOf: () => 0, tail: () => nothing },
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

function compress({ sum: kind, head, tail }: Format, bytes: Uint8Array): Uint8Array {
  const { pieces, sum } = deflateRaw(bytes, kind);
  return whole([head, ...pieces, tail(sum, bytes.length)]);
}

function decompress({ sum: kind, headOf, tail }: Format, packed: Uint8Array): Uint8Array {
  const head = headOf(packed);
  if (head > packed.length) endsEarly();
  const { pieces, sum, end }: Inflated = inflateRaw(packed, head, kind);
  const bytes = whole(pieces);
  const expected = tail(sum, bytes.length);
  if (end + expected.length > packed.length) endsEarly();
  for (let index = 0; index < expected.length; index++) if (expected[index] !== packed[end + index]) wrong("the sum at the end is another");
  if (end + expected.length < packed.length) wrong("something stands behind the end");
  return bytes;
}

class CompressionStream extends WholeStream {
  constructor(name: string) {
    const format = formatOf(name, "CompressionStream");
    super((bytes) => compress(format, bytes));
  }
}

class DecompressionStream extends WholeStream {
  constructor(name: string) {
    const format = formatOf(name, "DecompressionStream");
    super((packed) => {
      try {
        return decompress(format, packed);
      } catch (cause) {
        if (!(cause instanceof TypeError)) throw cause;
        throw Object.assign(new TypeError(`DecompressionStream: the bytes are not ${name}: ${cause.message}`), { cause });
      }
    });
  }
}

kernel.define("CompressionStream", CompressionStream);
kernel.define("DecompressionStream", DecompressionStream);
