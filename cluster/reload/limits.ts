/** Times of a reload of the cluster, in milliseconds, and bounds. */
export const reloadLimits = {
  /** Time for all nodes to build and check their flows. */
  prepareMs: 60_000,
  /** A node that is prepared and hears no decision ends the reload after this time, or as soon as the node that decides holds no lease. */
  heldMs: 75_000,
  /** Interval at which it looks, and how often it tries before it forgets what it has prepared. */
  lookMs: 2_000,
  endAttempts: 5,
  /** A reload is taken for abandoned when its record has not changed for this time, by the clock of the node that looks. */
  openMs: 120_000,
  /** Time for a node to swap, and to see the record that says so. */
  swapMs: 30_000,
  seeMs: 5_000,
  /** Attempts to begin with a record that has changed meanwhile. */
  begins: 3,
  /** Attempts of the decision's write while the servers do not answer. */
  writes: 5,
  /** Rounds in which nodes are asked that came during the reload. */
  rounds: 4,
  /** Longest record, and longest text of an error, in characters. */
  recordCharacters: 4_096,
  messageCharacters: 2_000,
} as const;
