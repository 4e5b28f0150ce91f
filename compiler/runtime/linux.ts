import { alu, Assembler, at, indexed, shift, symbol } from "../assemble/assembler.ts";
import { trapNumber } from "../assemble/code.ts";
import * as r from "../assemble/registers.ts";

/** The layer below compiled code in an x86-64 Linux process: signal handlers that turn faults into traps, and memory. */

export const systemCalls = {
  read: 0,
  write: 1,
  mmap: 9,
  mprotect: 10,
  rtSigaction: 13,
  rtSigreturn: 15,
  sigaltstack: 131,
  exitGroup: 231,
} as const;

export const alternateStackBytes = 32 * 1024;
/** Unmapped below the stack; more than `maximumFrameBytes`, so that no frame can step over it. */
export const stackGuardBytes = 2 ** 21;

/** Offsets in the kernel's `struct ucontext` and `siginfo_t` (arch/x86/include/uapi/asm/sigcontext.h). */
const context = { r15: 96, rcx: 152, rsp: 160, rip: 168, errorCode: 192 } as const;
const faultAddress = 16;
const signals = { illegal: 4, bus: 7, arithmetic: 8, segment: 11 } as const;
const saFlags = 0x4 | 0x08000000 | 0x04000000; // SA_SIGINFO, SA_ONSTACK, SA_RESTORER
const saRestart = 0x10000000;

export function systemCall(a: Assembler, number: number): void {
  a.constant32(r.rax, number);
  a.syscall();
}

/** Installs the handlers on a stack of their own. */
export function emitHandlerSetup(a: Assembler): void {
  a.addressOf(r.rdi, "runtime.alternateStackDescriptor");
  a.constant32(r.rsi, 0);
  systemCall(a, systemCalls.sigaltstack);
  for (const signal of Object.values(signals)) {
    a.constant32(r.rdi, signal);
    a.addressOf(r.rsi, "runtime.sigaction");
    a.constant32(r.rdx, 0);
    a.constant32(r.r10, 8);
    systemCall(a, systemCalls.rtSigaction);
  }
}

/** struct kernel_sigaction { handler, flags, restorer, mask } and stack_t { pointer, flags, size } */
export function handlerData(): readonly (readonly [string, Assembler])[] {
  const action = new Assembler();
  action.relocate("absolute64", "runtime.trapHandler", 0);
  action.int32(saFlags);
  action.int32(0);
  action.relocate("absolute64", "runtime.signalReturn", 0);
  action.int32(0);
  action.int32(0);
  const stack = new Assembler();
  stack.relocate("absolute64", "runtime.alternateStack", 0);
  stack.int32(0);
  stack.int32(0);
  stack.int32(alternateStackBytes);
  stack.int32(0);
  const trap = new Assembler(); // kind u64, rip u64, address u64, stack pointer to recover with u64
  for (let i = 0; i < 8; i++) trap.int32(0);
  return [
    ["runtime.sigaction", action],
    ["runtime.alternateStackDescriptor", stack],
    ["runtime.trap", trap],
  ];
}

/** Offsets into `runtime.track`; all u64. */
const track = { base: 0, bytes: 8, count: 16, most: 24, list: 32, stackBase: 40, stackBytes: 48, isDeep: 56 } as const;
export const trackBytes = 64;

/**
 * rdi = address of a fault, rdx = ucontext. A memory that is read-only for the time being becomes writable page by page, as it is written:
 * each page's number, u32, goes into the list. With `most` in it the rest becomes writable at once, and `count` is `most` + 1. The same for
 * the lower part of the stack, at once. Goes on for other faults.
 *
 *     base, bytes            of the memory; base 0: nothing is tracked
 *     stackBase, stackBytes  of the stack's lower part, which is not accessible until `isDeep`
 */
