/** The part `rsa`: RSASSA-PKCS1-v1_5, RSA-PSS and RSA-OAEP of crypto.subtle (RFC 8017). */
import { kernel } from "../../link.ts";
import { table } from "../../table.ts";
import "../subtle.ts";
import { der, derInteger, DerReader, isSame, readPkcs8, readSpki, tags, writePkcs8, writeSpki } from "./der.ts";
import { checkWebKey, webBytes, webKeyHead, webNumber } from "./jwk.ts";
import {
  bitLength,
  checkUsages,
  type CryptoKey,
  type Data,
  dataError,
  digestOf,
  hashLength,
  type Jwk,
  joined,
  type KeyAlgorithm,
  type KeyPair,
  materialOf,
  minimal,
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

interface Rsa {
  readonly n: Uint8Array;
  readonly e: Uint8Array;
  readonly secret: Secret | undefined;
}

/** Numbers of a private key, in the order of RFC 8017, appendix A.1.2. */
interface Secret {
  readonly d: Uint8Array;
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  readonly dp: Uint8Array;
  readonly dq: Uint8Array;
  readonly qi: Uint8Array;
}

/** 1.2.840.113549.1.1.1 */
const rsaOid = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
const derNull = Uint8Array.of(5, 0);
const leastBits = 512;
const mostBits = 8_192;
/** Longest modulus that is made: it takes a second or so. */
const mostMadeBits = 4_096;
/** Smallest primes, by which candidates are divided at first. */
const smallPrimes: readonly bigint[] = primesBelow(2_000).map(BigInt);

function primesBelow(limit: number): number[] {
  const found: number[] = [];
  for (let n = 3; n < limit; n += 2) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** Head of a DigestInfo (RFC 8017, §9.2, note 1): everything but the digest. */
const digestInfos: Readonly<Record<string, readonly number[]>> = table({
  "SHA-1": [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
  "SHA-256": [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20],
  "SHA-384": [0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30],
  "SHA-512": [0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40],
});

/** The engine has it; the library of ES2023 does not know it yet. */
type HexBytes = Uint8Array & { toHex(): string };

function big(bytes: Uint8Array): bigint {
  return BigInt(`0x${(bytes as HexBytes).toHex()}`);
}

function bytesOfBig(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return (Uint8Array as unknown as { fromHex(text: string): Uint8Array }).fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

function rsaOf(key: CryptoKey): Rsa {
  return materialOf(key) as Rsa;
}

function publicPower({ n, e }: Rsa, input: Uint8Array): Uint8Array | undefined {
  return kernel.native.modularPower(input, e, n);
}

function privatePower({ n, e, secret }: Rsa, input: Uint8Array): Uint8Array {
  const { p, q, dp, dq, qi } = secret!;
  const half = Math.max(p.length, q.length);
  const numbers = joined(n, sized(e, n.length), ...[p, q, dp, dq, qi].map((each) => sized(each, half)));
  const result = kernel.native.rsaPrivate(numbers, half, sized(input, n.length));
  numbers.fill(0);
  if (result === undefined) throw operationError("the parts of the private key do not belong together");
  return result;
}

/** Throws DataError for numbers that no key of RSA has. */
function checked(rsa: Rsa): Rsa {
  const { n, e, secret } = rsa;
  const bits = bitLength(n);
  const isOdd = (number: Uint8Array): boolean => (number[number.length - 1]! & 1) === 1;
  if (bits < leastBits || bits > mostBits) throw dataError(`the modulus has ${bits} bits: ${leastBits} to ${mostBits} are supported`);
  if (!isOdd(n) || !isOdd(e) || e.length > n.length || (e.length === 1 && e[0] === 1)) throw dataError("the public key is not one of RSA");
  if (secret === undefined) return rsa;
  const { p, q, dp, dq, qi } = secret;
  const half = Math.max(p.length, q.length);
  const isWrong = !isOdd(p) || !isOdd(q) || half < 32 || half > n.length || [dp, dq, qi].some(({ length }) => length > half);
  if (isWrong || big(p) * big(q) !== big(n)) throw dataError("the parts of the private key do not belong together");
  return rsa;
}

function algorithmOf(name: string, hash: string, { n, e }: Rsa): KeyAlgorithm {
  return { name, modulusLength: bitLength(n), publicExponent: e.slice(), hash: { name: hash } };
}

function readPublic(bytes: Uint8Array): Rsa {
  const { oid, parameters, key } = readSpki(bytes);
  if (!isSame(oid, rsaOid) || !isSame(parameters, derNull)) throw dataError("the key is not one of RSA");
  const whole = new DerReader(key);
  const reader = whole.inside(tags.sequence);
  whole.end();
  const rsa = { n: reader.integer(), e: reader.integer(), secret: undefined };
  reader.end();
  return rsa;
}

function readPrivate(bytes: Uint8Array): Rsa {
  const { oid, parameters, key } = readPkcs8(bytes);
  if (!isSame(oid, rsaOid) || !isSame(parameters, derNull)) throw dataError("the key is not one of RSA");
  const whole = new DerReader(key);
  const reader = whole.inside(tags.sequence);
  whole.end();
  if (!isSame(reader.integer(), Uint8Array.of(0))) throw notSupported("keys of more than two primes are not supported");
  const [n, e, d, p, q, dp, dq, qi] = Array.from({ length: 8 }, () => reader.integer()) as [Uint8Array, ...Uint8Array[]];
  reader.end();
  return { n, e: e!, secret: { d: d!, p: p!, q: q!, dp: dp!, dq: dq!, qi: qi! } };
}

function readWebKey(jwk: Jwk): Rsa {
  const number = (name: string): Uint8Array => {
    const bytes = webBytes(jwk, name);
    if (bytes.length === 0) throw dataError(`${name} of the JSON web key is empty`);
    return minimal(bytes);
  };
  const [n, e] = [number("n"), number("e")];
  if (jwk["d"] === undefined) return { n, e, secret: undefined };
  if (jwk["oth"] !== undefined) throw notSupported("keys of more than two primes are not supported");
  if (["p", "q", "dp", "dq", "qi"].some((name) => jwk[name] === undefined))
    throw dataError("the private JSON web key lacks p, q, dp, dq or qi");
  return { n, e, secret: { d: number("d"), p: number("p"), q: number("q"), dp: number("dp"), dq: number("dq"), qi: number("qi") } };
}

/** True for a number that is very likely prime: division by small ones, then Miller and Rabin's test. */
function isPrime(candidate: bigint, bytes: Uint8Array): boolean {
  for (const prime of smallPrimes) if (candidate % prime === 0n) return false;
  let odd = candidate - 1n;
  let twos = 0;
  while ((odd & 1n) === 0n) {
    odd >>= 1n;
    twos++;
  }
  const exponent = bytesOfBig(odd);
  // Of a random candidate of 512 bits or more: an error below 2⁻¹⁰⁰ (FIPS 186-5, table B.1, has fewer rounds).
  for (let round = 0; round < 8; round++) {
    const base = sized(randomBytes(bytes.length, "crypto.subtle.generateKey"), bytes.length);
    base[0] = 0;
    if (big(base) < 2n) continue;
    let x = big(kernel.native.modularPower(base, exponent, bytes)!);
    if (x === 1n || x === candidate - 1n) continue;
    let isWitness = true;
    for (let i = 1; i < twos && isWitness; i++) {
      x = (x * x) % candidate;
      if (x === candidate - 1n) isWitness = false;
    }
    if (isWitness) return false;
  }
  return true;
}

function greatest(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatest(b, a % b);
}

/** The inverse of a modulo m, by Euclid's algorithm. */
function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, s0, s1] = [a % m, m, 1n, 0n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1, s0, s1] = [r1, r0 - quotient * r1, s1, s0 - quotient * s1];
  }
  return ((s0 % m) + m) % m;
}

/** A prime whose two highest bits are set, and that e suits. */
function newPrime(bits: number, e: bigint): bigint {
  for (;;) {
    const bytes = randomBytes(Math.ceil(bits / 8), "crypto.subtle.generateKey");
    const above = 8 * bytes.length - bits;
    const drawn = big(bytes) >> BigInt(above);
    const candidate = drawn | 1n | (3n << BigInt(bits - 2));
    if (greatest(candidate - 1n, e) === 1n && isPrime(candidate, bytesOfBig(candidate))) return candidate;
  }
}

function newRsa(bits: number, exponent: Uint8Array): Rsa {
  const e = exponent.length === 0 ? 0n : big(exponent);
  if (bits < leastBits || bits > mostMadeBits || bits % 2 !== 0)
    throw operationError(`the modulus of a new key has ${leastBits} to ${mostMadeBits} bits, an even number`);
  if (e < 3n || (e & 1n) === 0n || e >= 1n << 64n) throw operationError("the public exponent is odd and at least 3: usually 1, 0, 1");
  for (;;) {
    const [p, q] = [newPrime(bits / 2, e), newPrime(bits / 2, e)];
    if (p === q) continue;
    const d = inverse(e, ((p - 1n) * (q - 1n)) / greatest(p - 1n, q - 1n));
    const secret = { d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
    const numbers = Object.fromEntries(Object.entries(secret).map(([name, value]) => [name, bytesOfBig(value)]));
    return { n: bytesOfBig(p * q), e: bytesOfBig(e), secret: numbers as unknown as Secret };
  }
}

interface Kind {
  readonly name: string;
  readonly publicUsages: readonly Usage[];
  readonly privateUsages: readonly Usage[];
  readonly use: "sig" | "enc";
  /** `alg` of its JSON web keys with a hash. */
  readonly alg: (hash: string) => string;
}

function keys({ name, publicUsages, privateUsages, use, alg }: Kind): Operations {
  const keyOf = (rsa: Rsa, hash: string, extractable: boolean, usages: readonly Usage[]): CryptoKey =>
    newKey(
      { type: rsa.secret === undefined ? "public" : "private", extractable, algorithm: algorithmOf(name, hash, rsa), usages },
      own,
      rsa,
    );
  const own: Operations = {
    generateKey(algorithm, extractable, usages): KeyPair {
      checkUsages(usages, [...publicUsages, ...privateUsages]);
      const hash = algorithm.hash!;
      const rsa = newRsa(algorithm.modulusLength!, algorithm.publicExponent!);
      const of = (allowed: readonly Usage[]): Usage[] => usages.filter((usage) => allowed.includes(usage));
      return {
        publicKey: keyOf({ ...rsa, secret: undefined }, hash, true, of(publicUsages)),
        privateKey: keyOf(rsa, hash, extractable, of(privateUsages)),
      };
    },
    importKey(format, data, algorithm, extractable, usages) {
      const hash = algorithm.hash!;
      if (format === "raw") throw notSupported('keys of RSA are imported as "spki", "pkcs8" or "jwk", not "raw"');
      const isPrivate = format === "pkcs8" || (format === "jwk" && (data as Jwk)["d"] !== undefined);
      checkUsages(usages, isPrivate ? privateUsages : publicUsages);
      if (format === "jwk") checkWebKey(data as Jwk, { kty: "RSA", use, alg: [alg(hash)], extractable, usages });
      const bytes = format === "jwk" ? undefined : kernel.viewBytes(data as Data);
      const rsa = bytes === undefined ? readWebKey(data as Jwk) : format === "spki" ? readPublic(bytes) : readPrivate(bytes);
      return keyOf(checked(rsa), hash, extractable, usages);
    },
    exportKey(format, key) {
      const { n, e, secret } = rsaOf(key);
      if (format === "jwk") {
        const head = {
          ...webKeyHead("RSA", key.usages, key.extractable),
          alg: alg(key.algorithm.hash!.name),
          n: webNumber(n),
          e: webNumber(e),
        };
        return secret === undefined
          ? head
          : { ...head, ...Object.fromEntries(Object.entries(secret).map(([part, bytes]) => [part, webNumber(bytes as Uint8Array)])) };
      }
      if (format === "raw") throw notSupported('keys of RSA are exported as "spki", "pkcs8" or "jwk", not "raw"');
      if ((format === "spki") !== (secret === undefined))
        throw new DOMException(`a ${key.type} key is not exported as "${format}"`, "InvalidAccessError");
      if (secret === undefined)
        return writeSpki({ oid: rsaOid, parameters: derNull, key: der(tags.sequence, derInteger(n), derInteger(e)) });
      const { d, p, q, dp, dq, qi } = secret;
      const content = [Uint8Array.of(0), n, e, d, p, q, dp, dq, qi].map(derInteger);
      return writePkcs8({ oid: rsaOid, parameters: derNull, key: der(tags.sequence, ...content) });
    },
  };
  return own;
}

const shapes = { generateKey: { modulusLength: "long", publicExponent: "integer", hash: "hash" }, importKey: { hash: "hash" } } as const;

/** EMSA-PKCS1-v1_5 (§9.2). */
function pkcs1(hash: string, data: Uint8Array, length: number): Uint8Array {
  const info = joined(Uint8Array.from(digestInfos[hash]!), digestOf(hash, data));
  if (length < info.length + 11) throw operationError(`the key is too short for ${hash}`);
  const padding = new Uint8Array(length - info.length - 3).fill(0xff);
  return joined(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info);
}

/** MGF1 (appendix B.2.1), laid over the bytes. */
function mask(bytes: Uint8Array, seed: Uint8Array, hash: string): void {
  const size = hashLength(hash);
  for (let counter = 0; counter * size < bytes.length; counter++) {
    const block = digestOf(hash, joined(seed, Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter)));
    for (let i = 0; i < size && counter * size + i < bytes.length; i++) bytes[counter * size + i]! ^= block[i]!;
  }
}

/** EMSA-PSS-ENCODE (§9.1.1), for a modulus of `bits`. */
function pssEncoded(hash: string, data: Uint8Array, saltLength: number, bits: number): Uint8Array {
  const size = hashLength(hash);
  const length = Math.ceil((bits - 1) / 8);
  if (length < size + saltLength + 2) throw operationError("the key is too short for this hash and salt");
  const salt = saltLength === 0 ? new Uint8Array(0) : randomBytes(saltLength, "RSA-PSS with a salt");
  const digest = digestOf(hash, joined(new Uint8Array(8), digestOf(hash, data), salt));
  const block = joined(new Uint8Array(length - saltLength - size - 2), Uint8Array.of(1), salt);
  mask(block, digest, hash);
  block[0]! &= 0xff >> (8 * length - (bits - 1));
  return joined(block, digest, Uint8Array.of(0xbc));
}

/** EMSA-PSS-VERIFY (§9.1.2). */
function isPss(encoded: Uint8Array, hash: string, data: Uint8Array, saltLength: number, bits: number): boolean {
  const size = hashLength(hash);
  const length = Math.ceil((bits - 1) / 8);
  const block = encoded.slice(encoded.length - length);
  if (encoded.length > length && encoded[0] !== 0) return false;
  if (length < size + saltLength + 2 || block[length - 1] !== 0xbc) return false;
  const masked = block.slice(0, length - size - 1);
  const digest = block.slice(length - size - 1, length - 1);
  const clear = 0xff >> (8 * length - (bits - 1));
  if ((masked[0]! & ~clear) !== 0) return false;
  mask(masked, digest, hash);
  masked[0]! &= clear;
  const one = masked.length - saltLength - 1;
  if (masked.subarray(0, one).some((byte) => byte !== 0) || masked[one] !== 1) return false;
  return kernel.native.equal(digestOf(hash, joined(new Uint8Array(8), digestOf(hash, data), masked.subarray(one + 1))), digest);
}

function hashOf(key: CryptoKey): string {
  return key.algorithm.hash!.name;
}

function privateKey(key: CryptoKey): Rsa {
  const rsa = rsaOf(key);
  if (rsa.secret === undefined) throw new DOMException("that takes the private key", "InvalidAccessError");
  return rsa;
}

function publicKey(key: CryptoKey): Rsa {
  if (key.type !== "public") throw new DOMException("that takes the public key", "InvalidAccessError");
  return rsaOf(key);
}

/** The signer's encoded text; undefined for a signature of another length, or that is no number below the modulus. */
function opened(key: CryptoKey, signature: Uint8Array): Uint8Array | undefined {
  const rsa = publicKey(key);
  return signature.length === rsa.n.length ? publicPower(rsa, signature) : undefined;
}

const signing = { publicUsages: ["verify"], privateUsages: ["sign"], use: "sig" } as const;

register(
  "RSASSA-PKCS1-v1_5",
  Object.assign(keys({ name: "RSASSA-PKCS1-v1_5", ...signing, alg: (hash) => `RS${hash.slice(4)}` }), {
    shapes,
    sign(_: Normalized, key: CryptoKey, data: Uint8Array) {
      const rsa = privateKey(key);
      return privatePower(rsa, pkcs1(hashOf(key), data, rsa.n.length));
    },
    verify(_: Normalized, key: CryptoKey, signature: Uint8Array, data: Uint8Array) {
      const encoded = opened(key, signature);
      return encoded !== undefined && kernel.native.equal(encoded, pkcs1(hashOf(key), data, encoded.length));
    },
  } satisfies Operations),
);
register(
  "RSA-PSS",
  Object.assign(keys({ name: "RSA-PSS", ...signing, alg: (hash) => `PS${hash.slice(4)}` }), {
    shapes: { ...shapes, sign: { saltLength: "long" }, verify: { saltLength: "long" } },
    sign({ saltLength }: Normalized, key: CryptoKey, data: Uint8Array) {
      const rsa = privateKey(key);
      return privatePower(rsa, pssEncoded(hashOf(key), data, saltLength!, bitLength(rsa.n)));
    },
    verify({ saltLength }: Normalized, key: CryptoKey, signature: Uint8Array, data: Uint8Array) {
      const encoded = opened(key, signature);
      return encoded !== undefined && isPss(encoded, hashOf(key), data, saltLength!, bitLength(rsaOf(key).n));
    },
  } satisfies Operations),
);
register(
  "RSA-OAEP",
  Object.assign(
    keys({
      name: "RSA-OAEP",
      publicUsages: ["encrypt", "wrapKey"],
      privateUsages: ["decrypt", "unwrapKey"],
      use: "enc",
      alg: (hash) => (hash === "SHA-1" ? "RSA-OAEP" : `RSA-OAEP-${hash.slice(4)}`),
    }),
    {
      shapes: { ...shapes, encrypt: { label: "bytes?" }, decrypt: { label: "bytes?" } },
      /** RSAES-OAEP-ENCRYPT (§7.1.1). */
      encrypt({ label = new Uint8Array(0) }: Normalized, key: CryptoKey, data: Uint8Array) {
        const rsa = publicKey(key);
        const hash = hashOf(key);
        const size = hashLength(hash);
        const most = rsa.n.length - 2 * size - 2;
        if (data.length > most)
          throw operationError(`RSA-OAEP with this key takes at most ${Math.max(most, 0)} bytes: encrypt a key of AES with it`);
        const block = joined(digestOf(hash, label), new Uint8Array(most - data.length), Uint8Array.of(1), data);
        const seed = randomBytes(size, "RSA-OAEP");
        mask(block, seed, hash);
        mask(seed, block, hash);
        return publicPower(rsa, joined(Uint8Array.of(0), seed, block))!;
      },
      /** RSAES-OAEP-DECRYPT (§7.1.2): one error, whatever is wrong. */
      decrypt({ label = new Uint8Array(0) }: Normalized, key: CryptoKey, data: Uint8Array) {
        const rsa = privateKey(key);
        const hash = hashOf(key);
        const size = hashLength(hash);
        const wrong = operationError("what came can't be decrypted: it is not what was encrypted with this key");
        if (data.length !== rsa.n.length || data.length < 2 * size + 2 || big(data) >= big(rsa.n)) throw wrong;
        const encoded = privatePower(rsa, data);
        const seed = encoded.slice(1, 1 + size);
        const block = encoded.slice(1 + size);
        mask(seed, block, hash);
        mask(block, seed, hash);
        let isWrong = encoded[0]! | (kernel.native.equal(block.subarray(0, size), digestOf(hash, label)) ? 0 : 1);
        let from = 0;
        for (let i = size; i < block.length; i++) {
          const byte = block[i]!;
          if (from === 0 && byte === 1) from = i + 1;
          else if (from === 0) isWrong |= byte;
        }
        if (isWrong !== 0 || from === 0) throw wrong;
        return block.slice(from);
      },
    } satisfies Operations,
  ),
);
