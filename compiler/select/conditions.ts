import { alu, type Label, type Operand } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import { opcode, opcodeInfo } from "../decode/opcodes.ts";
import { isConstant, isIntegerConstant, type Value } from "../ir/value.ts";
import { type Context, immediate, loadedPlace, source } from "./context.ts";
import { isComparison } from "./tile.ts";

/** Comparisons: the flags of one, and what is done with them. */

/** Conditions beyond the processor's sixteen: float equality needs two flags. */
export const floatEqual = 16;
export const floatNotEqual = 17;

interface Comparison {
  readonly kind: "zero" | "integer" | "float";
  readonly isWide: boolean;
  readonly condition: number;
  readonly swapped: boolean;
}

const comparisons = new Map<number, Comparison>();
for (const type of ["i32", "i64"]) {
  const isWide = type === "i64";
  comparisons.set(opcode(`${type}.eqz`), { kind: "zero", isWide, condition: r.equal, swapped: false });
  const conditions: Record<string, number> = {
    eq: r.equal,
    ne: r.notEqual,
    lt_s: r.less,
    lt_u: r.below,
    gt_s: r.greater,
    gt_u: r.above,
    le_s: r.lessEqual,
    le_u: r.belowEqual,
    ge_s: r.greaterEqual,
    ge_u: r.aboveEqual,
  };
  for (const [name, condition] of Object.entries(conditions))
    comparisons.set(opcode(`${type}.${name}`), { kind: "integer", isWide, condition, swapped: false });
}
for (const type of ["f32", "f64"]) {
  const isWide = type === "f64";
  // ucomis sets the carry for unordered operands, so "less" is asked as "above" with the operands exchanged.
  const conditions: readonly (readonly [string, number, boolean])[] = [
    ["eq", floatEqual, false],
    ["ne", floatNotEqual, false],
    ["gt", r.above, false],
    ["ge", r.aboveEqual, false],
    ["lt", r.above, true],
    ["le", r.aboveEqual, true],
  ];
  for (const [name, condition, swapped] of conditions)
    comparisons.set(opcode(`${type}.${name}`), { kind: "float", isWide, condition, swapped });
}

const isAnd = new Map([
  [opcode("i32.and"), false],
  [opcode("i64.and"), true],
]);

/** test of the two operands of a folded `and`. */
function testAnd(c: Context, value: Value, isWide: boolean): void {
  const { m } = c;
  const [x, y] = value.args as [Value, Value];
  const bits = immediate(y, isWide);
  const left = m.register(x);
  if (bits !== undefined) m.assembler.testImmediate(isWide && bits < 0, left, bits);
  else m.assembler.test(isWide, left, m.register(y));
}

/** Sets the zero flag by an operand. */
function testZero(c: Context, operand: Operand, isWide: boolean): void {
  const a = c.m.assembler;
  if (typeof operand !== "number") a.aluImmediate(alu.cmp, isWide, operand, 0);
  else if (!c.m.hasFlags(operand, isWide)) a.test(isWide, operand, operand);
}

/** Emits the comparison `value` and gives the condition under which it holds. Anything else is compared with zero. */
export function compare(c: Context, value: Value): number {
  const { m } = c;
  const a = m.assembler;
  const and = isAnd.get(value.op);
  if (value.folded && and !== undefined) {
    testAnd(c, value, and);
    return r.notEqual;
  }
  const comparison = isComparison(value) ? comparisons.get(value.op) : undefined;
  if (comparison === undefined || (!value.folded && value !== c.value)) {
    testZero(c, m.operand(value, c.node), false);
    return r.notEqual;
  }
  const { kind, isWide, condition, swapped } = comparison;
  let [x, y] = value.args as [Value, Value];
  if (kind === "zero") {
    if (x.folded && isAnd.has(x.op)) {
      testAnd(c, x, isWide);
      return condition;
    }
    testZero(c, m.operand(x, c.node), isWide);
    return condition;
  }
  if (kind === "float") {
    if (swapped) [x, y] = [y, x];
    a.floatCompare(isWide, m.register(x) - 16, source(c, y));
    return condition;
  }
  const right = immediate(y, isWide);
  if (right !== undefined) {
    const operand = x.folded ? loadedPlace(c, x) : m.operand(x, c.node);
    if (right === 0 && typeof operand === "number") a.test(isWide, operand, operand);
    else a.aluImmediate(alu.cmp, isWide, operand, right);
    return condition;
  }
  if (isIntegerConstant(x) && immediate(x, isWide) !== undefined && !y.folded && !isConstant(y)) {
    a.aluImmediate(alu.cmp, isWide, m.operand(y, c.node), x.a);
    return r.exchange(condition);
  }
  const left = m.register(x);
  a.alu(alu.cmp, isWide, left, source(c, y));
  return condition;
}

/** A comparison whose result is wanted as a number. */
export function comparisonValue(c: Context): void {
  const { m, node, value } = c;
  const a = m.assembler;
  const condition = compare(c, value);
  if (condition === floatEqual || condition === floatNotEqual) {
    const other = m.temporary(false);
    m.advance(node);
    const to = m.define(node, -1, 1 << other);
    a.setCondition(condition === floatEqual ? r.notParity : r.parity, other);
    a.setCondition(condition === floatEqual ? r.equal : r.notEqual, to);
    a.alu(condition === floatEqual ? alu.and : alu.or, false, to, other);
    a.loadZero8(to, to);
    return;
  }
  m.advance(node);
  const to = m.define(node);
  a.setCondition(condition, to);
  a.loadZero8(to, to);
}

export function jumpIf(c: Pick<Context, "m">, condition: number, label: Label): void {
  const a = c.m.assembler;
  if (condition === floatEqual) {
    const skip = a.newLabel();
    a.jumpIf(r.parity, skip);
    a.jumpIf(r.equal, label);
    a.bind(skip);
  } else if (condition === floatNotEqual) {
    a.jumpIf(r.parity, label);
    a.jumpIf(r.notEqual, label);
  } else a.jumpIf(condition, label);
}

/** select: x when the condition holds, else y. Nothing between comparison and cmov touches the flags. */
export function select(c: Context): void {
  const { m, node, value } = c;
  const a = m.assembler;
  const [x, y, wanted] = value.args as [Value, Value, Value];
  const first = m.register(x);
  const second = m.register(y);
  const condition = compare(c, wanted);
  const [firstDies, secondDies] = [m.dies(x, node), m.dies(y, node)];
  m.advance(node);
  if (first >= 16) {
    const to = m.define(node, firstDies ? first : -1, 1 << second);
    m.moveRegister(to, first);
    const skip = a.newLabel();
    jumpIf(c, condition, skip);
    m.moveRegister(to, second);
    a.bind(skip);
    return;
  }
  const unordered = condition >= floatEqual;
  // Begin with the value that is replaced when a flag is set.
  const startWithFirst = condition === floatEqual || (!unordered && (firstDies || !secondDies));
  const [start, other] = startWithFirst ? [first, second] : [second, first];
  const to = m.define(node, start, 1 << other);
  m.moveRegister(to, start);
  if (unordered) {
    a.moveIf(r.notEqual, true, to, other);
    a.moveIf(r.parity, true, to, other);
  } else a.moveIf(startWithFirst ? r.invert(condition) : condition, true, to, other);
}

for (const code of comparisons.keys()) if (opcodeInfo(code) === undefined) throw new Error("assertion failed: a comparison is an operator");
export const comparisonCodes: readonly number[] = [...comparisons.keys()];
