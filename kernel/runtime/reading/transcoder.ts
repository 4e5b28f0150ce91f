/** Bytes that come in pieces, as text or as UTF-8. A character that is cut at the end of a piece waits for the next. */
import type { Decoder, Encoding, Malformed } from "../charset.ts";
import { kernel } from "../link.ts";

const nothing = new Uint8Array(0);

export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

/** Bytes at the end that begin a character of UTF-8 and do not end it. */
function cutUtf8(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

/** The same of UTF-16: half a unit, or the first half of a pair. */
function cutUtf16(bytes: Uint8Array, bigEndian: boolean): number {
  const odd = bytes.length & 1;
  const last = bytes[bytes.length - odd - (bigEndian ? 2 : 1)];
  return odd + (last !== undefined && last >= 0xd8 && last <= 0xdb ? 2 : 0);
}

/** A piece in a charset of several bytes a character, and how many UTF-16 units its text has. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly units: number;
}

export class Transcoder {
  readonly encoding: Encoding;
  private readonly malformed: Malformed;
  private held: Uint8Array = nothing;
  /** Place of the next piece's first byte in the body. */
  private offset: number;
  private readonly decoder: Decoder | undefined;
  /** With a decoder: the last pieces, as many as `bytesOf` may be asked for. */
  private pieces: Piece[] = [];

  constructor(encoding: Encoding, malformed: Malformed, offset: number) {
    this.encoding = encoding;
    this.malformed = malformed;
    this.offset = offset;
    this.decoder = kernel.decoderOf(encoding);
  }

  /** Bytes that wait for the next piece. */
  get heldBytes(): number {
    return this.held.length;
  }

  /** Bytes that the end of the text so far took in the body. Ends that were asked for before were not shorter, but for what came behind. */
  bytesOf(text: string): number {
    if (this.decoder !== undefined) return this.bytesOfEnd(text.length);
    if (this.encoding === "utf-8") return kernel.utf8.encode(text).length;
    return this.isWide ? 2 * text.length : text.length;
  }

  private bytesOfEnd(wanted: number): number {
    let units = this.pieces.reduce((sum, piece) => sum + piece.units, 0);
    while (this.pieces.length > 0 && units > wanted) {
      const first = this.pieces.shift()!;
      units -= first.units;
      if (units >= wanted) continue;
      const decoder = kernel.decoderOf(this.encoding)!;
      const skipped = decoder.decode(first.bytes, { malformed: "replace", most: units + first.units - wanted }).length;
      this.pieces.unshift({ bytes: first.bytes.subarray(decoder.read), units: first.units - skipped });
      break;
    }
    return this.pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** The next text. Throws TypeError for malformed bytes, with the place of the first. */
  text(piece: Uint8Array, isLast: boolean): string {
    return this.decode(this.whole(piece, isLast), isLast);
  }

  /** The same as UTF-8. */
  utf8(piece: Uint8Array, isLast: boolean): Uint8Array {
    const whole = this.whole(piece, isLast);
    const text = this.decode(whole, isLast);
    return this.encoding === "utf-8" && this.malformed === "refuse" ? whole : kernel.utf8.encode(text);
  }

  /** Whole characters. */
  private whole(piece: Uint8Array, isLast: boolean): Uint8Array {
    const bytes = joined(this.held, piece);
    this.offset += piece.length;
    const cut = isLast || this.decoder !== undefined ? 0 : this.cut(bytes);
    this.held = cut === 0 ? nothing : bytes.slice(bytes.length - cut);
    return cut === 0 ? bytes : bytes.subarray(0, bytes.length - cut);
  }

  /** UTF-16; the others have one byte a character, but for UTF-8. */
  private get isWide(): boolean {
    return this.encoding.startsWith("utf-16");
  }

  private single(bytes: Uint8Array): string {
    const text = kernel.decodeSingle(bytes, this.encoding) ?? "";
    const unknown = this.malformed === "refuse" ? text.indexOf("\ufffd") : -1;
    if (unknown >= 0) throw new TypeError(`malformed ${this.encoding} at byte ${unknown}`);
    return text;
  }

  private cut(bytes: Uint8Array): number {
    if (this.encoding === "utf-8") return cutUtf8(bytes);
    return this.isWide ? cutUtf16(bytes, this.encoding === "utf-16be") : 0;
  }

  private multibyte(bytes: Uint8Array, decoder: Decoder, isLast: boolean): string {
    const text = decoder.decode(bytes, { malformed: this.malformed, isCut: !isLast });
    this.held = bytes.slice(decoder.read);
    this.pieces.push({ bytes: bytes.slice(0, decoder.read), units: text.length });
    return text;
  }

  private decode(bytes: Uint8Array, isLast: boolean): string {
    const start = this.offset - this.held.length - bytes.length;
    try {
      if (this.decoder !== undefined) return this.multibyte(bytes, this.decoder, isLast);
      if (this.encoding === "utf-8") return kernel.native.decodeUtf8(bytes, this.malformed === "refuse");
      return this.isWide ? kernel.wideText(bytes, this.encoding === "utf-16be", this.malformed) : this.single(bytes);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new TypeError(error.message.replace(/\d+$/, (place) => String(start + Number(place))));
    }
  }
}
