/** Bounds of the SFTP connector that no configuration changes. */
export const sftpLimits = {
  /** Bytes of one read or write: what every server takes. */
  pieceBytes: 32_768,
  /** Reads or writes of one file that are under way at once. */
  piecesAtOnce: 16,
  /** Entries of a folder that one look keeps, and that one `list` answers. */
  entriesPerList: 100_000,
  entriesPerAnswer: 10_000,
  /** Renewals of a lease within its time. */
  renewalsPerLease: 3,
  /** Names whose trouble is remembered, so that each is logged once. */
  toldNames: 10_000,
} as const;
