/**
 * The machine's life: a frame in, a step, a frame out. Little endian, in both directions
 *
 *     u32 magic "MFCH" │ u32 kind │ u32 length │ u32 argument │ length bytes
 *
 *   in   1 start      an event for a pristine machine; argument: memory limit in pages of 64 KiB
 *        2 step       an event for the machine that waits
 *        3 interrupt  ends the step that runs; nothing when none does
 *        4 check      compares all of memory with the image
 *        5 stop       ends the virtual machine
 *   out 16 ready      argument: microseconds since the first instruction; nine u32 of figures follow
 *       17 complete   the effects' frame
 *       18 interrupted, 19 escaped   the effects' frame, as far as it came
 *       20 no memory  the event has no room
 *       21 lied       the effects lie outside the machine's memory
 *       22 checked    argument: pages that differ; the first one's number follows, and how many were compared
 */
import { hasIncoming, flush, receive, skip, transmit } from "./channel";
import { ageMicroseconds, ticksPerMillisecond } from "./clock";
import { engineBase, read32Far, read8Far } from "./cpu";
import { effects, effectsLength, eventBuffer, step } from "./engine";
import { freeFrames } from "./frames";
import { differences, firstDifference, compared, faults, memoryUnits, mostPages, pagesPerUnit, privatePages, putBack, restored, restUnits, setMemory } from "./pages";
import { exit, exitClean, exitProtocol } from "./power";
import { print } from "./serial";
import { trimStack } from "./stack";

const magic: u32 = 0x4843464d; // "MFCH"
const headerBytes: u32 = 16;
const inStart: u32 = 1, inStep: u32 = 2, inInterrupt: u32 = 3, inCheck: u32 = 4, inStop: u32 = 5;
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

/** Set when the memory is the image's. */
let pristine: bool = true;

function answer(kind: u32, argument: u32, from: u64, length: u32): void {
  store<u32>(answerHead, magic);
  store<u32>(answerHead, kind, 4);
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
  answer(outReady, <u32>ageMicroseconds(), <u64>figures, 16);
}

/** The engine polls this: whatever comes in while a step runs ends the step. */
export function hostInterrupt(): i32 {
  return hasIncoming() ? 1 : 0;
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

function makePristine(): void {
  if (pristine) return;
  trimStack();
  putBack();
  pristine = true;
}

/** Runs a step with the event that comes in next. */
function run(length: u32): void {
  const at = eventBuffer(length);
  if (at === 0) {
    skip(length);
    return answer(outNoMemory, 0, 0, 0);
  }
  if (!inMemory(at, length + 1)) {
    skip(length);
    return answer(outLied, 0, 0, 0);
  }
  receive(engineBase() + at, length);
  const result = step();
  const from = effects();
  const size = result >= 0 ? <u32>result : effectsLength();
  if (!inMemory(from, size) || size > mostFrame) return answer(outLied, 0, 0, 0);
  const frame = engineBase() + from;
  answer(result >= 0 ? outComplete : result === -1 ? outInterrupted : outEscaped, 0, frame, size);
  const last = lastKind(frame, size);
  if (result < 0 || last === doneEffect || last === failEffect) makePristine(); // while the monitor is busy with the answer
}

function check(): void {
  makePristine();
  const count = differences();
  store<u32>(figures, firstDifference);
  store<u32>(figures, compared, 4);
  store<u64>(figures, faults, 8);
  store<u64>(figures, restored, 16);
  store<u32>(figures, privatePages(), 24);
  store<u32>(figures, freeFrames(), 28);
  answer(outChecked, count, <u64>figures, 32);
}

export function serve(): void {
  for (;;) {
    receive(<u64>head, headerBytes);
    const kind = load<u32>(head, 4);
    const length = load<u32>(head, 8);
    if (load<u32>(head) !== magic || length > mostFrame) {
      print("mayfly: the channel brings no frame\r\n");
      exit(exitProtocol);
    }
    if (kind === inStart) {
      makePristine();
      pristine = false;
      setMemory(restUnits(), min<u32>(max<u32>(load<u32>(head, 12), restUnits()), mostPages / pagesPerUnit));
      run(length);
    } else if (kind === inStep) run(length);
    else if (kind === inCheck) check();
    else if (kind === inStop) exit(exitClean);
    else if (kind !== inInterrupt) {
      print("mayfly: the channel brings a frame of an unknown kind\r\n");
      exit(exitProtocol);
    }
  }
}
