/**
 * The part `buffer`: Node's Buffer by the package of that name, whose UTF-8, base64 and hex go through the machine's natives, with what
 * later versions of Node added.
 */
import * as packaged from "buffer/";
import { kernel } from "../link.ts";
import { scalar } from "../web/interface.ts";

type Encoding = string | undefined;
/** The engine has these; the library of ES2023 does not know them yet. */
type EngineBytes = Uint8Array & { toHex(): string; toBase64(options?: { alphabet: "base64url"; omitPadding: true }): string };
type EngineReader = Uint8ArrayConstructor & { fromHex(text: string): Uint8Array; fromBase64(text: string): Uint8Array };
type Slice = (this: Uint8Array, start?: number, end?: number) => string;
type ToText = (this: Uint8Array, encoding?: string, start?: number, end?: number) => string;
type Write = (this: Uint8Array, text: string, ...values: unknown[]) => number;

interface BufferClass {
  readonly prototype: Uint8Array;
  from(value: unknown, encoding?: unknown, length?: unknown): Uint8Array;
  isEncoding(name: unknown): boolean;
  byteLength(value: unknown, encoding?: Encoding): number;
  copyBytesFrom?(view: ArrayBufferView, offset?: number, length?: number): Uint8Array;
}

interface Packaged {
  readonly Buffer: BufferClass;
  readonly SlowBuffer: unknown;
  readonly kMaxLength: number;
  readonly INSPECT_MAX_BYTES: number;
}

const { native } = kernel;
const { Buffer, SlowBuffer, kMaxLength, INSPECT_MAX_BYTES } = packaged as unknown as Packaged;
const methods = Buffer.prototype as unknown as Record<string, unknown>;
const reader = Uint8Array as EngineReader;

const isUtf8Name = (name: unknown): boolean => name === undefined || name === null || /^utf-?8$/i.test(name as string);
const isUrlName = (name: unknown): boolean => typeof name === "string" && name.toLowerCase() === "base64url";

/** The same bytes as a Buffer, without a copy. */
function asBuffer(bytes: Uint8Array): Uint8Array {
  return Object.setPrototypeOf(bytes, Buffer.prototype) as Uint8Array;
}

/** The pairs of digits before the first that is damaged: so far Node reads. */
function wholeHex(text: string): string {
  const wrong = text.search(/[^0-9a-f]/i);
  const end = wrong < 0 ? text.length : wrong;
  return text.slice(0, end - (end % 2));
}

/** Bytes of a text the engine can read as a whole; undefined leaves it to the package, which takes what Node takes of a damaged one. */
function fromText(text: string, encoding: unknown): Uint8Array | undefined {
  if (isUtf8Name(encoding)) return native.encodeUtf8(text);
  if (encoding === "hex" && typeof reader.fromHex === "function") return reader.fromHex(wholeHex(text));
  try {
    if (encoding === "base64") return reader.fromBase64(text);
  } catch {
    return undefined;
  }
  return undefined;
}

const { from, isEncoding, byteLength } = Buffer;
const { toString, write, fill } = methods as { toString: ToText; write: Write; fill: Write };

/** An argument that names the encoding base64url, as base64: the package reads both alphabets. */
const known = (value: unknown): unknown => (isUrlName(value) ? "base64" : value);

const statics = {
  from(value: unknown, encoding?: unknown, length?: unknown): Uint8Array {
    if (typeof value !== "string") return from.call(Buffer, value, known(encoding), length);
    const bytes = fromText(value, encoding);
    return bytes === undefined ? from.call(Buffer, encoding === "hex" ? wholeHex(value) : value, known(encoding), length) : asBuffer(bytes);
  },
  isEncoding: (name: unknown): boolean => isUrlName(name) || isEncoding.call(Buffer, name),
  byteLength(value: unknown, encoding?: Encoding): number {
    if (typeof value !== "string") return byteLength.call(Buffer, value, encoding);
    if (isUtf8Name(encoding)) return native.encodeUtf8(value).length;
    return isUrlName(encoding) ? Math.floor((value.replace(/=+$/, "").length * 3) / 4) : byteLength.call(Buffer, value, encoding);
  },
  copyBytesFrom(view: ArrayBufferView, offset = 0, length?: number): Uint8Array {
    const size = (view as Uint8Array).BYTES_PER_ELEMENT ?? 1;
    const bytes = kernel.viewBytes(view);
    return asBuffer(bytes.slice(offset * size, length === undefined ? bytes.length : (offset + length) * size));
  },
};

