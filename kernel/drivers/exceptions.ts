/**
 * Exceptions (Intel SDM vol. 3, chapter 6). Page faults that the engine's memory or the stack expect are answered; everything else
 * is printed with the function's name and ends the machine with a code.
 *
 * Each runs on a stack of its own kind: page faults on the first, double faults on the second, all others on the third.
 */
import {
  descriptorsAt, engineBase, interruptAt, interruptTableAt, lidt, ltr, readCr2, stubsAt, taskStateAt, textEnd, textStart,
} from "./cpu";
import { freeFrames } from "./frames";
import { byMemory, byTrap, endStep, handleAlarm, isGuarded } from "./guard";
import { doubleFaultStackAt, exceptionStackAt, exceptionStackBytes, faultStackAt } from "./map";
import { netBase, netFault } from "./net-pages";
import { engineFault } from "./pages";
import { exit, exitException, exitTrap } from "./power";
import { print, printHex, printLine, printNumber } from "./serial";
import { inStackGuard, stackFault } from "./stack";
import { printFunction } from "./symbols";

const exceptions: u32 = 32;
const vectors: u32 = 256;
const stubBytes: u64 = 16;
export const interruptVector: u32 = 0x40;
export const spuriousVector: u32 = 0xff;
/** The last of the vectors that have an entry, and the local APIC may use. */
export const alarmVector: u32 = 31;

// Offsets into what runtime.exception saved (compiler/runtime/pvh.ts).
const savedRegisters: usize = 256;
const savedVector: usize = 376;
const savedError: usize = 384;
const savedRip: usize = 392;
const savedRsp: usize = 416;

// Kinds of traps by their number in compiler/assemble/code.ts.
const outOfBounds: u32 = 1;
const divideByZero: u32 = 6;
const overflow: u32 = 7;
const stackExhausted: u32 = 9;

/** An interrupt gate: offset, selector 8, stack, type 0xe, present. */
function setGate(vector: u32, target: u64, stack: u32): void {
  const at = <usize>interruptTableAt() + (<usize>vector << 4);
  store<u64>(at, (target & 0xffff) | (8 << 16) | (<u64>stack << 32) | (<u64>0x8e << 40) | (((target >> 16) & 0xffff) << 48));
  store<u64>(at, target >> 32, 8);
}

// @ts-ignore: decorator
@lazy const tablePointer: usize = memory.data(16, 16);

export function startExceptions(): void {
  for (let vector: u32 = 0; vector < exceptions; vector++)
    setGate(vector, stubsAt() + <u64>vector * stubBytes, vector === 14 ? 1 : vector === 8 ? 2 : 3);
  setGate(interruptVector, interruptAt(), 3);
  setGate(spuriousVector, interruptAt(), 3);
  store<u16>(tablePointer, <u16>(vectors * 16 - 1));
  store<u64>(tablePointer, interruptTableAt(), 2);
  lidt(<u64>tablePointer);

  const task = <usize>taskStateAt(); // the three stacks are at +36, +44, +52; no I/O map
  store<u64>(task, <u64>(faultStackAt + exceptionStackBytes), 36);
  store<u64>(task, <u64>(doubleFaultStackAt + exceptionStackBytes), 44);
  store<u64>(task, <u64>(exceptionStackAt + exceptionStackBytes), 52);
  store<u16>(task, 104, 102);
  const descriptor = <usize>descriptorsAt() + 24;
  store<u64>(descriptor, 103 | ((<u64>task & 0xffffff) << 16) | (<u64>0x89 << 40) | ((<u64>task >> 24) << 56));
  store<u64>(descriptor, 0, 8);
  ltr(24);
}

let answering: bool = false;

/** Called by every exception's entry with the address of what it saved. */
export function handleException(saved: usize): void {
  const vector = <u32>load<u64>(saved, savedVector);
  if (vector === alarmVector) return handleAlarm(saved);
  if (vector === 14 && !answering) {
    if (isGuarded() && freeFrames() < leastFrames && isEngine(saved)) return endStep(saved, byMemory);
    answering = true;
    const address = readCr2();
    const error = <u32>load<u64>(saved, savedError);
    const expected = (error & 16) === 0 && (engineFault(address, (error & 2) !== 0) || stackFault(address) || netFault(address));
    answering = false;
    if (expected) return;
  }
  if (isGuarded() && isEngine(saved) && trapKind(saved, vector) !== noTrap) return endStep(saved, byTrap);
  report(saved, vector);
}

