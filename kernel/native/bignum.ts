/**
 * Arithmetic modulo an odd number, for RSA and elliptic curves: numbers are little-endian limbs of 32 bits, products are Montgomery's
 * (Montgomery 1985; the loop is "CIOS" of Koç, Acar and Kaliski 1996). What runs, and which addresses it touches, depends on the numbers'
 * lengths only, but where a function says otherwise: no branch and no address is a secret's.
 *
 * A modulus in use:  m, n limbs │ R mod m │ R² mod m │ work: n + 2 limbs │ n limbs │ -m⁻¹ mod 2³² │ n        with R = 2^(32 n)
 */

const limbBytes: u32 = 4;

// @ts-ignore: decorator
@inline
function at(number: usize, index: u32): usize {
  return number + (<usize>index << 2);
}

/** Bytes of a modulus in use. */
export function modulusBytes(limbs: u32): u32 {
  return (5 * limbs + 4) * limbBytes;
}

// @ts-ignore: decorator
@inline
export function limbsOf(modulus: usize, limbs: u32): u32 {
  return load<u32>(at(modulus, 5 * limbs + 3));
}

/** All ones where `flag` is 1, zero where it is 0. */
// @ts-ignore: decorator
@inline
function maskOf(flag: u32): u32 {
  return 0 - flag;
}

/** Reads a big-endian number; what does not fit is left out. */
export function readNumber(bytes: usize, length: u32, target: usize, limbs: u32): void {
  memory.fill(target, 0, limbs * limbBytes);
  const most = min<u32>(length, limbs * limbBytes);
  for (let i: u32 = 0; i < most; i++) store<u8>(target + i, load<u8>(bytes + length - 1 - i));
}

/** Writes a number as big-endian bytes of that length. */
export function writeNumber(number: usize, limbs: u32, target: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) store<u8>(target + length - 1 - i, i < limbs * limbBytes ? load<u8>(number + i) : 0);
}

/** r = a + b; gives the carry. */
export function add(r: usize, a: usize, b: usize, limbs: u32): u32 {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < limbs; i++) {
    carry += <u64>load<u32>(at(a, i)) + <u64>load<u32>(at(b, i));
    store<u32>(at(r, i), <u32>carry);
    carry >>= 32;
  }
  return <u32>carry;
}

/** r = a - b; gives the borrow. */
export function subtract(r: usize, a: usize, b: usize, limbs: u32): u32 {
  let borrow: u64 = 0;
  for (let i: u32 = 0; i < limbs; i++) {
    const difference = <u64>load<u32>(at(a, i)) - <u64>load<u32>(at(b, i)) - borrow;
    store<u32>(at(r, i), <u32>difference);
    borrow = difference >> 63;
  }
  return <u32>borrow;
}

/** r = flag ? a : b. `flag` is 0 or 1. */
export function choose(r: usize, flag: u32, a: usize, b: usize, limbs: u32): void {
  const mask = maskOf(flag);
  for (let i: u32 = 0; i < limbs; i++) store<u32>(at(r, i), (load<u32>(at(a, i)) & mask) | (load<u32>(at(b, i)) & ~mask));
}

/** 1 for the number zero. */
export function isZero(a: usize, limbs: u32): u32 {
  let all: u32 = 0;
  for (let i: u32 = 0; i < limbs; i++) all |= load<u32>(at(a, i));
  return <u32>(((<u64>all) - 1) >> 63);
}

/** 1 where a < b. */
export function isLess(a: usize, b: usize, limbs: u32): u32 {
  let borrow: u64 = 0;
  for (let i: u32 = 0; i < limbs; i++) borrow = (<u64>load<u32>(at(a, i)) - <u64>load<u32>(at(b, i)) - borrow) >> 63;
  return <u32>borrow;
}

export function isEqual(a: usize, b: usize, limbs: u32): u32 {
  let all: u32 = 0;
  for (let i: u32 = 0; i < limbs; i++) all |= load<u32>(at(a, i)) ^ load<u32>(at(b, i));
  return <u32>(((<u64>all) - 1) >> 63);
}

