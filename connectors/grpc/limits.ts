/** Bounds of gRPC that no configuration changes. */
export const grpcLimits = {
  /** Files of one contract, and bytes of all of them. */
  protoFiles: 256,
  protoBytes: 4 * 2 ** 20,
  /** Levels of messages in a message. protoc and protobufjs have the same. */
  depth: 100,
  /** Longest message, unless `bodyLimit` or `answerLimit` says otherwise: what gRPC itself has; and the highest limit. */
  messageBytes: 4 * 2 ** 20,
  mostMessageBytes: 16 * 2 ** 20,
  /** Calls of one connection at once, and time without a call after which a connection is closed. */
  callsPerConnection: 256,
  connectionIdleMs: 300_000,
  /** Interval of pings, and time without an answer after which a connection is closed. */
  pingMs: 30_000,
  pingTimeoutMs: 10_000,
  /** Time for open connections to close before they are cut. */
  closeMs: 2_000,
  /** Interval at which certificate files are looked at. */
  certificatesMs: 10_000,
  /** Characters of a status message. */
  statusCharacters: 1_024,
  /** Seconds that a Timestamp and a Duration may have (google/protobuf/timestamp.proto, duration.proto). */
  timestampSeconds: { least: -62_135_596_800, most: 253_402_300_799 },
  durationSeconds: 315_576_000_000,
} as const;
