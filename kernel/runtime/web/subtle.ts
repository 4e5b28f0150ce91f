/** The part `subtle`: crypto.subtle with SHA digests and HMAC (Web Cryptography API). Linked into images whose flow mentions it. */
import { table } from "../table.ts";
import { kernel } from "../link.ts";
import { expose } from "./interface.ts";
import { crypto } from "./crypto.ts";

type Named = string | { readonly name: string };
type Usage = "sign" | "verify";

/** Name → number of the native digest, its block and its output in bytes. */
const hashes: Readonly<Record<string, readonly [number: number, block: number, output: number]>> = table({
  "SHA-1": [1, 64, 20],
  "SHA-256": [256, 64, 32],
  "SHA-384": [384, 128, 48],
  "SHA-512": [512, 128, 64],
});

function nameOf(algorithm: Named): string {
  return String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm).toUpperCase();
}

function hashOf(algorithm: Named): string {
  const name = nameOf(algorithm);
  if (!Object.hasOwn(hashes, name))
    throw new DOMException(`the digest ${name} is not supported: use ${Object.keys(hashes).join(", ")}`, "NotSupportedError");
  return name;
}

function checkHmac(algorithm: Named): void {
  if (nameOf(algorithm) !== "HMAC")
    throw new DOMException(`${nameOf(algorithm)} is not supported: only HMAC keys are`, "NotSupportedError");
}

/** The buffer of bytes that own all of it. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
}

/** The engine has these; the library of ES2023 does not know them yet. */
type Base64Bytes = Uint8Array & { toBase64(options: { alphabet: "base64url"; omitPadding: boolean }): string };
type Base64Reader = Uint8ArrayConstructor & { fromBase64(text: string, options: { alphabet: "base64url" }): Uint8Array };

export class CryptoKey {
  readonly type = "secret";
  readonly extractable: boolean;
  readonly algorithm: { readonly name: "HMAC"; readonly hash: { readonly name: string }; readonly length: number };
  readonly usages: Usage[];
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, hash: string, extractable: boolean, usages: readonly Usage[]) {
    this.#bytes = bytes;
    this.extractable = extractable;
    this.algorithm = { name: "HMAC", hash: { name: hash }, length: 8 * bytes.length };
    this.usages = [...usages];
    if (usages.length === 0 || usages.some((usage) => usage !== "sign" && usage !== "verify")) {
      throw new DOMException('an HMAC key is for "sign", "verify" or both', "SyntaxError");
    }
  }

  /** The key's bytes, when it is for that. */
  static bytesFor(key: CryptoKey, usage: Usage | undefined): Uint8Array {
    if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is needed");
    if (usage !== undefined && !key.usages.includes(usage)) throw new DOMException(`the key is not for "${usage}"`, "InvalidAccessError");
    if (usage === undefined && !key.extractable) throw new DOMException("the key can't be exported", "InvalidAccessError");
    return key.#bytes;
  }
}

interface HmacParameters {
  readonly name: string;
  readonly hash: Named;
  readonly length?: number;
}
interface Jwk {
  readonly kty?: string;
  readonly k?: string;
  readonly alg?: string;
  readonly ext?: boolean;
  readonly key_ops?: string[];
}
type Source = ArrayBuffer | ArrayBufferView;

function mac(key: CryptoKey, usage: Usage, data: Source): Uint8Array {
  return kernel.native.hmac(hashes[key.algorithm.hash.name]![0], CryptoKey.bytesFor(key, usage), kernel.viewBytes(data));
}

class SubtleCrypto {
  async digest(algorithm: Named, data: Source): Promise<ArrayBuffer> {
    return bufferOf(kernel.native.digest(hashes[hashOf(algorithm)]![0], kernel.viewBytes(data)));
  }

  async generateKey(algorithm: HmacParameters, extractable: boolean, usages: readonly Usage[]): Promise<CryptoKey> {
    checkHmac(algorithm);
    const hash = hashOf(algorithm.hash);
    const bits = algorithm.length ?? 8 * hashes[hash]![1];
    if (!Number.isInteger(bits) || bits <= 0 || bits % 8 !== 0 || bits > 65_536)
      throw new DOMException("the length of a key is whole bytes, given in bits", "OperationError");
    kernel.requireHandler("crypto.subtle.generateKey");
    const bytes = new Uint8Array(bits / 8);
    kernel.native.random(bytes);
    return new CryptoKey(bytes, hash, extractable, usages);
  }

  async importKey(
    format: string,
    key: Source | Jwk,
    algorithm: HmacParameters,
    extractable: boolean,
    usages: readonly Usage[],
  ): Promise<CryptoKey> {
    checkHmac(algorithm);
    const hash = hashOf(algorithm.hash);
    let bytes: Uint8Array;
    if (format === "raw") bytes = kernel.viewBytes(key as Source).slice();
    else if (format === "jwk") bytes = readJwk(key as Jwk, hash, extractable, usages);
    else throw new DOMException(`keys are imported as "raw" or "jwk", not ${JSON.stringify(format)}`, "NotSupportedError");
    if (bytes.length === 0) throw new DOMException("the key is empty", "DataError");
    return new CryptoKey(bytes, hash, extractable, usages);
  }

  async exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer | Jwk> {
    const bytes = CryptoKey.bytesFor(key, undefined);
    if (format === "raw") return bufferOf(bytes.slice());
    if (format !== "jwk") throw new DOMException(`keys are exported as "raw" or "jwk", not ${JSON.stringify(format)}`, "NotSupportedError");
    return {
      key_ops: [...key.usages],
      ext: true,
      kty: "oct",
      k: (bytes as Base64Bytes).toBase64({ alphabet: "base64url", omitPadding: true }),
      alg: jwkAlgorithm(key.algorithm.hash.name),
    };
  }

  async sign(algorithm: Named, key: CryptoKey, data: Source): Promise<ArrayBuffer> {
    checkHmac(algorithm);
    return bufferOf(mac(key, "sign", data));
  }

  async verify(algorithm: Named, key: CryptoKey, signature: Source, data: Source): Promise<boolean> {
    checkHmac(algorithm);
    return kernel.native.equal(mac(key, "verify", data), kernel.viewBytes(signature));
  }
}

/** RFC 7518 §3.1; SHA-1 as the Web Cryptography API has it. */
function jwkAlgorithm(hash: string): string {
  return `HS${hash.slice(4)}`;
}

function readJwk(jwk: Jwk, hash: string, extractable: boolean, usages: readonly Usage[]): Uint8Array {
  if (jwk.kty !== "oct" || typeof jwk.k !== "string") throw new DOMException('a JSON web key for HMAC has kty "oct" and k', "DataError");
  if (jwk.alg !== undefined && jwk.alg !== jwkAlgorithm(hash))
    throw new DOMException(`the key is for ${jwk.alg}, not ${jwkAlgorithm(hash)}`, "DataError");
  if (jwk.ext === false && extractable) throw new DOMException("the key says it must not be extractable", "DataError");
  if (jwk.key_ops !== undefined && usages.some((usage) => !jwk.key_ops!.includes(usage)))
    throw new DOMException("the key says it is not for that", "DataError");
  try {
    return (Uint8Array as Base64Reader).fromBase64(jwk.k, { alphabet: "base64url" });
  } catch {
    throw new DOMException("k of the JSON web key is not base64url", "DataError");
  }
}

Object.defineProperty(crypto, "subtle", { value: new SubtleCrypto(), configurable: true });
expose("SubtleCrypto", SubtleCrypto);
expose("CryptoKey", CryptoKey);
