/** Byte strings that grow, in blocks; and what is written into them: text, numbers, JSON. */
import { allocate, blockBytes, release } from "./blocks";

/**
 * A byte string under construction. Without room for more it is `broken`: later bytes are lost, and its user gives up at the end.
 */
@unmanaged
export class Bytes {
  at: usize = 0;
  length: u32 = 0;
  room: u32 = 0;
  broken: bool = false;
}

/** Bytes of the structure itself. */
export const bytesSize: u32 = 16;

export function clear(b: Bytes): void {
  b.at = 0;
  b.length = 0;
  b.room = 0;
  b.broken = false;
}

/** Gives its block back. */
export function drop(b: Bytes): void {
  release(b.at);
  clear(b);
}

/** Makes room for `more` bytes behind those that are there; false when all is taken. */
export function reserve(b: Bytes, more: u32): bool {
  if (b.broken) return false;
  const wanted = <u64>b.length + more;
  if (wanted <= <u64>b.room) return true;
  if (wanted > 0x7fffffff) {
    b.broken = true;
    return false;
  }
  const at = allocate(<u32>wanted);
  if (at === 0) {
    b.broken = true;
    return false;
  }
  if (b.at !== 0) {
    memory.copy(at, b.at, b.length);
    release(b.at);
  }
  b.at = at;
  b.room = blockBytes(at);
  return true;
}

export function put(b: Bytes, at: usize, length: u32): void {
  if (!reserve(b, length)) return;
  memory.copy(b.at + b.length, at, length);
  b.length += length;
}

export function putByte(b: Bytes, byte: u32): void {
  const length = b.length;
  if ((b.broken || length >= b.room) && !reserve(b, 1)) return;
  store<u8>(b.at + length, byte);
  b.length = length + 1;
}

export function putU32(b: Bytes, value: u32): void {
  if (!reserve(b, 4)) return;
  store<u32>(b.at + b.length, value);
  b.length += 4;
}

export function putF64(b: Bytes, value: f64): void {
  if (!reserve(b, 8)) return;
  store<f64>(b.at + b.length, value);
  b.length += 8;
}

/** Puts a text of ASCII. */
export function putText(b: Bytes, text: string): void {
  const length = <u32>text.length;
  if (!reserve(b, length)) return;
  let from = changetype<usize>(text);
  let to = b.at + b.length;
  b.length += length;
  for (const end = to + length; to < end; to++) {
    store<u8>(to, <u8>load<u16>(from));
    from += 2;
  }
}

// @ts-ignore: decorator
@lazy const digits: usize = memory.data(24, 4);

/** Puts a whole number in decimal. */
export function putNumber(b: Bytes, value: u64): void {
  let at = digits + 24;
  do {
    at--;
    store<u8>(at, <u8>(48 + value % 10));
    value /= 10;
  } while (value > 0);
  put(b, at, <u32>(digits + 24 - at));
}

/** Puts a whole number with at least so many digits. */
export function putPadded(b: Bytes, value: u32, width: u32): void {
  let power: u32 = 1;
  for (let digit: u32 = 1; digit < width; digit++) power *= 10;
  for (; power > value && power > 1; power /= 10) putByte(b, 48);
  putNumber(b, value);
}

/** Puts a number ≥ 0 with up to nine decimals, as Prometheus reads it. */
export function putDecimal(b: Bytes, nanos: u64): void {
  putNumber(b, nanos / 1_000_000_000);
  let rest = <u32>(nanos % 1_000_000_000);
  if (rest === 0) return;
  putByte(b, 46);
  for (let power: u32 = 100_000_000; rest > 0; power /= 10) {
    putByte(b, 48 + rest / power);
    rest %= power;
  }
}

function hexDigit(value: u32): u32 {
  return value < 10 ? 48 + value : 87 + value;
}

function putEscape(b: Bytes, byte: u32): void {
  putByte(b, 92);
  switch (byte) {
    case 8: return putByte(b, 98);
    case 9: return putByte(b, 116);
    case 10: return putByte(b, 110);
    case 12: return putByte(b, 102);
    case 13: return putByte(b, 114);
    case 34:
    case 92: return putByte(b, byte);
    default:
      putText(b, "u00");
      putByte(b, hexDigit(byte >> 4));
      putByte(b, hexDigit(byte & 15));
  }
}

