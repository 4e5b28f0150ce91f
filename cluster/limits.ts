/** Bounds of a node's connection to its servers, in milliseconds. */
export const clusterLimits = {
  /** The first connection, with every server of the configuration tried. */
  connectMs: 5_000,
  /** Wait between two attempts to connect again. They never end: the process has no work without its servers. */
  reconnectMs: 250,
  /** Interval of pings; the connection is lost after three that are not answered. */
  pingMs: 2_000,
  /** Longest name of a node, in characters. */
  nodeCharacters: 64,
} as const;

/** Partitions of a cluster that is moved as a whole, opened at once. */
export const partitionsOpenedAtOnce = 8;

/** Demands of `mayfly cluster check` on servers. */
export const checkLimits = {
  requestMs: 5_000,
  /** `max_payload`, in bytes: the server's default, and what is too little for a log. */
  payloadBytes: 1024 * 1024,
  leastPayloadBytes: 64 * 1024,
  /** Streams beside those of partitions: letters, owners, the one of the check. */
  otherStreams: 4,
} as const;
