/** Bounds of the figures that the page and the command line are shown. */
const second = 1000;

export const watchLimits = {
  /** One sample a second, kept for a quarter of an hour. */
  sampleMs: second,
  samples: 900,
  /** Samples over which a rate is taken, and over which percentiles are. */
  rateSamples: 5,
  percentileSamples: 60,
  /** Flows whose samples are kept: about 60 kB each. The one without traffic for longest gives way. */
  sampledFlows: 200,
  /** Flows that are asked for their problems with each sample; of more, all are asked every few samples. */
  flowsLookedAt: 2_000,
  /** Flows in an overview; `/api/flows` has all. */
  flowsInOverview: 200,
  /** Errors of connectors that are remembered after they have gone. */
  errorsKept: 1_000,
  /** Characters of a dead letter's failure in a list. */
  failureCharacters: 300,
  /** Dead letters that lists and groups look at, the newest of each flow first; and how many are read at once. */
  lettersScanned: 20_000,
  lettersReadAtOnce: 32,
  /** Letters in one page of a list, unless asked for fewer. */
  lettersPerPage: 1_000,
  /** Letters of one request to retry or drop; the answer says how many are left. */
  lettersPerRequest: 1_000,
  /** Letters that are being retried at once by one request. */
  lettersRetriedAtOnce: 16,
  /** Ids and failures that an answer names. */
  lettersNamed: 100,
} as const;
