/** Bounds of the page. */
export const limits = {
  /** Rows of messages kept; beyond them the search must be narrower. */
  messages: 100_000,
  /** Messages asked for at once. */
  page: 500,
  /** Sleepers looked for before one scrolls: a search may find few in many. */
  sleepersAtFirst: 50,
  /** Live messages that wait while the list is scrolled. */
  waiting: 5_000,
  /** Members of a JSON value shown before "more", and lines of text, rows of CSV, bytes of a dump. */
  members: 200,
  lines: 2_000,
  cells: 500,
  dumpBytes: 8_192,
  /** Longest body that is taken apart, in characters; a longer one is shown as text. */
  parsed: 2_000_000,
  /** Depth of JSON that is open at first. */
  openDepth: 3,
  /** Between two looks at functions and at a log, in milliseconds. */
  functionsMs: 3_000,
  logMs: 1_000,
  /** Lines of a function's log. */
  logLines: 500,
  /** Waits between two attempts at the event stream, in milliseconds. */
  reconnectMs: { least: 500, most: 15_000 },
} as const;
