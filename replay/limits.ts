const mib = 2 ** 20;

/** Bounds of replay, backtest and debug. */
export const replayLimits = {
  /** Longest sleep of a flow without a mayfly.yaml, in milliseconds. */
  sleepMostMs: 30 * 24 * 3_600_000,
  /** Most events of one recording, and most steps of a life that is driven. */
  events: 1_000_000,
  /** Bodies that are compared as JSON or text; longer ones by their hash. */
  parsedBytes: 4 * mib,
  /** Bodies of a recording that becomes a flow test, together. */
  testBytes: 1 * mib,
  /** Differences of one message that are kept; more are counted. */
  differences: 200,
  /** Characters of a text in a difference. */
  textCharacters: 2_000,
  /** Characters of any other value in a difference, as JSON. */
  jsonCharacters: 4_000,
  /** A replay may take this many times the CPU of the flow's limit: another computer or monitor may be slower. */
  slowness: 20,
  /** The same for another image: code that overruns its limit should be seen to, and soon. */
  otherSlowness: 2,
  /** Duration of one replay, waits left out; virtual machines without acceleration are slow. */
  replayMs: 600_000,
  /** Log lines of a recording that its flow test expects. */
  testLogs: 100,
  /** Messages of a backtest under way at once. */
  inFlight: 256,
  /** Messages of a backtest between two reports of progress. */
  progressEvery: 1_000,
  /** Shapes of differences that a backtest tells apart; the rest are counted together. */
  groups: 200,
  /** Parts of a shape that are named. */
  shapesNamed: 4,
  /** Messages shown for a shape, and differences of each. */
  examples: 3,
  exampleDifferences: 20,
} as const;
