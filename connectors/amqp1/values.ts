/**
 * AMQP 1.0's types (OASIS AMQP 1.0, part 1), read with bounds. A message is written by whoever sends it, and the broker hands it on unread:
 * four bytes of it can claim four billion elements.
 *
 *   null, boolean, string, symbol        null, boolean, string
 *   8 to 64 bits, float, double          number; bigint for what a number does not hold
 *   char, uuid                           string
 *   timestamp                            Date
 *   binary, decimal32, 64, 128           Uint8Array
 *   list, array                          array
 *   map                                  Map
 *   described                            Described
 */
import { amqp1Limits } from "./limits.ts";

export class Described {
  /** A number of AMQP's own, or a symbol. */
  readonly descriptor: unknown;
  readonly value: unknown;

  constructor(descriptor: unknown, value: unknown) {
    this.descriptor = descriptor;
    this.value = value;
  }
}

/** The bytes are not what AMQP 1.0 says, or beyond a bound. */
export class BadEncoding extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BadEncoding";
  }
}

const utf8 = new TextDecoder("utf-8");

const uuidOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");

const fitting = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;

function charOf(code: number): string {
  if (code > 0x10_ffff) throw new BadEncoding("a char is no character");
  return String.fromCodePoint(code);
}

type Fixed = readonly [width: number, read: (bytes: Buffer, at: number) => unknown];

/** Types of a fixed width: that width in bytes, and how they are read. */
const fixed: ReadonlyMap<number, Fixed> = new Map<number, Fixed>([
  [0x40, [0, () => null]],
  [0x41, [0, () => true]],
  [0x42, [0, () => false]],
  [0x43, [0, () => 0]],
  [0x44, [0, () => 0]],
  [0x45, [0, () => []]],
  [0x50, [1, (bytes, at) => bytes.readUInt8(at)]],
  [0x51, [1, (bytes, at) => bytes.readInt8(at)]],
  [0x52, [1, (bytes, at) => bytes.readUInt8(at)]],
  [0x53, [1, (bytes, at) => bytes.readUInt8(at)]],
  [0x54, [1, (bytes, at) => bytes.readInt8(at)]],
  [0x55, [1, (bytes, at) => bytes.readInt8(at)]],
  [0x56, [1, (bytes, at) => bytes.readUInt8(at) !== 0]],
  [0x60, [2, (bytes, at) => bytes.readUInt16BE(at)]],
  [0x61, [2, (bytes, at) => bytes.readInt16BE(at)]],
  [0x70, [4, (bytes, at) => bytes.readUInt32BE(at)]],
  [0x71, [4, (bytes, at) => bytes.readInt32BE(at)]],
  [0x72, [4, (bytes, at) => bytes.readFloatBE(at)]],
  [0x73, [4, (bytes, at) => charOf(bytes.readUInt32BE(at))]],
  [0x74, [4, (bytes, at) => bytes.subarray(at, at + 4)]],
  [0x80, [8, (bytes, at) => fitting(bytes.readBigUInt64BE(at))]],
  [0x81, [8, (bytes, at) => fitting(bytes.readBigInt64BE(at))]],
  [0x82, [8, (bytes, at) => bytes.readDoubleBE(at)]],
  [0x83, [8, (bytes, at) => new Date(Number(bytes.readBigInt64BE(at)))]],
  [0x84, [8, (bytes, at) => bytes.subarray(at, at + 8)]],
  [0x94, [16, (bytes, at) => bytes.subarray(at, at + 16)]],
  [0x98, [16, (bytes, at) => uuidOf(bytes.subarray(at, at + 16))]],
]);

const isWide = (code: number): boolean => (code & 0x10) !== 0;

export class Reader {
  readonly #bytes: Buffer;
  at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  /** The next value. Throws BadEncoding. */
  value(depth = 0): unknown {
    const code = this.#length(1);
    if (code !== 0x00) return this.#read(code, depth);
    const descriptor = this.value(this.#deeper(depth));
    return new Described(descriptor, this.value(this.#deeper(depth)));
  }

  #deeper(depth: number): number {
    if (depth >= amqp1Limits.depth) throw new BadEncoding(`values are nested more than ${amqp1Limits.depth} deep`);
    return depth + 1;
  }

  #read(code: number, depth: number): unknown {
    this.#values += 1;
    if (this.#values > amqp1Limits.values) throw new BadEncoding(`there are more than ${amqp1Limits.values} values`);
    const known = fixed.get(code);
    if (known !== undefined) return known[1](this.#bytes, this.#take(known[0]));
    const width = isWide(code) ? 4 : 1;
    switch (code & 0xef) {
      case 0xa0:
        return this.#slice(this.#length(width));
      case 0xa1:
        return utf8.decode(this.#slice(this.#length(width)));
      case 0xa3:
        return this.#slice(this.#length(width)).toString("latin1");
      case 0xc0:
        return this.#list(width, this.#deeper(depth));
      case 0xc1:
        return this.#map(width, this.#deeper(depth));
      case 0xe0:
        return this.#array(width, this.#deeper(depth));
      default:
        throw new BadEncoding(`there is no type 0x${code.toString(16).padStart(2, "0")}`);
    }
  }

  #list(width: 1 | 4, depth: number): unknown[] {
    const [count, end] = this.#extent(width);
    if (count > end - this.at) throw new BadEncoding("a list claims more elements than bytes");
    const items: unknown[] = [];
    while (items.length < count) items.push(this.value(depth));
    return this.#ended(end, items);
  }

  #map(width: 1 | 4, depth: number): Map<unknown, unknown> {
    const [count, end] = this.#extent(width);
    if (count % 2 !== 0 || count > end - this.at) throw new BadEncoding("a map claims a wrong number of elements");
    const map = new Map<unknown, unknown>();
    for (let n = 0; n < count; n += 2) map.set(this.value(depth), this.value(depth));
    return this.#ended(end, map);
  }

  /** Its elements may have no width at all: their number counts, and not only their bytes. */
  #array(width: 1 | 4, depth: number): unknown[] {
    const [count, end] = this.#extent(width);
    let code = this.#length(1);
    while (code === 0x00) {
      this.value(this.#deeper(depth));
      code = this.#length(1);
    }
    const items: unknown[] = [];
    while (items.length < count) items.push(this.#read(code, depth));
    return this.#ended(end, items);
  }

  /** Number of elements, and where the last one ends. */
  #extent(width: 1 | 4): readonly [count: number, end: number] {
    const size = this.#length(width);
    const end = this.at + size;
    if (size > this.left || size < width) throw new BadEncoding("a value goes beyond its end");
    return [this.#length(width), end];
  }

  #ended<T>(end: number, value: T): T {
    if (this.at !== end) throw new BadEncoding("a value does not have the size that it claims");
    return value;
  }

  #length(width: 1 | 4): number {
    const at = this.#take(width);
    return width === 1 ? this.#bytes.readUInt8(at) : this.#bytes.readUInt32BE(at);
  }

  #slice(length: number): Buffer {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(length: number): number {
    const { at } = this;
    if (length > this.left) throw new BadEncoding("the bytes end within a value");
    this.at += length;
    return at;
  }
}
