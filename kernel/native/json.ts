/**
 * JSON.parse, for what is plain in a text; the engine does the rest, so that nobody can tell the two apart:
 *
 *   a text or key with escapes, a number of too many digits  →  the engine's parser reads that slice
 *   anything that is no JSON, or nested deeper than `mostDepth`  →  what was built is freed, the engine reads the whole text
 *   memory ran out  →  what was built is freed, the exception stands
 *
 * Most JSON is records: objects that have the keys of the one before. An object's keys are compared with those of the object last read
 * in the same place as bytes, from the end of one value to the colon before the next. While they are equal nothing but values is read;
 * when all are, the object is made with the shape of the earlier one (objects.ts) and its values are copied into place. A place is the
 * way from the outermost array: [*], [*].geometry, [*].tags[*]. Each has a record, by a hash; two places that share one are but slower.
 *
 * Every value that is owned here lies on a stack (json-values.ts). What fails returns 0 for the place to read on, and `parseJson` frees
 * whatever the stack holds. No code of the flow can run in between.
 */
import { canBeLiked, newLike } from "./alike";
import {
  Context, exceptionValue, falseValue, JS_DefinePropertyValue, JS_DupValue, JS_FreeAtom, JS_FreeValue, JS_NewArrayFrom,
  JS_NewAtomLen, JS_NewObject, JS_NewStringLen, JS_ThrowOutOfMemory, JS_ValueToAtom, JSValue, nullValue, objectValue, propertyOrdinary, tagException,
  tagOf, trueValue, undefinedValue,
} from "./engine";
import { parseNumber } from "./json-number";
import { hasEscapes, isDigit, quote, same, scanText, skip } from "./json-scan";
import { beginValues, endValues, hasThrown, push, pushMade, setTop, slice, thrown, topAddress, topOffset, valueAt } from "./json-values";
import { malformedAt, throwMalformed } from "./text";
import { bucketBytes, objectShape, propertyAtom, propertyBytes, shapeBuckets, shapeTable } from "./objects";

/** How deep objects and arrays are read here. Each level is one or two calls on the stack of the machine below. */
const mostDepth: u32 = 64;
/** Objects that are remembered, a power of two; and the most keys one may have. */
const recordCount: u32 = 16;
const mostKeys: u32 = 24;

const comma: u32 = 0x2c;
const colon: u32 = 0x3a;

// A record: its object (0: none) and how many keys that has; whether an object is being read with it; and for each key where its bytes
// begin and how many they are.
const recordObject: usize = 0;
const recordKeyCount: usize = 4;
const recordBusy: usize = 8;
const recordKeys: usize = 16;
const recordBytes: u32 = 208; // 16 + mostKeys × 8
// @ts-ignore: decorator
@lazy const records: usize = memory.data(3328, 8); // recordCount × recordBytes

// Where the text ends.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(4, 4);

// @ts-ignore: decorator
@inline
function textEnd(): usize {
  return load<u32>(state);
}

/** The string whose opening quote is at `from` and of which `scanText` said `scanned`. */
function newString(here: Context, from: usize, scanned: u64): JSValue {
  const to: usize = <u32>scanned;
  return (scanned & hasEscapes) === 0 ? JS_NewStringLen(here, from + 1, to - from - 1) : slice(here, from, to + 1);
}

function parseText(here: Context, at: usize): usize {
  const scanned = scanText(at + 1, textEnd());
  return scanned === 0 ? 0 : pushMade(here, newString(here, at, scanned), <usize>(<u32>scanned) + 1);
}

/** The key whose opening quote is at `from`, as an atom; 0 when there is no memory. */
function newKey(here: Context, from: usize, scanned: u64): u32 {
  // JS_NewAtomLen takes the bytes of a key that is not ASCII for its characters where such an atom exists.
  if (scanned >> 32 === 0) return JS_NewAtomLen(here, from + 1, <usize>(<u32>scanned) - from - 1);
  const text = newString(here, from, scanned);
  if (tagOf(text) === tagException) return 0;
  const atom = JS_ValueToAtom(here, text);
  JS_FreeValue(here, text);
  return atom;
}

