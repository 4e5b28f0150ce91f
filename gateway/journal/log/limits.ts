/** Every bound of the durable journal, in one place. What the gateway may put into it is bounded in ../../contract/limits.ts. */
const kib = 1024;
const mib = 1024 * kib;

export interface LogLimits {
  /** A segment is closed once the next batch would make it longer; one batch alone may be longer. */
  readonly segmentBytes: number;
  /** Zeros are written so many at a time: the batches that are written meanwhile wait for one such write at most. */
  readonly zeroBytes: number;
  /** Length at which a batch takes no further records; one record alone may be longer. */
  readonly batchBytes: number;
  /** Longest record. A completion with 64 MiB of sends and a reply fits. */
  readonly recordBytes: number;
  /** Bodies from this size on live in a file of their own, so that batches and checkpoints stay short. */
  readonly blobBytes: number;
  /** Bodies of waiting sends, kept signals and recovered messages that are in memory; beyond it they are read back when they are given out. */
  readonly bodyMemoryBytes: number;
  /** Bodies up to this size are always kept in memory: a place on disk would cost as much. */
  readonly smallBodyBytes: number;
  /** State over all flows and keys, in bytes of JSON. It is all in memory. */
  readonly stateBytes: number;
  /** A checkpoint is written once so much was logged since the last one, or twice the last one's size if that is more. */
  readonly checkpointBytes: number;
  /** A settled send may be told to the disk so much later: a crash before that sends it again, under the same key. */
  readonly settleDelayMs: number;
  /** The same while the disk refuses. */
  readonly refusedRetryMs: number;
  /** Given back when the disk is full, so that a checkpoint of what is live fits and all that is done can go. */
  readonly reserveBytes: number;
  /** Delay before a failed checkpoint is retried. */
  readonly checkpointRetryMs: number;
  /** Read at a time in recovery and checks. */
  readonly readBytes: number;
}

export const logLimits: LogLimits = {
  segmentBytes: 16 * mib,
  zeroBytes: 256 * kib,
  batchBytes: 1 * mib,
  recordBytes: 160 * mib,
  blobBytes: 256 * kib,
  bodyMemoryBytes: 64 * mib,
  smallBodyBytes: 1 * kib,
  stateBytes: 512 * mib,
  checkpointBytes: 256 * mib,
  settleDelayMs: 20,
  refusedRetryMs: 1_000,
  reserveBytes: 4 * mib,
  checkpointRetryMs: 5_000,
  readBytes: 4 * mib,
};

/** Numbers given out since they were last written down; beyond it they are written, and a recovery skips as many. */
export const numbersAhead = 2 ** 20;
/** Unit that a disk writes as a whole. Batches begin on it, so that writing one never touches bytes of one that is already safe. */
export const sectorBytes = 512;

/** Most slots of sleepers in one record of a checkpoint, which is about as long as a batch at most. */
export const slotsTogether = 1_000;
/** Of a slot in a checkpoint without its waits, as an estimate. */
export const slotBytes = 160;

/** Records asked for together are read together, so many bytes at most, with so many between two of them. */
export const joinedBytes = 256 * kib;
export const joinedGapBytes = 4 * kib;
/** Files that are open at once to read bodies back. */
export const openFiles = 16;
/** Written at a time of a body that has a file of its own. */
export const blobChunkBytes = 1 * mib;
/** Batch buffers kept for the next batches. */
export const spareBuffers = 2;
/** The next segment is made ahead only while the disk has room for this many: its zeros must not displace records. */
export const segmentsFree = 4;
/** Headers and names of a record, as an estimate. */
export const recordOverheadBytes = 512;
/** Copies of a message still to be written once it is accepted: its sends or dead letter, and a checkpoint. */
export const copiesOwed = 2;
/** Free space is asked for at most this often, and at least this often while there is plenty. */
export const freeSpaceMs = { least: 100, most: 1_000 } as const;
export const plentyBytes = 256 * mib;
/** Reads of a file, or of a running gateway's whole journal, before it counts as gone: a checkpoint may remove files meanwhile. */
export const readings = 5;
