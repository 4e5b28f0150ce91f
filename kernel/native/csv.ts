/**
 * CSV as rows (RFC 4180; kernel/runtime/formats/csv-format.ts says how). Outside of quotes `\r\n`, `\n` and `\r` all end a row. A row becomes
 * a list of its fields, or an object with the shape of a given one whose properties are the columns (alike.ts).
 *
 * The text is a copy, so that quotes that stand for one are replaced in place. Behind it line feeds and quotes stand, which end every loop
 * that looks for one of them.
 */
import { canBeLiked, newLike } from "./alike";
import {
  Context, exceptionValue, JS_DefinePropertyValue, JS_FreeAtom, JS_FreeValue, JS_HasException, JS_NewArrayFrom, JS_NewNumber, JS_NewObject, JS_NewStringLen,
  JS_ValueToAtom, js_free, js_malloc, JSValue, objectValue, propertyOrdinary, tagException, tagObject, tagOf, tagRope, tagString, undefinedValue,
} from "./engine";
import { beginValues, endValues, hasThrown, pushMade, setTop, topAddress, topOffset, valueAt } from "./json-values";
import { arrayCount, arrayElements, classArray, flagFast, objectClass, objectFlags } from "./objects";
import { behindQuote, fieldCount, keepEmpty, more, piece, quoteOpen, skipFirst, strict } from "../runtime/formats/csv-options";

const endBytes: usize = 16;
const ones: u64 = 0x0101010101010101;
const highs: u64 = 0x8080808080808080;

// The end of the text; the delimiter's bytes, their number and its first byte eight times; options; the object whose shape rows have, or 0,
// and how many properties that has; the fault: 1 + kind, row, number of fields.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(64, 8);
const atEnd: usize = 0;
const atDelimiter: usize = 4;
const atDelimiterSize: usize = 8;
const atOptions: usize = 12;
const atFirstBytes: usize = 16;
const atLike: usize = 24;
const atColumns: usize = 28;
const atFault: usize = 32;
/** Values of the fault. */
// @ts-ignore: decorator
@lazy const numbers: usize = memory.data(24, 8);

// @ts-ignore: decorator
@inline
function get(field: usize): u32 {
  return load<u32>(state + field);
}

// @ts-ignore: decorator
@inline
function zeros(bytes: u64): u64 {
  return (bytes - ones) & ~bytes & highs;
}

/** Notes a fault. Returns 0. */
function fault(kind: u32, row: u32, count: u32): usize {
  store<u32>(state + atFault, kind + 1);
  store<u32>(state + atFault, row, 4);
  store<u32>(state + atFault, count, 8);
  return 0;
}

// @ts-ignore: decorator
@inline
function isDelimiter(at: usize): bool {
  const size = get(atDelimiterSize);
  const bytes = load<u32>(at) ^ get(atDelimiter);
  return size === 1 ? (bytes & 0xff) === 0 : bytes << ((4 - size) << 3) === 0;
}

// @ts-ignore: decorator
@inline
function isBreak(byte: u32): bool {
  return byte === 0x0a || byte === 0x0d;
}

/** The place of the first delimiter or line break from `at` on; without one, the end of the text. */
// @ts-ignore: decorator
@inline
function findFieldEnd(at: usize, first: u64): usize {
  while (true) {
    const bytes = load<u64>(at);
    const found = zeros(bytes ^ first) | zeros(bytes ^ 0x0a0a0a0a0a0a0a0a) | zeros(bytes ^ 0x0d0d0d0d0d0d0d0d);
    if (found === 0) {
      at += 8;
      continue;
    }
    at += <usize>(ctz(found) >> 3);
    if (isBreak(load<u8>(at)) || isDelimiter(at)) return at < <usize>get(atEnd) ? at : <usize>get(atEnd);
    at++;
  }
}

function findQuote(at: usize): usize {
  while (true) {
    const found = zeros(load<u64>(at) ^ 0x2222222222222222);
    if (found !== 0) return at + <usize>(ctz(found) >> 3);
    at += 8;
  }
}

/** The bytes of the white-space character at `at`, of those that `trim` removes from a string; 0 for any other character. */
function spaceSize(at: usize): usize {
  const byte = <u32>load<u8>(at);
  if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) return 1;
  if (byte === 0xc2) return load<u8>(at, 1) === 0xa0 ? 2 : 0;
  if (byte < 0xe1 || byte > 0xef) return 0;
  const point = ((byte & 0x0f) << 12) | ((<u32>load<u8>(at, 1) & 0x3f) << 6) | (<u32>load<u8>(at, 2) & 0x3f);
  const isSpace =
    point === 0x1680 || (point >= 0x2000 && point <= 0x200a) || point === 0x2028 || point === 0x2029 || point === 0x202f || point === 0x205f ||
    point === 0x3000 || point === 0xfeff;
  return isSpace ? 3 : 0;
}

