/**
 * Where things lie in a machine's linear memory. The engine was linked with its stack first: it grows down from 1 MiB and the
 * engine checks its depth against `stackBytes`, so the lowest part is never reached by it.
 *
 *        0  64 KiB   kept free for the monitor: the embedded one keeps its card table here, one byte per 4 KiB page of 256 MiB
 *   64 KiB  16 KiB   static data of kernel/native
 *   80 KiB           guard: never written by a sound machine
 *  512 KiB           the engine's stack, growing down from 1 MiB
 *    1 MiB           the engine's data, then its heap, up to the machine's memory limit
 */
export const layout = {
  /** Unit of freezing and restoring, in bytes. */
  pageBytes: 4096,
  /** Unit of growth, in bytes (WebAssembly's page). */
  wasmPageBytes: 65_536,
  monitorBytes: 64 * 1024,
  nativeBase: 64 * 1024,
  nativeEnd: 80 * 1024,
  /** A word that is not 0 when an allocation failed in this step (image/exhaustion.ts); the last of the natives' part. */
  exhaustedAt: 80 * 1024 - 4,
  stackTop: 1024 * 1024,
  /** How deep the engine lets its stack grow, in bytes. */
  stackBytes: 512 * 1024,
  /** Entries of the engine's function table (quickjs-wasi 3.6.2); those of kernel/native come behind. */
  engineTable: 532,
  /** Room in the table for kernel/native; the last entry is the embedded monitor's (track.ts). */
  nativeTable: 40,
} as const;
