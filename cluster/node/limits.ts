export const nodeLimits = {
  /** How long another node has to answer what `mayfly cluster` asks, in milliseconds. */
  statusMs: 2_000,
  /** How long a node that starts waits for JetStream, and between two attempts, in milliseconds. */
  openMs: 20_000,
  openAgainMs: 500,
  /** Random bytes that tell one process from another. */
  lifeBytes: 9,
} as const;
