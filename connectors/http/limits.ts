/** Bounds of HTTP bodies that no configuration changes. */
export const httpLimits = {
  /** Timeout of fetching a token; life of one whose server does not say; and how long before its end it is renewed, in milliseconds. */
  tokenMs: 10_000,
  tokenLifeMs: 300_000,
  tokenEarlyMs: 30_000,
  /** Life of an assertion with which a token is fetched, in seconds. */
  assertionSeconds: 60,
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
