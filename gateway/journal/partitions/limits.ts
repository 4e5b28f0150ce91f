/** Bounds of the journals of partitions. */
export const partitionLimits = {
  /** The time for which a partition remembers that a signal was moved to it, and how many. */
  movedMs: 24 * 3_600_000,
  movedIds: 100_000,
  /** Signals known by an earlier number, of attempts under way: those of all machines. */
  movedKnown: 16_384,
} as const;
