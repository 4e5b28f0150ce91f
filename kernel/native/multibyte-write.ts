/** Texts as bytes of charsets of several bytes a character; tables are those of multibyte.ts. */
import { codeAt, none, question, sizeOf } from "./charset-write";
import { big5, big5Pointers, eucJp, gb18030, gbPointers, gbRanges, iso2022Jp, jis0208Pointers, koreanPointers, shiftJis, within } from "./multibyte";
import { asciiRun } from "./text";

/** Options. */
const replaces: u32 = 1, isGbk: u32 = 2;

/** Code points of a plane. */
const plane: u32 = 0x10000;

/** Bytes of the pointer of each code point, 0xFFFF for none: of the basic plane, and of plane 2 behind it where Big5 has that. */
export function pointerBytes(charset: u32): usize {
  return <usize>(charset === big5 ? 2 * plane : plane) << 1;
}

/** Bytes that a text of so many bytes of UTF-8 has at most: a character of two, alone between ASCII in ISO-2022-JP, has three to open, three to close and two. */
export function mostBytes(length: u32): usize {
  return 3 * <usize>length + 8;
}

function pointersOf(charset: u32): u32 {
  if (charset === gb18030) return gbPointers;
  if (charset === big5) return big5Pointers;
  return charset <= shiftJis ? jis0208Pointers : koreanPointers;
}

/** Code points that Big5 has twice, and writes as the later one. */
function isLater(code: u32): bool {
  return code === 0x2550 || code === 0x255e || code === 0x2561 || code === 0x256a || code === 0x5341 || code === 0x5345;
}

const firstOfBig5: u32 = (0xa1 - 0x81) * 157; // before it is what Hong Kong has added, which is read only

/** Fills `pointers` with the pointer of each code point: the first, where there are several. */
export function invertIndex(charset: u32, table: usize, pointers: usize): void {
  memory.fill(pointers, 0xff, pointerBytes(charset));
  const last = charset === big5 ? firstOfBig5 : 0;
  for (let pointer = pointersOf(charset); pointer-- > last; ) {
    if (charset === shiftJis && within(pointer, 8272, 8835)) continue;
    const code = <u32>load<u16>(table + (<usize>pointer << 1));
    if (code === 0xfffd) continue;
    const isPlane2 = charset === big5 && (load<u8>(table + 2 * big5Pointers + (pointer >>> 3)) & (1 << (pointer & 7))) !== 0;
    const at = pointers + (<usize>(isPlane2 ? plane + code : code) << 1);
    if (charset === big5 && !isPlane2 && isLater(code) && load<u16>(at) !== 0xffff) continue;
    store<u16>(at, <u16>pointer);
  }
}

function pointerOf(pointers: usize, code: u32): u32 {
  const pointer = code < plane ? <u32>load<u16>(pointers + (<usize>code << 1)) : 0xffff;
  return pointer === 0xffff ? none : pointer;
}

/** A lead byte and a trail byte, of which there are `trails` to a lead; those from `gap` on stand further behind. */
// @ts-ignore: decorator
@inline
function writePair(out: usize, pointer: u32, trails: u32, firstLead: u32, gap: u32, before: u32, behind: u32): usize {
  const trail = pointer % trails;
  store<u8>(out, <u8>(pointer / trails + firstLead));
  store<u8>(out, <u8>(trail + (trail < gap ? before : behind)), 1);
  return out + 2;
}

/** Code points for private use that the index gives other characters for: two bytes of GB18030 all the same. 0 for others. */
function gbPrivate(code: u32): u32 {
  if (within(code, 0xe78d, 0xe793)) return 0xa6d9 + code - 0xe78d;
  if (code === 0xe794 || code === 0xe795) return 0xa6ec + code - 0xe794;
  if (code === 0xe796) return 0xa6f3;
  const trail = 0x59 + code - 0xe81e;
  switch (code) {
    case 0xe81e: case 0xe826: case 0xe82b: case 0xe82c: case 0xe832: case 0xe843: return 0xfe00 | trail;
    case 0xe854: case 0xe864: return 0xfe00 | (trail + 1); // no trail byte is 0x7F
    default: return 0;
  }
}

