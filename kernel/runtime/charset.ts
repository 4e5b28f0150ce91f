/** Charsets: UTF-8, UTF-16 and windows-1252, which the web also calls latin1 and ASCII; others are linked (web/charsets.ts, web/multibyte/). */
import { table } from "./table.ts";
import { native } from "./machine.ts";

/** The name of an encoding, in lower case. */
export type Encoding = string;
export type Bytes = ArrayBuffer | ArrayBufferView;

/** Name → labels of the Encoding Standard, as far as every kernel goes. */
const ownLabels: Readonly<Record<string, string>> = table({
  "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
  "utf-16le": "utf-16le utf-16 ucs-2 unicode csunicode iso-10646-ucs-2 unicodefeff",
  "utf-16be": "utf-16be unicodefffe",
  "windows-1252":
    "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 iso-ir-100 csisolatin1 latin1 l1 cp819 ibm819 ascii us-ascii ansi_x3.4-1968 iso8859_1",
});

const labels: Record<string, Encoding> = table({});
/** Encodings of one byte a character: their characters from 0x80 on. */
const highs: Record<string, string> = table({});

function addLabels(name: Encoding, all: string): void {
  for (const label of all.split(" ")) labels[label] = name;
}
for (const name in ownLabels) addLabels(name, ownLabels[name]!);

/** Adds an encoding of one byte a character. `high`: its 128 characters from 0x80 on, U+FFFD for a byte that stands for none. */
export function addCharset(name: Encoding, all: string, high: string): void {
  addLabels(name, all);
  highs[name] = high;
}

/** Malformed bytes in the charset: an error that names the first, unless they are replaced with U+FFFD. */
export type Malformed = "refuse" | "replace";

export interface TextOptions {
  readonly malformed?: Malformed | undefined;
}

export interface DecoderOptions {
  readonly malformed: Malformed;
  /** More bytes follow, so that what begins a character at the end waits for them. */
  readonly isCut?: boolean;
  /** About how many UTF-16 units are wanted. Default: all. */
  readonly most?: number;
}
/** Reads one text in a charset of several bytes a character, whole or in pieces. */
export interface Decoder {
  /** The text of the next bytes. Throws TypeError `malformed NAME at byte N`. */
  decode(bytes: Uint8Array, options: DecoderOptions): string;
  /** How many of these bytes it read. The others must be given once more, before the next. */
  readonly read: number;
}

/** A charset of several bytes a character. */
export interface Codec {
  readonly decoder: () => Decoder;
  /** The bytes of a text, with question marks for what the charset lacks, or the place of the first such character. */
  readonly encode: (value: string, replaces: boolean) => Uint8Array | number;
}
const codecs: Record<string, Codec> = table({});

/** Adds an encoding of several bytes a character. */
export function addCodec(name: Encoding, all: string, codec: Codec): void {
  addLabels(name, all);
  codecs[name] = codec;
}

/** A new decoder; undefined for UTF-8, UTF-16 and encodings of one byte a character. */
export function decoderOf(encoding: Encoding): Decoder | undefined {
  return codecs[encoding]?.decoder();
}

function plainLabel(label: string): string {
  return label.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase();
}

export function encodingOf(label: string): Encoding | undefined {
  return labels[plainLabel(label)];
}

/** Advice for a charset that is not known. */
export const knownCharsets =
  'use utf-8, utf-16le, utf-16be or windows-1252 (latin1), or add `import "mayfly/charsets";` to the flow for the other charsets of one byte a character, or "mayfly/charsets/japanese" (/korean, /simplified-chinese, /traditional-chinese) for theirs';

// Where latin1 has control characters windows-1252 has others.
highs["windows-1252"] =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178" +
  String.fromCharCode(...Array.from({ length: 96 }, (_, index) => 0xa0 + index));

/** Bytes of any view or buffer, not copied. */
export function viewBytes(input: Bytes): Uint8Array {
  if (input instanceof Uint8Array) return input;
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  throw new TypeError("the argument must be an ArrayBuffer or a view of one");
}

/** How many characters are made of codes at a time: the engine's stack holds the arguments. */
const codesAtOnce = 4096;

function textOfCodes(codes: Uint8Array | Uint16Array): string {
  let text = "";
  for (let at = 0; at < codes.length; at += codesAtOnce)
    text += String.fromCharCode.apply(null, codes.subarray(at, at + codesAtOnce) as unknown as number[]);
  return text;
}

/** Text of bytes in an encoding of one byte a character; undefined for another. */
export function decodeSingle(bytes: Uint8Array, encoding: Encoding): string | undefined {
  const high = highs[encoding];
  return high === undefined ? undefined : native.decodeBytes(bytes, high);
}

