/** HMAC (RFC 2104). */
import { kernel } from "../../link.ts";
import { checkWebKey, webBytes, webKeyHead, webText } from "./jwk.ts";
import {
  checkUsages,
  type CryptoKey,
  materialOf,
  newKey,
  type Data,
  dataError,
  hashBlock,
  hashNumber,
  type Jwk,
  type Normalized,
  notSupported,
  operationError,
  type Operations,
  randomBytes,
  type Usage,
} from "./registry.ts";

/** Longest key that is made, in bits. */
const mostBits = 65_536;

function keyOf(bytes: Uint8Array, hash: string, bits: number, extractable: boolean, usages: readonly Usage[]): CryptoKey {
  const algorithm = { name: "HMAC", length: bits, hash: { name: hash } };
  return newKey({ type: "secret", extractable, algorithm, usages }, hmac, bytes);
}

function bitsOf({ length, hash }: Normalized): number {
  if (length === 0) throw new TypeError("the length of a key is at least one bit");
  return length ?? 8 * hashBlock(hash!);
}

function mac(key: CryptoKey, data: Uint8Array): Uint8Array {
  return kernel.native.hmac(hashNumber(key.algorithm.hash!.name), materialOf(key) as Uint8Array, data);
}

export const hmac: Operations = {
  shapes: {
    generateKey: { hash: "hash", length: "long?" },
    importKey: { hash: "hash", length: "long?" },
    keyLength: { hash: "hash", length: "long?" },
  },

  generateKey(algorithm, extractable, usages) {
    checkUsages(usages, ["sign", "verify"]);
    if (algorithm.length === 0) throw operationError("the length of a key is at least one bit");
    const bits = bitsOf(algorithm);
    if (bits % 8 !== 0 || bits > mostBits) throw operationError("the length of a key is whole bytes, given in bits, and at most 65,536");
    return keyOf(randomBytes(bits / 8, "crypto.subtle.generateKey"), algorithm.hash!, bits, extractable, usages);
  },

  importKey(format, data, algorithm, extractable, usages) {
    checkUsages(usages, ["sign", "verify"]);
    const hash = algorithm.hash!;
    let bytes: Uint8Array;
    if (format === "raw") bytes = kernel.viewBytes(data as Data);
    else if (format === "jwk") {
      const jwk = data as Jwk;
      checkWebKey(jwk, { kty: "oct", use: "sig", alg: [`HS${hash.slice(4)}`], extractable, usages });
      bytes = webBytes(jwk, "k");
    } else throw notSupported(`HMAC keys are imported as "raw" or "jwk", not "${format}"`);
    if (bytes.length === 0) throw dataError("the key is empty");
    const bits = algorithm.length ?? 8 * bytes.length;
    if (bits > 8 * bytes.length || bits <= 8 * bytes.length - 8) throw dataError(`the key has ${8 * bytes.length} bits, not ${bits}`);
    if (bits % 8 !== 0) bytes[bytes.length - 1]! &= 0xff << (8 - (bits % 8));
    return keyOf(bytes, hash, bits, extractable, usages);
  },

  exportKey(format, key) {
    const bytes = materialOf(key) as Uint8Array;
    if (format === "raw") return bytes.slice();
    if (format !== "jwk") throw notSupported(`HMAC keys are exported as "raw" or "jwk", not "${format}"`);
    return { ...webKeyHead("oct", key.usages, key.extractable), k: webText(bytes), alg: `HS${key.algorithm.hash!.name.slice(4)}` };
  },

  sign: (_, key, data) => mac(key, data),
  verify: (_, key, signature, data) => kernel.native.equal(mac(key, data), signature),
  keyLength: bitsOf,
};
