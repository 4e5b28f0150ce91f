/**
 * X25519 (RFC 7748) and the points of Ed25519 (RFC 8032), on numbers modulo 2²⁵⁵ - 19. Points are extended coordinates (X : Y : Z : T) in
 * Montgomery's form; the addition formula has no exceptions (Hisil, Wong, Carter, Dawson 2008, for a = -1) and serves for doubling too.
 */
import {
  addModulo, choose, enter, enterLong, isEqual, isLess, isZero, leave, modulusBytes, multiply, oneOf, power, powerBytes, readNumber, subtractModulo, useModulus,
  writeNumber,
} from "./bignum";

const limbs: u32 = 8;
const step: u32 = 32;
const size: u32 = 32;
const pointBytes: u32 = 4 * step;

/** p, the order of the base point, d, 2^((p-1)/4), and x and y of the base point: 32 big-endian bytes each (RFC 8032, §5.1). */
// prettier-ignore
// @ts-ignore: decorator
@lazy const constants: usize = memory.data<u8>([
  0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xed,
  0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
  0x52, 0x03, 0x6c, 0xee, 0x2b, 0x6f, 0xfe, 0x73, 0x8c, 0xc7, 0x40, 0x79, 0x77, 0x79, 0xe8, 0x98, 0x00, 0x70, 0x0a, 0x4d, 0x41, 0x41, 0xd8, 0xab, 0x75, 0xeb, 0x4d, 0xca, 0x13, 0x59, 0x78, 0xa3,
  0x2b, 0x83, 0x24, 0x80, 0x4f, 0xc1, 0xdf, 0x0b, 0x2b, 0x4d, 0x00, 0x99, 0x3d, 0xfb, 0xd7, 0xa7, 0x2f, 0x43, 0x18, 0x06, 0xad, 0x2f, 0xe4, 0x78, 0xc4, 0xee, 0x1b, 0x27, 0x4a, 0x0e, 0xa0, 0xb0,
  0x21, 0x69, 0x36, 0xd3, 0xcd, 0x6e, 0x53, 0xfe, 0xc0, 0xa4, 0xe2, 0x31, 0xfd, 0xd6, 0xdc, 0x5c, 0x69, 0x2c, 0xc7, 0x60, 0x95, 0x25, 0xa7, 0xb2, 0xc9, 0x56, 0x2d, 0x60, 0x8f, 0x25, 0xd5, 0x1a,
  0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x58
]);

// A curve in use: the field's modulus, the order's, numbers, points, a table of 16 points, what `power` needs.
const atNumbers: u32 = 2 * 176;
const numbers: u32 = 16;
const atPoints: u32 = atNumbers + numbers * step;
const points: u32 = 5;
const atTable: u32 = atPoints + points * pointBytes;
const atPower: u32 = atTable + 16 * pointBytes;

export function edwardsBytes(): u32 {
  return atPower + powerBytes(limbs);
}

// @ts-ignore: decorator
@inline
function number(room: usize, index: u32): usize {
  return room + atNumbers + index * step;
}

// @ts-ignore: decorator
@inline
function point(room: usize, index: u32): usize {
  return room + atPoints + index * pointBytes;
}

// @ts-ignore: decorator
@inline
function order(room: usize): usize {
  return room + 176;
}

// Numbers that stay: d doubled, d, the root of -1.
const doubleD: u32 = 13, theD: u32 = 14, rootOfMinusOne: u32 = 15;

export function useEdwards(room: usize): void {
  useModulus(room, constants, size, limbs);
  useModulus(order(room), constants + size, size, limbs);
  for (let i: u32 = 0; i < 2; i++) {
    readNumber(constants + (2 + i) * size, size, number(room, theD + i), limbs);
    enter(number(room, theD + i), number(room, theD + i), room, limbs);
  }
  addModulo(number(room, doubleD), number(room, theD), number(room, theD), room, limbs);
}

/** Reverses 32 bytes: RFC 7748 and 8032 write numbers with their lowest byte first. */
function reverse(target: usize, bytes: usize): void {
  for (let i: u32 = 0; i < size; i++) store<u8>(target + i, load<u8>(bytes + size - 1 - i));
}

