/** The members of one JSON object, each name once: a header, a set of claims, a key. Values stay where they lie. */
import { Bytes, drop, isText } from "../../bytes";
import { accept, atEnd, openJson, peek, place, readString, skipValue } from "../json";
import { members } from "./limits";
import { isUtf8 } from "./text";

// A row: name's offset u32 │ name's length u32 │ value's address u32 │ value's length u32
const rowBytes: u32 = 16;
// @ts-ignore: decorator
@lazy const rows: usize = memory.data(2048, 16);
/** Names, decoded. */
// @ts-ignore: decorator
@lazy const names: Bytes = changetype<Bytes>(memory.data(16, 8));
let count: u32 = 0;

/** Value of the member found last: its JSON. */
export let valueAt: usize = 0, valueLength: u32 = 0;

export function dropMembers(): void {
  drop(names);
  count = 0;
}

function row(index: u32): usize { return rows + index * rowBytes; }

function isKnown(from: u32, length: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    const at = row(index);
    if (load<u32>(at, 4) === length && memory.compare(names.at + load<u32>(at), names.at + from, length) === 0) return true;
  }
  return false;
}

/** Reads an object. False if it is malformed, nested too deeply, has too many members, or one name twice. */
export function readObject(at: usize, length: u32): bool {
  names.length = 0;
  count = 0;
  if (!isUtf8(at, length)) return false;
  openJson(at, length);
  if (!accept(123)) return false;
  if (accept(125)) return atEnd();
  do {
    if (count === members) return false;
    const from = names.length;
    if (peek() !== 34 || !readString(names) || names.broken || isKnown(from, names.length - from) || !accept(58)) return false;
    peek();
    const value = place();
    if (!skipValue()) return false;
    const to = row(count++);
    store<u32>(to, from);
    store<u32>(to, names.length - from, 4);
    store<u32>(to, <u32>value, 8);
    store<u32>(to, <u32>(place() - value), 12);
  } while (accept(44));
  return accept(125) && atEnd();
}

function take(index: u32): bool {
  valueAt = <usize>load<u32>(row(index), 8);
  valueLength = load<u32>(row(index), 12);
  return true;
}

/** Finds a member by its name, which is ASCII. */
export function find(name: string): bool {
  for (let index: u32 = 0; index < count; index++)
    if (isText(names.at + load<u32>(row(index)), load<u32>(row(index), 4), name)) return take(index);
  return false;
}

/** The same, of a name in memory. */
export function findName(at: usize, length: u32): bool {
  for (let index: u32 = 0; index < count; index++)
    if (load<u32>(row(index), 4) === length && memory.compare(names.at + load<u32>(row(index)), at, length) === 0) return take(index);
  return false;
}

// ---- values

export function isString(): bool { return load<u8>(valueAt) === 34; }
export function isArray(): bool { return load<u8>(valueAt) === 91; }
export function isNumber(): bool { return load<u8>(valueAt) === 45 || <u32>load<u8>(valueAt) - 48 < 10; }
export function isObject(): bool { return load<u8>(valueAt) === 123; }

/** Puts the text that the value is, decoded. */
export function putString(b: Bytes): bool {
  openJson(valueAt, valueLength);
  return readString(b) && !b.broken;
}

/** True if the value is this text. */
export function isValue(text: string): bool {
  return isString() && isText(valueAt + 1, valueLength - 2, text);
}

let listAt: usize = 0, listEnd: usize = 0;

/** Begins to walk through an array: `nextItem` makes each of its items the value. A value that is no array is its only item. */
export function beginItems(): void {
  listEnd = valueAt + valueLength;
  listAt = isArray() ? valueAt + 1 : 0;
}

/** Of a list: behind each item its comma or bracket. */
export function nextItem(): bool {
  if (listEnd === 0) return false;
  if (listAt === 0) {
    listEnd = 0;
    return true;
  }
  openJson(listAt, <u32>(listEnd - listAt));
  if (peek() === 93) return false;
  const from = place();
  if (!skipValue()) return false;
  valueAt = from;
  valueLength = <u32>(place() - from);
  accept(44);
  listAt = place();
  return true;
}

/** The number that the value is. */
export function numberOf(): f64 {
  let at = valueAt;
  const end = valueAt + valueLength;
  const isNegative = load<u8>(at) === 45;
  if (isNegative) at++;
  let value: f64 = 0;
  let scale: i32 = 0;
  let isFraction = false;
  for (; at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte === 46) isFraction = true;
    else if (byte - 48 < 10) {
      value = value * 10 + <f64>(byte - 48);
      if (isFraction) scale--;
    } else break;
  }
  if (at < end) scale += exponentOf(at + 1, end);
  for (; scale > 0 && value !== 0 && value !== Infinity; scale--) value *= 10;
  for (; scale < 0 && value !== 0; scale++) value /= 10;
  return isNegative ? -value : value;
}

function exponentOf(at: usize, end: usize): i32 {
  const isNegative = load<u8>(at) === 45;
  if (isNegative || load<u8>(at) === 43) at++;
  let value: i32 = 0;
  for (; at < end; at++) value = min<i32>(value * 10 + (<i32>load<u8>(at) - 48), 100_000);
  return isNegative ? -value : value;
}