/** In place of the number of fields: only the text's end stands behind the quote. */
const atEndOfText: u32 = 1;

/** Pushes the field whose quote is at `at`. Returns the place of the delimiter or line break behind it, or the end of the text; after a fault, 0. */
function readQuoted(here: Context, at: usize, row: u32): usize {
  const end: usize = get(atEnd);
  const from = at + 1;
  let to = from;
  at = from;
  while (true) {
    const quote = findQuote(at);
    if (quote >= end) return fault(quoteOpen, row, 0);
    if (to !== at) memory.copy(to, at, quote - at);
    to += quote - at;
    if (quote + 1 < end && load<u8>(quote, 1) === 0x22) {
      store<u8>(to++, 0x22);
      at = quote + 2;
      continue;
    }
    let next = quote + 1;
    if (next < end) {
      while (next < end && !isDelimiter(next) && !isBreak(load<u8>(next))) {
        const size = spaceSize(next);
        if (size === 0) return fault(behindQuote, row, 0);
        next += size;
      }
      if (next >= end) return fault(behindQuote, row, atEndOfText);
    }
    return pushMade(here, JS_NewStringLen(here, from, to - from), next);
  }
}

/** Pushes the fields of the row at `at`. Returns the place of the line break behind it, or the end of the text; after a fault or an exception, 0. */
function readFields(here: Context, at: usize, row: u32): usize {
  const end: usize = get(atEnd);
  const first = load<u64>(state + atFirstBytes);
  const size: usize = get(atDelimiterSize);
  while (true) {
    let next: usize;
    if (load<u8>(at) === 0x22 && at < end) {
      next = readQuoted(here, at, row);
    } else {
      next = findFieldEnd(at, first);
      next = pushMade(here, JS_NewStringLen(here, at, next - at), next);
    }
    if (next === 0 || next >= end || isBreak(load<u8>(next))) return next;
    at = next + size;
  }
}

function dropTo(here: Context, start: u32): void {
  const from = valueAt(start);
  for (let at = from; at < topAddress(); at += 8) JS_FreeValue(here, load<u64>(at));
  setTop(from);
}

/** Makes a row of the fields on the stack from `start` on. False while an exception stands. */
function makeRow(here: Context, start: u32, kept: u32): bool {
  let count = (topOffset() - start) >> 3;
  const columns = get(atColumns);
  const like: usize = get(atLike);
  if (like !== 0) {
    if (count !== columns && (get(atOptions) & strict) !== 0) {
      if (get(atFault) === 0) fault(fieldCount, kept, count); // one of quotes that follows counts more
      dropTo(here, start);
      return true;
    }
    if (count >= columns) {
      dropTo(here, start + (columns << 3));
      return newLike(here, like, start, 1) !== 0;
    }
  }
  const from = valueAt(start);
  setTop(from);
  return pushMade(here, JS_NewArrayFrom(here, <i32>count, from), 1) !== 0; // the values are its own now, or freed
}

/** True if the row that ends at `next` may go on in the next piece. `next` is 0 after a fault of quotes. */
function isCut(next: usize): bool {
  const end: usize = get(atEnd);
  if (next === 0) return get(atFault) === quoteOpen + 1 || (get(atFault) === behindQuote + 1 && load<u32>(state + atFault, 8) === atEndOfText);
  return next >= end || (next + 1 === end && load<u8>(next) === 0x0d);
}

/** Pushes up to `most` rows of the text from `at` on. False after a fault, or while an exception stands. */
function readRows(here: Context, from: usize, most: u32): bool {
  const end: usize = get(atEnd);
  const options = get(atOptions);
  let at = from;
  let row: u32 = 0;
  let kept: u32 = 0;
  while (kept < most && (at !== end || (row > 0 && (options & piece) === 0))) {
    const start = topOffset();
    const next = readFields(here, at, row + 1);
    if (next === 0 && hasThrown()) return false;
    if ((options & more) !== 0 && isCut(next)) {
      store<u32>(state + atFault, 0);
      dropTo(here, start);
      break;
    }
    if (next === 0) return false;
    row++;
    if ((options & keepEmpty) !== 0 || next > at) {
      kept++;
      if (kept === 1 && (options & skipFirst) !== 0) dropTo(here, start);
      else if (!makeRow(here, start, kept)) return false;
    } else dropTo(here, start);
    if ((options & piece) !== 0 && get(atFault) !== 0) return false;
    if (next >= end) {
      at = end;
      break;
    }
    at = next + (load<u16>(next) === 0x0a0d && next + 1 < end ? 2 : 1);
  }
  if ((options & piece) === 0) return true;
  return pushMade(here, JS_NewNumber(here, <f64>(at - from)), 1) !== 0 && pushMade(here, JS_NewNumber(here, <f64>row), 1) !== 0;
}

