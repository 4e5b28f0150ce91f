/** Bounds of what is read from a layout or a registry. */
const kib = 1024;

export const ociLimits = {
  /** Manifests and indexes, in bytes; registries take no longer ones. */
  manifestBytes: 4 * kib * kib,
  /** Signed text, in bytes: a digest and a few names. */
  payloadBytes: 64 * kib,
  /** Signatures of one artefact that are looked at. */
  signatures: 64,
  /** Artefacts of one layout. */
  artefacts: 1_000,
  /** An answer of an error that is shown, in characters, and read, in bytes. */
  shownCharacters: 200,
  errorBytes: 16 * kib,
  /** A request to a registry, in milliseconds: its answer's head, and the whole of it. */
  answerMs: 30_000,
  wholeMs: 600_000,
  /** Tries of a request that met no answer, or one of 5xx or 429, and the wait before the next. */
  tries: 3,
  retryMs: 500,
} as const;
