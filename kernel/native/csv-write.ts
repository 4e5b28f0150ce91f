/**
 * CSV of plain rows; for whatever is not plain it gives up, and formats/csv-format.ts writes all of it, or says what is wrong. Nothing can have
 * been seen of the attempt: it reads memory and runs no code of the flow.
 *
 *   rows: objects of any prototype, whose columns are ordinary values; or lists without holes, of two fields at least
 *   fields: texts, finite numbers, booleans; nothing for null, undefined and a column that is not there
 */
import {
  Context, exceptionValue, JS_FreeAtom, js_free, js_malloc, JS_NewArrayFrom, JS_NewStringLen, JS_ValueToAtom, JS_DupValue, JSValue, tagNull, tagObject, tagOf, tagString,
  tagUndefined, undefinedValue,
} from "./engine";
import { beginValues, endValues, hasThrown, push, setTop, topOffset, valueAt } from "./json-values";
import { beginText, hasFailed, isOrdinary, room } from "./json-write";
import {
  arrayCount, arrayElements, bucketBytes, classArray, flagFast, objectClass, objectFlags, objectShape, objectValues, propertyAtom, propertyBytes, propertySpecial,
  shapeBuckets, shapeProperties, shapeTable,
} from "./objects";
import { putScalar } from "./plain-write";
import { outbox, outboxLength } from "./state";

const quote: u32 = 0x22;
const space: u8 = 0x20;
const markLead: u8 = 0xef; // of U+FEFF, EF BB BF
/** `sep=`, as a word. */
const delimiterLine: u32 = 0x3d706573;

// How a text is written: by byte, 1 for those that need quotes, 2 for the quote; then a column's atom and the index of its value in the last
// row's shape, or -1, 8 bytes each.
const classesBytes: usize = 256;
// @ts-ignore: decorator
@lazy const state: usize = memory.data(20, 4);
const atRoom: usize = 0, atColumns: usize = 4, atShape: usize = 8, atDelimiter: usize = 12, atNewline: usize = 16;

// @ts-ignore: decorator
@inline
function get(offset: usize): u32 {
  return load<u32>(state + offset);
}

// @ts-ignore: decorator
@inline
function set(offset: usize, value: u32): void {
  store<u32>(state + offset, value);
}

/** Elements of an array without holes; 0 for anything else. Their number is at `arrayCount`. */
function elementsOf(value: JSValue): bool {
  if (tagOf(value) !== tagObject) return false;
  const array = <usize>(<u32>value);
  if (load<u16>(array, objectClass) !== classArray || (load<u8>(array, objectFlags) & flagFast) === 0) return false;
  return load<u64>(load<u32>(array, objectValues)) === <u64>load<u32>(array, arrayCount); // `length`, an integer
}

// @ts-ignore: decorator
@inline
function elementAt(array: JSValue, index: u32): JSValue {
  return load<u64>(<usize>load<u32>(<u32>array, arrayElements) + (<usize>index << 3));
}

// @ts-ignore: decorator
@inline
function lengthOf(array: JSValue): u32 {
  return load<u32>(<u32>array, arrayCount);
}

/** True for a field that a reader would take for another without quotes. */
function needsQuotes(from: usize, end: usize): bool {
  const length = end - from;
  if (length === 0) return false;
  if (load<u8>(from) === space || load<u8>(end - 1) === space) return true;
  if (length >= 4 && (load<u32>(from) | 0x00202020) === delimiterLine) return true;
  const classes = <usize>get(atRoom);
  for (let at = from; at < end; at++) {
    const byte = load<u8>(at);
    if (load<u8>(classes + byte) !== 0 && (byte !== markLead || (load<u16>(at, 1) === 0xbfbb && at + 2 < end))) return true;
  }
  return false;
}

/** Puts a field that was written into quotes, and doubles those in it. */
function quoted(from: usize, end: usize): usize {
  let quotes: usize = 0;
  for (let at = from; at < end; at++) if (load<u8>(at) === quote) quotes++;
  const written = from - outbox();
  const behind = room(end, quotes + 2);
  if (behind === 0) return 0;
  const start = outbox() + written;
  let to = behind + quotes + 2;
  const last = to;
  store<u8>(--to, <u8>quote);
  for (let at = behind; at > start; ) {
    const byte = load<u8>(--at);
    store<u8>(--to, byte);
    if (byte === quote) store<u8>(--to, <u8>quote);
  }
  store<u8>(start, <u8>quote);
  return last;
}

function writeField(here: Context, at: usize, value: JSValue): usize {
  const tag = tagOf(value);
  if (tag === tagUndefined || tag === tagNull) return at;
  const written = at - outbox();
  const end = putScalar(here, at, value);
  if (end === 0) return 0;
  const from = outbox() + written;
  return needsQuotes(from, end) ? quoted(from, end) : end;
}

function writeBreak(at: usize): usize {
  const newline = get(atNewline);
  store<u16>(at, <u16>newline);
  return at + (newline > 0xff ? 2 : 1);
}

function writeList(here: Context, given: usize, row: JSValue): usize {
  const count = lengthOf(row);
  if (count < 2) return 0;
  let at = given;
  for (let index: u32 = 0; index < count; index++) {
    at = room(at, 0);
    if (at === 0) return 0;
    if (index > 0) store<u8>(at++, <u8>get(atDelimiter));
    at = writeField(here, at, elementAt(row, index));
    if (at === 0) return 0;
  }
  at = room(at, 0);
  return at === 0 ? 0 : writeBreak(at);
}

