/** Bounds of the clock, of the memory budget and of JSON values that are taken out of a message. */

/** Longest delay of setTimeout: beyond it the callback runs at once. */
export const longestTimerMs = 2 ** 31 - 1;

export const memoryLimits = {
  /** Waiters of one budget; more are turned away. */
  waiters: 16_384,
  /** Bytes that count as many at once. */
  largeBytes: 262_144,
  /** A holder that made no progress for this long may be evicted. */
  stallMs: 1_000,
} as const;

/** Of a JSON value that is no text and is taken out of a message: a longer one is given as it stands there, not as JSON.stringify writes it. */
export const mostNormalJsonBytes = 64 * 1024;
