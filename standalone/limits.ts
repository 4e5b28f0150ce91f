/** Every bound of building and running microVMs, in one place. */
const mib = 2 ** 20;

export const standaloneLimits = {
  /** Longest ELF and configuration file that are read, in bytes. */
  elfBytes: 64 * mib,
  configBytes: 64 * 1024,
  /** Settings of one service, and bytes of one value. */
  settings: 256,
  settingBytes: 16 * 1024,
  /** Memory of a microVM unless `--memory` says otherwise, and the least that QEMU is asked for. */
  memoryBytes: 64 * mib,
  leastMemoryBytes: 2 * mib,
  mostMemoryBytes: 1024 * mib,
  /** Ports that one microVM has on the host. */
  ports: 64,
  /** Longest console kept in a file: QEMU drops what comes after it. */
  consoleBytes: 64 * mib,
  /** Lines of a console that an error shows, and bytes that are read for them. */
  consoleLines: 12,
  consoleTailBytes: 16 * 1024,
  /** From exec of QEMU to the first answer. Under TCG on a busy computer a boot takes a second. */
  startMs: 30_000,
  /** Between two looks at a microVM that ends, or at its console. */
  lookMs: 50,
  /** One question to a microVM while it starts, and between two of them. */
  askMs: 1_000,
  askEveryMs: 25,
  /** Wall time for a microVM beyond its service's `drain`, from the power button to its end; then QEMU is told to quit, then killed. */
  stopExtraMs: 2_000,
  quitMs: 2_000,
  /** Longest answer of QEMU's monitor, in bytes, and the time it may take. */
  monitorBytes: 64 * 1024,
  monitorMs: 5_000,
  /** Longest record of a microVM, in bytes. */
  recordBytes: 64 * 1024,
  /** A folder without a record is a start under way for this time. */
  claimMs: 10_000,
  /** Longest path of a UNIX socket, in bytes: Linux has room for 108 with the zero at its end, others for 104. */
  socketPathBytes: 103,
  /** microVMs of one user. */
  machines: 4_096,
  /** Bytes of a body that a line of the log shows (kernel/net/service/limits.ts). */
  lineBytes: 8192,
} as const;
