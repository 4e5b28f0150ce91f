/**
 * The globals of a machine beyond ECMAScript 2023. A flow's tsconfig.json names this file (`"types": ["mayfly/globals"]`, `"lib":
 * ["ES2023"]`), so that a flow which touches something a machine does not have fails to compile. docs/FLOWS.md lists what is missing.
 */
/// <reference path="./node.d.ts" />
/// <reference path="./streams.d.ts" />
/// <reference lib="esnext.intl" />
/// <reference lib="esnext.date" />

declare function queueMicrotask(task: () => void): void;
/** The form without values, so that `new Promise((done) => setTimeout(done, 5))` compiles, whose `done` takes one. */
declare function setTimeout(callback: (value: void) => void, delayMs?: number): number;
declare function setTimeout<T extends unknown[]>(callback: (...values: T) => void, delayMs?: number, ...values: T): number;
declare function setInterval(callback: (value: void) => void, delayMs?: number): number;
declare function setInterval<T extends unknown[]>(callback: (...values: T) => void, delayMs?: number, ...values: T): number;
declare function clearTimeout(timer?: number): void;
declare function clearInterval(timer?: number): void;
declare function structuredClone<T>(value: T, options?: { readonly transfer?: readonly ArrayBuffer[] }): T;
declare function atob(base64: string): string;
declare function btoa(binary: string): string;
/** Rejects with a TypeError whose `cause` is a FlowError, or with the reason of the signal. */
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

/** Writes lines to the log. */
interface Console {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  trace(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  dir(value: unknown): void;
  dirxml(...values: unknown[]): void;
  table(value: unknown, columns?: readonly string[]): void;
  assert(condition?: unknown, ...values: unknown[]): void;
  count(label?: string): void;
  countReset(label?: string): void;
  group(...label: unknown[]): void;
  groupCollapsed(...label: unknown[]): void;
  groupEnd(): void;
  /** Times are the events': a step takes none. */
  time(label?: string): void;
  timeLog(label?: string, ...values: unknown[]): void;
  timeEnd(label?: string): void;
  clear(): void;
}
declare var console: Console;

/** Time is the event's: it stands still inside a step. */
interface Performance {
  readonly timeOrigin: number;
  now(): number;
  toJSON(): object;
}
declare var performance: Performance;

interface DOMException extends Error {
  readonly code: number;
}
declare var DOMException: { readonly prototype: DOMException; new (message?: string, name?: string): DOMException };

interface TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}
declare var TextEncoder: { readonly prototype: TextEncoder; new (): TextEncoder };

interface TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(input?: ArrayBuffer | ArrayBufferView, options?: { readonly stream?: boolean }): string;
}
declare var TextDecoder: {
  readonly prototype: TextDecoder;
  /** Knows utf-8, utf-16le, utf-16be, windows-1252 (latin1), and the other charsets of the Encoding Standard that the flow names. */
  new (label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }): TextDecoder;
};

interface EventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly composed?: boolean;
}
interface Event {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly composed: boolean;
  readonly timeStamp: number;
  /** True for the event of a signal that is aborted. */
  readonly isTrusted: boolean;
  readonly target: EventTarget | null;
  readonly currentTarget: EventTarget | null;
  readonly defaultPrevented: boolean;
  readonly eventPhase: number;
  composedPath(): EventTarget[];
  preventDefault(): void;
  stopPropagation(): void;
  stopImmediatePropagation(): void;
}
declare var Event: { readonly prototype: Event; new (type: string, init?: EventInit): Event };
interface CustomEvent<T = unknown> extends Event {
  readonly detail: T;
}
declare var CustomEvent: {
  readonly prototype: CustomEvent;
  new <T>(type: string, init?: EventInit & { readonly detail?: T }): CustomEvent<T>;
};
type EventListenerOrObject = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };
interface AddEventListenerOptions {
  readonly once?: boolean;
  readonly capture?: boolean;
  readonly passive?: boolean;
  readonly signal?: AbortSignal;
}
interface EventTarget {
  addEventListener(type: string, listener: EventListenerOrObject | null, options?: AddEventListenerOptions | boolean): void;
  removeEventListener(type: string, listener: EventListenerOrObject | null, options?: AddEventListenerOptions | boolean): void;
  dispatchEvent(event: Event): boolean;
}
declare var EventTarget: { readonly prototype: EventTarget; new (): EventTarget };
interface AbortSignal extends EventTarget {
  readonly aborted: boolean;
  readonly reason: unknown;
  onabort: ((event: Event) => unknown) | null;
  throwIfAborted(): void;
}
declare var AbortSignal: {
  readonly prototype: AbortSignal;
  abort(reason?: unknown): AbortSignal;
  timeout(delayMs: number): AbortSignal;
  any(signals: Iterable<AbortSignal>): AbortSignal;
};
interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
declare var AbortController: { readonly prototype: AbortController; new (): AbortController };