/** Takes the modulus away where a number with that carry above it is not below it: the number is below twice the modulus. */
function reduceOnce(r: usize, carry: u32, modulus: usize, limbs: u32): void {
  const spare = at(modulus, 4 * limbs + 2);
  const borrow = subtract(spare, r, modulus, limbs);
  choose(r, carry | (borrow ^ 1), spare, r, limbs);
}

/** r = a + b mod m, of numbers below m. */
export function addModulo(r: usize, a: usize, b: usize, modulus: usize, limbs: u32): void {
  const carry = add(r, a, b, limbs);
  reduceOnce(r, carry, modulus, limbs);
}

/** r = a - b mod m, of numbers below m. */
export function subtractModulo(r: usize, a: usize, b: usize, modulus: usize, limbs: u32): void {
  const borrow = subtract(r, a, b, limbs);
  const mask = maskOf(borrow);
  let carry: u64 = 0;
  for (let i: u32 = 0; i < limbs; i++) {
    carry += <u64>load<u32>(at(r, i)) + <u64>(load<u32>(at(modulus, i)) & mask);
    store<u32>(at(r, i), <u32>carry);
    carry >>= 32;
  }
}

/** r = a b / R mod m, of a below R and b below m. `r` may be one of them. */
export function multiply(r: usize, a: usize, b: usize, modulus: usize, limbs: u32): void {
  const t = at(modulus, 3 * limbs);
  const inverse = load<u32>(at(modulus, 5 * limbs + 2));
  memory.fill(t, 0, (limbs + 2) * limbBytes);
  for (let i: u32 = 0; i < limbs; i++) {
    const digit = <u64>load<u32>(at(b, i));
    let carry: u64 = 0;
    for (let j: u32 = 0; j < limbs; j++) {
      const sum = <u64>load<u32>(at(t, j)) + <u64>load<u32>(at(a, j)) * digit + carry;
      store<u32>(at(t, j), <u32>sum);
      carry = sum >> 32;
    }
    const above = <u64>load<u32>(at(t, limbs)) + carry;
    store<u32>(at(t, limbs), <u32>above);
    store<u32>(at(t, limbs + 1), <u32>(above >> 32));
    const low = load<u32>(t); // a variable: within an expression of 64 bits a load is one too, and the product would not wrap
    const wrapped: u32 = low * inverse;
    const factor = <u64>wrapped;
    carry = (<u64>low + factor * <u64>load<u32>(modulus)) >> 32;
    for (let j: u32 = 1; j < limbs; j++) {
      const sum = <u64>load<u32>(at(t, j)) + factor * <u64>load<u32>(at(modulus, j)) + carry;
      store<u32>(at(t, j - 1), <u32>sum);
      carry = sum >> 32;
    }
    const last = <u64>load<u32>(at(t, limbs)) + carry;
    store<u32>(at(t, limbs - 1), <u32>last);
    store<u32>(at(t, limbs), load<u32>(at(t, limbs + 1)) + <u32>(last >> 32));
  }
  memory.copy(r, t, limbs * limbBytes);
  reduceOnce(r, load<u32>(at(t, limbs)), modulus, limbs);
}

/** Prepares a modulus from its big-endian bytes, in `modulusBytes(limbs)` bytes. It must be odd and above 1. */
export function useModulus(modulus: usize, bytes: usize, length: u32, limbs: u32): void {
  readNumber(bytes, length, modulus, limbs);
  const low = load<u32>(modulus);
  let inverse: u32 = low; // right modulo 8; each step doubles the bits that are right
  for (let i = 0; i < 4; i++) inverse *= 2 - low * inverse;
  store<u32>(at(modulus, 5 * limbs + 2), 0 - inverse);
  store<u32>(at(modulus, 5 * limbs + 3), limbs);
  const one = at(modulus, limbs);
  memory.fill(one, 0, limbs * limbBytes);
  store<u32>(one, 1);
  for (let i: u32 = 0; i < 32 * limbs; i++) addModulo(one, one, one, modulus, limbs); // R
  // R²: from R 2 by squaring, which doubles the exponent, and doubling, along the bits of 32 n.
  const square = at(modulus, 2 * limbs);
  memory.copy(square, one, limbs * limbBytes);
  const exponent = 32 * limbs;
  for (let bit = <i32>(31 - clz<u32>(exponent)); bit >= 0; bit--) {
    multiply(square, square, square, modulus, limbs);
    if (((exponent >> <u32>bit) & 1) !== 0) addModulo(square, square, square, modulus, limbs);
  }
}

