/**
 * Keys' work as functions of the engine, for crypto.subtle (kernel/runtime/web/). Lengths and parameters were checked there; what is wrong
 * here all the same is a TypeError. Room comes from the engine's heap and goes back empty: no key stays behind.
 */
import { ctr, cbcDecrypt, cbcEncrypt, cipherBytes, gcm, unwrapKey, wrapKey } from "./cipher";
import { curveBytes, decompress, isPoint, isScalar, multiple, signEcdsa, useCurve, verifyEcdsa } from "./curve";
import { digestBytes, repeatHmac } from "./digest";
import { edwardsBytes, multipleOfBase, multiplyAdd, reduceScalar, useEdwards, verifyEdwards, x25519 } from "./edwards";
import { boolValue, Context, exceptionValue, free, JS_NewUint8ArrayCopy, JS_ThrowOutOfMemory, JS_ThrowTypeError, JSValue, malloc, undefinedValue } from "./engine";
import { argument, bytesOf, integer, noBytes } from "./functions";
import { enter, isLess, leave, modulusBytes, power, powerBytes, readNumber, useModulus, writeNumber } from "./bignum";
import { rsaBytes, rsaPrivate } from "./rsa";
import { scratch } from "./state";

// "not an operation"
// @ts-ignore: decorator
@lazy const noOperation: usize = memory.data<u8>([110, 111, 116, 32, 97, 110, 32, 111, 112, 101, 114, 97, 116, 105, 111, 110, 0]);

/** Longest modulus and point in bytes, most repetitions of one call: what runs here can't be interrupted. */
const mostModulusBytes: u32 = 1024;
const mostSizeBytes: u32 = 66;
const mostIterations: i32 = 1_000;

function refuse(context: Context): JSValue {
  return JS_ThrowTypeError(context, noOperation, 0);
}

/** Gives a room back, empty. */
function release(room: usize, bytes: u32): void {
  memory.fill(room, 0, bytes);
  free(room);
}

/** The bytes of an argument; `noBytes` where an exception stands. Its length is in scratch()+0. */
// @ts-ignore: decorator
@inline
function bytesAt(context: Context, values: usize, count: i32, index: i32): usize {
  return bytesOf(context, argument(values, count, index));
}

// @ts-ignore: decorator
@inline
function length(): u32 {
  return load<u32>(scratch());
}

// Operations of `aes`, as web/aes.ts numbers them.
const opCbcEncrypt: i32 = 0, opCbcDecrypt: i32 = 1, opCtr: i32 = 2, opGcmEncrypt: i32 = 3, opGcmDecrypt: i32 = 4, opWrap: i32 = 5, opUnwrap: i32 = 6;

/**
 * `(operation, key, iv, data, more, number)`: `more` is GCM's additional data, `number` CTR's bits or the bytes of GCM's tag. Undefined for a tag
 * or a check that is wrong.
 */