function parseWord(here: Context, at: usize): usize {
  if (at + 4 > textEnd()) return 0;
  const word = load<u32>(at);
  if (word === 0x65757274) return push(here, trueValue, at + 4);
  if (word === 0x6c6c756e) return push(here, nullValue, at + 4);
  return word === 0x736c6166 && load<u8>(at, 4) === 0x65 ? push(here, falseValue, at + 5) : 0;
}

function parseArray(here: Context, at: usize, depth: u32, place: u32): usize {
  if (depth > mostDepth) return 0;
  const start = topOffset();
  at = skip(at);
  if (load<u8>(at) === 0x5d) at++;
  else {
    for (;;) {
      at = parseValue(here, at, depth, placeOfElements(place));
      if (at === 0) return 0;
      at = skip(at);
      const byte = <u32>load<u8>(at++);
      if (byte === 0x5d) break;
      if (byte !== comma) return 0;
    }
  }
  const from = valueAt(start);
  const count = <i32>((topOffset() - start) >> 3);
  setTop(from);
  return pushMade(here, JS_NewArrayFrom(here, count, from), at); // the values are its own now, or freed
}

// Places, as hashes. What is in no array is read once: that is place 0, which has no record.
// @ts-ignore: decorator
@inline
function placeOfElements(place: u32): u32 {
  return place * 5 + 1;
}

// @ts-ignore: decorator
@inline
function placeOfKey(place: u32, index: u32): u32 {
  return place === 0 ? 0 : place * 5 + 2 + index;
}

/** The record of a place, or 0 when it has none or an object around this one is being read with it. */
// @ts-ignore: decorator
@inline
function recordOf(place: u32): usize {
  const record = records + (place & (recordCount - 1)) * recordBytes;
  return place === 0 || load<u32>(record, recordBusy) !== 0 ? 0 : record;
}

/** An object, from behind its brace. */
function parseObject(here: Context, at: usize, depth: u32, place: u32): usize {
  if (depth > mostDepth) return 0;
  const record = recordOf(place);
  if (record === 0) return parseOther(here, at, depth, place, 0, topOffset(), 0);
  store<u32>(record, 1, recordBusy);
  at = parseRecord(here, at, depth, place, record);
  store<u32>(record, 0, recordBusy);
  return at;
}

function parseRecord(here: Context, at: usize, depth: u32, place: u32, record: usize): usize {
  const start = topOffset();
  const like: usize = load<u32>(record, recordObject);
  const end = textEnd();
  let known: u32 = 0;
  if (like !== 0) {
    const count = load<u32>(record, recordKeyCount);
    let key = record + recordKeys;
    for (; known < count; known++) {
      const length: usize = load<u32>(key, 4);
      if (!same(at, load<u32>(key), length, end)) break;
      at = parseValue(here, at + length, depth, placeOfKey(place, known));
      if (at === 0) return 0;
      key += 8;
    }
    if (known === count) {
      const next = skip(at);
      if (load<u8>(next) === 0x7d) return newLike(here, like, start, next + 1);
    }
  }
  return parseOther(here, at, depth, place, record, start, known);
}

function forget(here: Context, record: usize): void {
  const object: usize = load<u32>(record, recordObject);
  if (object === 0) return;
  store<u32>(record, 0, recordObject);
  JS_FreeValue(here, objectValue(object));
}

/** Remembers an object, if others can have its shape. */
function remember(here: Context, record: usize, value: JSValue, keys: u32): void {
  if (!canBeLiked(value, keys)) return;
  JS_DupValue(here, value);
  store<u32>(record, <u32>value, recordObject);
  store<u32>(record, keys, recordKeyCount);
}

