/** Bounds of `mayfly mcp`. */
const kib = 1024;
const mib = 1024 * kib;

export const mcpLimits = {
  /** Tool calls under way, and those that wait for one of them to end. */
  callsAtOnce: 4,
  callsWaiting: 16,
  /** Longest time of a tool that reads, and of one that runs flows, in milliseconds. */
  readMs: 60_000,
  runMs: 600_000,
  /** A command that is stopped has this time to end by itself. */
  stopMs: 2_000,
  /** Most that is read of a command's output, and of what it says to people. */
  outputBytes: 32 * mib,
  remarkCharacters: 2_000,

  /** Longest result that a client gets, in characters. */
  resultCharacters: 60_000,
  /** A result that is too long is cut by the first of these that makes it fit: characters of one text, items of one list. */
  cuts: [
    { characters: 20_000, items: 1_000 },
    { characters: 4_000, items: 200 },
    { characters: 1_000, items: 50 },
    { characters: 200, items: 20 },
    { characters: 50, items: 5 },
  ],
  /** Cut places that a result names. */
  cutsNamed: 20,

  /** Longest text of an argument, and longest new body of a message. */
  argumentCharacters: 1_000,
  bodyCharacters: mib,
  /** Files of one call of `lint` or `test`, and ids of one `resubmit`. */
  paths: 50,
  ids: 20,
  /** Messages of one search, and of one backtest. */
  searched: 100,
  backtested: 100_000,

  /** Over HTTP: longest request, and time to read its head and body, in milliseconds. */
  requestBytes: 2 * mib,
  requestMs: 10_000,
  connections: 64,
} as const;
