/** Every bound of the door, in one place. */

/** Version of the wire form in docs/ABI.md. A machine, an image and a monitor must agree on it exactly. */
export const abiVersion = 2;

/** Version of the wire form of recordings, in docs/ABI.md. */
export const recordingVersion = 1;

/** Version of the wire form of services, in service.ts. */
export const serviceVersion = 2;

const kib = 1024;
const mib = 1024 * kib;

/** Bounds of a service (service.ts), which a machine without much memory reads. */
export const serviceLimits = {
  /** Longest frame, in bytes. */
  frameBytes: 64 * kib,
  records: 512,
  /** Longest text of a record, in UTF-8 bytes, after its settings are filled in. */
  textBytes: 8 * kib,
} as const;

/** Bounds no configuration can lift. */
export const hardLimits = {
  /** Longest frame in either direction, in bytes. */
  frameBytes: 64 * mib,
  /** Longest recording of one attempt, in bytes. */
  recordingBytes: 256 * mib,
  /** Events, steps and effects of one recording. */
  recordingRecords: 1_000_000,
  /** Longest piece of a stored body that a machine reads at once, in bytes. */
  windowBytes: 256 * kib,
  /** Longest position of a message that is read in batches, as JSON in UTF-8 bytes. */
  positionBytes: 32 * kib,
  /** Most effects one step may have. */
  effectsPerStep: 100_000,
  /** Parts of one record. */
  partsPerRecord: 16,
  /** Longest outlet, flow, source or state name, in UTF-8 bytes. */
  nameBytes: 256,
  /** Longest key of a message, in UTF-8 bytes. */
  keyBytes: 1 * kib,
  /** Longest text of one log line, in UTF-8 bytes; the kernel cuts longer ones and says so. */
  logTextBytes: 16 * kib,
  /** Longest headers of one message, as JSON in UTF-8 bytes. */
  headersBytes: 64 * kib,
  /** Longest message and stack of an error, in UTF-8 bytes each. */
  errorTextBytes: 16 * kib,
  /** Longest question of an approval with its options, as JSON in UTF-8 bytes. */
  questionBytes: 16 * kib,
  /** Longest time of a durable sleep or wait, in milliseconds: ten years. */
  sleepMs: 10 * 366 * 24 * 3_600_000,
  /** Seed of the machine's random generator, in bytes. */
  seedBytes: 32,
  /** Memory a machine can ever be given, in bytes. */
  memoryBytes: 256 * mib,
} as const;

/** Limits of one message; set per flow by `limits:` in mayfly.yaml or in `flow({ limits })`. */
export interface FlowLimits {
  /** The machine's linear memory at most, in bytes. */
  readonly memoryBytes: number;
  /** CPU time of one step at most, in milliseconds. */
  readonly cpuMs: number;
  /** Wall time of one message from deliver to done at most, waiting included, in milliseconds. */
  readonly timeMs: number;
  /** Most sends of one message. */
  readonly sends: number;
  /** Log text and fields of one message at most, in bytes; what is beyond is dropped and counted. */
  readonly logBytes: number;
}

export const defaultFlowLimits: FlowLimits = { memoryBytes: 64 * mib, cpuMs: 500, timeMs: 30_000, sends: 10_000, logBytes: 256 * kib };
