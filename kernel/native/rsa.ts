/** RSA's private operation by the Chinese remainder theorem (RFC 8017, §5.1.2), which is undone with the public key before anything is told. */
import {
  add, enter, enterLong, isEqual, leave, modulusBytes, multiply, multiplyWhole, power, powerBytes, readNumber, subtractModulo, useModulus, writeNumber,
} from "./bignum";

/** Limbs that a modulus of so many bytes takes, and those of its factors. */
function wholeLimbs(size: u32): u32 {
  return (size + 3) >> 2;
}

/** Bytes of room for numbers of `size` bytes and factors of `half` bytes. */
export function rsaBytes(size: u32, half: u32): u32 {
  const whole = max<u32>(wholeLimbs(size), 2 * wholeLimbs(half) + 1);
  return 3 * modulusBytes(whole) + powerBytes(whole) + 8 * 4 * whole;
}

/**
 * `key`: n and e in `size` bytes each, then p, q, d mod (p - 1), d mod (q - 1) and 1/q mod p in `half` bytes each. Gives 0 where the result does
 * not undo: the key is wrong, or the computer was. All moduli are odd; the input is below n.
 */
export function rsaPrivate(room: usize, key: usize, size: u32, half: u32, input: usize, target: usize): u32 {
  const limbs = wholeLimbs(half), whole = max<u32>(wholeLimbs(size), 2 * limbs + 1);
  const p = key + 2 * size, q = p + half, dp = q + half, dq = dp + half, qi = dq + half;
  const first = room, second = first + modulusBytes(whole), third = second + modulusBytes(whole);
  const spare = third + modulusBytes(whole);
  const step = 4 * whole;
  const m1 = spare + powerBytes(whole), m2 = m1 + step, h = m2 + step, value = h + step, long = value + step; // `long`: two numbers, and two more behind
  useModulus(first, p, half, limbs);
  useModulus(second, q, half, limbs);
  enterLong(value, input, size, long, first, limbs);
  power(m1, value, dp, half, spare, first, limbs);
  enterLong(value, input, size, long, second, limbs);
  power(value, value, dq, half, spare, second, limbs);
  leave(m2, value, long, second, limbs);
  // h = (m1 - m2) / q mod p, where m2 may be above p.
  writeNumber(m2, limbs, spare, half);
  enterLong(value, spare, half, long, first, limbs);
  subtractModulo(h, m1, value, first, limbs);
  enterLong(value, qi, half, long, first, limbs);
  multiply(h, h, value, first, limbs);
  leave(h, h, long, first, limbs);
  // m = m2 + h q
  readNumber(q, half, value, limbs);
  memory.fill(long, 0, 2 * step);
  multiplyWhole(long, h, value, limbs);
  memory.fill(m2 + 4 * limbs, 0, step - 4 * limbs);
  add(m1, long, m2, whole);
  useModulus(third, key, size, whole);
  writeNumber(m1, whole, target, size);
  enter(value, m1, third, whole);
  let skipped: u32 = 0; // the exponent is no secret, and short
  while (skipped < size - 1 && load<u8>(key + size + skipped) === 0) skipped++;
  power(value, value, key + size + skipped, size - skipped, spare, third, whole);
  readNumber(input, size, long, whole);
  enter(long, long, third, whole);
  return isEqual(value, long, whole);
}
