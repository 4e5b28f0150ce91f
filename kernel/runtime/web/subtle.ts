/**
 * The part `subtle`: crypto.subtle (Web Cryptography API, Level 2) with digests and HMAC. Other algorithms are parts of their own (web/keys/), which
 * register themselves here and are linked into images whose flow names them.
 *
 *   a call ─▶ normalized algorithm ─▶ checks of the key ─▶ operation of the algorithm
 */
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";
import { crypto } from "./crypto.ts";
import { hmac } from "./keys/hmac.ts";
import {
  bufferOf,
  copied,
  CryptoKey,
  type Data,
  hashNumber,
  type Jwk,
  type KeyPair,
  keyUsages,
  type Normalized,
  normalized,
  type Operations,
  operationsOf,
  register,
  type Usage,
} from "./keys/registry.ts";

const formats: readonly string[] = ["raw", "pkcs8", "spki", "jwk"];

function formatOf(value: unknown): string {
  const format = String(value);
  if (!formats.includes(format)) throw new TypeError(`${JSON.stringify(format)} is no format of keys: use ${formats.join(", ")}`);
  return format;
}

function usagesOf(values: Iterable<unknown>): Usage[] {
  const usages = Array.from(values, String);
  for (const usage of usages)
    if (!(keyUsages as readonly string[]).includes(usage)) throw new TypeError(`${JSON.stringify(usage)} is no usage of keys`);
  return keyUsages.filter((usage) => usages.includes(usage));
}

/** The key data of a format: bytes, or a JSON web key. */
function keyData(format: string, data: unknown): Data | Jwk {
  const isBytes = data instanceof ArrayBuffer || ArrayBuffer.isView(data);
  if (format === "jwk" ? isBytes || typeof data !== "object" || data === null : !isBytes)
    throw new TypeError(format === "jwk" ? "a JSON web key is an object" : `a key of the format "${format}" is bytes`);
  return format === "jwk" ? (data as Jwk) : copied(data as Data);
}

function keyOf(value: unknown): CryptoKey {
  if (!(value instanceof CryptoKey)) throw new TypeError("a CryptoKey is needed");
  return value;
}

/** Checks that a key is for this algorithm and usage. */
function checkKey(key: CryptoKey, { name }: Normalized, usage: Usage): void {
  if (key.algorithm.name !== name) throw new DOMException(`the key is for ${key.algorithm.name}, not ${name}`, "InvalidAccessError");
  if (!key.usages.includes(usage)) throw new DOMException(`the key is not for "${usage}"`, "InvalidAccessError");
}

/** A secret or private key that is for nothing is no key. */
function checkUseful(made: CryptoKey | KeyPair): void {
  const key = made instanceof CryptoKey ? made : made.privateKey;
  if (key.type !== "public" && key.usages.length === 0) throw new DOMException("the key is for nothing: name its usages", "SyntaxError");
}

function imported(format: string, data: Data | Jwk, algorithm: Normalized, extractable: boolean, usages: readonly Usage[]): CryptoKey {
  const key = algorithm.operations.importKey!(format, data, algorithm, extractable, usages);
  checkUseful(key);
  return key;
}

function exported(format: string, key: CryptoKey): Uint8Array | Jwk {
  const { exportKey } = operationsOf(key);
  if (exportKey === undefined) throw new DOMException(`keys of ${key.algorithm.name} can't be exported`, "NotSupportedError");
  if (!key.extractable) throw new DOMException("the key can't be exported: it was made so", "InvalidAccessError");
  return exportKey(format, key);
}

class SubtleCrypto {
  async digest(algorithm: unknown, data: Data): Promise<ArrayBuffer> {
    const { name } = normalized("digest", algorithm);
    return bufferOf(kernel.native.digest(hashNumber(name), kernel.viewBytes(data)));
  }

  async generateKey(algorithm: unknown, extractable: boolean, keyUsages: Iterable<unknown>): Promise<CryptoKey | KeyPair> {
    const usages = usagesOf(keyUsages);
    const wanted = normalized("generateKey", algorithm);
    const made = wanted.operations.generateKey!(wanted, Boolean(extractable), usages);
    checkUseful(made);
    return made;
  }

  async importKey(
    format: string,
    data: unknown,
    algorithm: unknown,
    extractable: boolean,
    keyUsages: Iterable<unknown>,
  ): Promise<CryptoKey> {
    const from = formatOf(format);
    const given = keyData(from, data);
    const usages = usagesOf(keyUsages);
    return imported(from, given, normalized("importKey", algorithm), Boolean(extractable), usages);
  }

  async exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer | Jwk> {
    const result = exported(formatOf(format), keyOf(key));
    return result instanceof Uint8Array ? bufferOf(result) : result;
  }

  async sign(algorithm: unknown, key: CryptoKey, data: Data): Promise<ArrayBuffer> {
    const wanted = normalized("sign", algorithm);
    checkKey(keyOf(key), wanted, "sign");
    return bufferOf(wanted.operations.sign!(wanted, key, kernel.viewBytes(data)));
  }

