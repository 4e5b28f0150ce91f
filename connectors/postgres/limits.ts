/** Bounds of the PostgreSQL connector that no configuration changes. */
export const postgresLimits = {
  /** Longest message of the server that is no row, in bytes: descriptions of 1,664 columns, errors, notifications. */
  messageBytes: 1024 * 1024,
} as const;
