/** Bounds of the command line. Those of one machine and its messages are in `#abi` and `gateway/contract/limits.ts`. */
const mib = 2 ** 20;

export const cliLimits = {
  /** A memory budget below this is scarce. A container of 1 GB has 248 MiB. */
  scarceMemoryBytes: 256 * mib,
  /** Longest piece of memory that its allocator keeps for itself when it is freed, and half of V8's young generation, where memory is scarce. */
  scarceKeptBytes: mib,
  scarceYoungMib: 4,
  /** Between two looks at the files that mayfly.yaml refers to, in milliseconds. */
  secretsMs: 5_000,
  /** Test files below one folder. */
  testFiles: 10_000,
  /** Faults of one test file that are shown. */
  testFaults: 20,
  /** Differences of one case that are shown. */
  testDifferences: 30,

  /** Logs, calls and sends of a run that are shown, of each; `--json` has them all. */
  linesShown: 50,
  /** Dead letters whose ends `dlq retry` waits for, and that it retries at once. */
  lettersAwaited: 100,
  lettersAtOnce: 16,
  /** Differences of a replay that are shown, and characters of their values; `--diff` has more, `--json` all. */
  differencesShown: 10,
  groupsShown: 20,
  /** Messages that differ, and are run through each image of a flow, by `mayfly backtest --bisect`. */
  bisectedMessages: 500,
  valueShown: 120,
  valueCharacters: 20_000,

  /** Partitions that `mayfly cluster status` shows. */
  partitionsShown: 16,

  /** A helper of `docker login` has this time to answer. */
  credentialHelperMs: 30_000,

  /** Built images that are kept unused, and their bytes. */
  unusedImages: 64,
  unusedImageBytes: 256 * mib,
  /** Digits of a hash that name an image, at least. */
  leastImageDigits: 8,

  /** Replays that a gateway's endpoints have waiting or under way. */
  replaysWaiting: 16,

  /** A watched file counts as written when nothing changed for this time: editors write in several steps, a checkout writes many files. */
  watchSettleMs: 120,
  /** A monitor has this time to close. */
  monitorCloseMs: 1_000,
  /** Telemetry has at least this time to export what waits, also where a stop took all of `drain`. */
  telemetryFlushMs: 500,
  /** After a stop the process has this time for resources that a library left open, such as a socket. */
  lingerMs: 500,
  /** `mayfly messages tail`: messages at first and at most in one look, the time between looks, and names remembered. */
  tailFirst: 10,
  tailMost: 1_000,
  tailMs: 500,
  tailKnown: 10_000,
  /** Messages of one page of `mayfly messages export`. */
  exportPage: 1_000,
  /** Sleepers of one `mayfly sleepers ls` unless `--limit` says otherwise, and of one page of it. */
  sleepersListed: 1_000,
  sleepersPage: 1_000,
  /** Messages of one `mayfly trace`. */
  traceMost: 500,
  /** Longest connect of `mayfly doctor`. */
  probeMs: 700,
} as const;
