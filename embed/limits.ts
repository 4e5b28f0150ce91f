const mib = 2 ** 20;

/** Bounds of machines in a program of others. Those of one machine and its messages are in `#abi` and `gateway/contract/limits.ts`. */
export const embedLimits = {
  /** Calls of one host under way at once; more fail with MF_MONITOR_BUSY. */
  calls: 10_000,
  /** Calls of one `runAll` under way at once, unless its `atOnce` says otherwise. */
  runAllAtOnce: 32,
  /** Bodies that calls under way have sent, asked and been answered, of one host. */
  heldBytes: 512 * mib,
  /** Memory of a host's machines that wait, set aside; of more the oldest run again from their first event. */
  waitingBytes: 256 * mib,
  /** Memory of a host's workers that they keep between machines. */
  workerBytes: 512 * mib,
  /** Log lines of one call that are kept. */
  logs: 10_000,
  /** Workers of one host. */
  workers: 256,
  /** Longest code that is given as text, in UTF-16 units. */
  codeCharacters: 4 * mib,
  /** Longest function of a sandbox, in UTF-16 units: it is in every machine. */
  functionCharacters: 256 * 1024,
  /** Images that sandboxes load into one monitor; later ones get another, so that memory of images that were given back is freed. */
  imagesPerMonitor: 1_000,
  /** Body of a request that a handler reads, unless its options say otherwise. */
  requestBytes: mib,
  /** Time of one build of strangers' code: a flow, whose top level may take 5 s of CPU time, or a function, which does not run. */
  buildMs: { flow: 30_000, sandbox: 10_000 },
  /** Builds that wait for their turn. */
  builds: 1_000,
  /** The process that builds ends after this time without work. */
  builderIdleMs: 30_000,
  /** Host functions of one sandbox. */
  functions: 256,
  /** Levels of a value that crosses. Recursion over it is safe anywhere. */
  depth: 500,
  /** Longest value that crosses, in bytes. */
  valueBytes: 16 * mib,
  /** Parts of a value that crosses which JSON has no form for. */
  valueParts: 1_000_000,
} as const;
