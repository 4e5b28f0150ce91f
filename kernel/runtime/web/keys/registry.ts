/** Keys, and the algorithms of crypto.subtle by name: their operations, and the parameters each takes (Web Cryptography API, §18). */
import { kernel } from "../../link.ts";
import { table } from "../../table.ts";

export type Data = ArrayBuffer | ArrayBufferView;
export type Usage = "encrypt" | "decrypt" | "sign" | "verify" | "deriveKey" | "deriveBits" | "wrapKey" | "unwrapKey";
/** In the order in which keys have them. */
export const keyUsages: readonly Usage[] = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];

/** A JSON web key (RFC 7517) as it is given: anything may be in it. */
export interface Jwk {
  readonly kty?: unknown;
  readonly use?: unknown;
  readonly key_ops?: unknown;
  readonly ext?: unknown;
  readonly alg?: unknown;
  readonly [name: string]: unknown;
}

export interface KeyAlgorithm {
  readonly name: string;
  readonly hash?: { readonly name: string };
  readonly length?: number;
  readonly namedCurve?: string;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
}

export interface KeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

/** Kinds of parameters; `?` makes one optional. */
type Kind = "hash" | "bytes" | "octet" | "short" | "long" | "text" | "key" | "integer";
export type Shape = Readonly<Record<string, Kind | `${Kind}?`>>;

/** An algorithm as it was asked for, with parameters of the right kinds. */
export interface Normalized {
  readonly name: string;
  readonly operations: Operations;
  readonly hash?: string;
  readonly length?: number;
  readonly iv?: Uint8Array;
  readonly counter?: Uint8Array;
  readonly additionalData?: Uint8Array;
  readonly tagLength?: number;
  readonly label?: Uint8Array;
  readonly saltLength?: number;
  readonly salt?: Uint8Array;
  readonly info?: Uint8Array;
  readonly iterations?: number;
  readonly namedCurve?: string;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
  readonly public?: CryptoKey;
}

