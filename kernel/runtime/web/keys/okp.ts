/** The part `okp`: Ed25519 (RFC 8032) and X25519 (RFC 7748) of crypto.subtle. */
import { kernel } from "../../link.ts";
import "../subtle.ts";
import { der, DerReader, isSame, readPkcs8, readSpki, tags, writePkcs8, writeSpki } from "./der.ts";
import { checkWebKey, webBytes, webKeyHead, webText } from "./jwk.ts";
import {
  checkUsages,
  type CryptoKey,
  type Data,
  dataError,
  digestOf,
  type Jwk,
  joined,
  type KeyPair,
  materialOf,
  newKey,
  type Normalized,
  operationError,
  type Operations,
  randomBytes,
  register,
  type Usage,
} from "./registry.ts";

interface Okp {
  readonly secret: Uint8Array | undefined;
  readonly open: Uint8Array;
}

const op = { x25519: 0, base: 1, reduce: 2, multiplyAdd: 3, verify: 4 } as const;
const empty = new Uint8Array(0);
const none = new Uint8Array(0);
const size = 32;

function edwards(operation: number, a: Uint8Array, b: Uint8Array = empty, c: Uint8Array = empty): Uint8Array {
  return kernel.native.edwards(operation, a, b, c) as Uint8Array;
}

function okpOf(key: CryptoKey): Okp {
  return materialOf(key) as Okp;
}

interface Kind {
  readonly name: string;
  /** Last byte of its identifier, 1.3.101.N. */
  readonly number: number;
  readonly publicUsages: readonly Usage[];
  readonly privateUsages: readonly Usage[];
  readonly use: "sig" | "enc";
  readonly alg: readonly string[] | undefined;
  /** The public key of a private one. */
  readonly open: (secret: Uint8Array) => Uint8Array;
}

function keys({ name, number, publicUsages, privateUsages, use, alg, open }: Kind): Operations {
  const oid = Uint8Array.of(0x2b, 0x65, number);
  const keyOf = (okp: Okp, extractable: boolean, usages: readonly Usage[]): CryptoKey =>
    newKey({ type: okp.secret === undefined ? "public" : "private", extractable, algorithm: { name }, usages }, own, okp);
  const long = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length !== size) throw dataError(`a key of ${name} has ${size} bytes, not ${bytes.length}`);
    return bytes.slice();
  };
  const labelled = (given: { readonly oid: Uint8Array; readonly parameters: Uint8Array; readonly key: Uint8Array }): Uint8Array => {
    if (!isSame(given.oid, oid) || given.parameters.length > 0) throw dataError(`the key is not one of ${name}`);
    return given.key;
  };
  const webKey = (jwk: Jwk): Okp => {
    if (jwk["crv"] !== name) throw dataError(`the JSON web key is of ${String(jwk["crv"])}, not ${name}`);
    const x = long(webBytes(jwk, "x"));
    if (jwk["d"] === undefined) return { secret: undefined, open: x };
    const secret = long(webBytes(jwk, "d"));
    if (!isSame(open(secret), x)) throw dataError("the public key is not that of the private key");
    return { secret, open: x };
  };
  const own: Operations = {
    generateKey(_, extractable, usages): KeyPair {
      checkUsages(usages, [...publicUsages, ...privateUsages]);
      const secret = randomBytes(size, "crypto.subtle.generateKey");
      const okp = { secret, open: open(secret) };
      const of = (allowed: readonly Usage[]): Usage[] => usages.filter((usage) => allowed.includes(usage));
      return {
        publicKey: keyOf({ ...okp, secret: undefined }, true, of(publicUsages)),
        privateKey: keyOf(okp, extractable, of(privateUsages)),
      };
    },
    importKey(format, data, _, extractable, usages) {
      const isPrivate = format === "pkcs8" || (format === "jwk" && (data as Jwk)["d"] !== undefined);
      checkUsages(usages, isPrivate ? privateUsages : publicUsages);
      if (format === "jwk") {
        checkWebKey(data as Jwk, { kty: "OKP", use, alg, extractable, usages });
        return keyOf(webKey(data as Jwk), extractable, usages);
      }
      const bytes = kernel.viewBytes(data as Data);
      if (format === "pkcs8") {
        const whole = new DerReader(labelled(readPkcs8(bytes)));
        const secret = long(whole.take(tags.octets));
        whole.end();
        return keyOf({ secret, open: open(secret) }, extractable, usages);
      }
      return keyOf({ secret: undefined, open: long(format === "raw" ? bytes : labelled(readSpki(bytes))) }, extractable, usages);
    },
    exportKey(format, key) {
      const { secret, open: point } = okpOf(key);
      if (format === "jwk") {
        const head = {
          ...webKeyHead("OKP", key.usages, key.extractable),
          crv: name,
          x: webText(point),
          ...(alg === undefined ? {} : { alg: name }),
        };
        return secret === undefined ? head : { ...head, d: webText(secret) };
      }
      if ((format === "pkcs8") !== (secret !== undefined))
        throw new DOMException(`a ${key.type} key is not exported as "${format}"`, "InvalidAccessError");
      if (format === "raw") return point.slice();
      if (secret === undefined) return writeSpki({ oid, parameters: none, key: point });
      return writePkcs8({ oid, parameters: none, key: der(tags.octets, secret) });
    },
  };
  return own;
}

