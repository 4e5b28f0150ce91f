/** Bounds of a machine's life, in every monitor. */
export const machineLimits = {
  /** Events that wait while a step runs. */
  queuedEvents: 1024,
  /** Workers that a machine may end before it is given up. */
  losses: 2,
  /** Times a step may lose its worker, or its place there, through no fault of the machine. */
  displacements: 64,
  /** Most bytes of its stored body that a machine is given again, where its place or its worker was lost. */
  readAgainBytes: 32 * 1024 * 1024,
} as const;

/** Pauses of a flow whose messages end their workers: none after the first, then doubled each time. */
export const lossLimits = {
  pauseLeastMs: 20,
  pauseMostMs: 500,
} as const;