/** A place in `size` bytes, as Node reads a start or an end. */
function place(value: number | undefined, size: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  return Math.min(Math.max(Math.trunc(Number(value)) || 0, 0), size);
}

const plain = Uint8Array.prototype;
const text: ToText = function (this: Uint8Array, encoding, start, end): string {
  const utf8 = isUtf8Name(encoding);
  const name = utf8 ? "utf8" : String(encoding).toLowerCase();
  if (!utf8 && name !== "hex" && name !== "base64" && name !== "base64url") return toString.call(this, encoding, start, end);
  const size = this.length;
  const from = place(start, size, 0);
  const part = plain.subarray.call(plainBytes(this), from, Math.max(from, place(end, size, size))) as EngineBytes;
  if (utf8) return native.decodeUtf8(part, false);
  if (name === "hex") return part.toHex();
  return name === "base64" ? part.toBase64() : part.toBase64({ alphabet: "base64url", omitPadding: true });
};

/** The bytes as a plain Uint8Array, not copied. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const slices: Record<string, Slice> = {};
for (const name of ["utf8", "hex", "base64", "base64url", "latin1", "ascii", "ucs2"])
  slices[`${name}Slice`] = function (start, end) {
    return text.call(this, name, start, end);
  };
const writes: Record<string, Write> = {};
for (const name of ["utf8", "hex", "base64", "latin1", "ascii", "ucs2"])
  writes[`${name}Write`] = function (this: Uint8Array, value, offset = 0, length = this.length - (offset as number)) {
    return write.call(this, value, offset, length, name);
  };

/** A text as the package reads it as Node does, by the encoding among the arguments after it. */
function readable(text: string, values: readonly unknown[]): string {
  const encoding = values.find((value) => typeof value === "string");
  if (encoding === "hex") return wholeHex(text);
  return isUtf8Name(encoding) ? scalar(text) : text;
}

const added = {
  toString: text,
  toLocaleString: text,
  write(this: Uint8Array, value: string, ...values: unknown[]): number {
    return write.call(this, readable(value, values), ...values.map(known));
  },
  fill(this: Uint8Array, value: string, ...values: unknown[]): number {
    return fill.call(this, typeof value === "string" ? readable(value, values) : value, ...values.map(known));
  },
  ...slices,
  ...writes,
};
for (const [holder, members] of [
  [Buffer, statics],
  [methods, added],
] as const)
  for (const [name, value] of Object.entries(members))
    Object.defineProperty(holder, name, { value, writable: true, configurable: true, enumerable: false });

const globals = globalThis as unknown as Record<string, unknown>;

export default {
  Buffer,
  SlowBuffer,
  INSPECT_MAX_BYTES,
  kMaxLength,
  constants: { MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: 2 ** 30 - 1 },
  isUtf8(bytes: Uint8Array): boolean {
    try {
      native.decodeUtf8(kernel.viewBytes(bytes), true);
      return true;
    } catch {
      return false;
    }
  },
  isAscii: (bytes: Uint8Array): boolean => kernel.viewBytes(bytes).every((byte) => byte < 0x80),
  get atob() {
    return globals["atob"];
  },
  get btoa() {
    return globals["btoa"];
  },
  get Blob() {
    return globals["Blob"];
  },
  get File() {
    return globals["File"];
  },
};

kernel.define("Buffer", Buffer);
