/** Bounds of the SFTP connector that no configuration changes. */
export const sftpLimits = {
  /** Bytes of one read or write: what every server takes. */
  pieceBytes: 32_768,
  /** Reads or writes of one file that are under way at once. */
  piecesAtOnce: 16,
  /** Answers that a piece may take: a server may read fewer bytes than asked for. */
  readsPerPiece: 64,
  /** Entries of a folder that one look keeps, and that one `list` answers. */
  entriesPerList: 100_000,
  entriesPerAnswer: 10_000,
  /** Entries of a folder that are looked at; an answer without any counts for `emptyEntries`. */
  entriesPerLook: 1_000_000,
  emptyEntries: 1_000,
  /** Characters of a name: file systems take 255 bytes. */
  nameCharacters: 1_024,
  /** Longest time of an answer; after it the connection is given up. */
  answerMs: 300_000,
  /** Files whose message has ended and that can't be moved; no others are taken until there are fewer. */
  unended: 100,
  /** Renewals of a lease within its time. */
  renewalsPerLease: 3,
} as const;