/** The scalar and the prefix of a seed (RFC 8032, §5.1.5). */
function expanded(seed: Uint8Array): { readonly scalar: Uint8Array; readonly prefix: Uint8Array } {
  const hash = digestOf("SHA-512", seed);
  const scalar = hash.slice(0, size);
  scalar[0]! &= 248;
  scalar[31] = (scalar[31]! & 127) | 64;
  return { scalar, prefix: hash.slice(size) };
}

const reduced = (...parts: readonly Uint8Array[]): Uint8Array => edwards(op.reduce, digestOf("SHA-512", joined(...parts)));

const signing = keys({
  name: "Ed25519",
  number: 112,
  publicUsages: ["verify"],
  privateUsages: ["sign"],
  use: "sig",
  alg: ["Ed25519", "EdDSA"],
  open: (secret) => edwards(op.base, expanded(secret).scalar),
});
register(
  "Ed25519",
  Object.assign(signing, {
    sign(_: Normalized, key: CryptoKey, data: Uint8Array) {
      const { secret, open } = okpOf(key);
      if (secret === undefined) throw new DOMException("signing takes the private key", "InvalidAccessError");
      const { scalar, prefix } = expanded(secret);
      const r = reduced(prefix, data);
      const point = edwards(op.base, r);
      return joined(point, edwards(op.multiplyAdd, r, reduced(point, open, data), scalar));
    },
    verify(_: Normalized, key: CryptoKey, signature: Uint8Array, data: Uint8Array) {
      if (key.type !== "public") throw new DOMException("verifying takes the public key", "InvalidAccessError");
      if (signature.length !== 2 * size) return false;
      const { open } = okpOf(key);
      return kernel.native.edwards(op.verify, open, signature, reduced(signature.subarray(0, size), open, data)) === true;
    },
  } satisfies Operations),
);

/** u of the base point. */
const basePoint = new Uint8Array(size);
basePoint[0] = 9;

const agreement = keys({
  name: "X25519",
  number: 110,
  publicUsages: [],
  privateUsages: ["deriveKey", "deriveBits"],
  use: "enc",
  alg: undefined,
  open: (secret) => edwards(op.x25519, secret, basePoint),
});
register(
  "X25519",
  Object.assign(agreement, {
    shapes: { deriveBits: { public: "key" } },
    deriveBits(algorithm: Normalized, key: CryptoKey, length: number | null) {
      const other = algorithm.public!;
      const { secret } = okpOf(key);
      if (secret === undefined) throw new DOMException("that takes the own private key", "InvalidAccessError");
      if (other.type !== "public" || other.algorithm.name !== "X25519")
        throw new DOMException("the other key is no public key of X25519", "InvalidAccessError");
      const shared = edwards(op.x25519, secret, okpOf(other).open);
      if (kernel.native.equal(shared, new Uint8Array(size))) throw operationError("the other key is a point of small order");
      if (length === null) return shared;
      if (length > 8 * size) throw operationError(`the secret has ${8 * size} bits, fewer than ${length}`);
      const bytes = shared.slice(0, Math.ceil(length / 8));
      if (length % 8 !== 0) bytes[bytes.length - 1]! &= 0xff << (8 - (length % 8));
      return bytes;
    },
  } satisfies Operations),
);