export function js_aes(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const operation = integer(argument(values, count, 0));
  const key = bytesAt(context, values, count, 1);
  if (key === noBytes) return exceptionValue;
  const keyLength = length();
  const iv = bytesAt(context, values, count, 2);
  if (iv === noBytes) return exceptionValue;
  const ivLength = length();
  const data = bytesAt(context, values, count, 3);
  if (data === noBytes) return exceptionValue;
  const dataLength = length();
  const more = bytesAt(context, values, count, 4);
  if (more === noBytes) return exceptionValue;
  const moreLength = length();
  const given = integer(argument(values, count, 5));
  if (keyLength !== 16 && keyLength !== 24 && keyLength !== 32) return refuse(context);
  const isGcm = operation === opGcmEncrypt || operation === opGcmDecrypt;
  const before: u32 = operation === opWrap ? 8 : 0;
  const tagLength: u32 = isGcm ? <u32>given : 0;
  const needsIv = operation === opCbcEncrypt || operation === opCbcDecrypt || operation === opCtr;
  const isWhole = operation === opCbcEncrypt || operation === opCbcDecrypt ? dataLength % 16 === 0 : operation < opWrap || dataLength % 8 === 0;
  if (
    operation < opCbcEncrypt || operation > opUnwrap || (needsIv && ivLength !== 16) || !isWhole || (isGcm && (given < 4 || given > 16)) ||
    (operation === opCtr && (given < 1 || given > 128)) || (operation === opGcmDecrypt && dataLength < tagLength) ||
    (operation >= opWrap && dataLength < (operation === opWrap ? 16 : 24)) || dataLength > 0x7fff0000
  )
    return refuse(context);
  const bodyLength = operation === opGcmDecrypt ? dataLength - tagLength : dataLength;
  const size = cipherBytes + before + dataLength + 32;
  const room = malloc(size);
  if (room === 0) return JS_ThrowOutOfMemory(context);
  const target = room + cipherBytes, tag = target + before + dataLength + 16;
  memory.copy(target + before, data, dataLength);
  let from = target, made = before + dataLength, isRight: u32 = 1;
  switch (operation) {
    case opCbcEncrypt: cbcEncrypt(room, key, keyLength, iv, target, dataLength); break;
    case opCbcDecrypt: cbcDecrypt(room, key, keyLength, iv, target, dataLength); break;
    case opCtr: ctr(room, key, keyLength, iv, given, target, dataLength); break;
    case opWrap: wrapKey(room, key, keyLength, target, dataLength); break;
    case opUnwrap:
      isRight = unwrapKey(room, key, keyLength, target, dataLength - 8);
      from = target + 8;
      made = dataLength - 8;
      break;
    default: {
      gcm(room, key, keyLength, iv, ivLength, target, bodyLength, more, moreLength, operation === opGcmEncrypt, tag);
      if (operation === opGcmEncrypt) {
        memory.copy(target + bodyLength, tag, tagLength);
        made = bodyLength + tagLength;
      } else {
        let difference: u32 = 0;
        for (let i: u32 = 0; i < tagLength; i++) difference |= <u32>load<u8>(tag + i) ^ <u32>load<u8>(data + bodyLength + i);
        isRight = <u32>(difference === 0);
        made = bodyLength;
      }
    }
  }
  const result = isRight === 1 ? JS_NewUint8ArrayCopy(context, from, made) : undefinedValue;
  release(room, size);
  return result;
}

/**
 * `(algorithm, password, value, sum, iterations)`: repetitions of PBKDF2's inner loop (RFC 8018, §5.2) in both buffers, whose length is that of
 * the digest.
 */
export function js_repeatHmac(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const algorithm = integer(argument(values, count, 0));
  const iterations = integer(argument(values, count, 4));
  const size = digestBytes(algorithm);
  const key = bytesAt(context, values, count, 1);
  if (key === noBytes) return exceptionValue;
  const keyLength = length();
  const value = bytesAt(context, values, count, 2);
  if (value === noBytes) return exceptionValue;
  const valueLength = length();
  const sum = bytesAt(context, values, count, 3);
  if (sum === noBytes) return exceptionValue;
  if (size === 0 || valueLength !== size || length() !== size || iterations < 0 || iterations > mostIterations) return refuse(context);
  repeatHmac(algorithm, key, keyLength, value, sum, iterations);
  return undefinedValue;
}

