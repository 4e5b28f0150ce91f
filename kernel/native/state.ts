/**
 * Everything the natives remember, in one static block of the engine's memory. There is no mutable WebAssembly global here:
 * a machine's state is its memory and the engine's stack pointer, nothing else (boot.test.ts checks the module for that).
 */
import { JSValue } from "./engine";

// @ts-ignore: decorator
@lazy const block: usize = memory.data(256, 16);

// Offsets into the block.
const atContext: usize = 0;
const atRuntime: usize = 4;
const atInbox: usize = 8; // address, capacity, length of the event frame
const atOutbox: usize = 24; // address, capacity, length, records of the effects frame
const atTime: usize = 40; // f64, milliseconds
const atStep: usize = 48; // JSValue
const atSettle: usize = 56;
const atRejection: usize = 64;
const atRandom: usize = 72; // key 32, counter 8, buffer 64, used 4: 180
const atScratch: usize = 184; // 24
const atKept: usize = 208;
const atPrototypes: usize = 212; // addresses of Object.prototype and Array.prototype
const atError: usize = 224; // the constructor Error, a JSValue
const atPlaceNoted: usize = 232;

// @ts-ignore: decorator
@inline export function context(): usize { return load<u32>(block + atContext); }
// @ts-ignore: decorator
@inline export function setContext(value: usize): void { store<u32>(block + atContext, value); }
// @ts-ignore: decorator
@inline export function runtime(): usize { return load<u32>(block + atRuntime); }
// @ts-ignore: decorator
@inline export function setRuntime(value: usize): void { store<u32>(block + atRuntime, value); }

// @ts-ignore: decorator
@inline export function inbox(): usize { return load<u32>(block + atInbox); }
// @ts-ignore: decorator
@inline export function setInbox(value: usize): void { store<u32>(block + atInbox, value); }
// @ts-ignore: decorator
@inline export function inboxCapacity(): u32 { return load<u32>(block + atInbox, 4); }
// @ts-ignore: decorator
@inline export function setInboxCapacity(value: u32): void { store<u32>(block + atInbox, value, 4); }
// @ts-ignore: decorator
@inline export function inboxLength(): u32 { return load<u32>(block + atInbox, 8); }
// @ts-ignore: decorator
@inline export function setInboxLength(value: u32): void { store<u32>(block + atInbox, value, 8); }

// @ts-ignore: decorator
@inline export function outbox(): usize { return load<u32>(block + atOutbox); }
// @ts-ignore: decorator
@inline export function setOutbox(value: usize): void { store<u32>(block + atOutbox, value); }
// @ts-ignore: decorator
@inline export function outboxCapacity(): u32 { return load<u32>(block + atOutbox, 4); }
// @ts-ignore: decorator
@inline export function setOutboxCapacity(value: u32): void { store<u32>(block + atOutbox, value, 4); }
// @ts-ignore: decorator
@inline export function outboxLength(): u32 { return load<u32>(block + atOutbox, 8); }
// @ts-ignore: decorator
@inline export function setOutboxLength(value: u32): void { store<u32>(block + atOutbox, value, 8); }
// @ts-ignore: decorator
@inline export function outboxRecords(): u32 { return load<u32>(block + atOutbox, 12); }
// @ts-ignore: decorator
@inline export function setOutboxRecords(value: u32): void { store<u32>(block + atOutbox, value, 12); }

// @ts-ignore: decorator
@inline export function timeMs(): f64 { return load<f64>(block + atTime); }
// @ts-ignore: decorator
@inline export function setTimeMs(value: f64): void { store<f64>(block + atTime, value); }

// @ts-ignore: decorator
@inline export function stepFunction(): JSValue { return load<u64>(block + atStep); }
// @ts-ignore: decorator
@inline export function settleFunction(): JSValue { return load<u64>(block + atSettle); }
// @ts-ignore: decorator
@inline export function rejectionFunction(): JSValue { return load<u64>(block + atRejection); }
export function setFunctions(step: JSValue, settle: JSValue, rejection: JSValue): void {
  store<u64>(block + atStep, step);
  store<u64>(block + atSettle, settle);
  store<u64>(block + atRejection, rejection);
}

/** The generator's 108 bytes. */
// @ts-ignore: decorator
@inline export function randomState(): usize { return block + atRandom; }
/** 24 bytes for out parameters of a single call. */
// @ts-ignore: decorator
@inline export function scratch(): usize { return block + atScratch; }
/** Bytes of the JSON texts whose values stay in the machine until its end (functions.ts, `keep`). */
// @ts-ignore: decorator
@inline export function keptBytes(): u32 { return load<u32>(block + atKept); }
// @ts-ignore: decorator
@inline export function setKeptBytes(value: u32): void { store<u32>(block + atKept, value); }
// @ts-ignore: decorator
@inline export function errorConstructor(): JSValue { return load<u64>(block + atError); }
// @ts-ignore: decorator
@inline export function setErrorConstructor(value: JSValue): void { store<u64>(block + atError, value); }
/** True once the step's effects say where it was told to stop. */
// @ts-ignore: decorator
@inline export function isPlaceNoted(): bool { return load<u32>(block + atPlaceNoted) !== 0; }
// @ts-ignore: decorator
@inline export function setPlaceNoted(value: bool): void { store<u32>(block + atPlaceNoted, u32(value)); }
const exhaustedAt: usize = 80 * 1024 - 4; // layout.exhaustedAt
/** True when an allocation failed in this step: the engine notes it. */
// @ts-ignore: decorator
@inline export function isExhausted(): bool { return load<u32>(exhaustedAt) !== 0; }
export function forgetExhaustion(): void {
  if (isExhausted()) store<u32>(exhaustedAt, 0); // a page that is not written need not be put back
}
// @ts-ignore: decorator
@inline export function objectPrototype(): usize { return load<u32>(block + atPrototypes); }
// @ts-ignore: decorator
@inline export function arrayPrototype(): usize { return load<u32>(block + atPrototypes, 4); }
export function setPrototypes(object: usize, array: usize): void {
  store<u32>(block + atPrototypes, object);
  store<u32>(block + atPrototypes, array, 4);
}
