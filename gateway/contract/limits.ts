/**
 * Bounds of delivery, HTTP and memory, and defaults of settings. The journal's are in `journal/log/limits.ts`, the connectors' in
 * `connectors/shared/limits.ts`, a machine's own in `#abi`.
 */

const kib = 1024;
const mib = 1024 * kib;
const second = 1000;
const minute = 60 * second;

export const gatewayLimits = {
  /** Messages of one flow that are queued, running or waiting for a retry; beyond it sources are refused (HTTP 503). */
  pendingPerFlow: 1_024,
  /** The same over all flows. */
  pendingTotal: 16_384,
  /** Machines of one flow that run or wait at once, unless `concurrency` says otherwise. */
  concurrency: 256,
  /** Share of `pendingPerFlow` at which sources are paused, and at which they go on. */
  pauseAt: 0.8,
  resumeAt: 0.5,
  /** Interval at which a partition that rests is looked at, until nothing of it is under way. */
  restLookMs: 10,
  /** Questions about signals that are open between this node and the others. */
  signalQuestions: 1_024,
  /** Default Retry-After of a refused message. */
  retryAfterMs: 1 * second,

  /** Most partitions of a cluster: each is a stream of its own. */
  partitions: 1_024,

  /** The memory budget: what Node itself needs, and the least and the most unless `memory` says otherwise. */
  memory: { nodeBytes: 208 * mib, leastBytes: 32 * mib, mostBytes: 1024 * mib },
  /** Bytes a message takes besides its body. */
  messageBytes: 2 * kib,
  /** Longest wait for memory, of an answer that is coming in. */
  memoryWaitMs: 10 * second,
  /** The time for which /ready says that the budget was exhausted. */
  memoryTroubleMs: 5 * second,

  /** Calls one machine may have open at once. */
  openCallsPerMachine: 256,
  /** Calls one message may make over all its steps. */
  callsPerMessage: 10_000,
  /** Pieces of its stored body that one message may read: 16 GiB. */
  windowsPerMessage: 65_536,
  /** A flow that reads its body in pieces has longer ones stored, unless `claimCheck` says otherwise: with `batch`, and without. */
  storedFromBytes: { batch: 256 * kib, stream: 8 * mib },
  /** The same as a share of the machine's memory, where that is less. */
  storedMemoryShare: 8,
  /** Most certificates of the server besides its first, and the interval at which their files are looked at, in milliseconds. */
  certificates: 64,
  certificatesMs: 5_000,
  /** Signatures of one request that are compared: a sender has a few while it changes its secret. */
  signaturesRead: 16,
  /** Longest file that a configuration refers to, in bytes. */
  secretFileBytes: 65_536,
  /** Most parts of a profile that are named again. */
  profileAliases: 1_000,
  /** Timeout of fetching an issuer's keys, and the least time between two fetches, in milliseconds. */
  jwksMs: 5_000,
  jwksCooldownMs: 10_000,
  /** Pauses from the beginning of the second failed fetch in a row, and of each further one: longer than the timeout. */
  jwksBackoffMs: { least: 6 * second, most: 60 * second },
  /** Longest set of keys, or description of an issuer, in bytes. */
  jwksBytes: 1 * mib,
  /** Time after which an issuer is asked again where its keys are, in milliseconds. */
  discoveryMs: 3_600_000,
  /** Longest claims of a token, as JSON, in characters. */
  claimsCharacters: 16_384,
  /** Timers and waits one machine may have open at once. */
  openTimersPerMachine: 512,
  openWaitsPerMachine: 256,
  /** A flow that only sleeps is put to sleep durably for this long or longer, in milliseconds. */
  durableMs: 10_000,
  /** Longest sleep, unless the flow's `sleep.max` says otherwise, in milliseconds. */
  sleepMostMs: 30 * 24 * 3_600_000,
  /** Most sleepers of a flow, unless `sleep.atMost` says otherwise. */
  sleepers: 1_000_000,
  sleepersMost: 100_000_000,
  /** How long a signal is kept that nobody waits for yet, unless `sleep.early` says otherwise, in milliseconds. */
  earlySignalMs: 24 * 3_600_000,
  /** Most signals of a flow that are kept and not yet taken. */
  keptSignals: 100_000,
  /** Shortest time for which a signal is kept that a machine waits for, in milliseconds. */
  signalGraceMs: 60_000,
  /** Time for which ids of signals are remembered, unless the flow's `dedup` says otherwise, in milliseconds. */
  signalDedupMs: 24 * 3_600_000,
  /** Between two looks for signals that nobody has taken, in milliseconds. */
  signalSweepMs: 10_000,
  /** Between two looks at the date while machines sleep, in milliseconds: clocks are set. */
  sleepLookMs: 1_000,
  /** Until a sleeper that can't be woken is tried again, in milliseconds. */
  stuckRetryMs: 30_000,
  /** Sleepers that can't be woken whose reason is kept in memory. */
  stuckShown: 1_000,
  /** Reasons why sleepers can't be woken that are logged until all of them can be. */
  stuckReasons: 100,
  /** Log lines of a sleeper that are shown. */
  sleeperLogsShown: 50,
  /** Sleepers that are listed at once. */
  sleepersListed: 1_000,
  /** Sleepers that one request for a list looks at. */
  sleepersLookedAt: 20_000,
  /** Longest body of a signal, in bytes. */
  signalBytes: 1024 * 1024,
  /**
   * From this CPU time on, in milliseconds, a sleeper's memory is kept besides its events: giving them all again at its wake would take
   * longer than to read some 20 KiB.
   */
  replayCheapMs: 50,
  /** Longest memory of a sleeper that is kept, in bytes, packed. */
  sleeperPagesBytes: 4 * 1024 * 1024,
  /** Longest recording of a sleeper, in bytes: its events so far. */
  sleeperBytes: 16 * 1024 * 1024,
  /** Steps one attempt may take. */
  stepsPerMessage: 100_000,
  /** Bodies one message may send, in bytes, over all its sends. */
  sendBytesPerMessage: 64 * mib,
  /** Runs thrown away in a row because the state under the key had changed, before the message waits for a retry. */
  conflictsInARow: 20,
  /** Longest answer to a call, in bytes. */
  answerBytes: 16 * mib,
  /** Workers a message may end, over all its attempts, before it is quarantined. */
  workersPerMessage: 2,
  /** Redirects a declared host may answer with in a row. */
  redirects: 20,
  /** Time a machine has to finish after a cancel, before it is stopped. */
  cancelGraceMs: 250,

  /** Sends of one outlet that wait in the outbox; beyond it the flows that feed it are refused. */
  outboxPerOutlet: 10_000,
  /** Sends of one outlet that wait for a later date; they count for themselves. */
  delayedPerOutlet: 100_000,
  /** Sends of one outlet under way at once, unless `concurrency` says otherwise. */
  outletConcurrency: 64,
  /** Requests that wait for a free place at one outlet. */
  outletWaiters: 4_096,
  /** Attempts at a request a flow waits for; its message may be tried again as a whole. */
  requestAttempts: 3,
  /** Longest Retry-After that a request waits for; beyond it the flow gets the answer at once. */
  requestWaitMs: 1 * second,
  /** Outlets have this time to connect before the sources of their flow start. */
  outletStartMs: 250,
  /** Attempts and total age of a send unless the outlet's `retry` says otherwise. */
  outletAttempts: 12,
  outletAgeMs: 24 * 60 * minute,
  outletBackoffMs: { least: 200, most: 60 * second },
  /** One attempt of a send or a request, unless the outlet's `timeout` says otherwise. */
  outletTimeoutMs: 30 * second,

  /** Attempts of a message unless the flow's `retry` says otherwise. */
  attempts: 5,
  backoffMs: { least: 200, most: 30 * second },
  retryAgeMs: 24 * 60 * minute,
  /** Log lines kept with an attempt for its dead letter. */
  logsPerAttempt: 200,
  /** Codes of failures that are counted one by one, per flow and per outlet: flows may make up their own. The rest counts as `other`. */
  failureCodes: 200,
  /** Characters kept of an outlet's last failure. */
  failureCharacters: 1_000,
  /** Attempts whose record is kept with a message; of more, the first and the last ones. */
  attemptsKept: 50,

  /** Lines of an export that are taken in at once, and the longest one, in characters. */
  importedAtOnce: 256,
  importCharacters: 512 * mib,
  /** Message ids a dedup window remembers per flow at most. */
  dedupIds: 100_000,
  /** Recorded replies kept for duplicates, per flow, in bytes. */
  dedupReplyBytes: 16 * mib,
  /** Characters of a message's id; a longer one is shortened and ends in its hash. */
  idCharacters: 200,
  /** Characters of a dedup id that are kept as they are; of a longer one its hash is kept. */
  dedupIdCharacters: 512,
  /** The dedup window of a dead letter that is retried. */
  retriedIdMs: 7 * 24 * 60 * minute,
  /**
   * Keys with deleted state of one flow whose versions are remembered. A run that read such a key as absent and commits after it was
   * forgotten finds it absent, as it was; a run that read an old version conflicts, because versions never repeat.
   */
  deletedStates: 10_000,
  /** State kept under one key, in bytes of JSON. */
  stateBytes: 1 * mib,
  /** Time a retry of an edited dead letter waits for the result. */
  retryTellMs: 20 * second,
  /** The same for one that another node asks for, whose question is open meanwhile. */
  retryAwayMs: 4 * second,
  /** Dead letters of one flow; beyond it burying fails and the flow's sources are refused. */
  deadLettersPerFlow: 100_000,
  /** Letters that hold messages and are retried at once: they need no place in the flow's queue. */
  heldRetries: 16,
  /** Letters that hold messages are looked for this often: somebody may have dropped one. */
  holdLookMs: 1 * second,
  /** Waits between two attempts at a journal or a dead-letter disk that refuses. */
  journalBackoffMs: { least: 500, most: 30 * second },

  /** Body of an HTTP request, as it comes and after decompression, unless `bodyLimit` says otherwise. */
  httpBodyBytes: 8 * mib,
  /** Most a request or response header block may hold, in bytes. */
  httpHeadersBytes: 16 * kib,
  /** Header lines of a request. */
  httpHeaders: 1000,
  /** Bodies up to this length are short: they have a memory account of their own, and an answer takes memory as it arrives. */
  shortBodyBytes: 64 * kib,
  /** Chunks of a body before their average length is checked, and the shortest average. */
  httpShortChunks: 4_096,
  httpShortChunkBytes: 32,
  /** A sender makes progress when it has sent this much more. */
  httpProgressBytes: 64 * kib,
  /** Pieces of a body that are kept before they are joined, and the length from which a joined one is left alone. */
  loosePieces: 64,
  joinedPieceBytes: 64 * kib,
  /** Expected growth of a compressed answer. */
  compressionRatio: 16,
  /** Longest path of a UNIX socket (Linux: sun_path without its zero). */
  socketPathBytes: 107,
  /** Event streams open at once, and bytes that wait for the reader of one: beyond them it misses events. */
  eventStreams: 32,
  eventStreamBytes: 1 * mib,
  /** Files of the page, in bytes, all together. */
  pageBytes: 4 * mib,
  /** A selection of dead letters as JSON. */
  selectionBytes: 1 * mib,
  /** Timeouts for a request's headers, and for the whole request (slow senders hold sockets). */
  httpHeadersMs: 10 * second,
  httpRequestMs: 60 * second,
  httpKeepAliveMs: 65 * second,
  /** Requests that one HTTP/2 connection may have open at once. */
  http2Streams: 100,
  /** Connections open at once. */
  httpConnections: 10_000,
  /** Of those from one address, unless `http.connectionsPerAddress` says otherwise. */
  httpConnectionsPerAddress: 1000,
  /** Lines of one kind that repeat, such as refused connections, are logged this far apart. */
  repeatedLogMs: 5 * second,
  /** Time that an unexpected error shows in /ready. */
  unexpectedShownMs: minute,

  /** Messages that a broker's source may have in hand, at first and at most: the window grows as they finish. */
  windowMessages: { first: 4, most: 65_536 },

  /** Files a file source has in hand at once, and lists in one scan. */
  filesAtOnce: 16,
  filesPerScan: 10_000,
  fileBytes: 64 * mib,
  /** The same where it goes into the body store. */
  storedFileBytes: 16 * 1024 * mib,

  /** Longest stored body that an outlet gets which can't send it as a stream. */
  bodyLoadBytes: 16 * mib,
  /** Buffers of stored bodies, in bytes. */
  storedPieceBytes: 256 * kib,
  /** Delay of a sweep after a stored body may have become free, and the longest interval between sweeps. */
  bodySweepMs: { least: 5 * second, most: 5 * minute },

  /** Bounds of what an attempt keeps for history and telemetry: steps, bytes, and the bytes of them that need no room in the budget. */
  notedSteps: 10_000,
  notedBytes: 16 * mib,
  notedFreeBytes: 64 * kib,
  /** Ends of messages that a stream of events names in one second; the rest is counted. */
  messageEventsPerSecond: 200,

  /** Routes, flows, sources and outlets in one configuration. */
  flows: 20_000,
  /** Images loaded, and flows started, at once. */
  imageLoadsAtOnce: 4,
  flowStartsAtOnce: 256,
  /** Unfinished messages that the log names when a stop was incomplete. */
  unfinishedShown: 20,
  /** Characters of a log line's text and of each of its fields. */
  logCharacters: 8_192,
  /** Log lines that wait for a slow reader, in bytes; more are dropped. */
  logWaitingBytes: 16 * mib,
  /** Of more flows than this /metrics shows only those that had a message. */
  flowsAlwaysShown: 200,
  sourcesPerFlow: 32,
  signalsPerFlow: 64,
  outletsPerFlow: 64,
  configBytes: 16 * mib,

  /** Flows one message may go through, one after the other. */
  flowHops: 32,

  /** Longest stop, unless told otherwise. */
  drainMs: 10 * second,
  /** The part of it in which connectors and journal close: a quarter, within these bounds. */
  closingMs: { least: 1 * second, most: 2 * second },
  /** Connect attempts of a source or an outlet that lost its peer are this far apart. */
  reconnectMs: { least: 200, most: 30 * second },
} as const;

/** Bounds of the endpoints for operators. */
export const controlLimits = {
  /** Waiting messages of one flow that are listed. */
  messagesShown: 1_000,
  /** Longest wait until a pause is kept in the journal: it counts at once, also with a disk that refuses. */
  keepMs: 1 * second,
  bodyBytes: 16 * kib,
  /** How often a node that starts asks for the switches of a flow that nobody owns yet, and the time between. */
  switchLooks: 60,
  switchLookMs: 1 * second,
} as const;
