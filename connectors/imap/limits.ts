/** Bounds of the IMAP connector that no configuration changes. */
const kib = 1024;
const mib = 1024 * kib;

export const imapLimits = {
  /** A line, a literal and a whole answer of the server. Mails are fetched in pieces of `pieceBytes`; a line has the numbers of a search. */
  lineBytes: 16 * mib,
  literalBytes: 2 * mib,
  responseBytes: 20 * mib,
  responseTokens: 1_000_000,
  pieceBytes: 256 * kib,
  /** Time without a command after which the server is asked to tell of new mails (IDLE), and after which it is asked again: routers forget connections. */
  idleAfterMs: 250,
  idleMs: 240_000,
  /** Memory that a mail takes while it is taken apart, in multiples of its size. */
  parseShare: 4,
  /** Longest time of taking a mail apart, and heap of its process: a mail of five million line ends takes the parser more than a minute. */
  parseMs: 10_000,
  parseMib: 256,
  /** First bytes of a mail in which its Message-ID is looked for. */
  messageIdBytes: 64 * kib,
  /** Depth of parts in parts, and bytes of all headers. */
  depth: 64,
  headerBytes: mib,
  /** Parts of the form that a mail becomes: what `msg.form()` reads. */
  attachments: 1_000,
  /** Characters of a file's name. */
  nameCharacters: 255,
  /** Addresses of a header that are kept. */
  addresses: 100,
  /** Mails whose message has ended and that can't be moved or flagged; no others are taken until there are fewer. */
  unended: 100,
} as const;