/** Puts bytes as a JSON text with its quotes: UTF-8, of which malformed sequences become U+FFFD. */
export function putJson(b: Bytes, at: usize, length: u32): void {
  putByte(b, 34);
  const end = at + length;
  while (at < end) {
    let plain = at;
    while (plain < end) {
      const byte = <u32>load<u8>(plain);
      if (byte < 32 || byte === 34 || byte === 92 || byte > 126) break;
      plain++;
    }
    if (plain > at) put(b, at, <u32>(plain - at));
    at = plain;
    if (at >= end) break;
    const byte = <u32>load<u8>(at);
    if (byte < 128) {
      putEscape(b, byte);
      at++;
      continue;
    }
    const size = sequenceAt(at, end);
    if (size === 0) {
      putReplacement(b);
      at++;
    } else {
      if (byte === 0xc2 && load<u8>(at, 1) < 0xa0) putEscape(b, load<u8>(at, 1)); // C1 controls move a console's cursor
      else put(b, at, size);
      at += size;
    }
  }
  putByte(b, 34);
}

function putReplacement(b: Bytes): void {
  putByte(b, 0xef);
  putByte(b, 0xbf);
  putByte(b, 0xbd);
}

/** Puts Latin-1 as a JSON text with its quotes: what HTTP's headers are read as. */
export function putLatinJson(b: Bytes, at: usize, length: u32): void {
  putByte(b, 34);
  for (const end = at + length; at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte < 32 || byte === 34 || byte === 92 || byte === 127) byte === 127 ? putByte(b, byte) : putEscape(b, byte);
    else putLatin(b, byte);
  }
  putByte(b, 34);
}

/** Puts one character of Latin-1 as UTF-8. */
export function putLatin(b: Bytes, byte: u32): void {
  if (byte < 128) return putByte(b, byte);
  putByte(b, 0xc0 | (byte >> 6));
  putByte(b, 0x80 | (byte & 63));
}

function isTail(at: usize): bool {
  return (load<u8>(at) & 0xc0) === 0x80;
}

/** Bytes of the well-formed UTF-8 sequence of two bytes or more at an address, or 0 (RFC 3629, 4). */
export function sequenceAt(at: usize, end: usize): u32 {
  const first = <u32>load<u8>(at);
  if (first < 0xc2 || first > 0xf4) return 0;
  const size: u32 = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + size > end) return 0;
  for (let index: u32 = 1; index < size; index++) if (!isTail(at + index)) return 0;
  const second = <u32>load<u8>(at, 1);
  if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return 0;
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return 0;
  return size;
}

// ---- comparisons

// @ts-ignore: decorator
@inline
export function lower(byte: u32): u32 {
  return byte - 65 < 26 ? byte | 32 : byte;
}

/** True if bytes are this ASCII text. */
export function isText(at: usize, length: u32, text: string): bool {
  if (length !== <u32>text.length) return false;
  const from = changetype<usize>(text);
  for (let index: u32 = 0; index < length; index++) if (<u32>load<u8>(at + index) !== <u32>load<u16>(from + (<usize>index << 1))) return false;
  return true;
}

/** True if bytes are this ASCII text, given in lower case, in any case. */
export function isTextIgnoringCase(at: usize, length: u32, text: string): bool {
  if (length !== <u32>text.length) return false;
  const from = changetype<usize>(text);
  for (let index: u32 = 0; index < length; index++) if (lower(load<u8>(at + index)) !== <u32>load<u16>(from + (<usize>index << 1))) return false;
  return true;
}

export function equal(a: usize, aLength: u32, b: usize, bLength: u32): bool {
  return aLength === bLength && memory.compare(a, b, aLength) === 0;
}

/** The same, whatever the case of ASCII. */
export function equalIgnoringCase(a: usize, aLength: u32, b: usize, bLength: u32): bool {
  if (aLength !== bLength) return false;
  for (let index: u32 = 0; index < aLength; index++) if (lower(load<u8>(a + index)) !== lower(load<u8>(b + index))) return false;
  return true;
}

/** True if bytes begin with this ASCII text. */
export function startsWith(at: usize, length: u32, text: string): bool {
  return length >= <u32>text.length && isText(at, <u32>text.length, text);
}
