/** Bounds of reading a body in pieces. */
export const readingLimits = {
  /** Longest piece, in bytes: `hardLimits.windowBytes`, which a part can't import. */
  windowBytes: 256 * 1024,
  /** Longest position of a batch: what fits `hardLimits.positionBytes` in any characters. */
  positionCharacters: 10_922,
  /** Longest row, line or element, in bytes of UTF-8. */
  itemBytes: 4 * 1024 * 1024,
  /** Bytes that are looked at for the delimiter of CSV: they have the 65,536 characters that `msg.csv` looks at. */
  sampleBytes: 192 * 1024,
  /** Bytes in which an XML declaration is looked for. */
  declarationBytes: 120,
  /** Items that are made at once. */
  itemsAtOnce: 512,
} as const;
