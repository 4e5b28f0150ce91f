/**
 * Objects with the shape of one that was made before: what reads records (json.ts, xml-values.ts) makes the second and every other one of
 * a kind so. Their keys are not looked at again, only their values are copied into place (objects.ts has the layout).
 */
import { Context, JS_FreeValue, js_free, js_malloc, JS_NewObject, JSValue, objectValue, tagException, tagOf } from "./engine";
import { setTop, thrown, topAddress, valueAt } from "./json-values";
import {
  countBefore, kindBefore, objectBody, objectBytes, objectNext, objectPrevious, objectShape, objectValues, shapeDeleted, shapeIsHashed,
  shapeProperties, shapeRoom,
} from "./objects";

/** One in so many objects made by hand gives the engine the chance to collect garbage. */
const objectsPerCollection: u32 = 64;

// Objects made by hand.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(4, 4);

/** Replaces the values that lie on the stack from `start` on by an object with the shape of `like` that has them. Returns `next`, or 0. */
export function newLike(here: Context, like: usize, start: u32, next: usize): usize {
  const made = load<u32>(state) + 1;
  store<u32>(state, made);
  if (made % objectsPerCollection === 0) {
    const empty = JS_NewObject(here);
    if (tagOf(empty) === tagException) return thrown();
    JS_FreeValue(here, empty);
  }
  const shape: usize = load<u32>(like, objectShape);
  const values = js_malloc(here, load<u32>(shape, shapeRoom) << 3);
  if (values === 0) return thrown();
  const object = js_malloc(here, objectBytes);
  if (object === 0) {
    js_free(here, values);
    return thrown();
  }
  const from = valueAt(start);
  const size = topAddress() - from;
  for (let i: usize = 0; i < size; i += 8) store<u64>(values + i, load<u64>(from + i));
  for (let i: usize = objectBody; i < <usize>objectBytes; i += 8) store<u64>(object + i, load<u64>(like + i));
  store<u32>(object, values, objectValues);
  store<u32>(shape - countBefore, load<u32>(shape - countBefore) + 1);
  store<u8>(object - kindBefore, load<u8>(like - kindBefore));
  store<u32>(object - countBefore, 1);
  const behind: usize = load<u32>(like, objectNext);
  store<u32>(object, behind, objectNext);
  store<u32>(object, like, objectPrevious);
  store<u32>(behind, object, objectPrevious);
  store<u32>(like, object, objectNext);
  store<u64>(from, objectValue(object));
  setTop(from + 8);
  return next;
}

/** True if others can have an object's shape: one that objects may share, with as many properties as there were keys, none twice. */
export function canBeLiked(value: JSValue, keys: u32): bool {
  const shape: usize = load<u32>(<u32>value, objectShape);
  return load<u8>(shape, shapeIsHashed) !== 0 && load<u32>(shape, shapeDeleted) === 0 && load<u32>(shape, shapeProperties) === keys;
}