/** R mod m: one, in Montgomery's form. */
export function oneOf(modulus: usize, limbs: u32): usize {
  return at(modulus, limbs);
}

/** r = a R mod m, of a below R. */
export function enter(r: usize, a: usize, modulus: usize, limbs: u32): void {
  multiply(r, a, at(modulus, 2 * limbs), modulus, limbs);
}

/** r = a / R mod m. `spare`: n limbs. */
export function leave(r: usize, a: usize, spare: usize, modulus: usize, limbs: u32): void {
  memory.fill(spare, 0, limbs * limbBytes);
  store<u32>(spare, 1);
  multiply(r, a, spare, modulus, limbs);
}

/** r = a R mod m, of a number of any length in big-endian bytes. `spare`: 2 n limbs. */
export function enterLong(r: usize, bytes: usize, length: u32, spare: usize, modulus: usize, limbs: u32): void {
  const chunk = limbs * limbBytes;
  const digit = spare;
  memory.fill(r, 0, chunk);
  let from: u32 = 0;
  let next = length % chunk === 0 ? chunk : length % chunk;
  while (from < length) {
    enter(r, r, modulus, limbs);
    readNumber(bytes + from, next, digit, limbs);
    enter(digit, digit, modulus, limbs);
    addModulo(r, r, digit, modulus, limbs);
    from += next;
    next = chunk;
  }
}

/** Bytes of spare room for `power`. */
export function powerBytes(limbs: u32): u32 {
  return 17 * limbs * limbBytes;
}

/** r = a^e, all in Montgomery's form, of an exponent in big-endian bytes that is kept secret: its length is not. */
export function power(r: usize, a: usize, exponent: usize, length: u32, spare: usize, modulus: usize, limbs: u32): void {
  const size = limbs * limbBytes;
  const chosen = spare + 16 * size;
  memory.copy(spare, oneOf(modulus, limbs), size);
  for (let i: u32 = 1; i < 16; i++) multiply(spare + i * size, spare + (i - 1) * size, a, modulus, limbs);
  memory.copy(r, oneOf(modulus, limbs), size);
  for (let i: u32 = 0; i < 2 * length; i++) {
    for (let square = 0; square < 4; square++) multiply(r, r, r, modulus, limbs);
    const byte = <u32>load<u8>(exponent + (i >> 1));
    const digit = (i & 1) === 0 ? byte >> 4 : byte & 15;
    // Every entry of the table is read, so that no address tells the digit.
    memory.fill(chosen, 0, size);
    for (let entry: u32 = 0; entry < 16; entry++) {
      const difference = entry ^ digit;
      const mask = maskOf(<u32>(((<u64>difference) - 1) >> 63));
      for (let limb: u32 = 0; limb < limbs; limb++)
        store<u32>(at(chosen, limb), load<u32>(at(chosen, limb)) | (load<u32>(at(spare + entry * size, limb)) & mask));
    }
    multiply(r, r, chosen, modulus, limbs);
  }
}

/** r = a b, of 2 n limbs. */
export function multiplyWhole(r: usize, a: usize, b: usize, limbs: u32): void {
  memory.fill(r, 0, 2 * limbs * limbBytes);
  for (let i: u32 = 0; i < limbs; i++) {
    const digit = <u64>load<u32>(at(b, i));
    let carry: u64 = 0;
    for (let j: u32 = 0; j < limbs; j++) {
      const sum = <u64>load<u32>(at(r, i + j)) + <u64>load<u32>(at(a, j)) * digit + carry;
      store<u32>(at(r, i + j), <u32>sum);
      carry = sum >> 32;
    }
    store<u32>(at(r, i + limbs), <u32>carry);
  }
}
