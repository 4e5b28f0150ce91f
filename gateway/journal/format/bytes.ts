/**
 * Values as bytes, little endian, and back.
 *
 *   u8 · u32 · number: f64 · text: u32 bytes of UTF-8, 0xffffffff for absent, then they · bytes: the same
 *
 * The writer appends to one growing buffer that is used again; the reader is total: after the first misfit it gives zeros and
 * empty values and `valid` is false.
 */
import { writeUtf8 } from "#base";

const absent = 0xffff_ffff;

export class ByteWriter {
  buffer: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `more` bytes beyond `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.length = this.buffer.writeUInt32LE(value, this.length);
  }

  number(value: number): void {
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  text(value: string | undefined): void {
    if (value === undefined) return this.u32(absent);
    this.reserve(4 + value.length * 3); // a UTF-16 unit is at most three bytes of UTF-8
    const bytes = writeUtf8(this.buffer, value, this.length + 4);
    this.buffer.writeUInt32LE(bytes, this.length);
    this.length += 4 + bytes;
  }

  bytes(value: Uint8Array): void {
    this.reserve(4 + value.length);
    this.length = this.buffer.writeUInt32LE(value.length, this.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  /** Adds zeros up to a multiple of `unit`. */
  pad(unit: number): void {
    const more = (unit - (this.length % unit)) % unit;
    this.reserve(more);
    this.buffer.fill(0, this.length, this.length + more);
    this.length += more;
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  at = 0;
  valid = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True when everything was read and nothing misfitted. */
  get done(): boolean {
    return this.valid && this.at === this.#bytes.length;
  }

  u8(): number {
    return this.#has(1) ? (this.#bytes[this.at++] ?? 0) : 0;
  }

  u32(): number {
    if (!this.#has(4)) return 0;
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  number(): number {
    if (!this.#has(8)) return 0;
    this.at += 8;
    return this.#bytes.readDoubleLE(this.at - 8);
  }

  /** A whole number from 0 to 2⁵³. */
  count(): number {
    const value = this.number();
    if (Number.isSafeInteger(value) && value >= 0) return value;
    this.valid = false;
    return 0;
  }

  optionalNumber(): number | undefined {
    return this.u8() === 0 ? undefined : this.number();
  }

  optionalText(): string | undefined {
    const length = this.u32();
    if (length === absent && this.valid) return undefined;
    if (length === 0 || !this.#has(length)) return "";
    this.at += length;
    return this.#bytes.toString("utf8", this.at - length, this.at);
  }

  text(): string {
    const text = this.optionalText();
    if (text === undefined) this.valid = false;
    return text ?? "";
  }

  /** Passes over a text. */
  skipText(): void {
    const length = this.u32();
    if (this.#has(length)) this.at += length;
  }

  /** All bytes, read or not; a view. */
  get all(): Uint8Array {
    return this.#bytes;
  }

  /** A view: copy what must outlive the buffer. */
  bytes(): Uint8Array {
    const length = this.u32();
    if (!this.#has(length)) return new Uint8Array(0);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** How many items follow, each of at least `leastBytes`; 0 when they can't. */
  items(leastBytes: number): number {
    const count = this.u32();
    if (this.valid && count * leastBytes <= this.#bytes.length - this.at) return count;
    this.valid = false;
    return 0;
  }

  #has(length: number): boolean {
    if (this.valid && length <= this.#bytes.length - this.at) return true;
    this.valid = false;
    return false;
  }
}

export function writeOptionalNumber(writer: ByteWriter, value: number | undefined): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) writer.number(value);
}