/** Looks for the columns among the properties of a shape; false for one that is no plain value. */
function findColumns(shape: usize): bool {
  const first = shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes;
  const properties = load<u32>(shape, shapeProperties);
  const columns = get(atColumns);
  for (let column: u32 = 0; column < columns; column++) {
    const record = <usize>get(atRoom) + classesBytes + (<usize>column << 3);
    let found = -1;
    for (let index: u32 = 0; index < properties && found < 0; index++) {
      const property = first + index * propertyBytes;
      if (load<u32>(property, propertyAtom) !== load<u32>(record)) continue;
      if ((load<u32>(property) & propertySpecial) !== 0) return false;
      found = <i32>index;
    }
    store<i32>(record, found, 4);
  }
  set(atShape, <u32>shape);
  return true;
}

function writeRow(here: Context, given: usize, row: JSValue): usize {
  if (tagOf(row) !== tagObject || !isOrdinary(<u32>row)) return 0;
  const object = <usize>(<u32>row);
  const shape = load<u32>(object, objectShape);
  if (shape !== get(atShape) && !findColumns(shape)) return 0;
  const columns = get(atColumns);
  let at = given;
  for (let column: u32 = 0; column < columns; column++) {
    at = room(at, 0);
    if (at === 0) return 0;
    if (column > 0) store<u8>(at++, <u8>get(atDelimiter));
    const index = load<i32>(<usize>get(atRoom) + classesBytes + (<usize>column << 3), 4);
    if (index >= 0) at = writeField(here, at, load<u64>(<usize>load<u32>(object, objectValues) + (<usize>index << 3)));
    if (at === 0) return 0;
  }
  at = room(at, 0);
  return at === 0 ? 0 : writeBreak(at);
}

/** Sets what needs quotes. */
function classify(delimiter: u32): void {
  const classes = <usize>get(atRoom);
  memory.fill(classes, 0, classesBytes);
  // "\r\n", the delimiters that are found where none is given, and the beginning of a byte order mark.
  for (let word: u64 = 0x0a0d2c097c3b1e1f; word !== 0; word >>= 8) store<u8>(classes + <u8>word, 1);
  store<u8>(classes + markLead, 1);
  store<u8>(classes + delimiter, 1);
  store<u8>(classes + quote, 2);
}

/** Takes the atoms of the names; false while an exception stands, or for what is no name. */
function takeNames(here: Context, names: JSValue): bool {
  const count = lengthOf(names);
  for (let index: u32 = 0; index < count; index++) {
    const name = elementAt(names, index);
    const atom = tagOf(name) === tagString ? JS_ValueToAtom(here, name) : 0;
    if (atom === 0) return false;
    store<u64>(<usize>get(atRoom) + classesBytes + (<usize>index << 3), atom);
    set(atColumns, index + 1);
  }
  return true;
}

function writeRows(here: Context, rows: JSValue, isList: bool): usize {
  beginText();
  let at = outbox() + outboxLength();
  const count = lengthOf(rows);
  for (let index: u32 = 0; index < count; index++) {
    const row = elementAt(rows, index);
    if (!isList) at = writeRow(here, at, row);
    else at = elementsOf(row) ? writeList(here, at, row) : 0;
    if (at === 0) return 0;
  }
  return at;
}

/**
 * The text of rows: of lists, if `names` is undefined, else of objects, with these columns. `newline`: the bytes of a line break. Undefined if it gives
 * up.
 */
export function csvText(here: Context, rows: JSValue, names: JSValue, delimiter: u32, newline: u32): JSValue {
  const isList = tagOf(names) === tagUndefined;
  if (!elementsOf(rows) || delimiter > 0x7f || !(isList || (elementsOf(names) && lengthOf(names) > 1))) return undefinedValue;
  const columns = js_malloc(here, classesBytes + (isList ? 0 : <usize>lengthOf(names) << 3));
  if (columns === 0) return exceptionValue;
  set(atRoom, <u32>columns);
  set(atColumns, 0);
  set(atShape, 0);
  set(atDelimiter, delimiter);
  set(atNewline, newline);
  classify(delimiter);
  const end = isList || takeNames(here, names) ? writeRows(here, rows, isList) : 0;
  const failed = hasFailed();
  for (let index: u32 = 0; index < get(atColumns); index++) JS_FreeAtom(here, load<u32>(columns + classesBytes + (<usize>index << 3)));
  js_free(here, columns);
  if (end === 0) return failed ? exceptionValue : undefinedValue;
  const from = outbox() + outboxLength();
  return JS_NewStringLen(here, from, end - from);
}

/** Those of the rows whose properties may have other names than those of the row before. Undefined if it gives up. */
export function unlikeRows(here: Context, rows: JSValue): JSValue {
  if (!elementsOf(rows)) return undefinedValue;
  beginValues();
  let before: u32 = 0;
  let isWhole = true;
  for (let index: u32 = 0; isWhole && index < lengthOf(rows); index++) {
    const row = elementAt(rows, index);
    const shape = tagOf(row) === tagObject && isOrdinary(<u32>row) ? load<u32>(<u32>row, objectShape) : 0;
    if (shape === 0 || shape !== before) isWhole = push(here, JS_DupValue(here, row), 1) !== 0;
    before = shape;
  }
  const list = valueAt(0);
  const count = <i32>(topOffset() >> 3);
  if (isWhole) setTop(list);
  const value = isWhole ? JS_NewArrayFrom(here, count, list) : exceptionValue; // the values are its own now, or freed
  endValues(here, false);
  return hasThrown() ? exceptionValue : value;
}
