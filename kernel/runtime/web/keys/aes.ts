/** The part `aes`: AES-CBC, AES-CTR, AES-GCM and AES-KW of crypto.subtle. */
import { kernel } from "../../link.ts";
import "../subtle.ts";
import { checkWebKey, webBytes, webKeyHead, webText } from "./jwk.ts";
import {
  checkUsages,
  type CryptoKey,
  materialOf,
  newKey,
  type Data,
  dataError,
  type Jwk,
  joined,
  type Normalized,
  notSupported,
  operationError,
  type Operations,
  randomBytes,
  register,
  type Usage,
} from "./registry.ts";

const op = { cbcEncrypt: 0, cbcDecrypt: 1, ctr: 2, gcmEncrypt: 3, gcmDecrypt: 4, wrap: 5, unwrap: 6 } as const;
const empty = new Uint8Array(0);
const lengths: readonly number[] = [128, 192, 256];
const tagLengths: readonly number[] = [32, 64, 96, 104, 112, 120, 128];
const blockBytes = 16;

function run(operation: number, key: CryptoKey, iv: Uint8Array, data: Uint8Array, more: Uint8Array = empty, number = 0): Uint8Array {
  const result = kernel.native.aes(operation, materialOf(key) as Uint8Array, iv, data, more, number);
  if (result === undefined) throw operationError("what came can't be decrypted: it is not what was encrypted with this key");
  return result;
}

function bitsOf({ length }: Normalized): number {
  if (!lengths.includes(length!)) throw operationError(`a key of AES has ${lengths.join(", ")} bits`);
  return length!;
}

/** Keys of one mode. `letter`: of its `alg` in a JSON web key: A128GCM. */
function keys(name: string, allowed: readonly Usage[], letters: string): Operations {
  const keyOf = (bytes: Uint8Array, extractable: boolean, usages: readonly Usage[]): CryptoKey =>
    newKey({ type: "secret", extractable, algorithm: { name, length: 8 * bytes.length }, usages }, mode, bytes);
  const mode: Operations = {
    generateKey(algorithm, extractable, usages) {
      checkUsages(usages, allowed);
      const bits = bitsOf(algorithm);
      return keyOf(randomBytes(bits / 8, "crypto.subtle.generateKey"), extractable, usages);
    },
    importKey(format, data, _, extractable, usages) {
      checkUsages(usages, allowed);
      let bytes: Uint8Array;
      if (format === "raw") bytes = kernel.viewBytes(data as Data);
      else if (format === "jwk") {
        const jwk = data as Jwk;
        checkWebKey(jwk, { kty: "oct", use: "enc", extractable, usages });
        bytes = webBytes(jwk, "k");
        if (jwk.alg !== undefined && jwk.alg !== `A${8 * bytes.length}${letters}`)
          throw dataError(`the JSON web key is for ${String(jwk.alg)}`);
      } else throw notSupported(`keys of AES are imported as "raw" or "jwk", not "${format}"`);
      if (!lengths.includes(8 * bytes.length)) throw dataError(`a key of AES has ${lengths.join(", ")} bits, not ${8 * bytes.length}`);
      return keyOf(bytes, extractable, usages);
    },
    exportKey(format, key) {
      const bytes = materialOf(key) as Uint8Array;
      if (format === "raw") return bytes.slice();
      if (format !== "jwk") throw notSupported(`keys of AES are exported as "raw" or "jwk", not "${format}"`);
      return { ...webKeyHead("oct", key.usages, key.extractable), k: webText(bytes), alg: `A${8 * bytes.length}${letters}` };
    },
    keyLength: bitsOf,
  };
  return mode;
}

const cipherUsages: readonly Usage[] = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
const lengthShapes = { generateKey: { length: "short" }, keyLength: { length: "short" } } as const;

function ivOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== blockBytes)
    throw operationError(`it has ${bytes.length} bytes where ${blockBytes} are needed: the iv or the counter`);
  return bytes;
}

