import { malformed } from "./errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a byte range and never beyond it (spec 5.2: values). */
export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw malformed(this.at, "unexpected end");
    return this.bytes[this.at++] as number;
  }

  /** An unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) throw malformed(this.at - 1, byte > 0x7f ? "integer representation too long" : "integer too large");
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
    throw malformed(this.at, "integer representation too long");
  }

  /** A signed LEB128 of at most 32 bits. */
  s32(): number {
    let result = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (result << (25 - shift)) >> (25 - shift);
    }
    const last = this.byte();
    if (last > 0x7f) throw malformed(this.at - 1, "integer representation too long");
    // Bits 4–6 must repeat the sign in bit 3.
    if (last > 0x07 && last < 0x78) throw malformed(this.at - 1, "integer too large");
    return result | (last << 28);
  }

  /** A signed LEB128 of at most 33 bits, as block types have. */
  s33(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28) {
        if (byte > 0x7f) throw malformed(this.at - 1, "integer representation too long");
        if (byte > 0x0f && byte < 0x70) throw malformed(this.at - 1, "integer too large");
      }
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? result - 2 ** (shift + 7) : result;
    }
    throw malformed(this.at, "integer representation too long");
  }

  /** A signed LEB128 of at most 64 bits, as two signed 32-bit halves. */
  s64(): { readonly low: number; readonly high: number } {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      if (shift === 63) {
        if (byte > 0x7f) throw malformed(this.at - 1, "integer representation too long");
        if (byte !== 0 && byte !== 0x7f) throw malformed(this.at - 1, "integer too large");
      }
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high |= bits >> 4;
      if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) {
        const negative = (byte & 0x40) !== 0;
        const width = shift + 7;
        if (negative && width < 32) {
          low |= -1 << width;
          high = -1;
        } else if (negative && width < 64) high |= -1 << (width - 32);
        return { low, high };
      }
    }
    throw malformed(this.at, "integer representation too long");
  }

  /** Four bytes, little endian, as a signed number. */
  bits32(): number {
    const bytes = this.take(4);
    return (bytes[0] as number) | ((bytes[1] as number) << 8) | ((bytes[2] as number) << 16) | ((bytes[3] as number) << 24);
  }

  take(length: number): Uint8Array {
    if (length > this.end - this.at) throw malformed(this.at, "unexpected end: length out of bounds");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  name(): string {
    const at = this.at;
    const bytes = this.take(this.u32());
    try {
      return utf8.decode(bytes);
    } catch {
      throw malformed(at, "malformed UTF-8 encoding");
    }
  }

  /** The length of a vector whose elements take at least one byte each. */
  count(limit: number, what: string): number {
    const at = this.at;
    const count = this.u32();
    if (count > limit || count > this.end - this.at) throw malformed(at, `unexpected end: ${count} ${what} cannot fit`);
    return count;
  }
}
