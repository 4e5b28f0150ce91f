/**
 * What a parse of XML (xml.ts) has: a copy of the text, the tables that grow, and the fault. All of it is in the engine's heap, so that it
 * counts against the machine's memory, and is freed at the end of the parse.
 *
 * A function that fails returns 0 after it has noted a fault (`fault`), or while an exception stands.
 */
import { Context, js_free, js_malloc, JSValue, undefinedValue } from "./engine";

// @ts-ignore: decorator
@lazy export const state: usize = memory.data(160, 8);
export const atText: usize = 0;
export const atEnd: usize = 4;
/** The first character that XML does not allow, or the end. */
export const atBad: usize = 8;
export const atOptions: usize = 12;
/** The number of the element opened last. */
export const atSerial: usize = 16;
/** True if the text has a carriage return. */
export const atReturns: usize = 20;
/** The fault: kind (0: none), where, and the ends of two names that its sentence mentions. */
const atFault: usize = 24;
/** The first fault of a text that may yet be well formed. */
const atPending: usize = 48;
const faultBytes: usize = 24;
/** The list of names that become arrays: names with a zero between them. */
export const atArrays: usize = 72;
export const atArraysEnd: usize = 76;
/** Atom of "#text". */
export const atTextAtom: usize = 80;
// Tables, each with its address, its length in bytes and its room.
export const pairs: usize = 84;
export const frames: usize = 96;
export const names: usize = 108;
/** Buckets of the names: their address, and their number less one. */
export const atBuckets: usize = 120;
export const atMask: usize = 124;
/** Of elements in order: atoms of "#name" and "#children", and the name of instructions. */
export const atNameAtom: usize = 128;
export const atChildrenAtom: usize = 132;
export const atInstruction: usize = 136;

// @ts-ignore: decorator
@inline
export function get(field: usize): u32 {
  return load<u32>(state + field);
}

// @ts-ignore: decorator
@inline
export function set(field: usize, value: usize): void {
  store<u32>(state + field, <u32>value);
}

// @ts-ignore: decorator
@inline
export function lengthOf(table: usize): u32 {
  return load<u32>(state + table, 4);
}

// @ts-ignore: decorator
@inline
export function setLength(table: usize, length: u32): void {
  store<u32>(state + table, length, 4);
}

/** Address of what lies at an offset of a table, until that grows. */
// @ts-ignore: decorator
@inline
export function addressIn(table: usize, offset: u32): usize {
  return <usize>load<u32>(state + table) + offset;
}

/** Makes a table; false while an exception stands. */
export function makeTable(here: Context, table: usize, room: u32): bool {
  const at = js_malloc(here, room);
  if (at === 0) return false;
  store<u32>(state + table, <u32>at);
  store<u32>(state + table, 0, 4);
  store<u32>(state + table, room, 8);
  return true;
}

/** Adds `size` bytes to the end of a table. Returns their address; after an exception, 0. */
// @ts-ignore: decorator
@inline
export function append(here: Context, table: usize, size: u32): usize {
  const length = lengthOf(table);
  if (length + size > load<u32>(state + table, 8) && !growTable(here, table)) return 0;
  setLength(table, length + size);
  return addressIn(table, length);
}

function growTable(here: Context, table: usize): bool {
  const room = load<u32>(state + table, 8);
  const larger = js_malloc(here, <usize>room << 1);
  if (larger === 0) return false;
  const at: usize = load<u32>(state + table);
  memory.copy(larger, at, lengthOf(table));
  js_free(here, at);
  store<u32>(state + table, <u32>larger);
  store<u32>(state + table, room << 1, 8);
  return true;
}

/** Frees a table; the values and copies of its records were freed before. */
export function freeTable(here: Context, table: usize): void {
  const at: usize = load<u32>(state + table);
  if (at !== 0) js_free(here, at);
  store<u32>(state + table, 0);
  setLength(table, 0);
}

function noteFault(slot: usize, kind: u32, at: usize): void {
  const text = get(atText);
  store<u32>(state + slot, kind);
  store<u32>(state + slot, <u32>at - text, 4);
  memory.fill(state + slot + 8, 0, 16);
}

/** Notes a fault of the text and its place. Returns 0. */
export function fault(kind: u32, at: usize): usize {
  noteFault(atFault, kind, at);
  return 0;
}

/** As `fault`, with the name that its sentence mentions. */
export function faultOf(kind: u32, at: usize, name: usize, length: usize): usize {
  noteFault(atFault, kind, at);
  store<u32>(state + atFault, <u32>name - get(atText), 8);
  store<u32>(state + atFault, <u32>(name + length) - get(atText), 12);
  return 0;
}

/** Notes a fault of a text that is well formed, unless there is one. */
export function later(kind: u32, at: usize, name: usize, length: usize, other: usize, otherLength: usize): void {
  if (get(atPending) !== 0) return;
  const text = get(atText);
  noteFault(atPending, kind, at);
  store<u32>(state + atPending, <u32>name - text, 8);
  store<u32>(state + atPending, <u32>(name + length) - text, 12);
  store<u32>(state + atPending, <u32>other - text, 16);
  store<u32>(state + atPending, <u32>(other + otherLength) - text, 20);
}

/** The address of the six words of the fault to report; without a fault, 0. */
export function faultFound(): usize {
  if (get(atFault) !== 0) return state + atFault;
  return get(atPending) !== 0 ? state + atPending : 0;
}

/** True if these are the words of a fault that ended the parse. */
export function isFault(words: usize): bool {
  return words === state + atFault;
}

export function forgetFaults(): void {
  memory.fill(state + atFault, 0, faultBytes * 2);
}

/** Takes a value out of a record, which owns it no longer. */
// @ts-ignore: decorator
@inline
export function takeValue(record: usize): JSValue {
  const value = load<u64>(record);
  store<u64>(record, undefinedValue);
  return value;
}
