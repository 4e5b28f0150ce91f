/** TextEncoder and TextDecoder: UTF-8, UTF-16 and windows-1252, which the web also calls latin1 and ASCII. */
import { native } from "../machine.ts";

type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";
export type Bytes = ArrayBuffer | ArrayBufferView;

/** Labels of the Encoding Standard, as far as the decoders go. */
const labels: Readonly<Record<string, Encoding>> = {
  "utf-8": "utf-8",
  utf8: "utf-8",
  "unicode-1-1-utf-8": "utf-8",
  "utf-16": "utf-16le",
  "utf-16le": "utf-16le",
  "ucs-2": "utf-16le",
  unicode: "utf-16le",
  "utf-16be": "utf-16be",
  "windows-1252": "windows-1252",
  cp1252: "windows-1252",
  "iso-8859-1": "windows-1252",
  iso8859_1: "windows-1252",
  "iso8859-1": "windows-1252",
  iso88591: "windows-1252",
  "iso_8859-1": "windows-1252",
  latin1: "windows-1252",
  l1: "windows-1252",
  ascii: "windows-1252",
  "us-ascii": "windows-1252",
};

function encodingOf(label: string): Encoding | undefined {
  return labels[label.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase()];
}

/** What windows-1252 has at 0x80…0x9f, where latin1 has control characters. */
const windowsHigh = "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

/** Bytes of any view or buffer, not copied. */
export function viewBytes(input: Bytes): Uint8Array {
  if (input instanceof Uint8Array) return input;
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  throw new TypeError("an ArrayBuffer or a view of one is needed");
}

/** How many characters are made of codes at a time: the engine's stack holds the arguments. */
const codesAtOnce = 4096;

function textOfCodes(codes: Uint8Array | Uint16Array): string {
  let text = "";
  for (let at = 0; at < codes.length; at += codesAtOnce) text += String.fromCharCode.apply(null, codes.subarray(at, at + codesAtOnce) as unknown as number[]);
  return text;
}

function decodeWindows(bytes: Uint8Array): string {
  const codes = new Uint16Array(bytes.length);
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]!;
    codes[index] = byte >= 0x80 && byte <= 0x9f ? windowsHigh.charCodeAt(byte - 0x80) : byte;
  }
  return textOfCodes(codes);
}

/** UTF-16 of an even number of bytes; lone surrogates become U+FFFD, or throw. */
function decodeUtf16(bytes: Uint8Array, bigEndian: boolean, fatal: boolean): string {
  const codes = new Uint16Array(bytes.length >> 1);
  const high = bigEndian ? 0 : 1;
  for (let index = 0; index < codes.length; index++) codes[index] = (bytes[2 * index + high]! << 8) | bytes[2 * index + 1 - high]!;
  const text = textOfCodes(codes);
  // With the flag u only a surrogate without its other half is one.
  if (fatal && /\p{Surrogate}/u.test(text)) throw new TypeError("the bytes are not valid UTF-16");
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

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

  constructor(label = "utf-8", options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }) {
    const encoding = encodingOf(String(label));
    if (encoding === undefined) throw new RangeError(`TextDecoder: ${JSON.stringify(label)} is not known here; there are utf-8, utf-16le, utf-16be and windows-1252 (latin1)`);
    this.encoding = encoding;
    this.fatal = options?.fatal === true;
    this.ignoreBOM = options?.ignoreBOM === true;
  }

  decode(input?: Bytes, options?: { readonly stream?: boolean }): string {
    let bytes = input === undefined ? nothing : viewBytes(input);
    if (this.#open.length > 0) bytes = joined(this.#open, bytes);
    this.#open = nothing;
    let dangling = false;
    if (this.encoding !== "windows-1252") {
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

  #text(bytes: Uint8Array, dangling: boolean): string {
    if (this.encoding === "windows-1252") return decodeWindows(bytes);
    if (dangling && this.fatal) throw new TypeError("the bytes are not valid UTF-16");
    let text = this.encoding === "utf-8" ? native.decodeUtf8(bytes, this.fatal) : decodeUtf16(bytes, this.encoding === "utf-16be", this.fatal);
    // A high surrogate before the odd byte makes one malformed character with it.
    if (dangling && !text.endsWith("\ufffd")) text += "\ufffd";
    else if (dangling) text = endsInHighSurrogate(bytes, this.encoding === "utf-16be") ? text : `${text}\ufffd`;
    return !this.ignoreBOM && !this.#started && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  get [Symbol.toStringTag](): string {
    return "TextDecoder";
  }
}

function endsInHighSurrogate(bytes: Uint8Array, bigEndian: boolean): boolean {
  return bytes.length >= 2 && (bytes[bytes.length - (bigEndian ? 2 : 1)]! & 0xfc) === 0xd8;
}

/** Text of bytes in a named charset without its byte order mark, or undefined when the charset is not known. */
export function decodeText(bytes: Uint8Array, charset: string): string | undefined {
  return encodingOf(charset) === undefined ? undefined : new TextDecoder(charset).decode(bytes);
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

  get [Symbol.toStringTag](): string {
    return "TextEncoder";
  }
}
