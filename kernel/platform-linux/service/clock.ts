/** Time: read from the kernel once for each turn of the loop, and after each job. */
import { address, Call, call } from "../cpu";

// @ts-ignore: decorator
@lazy const time: usize = memory.data(16, 8);
const realtime: u64 = 0, monotonic: u64 = 1;
const second: u64 = 1_000_000;

let micros: u64 = 0;
/** Wall time less monotonic time, in microseconds, and when it was measured. */
let difference: i64 = 0, differenceUntil: u64 = 0;

function readClock(clock: u64): u64 {
  call(Call.clockGettime, clock, address(time));
  return load<u64>(time) * second + load<u64>(time, 8) / 1000;
}

export function tellTime(): void {
  micros = readClock(monotonic);
}

/** Monotonic, in microseconds. */
export function now(): u64 {
  return micros;
}

/** Milliseconds since 1970. The system's clock is looked at once a second. */
export function wall(): f64 {
  if (micros >= differenceUntil) {
    difference = <i64>readClock(realtime) - <i64>micros;
    differenceUntil = micros + second;
  }
  return Math.floor(<f64>(<i64>micros + difference) / 1000);
}
