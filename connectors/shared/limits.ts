/** Bounds of the broker clients that no configuration changes. Those of the gateway stand in ../limits.ts. */
export const brokerLimits = {
  /** One attempt to connect, log in and subscribe. */
  connectMs: 10_000,
  /** A polite goodbye; after it the socket is dropped. */
  closeMs: 2_000,
  /** A session must have lasted so long before the backoff starts from its least again. */
  steadyMs: 5_000,
  /** Headers taken over from one broker message, and characters of one value; the rest is dropped. */
  headersPerMessage: 256,
  headerCharacters: 8_192,
  /** Most unacknowledged messages that AMQP (prefetch-count) and MQTT (Receive Maximum) can express: 16 bits. */
  unacknowledged: 65_535,
  /** Unacknowledged messages an AMQP consumer begins with; four times as many whenever that many have come. */
  amqpFirstPrefetch: 8,
  /** Messages and bytes of NATS core that wait for a busy flow; beyond it they are dropped, as NATS itself does with a slow consumer. */
  natsWaiting: 4_096,
  natsWaitingBytes: 32 * 2 ** 20,
  /** One pull of a JetStream consumer waits so long for messages. */
  pullMs: 30_000,
  /** Least interval of the server's signs of life within a pull. */
  pullHeartbeatMs: 500,
  /** The JetStream client keeps an unanswered publish so long, even when its attempt was ended before. */
  publishMs: 60_000,
  /** One blocking read of a Redis stream; claims of others' entries happen between two of them. */
  redisBlockMs: 5_000,
  /** A Redis server that may not have had the blocking read yet is asked this often to end it. */
  redisUnblockMs: 20,
  /** One reply or acknowledgement. */
  settleMs: 30_000,
  /** A source without memory for another message looks again this often. */
  memoryLookMs: 100,
  /** Rows one SQL request may answer with. */
  answerRows: 10_000,
} as const;
