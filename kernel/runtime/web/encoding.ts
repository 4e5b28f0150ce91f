/** The part `encoding`: TextEncoder and TextDecoder (Encoding Standard) for the charsets of charset.ts. */
import type { Bytes, Decoder, Encoding } from "../charset.ts";
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";

const { native, encodingOf, decodeUtf16, decodeSingle, decoderOf, knownCharsets, viewBytes } = kernel;

/** How many bytes at the end of `bytes` begin a UTF-8 sequence that is not complete but may become so. */
function openUtf8(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 ? (byte <= 0xef ? 3 : 0) : byte >= 0xc2 && byte <= 0xdf ? 2 : 0;
    if (needed <= back) return 0;
    if (back === 1) return 1;
    // The second byte of some sequences has a narrower range: no overlong forms, no surrogates, nothing above U+10FFFF.
    const second = bytes[bytes.length - back + 1]!;
    const lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    const upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return second >= lower && second <= upper ? back : 0;
  }
  return 0;
}

/** How many bytes at the end are less than a character: an odd byte, a high surrogate without its low one. */
function openUtf16(bytes: Uint8Array, bigEndian: boolean): number {
  const odd = bytes.length & 1;
  const lastHigh = bytes.length - odd - (bigEndian ? 2 : 1);
  return lastHigh >= 0 && (bytes[lastHigh]! & 0xfc) === 0xd8 ? odd + 2 : odd;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

const nothing = new Uint8Array(0);

export class TextDecoder {
  readonly encoding: Encoding;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  #open: Uint8Array = nothing;
  #started = false;
  /** Of several bytes a character. */
  #decoder: Decoder | undefined;

  constructor(label = "utf-8", options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }) {
    const encoding = encodingOf(String(label));
    if (encoding === undefined) throw new RangeError(`TextDecoder: ${JSON.stringify(label)} is not supported here: ${knownCharsets}`);
    this.encoding = encoding;
    this.fatal = options?.fatal === true;
    this.ignoreBOM = options?.ignoreBOM === true;
  }

  decode(input?: Bytes, options?: { readonly stream?: boolean }): string {
    let bytes = input === undefined ? nothing : viewBytes(input);
    if (this.#open.length > 0) bytes = joined(this.#open, bytes);
    this.#open = nothing;
    this.#decoder ??= decoderOf(this.encoding);
    if (this.#decoder !== undefined) return this.#multibyte(bytes, this.#decoder, options?.stream === true);
    let dangling = false;
    if (this.encoding.startsWith("utf-")) {
      const open = this.encoding === "utf-8" ? openUtf8(bytes) : openUtf16(bytes, this.encoding === "utf-16be");
      if (options?.stream === true) {
        this.#open = bytes.slice(bytes.length - open);
        bytes = bytes.subarray(0, bytes.length - open);
      } else if (this.encoding !== "utf-8" && (bytes.length & 1) === 1) {
        dangling = true;
        bytes = bytes.subarray(0, bytes.length - 1);
      }
    }
    try {
      return this.#text(bytes, dangling);
    } finally {
      this.#started = options?.stream === true && (this.#started || bytes.length > 0);
    }
  }

  #multibyte(bytes: Uint8Array, decoder: Decoder, isCut: boolean): string {
    // Every text has a decoder of its own: the sets of ISO-2022-JP end with it.
    this.#decoder = undefined;
    const text = decoder.decode(bytes, { malformed: this.fatal ? "refuse" : "replace", isCut });
    if (isCut) [this.#decoder, this.#open] = [decoder, bytes.slice(decoder.read)];
    return text;
  }

  #text(bytes: Uint8Array, dangling: boolean): string {
    const single = decodeSingle(bytes, this.encoding);
    if (this.fatal && single?.includes("\ufffd") === true) throw new TypeError(`the bytes are not valid ${this.encoding}`);
    if (single !== undefined) return single;
    if (dangling && this.fatal) throw new TypeError("the bytes are not valid UTF-16");
    let text =
      this.encoding === "utf-8" ? native.decodeUtf8(bytes, this.fatal) : decodeUtf16(bytes, this.encoding === "utf-16be", this.fatal);
    // A high surrogate before the odd byte makes one malformed character with it.
    if (dangling && !text.endsWith("\ufffd")) text += "\ufffd";
    else if (dangling) text = endsInHighSurrogate(bytes, this.encoding === "utf-16be") ? text : `${text}\ufffd`;
    return !this.ignoreBOM && !this.#started && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}

function endsInHighSurrogate(bytes: Uint8Array, bigEndian: boolean): boolean {
  return bytes.length >= 2 && (bytes[bytes.length - (bigEndian ? 2 : 1)]! & 0xfc) === 0xd8;
}

export class TextEncoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(text = ""): Uint8Array {
    return native.encodeUtf8(String(text));
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    let bytes = native.encodeUtf8(text);
    let read = text.length;
    if (bytes.length > target.length) {
      let end = target.length;
      while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
      bytes = bytes.subarray(0, end);
      read = native.decodeUtf8(bytes, false).length;
    }
    target.set(bytes);
    return { read, written: bytes.length };
  }
}

expose("TextDecoder", TextDecoder);
expose("TextEncoder", TextEncoder);