/** Makes the object whose shape rows have, of a list of texts. False while an exception stands; no object where rows can't be like it. */
function makeLike(here: Context, list: JSValue): bool {
  if (tagOf(list) !== tagObject) return true;
  const names: usize = <u32>list;
  if (load<u16>(names, objectClass) !== classArray || (load<u8>(names, objectFlags) & flagFast) === 0) return true;
  const count = load<u32>(names, arrayCount);
  const object = JS_NewObject(here);
  if (tagOf(object) === tagException) return false;
  for (let i: u32 = 0; i < count; i++) {
    const name = load<u64>(<usize>load<u32>(names, arrayElements) + (<usize>i << 3));
    const atom = tagOf(name) === tagString || tagOf(name) === tagRope ? JS_ValueToAtom(here, name) : 0;
    const defined = atom === 0 ? -1 : JS_DefinePropertyValue(here, object, atom, undefinedValue, propertyOrdinary);
    if (atom !== 0) JS_FreeAtom(here, atom);
    if (defined < 0) {
      JS_FreeValue(here, object);
      return JS_HasException(here) === 0; // not a text: rows are lists
    }
  }
  if (count > 0 && canBeLiked(object, count)) {
    store<u32>(state + atLike, <u32>object);
    store<u32>(state + atColumns, count);
  } else JS_FreeValue(here, object);
  return true;
}

function faultList(here: Context): JSValue {
  store<u64>(numbers, get(atFault) - 1);
  store<u64>(numbers, load<u32>(state + atFault, 4), 8);
  store<u64>(numbers, load<u32>(state + atFault, 8), 16);
  return JS_NewArrayFrom(here, 3, numbers);
}

/** The text's end without its last line break: that ends a row and begins none. */
function endOf(text: usize, length: usize): usize {
  let end = text + length;
  if (length > 0 && load<u8>(end - 1) === 0x0a) {
    end--;
    if (end > text && load<u8>(end - 1) === 0x0d) end--;
  } else if (length > 0 && load<u8>(end - 1) === 0x0d) end--;
  return end;
}

/** Sets how the next text is read: bits of csv-options.ts, and the delimiter of one to four bytes. */
export function beginCsv(options: u32, delimiter: usize, size: u32): void {
  let word: u32 = 0;
  for (let i: u32 = 0; i < size; i++) word |= <u32>load<u8>(delimiter + i) << (i << 3);
  store<u32>(state + atOptions, options);
  store<u32>(state + atDelimiter, word);
  store<u32>(state + atDelimiterSize, size);
  store<u64>(state + atFirstBytes, <u64>(word & 0xff) * ones);
  store<u32>(state + atLike, 0);
  store<u32>(state + atFault, 0);
}

/**
 * The first `most` rows of a text of `length` bytes of UTF-8, as `beginCsv` said: objects, where `names` is a list of texts and the row has as
 * many fields, else lists. Behind the rows of a piece stand the number of its bytes that were read and of its rows. Three numbers say what is wrong: a fault of csv-options.ts, the row, its fields.
 */
export function parseCsv(here: Context, from: usize, length: usize, most: u32, names: JSValue): JSValue {
  const text = js_malloc(here, length + endBytes);
  if (text === 0) return exceptionValue;
  memory.copy(text, from, length);
  memory.fill(text + length, 0x0a, endBytes >> 1);
  memory.fill(text + length + (endBytes >> 1), 0x22, endBytes >> 1);
  store<u32>(state + atEnd, <u32>((get(atOptions) & piece) === 0 ? endOf(text, length) : text + length));
  beginValues();
  let value = exceptionValue;
  if (makeLike(here, names) && readRows(here, text, most) && get(atFault) === 0) {
    const rows = valueAt(0);
    const count = <i32>(topOffset() >> 3);
    setTop(rows);
    value = JS_NewArrayFrom(here, count, rows); // the rows are its own now, or freed
  }
  endValues(here, false);
  if (get(atLike) !== 0) JS_FreeValue(here, objectValue(get(atLike)));
  js_free(here, text);
  return get(atFault) === 0 || hasThrown() ? value : faultList(here);
}
