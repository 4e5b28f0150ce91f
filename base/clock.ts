/** Time as it is passed in, so that a simulation can be its own clock. */
import { longestTimerMs } from "./limits.ts";

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z, as the computer's clock says: for dates. It jumps when somebody sets that clock. */
  now(): number;
  /** Milliseconds since 1970 by a clock that was right when the process started and never jumps: for everything that has a duration. */
  monotonicMs(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, Math.min(Math.max(delayMs, 0), longestTimerMs));
    return () => clearTimeout(timer);
  },
};
