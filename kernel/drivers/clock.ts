/**
 * How old the machine is. Messages never see it: their time is the event's. The time stamp counter ticks at a rate that KVM tells
 * (Linux, Documentation/virt/kvm/x86/msr.rst); elsewhere it is measured against the local APIC's timer.
 */
import { cpuid, rdtsc, read32, read64, startTicksAt, wrmsr } from "./cpu";
import { apicTicks } from "./interrupts";
import { isKvm } from "./processor";

/** Frequency of the local APIC's timer on QEMU and on KVM. */
const apicTicksPerMicrosecond: u64 = 1000;
const kvmLeaf: u32 = 0x40000001;
const systemTimeFeature: u32 = 1 << 3; // KVM_FEATURE_CLOCKSOURCE2
const systemTime: u32 = 0x4b564d01; // MSR_KVM_SYSTEM_TIME_NEW
const wallClock: u32 = 0x4b564d00; // MSR_KVM_WALL_CLOCK_NEW: version u32 │ seconds u32 │ nanoseconds u32

/** struct pvclock_vcpu_time_info: version u32 │ u32 │ ticks u64 │ nanoseconds u64 │ multiplier u32 │ shift i8 │ flags u8 */
// @ts-ignore: decorator
@lazy const told: usize = memory.data(32, 32);

let firstTicks: u64 = 0;
/** Ticks in a millisecond as KVM tells, or 0. */
let toldRate: u64 = 0;

/** Nanoseconds are (ticks << shift) × multiplier >> 32. */
export function rateOf(multiplier: u32, shift: i32): u64 {
  if (multiplier === 0) return 0;
  const rate = (<u64>1_000_000 << 32) / <u64>multiplier;
  return shift < 0 ? rate << <u64>-shift : rate >> <u64>shift;
}

function askKvm(): void {
  if (!isKvm() || (cpuid(kvmLeaf, 0, 0) & systemTimeFeature) === 0) return;
  wrmsr(systemTime, <u64>told | 1);
  const at = <u32>told;
  if ((read32(at) & 1) === 0) toldRate = rateOf(read32(at + 24), <i32>(<i8>read32(at + 28))); // an odd version is one being written
  wrmsr(systemTime, 0); // it has told; the memory is ours again
}

/** Nanoseconds of `ticks` ticks, fewer than 2⁵⁹ nanoseconds' worth. */
export function nanosecondsOf(ticks: u64, multiplier: u32, shift: i32): u64 {
  const shifted = shift < 0 ? ticks >> <u64>-shift : ticks << <u64>shift;
  return ((shifted >> 32) * multiplier) + (((shifted & 0xffffffff) * multiplier) >> 32);
}

/** Milliseconds since 1970 as KVM's wall clock and its system time say, or 0 (msr.rst, MSR_KVM_WALL_CLOCK_NEW). */
export function kvmWallMs(): u64 {
  if (!isKvm() || (cpuid(kvmLeaf, 0, 0) & systemTimeFeature) === 0) return 0;
  const at = <u32>told;
  wrmsr(wallClock, <u64>told);
  if ((read32(at) & 1) !== 0 || read32(at + 4) === 0) return 0;
  const bootMs = <u64>read32(at + 4) * 1000 + read32(at + 8) / 1_000_000;
  wrmsr(systemTime, <u64>told | 1);
  const since = rdtsc() - read64(at + 8);
  const upMs = (read64(at + 16) + nanosecondsOf(since, read32(at + 24), <i32>(<i8>read32(at + 28)))) / 1_000_000;
  const steady = (read32(at) & 1) === 0;
  wrmsr(systemTime, 0);
  return steady ? bootMs + upMs : 0;
}

/** Asks for the rate of the time stamp counter, or begins to measure it. */
export function startClock(): void {
  askKvm();
  firstTicks = rdtsc();
}

export function clockIsKvms(): bool {
  return toldRate !== 0;
}

/** Ticks of the time stamp counter in a millisecond: as told, or by what passed since `startClock`. */
export function ticksPerMillisecond(): u64 {
  if (toldRate !== 0) return toldRate;
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
