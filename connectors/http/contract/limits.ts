/** Bounds of contracts and of what is checked against them. */
export const contractLimits = {
  /** All files of a contract together. */
  fileBytes: 4 * 1024 * 1024,
  files: 256,
  /** Levels of objects in a document, and of `$ref`s that lead to `$ref`s. */
  depth: 100,
  references: 32,
  operations: 1_000,
  /** Schemas that references name. */
  schemas: 10_000,
  /** Longest body or reply that is checked, and its levels. */
  bodyBytes: 4 * 1024 * 1024,
  bodyDepth: 100,
  /** Time of one try to check a request or reply: so many milliseconds, and one more for so many bytes; and most tries. */
  checkMs: 100,
  checkedBytesPerMs: 4_096,
  checkTries: 5,
  /** Fields or parts of a form, headers of one part, and values of one parameter. */
  formParts: 1_000,
  partHeadBytes: 16_384,
  values: 1_000,
  /** Characters of a caller's text in an error. */
  quotedCharacters: 64,
  /** Positions of a pattern's automaton; a larger pattern is left to `checkMs`. */
  patternPositions: 300,
  patternSteps: 1_000_000,
} as const;