/** `(base, exponent, modulus)`: big-endian, the modulus odd; the result is as long as it. Undefined where the base is not below it. */
export function js_modularPower(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const base = bytesAt(context, values, count, 0);
  if (base === noBytes) return exceptionValue;
  const baseLength = length();
  const exponent = bytesAt(context, values, count, 1);
  if (exponent === noBytes) return exceptionValue;
  const exponentLength = length();
  const modulus = bytesAt(context, values, count, 2);
  if (modulus === noBytes) return exceptionValue;
  const modulusLength = length();
  if (modulusLength === 0 || modulusLength > mostModulusBytes || baseLength > modulusLength || exponentLength > mostModulusBytes || (load<u8>(modulus + modulusLength - 1) & 1) === 0)
    return refuse(context);
  const limbs = (modulusLength + 3) >> 2;
  const size = modulusBytes(limbs) + powerBytes(limbs) + 8 * limbs + modulusLength;
  const room = malloc(size);
  if (room === 0) return JS_ThrowOutOfMemory(context);
  const spare = room + modulusBytes(limbs), number = spare + powerBytes(limbs), one = number + 4 * limbs, target = one + 4 * limbs;
  useModulus(room, modulus, modulusLength, limbs);
  readNumber(base, baseLength, number, limbs);
  let result = undefinedValue;
  if (isLess(number, room, limbs) === 1) {
    enter(number, number, room, limbs);
    power(number, number, exponent, exponentLength, spare, room, limbs);
    leave(number, number, one, room, limbs);
    writeNumber(number, limbs, target, modulusLength);
    result = JS_NewUint8ArrayCopy(context, target, modulusLength);
  }
  release(room, size);
  return result;
}

/** `(key, half, input)`: as rsaPrivate (rsa.ts) takes them; the input is as long as the modulus. Undefined for a key that does not undo itself. */
export function js_rsaPrivate(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const key = bytesAt(context, values, count, 0);
  if (key === noBytes) return exceptionValue;
  const keyLength = length();
  const half = <u32>integer(argument(values, count, 1));
  const input = bytesAt(context, values, count, 2);
  if (input === noBytes) return exceptionValue;
  const inputLength = length();
  if (inputLength < 64 || inputLength > mostModulusBytes || half < 32 || half > inputLength || keyLength !== 2 * inputLength + 5 * half) return refuse(context);
  const odd = load<u8>(key + inputLength - 1) & load<u8>(key + 2 * inputLength + half - 1) & load<u8>(key + 2 * inputLength + 2 * half - 1) & 1;
  if (odd === 0) return refuse(context);
  const size = rsaBytes(inputLength, half) + inputLength;
  const room = malloc(size);
  if (room === 0) return JS_ThrowOutOfMemory(context);
  const target = room + rsaBytes(inputLength, half);
  const isRight = rsaPrivate(room, key, inputLength, half, input, target);
  const result = isRight === 1 ? JS_NewUint8ArrayCopy(context, target, inputLength) : undefinedValue;
  release(room, size);
  return result;
}

// Operations of `curve`, as web/ec.ts numbers them.
const opMultiple: i32 = 0, opSign: i32 = 1, opVerify: i32 = 2, opIsPoint: i32 = 3, opDecompress: i32 = 4, opIsScalar: i32 = 5;

/**
 * `(operation, domain, a, b, c)`: `domain` is p, order, b, x and y of a curve. By operation: the multiple a of the point b, or of the base point where b is
 * empty; the signature by a with the secret number b of the hash c; whether b signs the hash c for the point a; whether a is a point; the point with
 * x = a whose y is odd where b is 1; whether a is a scalar. Undefined where there is no result.
 */
