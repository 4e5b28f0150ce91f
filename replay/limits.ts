/** Bounds of replay, backtest and debug. */
export const replayLimits = {
  /** Most events of one recording. */
  events: 1_000_000,
  /** Differences of one message that are kept; more are counted. */
  differences: 200,
  /** Characters of a text in a difference. */
  textCharacters: 2_000,
  /** Characters of any other value in a difference, as JSON. */
  jsonCharacters: 4_000,
  /** A replay may take this many times the CPU of the flow's limit: another computer or monitor may be slower. */
  slowness: 20,
  /** Duration of one replay, waits left out; virtual machines without acceleration are slow. */
  replayMs: 600_000,
} as const;
