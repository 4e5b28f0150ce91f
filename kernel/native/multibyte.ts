/**
 * Charsets of several bytes a character (https://encoding.spec.whatwg.org, §10 to §13): bytes to UTF-16 units.
 *
 * Tables are bytes that the caller keeps: a unit for each pointer of the charset's index, 0xFFFD for none, and behind them
 *
 *   GB18030   ranges: first pointer and code point, four bytes each, in order
 *   Big5      a bit for each pointer: the code point is its unit and 0x20000
 *   Japanese  the units of JIS X 0212 behind those of JIS X 0208
 *
 * So is `state`, of 16 bytes: 0 the set of ISO-2022-JP; 4: it was just chosen; 8 bytes that were read; 12 set when the byte there is malformed.
 */
import { asciiRun } from "./text";

export const stateBytes: u32 = 16;
const atSet: usize = 0, atChosen: usize = 4, atRead: usize = 8, atMalformed: usize = 12;

export const gb18030: u32 = 0, big5: u32 = 1, eucJp: u32 = 2, iso2022Jp: u32 = 3, shiftJis: u32 = 4;

/** Pointers of an index. */
export const gbPointers: u32 = 23940, big5Pointers: u32 = 19782, jis0208Pointers: u32 = 11104, jis0212Pointers: u32 = 7211, koreanPointers: u32 = 23750;
export const gbRanges: u32 = 207;

/** Bytes of the tables that a charset has; 0 for a charset that is not there. */
export function tableBytes(charset: u32): u32 {
  if (charset === gb18030) return 2 * gbPointers + 8 * gbRanges;
  if (charset === big5) return 2 * big5Pointers + ((big5Pointers + 7) >>> 3);
  if (charset <= shiftJis) return 2 * (jis0208Pointers + jis0212Pointers);
  return charset === shiftJis + 1 ? 2 * koreanPointers : 0;
}

/** Options. */
const refuses: u32 = 1, goesOn: u32 = 2;

const none: u32 = 0xfffd;
/** In the 21 lowest bits of what was taken: nothing that the charset has; a character that ends in bytes to come. */
const malformed: u32 = 0x1fffff, isCut: u32 = 0x1ffffe;
/** Four pairs of Big5 that are no code points: U+00CA or U+00EA with U+0304 or U+030C. */
const firstPair: u32 = 0x110000;
const lengthShift: u32 = 21;
const codeMask: u32 = 0x1fffff;

// @ts-ignore: decorator
@inline
function taken(code: u32, length: u32): u32 {
  return code | (length << lengthShift);
}

/** A lead byte and its trail byte: a malformed pair gives back a trail byte that is ASCII. */
// @ts-ignore: decorator
@inline
function pairOf(code: u32, trail: u32): u32 {
  return code !== none ? taken(code, 2) : taken(malformed, trail < 0x80 ? 1 : 2);
}

// @ts-ignore: decorator
@inline
export function within(byte: u32, first: u32, last: u32): bool {
  return byte - first <= last - first;
}

// @ts-ignore: decorator
@inline
function unitAt(table: usize, pointer: u32, pointers: u32): u32 {
  return pointer < pointers ? <u32>load<u16>(table + (<usize>pointer << 1)) : none;
}

/** The code point of four bytes; 0xFFFD for none is malformed, that of a pointer is a character. */
function gbRange(ranges: usize, pointer: u32): u32 {
  if (within(pointer, 39420, 188999) || pointer > 1237575) return malformed;
  if (pointer === 7457) return 0xe7c7;
  let low: u32 = 0;
  let high = gbRanges;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (load<u32>(ranges + (<usize>middle << 3)) <= pointer) low = middle;
    else high = middle;
  }
  const range = ranges + (<usize>low << 3);
  const code = load<u32>(range, 4) + pointer - load<u32>(range);
  return code <= 0x10ffff ? code : malformed; // the table is the caller's
}

function takeGb18030(at: usize, left: u32, table: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (lead === 0x80) return taken(0x20ac, 1);
  if (lead === 0xff) return taken(malformed, 1);
  if (left < 2) return taken(isCut, left);
  const trail = <u32>load<u8>(at, 1);
  if (!within(trail, 0x30, 0x39)) {
    const isTrail = within(trail, 0x40, 0x7e) || within(trail, 0x80, 0xfe);
    const pointer = (lead - 0x81) * 190 + trail - (trail < 0x7f ? 0x40 : 0x41);
    return pairOf(isTrail ? unitAt(table, pointer, gbPointers) : none, trail);
  }
  if (left < 3) return taken(isCut, left);
  const third = <u32>load<u8>(at, 2);
  if (!within(third, 0x81, 0xfe)) return taken(malformed, 1);
  if (left < 4) return taken(isCut, left);
  const fourth = <u32>load<u8>(at, 3);
  if (!within(fourth, 0x30, 0x39)) return taken(malformed, 1);
  const pointer = (lead - 0x81) * 12600 + (trail - 0x30) * 1260 + (third - 0x81) * 10 + fourth - 0x30;
  return taken(gbRange(table + 2 * gbPointers, pointer), 4);
}

