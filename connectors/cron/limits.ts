/** Bounds of the cron source that no configuration changes. */
export const cronLimits = {
  /** Maximum interval between two looks at the clock, which somebody may set. */
  lookMs: 30_000,
  /** A clock that is behind by less is being adjusted, not set back. */
  setBackMs: 1_000,
} as const;
