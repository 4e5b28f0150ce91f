/**
 * Running machines: the contract (monitor.ts), the owner of a machine's life (machine.ts), and three hosts that run its steps. A file name
 * means the same in each of them:
 *
 *   pool.ts     chooses the worker of each step
 *   worker.ts   one worker, seen from outside: its steps, the machines that wait in it, its end. It is a thread (thread.ts runs inside), a
 *               process, or a virtual machine (vm.ts is its QEMU)
 *   wire.ts     the protocol between a worker and its inside
 *   limits.ts   every bound
 */
export { type EmbeddedOptions, embeddedMonitor } from "./embedded/embedded.ts";
export type { Life, LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "./monitor.ts";
export { type InlineImage, type InlineMachine, InlineMachines, type InlineStep } from "./embedded/inline.ts";
export { processMonitor, type ProcessOptions } from "./process/process.ts";
export { bootConsole, type ConsoleEnd, type ConsoleOptions } from "./qemu/console.ts";
export { findProgram, findQemu, type Qemu, qemuCommand } from "./qemu/command.ts";
export { describeExit } from "./qemu/exit-codes.ts";
export { type Probed, probeQemu } from "./qemu/probe.ts";
export { type QemuOptions, qemuMonitor } from "./qemu/qemu.ts";
