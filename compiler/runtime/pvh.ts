import { alu, Assembler, at, symbol } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import type { Linker } from "../link/linker.ts";

/**
 * The instructions below everything else on bare metal: from the PVH entry to long mode, the entries of exceptions and interrupts.
 * Their page tables are part of the ELF, at a fixed address (`image/pvh.ts`).
 *
 * PVH entry (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, flat segments, interrupts off, EBX → hvm_start_info.
 */
export const metal = { pageTables: 0x100000, stubBytes: 16, exceptions: 32 } as const;

/** Selectors of the descriptor table below. */
const selectors = { code: 0x08, data: 0x10, task: 0x18 } as const;
export const taskSelector: number = selectors.task;

const control = {
  /** PE, MP, ET, NE, WP, PG: WP makes read-only pages hold for the kernel too (Intel SDM vol. 3, 2.5). */
  cr0: 0x80010033,
  /** PAE, OSFXSR, OSXMMEXCPT. */
  cr4: 0x620,
  efer: 0xc0000080,
  /** LME, NXE. */
  eferBits: 0x900,
} as const;

/** mov cr, eax: the same bytes in both modes. */
function writeControl(a: Assembler, register: number): void {
  a.raw(0x0f, 0x22, 0xc0 | (register << 3));
}

/** 32-bit code: only forms whose encoding is the same without REX, or raw bytes. */
function entry32(a: Assembler): void {
  a.raw(0xfa, 0xfc); // cli; cld
  a.move(false, r.rdi, r.rbx); // start info
  a.raw(0x0f, 0x31); // rdtsc: the machine's age is counted from here
  a.move(false, r.rsi, r.rax);
  a.move(false, r.rbp, r.rdx);
  a.raw(0x0f, 0x01, 0x15); // lgdt [disp32]
  a.relocate("absolute32", "runtime.descriptorsPointer", 0);
  a.constantKeepingFlags32(r.rax, control.cr4);
  writeControl(a, 4);
  a.constantKeepingFlags32(r.rax, metal.pageTables);
  writeControl(a, 3);
  a.constantKeepingFlags32(r.rcx, control.efer);
  a.raw(0x0f, 0x32); // rdmsr
  a.aluImmediate(alu.or, false, r.rax, control.eferBits);
  a.raw(0x0f, 0x30); // wrmsr
  a.constantKeepingFlags32(r.rax, control.cr0);
  writeControl(a, 0); // paging and long mode, in compatibility mode until the jump
  a.raw(0xea); // jmp far
  a.relocate("absolute32", "runtime.start64", 0);
  a.raw(selectors.code, 0);
}

function start64(a: Assembler): void {
  a.constantKeepingFlags32(r.rax, selectors.data);
  a.raw(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0); // mov ds, es, ss
  a.constant32(r.rax, 0);
  a.raw(0x8e, 0xe0, 0x8e, 0xe8); // mov fs, gs
  a.addressOf64(r.rsp, "stack.top");
  a.store(4, symbol("runtime.startInfo"), r.rdi);
  a.store(4, symbol("runtime.startTicks"), r.rsi);
  a.store(4, symbol("runtime.startTicks", 4), r.rbp);
  a.raw(0xdb, 0xe3); // fninit
  a.op(0, false, 0x0fae, 2, symbol("runtime.floatControl")); // ldmxcsr
  a.call("runtime.entry");
  const stop = a.newLabel();
  a.bind(stop);
  a.raw(0xfa, 0xf4); // cli; hlt
  a.jump(stop);
}

/** Exceptions for which the processor pushes an error code (Intel SDM vol. 3, table 6-1). */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);

/** One entry of 16 bytes for each exception: after it the stack looks the same for all of them. */
function stubs(a: Assembler): void {
  for (let vector = 0; vector < metal.exceptions; vector++) {
    if (!withErrorCode.has(vector)) a.raw(0x6a, 0); // push 0
    a.raw(0x6a, vector);
    a.jumpSymbol("runtime.exception");
    while (a.length % metal.stubBytes !== 0) a.raw(0xcc);
  }
}

const saved = [r.rax, r.rcx, r.rdx, r.rbx, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15] as const;
const vectorBytes = 256;
const movups = 0x0f10;
const movupsStore = 0x0f11;

