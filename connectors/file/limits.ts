/** Bounds of the file connector that no configuration changes. */
export const fileLimits = {
  /** Ignored names that are remembered, so that each is logged once. */
  ignoredNames: 10_000,
} as const;