/** One algorithm. What it does not have it does not support. */
export interface Operations {
  /** Parameters by operation; an operation without any need not be there. */
  readonly shapes?: Readonly<Record<string, Shape>>;
  readonly digest?: object;
  generateKey?(algorithm: Normalized, extractable: boolean, usages: readonly Usage[]): CryptoKey | KeyPair;
  importKey?(format: string, data: Data | Jwk, algorithm: Normalized, extractable: boolean, usages: readonly Usage[]): CryptoKey;
  exportKey?(format: string, key: CryptoKey): Uint8Array | Jwk;
  sign?(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array;
  verify?(algorithm: Normalized, key: CryptoKey, signature: Uint8Array, data: Uint8Array): boolean;
  encrypt?(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array;
  decrypt?(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array;
  deriveBits?(algorithm: Normalized, key: CryptoKey, length: number | null): Uint8Array;
  wrapKey?(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array;
  unwrapKey?(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array;
  /** Bits of a key that is derived; null where any will do. */
  keyLength?(algorithm: Normalized): number | null;
}

export interface KeySettings {
  readonly type: "secret" | "private" | "public";
  readonly extractable: boolean;
  readonly algorithm: KeyAlgorithm;
  readonly usages: readonly Usage[];
}

interface Made {
  readonly settings: KeySettings;
  readonly operations: Operations;
  readonly material: unknown;
}

/** Made keys: whoever finds the class as a global neither makes a key with it nor gets at the bytes of one. */
const made = new WeakMap<CryptoKey, Made>();
let making: Made | undefined;

export class CryptoKey {
  constructor() {
    if (making === undefined) throw new TypeError("Illegal constructor");
    made.set(this, making);
    making = undefined;
  }

  get type(): KeySettings["type"] {
    return madeOf(this).settings.type;
  }

  get extractable(): boolean {
    return madeOf(this).settings.extractable;
  }

  get algorithm(): KeyAlgorithm {
    return madeOf(this).settings.algorithm;
  }

  get usages(): readonly Usage[] {
    return madeOf(this).settings.usages;
  }
}

function madeOf(key: CryptoKey): Made {
  const found = made.get(key);
  if (found === undefined) throw new TypeError("a CryptoKey is needed");
  return found;
}

/** `material`: what the algorithm keeps of it. */
export function newKey(settings: KeySettings, operations: Operations, material: unknown): CryptoKey {
  const usages = keyUsages.filter((usage) => settings.usages.includes(usage));
  making = { settings: { ...settings, usages }, operations, material };
  return new CryptoKey();
}

export function operationsOf(key: CryptoKey): Operations {
  return madeOf(key).operations;
}

export function materialOf(key: CryptoKey): unknown {
  return madeOf(key).material;
}

interface Registered {
  readonly name: string;
  readonly operations: Operations;
}

const algorithms = new Map<string, Registered>();

export function register(name: string, operations: Operations): void {
  algorithms.set(name.toLowerCase(), { name, operations });
}

/** Algorithms of parts that a flow may not have. */
const known = /^(?:aes-(?:gcm|cbc|ctr|kw)|pbkdf2|hkdf|rsa-(?:pss|oaep)|rsassa-pkcs1-v1_5|ecdsa|ecdh|ed25519|x25519)$/i;

export function notSupported(what: string): DOMException {
  return new DOMException(what, "NotSupportedError");
}

/** Name → number of the native digest, its block and its output in bytes. */
const hashes: Readonly<Record<string, readonly [number: number, block: number, output: number]>> = table({
  "SHA-1": [1, 64, 20],
  "SHA-256": [256, 64, 32],
  "SHA-384": [384, 128, 48],
  "SHA-512": [512, 128, 64],
});

export function hashNumber(name: string): number {
  return hashes[name]![0];
}

export function hashBlock(name: string): number {
  return hashes[name]![1];
}

export function hashLength(name: string): number {
  return hashes[name]![2];
}

export function digestOf(hash: string, bytes: Uint8Array): Uint8Array {
  return kernel.native.digest(hashNumber(hash), bytes);
}

/** The buffer of bytes that own all of it. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
}

/** Bytes of their own: the caller may change what it gave. */
export function copied(data: Data): Uint8Array {
  return kernel.viewBytes(data).slice();
}

const most: Readonly<Record<string, number>> = table({ octet: 0xff, short: 0xffff, long: 0xffff_ffff });

function whole(value: unknown, kind: string, name: string): number {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= most[kind]!)) throw new TypeError(`${name} is a number from 0 to ${most[kind]}`);
  return number;
}

function parameter(value: unknown, kind: string, name: string): unknown {
  switch (kind) {
    case "hash":
      return normalized("digest", value).name;
    case "bytes":
      return copied(value as Data);
    case "integer":
      if (!(value instanceof Uint8Array)) throw new TypeError(`${name} is a Uint8Array`);
      return value.slice();
    case "key":
      if (!(value instanceof CryptoKey)) throw new TypeError(`${name} is a CryptoKey`);
      return value;
    case "text":
      return String(value);
    default:
      return whole(value, kind, name);
  }
}

/** An algorithm for an operation (§18.4.4). Throws NotSupportedError, and TypeError for parameters that are missing or of another kind. */
export function normalized(operation: keyof Operations, algorithm: unknown): Normalized {
  const given = typeof algorithm === "object" && algorithm !== null ? (algorithm as Record<string, unknown>) : { name: algorithm };
  if (given["name"] === undefined) throw new TypeError("an algorithm has a name");
  const text = String(given["name"]);
  const found = algorithms.get(text.toLowerCase());
  if (found === undefined && known.test(text))
    throw notSupported(`${text} is not linked into this image: write its name as a text in the flow, such as "${text}"`);
  if (found?.operations[operation] === undefined) throw notSupported(`${text} does not support ${operation}`);
  const { name, operations } = found;
  const result: Record<string, unknown> = { name, operations };
  for (const [field, kind] of Object.entries(operations.shapes?.[operation] ?? {})) {
    const isOptional = kind.endsWith("?");
    const value = given[field];
    if (value === undefined && isOptional) continue;
    if (value === undefined) throw new TypeError(`${name} needs ${field}`);
    result[field] = parameter(value, isOptional ? kind.slice(0, -1) : kind, field);
  }
  return result as unknown as Normalized;
}

/** Throws SyntaxError where a usage is not among those that a kind of key has. */
export function checkUsages(usages: readonly Usage[], allowed: readonly Usage[]): void {
  const wrong = usages.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined) throw new DOMException(`such a key is not for "${wrong}"`, "SyntaxError");
}

export function dataError(why: string): DOMException {
  return new DOMException(why, "DataError");
}

export function operationError(why: string): DOMException {
  return new DOMException(why, "OperationError");
}

/** Random bytes of the machine's generator: of a message, not of a top level. */
export function randomBytes(length: number, what: string): Uint8Array {
  kernel.requireHandler(what);
  const bytes = new Uint8Array(length);
  kernel.native.random(bytes);
  return bytes;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A big-endian number in so many bytes; leading zeros come or go. */
export function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const result = new Uint8Array(length);
  if (bytes.length < length) result.set(bytes, length - bytes.length);
  else result.set(bytes.subarray(bytes.length - length));
  return result;
}

/** Without leading zeros; zero itself is one byte. */
export function minimal(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  return bytes.slice(at);
}

/** Bits of a big-endian number. */
export function bitLength(bytes: Uint8Array): number {
  const short = minimal(bytes);
  return short.length === 0 ? 0 : 8 * short.length - Math.clz32(short[0]!) + 24;
}
