/**
 * The local APIC's timer as an alarm that may ring early: one that rings in time anyway is left alone, so that most steps and sleeps set none.
 * It rings only while interrupts are on, when the machine sleeps or a step runs.
 */
import { rdtsc } from "./cpu";
import { startTimer } from "./interrupts";
import { ticksOf } from "./time";

const mostNanoseconds: u64 = 4_000_000_000;

/** When it rings, in ticks; 0 after it has. */
let alarm: u64 = 0;

/** Makes it ring at `deadline` or before. */
export function ringBy(deadline: u64): void {
  const at = rdtsc();
  if (alarm > at && alarm <= deadline) return;
  const left = deadline > at ? deadline - at : 0;
  const mostTicks = ticksOf(mostNanoseconds / 1_000_000);
  const ticks = min<u64>(left, mostTicks);
  startTimer(<u32>((ticks * 1_000_000) / ticksOf(1)));
  alarm = at + ticks;
}

/** Makes it ring in so many microseconds, or before. */
export function ringIn(microseconds: u64): void {
  ringBy(rdtsc() + (microseconds * ticksOf(1)) / 1000);
}

export function hasRung(): void {
  alarm = 0;
}
