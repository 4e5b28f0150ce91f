/** Bounds of the connectors that no configuration changes. Those of the gateway are in gateway/contract/limits.ts. */
export const brokerLimits = {
  /** One attempt to connect, log in and subscribe. */
  connectMs: 10_000,
  /** Closing a connection in order; after this its socket is destroyed. */
  closeMs: 2_000,
  /** A session that lasted this long starts the backoff from its minimum again. */
  steadyMs: 5_000,
  /** Headers kept of one message, and characters of one value; the rest is dropped. */
  headersPerMessage: 256,
  headerCharacters: 8_192,
  /** Most unacknowledged messages that AMQP (prefetch-count) and MQTT (Receive Maximum) can express: 16 bits. */
  unacknowledged: 65_535,
  /** First prefetch of an AMQP consumer; it is multiplied by four each time that many messages have come. */
  amqpFirstPrefetch: 8,
  /** Messages and bytes of NATS core that wait for a busy flow; those beyond are dropped, as NATS itself does with a slow consumer. */
  natsWaiting: 4_096,
  natsWaitingBytes: 32 * 2 ** 20,
  /** Maximum wait of one JetStream pull. */
  pullMs: 30_000,
  /** Minimum interval of the server's heartbeats within a pull. */
  pullHeartbeatMs: 500,
  /** Timeout of a JetStream publish in the client, which keeps it beyond the end of its attempt. */
  publishMs: 60_000,
  /** Maximum duration of a blocking read of a Redis stream; abandoned entries are claimed between two reads. */
  redisBlockMs: 5_000,
  /** Interval of CLIENT UNBLOCK: the blocking read goes over another connection and may reach the server after it. */
  redisUnblockMs: 20,
  /** One reply or acknowledgement. */
  settleMs: 30_000,
  /** Interval at which a source that waits for memory checks again. */
  memoryLookMs: 100,
  /** Rows of one SQL answer. */
  answerRows: 10_000,
} as const;

/** Bounds of an intake's search for the message whose acknowledgement ends connections. */
export const suspectLimits = {
  /** Connections lost in one step of a message before that step is skipped. */
  deadlySteps: 2,
  /** Messages remembered with their deadly steps. */
  messages: 1_024,
  /** Acknowledgements that the broker may not have read yet: the newest ones, up to this age. */
  unproven: 256,
  unprovenMs: 1_000,
  /** Bytes of a body that identify a message without an id, together with the body's length. */
  bodyBytes: 65_536,
} as const;

/** Characters of foreign text that an error quotes. */
export const quoteLimits = {
  name: 64,
  text: 200,
  answer: 500,
} as const;

/** Bounds of names that are made from messages. */
export const fileNameLimits = {
  /** Characters of one value in a name. */
  valueCharacters: 120,
  /** Characters of one part of a path: file systems take 255 bytes. */
  partCharacters: 220,
  /** Hexadecimal digits of the hash that stands for the rest of a value. */
  hashCharacters: 20,
} as const;

/** Bounds of sources that list files again and again. */
export const polledLimits = {
  /** Names whose trouble is remembered, so that each is logged once. */
  toldNames: 10_000,
  /** Time after which they are forgotten, where there are more. */
  toldMs: 3_600_000,
  /** A file that is read makes progress when so many more bytes have come within the time. */
  progressBytes: 64 * 1024,
  progressMs: 60_000,
} as const;

/** Bounds of sources that read the rows of a query. */
export const queryLimits = {
  /** Rows that a page has, and bytes of JSON that are held of it; one row may be longer. */
  pageRows: 500,
  pageBytes: 4 * 2 ** 20,
  /** Longest row, as text: the sum of its columns. A longer one is left out, and logged. */
  rowBytes: 16 * 2 ** 20,
  /** Longest value of the cursor. */
  cursorBytes: 2_048,
  /** Rows of one value of the cursor that a page grows to. */
  equalRows: 16_000,
  /** Rows that are known at once, beside those of one value and of one page. */
  knownRows: 50_000,
  /** Ended rows that the position names, so that they do not come again after a restart. */
  keptRows: 500,
} as const;

/** Bounds of inbox tables. */
export const inboxLimits = {
  /** Longest row: its body, headers and other texts. A longer one is marked and passed by, as one without a body. */
  rowBytes: 64 * 2 ** 20,
  /** Bytes of a row beside its columns: names, lengths, what belongs to the claim. */
  frameBytes: 64 * 1024,
} as const;

/** Bounds of SQL outlets. */
export const sqlOutletLimits = {
  /** Statements of one transaction. */
  statements: 1_000,
} as const;

/** Bounds of OAuth 2 tokens. */
export const tokenLimits = {
  /** Timeout of fetching a token; life of one whose server does not say; and how long before its end it is renewed, in milliseconds. */
  tokenMs: 10_000,
  tokenLifeMs: 300_000,
  tokenEarlyMs: 30_000,
  /** Life of an assertion with which a token is fetched, in seconds. */
  assertionSeconds: 60,
} as const;
