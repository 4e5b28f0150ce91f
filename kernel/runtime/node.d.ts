/** The Node modules that a machine has, as far as flows name them themselves; packages bring code that was checked already. */

type BufferEncoding = "ascii" | "utf8" | "utf-8" | "utf16le" | "ucs2" | "base64" | "base64url" | "latin1" | "binary" | "hex";
type BytesLike = ArrayBuffer | ArrayBufferView;

interface Buffer extends Uint8Array<ArrayBuffer> {
  toString(encoding?: BufferEncoding, start?: number, end?: number): string;
  toJSON(): { type: "Buffer"; data: number[] };
  equals(other: Uint8Array): boolean;
  compare(other: Uint8Array): -1 | 0 | 1;
  copy(target: Uint8Array, targetStart?: number, start?: number, end?: number): number;
  subarray(start?: number, end?: number): Buffer;
  slice(start?: number, end?: number): Buffer;
  write(text: string, encoding?: BufferEncoding): number;
  write(text: string, offset: number, length?: number, encoding?: BufferEncoding): number;
  readUInt8(offset?: number): number;
  readInt8(offset?: number): number;
  readUInt16LE(offset?: number): number;
  readUInt16BE(offset?: number): number;
  readInt16LE(offset?: number): number;
  readInt16BE(offset?: number): number;
  readUInt32LE(offset?: number): number;
  readUInt32BE(offset?: number): number;
  readInt32LE(offset?: number): number;
  readInt32BE(offset?: number): number;
  readBigInt64LE(offset?: number): bigint;
  readBigInt64BE(offset?: number): bigint;
  readBigUInt64LE(offset?: number): bigint;
  readBigUInt64BE(offset?: number): bigint;
  readFloatLE(offset?: number): number;
  readFloatBE(offset?: number): number;
  readDoubleLE(offset?: number): number;
  readDoubleBE(offset?: number): number;
  writeUInt8(value: number, offset?: number): number;
  writeInt8(value: number, offset?: number): number;
  writeUInt16LE(value: number, offset?: number): number;
  writeUInt16BE(value: number, offset?: number): number;
  writeInt16LE(value: number, offset?: number): number;
  writeInt16BE(value: number, offset?: number): number;
  writeUInt32LE(value: number, offset?: number): number;
  writeUInt32BE(value: number, offset?: number): number;
  writeInt32LE(value: number, offset?: number): number;
  writeInt32BE(value: number, offset?: number): number;
  writeBigInt64LE(value: bigint, offset?: number): number;
  writeBigInt64BE(value: bigint, offset?: number): number;
  writeBigUInt64LE(value: bigint, offset?: number): number;
  writeBigUInt64BE(value: bigint, offset?: number): number;
  writeFloatLE(value: number, offset?: number): number;
  writeFloatBE(value: number, offset?: number): number;
  writeDoubleLE(value: number, offset?: number): number;
  writeDoubleBE(value: number, offset?: number): number;
}
interface BufferConstructor {
  readonly prototype: Buffer;
  from(text: string, encoding?: BufferEncoding): Buffer;
  from(buffer: ArrayBuffer, offset?: number, length?: number): Buffer;
  from(bytes: Iterable<number> | ArrayLike<number>): Buffer;
  alloc(size: number, fill?: string | number | Uint8Array, encoding?: BufferEncoding): Buffer;
  allocUnsafe(size: number): Buffer;
  byteLength(value: string | BytesLike, encoding?: BufferEncoding): number;
  compare(a: Uint8Array, b: Uint8Array): -1 | 0 | 1;
  concat(parts: readonly Uint8Array[], length?: number): Buffer;
  isBuffer(value: unknown): value is Buffer;
  isEncoding(name: string): name is BufferEncoding;
}
declare var Buffer: BufferConstructor;
declare function setImmediate<T extends unknown[]>(callback: (...values: T) => void, ...values: T): number;
declare function clearImmediate(timer?: number): void;
declare var self: typeof globalThis;
declare var global: typeof globalThis;

declare module "node:buffer" {
  const Class: BufferConstructor;
  export { Class as Buffer };
  export function isUtf8(bytes: BytesLike): boolean;
  export function isAscii(bytes: BytesLike): boolean;
}