function rangePointer(ranges: usize, code: u32): u32 {
  if (code === 0xe7c7) return 7457;
  let low: u32 = 0;
  let high = gbRanges;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (load<u32>(ranges + (<usize>middle << 3), 4) <= code) low = middle;
    else high = middle;
  }
  const range = ranges + (<usize>low << 3);
  return load<u32>(range) + code - load<u32>(range, 4);
}

function writeGb18030(out: usize, code: u32, table: usize, pointers: usize, options: u32): usize {
  const gbk = (options & isGbk) !== 0;
  if (code === 0xe5e5 || within(code, 0xd800, 0xdfff)) return 0;
  if (gbk && code === 0x20ac) {
    store<u8>(out, 0x80);
    return out + 1;
  }
  const own = gbPrivate(code);
  if (own !== 0) {
    store<u16>(out, bswap<u16>(<u16>own));
    return out + 2;
  }
  const pointer = pointerOf(pointers, code);
  if (pointer !== none) return writePair(out, pointer, 190, 0x81, 0x3f, 0x40, 0x41);
  if (gbk) return 0;
  const four = rangePointer(table + 2 * gbPointers, code);
  store<u8>(out, <u8>(four / 12600 + 0x81));
  store<u8>(out, <u8>((four % 12600) / 1260 + 0x30), 1);
  store<u8>(out, <u8>((four % 1260) / 10 + 0x81), 2);
  store<u8>(out, <u8>(four % 10 + 0x30), 3);
  return out + 4;
}

/** The code point under which charsets of Japan have this one. */
// @ts-ignore: decorator
@inline
function japanese(code: u32): u32 {
  return code === 0xa5 ? 0x5c : code === 0x203e ? 0x7e : code === 0x2212 ? 0xff0d : code;
}

function writeJapanese(out: usize, code: u32, charset: u32, pointers: usize): usize {
  const known = japanese(code);
  if (known < 0x80 || (charset === shiftJis && known === 0x80)) {
    store<u8>(out, <u8>known);
    return out + 1;
  }
  if (within(known, 0xff61, 0xff9f)) {
    if (charset === eucJp) store<u8>(out++, 0x8e);
    store<u8>(out, <u8>(known - 0xff61 + 0xa1));
    return out + 1;
  }
  const pointer = pointerOf(pointers, known);
  if (pointer === none) return 0;
  if (charset === eucJp) return writePair(out, pointer, 94, 0xa1, 94, 0xa1, 0xa1);
  return writePair(out, pointer, 188, pointer / 188 < 0x1f ? 0x81 : 0xc1, 0x3f, 0x40, 0x41);
}

/** Characters of full width for U+FF61 to U+FF9F, which ISO-2022-JP has in no set that may be written. */
// @ts-ignore: decorator
@lazy const fullWidth: usize = memory.data<u16>([
  0x3002, 0x300c, 0x300d, 0x3001, 0x30fb, 0x30f2, 0x30a1, 0x30a3, 0x30a5, 0x30a7, 0x30a9, 0x30e3, 0x30e5, 0x30e7, 0x30c3, 0x30fc,
  0x30a2, 0x30a4, 0x30a6, 0x30a8, 0x30aa, 0x30ab, 0x30ad, 0x30af, 0x30b1, 0x30b3, 0x30b5, 0x30b7, 0x30b9, 0x30bb, 0x30bd, 0x30bf,
  0x30c1, 0x30c4, 0x30c6, 0x30c8, 0x30ca, 0x30cb, 0x30cc, 0x30cd, 0x30ce, 0x30cf, 0x30d2, 0x30d5, 0x30d8, 0x30db, 0x30de, 0x30df,
  0x30e0, 0x30e1, 0x30e2, 0x30e4, 0x30e6, 0x30e8, 0x30e9, 0x30ea, 0x30eb, 0x30ec, 0x30ed, 0x30ef, 0x30f3, 0x309b, 0x309c,
]);

/** Sets of ISO-2022-JP. */
const ascii: u32 = 0, roman: u32 = 1, kanji: u32 = 2;

