/** Bounds of building, booting and linking images. */
const kib = 1024;
const mib = 1024 * kib;

export const imageLimits = {
  /** Longest source file that a build reads. */
  sourceFileBytes: 64 * mib,
  /** CPU time of a module's top level; beyond it counts as endless. */
  topLevelMs: 5_000,
  /** Memory of a machine while it boots. */
  bootMemoryBytes: 240 * mib,
  /** Memory that a machine needs beside its image for the shortest message. */
  roomBytes: 512 * kib,
  /** Native stack of an executable: deep enough for the nesting that the engine allows (`layout.stackBytes`); only used pages take memory. */
  stackBytes: 64 * mib,
  /** Columns after a place in which its mapping may begin: the engine places a function a little before the bundler does. */
  columnsOff: 80,
  /** WebAssembly pages of a machine in an executable. */
  machinePages: 4_096,
  /** WebAssembly pages of the platform: its static data, then at most 128 MiB of waiting machines. */
  platformPages: 2_200,
  /** WebAssembly pages of the network's module in a process that serves by itself; netPages of kernel/platform-linux/service/limits.ts. */
  netPages: 1_024,
  /** Program headers of an ELF that are looked at for its notes. */
  elfSegments: 64,
} as const;