declare module "node:crypto" {
  interface Hash {
    update(data: string | BytesLike, encoding?: BufferEncoding): this;
    digest(): Buffer;
    digest(encoding: BufferEncoding): string;
    copy(): Hash;
  }
  interface Hmac {
    update(data: string | BytesLike, encoding?: BufferEncoding): this;
    digest(): Buffer;
    digest(encoding: BufferEncoding): string;
  }
  interface KeyObject {
    readonly type: "secret";
    readonly symmetricKeySize: number;
    export(): Buffer;
  }
  /** md5, sha1, sha256, sha384, sha512. */
  export function createHash(name: string): Hash;
  export function createHmac(name: string, key: string | BytesLike | KeyObject): Hmac;
  export function createSecretKey(key: string | BytesLike, encoding?: BufferEncoding): KeyObject;
  export function hash(name: string, data: string | BytesLike, encoding?: BufferEncoding): string;
  export function getHashes(): string[];
  export function randomBytes(size: number): Buffer;
  export function randomInt(max: number): number;
  export function randomInt(min: number, max: number): number;
  export function randomUUID(): string;
  export function randomFillSync<T extends ArrayBufferView>(array: T, offset?: number, size?: number): T;
  export function timingSafeEqual(a: BytesLike, b: BytesLike): boolean;
  export const webcrypto: typeof crypto;
  const whole: {
    readonly createHash: typeof createHash;
    readonly createHmac: typeof createHmac;
    readonly createSecretKey: typeof createSecretKey;
    readonly hash: typeof hash;
    readonly getHashes: typeof getHashes;
    readonly randomBytes: typeof randomBytes;
    readonly randomInt: typeof randomInt;
    readonly randomUUID: typeof randomUUID;
    readonly randomFillSync: typeof randomFillSync;
    readonly timingSafeEqual: typeof timingSafeEqual;
    readonly webcrypto: typeof webcrypto;
  };
  export default whole;
}

declare module "node:querystring" {
  type Values = Record<string, string | string[] | undefined>;
  export function parse(text: string, separator?: string, equals?: string): Values;
  export function stringify(values: object, separator?: string, equals?: string): string;
  export function escape(text: string): string;
  export function unescape(text: string): string;
  const whole: { parse: typeof parse; stringify: typeof stringify; escape: typeof escape; unescape: typeof unescape };
  export default whole;
}

declare module "node:path" {
  interface Parsed {
    root: string;
    dir: string;
    base: string;
    ext: string;
    name: string;
  }
  export function basename(path: string, suffix?: string): string;
  export function dirname(path: string): string;
  export function extname(path: string): string;
  export function format(parts: Partial<Parsed>): string;
  export function isAbsolute(path: string): boolean;
  export function join(...parts: string[]): string;
  export function normalize(path: string): string;
  export function parse(path: string): Parsed;
  export function relative(from: string, to: string): string;
  export function resolve(...parts: string[]): string;
  export const sep: "/";
  export const delimiter: ":";
  export * as posix from "node:path";
  export * as default from "node:path";
}

declare module "node:events" {
  type Listener = (...values: any[]) => void;
  export class EventEmitter {
    static defaultMaxListeners: number;
    on(name: string | symbol, listener: Listener): this;
    once(name: string | symbol, listener: Listener): this;
    off(name: string | symbol, listener: Listener): this;
    addListener(name: string | symbol, listener: Listener): this;
    removeListener(name: string | symbol, listener: Listener): this;
    removeAllListeners(name?: string | symbol): this;
    prependListener(name: string | symbol, listener: Listener): this;
    emit(name: string | symbol, ...values: unknown[]): boolean;
    eventNames(): (string | symbol)[];
    listeners(name: string | symbol): Listener[];
    listenerCount(name: string | symbol): number;
    setMaxListeners(most: number): this;
  }
  export function once(emitter: EventEmitter, name: string | symbol): Promise<unknown[]>;
  export default EventEmitter;
}

declare module "node:util" {
  export function format(...values: unknown[]): string;
  export function inspect(value: unknown, options?: { depth?: number | null; breakLength?: number; sorted?: boolean }): string;
  export function inherits(constructor: Function, parent: Function): void;
  export function isDeepStrictEqual(a: unknown, b: unknown): boolean;
  export function promisify(original: (...values: any[]) => void): (...values: any[]) => Promise<any>;
  export function callbackify(original: (...values: any[]) => Promise<any>): (...values: any[]) => void;
  export function deprecate<T extends Function>(deprecated: T, message: string, code?: string): T;
  export function stripVTControlCharacters(text: string): string;
  export const types: Record<string, (value: unknown) => boolean>;
  export * as default from "node:util";
}

declare module "node:assert" {
  type Message = string | Error;
  type Expected = RegExp | Function | object;
  interface Assert {
    (value: unknown, message?: Message): asserts value;
    ok(value: unknown, message?: Message): asserts value;
    fail(message?: Message): never;
    equal(actual: unknown, expected: unknown, message?: Message): void;
    notEqual(actual: unknown, expected: unknown, message?: Message): void;
    strictEqual<T>(actual: unknown, expected: T, message?: Message): asserts actual is T;
    notStrictEqual(actual: unknown, expected: unknown, message?: Message): void;
    deepEqual(actual: unknown, expected: unknown, message?: Message): void;
    notDeepEqual(actual: unknown, expected: unknown, message?: Message): void;
    deepStrictEqual<T>(actual: unknown, expected: T, message?: Message): asserts actual is T;
    notDeepStrictEqual(actual: unknown, expected: unknown, message?: Message): void;
    match(text: string, pattern: RegExp, message?: Message): void;
    doesNotMatch(text: string, pattern: RegExp, message?: Message): void;
    throws(action: () => unknown, expected?: Expected | string, message?: string): void;
    doesNotThrow(action: () => unknown, message?: string): void;
    rejects(action: Promise<unknown> | (() => Promise<unknown>), expected?: Expected | string, message?: string): Promise<void>;
    doesNotReject(action: Promise<unknown> | (() => Promise<unknown>), message?: string): Promise<void>;
    ifError(value: unknown): void;
    readonly strict: Assert;
  }
  const assert: Assert;
  export default assert;
  export const ok: Assert["ok"];
  export const fail: Assert["fail"];
  export const equal: Assert["equal"];
  export const notEqual: Assert["notEqual"];
  export const strictEqual: Assert["strictEqual"];
  export const notStrictEqual: Assert["notStrictEqual"];
  export const deepEqual: Assert["deepEqual"];
  export const notDeepEqual: Assert["notDeepEqual"];
  export const deepStrictEqual: Assert["deepStrictEqual"];
  export const notDeepStrictEqual: Assert["notDeepStrictEqual"];
  export const match: Assert["match"];
  export const doesNotMatch: Assert["doesNotMatch"];
  export const throws: Assert["throws"];
  export const doesNotThrow: Assert["doesNotThrow"];
  export const rejects: Assert["rejects"];
  export const doesNotReject: Assert["doesNotReject"];
  export const ifError: Assert["ifError"];
  export const strict: Assert["strict"];
}