/** Takes PKCS #7's padding away (RFC 5652, §6.3). */
function unpadded(bytes: Uint8Array): Uint8Array {
  const length = bytes[bytes.length - 1] ?? 0;
  let isWrong = length === 0 || length > blockBytes;
  for (let i = 0; i < blockBytes; i++) if (i < length && bytes[bytes.length - 1 - i] !== length) isWrong = true;
  if (isWrong) throw operationError("what came can't be decrypted: it is not what was encrypted with this key");
  return bytes.subarray(0, bytes.length - length);
}

function counted(algorithm: Normalized, key: CryptoKey, data: Uint8Array): Uint8Array {
  const counter = ivOf(algorithm.counter!);
  const bits = algorithm.length!;
  if (bits < 1 || bits > 128) throw operationError("the counter has from 1 to 128 bits");
  if (data.length / blockBytes > 2 ** bits) throw operationError("the data has more blocks than the counter can count");
  return run(op.ctr, key, counter, data, empty, bits);
}

function tagOf({ tagLength = 128 }: Normalized): number {
  if (!tagLengths.includes(tagLength)) throw operationError(`a tag has ${tagLengths.join(", ")} bits`);
  return tagLength / 8;
}

register(
  "AES-CBC",
  Object.assign(keys("AES-CBC", cipherUsages, "CBC"), {
    shapes: { ...lengthShapes, encrypt: { iv: "bytes" }, decrypt: { iv: "bytes" } },
    encrypt({ iv }: Normalized, key: CryptoKey, data: Uint8Array) {
      const rest = blockBytes - (data.length % blockBytes);
      return run(op.cbcEncrypt, key, ivOf(iv!), joined(data, new Uint8Array(rest).fill(rest)));
    },
    decrypt({ iv }: Normalized, key: CryptoKey, data: Uint8Array) {
      const first = ivOf(iv!);
      if (data.length === 0 || data.length % blockBytes !== 0) throw operationError("what came is not made of whole blocks");
      return unpadded(run(op.cbcDecrypt, key, first, data));
    },
  } satisfies Operations),
);
register(
  "AES-CTR",
  Object.assign(keys("AES-CTR", cipherUsages, "CTR"), {
    shapes: { ...lengthShapes, encrypt: { counter: "bytes", length: "octet" }, decrypt: { counter: "bytes", length: "octet" } },
    encrypt: counted,
    decrypt: counted,
  } satisfies Operations),
);
register(
  "AES-GCM",
  Object.assign(keys("AES-GCM", cipherUsages, "GCM"), {
    shapes: {
      ...lengthShapes,
      encrypt: { iv: "bytes", additionalData: "bytes?", tagLength: "octet?" },
      decrypt: { iv: "bytes", additionalData: "bytes?", tagLength: "octet?" },
    },
    encrypt: (algorithm: Normalized, key: CryptoKey, data: Uint8Array) =>
      run(op.gcmEncrypt, key, algorithm.iv!, data, algorithm.additionalData, tagOf(algorithm)),
    decrypt(algorithm: Normalized, key: CryptoKey, data: Uint8Array) {
      const tag = tagOf(algorithm);
      if (data.length < tag) throw operationError("what came is shorter than its tag");
      return run(op.gcmDecrypt, key, algorithm.iv!, data, algorithm.additionalData, tag);
    },
  } satisfies Operations),
);
register(
  "AES-KW",
  Object.assign(keys("AES-KW", ["wrapKey", "unwrapKey"], "KW"), {
    shapes: lengthShapes,
    wrapKey(_: Normalized, key: CryptoKey, data: Uint8Array) {
      if (data.length % 8 !== 0 || data.length < 16) throw operationError("AES-KW wraps keys of at least 16 bytes, in steps of 8");
      return run(op.wrap, key, empty, data);
    },
    unwrapKey(_: Normalized, key: CryptoKey, data: Uint8Array) {
      if (data.length % 8 !== 0 || data.length < 24) throw operationError("what came was not wrapped with AES-KW");
      return run(op.unwrap, key, empty, data);
    },
  } satisfies Operations),
);
