/**
 * Machines of the image, by slot: one at a time is on the engine's page tables, those that wait are parked. Whoever brings events, the
 * monitor's channel (serve.ts) or the network's module (standalone.ts), does it in the same order:
 *
 *     startMachine or resumeMachine → eventRoom → the event's bytes → runStep, or step and takeResult → the effects are taken → settle
 *
 * A machine that ends is forgotten at once. One that waits stays on the tables until another needs them, and is parked then.
 */
import { engineBase, read32Far, read8Far } from "./cpu";
import { effects, effectsLength, eventBuffer, step } from "./engine";
import { memoryUnits, setMemory } from "./memory-size";
import { mostPages, pagesPerUnit, park, putBack, restUnits, unpark } from "./pages";
import { noSlot, releaseSlot } from "./parked";
import { trimStack } from "./stack";

/** Outcomes of an event. */
export const complete: u32 = 17, interrupted: u32 = 18, escaped: u32 = 19, noMemory: u32 = 20, lied: u32 = 21;
/** Bytes at the bottom of the engine's memory that no machine uses (kernel/layout.ts, monitorBytes). */
const monitorBytes: u32 = 65_536;
/** Longest event and longest effects. */
export const mostFrame: u32 = 64 << 20;
// Effects that end a machine (abi/effects.ts).
const doneEffect: u32 = 6, failEffect: u32 = 7;

/** The slot of the machine on the tables; without one the memory is the image's. */
let current: u32 = noSlot;
/** Results of `eventRoom` and `runStep`: the outcome, where the effects' frame lies, its bytes, and true if the machine has ended. */
export let outcome: u32 = 0;
export let effectsAt: u64 = 0;
export let effectsBytes: u32 = 0;
export let isOver: bool = false;

function inMemory(at: u32, length: u32): bool {
  return at >= monitorBytes && <u64>at + length <= <u64>memoryUnits() << 16;
}

/** The kind of the last record of an effects' frame (abi/frame.ts), or 0. */
function lastKind(at: u64, length: u32): u32 {
  let position: u64 = 8;
  let kind: u32 = 0;
  while (position + 4 <= <u64>length) {
    kind = read8Far(at + position);
    const parts = <u64>read8Far(at + position + 1);
    let next = position + 4 + 4 * parts;
    if (next > <u64>length) return 0;
    for (let part: u64 = 0; part < parts; part++) {
      const partLength = read32Far(at + position + 4 + 4 * part);
      if (partLength !== 0xffffffff) next += partLength;
    }
    position = next;
  }
  return kind;
}

/** Ends the machine on the tables. */
function end(): void {
  if (current === noSlot) return;
  trimStack();
  putBack();
  current = noSlot;
}

/** Makes room on the tables. */
export function parkCurrent(): void {
  if (current === noSlot) return;
  trimStack();
  park(current);
  current = noSlot;
}

/** The machine is over, without effects. */
export function fail(kind: u32): void {
  outcome = kind;
  effectsAt = 0;
  effectsBytes = 0;
  isOver = true;
}

/** A pristine machine for the slot, with at most `limit` units of 64 KiB of memory. */
export function startMachine(slot: u32, limit: u32): void {
  parkCurrent();
  current = slot;
  setMemory(restUnits(), min<u32>(max<u32>(limit, restUnits()), mostPages / pagesPerUnit));
}

/** The slot's machine, which waits, on the tables. */
export function resumeMachine(slot: u32): void {
  if (current === slot) return;
  parkCurrent();
  unpark(slot);
  current = slot;
}

/** Address for an event of `length` bytes; 0 without room, and the machine is over with `outcome`. */
export function eventRoom(length: u32): u64 {
  const at = eventBuffer(length);
  if (at !== 0 && inMemory(at, length + 1)) return engineBase() + at;
  fail(at === 0 ? noMemory : lied);
  return 0;
}

/** Runs a step with the event that lies in the room. */
export function runStep(): void {
  takeResult(step());
}

/** The outcome of a step by what `step` answered. */
export function takeResult(result: i32): void {
  const from = effects();
  const size = result >= 0 ? <u32>result : effectsLength();
  if (!inMemory(from, size) || size > mostFrame) return fail(lied);
  effectsAt = engineBase() + from;
  effectsBytes = size;
  const last = lastKind(effectsAt, size);
  isOver = result < 0 || last === doneEffect || last === failEffect;
  outcome = result >= 0 ? complete : result === -1 ? interrupted : escaped;
}

/** After the effects were taken: ends the machine if it is over. */
export function settle(): void {
  if (isOver) end();
}

/** Forgets the slot's machine. */
export function dropMachine(slot: u32): void {
  if (slot === current) end();
  else releaseSlot(slot);
}