declare module "node:url" {
  const UrlClass: typeof URL;
  const ParametersClass: typeof URLSearchParams;
  export { UrlClass as URL, ParametersClass as URLSearchParams };
  interface ParsedUrl {
    protocol: string | null;
    slashes: boolean | null;
    auth: string | null;
    host: string | null;
    port: string | null;
    hostname: string | null;
    hash: string | null;
    search: string | null;
    query: any;
    pathname: string | null;
    path: string | null;
    href: string;
  }
  export function parse(url: string, query?: boolean, slashes?: boolean): ParsedUrl;
  export function format(url: URL | Partial<ParsedUrl> | string): string;
  export function resolve(from: string, to: string): string;
  export function fileURLToPath(url: string | URL): string;
  export function pathToFileURL(path: string): URL;
  export * as default from "node:url";
}

declare module "node:string_decoder" {
  export class StringDecoder {
    constructor(encoding?: BufferEncoding);
    write(bytes: Uint8Array): string;
    end(bytes?: Uint8Array): string;
  }
}

declare module "node:timers/promises" {
  export function setTimeout<T = void>(delayMs?: number, value?: T): Promise<T>;
  export function setImmediate<T = void>(value?: T): Promise<T>;
}

/** Node's streams as packages hand them out and take them. */
declare module "node:stream" {
  import { EventEmitter } from "node:events";
  type Done = (error?: Error | null, value?: any) => void;
  interface Options {
    objectMode?: boolean;
    highWaterMark?: number;
    encoding?: BufferEncoding;
    read?(this: Readable, size: number): void;
    write?(this: any, chunk: any, encoding: BufferEncoding, done: Done): void;
    final?(this: any, done: Done): void;
    transform?(this: Transform, chunk: any, encoding: BufferEncoding, done: Done): void;
    flush?(this: Transform, done: Done): void;
  }
  class Stream extends EventEmitter {
    constructor(options?: Options);
    pipe<T>(to: T): T;
    destroy(error?: Error): this;
  }
  export class Readable extends Stream implements AsyncIterable<any> {
    static from(values: Iterable<unknown> | AsyncIterable<unknown>, options?: Options): Readable;
    read(size?: number): any;
    push(chunk: unknown, encoding?: BufferEncoding): boolean;
    setEncoding(encoding: BufferEncoding): this;
    pause(): this;
    resume(): this;
    [Symbol.asyncIterator](): AsyncIterableIterator<any>;
  }
  export class Writable extends Stream {
    write(chunk: unknown, encoding?: BufferEncoding): boolean;
    end(chunk?: unknown, encoding?: BufferEncoding): this;
  }
  export class Duplex extends Readable {
    write(chunk: unknown, encoding?: BufferEncoding): boolean;
    end(chunk?: unknown, encoding?: BufferEncoding): this;
  }
  export class Transform extends Duplex {}
  export class PassThrough extends Transform {}
  export function pipeline(...streams: any[]): any;
  export function finished(stream: Stream, done: Done): void;
}
declare module "node:stream/promises" {
  export function pipeline(...streams: any[]): Promise<void>;
  export function finished(stream: object): Promise<void>;
}

declare module "buffer" {
  export * from "node:buffer";
}
declare module "crypto" {
  export { default } from "node:crypto";
  export * from "node:crypto";
}
declare module "querystring" {
  export { default } from "node:querystring";
  export * from "node:querystring";
}
declare module "path" {
  export { default } from "node:path";
  export * from "node:path";
}
declare module "events" {
  export { default } from "node:events";
  export * from "node:events";
}
declare module "util" {
  export { default } from "node:util";
  export * from "node:util";
}
declare module "assert" {
  export { default } from "node:assert";
  export * from "node:assert";
}
declare module "node:assert/strict" {
  export { default } from "node:assert";
  export * from "node:assert";
}
declare module "url" {
  export { default } from "node:url";
  export * from "node:url";
}
declare module "string_decoder" {
  export * from "node:string_decoder";
}
declare module "stream" {
  export * from "node:stream";
}
declare module "timers/promises" {
  export * from "node:timers/promises";
}
