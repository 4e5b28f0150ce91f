/**
 * Elliptic curves y² = x³ - 3x + b over a prime, of prime order: P-256, P-384, P-521 (NIST SP 800-186). Points are projective and in
 * Montgomery's form; one addition formula without exceptions serves for doubling too (Renes, Costello, Batina, "Complete addition formulas
 * for prime order elliptic curves", 2016, algorithm 4). Multiples of a point take the same steps whatever the number is.
 */
import {
  addModulo, choose, enter, enterLong, isEqual, isLess, isZero, leave, modulusBytes, multiply, oneOf, power, powerBytes, readNumber, subtractModulo, useModulus,
  writeNumber,
} from "./bignum";

/**
 * A curve in use: the field's modulus, the order's, b, the base point, then room: a table of 16 points, two points, eight numbers, and what
 * `power` needs.
 */
function atOrder(limbs: u32): u32 { return modulusBytes(limbs); }
function atB(limbs: u32): u32 { return 2 * modulusBytes(limbs); }
function atBase(limbs: u32): u32 { return atB(limbs) + 4 * limbs; }
function atTable(limbs: u32): u32 { return atBase(limbs) + 12 * limbs; }
function atPoints(limbs: u32): u32 { return atTable(limbs) + 16 * 12 * limbs; }
function atNumbers(limbs: u32): u32 { return atPoints(limbs) + 3 * 12 * limbs; }
function atPower(limbs: u32): u32 { return atNumbers(limbs) + 12 * 4 * limbs; }

/** Bytes of a curve in use, of numbers of `size` bytes. */
export function curveBytes(size: u32): u32 {
  const limbs = limbsFor(size);
  return atPower(limbs) + powerBytes(limbs);
}

export function limbsFor(size: u32): u32 {
  return (size + 3) >> 2;
}

// @ts-ignore: decorator
@inline
function number(curve: usize, limbs: u32, index: u32): usize {
  return curve + atNumbers(limbs) + 4 * limbs * index;
}

/** `domain`: p, order, b, x and y of the base point, each in `size` big-endian bytes. */
export function useCurve(curve: usize, domain: usize, size: u32): void {
  const limbs = limbsFor(size);
  useModulus(curve, domain, size, limbs);
  useModulus(curve + atOrder(limbs), domain + size, size, limbs);
  readNumber(domain + 2 * size, size, curve + atB(limbs), limbs);
  enter(curve + atB(limbs), curve + atB(limbs), curve, limbs);
  enterPoint(curve, curve + atBase(limbs), domain + 3 * size, size);
}

/** Reads x and y; both must be below p. */
function enterPoint(curve: usize, point: usize, bytes: usize, size: u32): void {
  const limbs = limbsFor(size);
  const step = 4 * limbs;
  readNumber(bytes, size, point, limbs);
  readNumber(bytes + size, size, point + step, limbs);
  enter(point, point, curve, limbs);
  enter(point + step, point + step, curve, limbs);
  memory.copy(point + 2 * step, oneOf(curve, limbs), step);
}

/** x³ - 3x + b, of x in Montgomery's form. */
function rightSide(curve: usize, target: usize, x: usize, limbs: u32): void {
  const spare = number(curve, limbs, 6);
  multiply(spare, x, x, curve, limbs);
  multiply(target, spare, x, curve, limbs);
  for (let i = 0; i < 3; i++) subtractModulo(target, target, x, curve, limbs);
  addModulo(target, target, curve + atB(limbs), curve, limbs);
}

/** 1 where x and y, in big-endian bytes, are a point of the curve. */
export function isPoint(curve: usize, bytes: usize, size: u32): u32 {
  const limbs = limbsFor(size);
  const x = number(curve, limbs, 0), y = number(curve, limbs, 1), right = number(curve, limbs, 2);
  readNumber(bytes, size, x, limbs);
  readNumber(bytes + size, size, y, limbs);
  if ((isLess(x, curve, limbs) & isLess(y, curve, limbs)) === 0) return 0;
  enter(x, x, curve, limbs);
  enter(y, y, curve, limbs);
  rightSide(curve, right, x, limbs);
  multiply(y, y, y, curve, limbs);
  return isEqual(y, right, limbs);
}

