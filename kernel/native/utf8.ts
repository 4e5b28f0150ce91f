/** Characters beyond ASCII in UTF-8 (RFC 3629, §3), as the word that holds their bytes, the first lowest. */

/** A character below 0x800: two bytes. */
// @ts-ignore: decorator
@inline
export function twoBytes(unit: u32): u16 {
  return <u16>(0x80c0 | (unit >> 6) | ((unit & 0x3f) << 8));
}

/** Any other character of 16 bits: three bytes, and a zero. */
// @ts-ignore: decorator
@inline
export function threeBytes(unit: u32): u32 {
  return 0x8080e0 | (unit >> 12) | (((unit >> 6) & 0x3f) << 8) | ((unit & 0x3f) << 16);
}

/** A pair of surrogates: four bytes. */
// @ts-ignore: decorator
@inline
export function fourBytes(high: u32, low: u32): u32 {
  const point = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
  return 0x808080f0 | (point >> 18) | (((point >> 12) & 0x3f) << 8) | (((point >> 6) & 0x3f) << 16) | ((point & 0x3f) << 24);
}

/** True for the second half of a pair. */
// @ts-ignore: decorator
@inline
export function isLow(unit: u32): bool {
  return (unit & 0xfc00) === 0xdc00;
}
