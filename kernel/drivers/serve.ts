/**
 * The machine's life: a frame in, a step, a frame out. Little endian, in both directions
 *
 *     u32 magic "MFCH" │ u16 kind │ u16 slot │ u32 length │ u32 argument │ length bytes
 *
 *   in   1 start      an event for a pristine machine, which gets the slot; argument: memory limit in pages of 64 KiB
 *        2 step       an event for the machine of the slot, which waits
 *        3 interrupt  ends the step that runs; nothing when none does
 *        4 drop       forgets the machine of the slot
 *        5 check      compares all of memory with the image, when no machine waits on the tables
 *        6 stop       ends the virtual machine
 *   out 16 ready      argument: microseconds since the first instruction; then u32 each: units at rest, most units, free frames, MHz;
 *                     then u64: ticks of the time stamp counter since then
 *       17 complete   the effects' frame; argument: pages the machine holds, when it waits
 *       18 interrupted, 19 escaped   the effects' frame, as far as it came
 *       20 no memory  the event has no room
 *       21 lied       event or effects lie outside the machine's memory
 *       22 checked    argument: differences; then u32 first page, u32 pages compared, u64 faults, u64 pages put back, u32 private, u32 free
 *
 * A machine that ends is forgotten at once, while the monitor is busy with the answer. One that waits stays on the tables until
 * another needs them, and is parked then.
 */
import { hasIncoming, flush, receive, skip, transmit } from "./channel";
import { ageMicroseconds, ageTicks, ticksPerMillisecond } from "./clock";
import { engineBase, read32Far, read8Far } from "./cpu";
import { checkSeed } from "./entropy";
import { effects, effectsLength, eventBuffer, noteInterrupt, step } from "./engine";
import { freeFrames } from "./frames";
import { 
  compared, differences, dirtyPages, faults, firstDifference, mostPages, pagesPerUnit, park, privatePages, putBack, restored, restUnits,
  unpark,
} from "./pages";
import { memoryUnits, setMemory } from "./memory-size";
import { noSlot, releaseSlot, slots } from "./parked";
import { exit, exitClean, exitProtocol } from "./power";
import { print } from "./serial";
import { trimStack } from "./stack";

const magic: u32 = 0x4843464d; // "MFCH"
const headerBytes: u32 = 16;
const inStart: u32 = 1, inStep: u32 = 2, inInterrupt: u32 = 3, inDrop: u32 = 4, inCheck: u32 = 5, inStop: u32 = 6;
const outReady: u32 = 16, outComplete: u32 = 17, outInterrupted: u32 = 18, outEscaped: u32 = 19, outNoMemory: u32 = 20, outLied: u32 = 21, outChecked: u32 = 22;
/** Bytes at the bottom of the engine's memory that no machine uses (kernel/layout.ts, monitorBytes). */
const monitorBytes: u32 = 65_536;
const mostFrame: u32 = 64 << 20;

// @ts-ignore: decorator
@lazy const head: usize = memory.data(16, 16);
// @ts-ignore: decorator
@lazy const answerHead: usize = memory.data(16, 16);
// @ts-ignore: decorator
@lazy const figures: usize = memory.data(64, 16);

/** The slot of the machine on the tables; without one the memory is the image's. */
let current: u32 = noSlot;

function answer(kind: u32, argument: u32, from: u64, length: u32): void {
  store<u32>(answerHead, magic);
  store<u32>(answerHead, kind, 4); // answers name no slot
  store<u32>(answerHead, length, 8);
  store<u32>(answerHead, argument, 12);
  transmit(<u64>answerHead, headerBytes);
  transmit(from, length);
  flush();
}

export function sayReady(): void {
  store<u32>(figures, restUnits());
  store<u32>(figures, mostPages / pagesPerUnit, 4);
  store<u32>(figures, freeFrames(), 8);
  store<u32>(figures, <u32>(ticksPerMillisecond() / 1000), 12);
  store<u64>(figures, ageTicks(), 16);
  answer(outReady, <u32>ageMicroseconds(), <u64>figures, 24);
}

/** The engine polls this: whatever comes in while a step runs ends the step. */
export function hostInterrupt(): i32 {
  if (!hasIncoming()) return 0;
  noteInterrupt();
  return 1;
}

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

const doneEffect: u32 = 6;
const failEffect: u32 = 7;

/** Ends the machine on the tables. */
function end(): void {
  if (current === noSlot) return;
  trimStack();
  putBack();
  current = noSlot;
}

/** Makes room on the tables. */
function parkCurrent(): void {
  if (current === noSlot) return;
  trimStack();
  park(current);
  current = noSlot;
}

/** Answers without effects; the machine is over. */
function refuse(kind: u32): void {
  answer(kind, 0, 0, 0);
  end();
}

/** Runs a step with the event that comes in next. */
function run(length: u32, first: bool): void {
  const at = eventBuffer(length);
  if (at === 0 || !inMemory(at, length + 1)) {
    skip(length);
    return refuse(at === 0 ? outNoMemory : outLied);
  }
  receive(engineBase() + at, length);
  if (first) checkSeed(engineBase() + at, length);
  const result = step();
  const from = effects();
  const size = result >= 0 ? <u32>result : effectsLength();
  if (!inMemory(from, size) || size > mostFrame) return refuse(outLied);
  const frame = engineBase() + from;
  const last = lastKind(frame, size);
  const over = result < 0 || last === doneEffect || last === failEffect;
  answer(result >= 0 ? outComplete : result === -1 ? outInterrupted : outEscaped, over ? 0 : dirtyPages(), frame, size);
  if (over) end();
}

function start(slot: u32, length: u32, limit: u32): void {
  parkCurrent();
  current = slot;
  setMemory(restUnits(), min<u32>(max<u32>(limit, restUnits()), mostPages / pagesPerUnit));
  run(length, true);
}

function goOn(slot: u32, length: u32): void {
  if (current !== slot) {
    parkCurrent();
    unpark(slot);
    current = slot;
  }
  run(length, false);
}

function drop(slot: u32): void {
  if (slot === current) end();
  else releaseSlot(slot);
}

function check(): void {
  parkCurrent();
  const count = differences();
  store<u32>(figures, firstDifference);
  store<u32>(figures, compared, 4);
  store<u64>(figures, faults, 8);
  store<u64>(figures, restored, 16);
  store<u32>(figures, privatePages(), 24);
  store<u32>(figures, freeFrames(), 28);
  answer(outChecked, count, <u64>figures, 32);
}

function unusable(text: string): void {
  print(text);
  exit(exitProtocol);
}

export function serve(): void {
  for (;;) {
    receive(<u64>head, headerBytes);
    const kind = <u32>load<u16>(head, 4);
    const slot = <u32>load<u16>(head, 6);
    const length = load<u32>(head, 8);
    if (load<u32>(head) !== magic || length > mostFrame || slot >= slots) unusable("mayfly: the channel brings no frame\r\n");
    switch (kind) {
      case inStart: start(slot, length, load<u32>(head, 12)); break;
      case inStep: goOn(slot, length); break;
      case inInterrupt: break;
      case inDrop: drop(slot); break;
      case inCheck: check(); break;
      case inStop: exit(exitClean); break;
      default: unusable("mayfly: the channel brings a frame of an unknown kind\r\n");
    }
  }
}
