/**
 * JSON's bytes, before anything is made of them (json.ts): white space, texts, and whether two stretches are equal. `end` is the address
 * behind the text, where a zero stands: it ends every loop that looks at one byte at a time.
 */
export const quote: u32 = 0x22;
const backslash: u32 = 0x5c;

// @ts-ignore: decorator
@inline
export function isDigit(byte: u32): bool {
  return byte - 0x30 < 10;
}

/** The first byte at or after `at` that is not white space. The zero after the text is not white space. */
// @ts-ignore: decorator
@inline
export function skip(at: usize): usize {
  return load<u8>(at) > 0x20 ? at : skipFar(at);
}

function skipFar(at: usize): usize {
  while (true) {
    const byte = load<u8>(at);
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

// Contents of a text beside ASCII.
export const hasEscapes: u64 = 1 << 32;
const hasOthers: u64 = 1 << 33;

/** For each of eight bytes its high bit: is it a quote, a backslash, a control character or not ASCII? Right up to the lowest one set. */
// @ts-ignore: decorator
@inline
export function special(bytes: u64): u64 {
  const quotes = bytes ^ 0x2222222222222222;
  const backslashes = bytes ^ 0x5c5c5c5c5c5c5c5c;
  return (
    (((quotes - 0x0101010101010101) & ~quotes) |
      ((backslashes - 0x0101010101010101) & ~backslashes) |
      ((bytes - 0x2020202020202020) & ~bytes) |
      bytes) &
    0x8080808080808080
  );
}

/** The first special byte from `at` on, or one within the last seven of the text. */
// @ts-ignore: decorator
@inline
function plainEnd(at: usize, end: usize): usize {
  while (at + 8 <= end) {
    const hits = special(load<u64>(at));
    if (hits !== 0) return at + <usize>(ctz(hits) >> 3);
    at += 8;
  }
  return at;
}

/** Where the text that begins at `at`, behind its quote, has its closing quote; with what is in it. 0 when it is no JSON. */
export function scanText(at: usize, end: usize): u64 {
  let found: u64 = 0;
  do {
    at = plainEnd(at, end);
    const byte = <u32>load<u8>(at);
    if (byte === quote) return found | <u64>at;
    if (byte < 0x20) return 0;
    if (byte === backslash) {
      at = escapeEnd(at);
      found |= hasEscapes;
    } else if (byte >= 0x80) {
      at = sequenceEnd(at);
      found |= hasOthers;
    } else at++;
  } while (at !== 0);
  return 0;
}

/** The byte after an escape (RFC 8259 §7); 0 if the escape is invalid. */
function escapeEnd(at: usize): usize {
  switch (load<u8>(at, 1)) {
    case 0x22: case 0x2f: case 0x5c: case 0x62: case 0x66: case 0x6e: case 0x72: case 0x74: // " / \ b f n r t
      return at + 2;
    case 0x75: // u
      for (let i: usize = 2; i < 6; i++) {
        const byte = <u32>load<u8>(at + i);
        if (!isDigit(byte) && (byte | 0x20) - 0x61 > 5) return 0;
      }
      return at + 6;
    default:
      return 0;
  }
}

// @ts-ignore: decorator
@inline
function continues(at: usize): bool {
  return (load<u8>(at) & 0xc0) === 0x80;
}

/** The byte behind a UTF-8 sequence of two to four (RFC 3629 §4); 0 when it is ill-formed. */
function sequenceEnd(at: usize): usize {
  const first = <u32>load<u8>(at);
  const second = <u32>load<u8>(at, 1);
  if ((second & 0xc0) !== 0x80 || first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return at + 2;
  if (!continues(at + 2)) return 0;
  if (first < 0xf0) return (first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f) ? 0 : at + 3;
  return !continues(at + 3) || (first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f) ? 0 : at + 4;
}

/** True if the text at `at` continues with the `length` bytes at `key`, an earlier part of it. */
// @ts-ignore: decorator
@inline
export function same(at: usize, key: usize, length: usize, end: usize): bool {
  if (at + length + 8 > end) return sameNearEnd(at, key, length);
  let i: usize = 0;
  for (; i + 8 < length; i += 8) if (load<u64>(at + i) !== load<u64>(key + i)) return false;
  return ((load<u64>(at + i) ^ load<u64>(key + i)) << ((8 - (length - i)) << 3)) === 0;
}

/** Byte by byte: the zero behind the text is in no key. */
function sameNearEnd(at: usize, key: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) if (load<u8>(at + i) !== load<u8>(key + i)) return false;
  return true;
}
