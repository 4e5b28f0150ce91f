/**
 * structuredClone of plain data; for whatever is not plain the cloner gives up, and web/structured-clone.ts clones the whole value. Nothing can
 * have been seen of the attempt: it reads memory and runs no code of the flow.
 *
 *   objects of the class Object and with its prototype, whose properties are ordinary values under names that are texts; arrays without holes;
 *   texts, numbers, booleans, null, undefined  →  cloned; an object's clone has its shape (alike.ts)
 *   what is reached twice  →  cloned once; only objects with more than one reference can be, and are noted
 *   any other class, accessors, frozen objects, symbols, cycles; deeper than `mostDepth`  →  given up
 */
import { canBeLiked, newLike } from "./alike";
import { beginValues, endValues, hasThrown, push, pushMade, setTop, thrown, topOffset, valueAt } from "./json-values";
import {
  Context, exceptionValue, isFloat64, JS_DupValue, JS_FreeValue, js_free, js_malloc, JS_NewArrayFrom, JS_NewObject, JSValue, tagBool, tagException, tagInt, tagNull,
  tagObject, tagOf, tagRope, tagString, tagUndefined, undefinedValue,
} from "./engine";
import {
  arrayCount, arrayElements, atomIsString, bucketBytes, classArray, classObject, countBefore, flagFast, objectClass, objectFlags, objectShape, objectValues,
  objectWeak, propertyAtom, propertyBytes, propertyOrdinaryFlags, runtimeAtoms, shapeBuckets, shapeProperties, shapePrototype, shapeTable, stringHash,
} from "./objects";
import { arrayPrototype, objectPrototype, runtime } from "./state";

/** How deep objects and arrays are cloned here. */
const mostDepth: u32 = 64;
/** Objects that may be reached twice: an address, and 8 bytes on its clone, which is 0 while it is made. */
const mostShared: u32 = 256;
const sharedBytes: u32 = 16;

// Flags of a fresh object; address and number of the shared objects.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(12, 4);
const atFlags: usize = 0;
const atShared: usize = 4;
const atSharedCount: usize = 8;

/** The record of a shared object, which is added if it is not there; 0 without room for it. */
function sharedOf(here: Context, object: usize): usize {
  if (load<u32>(state, atShared) === 0) {
    const room = js_malloc(here, mostShared * sharedBytes);
    if (room === 0) return thrown();
    store<u32>(state, room, atShared);
  }
  const first = <usize>load<u32>(state, atShared);
  const count = load<u32>(state, atSharedCount);
  let record = first;
  for (const end = first + count * sharedBytes; record < end; record += sharedBytes) if (load<u32>(record) === object) return record;
  if (count === mostShared) return 0;
  store<u64>(record, object);
  store<u64>(record, 0, 8);
  store<u32>(state, count + 1, atSharedCount);
  return record;
}

function cloneObject(here: Context, object: usize, depth: u32): bool {
  const shape = <usize>load<u32>(object, objectShape);
  const count = load<u32>(shape, shapeProperties);
  if (load<u8>(object, objectFlags) !== load<u32>(state, atFlags) || load<u32>(object, objectWeak) !== 0) return false;
  if (<usize>load<u32>(shape, shapePrototype) !== objectPrototype() || !canBeLiked(((<u64>tagObject) << 32) | object, count)) return false;
  const atoms: usize = load<u32>(runtime(), runtimeAtoms);
  const start = topOffset();
  let property = shape + shapeTable + (load<u32>(shape, shapeBuckets) + 1) * bucketBytes;
  for (let index: u32 = 0; index < count; index++, property += propertyBytes) {
    if (load<u32>(property) >>> 26 !== propertyOrdinaryFlags) return false;
    const atom = load<u32>(property, propertyAtom);
    if (<i32>atom >= 0 && load<u32>(load<u32>(atoms + (<usize>atom << 2)), stringHash) >> 30 !== atomIsString) return false;
    if (!cloneValue(here, load<u64>(<usize>load<u32>(object, objectValues) + (<usize>index << 3)), depth)) return false;
  }
  if (count === 0) return pushMade(here, JS_NewObject(here), 1) !== 0;
  return newLike(here, object, start, 1) !== 0;
}

function cloneArray(here: Context, array: usize, depth: u32): bool {
  const shape = <usize>load<u32>(array, objectShape);
  if ((load<u8>(array, objectFlags) & flagFast) === 0 || <usize>load<u32>(shape, shapePrototype) !== arrayPrototype() || load<u32>(shape, shapeProperties) !== 1)
    return false;
  const count = load<u32>(array, arrayCount);
  if (load<u64>(load<u32>(array, objectValues)) !== <u64>count) return false; // `length`, an integer
  const start = topOffset();
  for (let index: u32 = 0; index < count; index++)
    if (!cloneValue(here, load<u64>(<usize>load<u32>(array, arrayElements) + (<usize>index << 3)), depth)) return false;
  const from = valueAt(start);
  setTop(from);
  return pushMade(here, JS_NewArrayFrom(here, <i32>count, from), 1) !== 0; // the values are its own now, or freed
}

function cloneContainer(here: Context, object: usize, depth: u32): bool {
  if (depth === mostDepth) return false;
  const kind = load<u16>(object, objectClass);
  if (kind === classObject) return cloneObject(here, object, depth + 1);
  return kind === classArray && cloneArray(here, object, depth + 1);
}

/** Pushes the clone of a value; false if it gives up, or an exception stands. */
function cloneValue(here: Context, value: JSValue, depth: u32): bool {
  const tag = tagOf(value);
  if (tag === tagString || tag === tagRope) return push(here, JS_DupValue(here, value), 1) !== 0;
  if (tag === tagInt || tag === tagNull || tag === tagBool || tag === tagUndefined || isFloat64(value)) return push(here, value, 1) !== 0;
  if (tag !== tagObject) return false;
  const object = <usize>(<u32>value);
  if (load<i32>(object - countBefore) === 1) return cloneContainer(here, object, depth);
  const shared = sharedOf(here, object);
  if (shared === 0) return false;
  if (load<u64>(shared, 8) !== 0) return push(here, JS_DupValue(here, load<u64>(shared, 8)), 1) !== 0;
  if (load<u32>(shared, 4) !== 0) return false; // a cycle
  store<u32>(shared, 1, 4);
  if (!cloneContainer(here, object, depth)) return false;
  store<u64>(shared, load<u64>(valueAt(topOffset() - 8)), 8);
  return true;
}

/** The clone of an object or array of plain data; undefined where it gives up. */
export function clonePlain(here: Context, value: JSValue): JSValue {
  const fresh = JS_NewObject(here);
  if (tagOf(fresh) === tagException) return fresh;
  store<u32>(state, load<u8>(<u32>fresh, objectFlags), atFlags);
  JS_FreeValue(here, fresh);
  store<u32>(state, 0, atShared);
  store<u32>(state, 0, atSharedCount);
  beginValues();
  const whole = cloneValue(here, value, 0);
  const clone = endValues(here, whole);
  if (load<u32>(state, atShared) !== 0) js_free(here, load<u32>(state, atShared));
  if (whole) return clone;
  return hasThrown() ? exceptionValue : undefinedValue;
}