function setZeroPoint(room: usize, p: usize): void {
  memory.fill(p, 0, pointBytes);
  memory.copy(p + step, oneOf(room, limbs), step);
  memory.copy(p + 2 * step, oneOf(room, limbs), step);
}

/** r = p + q; `r` may be one of them. */
function addPoints(room: usize, r: usize, p: usize, q: usize): void {
  const a = number(room, 4), b = number(room, 5), c = number(room, 6), d = number(room, 7), e = number(room, 8), f = number(room, 9), g = number(room, 10), h = number(room, 11);
  subtractModulo(a, p + step, p, room, limbs);
  subtractModulo(b, q + step, q, room, limbs);
  multiply(a, a, b, room, limbs);
  addModulo(b, p + step, p, room, limbs);
  addModulo(c, q + step, q, room, limbs);
  multiply(b, b, c, room, limbs);
  multiply(c, p + 3 * step, q + 3 * step, room, limbs);
  multiply(c, c, number(room, doubleD), room, limbs);
  multiply(d, p + 2 * step, q + 2 * step, room, limbs);
  addModulo(d, d, d, room, limbs);
  subtractModulo(e, b, a, room, limbs);
  subtractModulo(f, d, c, room, limbs);
  addModulo(g, d, c, room, limbs);
  addModulo(h, b, a, room, limbs);
  multiply(r, e, f, room, limbs);
  multiply(r + step, g, h, room, limbs);
  multiply(r + 2 * step, f, g, room, limbs);
  multiply(r + 3 * step, e, h, room, limbs);
}

/** r = k p, of k in 32 bytes, lowest first. */
function multiplyPoint(room: usize, r: usize, p: usize, k: usize): void {
  const table = room + atTable;
  const chosen = point(room, 0);
  setZeroPoint(room, table);
  for (let i: u32 = 1; i < 16; i++) addPoints(room, table + i * pointBytes, table + (i - 1) * pointBytes, p);
  setZeroPoint(room, r);
  for (let i: u32 = 0; i < 64; i++) {
    for (let double = 0; double < 4; double++) addPoints(room, r, r, r);
    const byte = <u32>load<u8>(k + 31 - (i >> 1));
    const digit = (i & 1) === 0 ? byte >> 4 : byte & 15;
    memory.copy(chosen, table, pointBytes);
    for (let entry: u32 = 1; entry < 16; entry++) {
      const isIt = <u32>(((<u64>(entry ^ digit)) - 1) >> 63);
      choose(chosen, isIt, table + entry * pointBytes, chosen, 4 * limbs);
    }
    addPoints(room, r, r, chosen);
  }
}

/** r = a to the power of p less `below`, or of a quarter of what p less five is. */
function powerOfPrime(room: usize, r: usize, a: usize, below: u32, eighth: bool): void {
  const exponent = number(room, 12), bytes = room + atTable; // no table is in use then
  memory.copy(exponent, room, step);
  store<u32>(exponent, load<u32>(exponent) - below); // p ends in 0xed: nothing is borrowed
  writeNumber(exponent, limbs, bytes, size);
  if (eighth) {
    let carry: u32 = 0;
    for (let i: u32 = 0; i < size; i++) {
      const byte = <u32>load<u8>(bytes + i);
      store<u8>(bytes + i, (byte >> 3) | (carry << 5));
      carry = byte & 7;
    }
  }
  power(r, a, bytes, size, room + atPower, room, limbs);
}

function encodePoint(room: usize, p: usize, target: usize): void {
  const inverse = number(room, 0), x = number(room, 1), y = number(room, 2), spare = number(room, 3);
  powerOfPrime(room, inverse, p + 2 * step, 2, false);
  multiply(x, p, inverse, room, limbs);
  multiply(y, p + step, inverse, room, limbs);
  leave(x, x, spare, room, limbs);
  leave(y, y, spare, room, limbs);
  memory.copy(target, y, size);
  store<u8>(target + 31, load<u8>(target + 31) | ((load<u8>(x) & 1) << 7));
}

