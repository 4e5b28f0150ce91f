/**
 * Signatures of tokens (RFC 7518, 3; RFC 8037, 3.1) by public keys, with the arithmetic of kernel/native: RSA with PKCS #1 v1.5 and PSS
 * (RFC 8017), ECDSA, Ed25519. All that is computed with is public.
 */
import { enter, isLess, leave, modulusBytes, multiply, readNumber, useModulus, writeNumber } from "../../../native/bignum";
import { curveBytes, isPoint, useCurve, verifyEcdsa } from "../../../native/curve";
import { digest } from "../../../native/digest";
import { edwardsBytes, reduceScalar, useEdwards, verifyEdwards } from "../../../native/edwards";
import { allocate, release } from "../../blocks";
import { coordinateBytes, domainOf } from "./curves";

/** Algorithms by their number (abi/service-token.ts): of a signature's kind and its digest. */
export const rsaPkcs1: u32 = 0, rsaPss: u32 = 1, ecdsa: u32 = 2, ed25519: u32 = 3;

export function kindOf(algorithm: u32): u32 { return algorithm < 9 ? algorithm / 3 : ed25519; }

function digestOf(algorithm: u32): i32 { return algorithm % 3 === 0 ? 256 : algorithm % 3 === 1 ? 384 : 512; }

/** Bits of the curve that an algorithm of ECDSA has. */
export function curveOf(algorithm: u32): u32 { return algorithm === 6 ? 256 : algorithm === 7 ? 384 : 521; }

/** Results. */
export const signatureRight: u32 = 0, signatureWrong: u32 = 1, noRoomToVerify: u32 = 2;

/**
 * `key`: of RSA a modulus in use with its bytes and those of the exponent behind it (keys.ts); of a curve x and y; of Ed25519 32 bytes.
 * `input`: what was signed.
 */
export function verify(algorithm: u32, key: usize, size: u32, input: usize, inputLength: u32, signature: usize, length: u32): u32 {
  switch (kindOf(algorithm)) {
    case ecdsa: return verifyCurve(algorithm, key, input, inputLength, signature, length);
    case ed25519: return verifyEd(key, input, inputLength, signature, length);
    default: return verifyRsa(algorithm, key, size, input, inputLength, signature, length);
  }
}

// @ts-ignore: decorator
@lazy const hash: usize = memory.data(72, 16);

function verifyCurve(algorithm: u32, key: usize, input: usize, inputLength: u32, signature: usize, length: u32): u32 {
  const curve = curveOf(algorithm);
  const size = coordinateBytes(curve);
  if (length !== 2 * size) return signatureWrong;
  const room = allocate(curveBytes(size));
  if (room === 0) return noRoomToVerify;
  useCurve(room, domainOf(curve), size);
  memory.fill(hash, 0, 72);
  const hashBytes: u32 = size === 66 ? 64 : size; // of P-521 the digest is shorter than the order
  digest(hashBytes === 64 ? 512 : <i32>hashBytes * 8, input, inputLength, hash + size - hashBytes);
  const isRight = verifyEcdsa(room, key, signature, hash, size);
  release(room);
  return isRight === 1 ? signatureRight : signatureWrong;
}

/** True if x and y are a point of the curve; also without memory, in which case nothing is verified either. */
export function isOnCurve(curve: u32, point: usize): bool {
  const size = coordinateBytes(curve);
  const room = allocate(curveBytes(size));
  if (room === 0) return false;
  useCurve(room, domainOf(curve), size);
  const isRight = isPoint(room, point, size);
  release(room);
  return isRight === 1;
}

/** The hash is of R, the key and the input (RFC 8032, 5.1.7). */
function verifyEd(key: usize, input: usize, inputLength: u32, signature: usize, length: u32): u32 {
  if (length !== 64) return signatureWrong;
  const room = allocate(edwardsBytes());
  const whole = allocate(64 + inputLength);
  if (room === 0 || whole === 0) {
    release(room);
    release(whole);
    return noRoomToVerify;
  }
  memory.copy(whole, signature, 32);
  memory.copy(whole + 32, key, 32);
  memory.copy(whole + 64, input, inputLength);
  digest(512, whole, 64 + inputLength, hash);
  useEdwards(room);
  reduceScalar(room, hash, whole);
  const isRight = verifyEdwards(room, key, signature, whole);
  release(room);
  release(whole);
  return isRight === 1 ? signatureRight : signatureWrong;
}

// ---- RSA

/** Bytes of a key: a modulus in use, the exponent as a number. */
export function rsaKeyBytes(size: u32): u32 {
  return modulusBytes((size + 3) >> 2) + 4;
}

export function useRsaKey(key: usize, modulus: usize, size: u32, exponent: u32): void {
  const limbs = (size + 3) >> 2;
  useModulus(key, modulus, size, limbs);
  store<u32>(key + modulusBytes(limbs), exponent);
}