/** Frames that answering a page fault may take: one for a page of the stack, one for its table. */
const leastFrames: u32 = 4;

/** True if it was the engine or the natives that ran. */
function isEngine(saved: usize): bool {
  return load<u64>(saved, savedRegisters) === engineBase() && inText(load<u64>(saved, savedRip));
}

function name(vector: u32): string {
  switch (vector) {
    case 0: return "divide error";
    case 1: return "debug";
    case 2: return "non-maskable interrupt";
    case 3: return "breakpoint";
    case 4: return "overflow";
    case 5: return "bound range exceeded";
    case 6: return "invalid opcode";
    case 7: return "device not available";
    case 8: return "double fault";
    case 10: return "invalid task state";
    case 11: return "segment not present";
    case 12: return "stack segment fault";
    case 13: return "general protection";
    case 14: return "page fault";
    case 16: return "x87 error";
    case 17: return "alignment check";
    case 18: return "machine check";
    case 19: return "SIMD error";
    default: return "exception";
  }
}

function inText(address: u64): bool {
  return address >= textStart() && address + 3 <= textEnd();
}

const noTrap: u32 = 255;
/** The kind of trap that compiled code raised, or `noTrap`. */
function trapKind(saved: usize, vector: u32): u32 {
  const rip = load<u64>(saved, savedRip);
  if (vector === 6 && inText(rip) && load<u16>(<usize>rip) === 0xb90f) return <u32>load<u8>(<usize>rip, 2) & 0x3f;
  if (vector === 0) return load<u64>(saved, savedRegisters + 13 * 8) === 0 ? divideByZero : overflow; // the divisor is always in rcx
  if (vector === 14 && inText(rip)) {
    if (inStackGuard(readCr2())) return stackExhausted;
    if (readCr2() - engineBase() < 0x300000000 || readCr2() - netBase() < 0x300000000) return outOfBounds;
  }
  return noTrap;
}

function printKind(kind: u32): void {
  switch (kind) {
    case 0: return print("unreachable");
    case outOfBounds: return print("memory access out of bounds");
    case 2: return print("table access out of bounds");
    case 3: return print("undefined element");
    case 4: return print("uninitialized element");
    case 5: return print("indirect call type mismatch");
    case divideByZero: return print("integer divide by zero");
    case overflow: return print("integer overflow");
    case 8: return print("invalid conversion to integer");
    case stackExhausted: return print("stack exhausted");
    case 10: return print("unbound import called");
    default: return print("machine fault");
  }
}

function printRegister(label: string, value: u64): void {
  print(label);
  print(" ");
  printHex(value, 16);
  print("  ");
}

function printRegisters(saved: usize): void {
  const at = saved + savedRegisters;
  printRegister("rax", load<u64>(at, 112)); printRegister("rcx", load<u64>(at, 104)); printRegister("rdx", load<u64>(at, 96)); printRegister("rbx", load<u64>(at, 88));
  printLine("");
  printRegister("rbp", load<u64>(at, 80)); printRegister("rsi", load<u64>(at, 72)); printRegister("rdi", load<u64>(at, 64)); printRegister("r8 ", load<u64>(at, 56));
  printLine("");
  printRegister("r9 ", load<u64>(at, 48)); printRegister("r10", load<u64>(at, 40)); printRegister("r11", load<u64>(at, 32)); printRegister("r12", load<u64>(at, 24));
  printLine("");
  printRegister("r13", load<u64>(at, 16)); printRegister("r14", load<u64>(at, 8)); printRegister("r15", load<u64>(at)); printRegister("rsp", load<u64>(saved, savedRsp));
  printLine("");
  printRegister("cr2", readCr2()); printRegister("error", load<u64>(saved, savedError)); printRegister("rflags", load<u64>(saved, savedRip + 16));
  printLine("");
}

function report(saved: usize, vector: u32): void {
  const rip = load<u64>(saved, savedRip);
  const kind = trapKind(saved, vector);
  print("\r\nmayfly: ");
  print(name(vector));
  print(" (");
  printNumber(vector);
  print(") in ");
  printFunction(rip);
  print(", rip ");
  printHex(rip, 16);
  if (kind !== noTrap) {
    print(": ");
    printKind(kind);
  }
  printLine("");
  printRegisters(saved);
  exit(kind !== noTrap ? exitTrap + kind : exitException + vector);
}