/** r = p + q: also of equal ones, and of the point at infinity (0 : 1 : 0). `r` may be one of them. */
function addPoints(curve: usize, r: usize, p: usize, q: usize, limbs: u32): void {
  const step = 4 * limbs;
  const x1 = p, y1 = p + step, z1 = p + 2 * step, x2 = q, y2 = q + step, z2 = q + 2 * step, b = curve + atB(limbs);
  const t0 = number(curve, limbs, 4), t1 = number(curve, limbs, 5), t2 = number(curve, limbs, 6), t3 = number(curve, limbs, 7), t4 = number(curve, limbs, 8);
  const x3 = number(curve, limbs, 9), y3 = number(curve, limbs, 10), z3 = number(curve, limbs, 11);
  multiply(t0, x1, x2, curve, limbs);
  multiply(t1, y1, y2, curve, limbs);
  multiply(t2, z1, z2, curve, limbs);
  addModulo(t3, x1, y1, curve, limbs);
  addModulo(t4, x2, y2, curve, limbs);
  multiply(t3, t3, t4, curve, limbs);
  addModulo(t4, t0, t1, curve, limbs);
  subtractModulo(t3, t3, t4, curve, limbs);
  addModulo(t4, y1, z1, curve, limbs);
  addModulo(x3, y2, z2, curve, limbs);
  multiply(t4, t4, x3, curve, limbs);
  addModulo(x3, t1, t2, curve, limbs);
  subtractModulo(t4, t4, x3, curve, limbs);
  addModulo(x3, x1, z1, curve, limbs);
  addModulo(y3, x2, z2, curve, limbs);
  multiply(x3, x3, y3, curve, limbs);
  addModulo(y3, t0, t2, curve, limbs);
  subtractModulo(y3, x3, y3, curve, limbs);
  multiply(z3, b, t2, curve, limbs);
  subtractModulo(x3, y3, z3, curve, limbs);
  addModulo(z3, x3, x3, curve, limbs);
  addModulo(x3, x3, z3, curve, limbs);
  subtractModulo(z3, t1, x3, curve, limbs);
  addModulo(x3, t1, x3, curve, limbs);
  multiply(y3, b, y3, curve, limbs);
  addModulo(t1, t2, t2, curve, limbs);
  addModulo(t2, t1, t2, curve, limbs);
  subtractModulo(y3, y3, t2, curve, limbs);
  subtractModulo(y3, y3, t0, curve, limbs);
  addModulo(t1, y3, y3, curve, limbs);
  addModulo(y3, t1, y3, curve, limbs);
  addModulo(t1, t0, t0, curve, limbs);
  addModulo(t0, t1, t0, curve, limbs);
  subtractModulo(t0, t0, t2, curve, limbs);
  multiply(t1, t4, y3, curve, limbs);
  multiply(t2, t0, y3, curve, limbs);
  multiply(y3, x3, z3, curve, limbs);
  addModulo(y3, y3, t2, curve, limbs);
  multiply(x3, t3, x3, curve, limbs);
  subtractModulo(x3, x3, t1, curve, limbs);
  multiply(z3, t4, z3, curve, limbs);
  multiply(t1, t3, t0, curve, limbs);
  addModulo(z3, z3, t1, curve, limbs);
  memory.copy(r, x3, step);
  memory.copy(r + step, y3, step);
  memory.copy(r + 2 * step, z3, step);
}

function setInfinity(curve: usize, point: usize, limbs: u32): void {
  memory.fill(point, 0, 12 * limbs);
  memory.copy(point + 4 * limbs, oneOf(curve, limbs), 4 * limbs);
}

/** r = k p, of k in `size` big-endian bytes. */
function multiplyPoint(curve: usize, r: usize, p: usize, k: usize, size: u32, limbs: u32): void {
  const pointBytes = 12 * limbs;
  const table = curve + atTable(limbs);
  const chosen = curve + atPoints(limbs);
  setInfinity(curve, table, limbs);
  for (let i: u32 = 1; i < 16; i++) addPoints(curve, table + i * pointBytes, table + (i - 1) * pointBytes, p, limbs);
  setInfinity(curve, r, limbs);
  for (let i: u32 = 0; i < 2 * size; i++) {
    for (let double = 0; double < 4; double++) addPoints(curve, r, r, r, limbs);
    const byte = <u32>load<u8>(k + (i >> 1));
    const digit = (i & 1) === 0 ? byte >> 4 : byte & 15;
    memory.copy(chosen, table, pointBytes);
    for (let entry: u32 = 1; entry < 16; entry++) {
      const isIt = <u32>(((<u64>(entry ^ digit)) - 1) >> 63);
      choose(chosen, isIt, table + entry * pointBytes, chosen, 3 * limbs);
    }
    addPoints(curve, r, r, chosen, limbs);
  }
}

