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