/** Gives 0 where the bytes are no point, or y is not below p. */
function decodePoint(room: usize, p: usize, bytes: usize): u32 {
  const x = p, y = p + step;
  const sign = <u32>load<u8>(bytes, 31) >> 7;
  memory.copy(y, bytes, size);
  store<u8>(y, load<u8>(y, 31) & 0x7f, 31);
  if (isLess(y, room, limbs) === 0) return 0;
  enter(y, y, room, limbs);
  // x² = u / v with u = y² - 1 and v = d y² + 1; its root is u v³ (u v⁷)^((p - 5) / 8), or that times the root of -1.
  const u = number(room, 0), v = number(room, 1), w = number(room, 2), spare = number(room, 3);
  multiply(u, y, y, room, limbs);
  multiply(v, u, number(room, theD), room, limbs);
  subtractModulo(u, u, oneOf(room, limbs), room, limbs);
  addModulo(v, v, oneOf(room, limbs), room, limbs);
  multiply(w, v, v, room, limbs);
  multiply(w, w, v, room, limbs);
  multiply(spare, w, w, room, limbs);
  multiply(spare, spare, v, room, limbs);
  multiply(spare, spare, u, room, limbs); // u v⁷
  powerOfPrime(room, x, spare, 5, true);
  multiply(x, x, w, room, limbs);
  multiply(x, x, u, room, limbs);
  multiply(w, x, x, room, limbs);
  multiply(w, w, v, room, limbs);
  if (isEqual(w, u, limbs) === 0) {
    multiply(x, x, number(room, rootOfMinusOne), room, limbs);
    multiply(w, x, x, room, limbs);
    multiply(w, w, v, room, limbs);
    if (isEqual(w, u, limbs) === 0) return 0;
  }
  leave(w, x, spare, room, limbs);
  if ((load<u32>(w) & 1) !== sign) {
    if (isZero(w, limbs) !== 0) return 0;
    memory.fill(spare, 0, step);
    subtractModulo(x, spare, x, room, limbs);
  }
  memory.copy(p + 2 * step, oneOf(room, limbs), step);
  multiply(p + 3 * step, x, y, room, limbs);
  return 1;
}

function basePoint(room: usize, p: usize): void {
  readNumber(constants + 4 * size, size, p, limbs);
  readNumber(constants + 5 * size, size, p + step, limbs);
  enter(p, p, room, limbs);
  enter(p + step, p + step, room, limbs);
  memory.copy(p + 2 * step, oneOf(room, limbs), step);
  multiply(p + 3 * step, p, p + step, room, limbs);
}

/** The encoded multiple of the base point. */
export function multipleOfBase(room: usize, k: usize, target: usize): void {
  basePoint(room, point(room, 1));
  multiplyPoint(room, point(room, 2), point(room, 1), k);
  encodePoint(room, point(room, 2), target);
}

/** 64 bytes, lowest first, modulo the order. */
export function reduceScalar(room: usize, bytes: usize, target: usize): void {
  const long = room + atTable;
  for (let i: u32 = 0; i < 64; i++) store<u8>(long + i, load<u8>(bytes + 63 - i));
  enterLong(number(room, 0), long, 64, number(room, 1), order(room), limbs);
  leave(number(room, 0), number(room, 0), number(room, 1), order(room), limbs);
  memory.copy(target, number(room, 0), size);
}

/** r + k a modulo the order; r and k are below it. */
export function multiplyAdd(room: usize, r: usize, k: usize, a: usize, target: usize): void {
  const x = number(room, 0), y = number(room, 1), spare = number(room, 2), bytes = room + atTable;
  enter(x, k, order(room), limbs);
  reverse(bytes, a);
  enterLong(y, bytes, size, spare, order(room), limbs); // a clamped scalar is above the order
  multiply(x, x, y, order(room), limbs);
  enter(y, r, order(room), limbs);
  addModulo(x, x, y, order(room), limbs);
  leave(x, x, spare, order(room), limbs);
  memory.copy(target, x, size);
}

/** 1 for a point whose multiple by 8, the cofactor, is the zero point: a key of that kind takes signatures that nobody made. */
function isSmall(room: usize, p: usize, spare: usize): u32 {
  memory.copy(spare, p, pointBytes);
  for (let i = 0; i < 3; i++) addPoints(room, spare, spare, spare);
  return isZero(spare, limbs) & isEqual(spare + step, spare + 2 * step, limbs);
}