/** r = a⁻¹ modulo a prime, in Montgomery's form: a to the power of the prime less two (Fermat). */
function invert(curve: usize, r: usize, a: usize, modulus: usize, size: u32, limbs: u32): void {
  const exponent = number(curve, limbs, 6);
  const bytes = number(curve, limbs, 7);
  const two = number(curve, limbs, 8);
  memory.fill(two, 0, 4 * limbs);
  store<u32>(two, 2);
  subtractModulo(exponent, modulus, two, modulus, limbs);
  writeNumber(exponent, limbs, bytes, size);
  power(r, a, bytes, size, curve + atPower(limbs), modulus, limbs);
}

/** Writes x, and y where `target` has room for both, of a point; gives 0 for the one at infinity. */
function leavePoint(curve: usize, point: usize, target: usize, size: u32, both: bool): u32 {
  const limbs = limbsFor(size);
  const step = 4 * limbs;
  if (isZero(point + 2 * step, limbs) !== 0) return 0;
  const inverse = number(curve, limbs, 0), value = number(curve, limbs, 1), spare = number(curve, limbs, 2);
  invert(curve, inverse, point + 2 * step, curve, size, limbs);
  const wanted: u32 = both ? 2 : 1;
  for (let i: u32 = 0; i < wanted; i++) {
    multiply(value, point + i * step, inverse, curve, limbs);
    leave(value, value, spare, curve, limbs);
    writeNumber(value, limbs, target + i * size, size);
  }
  return 1;
}

/** Multiplies the point in `bytes`, or the base point where that is 0, with k; x and y come into `target`. Gives 0 for the point at infinity. */
export function multiple(curve: usize, k: usize, bytes: usize, target: usize, size: u32): u32 {
  const limbs = limbsFor(size);
  const point = curve + atPoints(limbs) + 12 * limbs;
  const result = point + 12 * limbs;
  if (bytes === 0) memory.copy(point, curve + atBase(limbs), 12 * limbs);
  else enterPoint(curve, point, bytes, size);
  multiplyPoint(curve, result, point, k, size, limbs);
  return leavePoint(curve, result, target, size, true);
}

/** 1 where a number in big-endian bytes is from 1 up to the order less one. */
export function isScalar(curve: usize, bytes: usize, size: u32): u32 {
  const limbs = limbsFor(size);
  const value = number(curve, limbs, 0);
  readNumber(bytes, size, value, limbs);
  return (isZero(value, limbs) ^ 1) & isLess(value, curve + atOrder(limbs), limbs);
}

/**
 * ECDSA (FIPS 186-5, §6.4) with the secret number k: r and s, `size` bytes each. `hash`: `size` bytes, already cut to the order's bits.
 * Gives 0 where another k is needed.
 */
export function signEcdsa(curve: usize, d: usize, k: usize, hash: usize, target: usize, size: u32): u32 {
  const limbs = limbsFor(size);
  const order = curve + atOrder(limbs);
  const point = curve + atPoints(limbs) + 24 * limbs;
  multiplyPoint(curve, point, curve + atBase(limbs), k, size, limbs);
  if (leavePoint(curve, point, target, size, false) === 0) return 0;
  const r = number(curve, limbs, 0), s = number(curve, limbs, 1), value = number(curve, limbs, 2), spare = number(curve, limbs, 3);
  const room = number(curve, limbs, 9);
  enterLong(r, target, size, room, order, limbs);
  enterLong(value, d, size, room, order, limbs);
  multiply(s, r, value, order, limbs);
  enterLong(value, hash, size, room, order, limbs);
  addModulo(s, s, value, order, limbs);
  enterLong(value, k, size, room, order, limbs);
  invert(curve, spare, value, order, size, limbs);
  multiply(s, s, spare, order, limbs);
  const bad = isZero(r, limbs) | isZero(s, limbs);
  leave(r, r, spare, order, limbs);
  leave(s, s, spare, order, limbs);
  writeNumber(r, limbs, target, size);
  writeNumber(s, limbs, target + size, size);
  return bad ^ 1;
}