/** The escape sequence that chooses a set. */
function writeEscape(out: usize, set: u32): usize {
  store<u8>(out, 0x1b);
  store<u8>(out, set === kanji ? 0x24 : 0x28, 1);
  store<u8>(out, set === roman ? 0x4a : 0x42, 2);
  return out + 3;
}

/** The set in which a code point is written; none for one that there is not. */
function setOf(code: u32, set: u32, pointers: usize): u32 {
  if (code === 0x0e || code === 0x0f || code === 0x1b) return none;
  if (code < 0x80) return set === roman && code !== 0x5c && code !== 0x7e ? roman : ascii;
  if (code === 0xa5 || code === 0x203e) return roman;
  return pointerOf(pointers, code) === none ? none : kanji;
}

function writeIso2022Jp(out: usize, code: u32, pointers: usize): usize {
  const known = japanese(code);
  if (known < 0x80) {
    store<u8>(out, <u8>known);
    return out + 1;
  }
  return writePair(out, pointerOf(pointers, known), 94, 0x21, 94, 0x21, 0x21);
}

/** Behind what was written; 0 for a code point that the charset lacks, which is not ASCII. */
function write(out: usize, code: u32, charset: u32, table: usize, pointers: usize, options: u32): usize {
  switch (charset) {
    case gb18030: return writeGb18030(out, code, table, pointers, options);
    case eucJp: case shiftJis: return writeJapanese(out, code, charset, pointers);
  }
  const isPlane2 = charset === big5 && code >>> 16 === 2;
  const pointer = isPlane2 ? pointerOf(pointers + 2 * plane, code & 0xffff) : pointerOf(pointers, code);
  if (pointer === none) return 0;
  return charset === big5 ? writePair(out, pointer, 157, 0x81, 0x3f, 0x40, 0x62) : writePair(out, pointer, 190, 0x81, 190, 0x41, 0x41);
}

/** The same in ISO-2022-JP, whose sets are chosen on the way; 0x1B and two more are no characters of it. */
function encodeIso2022Jp(text: usize, length: u32, pointers: usize, out: usize, options: u32): i32 {
  const start = out;
  let units: u32 = 0;
  let set = ascii;
  for (let at: u32 = 0; at < length; ) {
    const first = <u32>load<u8>(text + at);
    const size = sizeOf(first);
    let code = first < 0x80 ? first : codeAt(text + at, size);
    if (code === 0x2212) code = 0xff0d;
    else if (within(code, 0xff61, 0xff9f)) code = <u32>load<u16>(fullWidth + ((code - 0xff61) << 1));
    let next = setOf(code, set, pointers);
    if (next === none) {
      if ((options & replaces) === 0) return -1 - <i32>units;
      code = question;
      next = setOf(code, set, pointers);
    }
    if (next !== set) out = writeEscape(out, next);
    set = next;
    out = writeIso2022Jp(out, code, pointers);
    at += size;
    units += size === 4 ? 2 : 1;
  }
  if (set !== ascii) out = writeEscape(out, ascii);
  return <i32>(out - start);
}

/**
 * Writes `length` bytes of UTF-8 at `out`, which has room for `mostBytes`. Returns the bytes written, or -1 less the UTF-16 units before the first
 * character that the charset lacks, unless those are replaced.
 */
export function encodeMultibyte(charset: u32, text: usize, length: u32, out: usize, table: usize, pointers: usize, options: u32): i32 {
  if (charset === iso2022Jp) return encodeIso2022Jp(text, length, pointers, out, options);
  const start = out;
  let units: u32 = 0;
  for (let at: u32 = 0; at < length; ) {
    if (load<u8>(text + at) < 0x80) {
      const run = asciiRun(text + at, length - at);
      memory.copy(out, text + at, run);
      out += run;
      at += run;
      units += run;
      continue;
    }
    const size = sizeOf(load<u8>(text + at));
    const behind = write(out, codeAt(text + at, size), charset, table, pointers, options);
    if (behind !== 0) out = behind;
    else if ((options & replaces) === 0) return -1 - <i32>units;
    else store<u8>(out++, question);
    at += size;
    units += size === 4 ? 2 : 1;
  }
  return <i32>(out - start);
}
