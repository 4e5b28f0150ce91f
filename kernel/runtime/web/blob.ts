/** The part `blob`: Blob and File (File API) of bytes that are wholly there, so there is no `stream()`. */
import type { Bytes } from "../charset.ts";
import { kernel } from "../link.ts";
import { cloners } from "./cloners.ts";
import { expose, scalar } from "./interface.ts";
import { mimeTypeText, parseMimeType } from "./mime-type.ts";

export interface BlobOptions {
  readonly type?: string;
  readonly endings?: string;
}

export interface FileOptions extends BlobOptions {
  readonly lastModified?: number;
}

const noParts: readonly unknown[] = [];

/** Bytes of a blob, which nobody may change. */
export let bytesOfBlob: (blob: Blob) => Uint8Array;
export let isBlob: (value: object) => value is Blob;
/** A blob of bytes that are its own from now on. */
let blobOf: (bytes: Uint8Array, type: string) => Blob;
/** Makes a new blob's bytes these, without a copy. */
let setBytes: <T extends Blob>(blob: T, bytes: Uint8Array) => T;
let isFile: (value: object) => value is File;

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The bytes of parts in one piece. */
function bytesOfParts(parts: unknown, endings: string): Uint8Array {
  if ((typeof parts !== "object" && typeof parts !== "function") || parts === null) throw new TypeError("Blob: a list of parts is needed");
  if (typeof (parts as { [Symbol.iterator]?: unknown })[Symbol.iterator] !== "function")
    throw new TypeError("Blob: the parts can't be iterated");
  return joined(
    Array.from(parts as Iterable<unknown>, (part) => {
      if (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) return kernel.viewBytes(part as Bytes);
      if (typeof part === "object" && part !== null && isBlob(part)) return bytesOfBlob(part);
      const text = `${part as string}`;
      return kernel.utf8.encode(endings === "native" ? text.replace(/\r\n?/g, "\n") : text);
    }),
  );
}

/** The members of options, read in the order of Web IDL. */
function readOptions(options: BlobOptions | null | undefined): { readonly endings: string; readonly type: string } {
  if (options === undefined || options === null) return { endings: "transparent", type: "" };
  if (typeof options !== "object" && typeof options !== "function") throw new TypeError("Blob: the options must be an object");
  const endings = options.endings === undefined ? "transparent" : `${options.endings}`;
  if (endings !== "transparent" && endings !== "native")
    throw new TypeError(`Blob: endings must be "transparent" or "native", not ${JSON.stringify(endings)}`);
  return { endings, type: options.type === undefined ? "" : normalType(options.type) };
}

function normalType(type: unknown): string {
  const text = `${type as string}`;
  return /[^\x20-\x7e]/.test(text) ? "" : text.toLowerCase();
}

/** A place in `size` bytes; from the end when it is negative (Web IDL, [Clamp] long long). */
function place(value: unknown, size: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value) || 0; // NaN
  const even = Math.abs(number % 1) === 0.5 ? 2 * Math.round(number / 2) : Math.round(number);
  return even < 0 ? Math.max(size + even, 0) : Math.min(even, size);
}

export class Blob {
  #bytes: Uint8Array;
  #type: string;

  static {
    bytesOfBlob = (blob) => blob.#bytes;
    isBlob = (value): value is Blob => #bytes in value;
    setBytes = (blob, bytes) => {
      blob.#bytes = bytes;
      return blob;
    };
    blobOf = (bytes, type) => {
      const blob = setBytes(new Blob(), bytes);
      blob.#type = normalType(type);
      return blob;
    };
  }

  constructor(parts: Iterable<unknown> = noParts, options: BlobOptions = {}) {
    const { endings, type } = readOptions(options);
    this.#bytes = bytesOfParts(parts, endings);
    this.#type = type;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get type(): string {
    return this.#type;
  }

  slice(start?: number, end?: number, contentType?: string): Blob {
    const size = this.#bytes.length;
    const from = place(start, size, 0);
    const type = contentType === undefined ? "" : contentType;
    return blobOf(this.#bytes.subarray(from, Math.max(from, place(end, size, size))), type);
  }

  async text(): Promise<string> {
    return kernel.withoutMark(kernel.utf8.decode(this.#bytes));
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#bytes.slice().buffer as ArrayBuffer;
  }

  async bytes(): Promise<Uint8Array> {
    return this.#bytes.slice();
  }
}

export class File extends Blob {
  #name: string;
  #lastModified: number;

  static {
    isFile = (value): value is File => #name in value;
  }

  constructor(parts: Iterable<unknown>, name: string, options: FileOptions = {}) {
    if (arguments.length < 2) throw new TypeError("File: parts and a name are needed");
    super(parts === undefined ? (null as never) : parts, options);
    this.#name = scalar(name);
    const given = (options as FileOptions | null)?.lastModified;
    this.#lastModified = given === undefined ? Date.now() : Math.trunc(Number.isFinite(Number(given)) ? Number(given) : 0) + 0;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }
}

/** A file of bytes that are its own from now on. */
export function fileOf(bytes: Uint8Array, name: string, type: string, lastModified?: number): File {
  return setBytes(new File(noParts, name, lastModified === undefined ? { type } : { type, lastModified }), bytes);
}

/** A file with another name, over the same bytes. A blob that is no file was modified now. */
export function renamed(blob: Blob, name: string): File {
  return fileOf(bytesOfBlob(blob), name, blob.type, isFile(blob) ? blob.lastModified : undefined);
}

export function asFile(blob: Blob): File {
  return isFile(blob) ? blob : renamed(blob, "blob");
}

cloners.push((value) => {
  if (!isBlob(value)) return undefined;
  return isFile(value) ? renamed(value, value.name) : blobOf(bytesOfBlob(value), value.type);
});

kernel.onBody((value) => (isBlob(value) ? { bytes: bytesOfBlob(value), type: value.type } : undefined));

kernel.onBlob((bytes, contentType) => {
  const type = parseMimeType(contentType);
  return blobOf(bytes, type === undefined ? "" : mimeTypeText(type));
});

expose("Blob", Blob);
expose("File", File);
