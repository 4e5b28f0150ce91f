/** Bounds of HTTP bodies that no configuration changes. */
export const httpLimits = {
  /** Callers whose rate is remembered at once, and characters of a name that is remembered as it is. */
  rateCallers: 100_000,
  rateNameCharacters: 64,
  /** Shorter replies are not compressed: the header would cost more than is saved. */
  leastCompressedBytes: 1_024,
  /** A reply up to this length is written together with its head. */
  joinedBytes: 16_384,
  /** Bytes of one write of a longer reply. */
  pieceBytes: 262_144,
} as const;