function takeBig5(at: usize, left: u32, table: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (!within(lead, 0x81, 0xfe)) return taken(malformed, 1);
  if (left < 2) return taken(isCut, left);
  const trail = <u32>load<u8>(at, 1);
  if (!within(trail, 0x40, 0x7e) && !within(trail, 0xa1, 0xfe)) return pairOf(none, trail);
  const pointer = (lead - 0x81) * 157 + trail - (trail < 0x7f ? 0x40 : 0x62);
  if (pointer === 1133) return taken(firstPair, 2);
  if (pointer === 1135) return taken(firstPair + 1, 2);
  if (pointer === 1164) return taken(firstPair + 2, 2);
  if (pointer === 1166) return taken(firstPair + 3, 2);
  const unit = unitAt(table, pointer, big5Pointers);
  if (pointer >= big5Pointers || (load<u8>(table + 2 * big5Pointers + (pointer >>> 3)) & (1 << (pointer & 7))) === 0) return pairOf(unit, trail);
  return taken(0x20000 | unit, 2);
}

function takeEucJp(at: usize, left: u32, table: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (lead !== 0x8e && lead !== 0x8f && !within(lead, 0xa1, 0xfe)) return taken(malformed, 1);
  if (left < 2) return taken(isCut, left);
  const trail = <u32>load<u8>(at, 1);
  if (lead === 0x8e && within(trail, 0xa1, 0xdf)) return taken(0xff61 - 0xa1 + trail, 2);
  if (!within(trail, 0xa1, 0xfe) || lead === 0x8e) return pairOf(none, trail);
  if (lead !== 0x8f) return pairOf(unitAt(table, (lead - 0xa1) * 94 + trail - 0xa1, jis0208Pointers), trail);
  if (left < 3) return taken(isCut, left);
  const third = <u32>load<u8>(at, 2);
  const jis0212 = table + 2 * jis0208Pointers;
  const unit = within(third, 0xa1, 0xfe) ? unitAt(jis0212, (trail - 0xa1) * 94 + third - 0xa1, jis0212Pointers) : none;
  return unit !== none ? taken(unit, 3) : taken(malformed, third < 0x80 ? 2 : 3);
}

function takeShiftJis(at: usize, left: u32, table: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (lead === 0x80) return taken(lead, 1);
  if (within(lead, 0xa1, 0xdf)) return taken(0xff61 - 0xa1 + lead, 1);
  if (lead === 0xa0 || lead > 0xfc) return taken(malformed, 1);
  if (left < 2) return taken(isCut, left);
  const trail = <u32>load<u8>(at, 1);
  if (!within(trail, 0x40, 0x7e) && !within(trail, 0x80, 0xfc)) return pairOf(none, trail);
  const pointer = (lead - (lead < 0xa0 ? 0x81 : 0xc1)) * 188 + trail - (trail < 0x7f ? 0x40 : 0x41);
  if (within(pointer, 8836, 10715)) return taken(0xe000 - 8836 + pointer, 2);
  return pairOf(unitAt(table, pointer, jis0208Pointers), trail);
}

function takeEucKr(at: usize, left: u32, table: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (!within(lead, 0x81, 0xfe)) return taken(malformed, 1);
  if (left < 2) return taken(isCut, left);
  const trail = <u32>load<u8>(at, 1);
  return pairOf(within(trail, 0x41, 0xfe) ? unitAt(table, (lead - 0x81) * 190 + trail - 0x41, koreanPointers) : none, trail);
}

/** Sets of ISO-2022-JP. */
const ascii: u32 = 0, roman: u32 = 1, katakana: u32 = 2, kanji: u32 = 3;

/** The set that three bytes choose, of which the first is ESC; 4 for none. */
function chosenSet(second: u32, third: u32): u32 {
  if (second === 0x28) return third === 0x42 ? ascii : third === 0x4a ? roman : third === 0x49 ? katakana : 4;
  return second === 0x24 && (third === 0x40 || third === 0x42) ? kanji : 4;
}