/** Makes an object of the `known` values on the stack from `start` on, whose keys are the first ones of the record. */
function beginObject(here: Context, record: usize, start: u32, known: u32): bool {
  const object = JS_NewObject(here);
  if (pushMade(here, object, 1) === 0) return false;
  if (known > 0) {
    const shape: usize = load<u32>(load<u32>(record, recordObject), objectShape);
    let atom = shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes + propertyAtom;
    let at = valueAt(start);
    for (let i: u32 = 0; i < known; i++) {
      const value = load<u64>(at);
      store<u64>(at, undefinedValue);
      if (JS_DefinePropertyValue(here, object, load<u32>(atom), value, propertyOrdinary) < 0) return thrown() !== 0;
      at += 8;
      atom += propertyBytes;
    }
    const first = valueAt(start);
    store<u64>(first, object);
    setTop(first + 8);
  }
  if (record !== 0) forget(here, record);
  return true;
}

/** The rest of an object that is not like the one before: its first `known` values are read already. */
function parseOther(here: Context, at: usize, depth: u32, place: u32, record: usize, start: u32, known: u32): usize {
  if (!beginObject(here, record, start, known)) return 0;
  const object = load<u64>(valueAt(start));
  let count = known;
  for (; ; count++) {
    const from = at;
    at = skip(at);
    if (load<u8>(at) === 0x7d) break;
    if (count > 0) {
      if (load<u8>(at) !== comma) return 0;
      at = skip(at + 1);
    }
    if (load<u8>(at) !== quote) return 0;
    const scanned = scanText(at + 1, textEnd());
    if (scanned === 0) return 0;
    const opening = at;
    at = skip(<usize>(<u32>scanned) + 1);
    if (load<u8>(at++) !== colon) return 0;
    if (record !== 0 && count < mostKeys) {
      store<u32>(record + recordKeys + (count << 3), from);
      store<u32>(record + recordKeys + (count << 3), at - from, 4);
    }
    at = parseValue(here, at, depth, placeOfKey(place, count));
    if (at === 0) return 0;
    const atom = newKey(here, opening, scanned);
    if (atom === 0) {
      JS_ThrowOutOfMemory(here);
      return thrown();
    }
    const top = topAddress() - 8;
    setTop(top);
    const defined = JS_DefinePropertyValue(here, object, atom, load<u64>(top), propertyOrdinary);
    JS_FreeAtom(here, atom);
    if (defined < 0) return thrown();
  }
  if (record !== 0 && count > 0 && count <= mostKeys) remember(here, record, object, count);
  return at + 1;
}

/** Reads a value at a place, in containers `depth` deep, and pushes it. Returns where the text goes on, or 0. */
function parseValue(here: Context, at: usize, depth: u32, place: u32): usize {
  at = skip(at);
  const byte = <u32>load<u8>(at);
  if (byte === quote) return parseText(here, at);
  if (isDigit(byte) || byte === 0x2d) return parseNumber(here, at);
  if (byte === 0x7b) return parseObject(here, at + 1, depth + 1, place);
  if (byte === 0x5b) return parseArray(here, at + 1, depth + 1, place);
  return parseWord(here, at);
}

/** The value of a text of `length` bytes, behind which there is a zero, as JS_ParseJSON gives it. Writes to the text and puts it back. */
export function parseJson(here: Context, at: usize, length: u32): JSValue {
  beginValues();
  store<u32>(state, at + length);
  const next = parseValue(here, at, 0, 0);
  for (let i: u32 = 0; i < recordCount; i++) forget(here, records + i * recordBytes);
  const whole = next !== 0 && skip(next) === at + length;
  const value = endValues(here, whole);
  if (whole) return value;
  if (hasThrown()) return exceptionValue;
  const other = slice(here, at, at + length);
  if (tagOf(other) === tagException) return other;
  const offset = malformedAt(at, length); // the engine takes surrogates that are encoded for themselves
  if (offset < 0) return other;
  JS_FreeValue(here, other);
  return throwMalformed(here, offset);
}
