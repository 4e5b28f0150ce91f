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
 */
import { hasIncoming, flush, receive, skip, transmit } from "./channel";
import { ageMicroseconds, ageTicks, ticksPerMillisecond } from "./clock";
import { checkSeed } from "./entropy";
import { noteInterrupt } from "./engine";
import { freeFrames } from "./frames";
import {
  dropMachine, effectsAt, effectsBytes, eventRoom, isOver, mostFrame, outcome, parkCurrent, resumeMachine, runStep, settle, startMachine,
} from "./machines";
import { compared, differences, dirtyPages, faults, firstDifference, mostPages, pagesPerUnit, privatePages, restored, restUnits } from "./pages";
import { slots } from "./parked";
import { exit, exitClean, exitProtocol } from "./power";
import { print } from "./serial";

const magic: u32 = 0x4843464d; // "MFCH"
const headerBytes: u32 = 16;
const inStart: u32 = 1, inStep: u32 = 2, inInterrupt: u32 = 3, inDrop: u32 = 4, inCheck: u32 = 5, inStop: u32 = 6;
const outReady: u32 = 16, outChecked: u32 = 22;

// @ts-ignore: decorator
@lazy const head: usize = memory.data(16, 16);
// @ts-ignore: decorator
@lazy const answerHead: usize = memory.data(16, 16);
// @ts-ignore: decorator
@lazy const figures: usize = memory.data(64, 16);

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

/** Runs a step with the event that comes in next. */
function run(length: u32, first: bool): void {
  const at = eventRoom(length);
  if (at === 0) skip(length);
  else {
    receive(at, length);
    if (first) checkSeed(at, length);
    runStep();
  }
  answer(outcome, isOver ? 0 : dirtyPages(), effectsAt, effectsBytes);
  settle();
}

function start(slot: u32, length: u32, limit: u32): void {
  startMachine(slot, limit);
  run(length, true);
}

function goOn(slot: u32, length: u32): void {
  resumeMachine(slot);
  run(length, false);
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
      case inDrop: dropMachine(slot); break;
      case inCheck: check(); break;
      case inStop: exit(exitClean); break;
      default: unusable("mayfly: the channel brings a frame of an unknown kind\r\n");
    }
  }
}
