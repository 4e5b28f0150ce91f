/** Bounds of telemetry. Whatever a collector does, this is the most that it costs the gateway. */

const second = 1000;

export const telemetryLimits = {
  /** Messages and deliveries, or log lines, that wait for the collector; more are dropped and counted. */
  waiting: 8_192,
  /** Items that go to the exporter's thread at once, and the longest time one waits for company. */
  batch: 512,
  batchMs: 250,
  /** Scrapes of metrics that wait. */
  metricsWaiting: 2,
  metricsIntervalMs: 60 * second,
  leastMetricsIntervalMs: 100,
  /** Open messages whose last attempt is remembered, for links between attempts. */
  openMessages: 8_192,
  /** Longest export of one batch, its retries included. */
  exportMs: 10 * second,
  /** Longest flush at a stop. */
  flushMs: 5 * second,
  /** The same, for a collector that took nothing lately. */
  troubledFlushMs: 500,
  /** Time an exporter's thread that ended stays away. */
  restartMs: 30 * second,
  /** Memory of the exporter's thread, in MiB. */
  threadMebibytes: 192,
  /** Characters of a text in a span or a log line. */
  textCharacters: 4_096,
  /** W3C Trace Context: members of tracestate, and characters that must be passed on. */
  traceStateMembers: 32,
  traceStateCharacters: 512,
} as const;
