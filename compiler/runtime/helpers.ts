import { alu, Assembler, at, indexed, shift } from "../assemble/assembler.ts";
import type { CodeBlock, TrapKind } from "../assemble/code.ts";
import * as r from "../assemble/registers.ts";

/**
 * Helpers that compiled code calls, the same on every platform. Arguments come by the convention (rax rcx rdx rbx rsi).
 *
 * Descriptors:  memory   base u64 │ pages u32 │ most pages u32
 *               table    elements u64 │ size u32 │ capacity u32        elements are 8 bytes: a record's address, or 0 for null
 *               segment  address u64 │ length u32 │ 0 u32               dropping one sets its length to 0
 *               record   code u64 │ canonical type u32 │ 0 u32
 */
export const descriptorBytes = 16;

const movups = 0x0f10;
const movupsStore = 0x0f11;

/** Traps unless start + rdx ≤ limit, all in registers with zero upper bits; `scratch` changes. */
function checkRange(a: Assembler, start: number, limit: number, scratch: number, kind: TrapKind): void {
  a.lea(true, scratch, indexed(start, r.rdx));
  a.alu(alu.cmp, true, scratch, limit);
  a.jumpIf(r.above, a.coldTrap(kind));
}

/** rdi ← rsi, rcx bytes, which may overlap. Everything of a short move is read before anything is written. */
function move(a: Assembler): void {
  const small = a.newLabel();
  const backward = a.newLabel();
  const bulk = a.newLabel();
  const middle = a.newLabel();
  a.aluImmediate(alu.cmp, true, r.rcx, 16);
  a.jumpIf(r.below, small);
  a.aluImmediate(alu.cmp, true, r.rcx, 32);
  a.jumpIf(r.above, middle);
  a.op(0, false, movups, 0, at(r.rsi));
  a.op(0, false, movups, 1, indexed(r.rsi, r.rcx, 0, -16));
  a.op(0, false, movupsStore, 0, at(r.rdi));
  a.op(0, false, movupsStore, 1, indexed(r.rdi, r.rcx, 0, -16));
  a.return();

  a.bind(middle);
  a.move(true, r.rax, r.rdi);
  a.alu(alu.sub, true, r.rax, r.rsi);
  a.alu(alu.cmp, true, r.rax, r.rcx);
  a.jumpIf(r.below, backward);
  a.aluImmediate(alu.cmp, true, r.rcx, 1024);
  a.jumpIf(r.above, bulk);
  a.op(0, false, movups, 1, indexed(r.rsi, r.rcx, 0, -16));
  a.lea(true, r.r9, indexed(r.rdi, r.rcx, 0, -16));
  const forward = a.newLabel();
  a.bind(forward);
  a.op(0, false, movups, 0, at(r.rsi));
  a.op(0, false, movupsStore, 0, at(r.rdi));
  a.aluImmediate(alu.add, true, r.rsi, 16);
  a.aluImmediate(alu.add, true, r.rdi, 16);
  a.aluImmediate(alu.sub, true, r.rcx, 16);
  a.aluImmediate(alu.cmp, true, r.rcx, 16);
  a.jumpIf(r.above, forward);
  a.op(0, false, movupsStore, 1, at(r.r9));
  a.return();

  a.bind(bulk);
  a.repeatMoveBytes();
  a.return();

  a.bind(backward);
  a.op(0, false, movups, 1, at(r.rsi));
  const down = a.newLabel();
  a.bind(down);
  a.op(0, false, movups, 0, indexed(r.rsi, r.rcx, 0, -16));
  a.op(0, false, movupsStore, 0, indexed(r.rdi, r.rcx, 0, -16));
  a.aluImmediate(alu.sub, true, r.rcx, 16);
  a.aluImmediate(alu.cmp, true, r.rcx, 16);
  a.jumpIf(r.above, down);
  a.op(0, false, movupsStore, 1, at(r.rdi));
  a.return();

  a.bind(small);
  for (const bytes of [8, 4, 2] as const) {
    const smaller = a.newLabel();
    a.aluImmediate(alu.cmp, true, r.rcx, bytes);
    a.jumpIf(r.below, smaller);
    if (bytes === 2) {
      a.loadZero16(r.rax, at(r.rsi));
      a.loadZero16(r.rdx, indexed(r.rsi, r.rcx, 0, -2));
    } else {
      a.move(bytes === 8, r.rax, at(r.rsi));
      a.move(bytes === 8, r.rdx, indexed(r.rsi, r.rcx, 0, -bytes));
    }
    a.store(bytes, at(r.rdi), r.rax);
    a.store(bytes, indexed(r.rdi, r.rcx, 0, -bytes), r.rdx);
    a.return();
    a.bind(smaller);
  }
  const nothing = a.newLabel();
  a.test(true, r.rcx, r.rcx);
  a.jumpIf(r.equal, nothing);
  a.loadZero8(r.rax, at(r.rsi));
  a.store(1, at(r.rdi), r.rax);
  a.bind(nothing);
  a.return();
}

