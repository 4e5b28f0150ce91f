/** What runs machines: the monitor's contract, and its implementations. */
export { type EmbeddedOptions, embeddedMonitor } from "./embedded/embedded.ts";
export type { LoadedImage, Machine, Monitor, MonitorMemory, MonitorStats } from "./monitor.ts";
export { processMonitor, type ProcessOptions } from "./process/process.ts";
export { bootConsole, type ConsoleEnd, type ConsoleOptions } from "./qemu/console.ts";
export { findQemu, type Qemu, qemuCommand } from "./qemu/command.ts";
export { probeQemu } from "./qemu/probe.ts";
export { type QemuOptions, qemuMonitor } from "./qemu/qemu.ts";
