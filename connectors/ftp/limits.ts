/** Bounds of the FTP connector that no configuration changes. */
export const ftpLimits = {
  /** Bytes of one listing, which the client holds at once. */
  listingBytes: 24 * 2 ** 20,
  /** Files of one look whose exact times are asked for, one by one. */
  exactPerLook: 256,
  /** Connections for contents, beside the one for commands. */
  transfersAtOnce: 4,
  /** Attempts to go on with a file after a lost connection, without a byte in between. */
  resumptions: 3,
  /** Bytes of a file that wait for their reader. */
  bufferBytes: 256 * 1024,
  /** Longest lease file; its length is what a listing shows of the lease. */
  leaseBytes: 997,
} as const;
