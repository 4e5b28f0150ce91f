/** Bounds of the MySQL connector that no configuration changes. */
export const mysqlLimits = {
  /** Port of a url without one. */
  port: 3_306,
  /** Prepared statements that a connection keeps. */
  statements: 64,
  /** Attempts at a statement of the inbox that the server rolled back for a deadlock or a lock it waited for. */
  lockedTries: 5,
  /** Longest packet of the server that is no row, in bytes. */
  messageBytes: 1024 * 1024,
  /** Bytes of a statement's packet beside its text and values. */
  packetBytes: 1_024,
  /** Characters of a failure that are kept with its row: a column of type text holds them. */
  errorCharacters: 8_192,
} as const;