/** Nothing was written for these bytes. */
const silent: u32 = 0x1ffffd;

function takeEscape(at: usize, left: u32, state: usize): u32 {
  const second = left > 1 ? <u32>load<u8>(at, 1) : 0;
  if (left > 1 && second !== 0x24 && second !== 0x28) return taken(malformed, 1);
  if (left < 3) return taken(isCut, 1);
  const set = chosenSet(second, <u32>load<u8>(at, 2));
  if (set > kanji) return taken(malformed, 1);
  const isRepeated = load<u32>(state, atChosen) !== 0;
  store<u32>(state, set, atSet);
  store<u32>(state, 1, atChosen);
  return taken(isRepeated ? malformed : silent, 3);
}

function takeIso2022Jp(at: usize, left: u32, table: usize, state: usize): u32 {
  const byte = <u32>load<u8>(at);
  if (byte === 0x1b) return takeEscape(at, left, state);
  const set = load<u32>(state, atSet);
  if (set === katakana) return taken(within(byte, 0x21, 0x5f) ? 0xff61 - 0x21 + byte : malformed, 1);
  if (set === kanji) {
    if (!within(byte, 0x21, 0x7e)) return taken(malformed, 1);
    if (left < 2) return taken(isCut, 1);
    const trail = <u32>load<u8>(at, 1);
    if (trail === 0x1b) return taken(malformed, 1);
    const unit = within(trail, 0x21, 0x7e) ? unitAt(table, (byte - 0x21) * 94 + trail - 0x21, jis0208Pointers) : none;
    return taken(unit === none ? malformed : unit, 2);
  }
  if (byte > 0x7f || byte === 0x0e || byte === 0x0f) return taken(malformed, 1);
  if (set === roman && byte === 0x5c) return taken(0xa5, 1);
  return taken(set === roman && byte === 0x7e ? 0x203e : byte, 1);
}

function take(charset: u32, at: usize, left: u32, table: usize, state: usize): u32 {
  switch (charset) {
    case gb18030: return takeGb18030(at, left, table);
    case big5: return takeBig5(at, left, table);
    case eucJp: return takeEucJp(at, left, table);
    case iso2022Jp: return takeIso2022Jp(at, left, table, state);
    case shiftJis: return takeShiftJis(at, left, table);
    default: return takeEucKr(at, left, table);
  }
}

function write(units: usize, code: u32): usize {
  if (code < 0x10000) {
    store<u16>(units, <u16>code);
    return units + 2;
  }
  const pair = code - firstPair;
  const first = code < firstPair ? 0xd7c0 + (code >>> 10) : pair < 2 ? 0xca : 0xea;
  const second = code < firstPair ? 0xdc00 | (code & 0x3ff) : (pair & 1) === 0 ? 0x304 : 0x30c;
  store<u16>(units, <u16>first);
  store<u16>(units, <u16>second, 2);
  return units + 4;
}

/**
 * Decodes to `units`, which has room for one unit a byte, until `most` units or more are written. Returns their number; in `state` stands how
 * far it has read: to the end, to a character that goes on in bytes to come if the option says there are, or to the first malformed byte if
 * the option says to refuse it.
 */
export function decodeMultibyte(charset: u32, bytes: usize, length: u32, units: usize, most: u32, table: usize, state: usize, options: u32): u32 {
  let at: u32 = 0;
  let out = units;
  store<u32>(state, 0, atMalformed);
  while (at < length && <u32>((out - units) >> 1) < most) {
    if (charset !== iso2022Jp && load<u8>(bytes + at) < 0x80) {
      const room = most - <u32>((out - units) >> 1);
      const run = asciiRun(bytes + at, min(length - at, room));
      for (let i: u32 = 0; i < run; i++, out += 2) store<u16>(out, <u16>load<u8>(bytes + at + i));
      at += run;
      continue;
    }
    const found = take(charset, bytes + at, length - at, table, state);
    let code = found & codeMask;
    if (code === isCut) {
      if ((options & goesOn) !== 0) break;
      code = malformed;
    }
    if (code === malformed && (options & refuses) !== 0) {
      store<u32>(state, 1, atMalformed);
      break;
    }
    const size = found >>> lengthShift;
    at += size;
    if (code === silent) continue;
    // An escape sequence right behind another is malformed, and stands for the next one: its three bytes change nothing of that.
    if (charset === iso2022Jp && size !== 3) store<u32>(state, 0, atChosen);
    out = write(out, code === malformed ? none : code);
  }
  store<u32>(state, at, atRead);
  return <u32>((out - units) >> 1);
}