function emitTracking(a: Assembler): void {
  const [none, all, stack, protect] = [a.newLabel(), a.newLabel(), a.newLabel(), a.newLabel()];
  a.aluImmediate(alu.cmp, true, symbol("runtime.track", track.base), 0);
  a.jumpIf(r.equal, none);
  a.move(true, r.r9, r.rdi);
  a.alu(alu.sub, true, r.r9, symbol("runtime.track", track.base));
  a.alu(alu.cmp, true, r.r9, symbol("runtime.track", track.bytes));
  a.jumpIf(r.aboveEqual, stack);
  a.testImmediate(false, at(r.rdx, context.errorCode), 2); // a write
  a.jumpIf(r.equal, none);
  a.move(true, r.r10, symbol("runtime.track", track.count));
  a.alu(alu.cmp, true, r.r10, symbol("runtime.track", track.most));
  a.jumpIf(r.above, none);
  a.jumpIf(r.equal, all);
  a.shiftImmediate(shift.right, true, r.r9, 12);
  a.move(true, r.rsi, symbol("runtime.track", track.list));
  a.store(4, indexed(r.rsi, r.r10, 2), r.r9);
  a.aluImmediate(alu.add, true, symbol("runtime.track", track.count), 1);
  a.aluImmediate(alu.and, true, r.rdi, -4096);
  a.constant32(r.rsi, 4096);
  a.jump(protect);

  a.bind(all);
  a.aluImmediate(alu.add, true, symbol("runtime.track", track.count), 1);
  a.move(true, r.rdi, symbol("runtime.track", track.base));
  a.move(true, r.rsi, symbol("runtime.track", track.bytes));
  a.jump(protect);

  a.bind(stack);
  a.move(true, r.r9, r.rdi);
  a.alu(alu.sub, true, r.r9, symbol("runtime.track", track.stackBase));
  a.alu(alu.cmp, true, r.r9, symbol("runtime.track", track.stackBytes));
  a.jumpIf(r.aboveEqual, none);
  a.aluImmediate(alu.cmp, true, symbol("runtime.track", track.isDeep), 0);
  a.jumpIf(r.notEqual, none);
  a.storeImmediate(8, symbol("runtime.track", track.isDeep), 1);
  a.move(true, r.rdi, symbol("runtime.track", track.stackBase));
  a.move(true, r.rsi, symbol("runtime.track", track.stackBytes));
  a.bind(protect);
  a.constant32(r.rdx, 3); // PROT_READ | PROT_WRITE
  systemCall(a, systemCalls.mprotect);
  a.return();
  a.bind(none);
}

/**
 * rdi = signal, rsi = siginfo, rdx = ucontext. Notes kind, RIP and address, and lets the interrupted code go on in
 * `runtime.recover` with the stack pointer kept in `runtime.trap` + 24.
 */