/** 1 where r and s, `size` bytes each, sign the hash for that point. */
export function verifyEcdsa(curve: usize, bytes: usize, signature: usize, hash: usize, size: u32): u32 {
  if ((isScalar(curve, signature, size) & isScalar(curve, signature + size, size)) === 0) return 0;
  const limbs = limbsFor(size);
  const order = curve + atOrder(limbs);
  const r = number(curve, limbs, 0), s = number(curve, limbs, 1), value = number(curve, limbs, 2), spare = number(curve, limbs, 3);
  const room = number(curve, limbs, 9);
  enterLong(value, signature + size, size, room, order, limbs);
  invert(curve, s, value, order, size, limbs);
  // u₁ = hash / s and u₂ = r / s, as bytes behind each other.
  const factors = curve + atPower(limbs);
  enterLong(value, hash, size, room, order, limbs);
  multiply(value, value, s, order, limbs);
  leave(value, value, spare, order, limbs);
  writeNumber(value, limbs, room, size);
  enterLong(r, signature, size, number(curve, limbs, 4), order, limbs);
  multiply(value, r, s, order, limbs);
  leave(value, value, spare, order, limbs);
  writeNumber(value, limbs, factors + size, size);
  memory.copy(factors, room, size);
  const one = curve + atPoints(limbs) + 12 * limbs;
  const two = one + 12 * limbs;
  multiplyPoint(curve, two, curve + atBase(limbs), factors, size, limbs);
  enterPoint(curve, one, bytes, size);
  const sum = curve + atPoints(limbs) - 12 * limbs; // the last of the table, which is made anew: a place for the first product
  memory.copy(factors + 2 * size, two, 12 * limbs);
  multiplyPoint(curve, two, one, factors + size, size, limbs);
  memory.copy(sum, factors + 2 * size, 12 * limbs);
  addPoints(curve, two, two, sum, limbs);
  if (leavePoint(curve, two, factors, size, false) === 0) return 0;
  enterLong(value, factors, size, room, order, limbs);
  enterLong(r, signature, size, room, order, limbs);
  return isEqual(value, r, limbs);
}

/** The point of a compressed x, whose y is odd or not; gives 0 where x has no point. For primes that are 3 modulo 4. */
export function decompress(curve: usize, bytes: usize, isOdd: u32, target: usize, size: u32): u32 {
  const limbs = limbsFor(size);
  const x = number(curve, limbs, 0), y = number(curve, limbs, 1), right = number(curve, limbs, 2), spare = number(curve, limbs, 3);
  const exponent = number(curve, limbs, 4), exponentBytes = number(curve, limbs, 5);
  readNumber(bytes, size, x, limbs);
  if (isLess(x, curve, limbs) === 0) return 0;
  enter(x, x, curve, limbs);
  rightSide(curve, right, x, limbs);
  // The root is the power of (p + 1) / 4: p with its two lowest bits gone, and one more.
  let carry: u64 = 1;
  for (let i: u32 = 0; i < limbs; i++) {
    const next: u64 = i + 1 < limbs ? <u64>load<u32>(curve + 4 * (i + 1)) : 0;
    const shifted = (<u64>load<u32>(curve + 4 * i) >> 2) | ((next & 3) << 30);
    store<u32>(exponent + 4 * i, <u32>(shifted + carry));
    carry = (shifted + carry) >> 32;
  }
  writeNumber(exponent, limbs, exponentBytes, size);
  power(y, right, exponentBytes, size, curve + atPower(limbs), curve, limbs);
  multiply(spare, y, y, curve, limbs);
  if (isEqual(spare, right, limbs) === 0) return 0;
  leave(y, y, spare, curve, limbs);
  if ((load<u32>(y) & 1) !== isOdd) {
    if (isZero(y, limbs) !== 0) return 0;
    memory.fill(spare, 0, 4 * limbs);
    subtractModulo(y, spare, y, curve, limbs);
  }
  memory.copy(target, bytes, size);
  writeNumber(y, limbs, target + size, size);
  return 1;
}
