/** Bounds of the S3 connector that no configuration changes. */
export const s3Limits = {
  /** Requests of one source or outlet at once. */
  connections: 16,
  /** Objects of one page of a listing: the most that S3 gives. */
  pageObjects: 1_000,
  /** Objects that a poll looks at before it hands over the oldest. */
  objectsPerPoll: 10_000,
  /** Pages that a poll reads; the next one goes on behind them. */
  pagesPerPoll: 1_000,
  /** Objects that one `list` answers. */
  objectsPerAnswer: 10_000,
  /** Bytes of one answer in XML: a page of the longest keys, each character escaped. */
  xmlBytes: 16 * 2 ** 20,
  /** Longest time of such an answer: it may come byte by byte. */
  xmlMs: 120_000,
  /** Bytes of a key in UTF-8. */
  keyBytes: 1_024,
  /** Bytes of a large object that are in memory while it goes into the body store. */
  bufferBytes: 256 * 1_024,
  /** Parts of an upload: S3 takes no more, and none of less than 5 MiB but the last. */
  parts: 10_000,
  leastPartBytes: 5 * 2 ** 20,
  /** Longest life of a link. */
  linkSeconds: 7 * 24 * 3_600,
  /** Objects whose message has ended and that can't be moved, deleted or tagged; no others are taken until there are fewer. */
  unended: 100,
  /** Moving, deleting or tagging one object: a copy of 5 GB takes its time. */
  endMs: 600_000,
  /** Removing the parts of an upload that failed. */
  abortMs: 10_000,
  /** Tags of an object. */
  tags: 10,
  /** Objects known to be tagged, so that a poll does not ask again. */
  knownTags: 100_000,
} as const;