/** The message of a signature: its power by the exponent, by squaring and multiplying. False if it is not below the modulus. */
function openSignature(key: usize, limbs: u32, size: u32, signature: usize, room: usize, target: usize): bool {
  const base = room, value = room + 4 * limbs;
  readNumber(signature, size, base, limbs);
  if (isLess(base, key, limbs) === 0) return false;
  enter(base, base, key, limbs);
  const exponent = load<u32>(key + modulusBytes(limbs));
  memory.copy(value, base, 4 * limbs);
  for (let bit = <i32>(30 - clz<u32>(exponent)); bit >= 0; bit--) {
    multiply(value, value, value, key, limbs);
    if (((exponent >> <u32>bit) & 1) !== 0) multiply(value, value, base, key, limbs);
  }
  leave(value, value, base, key, limbs);
  writeNumber(value, limbs, target, size);
  return true;
}

function verifyRsa(algorithm: u32, key: usize, size: u32, input: usize, inputLength: u32, signature: usize, length: u32): u32 {
  if (length !== size) return signatureWrong;
  const limbs = (size + 3) >> 2;
  const room = allocate(8 * limbs + 2 * size);
  if (room === 0) return noRoomToVerify;
  const message = room + 8 * limbs;
  const bits = digestOf(algorithm);
  digest(bits, input, inputLength, hash);
  let isRight = openSignature(key, limbs, size, signature, room, message);
  if (isRight) isRight = kindOf(algorithm) === rsaPss ? isPss(message, size, key, limbs, bits, message + size) : isPkcs1(message, size, bits);
  release(room);
  return isRight ? signatureRight : signatureWrong;
}

/** DER of the algorithms' names before a digest (RFC 8017, 9.2, note 1), but for three bytes that depend on it. */
// prettier-ignore
// @ts-ignore: decorator
@lazy const info: usize = memory.data<u8>([0x30, 0, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0, 0x05, 0x00, 0x04, 0]);
const infoBytes: u32 = 19;

/** 0 │ 1 │ 0xff … │ 0 │ info │ digest: the one form there is, and nothing behind it (RFC 8017, 8.2.2). */
function isPkcs1(message: usize, size: u32, bits: i32): bool {
  const bytes = <u32>bits >> 3;
  const from = size - bytes - infoBytes;
  store<u8>(info, 0x11 + bytes, 1);
  store<u8>(info, bits === 256 ? 1 : bits === 384 ? 2 : 3, 14);
  store<u8>(info, bytes, 18);
  if (load<u8>(message) !== 0 || load<u8>(message, 1) !== 1 || load<u8>(message + from - 1) !== 0) return false;
  for (let index: u32 = 2; index < from - 1; index++) if (load<u8>(message + index) !== 0xff) return false;
  return memory.compare(message + from, info, infoBytes) === 0 && memory.compare(message + from + infoBytes, hash, bytes) === 0;
}

// @ts-ignore: decorator
@lazy const block: usize = memory.data(144, 16);
// @ts-ignore: decorator
@lazy const mask: usize = memory.data(64, 16);

/** RFC 8017, 9.1.2, with a salt as long as the digest (RFC 7518, 3.5). `room`: as long as the message. */
function isPss(message: usize, size: u32, key: usize, limbs: u32, bits: i32, room: usize): bool {
  const bytes = <u32>bits >> 3;
  const unused = clz<u32>(load<u32>(key + 4 * (limbs - 1))) + 1 + 8 * size - 32 * limbs; // bits of the first byte, and the byte above them
  if (unused === 8 && load<u8>(message) !== 0) return false;
  const skipped: u32 = unused === 8 ? 1 : 0;
  const at = message + skipped;
  const length = size - skipped;
  const free = unused & 7;
  const masked = length - bytes - 1;
  const found = at + masked;
  if (load<u8>(at + length - 1) !== 0xbc || (free > 0 && <u32>load<u8>(at) >> (8 - free) !== 0)) return false;
  for (let from: u32 = 0, counter: u32 = 0; from < masked; from += bytes, counter++) {
    memory.copy(block, found, bytes);
    store<u32>(block + bytes, bswap<u32>(counter));
    digest(bits, block, bytes + 4, mask);
    for (let index: u32 = 0; index < bytes && from + index < masked; index++)
      store<u8>(room + from + index, <u32>load<u8>(at + from + index) ^ <u32>load<u8>(mask + index));
  }
  store<u8>(room, <u32>load<u8>(room) & (0xff >> free));
  const salt = masked - bytes;
  for (let index: u32 = 0; index + 1 < salt; index++) if (load<u8>(room + index) !== 0) return false;
  if (load<u8>(room + salt - 1) !== 1) return false;
  memory.fill(block, 0, 8);
  memory.copy(block + 8, hash, bytes);
  memory.copy(block + 8 + bytes, room + salt, bytes);
  digest(bits, block, 8 + 2 * bytes, mask);
  return memory.compare(mask, found, bytes) === 0;
}
