/** Bounds of event streams that no configuration changes. */
export const sseLimits = {
  /** Longest event, unless `eventLimit` says otherwise; and the highest limit. */
  eventBytes: 2 ** 20,
  mostEventBytes: 16 * 2 ** 20,
  /** Longest id. A longer one is ignored: it goes back to the server as a header, and is kept. */
  idCharacters: 1_024,
} as const;
