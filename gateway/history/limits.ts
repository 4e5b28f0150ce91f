/** Bounds of history. */
const kib = 1024;
const mib = 1024 * kib;
const second = 1000;
const minute = 60 * second;

export const historyLimits = {
  /** Defaults of `history:`. */
  keepMs: 7 * 24 * 60 * minute,
  sizeBytes: 1024 * mib,
  /** The shortest `size` that is allowed. */
  leastSizeBytes: 4 * mib,
  /** A segment is a 128th of `size`, within these bounds. */
  segments: 128,
  segmentBytes: { least: 256 * kib, most: 32 * mib },
  /** A segment is sealed after this share of `keep`, so that age is kept to that precision. */
  segmentAgeShare: 1 / 16,
  /** Longest entry with its bodies; of a longer one they are left out. */
  entryBytes: 16 * mib,
  /** Entries are collected in buffers of this size and handed to the thread. */
  batchBytes: 1 * mib,
  /** Longest time before a batch is handed over. */
  flushMs: 250,
  /** Bytes handed over and not written yet; beyond it recordings are dropped. */
  waitingBytes: 32 * mib,
  /** Buffers kept for reuse. */
  spareBatches: 4,
  /** The disk is left this much, or this share of it if that is less: the rest belongs to the journal. */
  leaveFree: { bytes: 256 * mib, share: 0.05 },
  /** Niceness of the thread that writes: it needs some percent of a processor, and gets a tenth where all are busy. */
  niceness: 10,
  /** How often room, age and the lock are looked at. */
  tickMs: 1 * second,
  /** Pause after an error of the disk, or of the thread. */
  retryMs: 5 * second,
  /** A lock that was not touched for this time belongs to a process that is gone. */
  lockSilenceMs: 30 * second,
  /** How long a reader waits for what happened before. */
  flushWaitMs: 2 * second,
  /** How long `close` waits for the thread. */
  closeMs: 5 * second,
  /** Codes of failures a segment's index tells apart; the rest is looked up in the entries. */
  codesPerSegment: 1000,
  /** Sends that wait for their peer and were recorded once, so that they are not again. */
  waitingSends: 10_000,
  /** Messages of one page. */
  page: 10_000,
  /** Entries of one message that `show` puts together. */
  entriesPerMessage: 1_000,
  /** Relatives of one message that are named. */
  relatives: 1_000,
  /** Head of an index: mostly within so many bytes, and never longer than so many. */
  indexHeadBytes: { mostly: 2 * kib, most: 16 * mib },
  /** Files a reader keeps open. */
  openFiles: 32,
  /** Segments whose bytes a reader keeps in memory. */
  cachedSegments: 2,
  /** Entries of one batch of a store that is filled: a batch is never divided between segments, and those of tests are small. */
  filledAtOnce: 32,
  /** Remarks of one answer. */
  remarks: 20,
  /** Pointers and header names of `redact`. */
  redactions: 64,
} as const;