function decodeUnits(bytes: Uint8Array, bigEndian: boolean): string {
  const codes = new Uint16Array(bytes.length >> 1);
  const high = bigEndian ? 0 : 1;
  for (let index = 0; index < codes.length; index++) codes[index] = (bytes[2 * index + high]! << 8) | bytes[2 * index + 1 - high]!;
  return textOfCodes(codes);
}

/** UTF-16 of an even number of bytes; lone surrogates become U+FFFD, or throw. */
export function decodeUtf16(bytes: Uint8Array, bigEndian: boolean, fatal: boolean): string {
  const text = decodeUnits(bytes, bigEndian);
  // With the flag u only a surrogate without its other half is one.
  if (fatal && /\p{Surrogate}/u.test(text)) throw new TypeError("the bytes are not valid UTF-16");
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** The encoding that a byte order mark names (Encoding Standard, BOM sniff). */
export function markedEncoding(bytes: Uint8Array): Encoding | undefined {
  const [first, second] = bytes;
  if (first === 0xef && second === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : undefined;
}

/** Decodes UTF-16. Throws TypeError for lone surrogates and half a unit at the end, unless they are replaced. */
export function wideText(bytes: Uint8Array, bigEndian: boolean, malformed: Malformed): string {
  const odd = (bytes.length & 1) === 1;
  if (malformed === "replace") return decodeUtf16(bytes, bigEndian, false) + (odd ? "\ufffd" : "");
  const text = decodeUnits(bytes, bigEndian);
  const lone = text.search(/\p{Surrogate}/u);
  if (lone >= 0 || odd) throw new TypeError(`malformed UTF-16 at byte ${lone >= 0 ? 2 * lone : bytes.length - 1}`);
  return text;
}

/**
 * Text of whole bytes, without its byte order mark: in the encoding that the mark names, else in the named charset; undefined when that is
 * not known. Throws TypeError for bytes that are malformed, with the first one's offset.
 */
export function decodeText(bytes: Uint8Array, charset: string, malformed: Malformed = "refuse"): string | undefined {
  const encoding = markedEncoding(bytes) ?? encodingOf(charset);
  if (encoding === undefined) return undefined;
  const decoder = decoderOf(encoding);
  if (decoder !== undefined) return decoder.decode(bytes, { malformed });
  const single = decodeSingle(bytes, encoding);
  const unknown = malformed === "refuse" ? (single?.indexOf("\ufffd") ?? -1) : -1;
  if (unknown >= 0) throw new TypeError(`malformed ${encoding} at byte ${unknown}`);
  if (single !== undefined) return single;
  const text =
    encoding === "utf-8" ? native.decodeUtf8(bytes, malformed === "refuse") : wideText(bytes, encoding === "utf-16be", malformed);
  return withoutMark(text);
}

export function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Characters that a charset lacks: an error that names the first, or a question mark each. */
export type Unmappable = "refuse" | "replace";

const nothing128 = "\ufffd".repeat(128);
const controls = String.fromCharCode(...Array.from({ length: 32 }, (_, index) => 0x80 + index));

/**
 * The characters from 0x80 on that are written under this label. Where the web reads ASCII and ISO 8859-1, -9 and -11 as charsets of Windows,
 * which have more characters, others do not: those are not written.
 */
function writtenHigh(label: string, encoding: Encoding): string | undefined {
  const high = highs[encoding];
  if (high === undefined || !/^windows-(?:1252|1254|874)$/.test(encoding)) return high;
  if (/ascii|^ansi/.test(label)) return nothing128;
  return /^(?:windows-|(?:x-)?cp125|dos-)/.test(label) ? high : controls + high.slice(32);
}

function encoded(value: string, label: string, encoding: Encoding, replaces: boolean): Uint8Array | number {
  const codec = codecs[encoding];
  if (codec !== undefined) return codec.encode(value, replaces);
  const high = writtenHigh(label, encoding);
  if (high !== undefined) return native.encodeBytes(value, high, replaces);
  // A name without an order of bytes calls for a mark (RFC 2781 §4.3).
  return native.encodeUtf16(encoding === label ? value : `\ufeff${value}`, encoding === "utf-16be", replaces);
}

/** The bytes of a text in a charset; undefined for one that is not known. Throws TypeError for a character that it lacks, with its place. */
export function encodeText(value: string, charset: string, unmappable: Unmappable = "refuse"): Uint8Array | undefined {
  const label = plainLabel(charset);
  const encoding = labels[label];
  if (encoding === undefined || encoding === "utf-8") return encoding && native.encodeUtf8(value);
  const written = encoded(value, label, encoding, unmappable === "replace");
  if (typeof written !== "number") return written;
  const code = value.codePointAt(written)!;
  throw new TypeError(`${charset} has no ${show(code)}, which is character ${written} of the text`);
}

function show(code: number): string {
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return code < 0xa0 || (code >= 0xd800 && code <= 0xdfff) ? name : `${String.fromCodePoint(code)} (${name})`;
}