/** 1 where s B = R + k A: `signature` is R and s, `k` the reduced hash. */
export function verifyEdwards(room: usize, key: usize, signature: usize, k: usize): u32 {
  if (isLess(signature + size, order(room), limbs) === 0) return 0;
  const a = point(room, 1), left = point(room, 2), right = point(room, 3), encoded = point(room, 4);
  if (decodePoint(room, left, signature) === 0 || isSmall(room, left, right) === 1) return 0;
  if (decodePoint(room, a, key) === 0 || isSmall(room, a, left) === 1) return 0;
  // R = s B - k A: minus A has another x and T.
  memory.fill(number(room, 0), 0, step);
  subtractModulo(a, number(room, 0), a, room, limbs);
  subtractModulo(a + 3 * step, number(room, 0), a + 3 * step, room, limbs);
  multiplyPoint(room, right, a, k);
  basePoint(room, a);
  multiplyPoint(room, left, a, signature + size);
  addPoints(room, left, left, right);
  encodePoint(room, left, encoded);
  return isEqual(encoded, signature, limbs);
}

/** Exchanges a and b where `flag` is 1. */
function exchange(flag: u32, a: usize, b: usize, spare: usize): void {
  choose(spare, flag, b, a, limbs);
  choose(b, flag, a, b, limbs);
  memory.copy(a, spare, step);
}

/** X25519: the function of RFC 7748, §5. All zero for a point of small order. */
export function x25519(room: usize, scalar: usize, u: usize, target: usize): void {
  const k = room + atTable;
  memory.copy(k, scalar, size);
  store<u8>(k, load<u8>(k) & 248);
  store<u8>(k, (load<u8>(k, 31) & 127) | 64, 31);
  const x1 = number(room, 0), x2 = number(room, 1), z2 = number(room, 2), x3 = number(room, 3), z3 = number(room, 4);
  const a = number(room, 5), b = number(room, 6), c = number(room, 7), d = number(room, 8), spare = number(room, 9), factor = number(room, 10);
  memory.copy(x1, u, size);
  store<u8>(x1, load<u8>(x1, 31) & 127, 31);
  enter(x1, x1, room, limbs);
  memory.copy(x2, oneOf(room, limbs), step);
  memory.fill(z2, 0, step);
  memory.copy(x3, x1, step);
  memory.copy(z3, oneOf(room, limbs), step);
  memory.fill(factor, 0, step);
  store<u32>(factor, 121_665);
  enter(factor, factor, room, limbs);
  let swapped: u32 = 0;
  for (let t: i32 = 254; t >= 0; t--) {
    const bit = (<u32>load<u8>(k + (<u32>t >> 3)) >> (<u32>t & 7)) & 1;
    exchange(swapped ^ bit, x2, x3, spare);
    exchange(swapped ^ bit, z2, z3, spare);
    swapped = bit;
    addModulo(a, x2, z2, room, limbs);
    subtractModulo(b, x2, z2, room, limbs);
    addModulo(c, x3, z3, room, limbs);
    subtractModulo(d, x3, z3, room, limbs);
    multiply(d, d, a, room, limbs);
    multiply(c, c, b, room, limbs);
    addModulo(x3, d, c, room, limbs);
    multiply(x3, x3, x3, room, limbs);
    subtractModulo(z3, d, c, room, limbs);
    multiply(z3, z3, z3, room, limbs);
    multiply(z3, z3, x1, room, limbs);
    multiply(a, a, a, room, limbs);
    multiply(b, b, b, room, limbs);
    multiply(x2, a, b, room, limbs);
    subtractModulo(c, a, b, room, limbs);
    multiply(z2, factor, c, room, limbs);
    addModulo(z2, z2, a, room, limbs);
    multiply(z2, z2, c, room, limbs);
  }
  exchange(swapped, x2, x3, spare);
  exchange(swapped, z2, z3, spare);
  powerOfPrime(room, a, z2, 2, false);
  multiply(a, a, x2, room, limbs);
  leave(a, a, spare, room, limbs);
  memory.copy(target, a, size);
}