export function trapHandler(a: Assembler): void {
  const done = a.newLabel();
  const [notIllegal, notArithmetic, fault] = [a.newLabel(), a.newLabel(), a.newLabel()];
  a.move(true, r.rcx, at(r.rdx, context.rip));
  a.constant32(r.rax, trapNumber("machine fault"));
  a.aluImmediate(alu.cmp, false, r.rdi, signals.illegal);
  a.jumpIf(r.notEqual, notIllegal);
  // ud1 carries its kind in the ModRM byte.
  a.op(0x66, false, 0x81, alu.cmp, at(r.rcx), false, 2);
  a.raw(0x0f, 0xb9);
  a.jumpIf(r.notEqual, done);
  a.loadZero8(r.rax, at(r.rcx, 2));
  a.aluImmediate(alu.and, false, r.rax, 0x3f);
  a.jump(done);

  a.bind(notIllegal);
  a.aluImmediate(alu.cmp, false, r.rdi, signals.arithmetic);
  a.jumpIf(r.notEqual, notArithmetic);
  // The divisor is always in rcx.
  a.constant32(r.rax, trapNumber("integer overflow"));
  a.constantKeepingFlags32(r.rdi, trapNumber("integer divide by zero"));
  a.aluImmediate(alu.cmp, true, at(r.rdx, context.rcx), 0);
  a.moveIf(r.equal, false, r.rax, r.rdi);
  a.jump(done);

  a.bind(notArithmetic);
  a.move(true, r.rdi, at(r.rsi, faultAddress));
  emitTracking(a);
  a.addressOf64(r.rsi, "stack.limit");
  a.constantKeepingFlags32(r.r8, trapNumber("stack exhausted"));
  a.alu(alu.sub, true, r.rsi, r.rdi); // limit − address, within the guard
  a.aluImmediate(alu.cmp, true, r.rsi, stackGuardBytes);
  a.jumpIf(r.above, fault);
  a.move(false, r.rax, r.r8);
  a.jump(done);
  a.bind(fault);
  a.addressOf64(r.rsi, "memory.first");
  a.constantKeepingFlags32(r.r8, trapNumber("memory access out of bounds"));
  a.alu(alu.cmp, true, r.rdi, r.rsi);
  a.moveIf(r.aboveEqual, false, r.rax, r.r8);

  a.bind(done);
  // In a helper of the runtime: what is wanted is who called it. Helpers push nothing.
  const own = a.newLabel();
  a.addressOf(r.rsi, "image.text");
  a.alu(alu.cmp, true, r.rcx, r.rsi);
  a.jumpIf(r.below, own);
  a.addressOf(r.rsi, "runtime.helpersEnd");
  a.alu(alu.cmp, true, r.rcx, r.rsi);
  a.jumpIf(r.aboveEqual, own);
  a.move(true, r.rcx, at(r.rdx, context.rsp));
  a.move(true, r.rcx, at(r.rcx));
  a.bind(own);
  a.store(8, symbol("runtime.trap", 0), r.rax);
  a.store(8, symbol("runtime.trap", 8), r.rcx);
  a.store(8, symbol("runtime.trap", 16), r.rdi);
  a.addressOf(r.rax, "runtime.recover");
  a.store(8, at(r.rdx, context.rip), r.rax);
  a.move(true, r.rax, symbol("runtime.trap", 24));
  a.store(8, at(r.rdx, context.rsp), r.rax);
  a.return();
}

/** Offsets into `runtime.guard`, which a program that outlives a trap fills in; all u64. */
const guard = { caller: 0, ended: 8, own: 16, callers: 24, ticks: 32, lastTick: 40 } as const;
export const guardBytes = 48;
/** Values of `ended`. */
const [endedByTrap, endedByTime] = [1, 2];

/**
 * Data of the guard: a call into another module that can be ended from outside, by a trap or by an alarm, as if it had answered −1.
 *
 *     caller    where the stack of the calling function ends; 0: nothing is guarded
 *     ended     0, or why the call was ended
 *     own       base of the memory whose code may be ended; code of other modules never is
 *     callers   base of the calling module's memory
 *     ticks     alarms since the start; the call is ended at the first alarm from `lastTick` on
 */
export function guardData(): readonly (readonly [string, Assembler])[] {
  const action = new Assembler();
  action.relocate("absolute64", "runtime.alarmHandler", 0);
  action.int32(saFlags | saRestart);
  action.int32(0);
  action.relocate("absolute64", "runtime.signalReturn", 0);
  action.int32(0);
  action.int32(0);
  const begin = new Assembler();
  begin.int32(0);
  begin.int32(0);
  return [
    ["runtime.alarmAction", action],
    ["runtime.begin", begin],
  ];
}

/** rdx = ucontext. Counts, and ends a guarded call whose time is over. */
export function alarmHandler(a: Assembler): void {
  const done = a.newLabel();
  a.aluImmediate(alu.add, true, symbol("runtime.guard", guard.ticks), 1);
  a.aluImmediate(alu.cmp, true, symbol("runtime.guard", guard.caller), 0);
  a.jumpIf(r.equal, done);
  a.move(true, r.rcx, symbol("runtime.guard", guard.ticks));
  a.alu(alu.cmp, true, r.rcx, symbol("runtime.guard", guard.lastTick));
  a.jumpIf(r.below, done);
  a.move(true, r.rcx, at(r.rdx, context.r15));
  a.alu(alu.cmp, true, r.rcx, symbol("runtime.guard", guard.own));
  a.jumpIf(r.notEqual, done);
  a.storeImmediate(8, symbol("runtime.guard", guard.ended), endedByTime);
  a.addressOf(r.rax, "runtime.endCall");
  a.store(8, at(r.rdx, context.rip), r.rax);
  a.bind(done);
  a.return();
}

