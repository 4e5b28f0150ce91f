/**
 * What runs machines: the monitor's contract, and its implementations. A file of one name has one role in each of them:
 *
 *   pool.ts     which worker runs which step
 *   worker.ts   a worker as the pool sees it: what was given to it, what waits there, how it ends. A thread (thread.ts is what runs in
 *               it), a process, a virtual machine (vm.ts is its QEMU)
 *   wire.ts     the protocol between a worker and what runs in it
 */
export { type EmbeddedOptions, embeddedMonitor } from "./embedded/embedded.ts";
export type { LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "./monitor.ts";
export { processMonitor, type ProcessOptions } from "./process/process.ts";
export { bootConsole, type ConsoleEnd, type ConsoleOptions } from "./qemu/console.ts";
export { findQemu, type Qemu, qemuCommand } from "./qemu/command.ts";
export { probeQemu } from "./qemu/probe.ts";
export { type QemuOptions, qemuMonitor } from "./qemu/qemu.ts";
