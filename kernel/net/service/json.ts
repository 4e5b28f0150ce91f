/** JSON, read where it lies and never as a tree: settings, headers of effects, fields of log lines. Total on hostile bytes. */
import { Bytes, put, putByte, sequenceAt } from "../bytes";
import { jsonDepth } from "./limits";

let at: usize = 0;
let end: usize = 0;

export function openJson(from: usize, length: u32): void {
  at = from;
  end = from + length;
}

/** The next byte that is no white space, not taken; 0 at the end. */
export function peek(): u32 {
  while (at < end) {
    const byte = <u32>load<u8>(at);
    if (byte !== 32 && byte !== 9 && byte !== 10 && byte !== 13) return byte;
    at++;
  }
  return 0;
}

/** Takes one character of punctuation; false, and nothing is taken, for another. */
export function accept(byte: u32): bool {
  if (peek() !== byte || at >= end) return false;
  at++;
  return true;
}

/** Address of the next byte. */
export function place(): usize { return at; }

export function atEnd(): bool {
  return peek() === 0 && at >= end;
}

function hex(from: usize): i32 {
  let value: i32 = 0;
  for (let index: usize = 0; index < 4; index++) {
    if (from + index >= end) return -1;
    const byte = <u32>load<u8>(from + index);
    const digit = byte - 48 < 10 ? byte - 48 : (byte | 32) - 97 < 6 ? (byte | 32) - 87 : 16;
    if (digit > 15) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

/** Reads a text and puts it, decoded, as UTF-8; half a surrogate pair is U+FFFD. False if it is malformed. */
export function readString(b: Bytes): bool {
  if (!accept(34)) return false;
  while (at < end) {
    let plain = at;
    while (plain < end && load<u8>(plain) >= 32 && load<u8>(plain) !== 34 && load<u8>(plain) !== 92) plain++;
    if (plain > at) put(b, at, <u32>(plain - at));
    at = plain;
    if (at >= end) return false;
    const byte = load<u8>(at++);
    if (byte === 34) return true;
    if (byte < 32 || !readEscape(b)) return false;
  }
  return false;
}

function readEscape(b: Bytes): bool {
  if (at >= end) return false;
  const byte = <u32>load<u8>(at++);
  switch (byte) {
    case 98: putByte(b, 8); return true;
    case 102: putByte(b, 12); return true;
    case 110: putByte(b, 10); return true;
    case 114: putByte(b, 13); return true;
    case 116: putByte(b, 9); return true;
    case 34: case 47: case 92: putByte(b, byte); return true;
    case 117: break;
    default: return false;
  }
  let code = hex(at);
  if (code < 0) return false;
  at += 4;
  if (code >= 0xd800 && code < 0xdc00 && at + 6 <= end && load<u16>(at) === 0x755c) {
    const low = hex(at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
  }
  putCharacter(b, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
  return true;
}

export function putCharacter(b: Bytes, code: u32): void {
  if (code < 0x80) return putByte(b, code);
  if (code < 0x800) putByte(b, 0xc0 | (code >> 6));
  else {
    if (code < 0x10000) putByte(b, 0xe0 | (code >> 12));
    else {
      putByte(b, 0xf0 | (code >> 18));
      putByte(b, 0x80 | ((code >> 12) & 63));
    }
    putByte(b, 0x80 | ((code >> 6) & 63));
  }
  putByte(b, 0x80 | (code & 63));
}

/** Skips a text's bytes, from behind its first quote to behind its last. */
function skipString(): bool {
  while (at < end) {
    const byte = load<u8>(at++);
    if (byte === 34) return true;
    if (byte < 32) return false;
    if (byte !== 92) continue;
    if (at >= end) return false;
    const escape = <u32>load<u8>(at++);
    if (escape === 117) {
      if (hex(at) < 0) return false;
      at += 4;
    } else if (escape !== 34 && escape !== 47 && escape !== 92 && escape !== 98 && escape !== 102 && escape !== 110 && escape !== 114 && escape !== 116) return false;
  }
  return false;
}

function digits(): bool {
  const from = at;
  while (at < end && <u32>load<u8>(at) - 48 < 10) at++;
  return at > from;
}

function skipNumber(): bool {
  if (at < end && load<u8>(at) === 45) at++;
  if (at < end && load<u8>(at) === 48) at++;
  else if (!digits()) return false;
  if (at < end && load<u8>(at) === 46) {
    at++;
    if (!digits()) return false;
  }
  if (at < end && (load<u8>(at) | 32) === 101) {
    at++;
    if (at < end && (load<u8>(at) === 43 || load<u8>(at) === 45)) at++;
    if (!digits()) return false;
  }
  return true;
}

function skipWord(first: u32): bool {
  const length: usize = first === 102 ? 5 : 4;
  if (at + length > end) return false;
  const word = load<u32>(at);
  const isWord = first === 116 ? word === 0x65757274 : first === 110 ? word === 0x6c6c756e : word === 0x736c6166 && load<u8>(at, 4) === 101;
  at += length;
  return isWord;
}

/** Skips one value. False if it is malformed, or nested too deeply. */
export function skipValue(): bool {
  return walk(null);
}

/**
 * Puts the one value that the bytes are, without white space between its parts. False if they are not that, are nested too deeply, or have
 * malformed UTF-8: what was put then is for the caller to take back.
 */
export function putCompact(b: Bytes, from: usize, length: u32): bool {
  openJson(from, length);
  for (let place = from; place < end; ) {
    const size: u32 = load<u8>(place) < 128 ? 1 : sequenceAt(place, end);
    if (size === 0 || (size === 2 && load<u16>(place) < 0xa0c2 && load<u8>(place) === 0xc2)) return false; // and C1 controls
    place += size;
  }
  return walk(b) && atEnd();
}

/** One value, put where `b` is given. Bits of `objects` say which of the open brackets are objects. */
function walk(b: Bytes | null): bool {
  let objects: u64 = 0;
  let depth: u32 = 0;
  let from = at;
  while (true) {
    const first = peek();
    from = at;
    if (first === 123 || first === 91) {
      if (depth === jsonDepth) return false;
      depth++;
      objects = (objects << 1) | (first === 123 ? 1 : 0);
      at++;
      if (b !== null) putByte(b, first);
      if (!accept(first + 2)) {
        if (first === 123 && !takeName(b)) return false;
        continue;
      }
      if (b !== null) putByte(b, first + 2);
      depth--;
      objects >>= 1;
    } else {
      if (!takeScalar(first)) return false;
      if (b !== null) put(b, from, <u32>(at - from));
    }
    // behind a value
    while (true) {
      if (depth === 0) return true;
      const isObject = (objects & 1) !== 0;
      if (accept(44)) {
        if (b !== null) putByte(b, 44);
        if (isObject && !takeName(b)) return false;
        break;
      }
      if (!accept(isObject ? 125 : 93)) return false;
      if (b !== null) putByte(b, isObject ? 125 : 93);
      depth--;
      objects >>= 1;
    }
  }
}

function takeScalar(first: u32): bool {
  if (first === 34) {
    at++;
    return skipString();
  }
  if (first === 45 || first - 48 < 10) return skipNumber();
  return (first === 116 || first === 102 || first === 110) && skipWord(first);
}

function takeName(b: Bytes | null): bool {
  if (peek() !== 34) return false;
  const from = at;
  at++;
  if (!skipString()) return false;
  if (b !== null) put(b, from, <u32>(at - from));
  if (!accept(58)) return false;
  if (b !== null) putByte(b, 58);
  return true;
}
