/** Bounds of replay, backtest and debug. */
export const replayLimits = {
  /** Most events of one recording. */
  events: 1_000_000,
  /** Differences of one message that are kept; more are counted. */
  differences: 200,
  /** Characters of a value in a difference. */
  valueCharacters: 2_000,
} as const;
