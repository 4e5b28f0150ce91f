/**
 * Steps that can be ended from outside, so that no message ends the machine that serves them all: a trap of the engine's, memory that runs out
 * within a call, and a call that polls for nothing and takes for ever. An exception then returns to whoever called `step`, as if it had answered.
 *
 * That is safe because the engine's memory is thrown away afterwards, and because the drivers hold nothing half done meanwhile: exceptions run
 * with interrupts off. A call changes every register but rsp and r15 (compiler/assemble/convention.ts), so none has to be kept.
 */
import { cli, rdtsc, read64Far, stack, sti } from "./cpu";
import { step } from "./engine";
import { endInterrupt } from "./interrupts";
import { ticksOf } from "./time";
import { hasRung, ringBy } from "./timer";

/** Reasons of an end from outside. */
export const byTrap: u32 = 1, byTime: u32 = 2, byMemory: u32 = 3;
/** Time beyond the deadline in which a step may end by itself, in milliseconds. */
const graceMs: u64 = 100;

// Offsets into what runtime.exception saved (compiler/runtime/pvh.ts).
const savedR15: usize = 256, savedRax: usize = 368, savedRip: usize = 392, savedFlags: usize = 408, savedRsp: usize = 416;
const interruptsOn: u64 = 0x200;

/** The end of the caller's stack while a step runs, or 0. */
let caller: u64 = 0;
let hardDeadline: u64 = 0;
/** Why the last step was ended from outside, or 0. */
export let endedBy: u32 = 0;

/** Runs a step that should be over at `deadline`, in ticks. */
export function stepUntil(deadline: u64): i32 {
  endedBy = 0;
  hardDeadline = deadline + ticksOf(graceMs);
  ringBy(hardDeadline);
  caller = stack();
  sti();
  const result = step(); // the last call before an end from outside: its return address lies below `caller`
  cli();
  caller = 0;
  return result;
}

export function isGuarded(): bool {
  return caller !== 0;
}

/** Makes the exception return to the caller of `step`. */
export function endStep(saved: usize, reason: u32): void {
  store<u64>(saved, read64Far(caller - 8), savedRip);
  store<u64>(saved, caller, savedRsp);
  store<u64>(saved, load<u64>(saved, savedFlags) & ~interruptsOn, savedFlags);
  store<u64>(saved, 0, savedR15); // the drivers' memory
  store<u64>(saved, 0xffffffff, savedRax);
  endedBy = reason;
  caller = 0;
}

/** The alarm: wakes who sleeps; ends a step whose time is over, or waits on. */
export function handleAlarm(saved: usize): void {
  endInterrupt();
  hasRung();
  if (caller === 0) return;
  if (rdtsc() < hardDeadline) ringBy(hardDeadline);
  else endStep(saved, byTime);
}
