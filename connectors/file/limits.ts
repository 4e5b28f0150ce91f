/** Bounds of the file connector that no configuration changes. */
export const fileLimits = {
  /** Ignored names that are remembered, so that each is logged once. */
  ignoredNames: 10_000,
  /** Characters of one value in a name. */
  valueCharacters: 120,
  /** Characters of one part of a path: file systems take 255 bytes. */
  partCharacters: 220,
  /** Hexadecimal digits of the hash that stands for the rest of a value. */
  hashCharacters: 20,
} as const;
