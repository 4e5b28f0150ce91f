/** The part `derive`: PBKDF2 (RFC 8018) and HKDF (RFC 5869) of crypto.subtle. */
import { kernel } from "../../link.ts";
import "../subtle.ts";
import {
  checkUsages,
  type CryptoKey,
  materialOf,
  newKey,
  type Data,
  hashLength,
  hashNumber,
  joined,
  type Normalized,
  notSupported,
  operationError,
  type Operations,
  register,
} from "./registry.ts";

/** Repetitions of one native call: between two of them the machine can be told to stop. */
const iterationsAtOnce = 1_000;

function keys(name: string): Operations {
  const own: Operations = {
    importKey(format, data, _, extractable, usages) {
      if (format !== "raw") throw notSupported(`keys of ${name} are imported as "raw", not "${format}"`);
      checkUsages(usages, ["deriveKey", "deriveBits"]);
      if (extractable) throw new DOMException(`keys of ${name} can't be exported`, "SyntaxError");
      return newKey({ type: "secret", extractable, algorithm: { name }, usages }, own, kernel.viewBytes(data as Data));
    },
    keyLength: () => null,
  };
  return own;
}

function bytesOf(length: number | null): number {
  if (length === null || length % 8 !== 0) throw operationError("the length is whole bytes, given in bits");
  return length / 8;
}

register(
  "PBKDF2",
  Object.assign(keys("PBKDF2"), {
    shapes: { deriveBits: { salt: "bytes", iterations: "long", hash: "hash" } },
    deriveBits(algorithm: Normalized, key: CryptoKey, length: number | null) {
      const bytes = bytesOf(length);
      if (algorithm.iterations === 0) throw operationError("PBKDF2 needs at least one iteration");
      const size = hashLength(algorithm.hash!);
      const number = hashNumber(algorithm.hash!);
      const password = materialOf(key) as Uint8Array;
      const result = new Uint8Array(Math.ceil(bytes / size) * size);
      for (let block = 1; (block - 1) * size < bytes; block++) {
        const index = Uint8Array.of(block >>> 24, block >>> 16, block >>> 8, block);
        const value = kernel.native.hmac(number, password, joined(algorithm.salt!, index));
        const sum = value.slice();
        for (let left = algorithm.iterations! - 1; left > 0; left -= iterationsAtOnce)
          kernel.native.repeatHmac(number, password, value, sum, Math.min(left, iterationsAtOnce));
        result.set(sum, (block - 1) * size);
      }
      return result.slice(0, bytes);
    },
  } satisfies Operations),
);
register(
  "HKDF",
  Object.assign(keys("HKDF"), {
    shapes: { deriveBits: { hash: "hash", salt: "bytes", info: "bytes" } },
    deriveBits({ hash, salt, info }: Normalized, key: CryptoKey, length: number | null) {
      const bytes = bytesOf(length);
      const size = hashLength(hash!);
      if (bytes > 255 * size) throw operationError(`HKDF gives at most ${255 * size} bytes with ${hash}`);
      const number = hashNumber(hash!);
      const secret = kernel.native.hmac(number, salt!.length === 0 ? new Uint8Array(size) : salt!, materialOf(key) as Uint8Array);
      const result = new Uint8Array(Math.ceil(bytes / size) * size);
      let before = new Uint8Array(0) as Uint8Array;
      for (let index = 1; (index - 1) * size < bytes; index++) {
        before = kernel.native.hmac(number, secret, joined(before, info!, Uint8Array.of(index)));
        result.set(before, (index - 1) * size);
      }
      return result.slice(0, bytes);
    },
  } satisfies Operations),
);
