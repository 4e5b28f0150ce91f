/** Every bound of the QEMU monitor, in one place. */
const mib = 1024 * 1024;

export const qemuLimits = {
  /** Steps that may wait for a virtual machine, over all flows. */
  backlog: 65_536,
  /** Machines that may wait inside one virtual machine (kernel/drivers/parked.ts). */
  slots: 1024,
  /** Memory of a virtual machine beyond the machine's own limit: program, tables, stack, buffers. */
  overheadBytes: 16 * mib,
  /** Memory of a virtual machine for machines that wait in it; beyond that the oldest are run again from their events. */
  parkedBytes: 64 * mib,
  /** Frames of 4 KiB of a virtual machine that are never promised to waiting machines: stack, tables. */
  reservedFrames: 4096,
  /** Maximum output kept of QEMU and the guest's console, in bytes; older text is dropped. */
  consoleBytes: 8 * 1024,
  /** From exec to ready. Virtual machines that are slower are ended. */
  bootMs: 30_000,
  /** How often the watchdog looks. */
  watchMs: 20,
  /** How often it looks at virtual machines that nothing is asked of, and the CPU time they may use in between. */
  idleWatchMs: 1_000,
  idleCpuMs: 400,
  /** CPU time a step may take after it was interrupted, before its virtual machine is killed. */
  graceMs: 100,
  /** Wall time a step may take without using any CPU: a virtual machine that sleeps and never answers is killed. */
  hangMs: 30_000,
  /** Wall time between asking a virtual machine to stop and killing it. */
  stopMs: 1_000,
  /** How long a virtual machine that holds waiting machines keeps them from those that need its place. */
  holdMs: 200,
  /** Virtual machines of one flow that may die before they are ready, in a row, before its messages are given back. */
  failedBoots: 3,
  /** How long a flow's next virtual machine is put off after one that ended before it was asked anything; doubled each time in a row. */
  restLeastMs: 50,
  restMostMs: 10_000,
  /** Longest answer to a probe. */
  probeMs: 10_000,
} as const;
