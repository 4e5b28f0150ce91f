/** Text across the door: the engine's strings may hold lone surrogates and its decoder is lenient, so UTF-8 is checked here. */
import { Context, free, JS_NewStringLen, JS_NewStringUTF16, JS_ThrowOutOfMemory, JS_ThrowTypeError, JSValue, malloc } from "./engine";
import { scratch } from "./state";

/** The length of the leading run of ASCII bytes. */
export function asciiRun(bytes: usize, length: u32): u32 {
  let at: u32 = 0;
  while (at + 8 <= length && (load<u64>(bytes + at) & 0x8080808080808080) === 0) at += 8;
  while (at < length && load<u8>(bytes + at) < 0x80) at++;
  return at;
}

/** Replaces each encoded lone surrogate (ED A0..BF xx, which the engine writes) by U+FFFD, which is as long. */
export function replaceSurrogates(bytes: usize, length: u32): void {
  for (let at = asciiRun(bytes, length); at + 2 < length; at++) {
    if (load<u8>(bytes + at) === 0xed && load<u8>(bytes + at, 1) >= 0xa0) {
      store<u8>(bytes + at, 0xef);
      store<u8>(bytes + at, 0xbf, 1);
      store<u8>(bytes + at, 0xbd, 2);
    }
  }
}

/**
 * Decodes `length` bytes to UTF-16 units at `units` (room for `length` of them), as the WHATWG UTF-8 decoder does: each maximal
 * subpart of an ill-formed sequence becomes one U+FFFD. With `units` 0 nothing is written, and the first ill-formed sequence ends it.
 * Returns the number of units, or -1 less the offset of that sequence.
 */
export function decode(bytes: usize, length: u32, units: usize): i32 {
  let at: u32 = 0;
  let out = units;
  while (at < length) {
    if (units === 0) {
      at += asciiRun(bytes + at, length - at);
      if (at === length) break;
    }
    const start = at;
    const first = <u32>load<u8>(bytes + at++);
    if (first < 0x80) {
      store<u16>(out, <u16>first);
      out += 2;
      continue;
    }
    let needed: u32 = 0,
      point: u32 = 0,
      lower: u32 = 0x80,
      upper: u32 = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      needed = 1;
      point = first & 0x1f;
    } else if (first >= 0xe0 && first <= 0xef) {
      needed = 2;
      point = first & 0x0f;
      if (first === 0xe0) lower = 0xa0;
      if (first === 0xed) upper = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      needed = 3;
      point = first & 0x07;
      if (first === 0xf0) lower = 0x90;
      if (first === 0xf4) upper = 0x8f;
    }
    let good = needed > 0;
    while (good && needed > 0) {
      const next = at < length ? <u32>load<u8>(bytes + at) : 0;
      good = at < length && next >= lower && next <= upper;
      if (!good) break;
      point = (point << 6) | (next & 0x3f);
      lower = 0x80;
      upper = 0xbf;
      needed--;
      at++;
    }
    if (units === 0) {
      if (!good) return -1 - <i32>start;
      continue;
    }
    if (!good) point = 0xfffd;
    if (point > 0xffff) {
      store<u16>(out, <u16>(0xd7c0 + (point >> 10)));
      store<u16>(out, <u16>(0xdc00 | (point & 0x3ff)), 2);
      out += 4;
    } else {
      store<u16>(out, <u16>point);
      out += 2;
    }
  }
  return <i32>((out - units) >> 1);
}

// "malformed UTF-8 at byte %u"
// @ts-ignore: decorator
@lazy const malformed: usize = memory.data<u8>([109, 97, 108, 102, 111, 114, 109, 101, 100, 32, 85, 84, 70, 45, 56, 32, 97, 116, 32, 98, 121, 116, 101, 32, 37, 117, 0]);

/** The offset of the first ill-formed sequence; -1 when all is well-formed. */
export function malformedAt(bytes: usize, length: u32): i32 {
  const checked = decode(bytes, length, 0);
  return checked >= 0 ? -1 : -1 - checked;
}

/** Throws TypeError for the sequence at that offset. */
export function throwMalformed(context: Context, offset: i32): JSValue {
  store<u32>(scratch(), offset);
  return JS_ThrowTypeError(context, malformed, scratch());
}

/**
 * A string of UTF-8 bytes; an exception when there is no memory for it, or when it is `fatal` and they are ill-formed. What is well-formed
 * the engine decodes itself, in one allocation.
 */
export function newText(context: Context, bytes: usize, length: u32, fatal: bool): JSValue {
  const offset = malformedAt(bytes, length);
  if (offset < 0) return JS_NewStringLen(context, bytes, length);
  if (fatal) return throwMalformed(context, offset);
  const units = malloc((<usize>length) << 1);
  if (units === 0) return JS_ThrowOutOfMemory(context);
  const value = JS_NewStringUTF16(context, units, <usize>decode(bytes, length, units));
  free(units);
  return value;
}