/**
 * Hands the drivers the address of
 *
 *     xmm0 … xmm15 │ r15 … r8 │ rdi rsi rbp rbx rdx rcx rax │ vector │ error code │ rip cs rflags rsp ss
 *     256            8 × 8      7 × 8                         8        8            40 bytes
 *
 * and goes on where it was when they return.
 */
function exception(a: Assembler): void {
  a.raw(0xfc); // cld
  for (const register of saved) a.push(register);
  a.aluImmediate(alu.sub, true, r.rsp, vectorBytes);
  for (let i = 0; i < 16; i++) a.op(0, false, movupsStore, i, at(r.rsp, 16 * i));
  a.move(false, r.rax, r.rsp); // the exceptions' stacks lie in the low 4 GiB
  a.constant32(r.r15, 0); // the drivers' memory begins at 0
  a.call("runtime.handler");
  for (let i = 0; i < 16; i++) a.op(0, false, movups, i, at(r.rsp, 16 * i));
  a.aluImmediate(alu.add, true, r.rsp, vectorBytes);
  for (const register of [...saved].reverse()) a.pop(register);
  a.aluImmediate(alu.add, true, r.rsp, 16);
  a.raw(0x48, 0xcf); // iretq
}

/** An interrupt only ends `hlt`: whoever slept looks at the device. */
function interrupt(a: Assembler): void {
  a.push(r.rax);
  a.constantKeepingFlags32(r.rax, 0xfee000b0); // the local APIC's end of interrupt (Intel SDM vol. 3, 10.8.5)
  a.storeImmediate(4, at(r.rax), 0);
  a.pop(r.rax);
  a.raw(0x48, 0xcf);
}

function descriptors(): Assembler {
  const a = new Assembler();
  const entry = (low: number, high: number): void => {
    a.int32(low);
    a.int32(high);
  };
  entry(0, 0);
  entry(0x0000ffff, 0x00af9a00); // code, 64 bits
  entry(0x0000ffff, 0x00cf9200); // data
  entry(0, 0); // the task state segment: two entries, which the drivers fill in
  entry(0, 0);
  return a;
}

/** Operand of `lgdt`: limit u16, base u64. */
function descriptorsPointer(): Assembler {
  const a = new Assembler();
  a.raw(39, 0);
  a.relocate("absolute64", "runtime.descriptors", 0);
  return a;
}

export function addMetal(linker: Linker): void {
  const text = (name: string, emit: (a: Assembler) => void): void => {
    const a = new Assembler();
    emit(a);
    linker.add("text", name, a.finish(), { title: name });
  };
  text("runtime.start", entry32);
  text("runtime.start64", start64);
  text("runtime.stubs", stubs);
  text("runtime.exception", exception);
  text("runtime.interrupt", interrupt);
  text("runtime.memoryGrow", memoryGrow);
  linker.add("data", "runtime.descriptors", descriptors().finish());
  linker.add("data", "runtime.descriptorsPointer", descriptorsPointer().finish());
  const control = new Assembler();
  control.int32(0x1f80); // all exceptions masked, round to nearest (Intel SDM vol. 1, 10.2.3)
  linker.add("data", "runtime.floatControl", control.finish());
  linker.addZeroes("runtime.startInfo", 8);
  linker.addZeroes("runtime.startTicks", 8);
  linker.addZeroes("runtime.interruptTable", 4096);
  linker.addZeroes("runtime.taskState", 128);
}

/** pages rax, descriptor rcx → the old number of pages, or −1. Only the bound moves: pages come, zeroed, when they are first touched. */
function memoryGrow(a: Assembler): void {
  const fail = a.newLabel();
  a.move(false, r.rbx, at(r.rcx, 8));
  a.move(false, r.rsi, at(r.rcx, 12));
  a.alu(alu.add, true, r.rax, r.rbx);
  a.alu(alu.cmp, true, r.rax, r.rsi);
  a.jumpIf(r.above, fail);
  a.store(4, at(r.rcx, 8), r.rax);
  a.move(false, r.rax, r.rbx);
  a.return();
  a.bind(fail);
  a.constantKeepingFlags32(r.rax, -1);
  a.return();
}
