/** How old the machine is. Messages never see it: their time is the event's. */
import { rdtsc, startTicksAt } from "./cpu";
import { apicTicks } from "./interrupts";

/** Frequency of the local APIC's timer on QEMU and on KVM. */
const apicTicksPerMicrosecond: u64 = 1000;

let firstTicks: u64 = 0;

/** Begins to measure the time stamp counter against the local APIC's timer. */
export function startClock(): void {
  firstTicks = rdtsc();
}

/** Ticks of the time stamp counter in a millisecond, by what passed since `startClock`. */
export function ticksPerMillisecond(): u64 {
  const passed = <u64>apicTicks();
  return passed === 0 ? 0 : ((rdtsc() - firstTicks) * (1000 * apicTicksPerMicrosecond)) / passed;
}

/** Ticks of the time stamp counter since the machine's first instruction. */
export function ageTicks(): u64 {
  return rdtsc() - load<u64>(<usize>startTicksAt());
}

export function ageMicroseconds(): u64 {
  const rate = ticksPerMillisecond();
  return rate === 0 ? 0 : (ageTicks() * 1000) / rate;
}
