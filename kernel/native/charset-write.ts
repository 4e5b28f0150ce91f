/**
 * Texts as bytes of charsets other than UTF-8 (https://encoding.spec.whatwg.org, §9 to §14). The engine gives a text as UTF-8, in which a lone
 * surrogate has three bytes as well; no charset has those.
 */
import { asciiRun } from "./text";

/** Replaces what a charset lacks, on request. */
export const question: u8 = 0x3f;
/** Nothing that the charset has. */
export const none: u32 = 0xffffffff;

/** Bytes of the character that begins with this one. */
// @ts-ignore: decorator
@inline
export function sizeOf(first: u32): u32 {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** The code point of the character there, which is not ASCII. */
export function codeAt(at: usize, size: u32): u32 {
  const first = <u32>load<u8>(at);
  let code = size === 2 ? first & 0x1f : size === 3 ? first & 0x0f : first & 0x07;
  for (let i: u32 = 1; i < size; i++) code = (code << 6) | (<u32>load<u8>(at + i) & 0x3f);
  return code;
}

/** Slots of the table that finds the byte of a code point: two for each that can be there. */
const slots: u32 = 256;
export const reverseBytes: usize = slots << 2;

// @ts-ignore: decorator
@inline
function slotOf(code: u32): u32 {
  return (code * 0x9e3779b1) >>> 24;
}

/** Byte + (code point << 8) by code point, of the 128 units of a charset; `reverse` has `reverseBytes`. */
function invert(high: usize, reverse: usize): void {
  memory.fill(reverse, 0, reverseBytes);
  for (let i: u32 = 0; i < 128; i++) {
    const code = <u32>load<u16>(high + (i << 1));
    if (code === 0xfffd) continue;
    let slot = slotOf(code);
    while (load<u32>(reverse + (slot << 2)) !== 0) slot = (slot + 1) & (slots - 1);
    store<u32>(reverse + (slot << 2), (0x80 + i) | (code << 8));
  }
}

function byteOf(code: u32, reverse: usize): u32 {
  let slot = slotOf(code);
  let found = load<u32>(reverse + (slot << 2));
  while (found !== 0 && found >>> 8 !== code) {
    slot = (slot + 1) & (slots - 1);
    found = load<u32>(reverse + (slot << 2));
  }
  return found === 0 ? none : found & 0xff;
}

/**
 * Writes `length` bytes of UTF-8 at `out`, which has room for as many, in the charset whose units from 0x80 on are at `high`. Returns the bytes
 * written, or -1 less the UTF-16 units before the first character that the charset lacks, unless those are replaced.
 */
export function encodeBytes(text: usize, length: u32, high: usize, reverse: usize, out: usize, replaces: bool): i32 {
  invert(high, reverse);
  const start = out;
  let units: u32 = 0;
  for (let at: u32 = 0; at < length; ) {
    const run = asciiRun(text + at, length - at);
    memory.copy(out, text + at, run);
    out += run;
    at += run;
    units += run;
    if (at === length) break;
    const size = sizeOf(load<u8>(text + at));
    const byte = byteOf(codeAt(text + at, size), reverse);
    if (byte === none && !replaces) return -1 - <i32>units;
    store<u8>(out++, byte === none ? question : <u8>byte);
    at += size;
    units += size === 4 ? 2 : 1;
  }
  return <i32>(out - start);
}

function writeUnit(out: usize, unit: u32, isBig: bool): usize {
  store<u16>(out, isBig ? bswap<u16>(<u16>unit) : <u16>unit);
  return out + 2;
}

/** The same in UTF-16, which has up to two bytes for each of UTF-8. It lacks lone surrogates only, which U+FFFD replaces. */
export function encodeUtf16(text: usize, length: u32, out: usize, isBig: bool, replaces: bool): i32 {
  const start = out;
  for (let at: u32 = 0; at < length; ) {
    const first = <u32>load<u8>(text + at);
    const size = sizeOf(first);
    let code = first < 0x80 ? first : codeAt(text + at, size);
    if (code >= 0xd800 && code <= 0xdfff) {
      if (!replaces) return -1 - <i32>((out - start) >> 1);
      code = 0xfffd;
    }
    if (code > 0xffff) {
      out = writeUnit(out, 0xd7c0 + (code >>> 10), isBig);
      code = 0xdc00 | (code & 0x3ff);
    }
    out = writeUnit(out, code, isBig);
    at += size;
  }
  return <i32>(out - start);
}
