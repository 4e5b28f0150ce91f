/** The part `ec`: ECDSA and ECDH of crypto.subtle on P-256, P-384 and P-521 (NIST SP 800-186; points as SEC 1 writes them). */
import { kernel } from "../../link.ts";
import { table } from "../../table.ts";
import "../subtle.ts";
import { der, derBits, derInteger, DerReader, isSame, type Labelled, readPkcs8, readSpki, tags, writePkcs8, writeSpki } from "./der.ts";
import { checkWebKey, webBytes, webKeyHead, webText } from "./jwk.ts";
import {
  checkUsages,
  type CryptoKey,
  type Data,
  dataError,
  digestOf,
  hashLength,
  hashNumber,
  type Jwk,
  joined,
  type KeyPair,
  materialOf,
  newKey,
  type Normalized,
  notSupported,
  operationError,
  type Operations,
  randomBytes,
  register,
  sized,
  type Usage,
} from "./registry.ts";

interface Curve {
  readonly name: string;
  /** Bytes of a coordinate and of a scalar. */
  readonly size: number;
  /** Bits of the order. */
  readonly bits: number;
  readonly oid: Uint8Array;
  /** p, order, b, x and y of the base point. */
  readonly domain: Uint8Array;
}

interface Ec {
  readonly curve: Curve;
  /** x and y. */
  readonly point: Uint8Array;
  readonly d: Uint8Array | undefined;
}

const op = { multiple: 0, sign: 1, verify: 2, isPoint: 3, decompress: 4, isScalar: 5 } as const;
const empty = new Uint8Array(0);

type HexReader = Uint8ArrayConstructor & { fromHex(text: string): Uint8Array };
type HexBytes = Uint8Array & { toHex(): string };
const fromHex = (text: string): Uint8Array => (Uint8Array as HexReader).fromHex(text);

function curve(name: string, bits: number, oid: readonly number[], domain: readonly string[]): Curve {
  return { name, bits, size: Math.ceil(bits / 8), oid: Uint8Array.from(oid), domain: fromHex(domain.join("")) };
}

