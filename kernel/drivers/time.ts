/** Time for whoever serves by himself: microseconds since the start by the time stamp counter, and the wall clock by KVM or the RTC. */
import { kvmWallMs, clockIsKvms, ticksPerMillisecond } from "./clock";
import { inb, outb, pause, rdtsc } from "./cpu";
import { apicTicks } from "./interrupts";

/** The local APIC's timer is watched for a millisecond, to a thousandth. */
const measureNanoseconds: u32 = 1_000_000;
/** The wall clock is read again this often, and put right when it is off by more: the RTC knows seconds only. */
const lookMicroseconds: u64 = 600_000_000;
const mostOffMs: f64 = 1500;

let ticksPerMs: u64 = 0;
let lastTicks: u64 = 0;
let microseconds: u64 = 0;

/** Microseconds since the start, never backwards. */
export function now(): u64 {
  const passed = ((rdtsc() - lastTicks) * 1000) / ticksPerMs;
  lastTicks += (passed * ticksPerMs) / 1000;
  microseconds += passed;
  return microseconds;
}

/** Ticks of the time stamp counter in so many milliseconds. */
export function ticksOf(milliseconds: u64): u64 {
  return milliseconds * ticksPerMs;
}

let wallBaseMs: f64 = 0;
let lookedAt: u64 = 0;

/** Milliseconds since 1970. */
export function wall(): f64 {
  const at = now();
  if (at - lookedAt > lookMicroseconds) {
    lookedAt = at;
    const read = readWall();
    if (read !== 0 && abs(read - (wallBaseMs + <f64>at / 1000)) > mostOffMs) wallBaseMs = read - <f64>at / 1000;
  }
  return wallBaseMs + <f64>at / 1000;
}

/** False when the machine has no wall clock. */
export function startTime(): bool {
  if (!clockIsKvms()) while (apicTicks() < measureNanoseconds) pause();
  ticksPerMs = max<u64>(ticksPerMillisecond(), 1);
  lastTicks = rdtsc();
  const read = readWall();
  if (read === 0) return false;
  wallBaseMs = read - <f64>now() / 1000;
  return true;
}

function readWall(): f64 {
  const told = kvmWallMs();
  return told !== 0 ? <f64>told : readRtc();
}

// Registers of the MC146818 (data sheet, figure 9), by ports 0x70 and 0x71.
const seconds: u32 = 0, minutes: u32 = 2, hours: u32 = 4, day: u32 = 7, month: u32 = 8, year: u32 = 9, statusA: u32 = 10, statusB: u32 = 11;
const updating: u32 = 0x80, binary: u32 = 4, hours24: u32 = 2, afternoon: u32 = 0x80;
const mostLooks: u32 = 100_000;

function register(index: u32): u32 {
  outb(0x70, index);
  return inb(0x71);
}

function number(value: u32, isBinary: bool): u32 {
  return isBinary ? value : (value >> 4) * 10 + (value & 15);
}

/** Days since 1970 of a date in the Gregorian calendar, as if years began in March. */
export function daysOf(year: u32, month: u32, day: u32): u32 {
  const shifted = month > 2 ? year : year - 1;
  const inYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + inYear - 719_468;
}

/** Milliseconds since 1970 as the real time clock says, which is in UTC; 0 without one. */
function readRtc(): f64 {
  const mode = register(statusB);
  if (mode === 0xff) return 0;
  const isBinary = (mode & binary) !== 0;
  for (let look: u32 = 0; look < mostLooks; look++) {
    if ((register(statusA) & updating) !== 0) continue;
    const second = register(seconds), minute = register(minutes), clock = register(hours);
    const date = daysOf(2000 + number(register(year), isBinary), number(register(month), isBinary), number(register(day), isBinary));
    if (second !== register(seconds)) continue; // it moved on meanwhile
    let hour = number(clock & ~afternoon, isBinary);
    if ((mode & hours24) === 0) hour = (hour % 12) + ((clock & afternoon) !== 0 ? 12 : 0);
    return (<f64>date * 86_400 + <f64>(hour * 3600 + number(minute, isBinary) * 60 + number(second, isBinary))) * 1000;
  }
  return 0;
}
