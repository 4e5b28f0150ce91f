/** The congestion window: slow start and avoidance (RFC 5681), NewReno (RFC 6582); round trips and the timeout (RFC 6298). */
import { before } from "../../big-endian";
import { time } from "../clock";
import { firstTimeout, leastTimeout, mostTimeout, mostWindow } from "../limits";
import { output, sendAgain } from "./output";
import { Flag, Tcb, has } from "./tcb";

/** Initial window of RFC 6928: ten segments. */
export function startCongestion(c: Tcb): void {
  c.congestion = 10 * c.segment;
  c.threshold = mostWindow;
  c.recover = c.iss;
  if (c.timeout === 0) c.timeout = firstTimeout;
}

export function measured(c: Tcb, micros: u64): void {
  const sample = <u32>min<u64>(micros, mostTimeout);
  if (c.smoothed === 0) {
    c.smoothed = max(sample, 1);
    c.variation = sample >> 1;
  } else {
    const difference = sample > c.smoothed ? sample - c.smoothed : c.smoothed - sample;
    c.variation = c.variation - (c.variation >> 2) + (difference >> 2);
    c.smoothed = max<u32>(c.smoothed - (c.smoothed >> 3) + (sample >> 3), 1);
  }
  c.timeout = min(max<u32>(c.smoothed + max<u32>(c.variation << 2, 1000), leastTimeout), mostTimeout);
}

function halve(c: Tcb): void {
  const flight = c.max - c.una;
  c.threshold = max(flight >> 1, 2 * c.segment);
  c.recover = c.max;
}

/** `bytes` were acknowledged for the first time; `una` is still before them. True: recovery goes on, one more segment was lost. */
export function grow(c: Tcb, bytes: u32, acknowledged: u32): bool {
  c.duplicates = 0;
  if (has(c, Flag.recovering)) {
    if (before(acknowledged, c.recover)) {
      c.congestion = (c.congestion > bytes ? c.congestion - bytes : 0) + c.segment;
      return true;
    }
    c.flags &= ~Flag.recovering;
    c.congestion = min(c.threshold, max(c.max - acknowledged, c.segment) + c.segment);
    return false;
  }
  if (c.congestion < c.threshold) c.congestion += min(bytes, 2 * c.segment);
  else c.congestion += max<u32>((c.segment * c.segment) / c.congestion, 1);
  c.congestion = min(c.congestion, mostWindow);
  return false;
}

/** The peer acknowledged the same byte again, and something is under way. */
export function duplicate(c: Tcb): void {
  c.duplicates++;
  if (has(c, Flag.recovering)) {
    c.congestion = min(c.congestion + c.segment, mostWindow);
    return output(c, 0);
  }
  if (c.duplicates < 3) return output(c, c.duplicates * c.segment);
  if (c.duplicates > 3 || !before(c.recover, c.una)) return;
  halve(c);
  c.flags |= Flag.recovering;
  sendAgain(c, c.segment);
  c.congestion = c.threshold + 3 * c.segment;
  output(c, 0);
}

/** Nothing was heard in time: begin again with one segment, from the first byte without acknowledgement. */
export function lost(c: Tcb): void {
  if (c.backoffs === 0) halve(c);
  else c.recover = c.max;
  c.flags &= ~(Flag.recovering | Flag.timed);
  c.duplicates = 0;
  c.congestion = c.segment;
  c.nxt = c.una;
}

/** After a pause the window says nothing about the network any more (RFC 5681, 4.1). */
export function rest(c: Tcb): void {
  if (c.nxt === c.una && time - c.heardAt > <u64>c.timeout) c.congestion = min(c.congestion, 10 * c.segment);
}