/** Jumps to `runtime.endCall` after a trap of a guarded call, and goes on otherwise. A call changes every register but rsp and r15. */
export function recoverGuarded(a: Assembler): void {
  const fatal = a.newLabel();
  a.aluImmediate(alu.cmp, true, symbol("runtime.guard", guard.caller), 0);
  a.jumpIf(r.equal, fatal);
  a.alu(alu.cmp, true, r.r15, symbol("runtime.guard", guard.own));
  a.jumpIf(r.notEqual, fatal);
  a.storeImmediate(8, symbol("runtime.guard", guard.ended), endedByTrap);
  a.jumpSymbol("runtime.endCall");
  a.bind(fatal);
}

/** Returns to the guard's caller with −1. */
export function endCall(a: Assembler): void {
  a.move(true, r.rsp, symbol("runtime.guard", guard.caller));
  a.aluImmediate(alu.sub, true, r.rsp, 8); // the return address of the call
  a.storeImmediate(8, symbol("runtime.guard", guard.caller), 0);
  a.move(true, r.r15, symbol("runtime.guard", guard.callers));
  a.constant32(r.rax, -1);
  a.return();
}

export function signalReturn(a: Assembler): void {
  systemCall(a, systemCalls.rtSigreturn);
}

/** pages, descriptor → the old number of pages, or −1. Maps fresh zeroes at the end; the base never moves. */
export function memoryGrow(a: Assembler): void {
  const fail = a.newLabel();
  const done = a.newLabel();
  a.move(false, r.rbx, at(r.rcx, 8));
  a.move(false, r.rsi, at(r.rcx, 12));
  a.lea(true, r.rbp, indexed(r.rbx, r.rax));
  a.alu(alu.cmp, true, r.rbp, r.rsi);
  a.jumpIf(r.above, fail);
  a.test(false, r.rax, r.rax);
  a.jumpIf(r.equal, done);
  a.move(true, r.r12, r.rcx);
  a.move(true, r.rdi, r.rbx);
  a.shiftImmediate(shift.left, true, r.rdi, 16);
  a.alu(alu.add, true, r.rdi, at(r.rcx));
  a.move(true, r.rsi, r.rax);
  a.shiftImmediate(shift.left, true, r.rsi, 16);
  a.constant32(r.rdx, 3); // PROT_READ | PROT_WRITE
  a.constant32(r.r10, 0x4032); // MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
  a.constant64(r.r8, -1, -1);
  a.constant32(r.r9, 0);
  systemCall(a, systemCalls.mmap);
  a.aluImmediate(alu.cmp, true, r.rax, -4096);
  a.jumpIf(r.above, fail);
  a.store(4, at(r.r12, 8), r.rbp);
  a.bind(done);
  a.move(false, r.rax, r.rbx);
  a.return();
  a.bind(fail);
  a.constantKeepingFlags32(r.rax, -1);
  a.return();
}

/** rdi = address, rsi = bytes; `number` read or write on descriptor `fd`. Exits when the other side is gone. */
export function transferExactly(a: Assembler, number: number, fd: number): void {
  const again = a.newLabel();
  const done = a.newLabel();
  const gone = a.newLabel();
  a.move(true, r.rbx, r.rdi);
  a.move(true, r.rbp, r.rsi);
  a.bind(again);
  a.test(true, r.rbp, r.rbp);
  a.jumpIf(r.equal, done);
  a.constant32(r.rdi, fd);
  a.move(true, r.rsi, r.rbx);
  a.move(true, r.rdx, r.rbp);
  systemCall(a, number);
  a.test(true, r.rax, r.rax);
  a.jumpIf(r.lessEqual, gone);
  a.alu(alu.add, true, r.rbx, r.rax);
  a.alu(alu.sub, true, r.rbp, r.rax);
  a.jump(again);
  a.bind(done);
  a.return();
  a.bind(gone);
  a.constant32(r.rdi, 0);
  systemCall(a, systemCalls.exitGroup);
}
