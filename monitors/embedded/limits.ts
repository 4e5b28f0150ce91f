/** Every bound of the embedded monitor, in one place. The sizes of the ring of slots are in wire.ts. */
const mib = 1024 * 1024;

export const embeddedLimits = {
  /** Longest saved memory of a machine, in bytes, unpacked; one with more is run again from its events. */
  savedBytes: 16 * mib,
  /** Largest memory of a machine that is saved, in pages of 64 KiB. */
  savedPages: 4096,
  /** Steps that wait for a slot; more are answered that the monitor is busy. */
  backlog: 65_536,
  /** Interval between the watchdog's looks. */
  watchMs: 10,
  /** One flow fills a worker's slots up to this estimate; the step that reaches it is the last. */
  aheadMs: 2,
  /** The main thread polls for answers for this long after it submitted a step; then it waits for the worker to ring. */
  awakeMs: 0.1,
  /** A step of this estimate or more holds its worker. */
  heldMs: 2,
  /** Work thrown away at most instead of waiting for a worker that is being started. */
  wasteMs: 250,
  /** A worker that is being started keeps steps from being stopped for this long. */
  startMs: 50,
  /** Older versions of the kernel that run at once, with a worker each. */
  olderKernels: 4,
  /** Buffers that a worker keeps for machines that will wait; at most an eighth of what waiting machines may take. */
  shelfBytes: 4 * mib,
  /** Added workers help the usual ones when those have this much work ahead. */
  helpedMs: 10,
  /** Looks at the same step until it is called slow. */
  slowLooks: 2,
  /** CPU time for a step to stop in once it is asked to; then its worker is terminated. The interpreter polls for interrupts far more often. */
  graceMs: 100,
  /** Effects on the port that the main thread has not taken; a worker with more waits. */
  postedKib: 8 * 1024,
  /** Images a worker knows at once; then it forgets them all and is told again of those it needs. */
  imagesKnown: 4096,
  /** Bytes of long frames on their way to a worker, which are copies of whole bodies; a worker with more gets no steps. */
  frameBytes: 32 * mib,
  /** V8's stack of a worker, in MiB: async recursion to the engine's limit needs more than half of it. */
  stackSizeMb: 8,
  /** Workers added while steps take long: one for each `extraBytes` of the workers' share of memory, at least one, at most this many. */
  extraWorkers: 4,
  extraBytes: 6 * mib,
  /** Time that an added worker stays after the last long step. */
  stayMs: 10_000,
  /** Workers in a row that end before they are ready; from then on no step waits for the next. */
  failedStarts: 4,
  /** Pause before a worker is started after one that failed to start; doubled each time in a row. */
  pauseLeastMs: 10,
  pauseMostMs: 10_000,
  /** Memory that an instance keeps between messages, with a small budget and with a large one. */
  keptLeastBytes: 20 * mib,
  keptMostBytes: 48 * mib,
} as const;