const outside: TrapKind = "memory access out of bounds";
const outsideTable: TrapKind = "table access out of bounds";

/** to, from, bytes, memory (spec 4.4.7: the whole range is checked before the first byte is written). */
function memoryCopy(a: Assembler): void {
  a.move(false, r.r8, at(r.rbx, 8));
  a.shiftImmediate(shift.left, true, r.r8, 16);
  checkRange(a, r.rax, r.r8, r.rdi, outside);
  checkRange(a, r.rcx, r.r8, r.rdi, outside);
  a.move(true, r.r8, at(r.rbx));
  a.lea(true, r.rdi, indexed(r.r8, r.rax));
  a.lea(true, r.rsi, indexed(r.r8, r.rcx));
  a.move(true, r.rcx, r.rdx);
  a.jumpSymbol("runtime.move");
}

/** to, from, bytes, memory, segment */
function memoryInit(a: Assembler): void {
  a.move(false, r.r8, at(r.rbx, 8));
  a.shiftImmediate(shift.left, true, r.r8, 16);
  checkRange(a, r.rax, r.r8, r.rdi, outside);
  a.move(false, r.r8, at(r.rsi, 8));
  checkRange(a, r.rcx, r.r8, r.rdi, outside);
  a.move(true, r.rdi, at(r.rbx));
  a.alu(alu.add, true, r.rdi, r.rax);
  a.move(true, r.rsi, at(r.rsi));
  a.alu(alu.add, true, r.rsi, r.rcx);
  a.move(true, r.rcx, r.rdx);
  a.jumpSymbol("runtime.move");
}

/** to, value, bytes, memory */
function memoryFill(a: Assembler): void {
  a.move(false, r.r8, at(r.rbx, 8));
  a.shiftImmediate(shift.left, true, r.r8, 16);
  checkRange(a, r.rax, r.r8, r.rdi, outside);
  a.move(true, r.rdi, at(r.rbx));
  a.alu(alu.add, true, r.rdi, r.rax);
  a.loadZero8(r.rax, r.rcx);
  a.move(true, r.rcx, r.rdx);
  const bulk = a.newLabel();
  const bytewise = a.newLabel();
  const small = a.newLabel();
  a.aluImmediate(alu.cmp, true, r.rcx, 512);
  a.jumpIf(r.above, bulk);
  a.constant64(r.rdx, 0x01010101, 0x01010101);
  a.multiply(true, r.rax, r.rdx);
  a.aluImmediate(alu.cmp, true, r.rcx, 8);
  a.jumpIf(r.below, small);
  const eight = a.newLabel();
  a.lea(true, r.rsi, indexed(r.rdi, r.rcx, 0, -8));
  a.bind(eight);
  a.store(8, at(r.rdi), r.rax);
  a.aluImmediate(alu.add, true, r.rdi, 8);
  a.alu(alu.cmp, true, r.rdi, r.rsi);
  a.jumpIf(r.below, eight);
  a.store(8, at(r.rsi), r.rax);
  a.return();
  a.bind(small);
  const done = a.newLabel();
  a.test(true, r.rcx, r.rcx);
  a.jumpIf(r.equal, done);
  a.bind(bytewise);
  a.store(1, indexed(r.rdi, r.rcx, 0, -1), r.rax);
  a.aluImmediate(alu.sub, true, r.rcx, 1);
  a.jumpIf(r.notEqual, bytewise);
  a.bind(done);
  a.return();
  a.bind(bulk);
  a.repeatStoreBytes();
  a.return();
}

