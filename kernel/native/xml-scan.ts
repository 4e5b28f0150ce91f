/**
 * XML's characters (XML 1.0, productions 2 to 5), in UTF-8. Behind the text eight `<` stand: they end every loop that looks for one, and
 * what looks at several bytes at a time may read them.
 */
import { character } from "../runtime/formats/xml-faults";
import { atBad, atEnd, atReturns, fault, get, set } from "./xml-state";

const ones: u64 = 0x0101010101010101;
const highs: u64 = 0x8080808080808080;

/** For each of eight bytes its high bit if the byte is 0; right up to the lowest one set. */
// @ts-ignore: decorator
@inline
function zeros(bytes: u64): u64 {
  return (bytes - ones) & ~bytes & highs;
}

/** The place of the first `<`, `&` or `]]>` from `at` on; without one, the end of the text. */
export function findMarkup(at: usize): usize {
  while (true) {
    const bytes = load<u64>(at);
    const found = zeros(bytes ^ 0x3c3c3c3c3c3c3c3c) | zeros(bytes ^ 0x2626262626262626) | zeros(bytes ^ 0x5d5d5d5d5d5d5d5d);
    if (found === 0) {
      at += 8;
      continue;
    }
    at += <usize>(ctz(found) >> 3);
    if (load<u8>(at) !== 0x5d || (load<u8>(at, 1) === 0x5d && load<u8>(at, 2) === 0x3e)) return at;
    at++;
  }
}

/** The first quote of this kind, `<`, `&` or control character at or behind `at`. */
// @ts-ignore: decorator
@inline
export function findInAttribute(at: usize, quotes: u64): usize {
  while (true) {
    const bytes = load<u64>(at);
    const found =
      zeros(bytes ^ 0x3c3c3c3c3c3c3c3c) | zeros(bytes ^ 0x2626262626262626) | zeros(bytes ^ quotes) | ((bytes - 0x2020202020202020) & ~bytes & highs);
    if (found !== 0) return at + <usize>(ctz(found) >> 3);
    at += 8;
  }
}

/** The first place from `at` on where the text has these two or three bytes (the first byte is the lowest of `bytes`); without one, 0. */
export function findSequence(at: usize, bytes: u32, length: usize): usize {
  const mask: u32 = length === 2 ? 0xffff : 0xffffff;
  for (const last = <usize>get(atEnd) - length; at <= last; at++) if ((load<u32>(at) & mask) === bytes) return at;
  return 0;
}

// @ts-ignore: decorator
@inline
export function isSpace(byte: u32): bool {
  return byte === 0x20 || byte === 0x0a || byte === 0x09 || byte === 0x0d;
}

// @ts-ignore: decorator
@inline
export function skipSpace(at: usize): usize {
  while (isSpace(load<u8>(at))) at++;
  return at;
}

// Characters of ASCII that a name may begin with, from 64 on, and those it may have: one bit each.
const startHigh: u64 = 0x07fffffe87fffffe;
const nameLow: u64 = 0x07ff600000000000;

// @ts-ignore: decorator
@inline
function isAsciiName(byte: u32): bool {
  return ((byte < 64 ? nameLow >> byte : startHigh >> (byte & 63)) & 1) !== 0;
}

/** The number of bytes of the character that begins with this byte. */
// @ts-ignore: decorator
@inline
export function sizeOf(first: u32): usize {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function pointAt(at: usize): u32 {
  const first = <u32>load<u8>(at);
  const second = <u32>load<u8>(at, 1) & 0x3f;
  if (first < 0xe0) return ((first & 0x1f) << 6) | second;
  const third = <u32>load<u8>(at, 2) & 0x3f;
  if (first < 0xf0) return ((first & 0x0f) << 12) | (second << 6) | third;
  return ((first & 0x07) << 18) | (second << 12) | (third << 6) | (<u32>load<u8>(at, 3) & 0x3f);
}

/** True if a name may begin with this character beyond ASCII. */
function isStart(point: u32): bool {
  if (point < 0x300) return point >= 0xc0 && point !== 0xd7 && point !== 0xf7;
  if (point < 0x2000) return point >= 0x370 && point !== 0x37e;
  if (point < 0x3001) return point - 0x200c < 2 || point - 0x2070 < 0x120 || point - 0x2c00 < 0x3f0;
  if (point < 0x10000) return point < 0xd800 || point - 0xf900 < 0x4d0 || point - 0xfdf0 < 0x20e;
  return point < 0xf0000;
}

/** True if the character at `at` may be in a name. */
export function isNameAt(at: usize): bool {
  const byte = <u32>load<u8>(at);
  if (byte < 0x80) return isAsciiName(byte);
  const point = pointAt(at);
  return point === 0xb7 || point - 0x300 < 0x70 || point === 0x203f || point === 0x2040 || isStart(point);
}

/** The end of the name at `at`; without a name, `at`. */
// @ts-ignore: decorator
@inline
export function nameEnd(at: usize): usize {
  const byte = <u32>load<u8>(at);
  if (byte < 0x80 ? byte < 64 ? byte !== 0x3a : ((startHigh >> (byte & 63)) & 1) === 0 : !isStart(pointAt(at))) return at;
  return runEnd(at);
}

/** The end of the run of name characters at `at`. */
export function runEnd(at: usize): usize {
  while (true) {
    const byte = <u32>load<u8>(at);
    if (byte < 0x80) {
      if (!isAsciiName(byte)) return at;
      at++;
    } else {
      if (!isNameAt(at)) return at;
      at += sizeOf(byte);
    }
  }
}

/** Looks from `at` on for the first character that XML does not allow, and notes it; and whether there is a carriage return. */
export function findBad(at: usize): void {
  const end: usize = get(atEnd);
  while (true) {
    const bytes = load<u64>(at);
    const found = (bytes | ((bytes - 0x2020202020202020) & ~bytes)) & highs;
    if (found === 0) {
      at += 8;
      if (at >= end) break;
      continue;
    }
    at += <usize>(ctz(found) >> 3);
    if (at >= end) break;
    const byte = <u32>load<u8>(at);
    if (byte >= 0x80) {
      if ((byte === 0xed && load<u8>(at, 1) >= 0xa0) || (byte === 0xef && load<u8>(at, 1) === 0xbf && load<u8>(at, 2) >= 0xbe)) break;
      at += sizeOf(byte);
    } else {
      if (byte === 0x0d) set(atReturns, 1);
      else if (byte !== 0x0a && byte !== 0x09) break;
      at++;
    }
    if (at >= end) break;
  }
  set(atBad, at > end ? end : at);
}

/** `to`, unless a character before it is not allowed: that is a fault then. */
// @ts-ignore: decorator
@inline
export function allowedUntil(to: usize): usize {
  const bad: usize = get(atBad);
  return bad < to ? fault(character, bad) : to;
}