interface URLSearchParams extends Iterable<[string, string]> {
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(callback: (value: string, name: string, parameters: URLSearchParams) => void, self?: unknown): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  toString(): string;
}
declare var URLSearchParams: {
  readonly prototype: URLSearchParams;
  new (init?: string | Iterable<readonly [string, string]> | Readonly<Record<string, string>> | URLSearchParams): URLSearchParams;
};
interface URL {
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  readonly searchParams: URLSearchParams;
  hash: string;
  toString(): string;
  toJSON(): string;
}
declare var URL: {
  readonly prototype: URL;
  new (url: string | URL, base?: string | URL): URL;
  canParse(url: string | URL, base?: string | URL): boolean;
  parse(url: string | URL, base?: string | URL): URL | null;
};

type HeadersInit = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string>>;
interface Headers extends Iterable<[string, string]> {
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getSetCookie(): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
}
declare var Headers: { readonly prototype: Headers; new (init?: HeadersInit): Headers };

/** Bytes that nobody can change. They are wholly there. */
interface Blob {
  readonly size: number;
  readonly type: string;
  slice(start?: number, end?: number, contentType?: string): Blob;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
  text(): Promise<string>;
}
type BlobPart = string | ArrayBuffer | ArrayBufferView | Blob;
interface BlobPropertyBag {
  readonly type?: string;
  /** "native": line breaks of texts become `\n`. */
  readonly endings?: "transparent" | "native";
}
declare var Blob: { readonly prototype: Blob; new (parts?: Iterable<BlobPart>, options?: BlobPropertyBag): Blob };
interface File extends Blob {
  readonly name: string;
  readonly lastModified: number;
}
interface FilePropertyBag extends BlobPropertyBag {
  /** Default: the event's time. */
  readonly lastModified?: number;
}
declare var File: { readonly prototype: File; new (parts: Iterable<BlobPart>, name: string, options?: FilePropertyBag): File };

type FormDataEntryValue = string | File;
interface FormData extends Iterable<[string, FormDataEntryValue]> {
  append(name: string, value: string): void;
  append(name: string, value: Blob, filename?: string): void;
  delete(name: string): void;
  get(name: string): FormDataEntryValue | null;
  getAll(name: string): FormDataEntryValue[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  set(name: string, value: Blob, filename?: string): void;
  forEach(callback: (value: FormDataEntryValue, name: string, form: FormData) => void, self?: unknown): void;
  entries(): IterableIterator<[string, FormDataEntryValue]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<FormDataEntryValue>;
}
declare var FormData: { readonly prototype: FormData; new (): FormData };

type BodyInit = string | ArrayBuffer | ArrayBufferView | URLSearchParams | Blob | FormData | ReadableStream;
/** A body that is wholly there. Its stream has one piece; without a mention of streams in the flow it is null. */
interface Body {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  formData(): Promise<FormData>;
  text(): Promise<string>;
  // biome-ignore lint/suspicious/noExplicitAny: as in every other library's declaration of fetch
  json(): Promise<any>;
}
interface RequestInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: BodyInit | null;
  readonly signal?: AbortSignal | null;
  readonly redirect?: string;
  /** These have a meaning in a page only; they are checked and kept. */
  readonly mode?: string;
  readonly credentials?: string;
  readonly cache?: string;
  readonly keepalive?: boolean;
}
interface Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly redirect: "follow" | "error" | "manual";
  /** These are kept as they were given, and change nothing: a machine is no page. */
  readonly mode: string;
  readonly credentials: string;
  readonly cache: string;
  readonly referrer: string;
  readonly referrerPolicy: string;
  readonly integrity: string;
  readonly keepalive: boolean;
  readonly destination: string;
  readonly duplex: "half";
  clone(): Request;
}
declare var Request: { readonly prototype: Request; new (input: string | URL | Request, init?: RequestInit): Request };
interface ResponseInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeadersInit;
}
interface Response extends Body {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  readonly headers: Headers;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
  clone(): Response;
}
declare var Response: {
  readonly prototype: Response;
  new (body?: BodyInit | null, init?: ResponseInit): Response;
  json(value: unknown, init?: ResponseInit): Response;
  redirect(url: string | URL, status?: number): Response;
  error(): Response;
};