  async verify(algorithm: unknown, key: CryptoKey, signature: Data, data: Data): Promise<boolean> {
    const wanted = normalized("verify", algorithm);
    checkKey(keyOf(key), wanted, "verify");
    return wanted.operations.verify!(wanted, key, kernel.viewBytes(signature), kernel.viewBytes(data));
  }

  async encrypt(algorithm: unknown, key: CryptoKey, data: Data): Promise<ArrayBuffer> {
    const wanted = normalized("encrypt", algorithm);
    checkKey(keyOf(key), wanted, "encrypt");
    return bufferOf(wanted.operations.encrypt!(wanted, key, kernel.viewBytes(data)));
  }

  async decrypt(algorithm: unknown, key: CryptoKey, data: Data): Promise<ArrayBuffer> {
    const wanted = normalized("decrypt", algorithm);
    checkKey(keyOf(key), wanted, "decrypt");
    return bufferOf(wanted.operations.decrypt!(wanted, key, kernel.viewBytes(data)));
  }

  async deriveBits(algorithm: unknown, key: CryptoKey, length: number | null = null): Promise<ArrayBuffer> {
    const wanted = normalized("deriveBits", algorithm);
    checkKey(keyOf(key), wanted, "deriveBits");
    return bufferOf(wanted.operations.deriveBits!(wanted, key, length === null ? null : Number(length) >>> 0));
  }

  async deriveKey(
    algorithm: unknown,
    key: CryptoKey,
    derivedKeyType: unknown,
    extractable: boolean,
    keyUsages: Iterable<unknown>,
  ): Promise<CryptoKey> {
    const usages = usagesOf(keyUsages);
    const wanted = normalized("deriveBits", algorithm);
    const type = normalized("importKey", derivedKeyType);
    const sized = normalized("keyLength", derivedKeyType);
    checkKey(keyOf(key), wanted, "deriveKey");
    const bits = wanted.operations.deriveBits!(wanted, key, sized.operations.keyLength!(sized));
    return imported("raw", bits, type, Boolean(extractable), usages);
  }

  async wrapKey(format: string, key: CryptoKey, wrappingKey: CryptoKey, algorithm: unknown): Promise<ArrayBuffer> {
    const to = formatOf(format);
    const { wanted, wrap } = wrapping("wrapKey", algorithm);
    checkKey(keyOf(wrappingKey), wanted, "wrapKey");
    const result = exported(to, keyOf(key));
    const bytes = result instanceof Uint8Array ? result : kernel.utf8.encode(JSON.stringify(result));
    return bufferOf(wrap(wanted, wrappingKey, bytes));
  }

  async unwrapKey(
    format: string,
    wrappedKey: Data,
    unwrappingKey: CryptoKey,
    algorithm: unknown,
    unwrappedKeyAlgorithm: unknown,
    extractable: boolean,
    keyUsages: Iterable<unknown>,
  ): Promise<CryptoKey> {
    const from = formatOf(format);
    const usages = usagesOf(keyUsages);
    const { wanted, wrap: unwrap } = wrapping("unwrapKey", algorithm);
    const type = normalized("importKey", unwrappedKeyAlgorithm);
    checkKey(keyOf(unwrappingKey), wanted, "unwrapKey");
    const bytes = unwrap(wanted, unwrappingKey, copied(wrappedKey));
    return imported(from, from === "jwk" ? webKeyIn(bytes) : bytes, type, Boolean(extractable), usages);
  }
}

type Wrap = (algorithm: Normalized, key: CryptoKey, data: Uint8Array) => Uint8Array;

/** An algorithm's own way to wrap keys, or else its encryption. */
function wrapping(operation: "wrapKey" | "unwrapKey", algorithm: unknown): { readonly wanted: Normalized; readonly wrap: Wrap } {
  let wanted: Normalized;
  try {
    wanted = normalized(operation, algorithm);
  } catch (error) {
    if ((error as { name?: unknown }).name !== "NotSupportedError") throw error;
    wanted = normalized(operation === "wrapKey" ? "encrypt" : "decrypt", algorithm);
  }
  const { operations } = wanted;
  return {
    wanted,
    wrap: (operation === "wrapKey" ? (operations.wrapKey ?? operations.encrypt) : (operations.unwrapKey ?? operations.decrypt))!,
  };
}

function webKeyIn(bytes: Uint8Array): Jwk {
  let value: unknown;
  try {
    value = JSON.parse(kernel.native.decodeUtf8(bytes, true));
  } catch {
    throw new DOMException("what was wrapped is no JSON web key", "DataError");
  }
  if (typeof value !== "object" || value === null) throw new DOMException("what was wrapped is no JSON web key", "DataError");
  return value as Jwk;
}

const digests: Operations = { digest: {} };
for (const name of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) register(name, digests);
register("HMAC", hmac);

Object.defineProperty(crypto, "subtle", { value: new SubtleCrypto(), configurable: true });
expose("SubtleCrypto", SubtleCrypto);
expose("CryptoKey", CryptoKey);
