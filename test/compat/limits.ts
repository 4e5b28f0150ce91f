/** Bounds of the compatibility suite. */
export const compatLimits = {
  /** Longest time a job may take in Node. */
  nodeMs: 30_000,
  /** Longest time the installation of the packages may take. */
  installMs: 900_000,
  /** Runs after the first, of which the fastest counts. */
  warmRuns: 2,
  /** Longest reason in the report, in characters. */
  whyCharacters: 200,
  machine: { cpuMs: 60_000, timeMs: 600_000, memoryBytes: 256 * 1024 ** 2, logBytes: 1 << 20 },
} as const;