type BufferSource = ArrayBuffer | ArrayBufferView;
type KeyUsage = "encrypt" | "decrypt" | "sign" | "verify" | "deriveKey" | "deriveBits" | "wrapKey" | "unwrapKey";
type KeyFormat = "raw" | "pkcs8" | "spki" | "jwk";
interface KeyAlgorithm {
  readonly name: string;
  readonly hash?: { readonly name: string };
  readonly length?: number;
  readonly namedCurve?: string;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
}
interface CryptoKey {
  readonly type: "secret" | "private" | "public";
  readonly extractable: boolean;
  readonly algorithm: KeyAlgorithm;
  readonly usages: readonly KeyUsage[];
}
declare var CryptoKey: { readonly prototype: CryptoKey };
interface CryptoKeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}
interface JsonWebKey {
  readonly kty?: string;
  readonly use?: string;
  readonly key_ops?: string[];
  readonly alg?: string;
  readonly ext?: boolean;
  readonly crv?: string;
  readonly k?: string;
  readonly x?: string;
  readonly y?: string;
  readonly d?: string;
  readonly n?: string;
  readonly e?: string;
  readonly p?: string;
  readonly q?: string;
  readonly dp?: string;
  readonly dq?: string;
  readonly qi?: string;
}
/** An algorithm with its parameters (Web Cryptography API, §18): `{ name: "AES-GCM", iv }`, `{ name: "ECDSA", hash: "SHA-256" }`. */
interface KeyParameters {
  readonly name: string;
  readonly hash?: string | { readonly name: string };
  /** Of a key, in bits; of the counter of AES-CTR, in bits. */
  readonly length?: number;
  readonly iv?: BufferSource;
  readonly counter?: BufferSource;
  readonly additionalData?: BufferSource;
  /** In bits. */
  readonly tagLength?: number;
  readonly label?: BufferSource;
  /** In bytes. */
  readonly saltLength?: number;
  readonly salt?: BufferSource;
  readonly info?: BufferSource;
  readonly iterations?: number;
  readonly namedCurve?: string;
  /** In bits. */
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
  /** The other side's key. */
  readonly public?: CryptoKey;
}
/**
 * SHA-1, SHA-256, SHA-384, SHA-512; HMAC; AES-GCM, AES-CBC, AES-CTR, AES-KW; PBKDF2, HKDF; RSASSA-PKCS1-v1_5, RSA-PSS, RSA-OAEP; ECDSA and ECDH on
 * P-256, P-384, P-521; Ed25519, X25519. The flow's text must name those it uses.
 */
interface SubtleCrypto {
  digest(algorithm: string | KeyParameters, data: BufferSource): Promise<ArrayBuffer>;
  generateKey(
    algorithm: KeyParameters & { readonly name: "HMAC" | `AES-${string}` },
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  generateKey(
    algorithm: ("Ed25519" | "X25519") | (KeyParameters & { readonly name: `RSA${string}` | `EC${string}` | `${string}25519` }),
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKeyPair>;
  generateKey(algorithm: string | KeyParameters, extractable: boolean, usages: readonly KeyUsage[]): Promise<CryptoKey | CryptoKeyPair>;
  importKey(
    format: "jwk",
    key: JsonWebKey,
    algorithm: string | KeyParameters,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  importKey(
    format: "raw" | "pkcs8" | "spki",
    key: BufferSource,
    algorithm: string | KeyParameters,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  exportKey(format: "jwk", key: CryptoKey): Promise<JsonWebKey>;
  exportKey(format: "raw" | "pkcs8" | "spki", key: CryptoKey): Promise<ArrayBuffer>;
  sign(algorithm: string | KeyParameters, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  verify(algorithm: string | KeyParameters, key: CryptoKey, signature: BufferSource, data: BufferSource): Promise<boolean>;
  encrypt(algorithm: string | KeyParameters, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  decrypt(algorithm: string | KeyParameters, key: CryptoKey, data: BufferSource): Promise<ArrayBuffer>;
  /** `length`: in bits; null: all of a secret that two keys agree on. */
  deriveBits(algorithm: string | KeyParameters, key: CryptoKey, length?: number | null): Promise<ArrayBuffer>;
  deriveKey(
    algorithm: string | KeyParameters,
    key: CryptoKey,
    derivedKeyType: string | KeyParameters,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
  wrapKey(format: KeyFormat, key: CryptoKey, wrappingKey: CryptoKey, algorithm: string | KeyParameters): Promise<ArrayBuffer>;
  unwrapKey(
    format: KeyFormat,
    wrappedKey: BufferSource,
    unwrappingKey: CryptoKey,
    algorithm: string | KeyParameters,
    unwrappedKeyAlgorithm: string | KeyParameters,
    extractable: boolean,
    usages: readonly KeyUsage[],
  ): Promise<CryptoKey>;
}
interface Crypto {
  readonly subtle: SubtleCrypto;
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
}
declare var crypto: Crypto;

// Of what came after ECMAScript 2023, the part about bytes (ECMAScript 2026).
interface Uint8Array {
  toBase64(options?: { readonly alphabet?: "base64" | "base64url"; readonly omitPadding?: boolean }): string;
  toHex(): string;
}
interface Uint8ArrayConstructor {
  fromBase64(
    text: string,
    options?: { readonly alphabet?: "base64" | "base64url"; readonly lastChunkHandling?: "loose" | "strict" | "stop-before-partial" },
  ): Uint8Array<ArrayBuffer>;
  fromHex(text: string): Uint8Array<ArrayBuffer>;
}
