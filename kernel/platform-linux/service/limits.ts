/** Bounds of a service that is a Linux process. */

/** Memory of the network's module, in units of 64 KiB: 64 MiB, taken as it is used. */
export const netPages: u32 = 1024;
/** Longest file of `--config`, and the part of /etc/resolv.conf that is read, in bytes. */
export const configBytes: u32 = 65_536;
export const resolverBytes: u32 = 8192;
/** Jobs done before their answers are sent and sockets have their turn, and the time after which no other is begun, in microseconds. */
export const jobsAtOnce: u32 = 16, turnMicros: u64 = 200;
/** Events taken by one call. */
export const eventsAtOnce: u32 = 64;
/** Connections that the kernel keeps until they are taken. */
export const backlog: u32 = 4096;
/** An alarm counts CPU time in units of this many microseconds. */
export const tickMicros: u64 = 10_000;
/** Ticks beyond its time in which a step may end by itself. */
export const graceTicks: u64 = 10;
/** Longest sleep, in milliseconds, and longest while lines of the log wait for their reader. */
export const mostSleepMs: u64 = 60_000, readerMs: u64 = 20;
/** Log lines that wait for a slow reader, in bytes, and bytes of one write: a pipe that is ready takes them without waiting. */
export const consoleBytes: u32 = 65_536;
export const writeBytes: u32 = 4096;
/** Time for the last lines before the end, in milliseconds. */
export const lastLinesMs: u32 = 1000;
/** Pages that are put back one by one after each message; beyond, all are dropped. The list of them in pages.ts has as many. */
export const mostWritten: u64 = 384;
/** Messages after which pages that one of them wrote are no longer put back for all. */
export const relearnAfter: u32 = 2048;
/** Native stack that stays resident, in bytes. */
export const stackKeptBytes: u64 = 262_144;
/** Greatest memory of a machine, in units of 64 KiB (abi/limits.ts). */
export const machinePages: u32 = 4096;
