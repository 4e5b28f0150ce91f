/** Bounds of the Kafka connector that no configuration changes. */
export const kafkaLimits = {
  /** Port of a broker that is named without one. */
  port: 9_092,
  /** Shortest timeout of a connect, however short the heartbeat. */
  leastConnectMs: 1_000,
  /** Longest interval of the group's heartbeats, and shortest time that its members have to join when it is divided anew. */
  groupHeartbeatMs: 3_000,
  leastRebalanceMs: 60_000,
  /** Longest wait of a fetch for its first record. */
  fetchWaitMs: 1_000,
  /** Bytes of one fetch from one broker; a record that is longer comes alone. */
  fetchBytes: 2 ** 20,
  /** Bytes that a compressed batch may unfold to. */
  unfoldedBytes: 64 * 2 ** 20,
  /** Records that wait in the client before the next fetch. */
  recordsAhead: 64,
  /** Share of the session timeout that messages in hand may take to end when the group is divided anew. */
  handOffShare: 0.5,
  /** Messages and bytes of one produce request. */
  batchMessages: 500,
  batchBytes: 900_000,
  /** Attempts of the client at one produce request, all under one sequence number. */
  produceRetries: 2,
  produceRetryMs: 100,
} as const;
