/** Bounds of folders on file servers (SFTP, FTP) that no configuration changes. */
export const folderLimits = {
  /** Entries of a folder that one look keeps, and that one `list` answers. */
  entriesPerList: 100_000,
  entriesPerAnswer: 10_000,
  /** Bytes of a file that are read ahead: what a long file takes of the memory budget. */
  readAheadBytes: 524_288,
  /** Characters of a name: file systems take 255 bytes. */
  nameCharacters: 1_024,
  /** Files whose message has ended and that can't be moved; no others are taken until there are fewer. */
  unended: 100,
  /** Renewals of a lease within its time. */
  renewalsPerLease: 3,
} as const;