/** to, from, count, table, segment; also table, table: a segment's descriptor begins like a table's. */
function tableCopy(a: Assembler): void {
  a.move(false, r.r8, at(r.rbx, 8));
  checkRange(a, r.rax, r.r8, r.rdi, outsideTable);
  a.move(false, r.r8, at(r.rsi, 8));
  checkRange(a, r.rcx, r.r8, r.rdi, outsideTable);
  a.move(true, r.rdi, at(r.rbx));
  a.lea(true, r.rdi, indexed(r.rdi, r.rax, 3));
  a.move(true, r.rsi, at(r.rsi));
  a.lea(true, r.rsi, indexed(r.rsi, r.rcx, 3));
  a.lea(true, r.rcx, { base: -1, index: r.rdx, scale: 3, displacement: 0, symbol: undefined });
  a.jumpSymbol("runtime.move");
}

/** Stores rcx from rdi on, rdx times. */
function fillReferences(a: Assembler): void {
  const next = a.newLabel();
  const done = a.newLabel();
  a.test(true, r.rdx, r.rdx);
  a.jumpIf(r.equal, done);
  a.bind(next);
  a.store(8, indexed(r.rdi, r.rdx, 3, -8), r.rcx);
  a.aluImmediate(alu.sub, true, r.rdx, 1);
  a.jumpIf(r.notEqual, next);
  a.bind(done);
  a.return();
}

/** index, reference, count, table */
function tableFill(a: Assembler): void {
  a.move(false, r.r8, at(r.rbx, 8));
  checkRange(a, r.rax, r.r8, r.rdi, outsideTable);
  a.move(true, r.rdi, at(r.rbx));
  a.lea(true, r.rdi, indexed(r.rdi, r.rax, 3));
  fillReferences(a);
}

/** reference, count, table → the old size, or −1 */
function tableGrow(a: Assembler): void {
  const fail = a.newLabel();
  a.move(false, r.rbx, at(r.rdx, 8));
  a.move(false, r.rdi, at(r.rdx, 12));
  a.lea(true, r.rsi, indexed(r.rbx, r.rcx));
  a.alu(alu.cmp, true, r.rsi, r.rdi);
  a.jumpIf(r.above, fail);
  a.store(4, at(r.rdx, 8), r.rsi);
  a.move(true, r.rdi, at(r.rdx));
  a.lea(true, r.rdi, indexed(r.rdi, r.rbx, 3));
  a.move(true, r.rdx, r.rcx);
  a.move(true, r.rcx, r.rax);
  a.move(false, r.rax, r.rbx);
  fillReferences(a);
  a.bind(fail);
  a.constantKeepingFlags32(r.rax, -1);
  a.return();
}

function block(emit: (a: Assembler) => void): CodeBlock {
  const a = new Assembler();
  emit(a);
  return a.finish();
}

export function helperBlocks(): readonly (readonly [string, CodeBlock])[] {
  return [
    ["runtime.move", block(move)],
    ["runtime.memoryCopy", block(memoryCopy)],
    ["runtime.memoryInit", block(memoryInit)],
    ["runtime.memoryFill", block(memoryFill)],
    ["runtime.tableCopy", block(tableCopy)],
    ["runtime.tableInit", block(tableCopy)],
    ["runtime.tableFill", block(tableFill)],
    ["runtime.tableGrow", block(tableGrow)],
  ];
}
