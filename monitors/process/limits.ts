/** Every bound of the process monitor, in one place. A user's settings are in ProcessOptions. */
export const processLimits = {
  /** Steps of one image that wait for a process; more are answered that the monitor is busy. */
  backlog: 65_536,
  /** Requests given to one process, the one it works on included: enough to keep it busy while the monitor's thread does other things. */
  requests: 16,
  /** Requests in the least busy process from which on another process is started. */
  busyRequests: 2,
  /** Bytes kept of the output of a process on descriptor 2. */
  complaintBytes: 4096,
  /** Interval between the watchdog's looks. */
  watchMs: 10,
  /**
   * CPU time of a step after which the starts behind it are recalled, or time in which its process hardly ran. On a busy computer the second
   * says little, and running them twice would only add to the load.
   */
  slowCpuMs: 10,
  slowWallMs: 250,
  /** Time of a step beyond its limit until its process is ended: the interpreter polls for interrupts far more often. */
  graceMs: 100,
  /** Processes of an image beyond the usual number, while all others are slow. */
  extraProcesses: 2,
  /** Processes started ahead of their messages, of one image, where each message gets its own. */
  processesAhead: 16,
  /** Time from the start of a process to its greeting. */
  startMs: 10_000,
  /** Processes in a row that end before they greet; then the steps that wait for them fail. */
  failedStarts: 8,
} as const;
