import { alu, indexed, type Memory, type Operand } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import { isFloatValue, type Machine } from "../allocate/machine.ts";
import type { Module } from "../decode/types.ts";
import { isConstant, isIntegerConstant, type Value } from "../ir/value.ts";
import { fitsImmediate, type Node } from "./tile.ts";

/** State shared by the emitters of nodes. */
export interface Context {
  readonly m: Machine;
  readonly module: Module;
  readonly node: Node;
  readonly value: Value;
  /** Nodes of the block and the position of this one, for a call's further results. */
  readonly nodes: readonly Node[];
  readonly at: number;
}

export type Emitter = (c: Context) => void;

export function registerBits(operand: Operand): number {
  if (typeof operand === "number") return 1 << operand;
  return (operand.base >= 0 ? 1 << operand.base : 0) | (operand.index >= 0 ? 1 << operand.index : 0);
}

/** The place a load or store accesses: [r15 + index + offset], never checked, since the window's guard is 8 GiB away. */
export function address(c: Context, index: Value, offset: number): Memory {
  const { m } = c;
  const a = m.assembler;
  if (isIntegerConstant(index)) {
    const total = (index.a >>> 0) + offset;
    if (total < 2 ** 31) return indexed(r.r15, -1, 0, total);
    const temporary = m.temporary(false);
    a.constant64(temporary, total | 0, total >= 2 ** 32 ? 1 : 0, true);
    return indexed(r.r15, temporary);
  }
  if (index.folded) return indexed(r.r15, m.register(index.args[0] as Value), (index.args[1] as Value).a, offset);
  const register = m.register(index);
  if (offset < 2 ** 31) return indexed(r.r15, register, 0, offset);
  const temporary = m.temporary(false);
  a.constantKeepingFlags32(temporary, offset | 0);
  a.alu(alu.add, true, temporary, register);
  return indexed(r.r15, temporary);
}

/** Address and width of a folded load. */
export function loadedPlace(c: Context, load: Value): Memory {
  return address(c, load.args[0] as Value, load.a);
}

/** A source operand: memory of a folded load, a register, or a slot. SSE registers by their own number. */
export function source(c: Context, value: Value): Operand {
  return value.folded ? loadedPlace(c, value) : c.m.operand(value, c.node);
}

/** Number in the assembler of a register of either class. */
export function encoding(register: number): number {
  return register >= 16 ? register - 16 : register;
}

/**
 * The common two-address shape: the result begins as a copy of x, or as x itself where that dies, and `emit` changes it with y.
 * `y` is undefined when it is an immediate, or missing.
 */
export function twoAddress(c: Context, x: Value, y: Operand | undefined, isWide: boolean, emit: (to: number) => void): void {
  const { m, node } = c;
  const float = isFloatValue(x);
  const avoid = y === undefined ? 0 : typeof y === "number" && float ? 1 << (y + 16) : registerBits(y);
  if (isConstant(x) && x.register < 0) {
    m.advance(node);
    const to = m.define(node, -1, avoid);
    m.loadConstant(to, x);
    emit(encoding(to));
    return;
  }
  const from = m.register(x);
  m.advance(node);
  const to = m.define(node, from, avoid);
  if (to !== from) {
    if (float) m.moveRegister(to, from);
    else m.assembler.move(isWide, to, from);
  }
  emit(encoding(to));
}

/** One operand in a register, the result in any. `temporaries` are general registers of the node's own. */
export function oneOperand(c: Context, emit: (to: number, from: number, temporaries: readonly number[]) => void, temporaries = 0): void {
  const { m, node, value } = c;
  const from = m.register(value.args[0] as Value);
  const own = Array.from({ length: temporaries }, () => m.temporary(false));
  m.advance(node);
  let avoid = 0;
  for (const register of own) avoid |= 1 << register;
  // A sequence may write its result before it has read its operand for the last time.
  if (temporaries > 0) avoid |= 1 << from;
  const to = m.define(node, temporaries > 0 ? -1 : from, avoid);
  emit(encoding(to), encoding(from), own);
}

export function immediate(value: Value, isWide: boolean): number | undefined {
  return isIntegerConstant(value) && fitsImmediate(value, isWide) ? value.a : undefined;
}