export function js_curve(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const operation = integer(argument(values, count, 0));
  const domain = bytesAt(context, values, count, 1);
  if (domain === noBytes) return exceptionValue;
  const size = length() / 5;
  if (length() % 5 !== 0 || size === 0 || size > mostSizeBytes || (load<u8>(domain + size - 1) & 1) === 0 || (load<u8>(domain + 2 * size - 1) & 1) === 0) return refuse(context);
  const a = bytesAt(context, values, count, 2);
  if (a === noBytes) return exceptionValue;
  const aLength = length();
  const b = bytesAt(context, values, count, 3);
  if (b === noBytes) return exceptionValue;
  const bLength = length();
  const c = bytesAt(context, values, count, 4);
  if (c === noBytes) return exceptionValue;
  const cLength = length();
  let fits = false;
  switch (operation) {
    case opMultiple: fits = aLength === size && (bLength === 0 || bLength === 2 * size); break;
    case opSign: fits = aLength === size && bLength === size && cLength === size; break;
    case opVerify: fits = aLength === 2 * size && bLength === 2 * size && cLength === size; break;
    case opIsPoint: fits = aLength === 2 * size; break;
    case opDecompress: fits = aLength === size && bLength === 1; break;
    case opIsScalar: fits = aLength === size; break;
  }
  if (!fits) return refuse(context);
  const bytes = curveBytes(size) + 2 * size;
  const room = malloc(bytes);
  if (room === 0) return JS_ThrowOutOfMemory(context);
  const target = room + curveBytes(size);
  useCurve(room, domain, size);
  let result = undefinedValue;
  switch (operation) {
    case opMultiple:
      if ((bLength === 0 || isPoint(room, b, size) === 1) && multiple(room, a, bLength === 0 ? 0 : b, target, size) === 1)
        result = JS_NewUint8ArrayCopy(context, target, 2 * size);
      break;
    case opSign:
      if (signEcdsa(room, a, b, c, target, size) === 1) result = JS_NewUint8ArrayCopy(context, target, 2 * size);
      break;
    case opVerify: result = boolValue(isPoint(room, a, size) === 1 && verifyEcdsa(room, a, b, c, size) === 1); break;
    case opIsPoint: result = boolValue(isPoint(room, a, size) === 1); break;
    case opDecompress:
      if (decompress(room, a, <u32>load<u8>(b), target, size) === 1) result = JS_NewUint8ArrayCopy(context, target, 2 * size);
      break;
    case opIsScalar: result = boolValue(isScalar(room, a, size) === 1); break;
  }
  release(room, bytes);
  return result;
}

// Operations of `edwards`, as web/okp.ts numbers them.
const opX25519: i32 = 0, opBase: i32 = 1, opReduce: i32 = 2, opMultiplyAdd: i32 = 3, opVerifyEdwards: i32 = 4;

/**
 * `(operation, a, b, c)`, numbers with their lowest byte first. By operation: X25519 of the scalar a and u = b; the encoded multiple a of the base point; the 64 bytes
 * a modulo the order; a + b c modulo the order; whether b signs for the key a, where c is the reduced hash.
 */
export function js_edwards(context: Context, self: JSValue, count: i32, values: usize): JSValue {
  const operation = integer(argument(values, count, 0));
  const a = bytesAt(context, values, count, 1);
  if (a === noBytes) return exceptionValue;
  const aLength = length();
  const b = bytesAt(context, values, count, 2);
  if (b === noBytes) return exceptionValue;
  const bLength = length();
  const c = bytesAt(context, values, count, 3);
  if (c === noBytes) return exceptionValue;
  const cLength = length();
  let fits = false;
  switch (operation) {
    case opX25519: fits = aLength === 32 && bLength === 32; break;
    case opBase: fits = aLength === 32; break;
    case opReduce: fits = aLength === 64; break;
    case opMultiplyAdd: fits = aLength === 32 && bLength === 32 && cLength === 32; break;
    case opVerifyEdwards: fits = aLength === 32 && bLength === 64 && cLength === 32; break;
  }
  if (!fits) return refuse(context);
  const bytes = edwardsBytes() + 32;
  const room = malloc(bytes);
  if (room === 0) return JS_ThrowOutOfMemory(context);
  const target = room + edwardsBytes();
  useEdwards(room);
  let isBytes = true, isRight: u32 = 0;
  switch (operation) {
    case opX25519: x25519(room, a, b, target); break;
    case opBase: multipleOfBase(room, a, target); break;
    case opReduce: reduceScalar(room, a, target); break;
    case opMultiplyAdd: multiplyAdd(room, a, b, c, target); break;
    default:
      isBytes = false;
      isRight = verifyEdwards(room, a, b, c);
  }
  const result = isBytes ? JS_NewUint8ArrayCopy(context, target, 32) : boolValue(isRight === 1);
  release(room, bytes);
  return result;
}
