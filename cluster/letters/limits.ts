/** Bounds of dead letters on a stream. */

/** Files being written: they are in memory until they get their name. */
export const unnamedAtMost = 1_000;
/** Longest file: a body, or a machine that had slept, with its messages. */
export const longestFileBytes = 512 * 1024 * 1024;
