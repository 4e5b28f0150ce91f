/**
 * Steps that can be ended from outside: a trap of the engine's, and a step whose time is over without a question whether to stop. Then `step`
 * answers -1, and `endedBy` says why (compiler/runtime/linux.ts, guardData). The machine's memory is thrown away afterwards.
 */
import { address, call, Call, engineBase, platformBase, read64, stack, write64 } from "../cpu";
import { fault, faultKernel } from "./faults";
import { graceTicks, tickMicros } from "./limits";

// @ts-ignore: decorator
@external("symbol", "runtime.guard")
declare function guardAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.alarmAction")
declare function alarmActionAt(): u64;
// @ts-ignore: decorator
@external("native", "step")
declare function step(): i32;

const callerAt: u64 = 0, endedAt: u64 = 8, ownAt: u64 = 16, callersAt: u64 = 24, ticksAt: u64 = 32, lastTickAt: u64 = 40;
/** Values of `endedBy`. */
export const byTrap: u32 = 1, byTime: u32 = 2;
const profileTimer: u64 = 2, profileSignal: u64 = 27; // ITIMER_PROF, SIGPROF

// struct itimerval { interval seconds, microseconds; first seconds, microseconds }
// @ts-ignore: decorator
@lazy const interval: usize = memory.data(32, 8);

/** An alarm counts the process's CPU time; it is quiet while the process sleeps. */
export function startGuard(): void {
  write64(guardAt() + ownAt, engineBase());
  write64(guardAt() + callersAt, platformBase());
  store<u64>(interval, tickMicros, 8);
  store<u64>(interval, tickMicros, 24);
  if (call(Call.rtSigaction, profileSignal, alarmActionAt(), 0, 8) < 0) fault(faultKernel);
  if (call(Call.setitimer, profileTimer, address(interval), 0) < 0) fault(faultKernel);
}

let deadline: u64 = 0;

export function isLate(): bool {
  return read64(guardAt() + ticksAt) >= deadline;
}

/** Why the last step was ended from outside, or 0. */
export function endedBy(): u32 {
  return <u32>read64(guardAt() + endedAt);
}

/** Runs a step of at most `cpuMs`. */
export function stepFor(cpuMs: u32): i32 {
  deadline = read64(guardAt() + ticksAt) + (<u64>cpuMs * 1000) / tickMicros + 2; // the tick that runs, and the last one, count half
  write64(guardAt() + endedAt, 0);
  write64(guardAt() + lastTickAt, deadline + graceTicks);
  write64(guardAt() + callerAt, stack());
  const result = step(); // the last call before an end from outside: its return address lies below `stack()`
  write64(guardAt() + callerAt, 0);
  return result;
}
