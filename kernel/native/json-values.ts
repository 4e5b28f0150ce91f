/**
 * The values that a parse (json.ts) owns, on a stack: children first, then taken off and put into their parent. It lies in static memory and
 * moves to the heap when it is too short. What makes a value returns the place where the text goes on, `next`, or 0: an exception stands.
 */
import { Context, free, JS_FreeValue, JS_ParseJSON, JS_ThrowOutOfMemory, JSValue, malloc, tagException, tagOf } from "./engine";

/** Values the stack holds before it moves to the heap. */
const stackValues: u32 = 128;

// Address behind the topmost value, behind the last one there is room for, and of the first; whether an exception stands.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(16, 8);
const atTop: usize = 0;
const atLimit: usize = 4;
const atBottom: usize = 8;
const atThrown: usize = 12;

// @ts-ignore: decorator
@lazy const stack: usize = memory.data(1024, 8); // stackValues × 8

/** "event": what the engine calls the text in an error's stack. */
// @ts-ignore: decorator
@lazy const eventName: usize = memory.data<u8>([101, 118, 101, 110, 116, 0]);

export function beginValues(): void {
  store<u32>(state, stack, atTop);
  store<u32>(state, stack + stackValues * 8, atLimit);
  store<u32>(state, stack, atBottom);
  store<u32>(state, 0, atThrown);
}

/** The first value; when the parse was not `whole`, all are freed instead. */
export function endValues(here: Context, whole: bool): JSValue {
  const bottom: usize = load<u32>(state, atBottom);
  const value = load<u64>(bottom);
  if (!whole) for (let i: usize = bottom; i < topAddress(); i += 8) JS_FreeValue(here, load<u64>(i));
  if (bottom !== stack) free(bottom);
  return value;
}

/** True if an exception is pending. */
export function hasThrown(): bool {
  return load<u32>(state, atThrown) !== 0;
}

/** Address behind the topmost value. */
// @ts-ignore: decorator
@inline
export function topAddress(): usize {
  return load<u32>(state, atTop);
}

// @ts-ignore: decorator
@inline
export function setTop(address: usize): void {
  store<u32>(state, address, atTop);
}

/** The same as an offset, which stays when the stack moves. */
// @ts-ignore: decorator
@inline
export function topOffset(): u32 {
  return load<u32>(state, atTop) - load<u32>(state, atBottom);
}

// @ts-ignore: decorator
@inline
export function valueAt(offset: u32): usize {
  return load<u32>(state, atBottom) + offset;
}

/** Puts a value on the stack; without room it is freed. */
// @ts-ignore: decorator
@inline
export function push(here: Context, value: JSValue, next: usize): usize {
  const top = load<u32>(state, atTop);
  if (top === load<u32>(state, atLimit)) return pushFar(here, value, next);
  store<u64>(top, value);
  store<u32>(state, top + 8, atTop);
  return next;
}

function pushFar(here: Context, value: JSValue, next: usize): usize {
  const bottom: usize = load<u32>(state, atBottom);
  const size: usize = topOffset();
  const larger = malloc(size << 1);
  if (larger === 0) {
    JS_FreeValue(here, value);
    JS_ThrowOutOfMemory(here);
    return thrown();
  }
  memory.copy(larger, bottom, size);
  if (bottom !== stack) free(bottom);
  store<u32>(state, larger, atBottom);
  store<u32>(state, larger + (size << 1), atLimit);
  store<u64>(larger + size, value);
  store<u32>(state, larger + size + 8, atTop);
  return next;
}

/** Puts what the engine gave on the stack; 0 when that is an exception. */
// @ts-ignore: decorator
@inline
export function pushMade(here: Context, value: JSValue, next: usize): usize {
  return tagOf(value) === tagException ? thrown() : push(here, value, next);
}

/** Notes that an exception stands. */
export function thrown(): usize {
  store<u32>(state, 1, atThrown);
  return 0;
}

/** The engine's parse of a slice of the text: a value, or an exception. */
export function slice(here: Context, from: usize, to: usize): JSValue {
  const behind = load<u8>(to);
  store<u8>(to, 0);
  const value = JS_ParseJSON(here, from, to - from, eventName);
  store<u8>(to, behind);
  return value;
}
