/** Bounds of the PostgreSQL connector that no configuration changes. */
export const postgresLimits = {
  /** Longest message of the server that is no row, in bytes: descriptions of 1,664 columns, errors, notifications. */
  messageBytes: 1024 * 1024,
} as const;

/** Bounds of the source of changes. */
export const changeLimits = {
  /** Longest change as the server sends it, old and new row together, in bytes. A longer one becomes a dead letter. */
  changeBytes: 16 * 2 ** 20,
  /** Bytes kept of a longer one: enough for its kind and its table. */
  headBytes: 64,
  /** Changes, and bytes of their JSON, that wait for the flow: beyond either nothing is read from the socket until half of them are gone. */
  waiting: 1_000,
  waitingBytes: 4 * 2 ** 20,
  /** Changes, and bytes of their JSON, of one message with `batch: transaction`; a longer transaction is sent in parts. */
  batchChanges: 10_000,
  batchBytes: 4 * 2 ** 20,
  /** Characters of a row's order key; a longer one ends in its hash. */
  keyCharacters: 200,
  /** Tables whose description is kept: the server describes them all again in a new session. */
  tables: 100_000,
  /** Transactions that are remembered after their end, until the server is known to have kept the position behind them. */
  endedTransactions: 10_000,
  /** Interval at which a new position is told to the server, and at which it is told again, in milliseconds. */
  positionMs: 100,
  positionAgainMs: 10_000,
  /** Least interval between two records of the place within a transaction, in milliseconds. */
  recordMs: 1_000,
  /** Longest wait for a new slot, which the server makes once all open transactions have ended, in milliseconds: less than `brokerLimits.connectMs`. */
  slotMs: 7_000,
} as const;
