/** Times of ownership, in milliseconds, and bounds. */
export const ownershipLimits = {
  /** Interval of a node's beats. */
  beatMs: 1_000,
  /** A node whose beat was not seen for this time, by the clock of who looks, has lost its partitions. */
  leaseMs: 5_000,
  /** A node whose last beat that was kept is this old stops working by itself: before others take over. */
  stepDownMs: 4_000,
  /** A view of the others is fresh while this node sees its own beats in it. */
  freshMs: 2_500,
  /** Interval at which a node looks for work. */
  tickMs: 200,
  /** Wait after the start, so that nodes that start together see each other before they take partitions. */
  settleMs: 1_500,
  /** Wait for the last beat of a process that ended, which may be on its way still. */
  lastBeatMs: 500,
  /** Watch for another process of the same name before a node takes the name over. */
  nameMs: 2_500,
  /** Partitions taken up at once, and given away at once when the node stops. */
  gainsAtOnce: 4,
  restsAtStop: 8,
  /** Time for what is under way when a partition is given away. */
  restMs: 10_000,
  /** Wait after a partition could not be taken up. */
  gainAgainMs: 2_000,
  /** Longest answer of the store to a write. */
  writeMs: 2_000,
  /** The store is watched anew when it said nothing for this time; the heartbeat of its consumers. */
  watchMs: 3_000,
  heartbeatMs: 1_000,
  /** Longest entry, in bytes. */
  entryBytes: 4_096,
};

export type OwnershipLimits = typeof ownershipLimits;
