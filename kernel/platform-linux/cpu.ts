/** Imports that the compiler replaces with instructions and addresses of the link (compiler/assemble/intrinsics.ts). */

// @ts-ignore: decorator
@external("cpu", "syscall")
declare function rawCall(number: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64): i64;
/** The machine's address of an offset into this module's own memory. */
// @ts-ignore: decorator
@external("cpu", "address")
export declare function address(offset: usize): u64;
// @ts-ignore: decorator
@external("cpu", "copy")
export declare function copy(to: u64, from: u64, bytes: u64): void;
// @ts-ignore: decorator
@external("mmio", "read8")
export declare function read8(at: u64): u32;
// @ts-ignore: decorator
@external("mmio", "read32")
export declare function read32(at: u64): u32;
// @ts-ignore: decorator
@external("mmio", "write8")
export declare function write8(at: u64, value: u32): void;
// @ts-ignore: decorator
@external("mmio", "write32")
export declare function write32(at: u64, value: u32): void;

// @ts-ignore: decorator
@external("mmio", "read64")
export declare function read64(at: u64): u64;
// @ts-ignore: decorator
@external("mmio", "write64")
export declare function write64(at: u64, value: u64): void;
/** Where the stack of the calling function ends: what it calls finds its return address below. */
// @ts-ignore: decorator
@external("cpu", "stack")
export declare function stack(): u64;

/** Where the engine's linear memory begins. */
// @ts-ignore: decorator
@external("symbol", "memory.engine.base")
export declare function engineBase(): u64;
/** Its descriptor: base u64, pages u32, most pages u32. */
// @ts-ignore: decorator
@external("symbol", "memory.engine.descriptor")
export declare function engineDescriptor(): u64;
/** Where the image's own copy of that memory begins, which is only read. */
// @ts-ignore: decorator
@external("symbol", "memory.frozen.base")
export declare function frozenBase(): u64;
// @ts-ignore: decorator
@external("symbol", "memory.platform.base")
export declare function platformBase(): u64;
/** The native stack: grows down from `stackTop`. */
// @ts-ignore: decorator
@external("symbol", "stack.limit")
export declare function stackLimit(): u64;
// @ts-ignore: decorator
@external("symbol", "stack.top")
export declare function stackTop(): u64;

/** Numbers of arch/x86/entry/syscalls/syscall_64.tbl. */
export const enum Call {
  read = 0,
  write = 1,
  open = 2,
  close = 3,
  poll = 7,
  mmap = 9,
  mprotect = 10,
  munmap = 11,
  rtSigaction = 13,
  rtSigprocmask = 14,
  rtSigreturn = 15,
  pread = 17,
  madvise = 28,
  setitimer = 38,
  socket = 41,
  connect = 42,
  sendto = 44,
  recvfrom = 45,
  shutdown = 48,
  bind = 49,
  listen = 50,
  getsockname = 51,
  setsockopt = 54,
  prctl = 157,
  clockGettime = 228,
  exitGroup = 231,
  epollWait = 232,
  epollCtl = 233,
  accept4 = 288,
  signalfd4 = 289,
  epollCreate = 291,
  prlimit = 302,
  seccomp = 317,
  getrandom = 318,
  closeRange = 436,
}

/** A system call; negative results are errors. */
export function call(number: Call, a: u64 = 0, b: u64 = 0, c: u64 = 0, d: u64 = 0, e: u64 = 0, f: u64 = 0): i64 {
  return rawCall(number, a, b, c, d, e, f);
}

const interrupted: i64 = -4; // EINTR

export function exit(code: u32): void {
  call(Call.exitGroup, code);
}

/** Reads at least one byte; at the end of input the process is over. */
export function receive(to: u64, most: u64): u64 {
  let count: i64;
  do count = call(Call.read, 0, to, most);
  while (count === interrupted);
  if (count <= 0) exit(0);
  return count;
}

export function send(from: u64, bytes: u64): void {
  while (bytes > 0) {
    const count = call(Call.write, 1, from, bytes);
    if (count <= 0) {
      if (count === interrupted) continue;
      exit(0); // the monitor is gone
    }
    from += count;
    bytes -= count;
  }
}

// @ts-ignore: decorator
@lazy const time: usize = memory.data(16, 8);

/** CPU time of this process, microseconds. */
export function cpuMicros(): u64 {
  call(Call.clockGettime, 2, address(time)); // CLOCK_PROCESS_CPUTIME_ID
  return load<u64>(time) * 1_000_000 + load<u64>(time, 8) / 1000;
}
