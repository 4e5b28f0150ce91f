/**
 * XML's elements as values. A child that was read is a pair of name and value on a stack, text between children one without a name; the
 * pairs of one name are chained. When an element ends, its pairs become the properties of an object.
 *
 *   pair    0 u64  value; of text: its address and, above bit 32, its length
 *           8 u32  name (xml-names.ts); 0: text          16 u32  of a name's first: the last pair of the name
 *          12 u32  the next pair of this name, or 0      20 u32  of a name's first: how many there are, else 0
 *          24 u32  the name's owner before, and 28 u32 its first pair
 *   frame   0 u32  the element's name as it stands       12 u32  its first pair
 *           4 u32  length of that                        16 u32  its number
 *           8 u32  its name, without a prefix if asked   20 u32  whether it has children
 */
import { canBeLiked, newLike } from "./alike";
import {
  Context, JS_DefinePropertyValue, JS_DupValue, JS_FreeValue, js_free, js_malloc, JS_NewArrayFrom, JS_NewObject, JS_NewStringLen, JSValue,
  objectValue, propertyOrdinary, tagException, tagOf, undefinedValue,
} from "./engine";
import { push, pushMade, setTop, topAddress, topOffset, valueAt } from "./json-values";
import { bucketBytes, objectShape, propertyAtom, propertyBytes, shapeBuckets, shapeProperties, shapeTable } from "./objects";
import { isArray, nameAtom, nameFirst, nameLike, nameOwner } from "./xml-names";
import { keepSpace } from "../runtime/formats/xml-options";
import { isSpace } from "./xml-scan";
import { addressIn, append, atOptions, atTextAtom, frames, get, lengthOf, names, pairs, setLength, takeValue } from "./xml-state";

export const pairBytes: u32 = 32;
export const pairName: usize = 8;
const pairNext: usize = 12;
const pairLast: usize = 16;
export const pairCount: usize = 20;
export const pairOwner: usize = 24;
export const pairFirst: usize = 28;

export const frameBytes: u32 = 24;
export const frameNameLength: usize = 4;
export const frameName: usize = 8;
export const framePairs: usize = 12;
export const frameSerial: usize = 16;
export const frameHasChildren: usize = 20;

/** The frame of the element that is being read. */
// @ts-ignore: decorator
@inline
export function topFrame(): usize {
  return addressIn(frames, lengthOf(frames) - frameBytes);
}

/** Adds a child or an attribute to the element that is being read, which owns the value from now on. False while an exception stands. */
export function addPair(here: Context, nameOffset: u32, value: JSValue): bool {
  const offset = lengthOf(pairs);
  const pair = append(here, pairs, pairBytes);
  if (pair === 0) {
    JS_FreeValue(here, value);
    return false;
  }
  store<u64>(pair, value);
  store<u32>(pair, nameOffset, pairName);
  store<u32>(pair, 0, pairNext);
  const name = addressIn(names, nameOffset);
  const serial = load<u32>(topFrame(), frameSerial);
  if (load<u32>(name, nameOwner) === serial) {
    const first = addressIn(pairs, load<u32>(name, nameFirst));
    store<u32>(addressIn(pairs, load<u32>(first, pairLast)), offset, pairNext);
    store<u32>(first, offset, pairLast);
    store<u32>(first, load<u32>(first, pairCount) + 1, pairCount);
    store<u32>(pair, 0, pairCount);
    return true;
  }
  store<u32>(pair, offset, pairLast);
  store<u32>(pair, 1, pairCount);
  store<u32>(pair, load<u32>(name, nameOwner), pairOwner);
  store<u32>(pair, load<u32>(name, nameFirst), pairFirst);
  store<u32>(name, serial, nameOwner);
  store<u32>(name, offset, nameFirst);
  return true;
}

/** Adds text to the element that is being read. */
export function addText(here: Context, from: usize, length: usize): bool {
  const pair = append(here, pairs, pairBytes);
  if (pair === 0) return false;
  store<u64>(pair, <u64>from | (<u64>length << 32));
  store<u64>(pair, 0, pairName);
  store<u32>(pair, 0, pairCount);
  return true;
}

/** Frees the values of all pairs that are there. */
export function freePairs(here: Context): void {
  for (let offset: u32 = 0; offset < lengthOf(pairs); offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) !== 0) JS_FreeValue(here, load<u64>(pair));
  }
}

/** A text without white space at both ends, unless that is kept. */
export function newText(here: Context, from: usize, to: usize): JSValue {
  if ((get(atOptions) & keepSpace) === 0) {
    while (from < to && isSpace(load<u8>(from))) from++;
    while (to > from && isSpace(load<u8>(to - 1))) to--;
  }
  return JS_NewStringLen(here, from, to - from);
}

/** The value of an element with attributes or children, of the pairs from `first` on, which are gone then. */
export function newObject(here: Context, first: u32, nameOffset: u32, hasChildren: bool): JSValue {
  const start = topOffset();
  const count = pushValues(here, first, nameOffset, hasChildren);
  if (count < 0) return exceptionAfter(here, start);
  const withText = (count & 1) !== 0;
  const value = makeObject(here, first, nameOffset, start, <u32>count >> 1, withText);
  setLength(pairs, first);
  return value;
}

function exceptionAfter(here: Context, start: u32): JSValue {
  const from = valueAt(start);
  for (let at = from; at < topAddress(); at += 8) JS_FreeValue(here, load<u64>(at));
  setTop(from);
  return <u64>tagException << 32;
}

