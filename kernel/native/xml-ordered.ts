/**
 * XML's elements with their content in order: `{ "#name": "p", "@class": "x", "#children": ["text", { "#name": "b" }] }`, and a processing
 * instruction as `{ "#instruction": "target data" }`. Comments are left out, as in the other form (xml-values.ts).
 */
import {
  Context, JS_DefinePropertyValue, JS_FreeValue, JS_NewArrayFrom, JS_NewAtomLen, JS_NewObject, JS_NewStringLen, JSValue, propertyOrdinary,
  tagException, tagOf,
} from "./engine";
import { push, setTop, topAddress, topOffset, valueAt } from "./json-values";
import { keepSpace } from "../runtime/formats/xml-options";
import { intern, nameAtom, nameFirst, nameOwner } from "./xml-names";
import { isSpace } from "./xml-scan";
import {
  addressIn, append, atChildrenAtom, atInstruction, atNameAtom, atOptions, get, lengthOf, names, pairs, set, setLength, takeValue,
} from "./xml-state";
import { moveText } from "./xml-text";
import { addPair, pairBytes, pairCount, pairFirst, pairName, pairOwner } from "./xml-values";

// "#name", "#children", "#instruction"
// @ts-ignore: decorator
@lazy const nameKey: usize = memory.data<u8>([35, 110, 97, 109, 101]);
// @ts-ignore: decorator
@lazy const childrenKey: usize = memory.data<u8>([35, 99, 104, 105, 108, 100, 114, 101, 110]);
// Read eight bytes at a time.
// @ts-ignore: decorator
@lazy const instructionKey: usize = memory.data<u8>([35, 105, 110, 115, 116, 114, 117, 99, 116, 105, 111, 110, 0, 0, 0, 0, 0, 0, 0, 0]);
const nameKeyBytes: usize = 5, childrenKeyBytes: usize = 9, instructionKeyBytes: usize = 12;

/** Makes the atoms; false while an exception stands. */
export function beginOrder(here: Context): bool {
  set(atNameAtom, JS_NewAtomLen(here, nameKey, nameKeyBytes));
  set(atChildrenAtom, JS_NewAtomLen(here, childrenKey, childrenKeyBytes));
  set(atInstruction, intern(here, instructionKey, instructionKeyBytes));
  return get(atNameAtom) !== 0 && get(atChildrenAtom) !== 0 && get(atInstruction) !== 0;
}

// @ts-ignore: decorator
@inline
function recordOf(pair: usize): usize {
  return addressIn(names, load<u32>(pair, pairName));
}

/** True if a pair is an attribute: its name begins with "@". */
// @ts-ignore: decorator
@inline
function isAttribute(pair: usize): bool {
  return load<u8>(load<u32>(recordOf(pair))) === 0x40;
}

function hasInk(from: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; i++) if (!isSpace(load<u8>(from + i))) return true;
  return false;
}

/** True if texts between children stay: they are asked for, or one of them is more than layout. */
function keepsTexts(first: u32): bool {
  if ((get(atOptions) & keepSpace) !== 0) return true;
  for (let offset = first; offset < lengthOf(pairs); offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) === 0 && hasInk(load<u32>(pair), load<u32>(pair, 4))) return true;
  }
  return false;
}

/** Gives the names of an element's pairs back to the element around it, and pushes its children. Returns their number; after an exception, -1. */
function pushChildren(here: Context, first: u32): i32 {
  const keeps = keepsTexts(first);
  let count: i32 = 0;
  for (let offset = first; offset < lengthOf(pairs); offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) === 0) {
      const length = load<u32>(pair, 4);
      if (!keeps || length === 0) continue;
      const text = JS_NewStringLen(here, load<u32>(pair), length);
      if (tagOf(text) === tagException || push(here, text, 1) === 0) return -1;
      count++;
      continue;
    }
    if (load<u32>(pair, pairCount) !== 0) {
      const name = recordOf(pair);
      store<u32>(name, load<u32>(pair, pairOwner), nameOwner);
      store<u32>(name, load<u32>(pair, pairFirst), nameFirst);
    }
    if (isAttribute(pair)) continue;
    if (push(here, takeValue(pair), 1) === 0) return -1;
    count++;
  }
  return count;
}

function drop(here: Context, start: u32): void {
  const from = valueAt(start);
  for (let at = from; at < topAddress(); at += 8) JS_FreeValue(here, load<u64>(at));
  setTop(from);
}

/** Defines the name and the attributes. False while an exception stands. */
function describe(here: Context, object: JSValue, first: u32, name: usize): bool {
  const text = JS_NewStringLen(here, load<u32>(name), load<u32>(name, 4));
  if (tagOf(text) === tagException || JS_DefinePropertyValue(here, object, get(atNameAtom), text, propertyOrdinary) < 0) return false;
  for (let offset = first; offset < lengthOf(pairs); offset += pairBytes) {
    const pair = addressIn(pairs, offset);
    if (load<u32>(pair, pairName) === 0 || !isAttribute(pair)) continue;
    if (JS_DefinePropertyValue(here, object, load<u32>(recordOf(pair), nameAtom), takeValue(pair), propertyOrdinary) < 0) return false;
  }
  return true;
}

/** The value of an element of the pairs from `first` on, which are gone then. */
export function newOrdered(here: Context, first: u32, nameOffset: u32): JSValue {
  const start = topOffset();
  const count = pushChildren(here, first);
  const object = count < 0 ? <u64>tagException << 32 : JS_NewObject(here);
  let isWhole = tagOf(object) !== tagException && describe(here, object, first, addressIn(names, nameOffset));
  if (isWhole && count > 0) {
    const from = valueAt(start);
    setTop(from);
    const children = JS_NewArrayFrom(here, count, from); // the values are its own now, or freed
    isWhole = tagOf(children) !== tagException && JS_DefinePropertyValue(here, object, get(atChildrenAtom), children, propertyOrdinary) >= 0;
  } else if (!isWhole) drop(here, start);
  if (isWhole) {
    setLength(pairs, first);
    return object;
  }
  if (tagOf(object) !== tagException) JS_FreeValue(here, object);
  return <u64>tagException << 32;
}

/** Adds the instruction from `<?` at `from` up to behind its `?>` at `to`. False while an exception stands. */
export function addInstruction(here: Context, from: usize, to: usize): bool {
  const end = moveText(from + 2, from + 2, to - 2);
  const text = JS_NewStringLen(here, from + 2, end - from - 2);
  const object = tagOf(text) === tagException ? text : JS_NewObject(here);
  if (tagOf(object) === tagException) {
    if (tagOf(text) !== tagException) JS_FreeValue(here, text);
    return false;
  }
  if (JS_DefinePropertyValue(here, object, load<u32>(addressIn(names, get(atInstruction)), nameAtom), text, propertyOrdinary) < 0) {
    JS_FreeValue(here, object);
    return false;
  }
  return addPair(here, get(atInstruction), object);
}
