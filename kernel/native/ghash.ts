/**
 * GHASH (NIST SP 800-38D, §6.4): a polynomial over GF(2¹²⁸), without a table. Products of polynomials are made of products of integers whose
 * bits lie four apart, so that no carry reaches the next one; the upper half comes from the product of the operands turned round.
 */

/** The lower 64 bits of the product of two polynomials. */
function product(x: u64, y: u64): u64 {
  const x0 = x & 0x1111111111111111, x1 = x & 0x2222222222222222, x2 = x & 0x4444444444444444, x3 = x & 0x8888888888888888;
  const y0 = y & 0x1111111111111111, y1 = y & 0x2222222222222222, y2 = y & 0x4444444444444444, y3 = y & 0x8888888888888888;
  const z0 = (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1);
  const z1 = (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2);
  const z2 = (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3);
  const z3 = (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0);
  return (z0 & 0x1111111111111111) | (z1 & 0x2222222222222222) | (z2 & 0x4444444444444444) | (z3 & 0x8888888888888888);
}

function reversed(given: u64): u64 {
  let x = given;
  x = ((x & 0x5555555555555555) << 1) | ((x >> 1) & 0x5555555555555555);
  x = ((x & 0x3333333333333333) << 2) | ((x >> 2) & 0x3333333333333333);
  x = ((x & 0x0f0f0f0f0f0f0f0f) << 4) | ((x >> 4) & 0x0f0f0f0f0f0f0f0f);
  return bswap<u64>(x);
}

/** Takes in `length` bytes, with zeros up to a whole block. `hash` and `key`: 16 bytes. */
export function ghash(hash: usize, key: usize, bytes: usize, length: u32): void {
  const h1 = bswap<u64>(load<u64>(key)), h0 = bswap<u64>(load<u64>(key, 8));
  const h1r = reversed(h1), h0r = reversed(h0);
  let y1 = bswap<u64>(load<u64>(hash)), y0 = bswap<u64>(load<u64>(hash, 8));
  for (let at: u32 = 0; at < length; at += 16) {
    let upper: u64 = 0, lower: u64 = 0;
    if (length - at >= 16) {
      upper = load<u64>(bytes + at);
      lower = load<u64>(bytes + at, 8);
    } else {
      for (let i: u32 = 0; i < length - at; i++) {
        const byte = <u64>load<u8>(bytes + at + i);
        if (i < 8) upper |= byte << (8 * i);
        else lower |= byte << (8 * (i - 8));
      }
    }
    y1 ^= bswap<u64>(upper);
    y0 ^= bswap<u64>(lower);
    const y1r = reversed(y1), y0r = reversed(y0);
    // Karatsuba: three products for each half.
    const low = product(y0, h0), high = product(y1, h1), middle = product(y0 ^ y1, h0 ^ h1) ^ low ^ high;
    const lowR = product(y0r, h0r), highR = product(y1r, h1r), middleR = product(y0r ^ y1r, h0r ^ h1r) ^ lowR ^ highR;
    let v0 = low, v1 = (reversed(lowR) >> 1) ^ middle, v2 = high ^ (reversed(middleR) >> 1), v3 = reversed(highR) >> 1;
    // Bits are numbered from the left there: a shift by one, then the polynomial x¹²⁸ + x⁷ + x² + x + 1.
    v3 = (v3 << 1) | (v2 >> 63);
    v2 = (v2 << 1) | (v1 >> 63);
    v1 = (v1 << 1) | (v0 >> 63);
    v0 <<= 1;
    v2 ^= v0 ^ (v0 >> 1) ^ (v0 >> 2) ^ (v0 >> 7);
    v1 ^= (v0 << 63) ^ (v0 << 62) ^ (v0 << 57);
    v3 ^= v1 ^ (v1 >> 1) ^ (v1 >> 2) ^ (v1 >> 7);
    v2 ^= (v1 << 63) ^ (v1 << 62) ^ (v1 << 57);
    y0 = v2;
    y1 = v3;
  }
  store<u64>(hash, bswap<u64>(y1));
  store<u64>(hash, bswap<u64>(y0), 8);
}