/** NIST SP 800-186, §3.2.1; the coefficient a is -3. */
const curves: Readonly<Record<string, Curve>> = table({
  "P-256": curve(
    "P-256",
    256,
    [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    [
      "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
      "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
      "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
      "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
      "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ],
  ),
  "P-384": curve(
    "P-384",
    384,
    [0x2b, 0x81, 0x04, 0x00, 0x22],
    [
      "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
      "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
      "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
      "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    ],
  ),
  "P-521": curve(
    "P-521",
    521,
    [0x2b, 0x81, 0x04, 0x00, 0x23],
    [
      "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
      "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
      "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
      "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
    ],
  ),
});

/** 1.2.840.10045.2.1 */
const ecOid = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);

function curveNamed(name: string): Curve {
  const found = curves[name];
  if (found === undefined) throw notSupported(`the curve ${name} is not supported: use ${Object.keys(curves).join(", ")}`);
  return found;
}

function ecOf(key: CryptoKey): Ec {
  return materialOf(key) as Ec;
}

function isPoint({ domain }: Curve, point: Uint8Array): boolean {
  return kernel.native.curve(op.isPoint, domain, point, empty, empty) === true;
}

function pointOf({ domain }: Curve, d: Uint8Array): Uint8Array {
  return kernel.native.curve(op.multiple, domain, d, empty, empty) as Uint8Array;
}

function checkScalar({ domain, size }: Curve, d: Uint8Array): Uint8Array {
  const scalar = sized(d, size);
  if (d.length !== size || kernel.native.curve(op.isScalar, domain, scalar, empty, empty) !== true)
    throw dataError("the private key is not one of its curve");
  return scalar;
}

/** A point as SEC 1, §2.3.3, writes it: with both coordinates, or with x and the parity of y. */
function readPoint(curve: Curve, bytes: Uint8Array): Uint8Array {
  const { size, domain } = curve;
  const kind = bytes[0];
  const isWhole = kind === 4 && bytes.length === 1 + 2 * size && isPoint(curve, bytes.slice(1));
  if (isWhole) return bytes.slice(1);
  const isShort = (kind === 2 || kind === 3) && bytes.length === 1 + size;
  const point = isShort ? kernel.native.curve(op.decompress, domain, bytes.slice(1), Uint8Array.of(kind & 1), empty) : undefined;
  if (!(point instanceof Uint8Array)) throw dataError("the public key is no point of its curve");
  return point;
}

function writePoint({ point }: Ec): Uint8Array {
  return joined(Uint8Array.of(4), point);
}

/** The curve that a key in DER names, which must be the one that was asked for. */
function checkLabel({ oid, parameters }: Labelled, curve: Curve): void {
  if (!isSame(oid, ecOid) || !isSame(parameters, der(tags.oid, curve.oid))) throw dataError(`the key is not one of ${curve.name}`);
}

function readPrivate(curve: Curve, bytes: Uint8Array): Ec {
  const labelled = readPkcs8(bytes);
  checkLabel(labelled, curve);
  const whole = new DerReader(labelled.key);
  const reader = whole.inside(tags.sequence);
  whole.end();
  if (!isSame(reader.integer(), Uint8Array.of(1))) throw dataError("the private key is not in the DER of elliptic curves");
  const d = checkScalar(curve, reader.take(tags.octets).slice());
  if (reader.next === tags.context0 && !isSame(reader.take(tags.context0), der(tags.oid, curve.oid)))
    throw dataError(`the key is not one of ${curve.name}`);
  const point = pointOf(curve, d);
  if (reader.next === tags.context1 && !isSame(readPoint(curve, reader.inside(tags.context1).bits()), point))
    throw dataError("the public key is not that of the private key");
  reader.end();
  return { curve, point, d };
}

function readWebKey(curve: Curve, jwk: Jwk): Ec {
  if (jwk["crv"] !== curve.name) throw dataError(`the JSON web key is of ${String(jwk["crv"])}, not ${curve.name}`);
  const [x, y] = [webBytes(jwk, "x"), webBytes(jwk, "y")];
  const point = joined(x, y);
  if (x.length !== curve.size || y.length !== curve.size || !isPoint(curve, point))
    throw dataError("the public key is no point of its curve");
  if (jwk["d"] === undefined) return { curve, point, d: undefined };
  const d = checkScalar(curve, webBytes(jwk, "d"));
  if (!isSame(pointOf(curve, d), point)) throw dataError("the public key is not that of the private key");
  return { curve, point, d };
}

interface Kind {
  readonly name: string;
  readonly publicUsages: readonly Usage[];
  readonly privateUsages: readonly Usage[];
  readonly use: "sig" | "enc";
  /** `alg` of its JSON web keys, by curve; undefined: anything. */
  readonly alg: Readonly<Record<string, string>> | undefined;
}

function keys({ name, publicUsages, privateUsages, use, alg }: Kind): Operations {
  const keyOf = (ec: Ec, extractable: boolean, usages: readonly Usage[]): CryptoKey => {
    const algorithm = { name, namedCurve: ec.curve.name };
    return newKey({ type: ec.d === undefined ? "public" : "private", extractable, algorithm, usages }, own, ec);
  };
  const own: Operations = {
    generateKey(algorithm, extractable, usages): KeyPair {
      checkUsages(usages, [...publicUsages, ...privateUsages]);
      const curve = curveNamed(algorithm.namedCurve!);
      const d = newScalar(curve);
      const ec = { curve, d, point: pointOf(curve, d) };
      const of = (allowed: readonly Usage[]): Usage[] => usages.filter((usage) => allowed.includes(usage));
      return { publicKey: keyOf({ ...ec, d: undefined }, true, of(publicUsages)), privateKey: keyOf(ec, extractable, of(privateUsages)) };
    },
    importKey(format, data, algorithm, extractable, usages) {
      const isPrivate = format === "pkcs8" || (format === "jwk" && (data as Jwk)["d"] !== undefined);
      checkUsages(usages, isPrivate ? privateUsages : publicUsages);
      const curve = curveNamed(algorithm.namedCurve!);
      if (format === "jwk") {
        const jwk = data as Jwk;
        checkWebKey(jwk, { kty: "EC", use, alg: alg === undefined ? undefined : [alg[curve.name]!], extractable, usages });
        return keyOf(readWebKey(curve, jwk), extractable, usages);
      }
      const bytes = kernel.viewBytes(data as Data);
      if (format === "pkcs8") return keyOf(readPrivate(curve, bytes), extractable, usages);
      if (format === "raw") return keyOf({ curve, point: readPoint(curve, bytes), d: undefined }, extractable, usages);
      const labelled = readSpki(bytes);
      checkLabel(labelled, curve);
      return keyOf({ curve, point: readPoint(curve, labelled.key), d: undefined }, extractable, usages);
    },
    exportKey(format, key) {
      const ec = ecOf(key);
      const { curve, point, d } = ec;
      const { size } = curve;
      if (format === "jwk") {
        const head = {
          ...webKeyHead("EC", key.usages, key.extractable),
          crv: curve.name,
          x: webText(point.subarray(0, size)),
          y: webText(point.subarray(size)),
        };
        return d === undefined ? head : { ...head, d: webText(d) };
      }
      if ((format === "pkcs8") !== (d !== undefined))
        throw new DOMException(`a ${key.type} key is not exported as "${format}"`, "InvalidAccessError");
      if (format === "raw") return writePoint(ec);
      const label = { oid: ecOid, parameters: der(tags.oid, curve.oid) };
      if (d === undefined) return writeSpki({ ...label, key: writePoint(ec) });
      const content = [derInteger(Uint8Array.of(1)), der(tags.octets, d), der(tags.context1, derBits(writePoint(ec)))];
      return writePkcs8({ ...label, key: der(tags.sequence, ...content) });
    },
  };
  return own;
}

/** A random scalar: drawn again until it is one (FIPS 186-5, A.2.2). */
function newScalar({ domain, size, bits }: Curve): Uint8Array {
  for (;;) {
    const d = randomBytes(size, "crypto.subtle.generateKey");
    d[0]! &= 0xff >> (8 * size - bits);
    if (kernel.native.curve(op.isScalar, domain, d, empty, empty) === true) return d;
  }
}

/** The hash as a number of the order's length (FIPS 186-5, §6.4.1): its leftmost bits. */
function hashNumberOf({ size }: Curve, digest: Uint8Array): Uint8Array {
  return digest.length > size ? digest.slice(0, size) : sized(digest, size);
}

function orderOf({ domain, size }: Curve): bigint {
  return BigInt(`0x${(domain.slice(size, 2 * size) as HexBytes).toHex()}`);
}

/**
 * Secret numbers for a signature, from the key and the hash (RFC 6979, §3.2). Random ones would come from the message's seed: two versions of a
 * flow that run over one recording would sign two texts with one number, and that gives the key away.
 */
function* secretNumbers(curve: Curve, d: Uint8Array, hash: string, number: Uint8Array): Generator<Uint8Array> {
  const { size, bits } = curve;
  const mac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => kernel.native.hmac(hashNumber(hash), key, joined(...parts));
  const length = hashLength(hash);
  const order = orderOf(curve);
  const reduced = BigInt(`0x${(number as HexBytes).toHex()}`) % order;
  const octets = joined(d, fromHex(reduced.toString(16).padStart(2 * size, "0")));
  let v = new Uint8Array(length).fill(1) as Uint8Array;
  let k = new Uint8Array(length) as Uint8Array;
  for (const mark of [0, 1]) {
    k = mac(k, v, Uint8Array.of(mark), octets);
    v = mac(k, v);
  }
  for (;;) {
    let drawn = new Uint8Array(0) as Uint8Array;
    while (drawn.length < size) {
      v = mac(k, v);
      drawn = joined(drawn, v);
    }
    const candidate = drawn.slice(0, size);
    const above = 8 * size - bits;
    if (above > 0) {
      let carry = 0;
      for (let i = 0; i < size; i++) {
        const byte = candidate[i]!;
        candidate[i] = (byte >> above) | (carry << (8 - above));
        carry = byte & ((1 << above) - 1);
      }
    }
    if (kernel.native.curve(op.isScalar, curve.domain, candidate, empty, empty) === true) yield candidate;
    k = mac(k, v, Uint8Array.of(0));
    v = mac(k, v);
  }
}

register(
  "ECDSA",
  Object.assign(
    keys({
      name: "ECDSA",
      publicUsages: ["verify"],
      privateUsages: ["sign"],
      use: "sig",
      alg: { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" },
    }),
    {
      shapes: { generateKey: { namedCurve: "text" }, importKey: { namedCurve: "text" }, sign: { hash: "hash" }, verify: { hash: "hash" } },
      sign({ hash }: Normalized, key: CryptoKey, data: Uint8Array) {
        const { curve, d } = ecOf(key);
        if (d === undefined) throw new DOMException("signing takes the private key", "InvalidAccessError");
        const number = hashNumberOf(curve, digestOf(hash!, data));
        for (const k of secretNumbers(curve, d, hash!, number)) {
          const signature = kernel.native.curve(op.sign, curve.domain, d, k, number);
          if (signature instanceof Uint8Array) return signature;
        }
        throw operationError("no signature was found");
      },
      verify({ hash }: Normalized, key: CryptoKey, signature: Uint8Array, data: Uint8Array) {
        const { curve, point } = ecOf(key);
        if (key.type !== "public") throw new DOMException("verifying takes the public key", "InvalidAccessError");
        if (signature.length !== 2 * curve.size) return false;
        return kernel.native.curve(op.verify, curve.domain, point, signature, hashNumberOf(curve, digestOf(hash!, data))) === true;
      },
    } satisfies Operations,
  ),
);
register(
  "ECDH",
  Object.assign(keys({ name: "ECDH", publicUsages: [], privateUsages: ["deriveKey", "deriveBits"], use: "enc", alg: undefined }), {
    shapes: { generateKey: { namedCurve: "text" }, importKey: { namedCurve: "text" }, deriveBits: { public: "key" } },
    deriveBits(algorithm: Normalized, key: CryptoKey, length: number | null) {
      const other = algorithm.public!;
      const { curve, d } = ecOf(key);
      if (d === undefined) throw new DOMException("that takes the own private key", "InvalidAccessError");
      if (other.type !== "public" || other.algorithm.name !== "ECDH" || other.algorithm.namedCurve !== curve.name)
        throw new DOMException(`the other key is no public key of ECDH on ${curve.name}`, "InvalidAccessError");
      const point = kernel.native.curve(op.multiple, curve.domain, d, ecOf(other).point, empty);
      if (!(point instanceof Uint8Array)) throw operationError("the keys give no secret");
      return firstBits(point.slice(0, curve.size), length);
    },
  } satisfies Operations),
);

/** The first bits of a secret: all of them where no length is given. */
function firstBits(secret: Uint8Array, length: number | null): Uint8Array {
  if (length === null) return secret;
  if (length > 8 * secret.length) throw operationError(`the secret has ${8 * secret.length} bits, fewer than ${length}`);
  const bytes = secret.slice(0, Math.ceil(length / 8));
  if (length % 8 !== 0) bytes[bytes.length - 1]! &= 0xff << (8 - (length % 8));
  return bytes;
}