/** Pushes the value of each name, then the element's text, if any. Returns twice the number of values, plus 1 if the last is text; after an exception, −1. */
function pushValues(here: Context, first: u32, nameOffset: u32, hasChildren: bool): i32 {
  let count: i32 = 0;
  let texts: u32 = 0;
  let textBytes: u32 = 0;
  const end = lengthOf(pairs);
  for (let offset = first; offset < end; offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    const child = load<u32>(pair, pairName);
    if (child === 0) {
      texts++;
      textBytes += load<u32>(pair, 4);
      continue;
    }
    const many = load<u32>(pair, pairCount);
    if (many === 0) continue;
    count++;
    const name = addressIn(names, child);
    store<u32>(name, load<u32>(pair, pairOwner), nameOwner);
    store<u32>(name, load<u32>(pair, pairFirst), nameFirst);
    if (many === 1 && !isArray(nameOffset, child)) {
      if (push(here, takeValue(pair), 1) === 0) return -1;
    } else if (!pushList(here, offset, many)) return -1;
  }
  if (texts === 0) return count << 1;
  const text = joined(here, first, texts, textBytes, hasChildren);
  if (text === undefinedValue) return count << 1;
  return pushMade(here, text, 1) === 0 ? -1 : ((count + 1) << 1) | 1;
}

/** Pushes a list of the values of a name. */
function pushList(here: Context, offset: u32, many: u32): bool {
  const start = topOffset();
  for (let left = many; left > 0; left--) {
    const pair = addressIn(pairs, offset);
    offset = load<u32>(pair, pairNext);
    if (push(here, takeValue(pair), 1) === 0) return false;
  }
  const from = valueAt(start);
  setTop(from);
  return pushMade(here, JS_NewArrayFrom(here, <i32>many, from), 1) !== 0; // the values are its own now, or freed
}

/** The text of an element with attributes or children; without text, or with only layout between children, undefined. */
function joined(here: Context, first: u32, texts: u32, size: u32, hasChildren: bool): JSValue {
  let offset = first;
  while (load<u32>(addressIn(pairs, offset), pairName) !== 0) offset += pairBytes;
  if (texts === 1) {
    const from: usize = load<u32>(addressIn(pairs, offset));
    return textOrNothing(here, from, from + size, hasChildren);
  }
  const whole = js_malloc(here, size);
  if (whole === 0) return <u64>tagException << 32;
  let to = whole;
  for (; texts > 0; offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) !== 0) continue;
    memory.copy(to, load<u32>(pair), load<u32>(pair, 4));
    to += load<u32>(pair, 4);
    texts--;
  }
  const value = textOrNothing(here, whole, to, hasChildren);
  js_free(here, whole);
  return value;
}

function textOrNothing(here: Context, from: usize, to: usize, hasChildren: bool): JSValue {
  if (hasChildren || (get(atOptions) & keepSpace) === 0) {
    let at = from;
    while (at < to && isSpace(load<u8>(at))) at++;
    if (at === to) return undefinedValue;
  }
  return newText(here, from, to);
}

/** The atom of a shape's property `index`. */
// @ts-ignore: decorator
@inline
function atoms(shape: usize): usize {
  return shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes + propertyAtom;
}

/** True if an object has the names of these pairs, in their order, and text behind them. */
function isLike(like: usize, first: u32, count: u32, withText: bool): bool {
  const shape: usize = load<u32>(like, objectShape);
  if (load<u32>(shape, shapeProperties) !== count) return false;
  let atom = atoms(shape);
  const end = lengthOf(pairs);
  for (let offset = first; offset < end; offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) === 0 || load<u32>(pair, pairCount) === 0) continue;
    if (load<u32>(atom) !== load<u32>(addressIn(names, load<u32>(pair, pairName)), nameAtom)) return false;
    atom += propertyBytes;
  }
  return !withText || load<u32>(atom) === get(atTextAtom);
}

/** Makes an object of the values on the stack from `start` on; it is the last one of its element's name then. */
function makeObject(here: Context, first: u32, nameOffset: u32, start: u32, count: u32, withText: bool): JSValue {
  const like: usize = load<u32>(addressIn(names, nameOffset), nameLike);
  if (like !== 0 && isLike(like, first, count, withText)) {
    if (newLike(here, like, start, 1) === 0) return exceptionAfter(here, start);
    const at = valueAt(start);
    setTop(at);
    return load<u64>(at);
  }
  const object = JS_NewObject(here);
  if (tagOf(object) === tagException) return exceptionAfter(here, start);
  let at = valueAt(start);
  let offset = first;
  for (let left = count; left > 0; left--) {
    let atom = get(atTextAtom);
    if (left > 1 || !withText) {
      let pair = addressIn(pairs, offset);
      for (; load<u32>(pair, pairName) === 0 || load<u32>(pair, pairCount) === 0; pair += pairBytes) offset += pairBytes;
      atom = load<u32>(addressIn(names, load<u32>(pair, pairName)), nameAtom);
      offset += pairBytes;
    }
    if (JS_DefinePropertyValue(here, object, atom, takeValue(at), propertyOrdinary) < 0) {
      JS_FreeValue(here, object);
      return exceptionAfter(here, start);
    }
    at += 8;
  }
  setTop(valueAt(start));
  remember(here, addressIn(names, nameOffset), object, count);
  return object;
}

function remember(here: Context, name: usize, object: JSValue, count: u32): void {
  if (count === 0 || !canBeLiked(object, count)) return;
  const before: usize = load<u32>(name, nameLike);
  if (before !== 0) JS_FreeValue(here, objectValue(before));
  JS_DupValue(here, object);
  store<u32>(name, <u32>object, nameLike);
}
