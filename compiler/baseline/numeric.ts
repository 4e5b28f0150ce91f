import { alu, type Assembler, shift } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import * as sequences from "../assemble/sequences.ts";
import { opcode } from "../decode/opcodes.ts";
import { f32, f64, i32, i64, type ValueType } from "../decode/types.ts";
import type { Emitter } from "./control.ts";
import { floatEqual, floatNotEqual, type FunctionCompiler } from "./function.ts";
import type { Value } from "./state.ts";

/** Arithmetic, comparisons and conversions. SSE registers are numbered from 16 in the state and from 0 in the assembler. */

export const numericEmitters: Record<string, Emitter> = {};

const fitsImmediate = (value: Value): boolean => value.kind === "constant" && (value.type === i32 || value.b === value.a >> 31);

function arithmetic(type: ValueType, operation: number, commutative: boolean): Emitter {
  const isWide = type === i64;
  return ({ state, assembler }) => {
    let right = state.pop();
    let left = state.pop();
    if (commutative && left.kind === "constant") [left, right] = [right, left];
    if (operation === alu.sub && fitsImmediate(right) && right.a === -0x80000000) state.register(right);
    const immediate = fitsImmediate(right);
    const operand = immediate ? 0 : state.operand(right);
    const to = state.writable(left);
    if (immediate) assembler.aluImmediate(operation, isWide, to, right.a);
    else assembler.alu(operation, isWide, to, operand);
    state.release(right);
    state.pushRegister(type, to);
  };
}

function multiply(type: ValueType): Emitter {
  const isWide = type === i64;
  return ({ state, assembler }) => {
    let right = state.pop();
    let left = state.pop();
    if (left.kind === "constant") [left, right] = [right, left];
    if (fitsImmediate(right)) {
      const operand = state.operand(left);
      const to = state.allocate(false);
      assembler.multiplyImmediate(isWide, to, operand, right.a);
      state.release(left);
      state.pushRegister(type, to);
      return;
    }
    const operand = state.operand(right);
    const to = state.writable(left);
    assembler.multiply(isWide, to, operand);
    state.release(right);
    state.pushRegister(type, to);
  };
}

function divide(type: ValueType, isSigned: boolean, isRemainder: boolean): Emitter {
  return ({ state, assembler }) => {
    const right = state.pop();
    const left = state.pop();
    state.into(right, r.rcx);
    state.into(left, r.rax);
    sequences.divide(assembler, type === i64, isSigned, isRemainder);
    state.release(left);
    state.release(right);
    const to = state.allocate(false);
    state.moveRegister(to, isRemainder ? r.rdx : r.rax);
    state.pushRegister(type, to);
  };
}

function shifted(type: ValueType, operation: number): Emitter {
  const isWide = type === i64;
  return ({ state, assembler }) => {
    const right = state.pop();
    const left = state.pop();
    if (right.kind === "constant") {
      const to = state.writable(left);
      assembler.shiftImmediate(operation, isWide, to, right.a & (isWide ? 63 : 31));
      state.pushRegister(type, to);
      return;
    }
    state.into(right, r.rcx);
    const to = state.writable(left);
    assembler.shiftByCl(operation, isWide, to);
    state.release(right);
    state.pushRegister(type, to);
  };
}

const consumers = new Set(["br_if", "if", "i32.eqz"].map(opcode));

/** Leaves the flags to the next operator when that wants them, else makes an i32 of them. */
function finishComparison(c: FunctionCompiler, condition: number): void {
  if (consumers.has(c.nextOperator()?.code ?? -1)) {
    c.condition = condition;
    return;
  }
  const { assembler: a, state } = c;
  if (condition === floatEqual || condition === floatNotEqual) {
    a.setCondition(condition === floatEqual ? r.notParity : r.parity, r.rcx);
    a.setCondition(condition === floatEqual ? r.equal : r.notEqual, r.rax);
    a.alu(condition === floatEqual ? alu.and : alu.or, false, r.rax, r.rcx);
  } else a.setCondition(condition, r.rax);
  const to = state.allocate(false);
  a.loadZero8(to, r.rax);
  state.pushRegister(i32, to);
}

function comparison(type: ValueType, condition: number): Emitter {
  const isWide = type === i64;
  return (c) => {
    const { state, assembler } = c;
    const right = state.pop();
    const left = state.pop();
    const first = state.register(left);
    if (fitsImmediate(right)) {
      if (right.a === 0) assembler.test(isWide, first, first);
      else assembler.aluImmediate(alu.cmp, isWide, first, right.a);
    } else assembler.alu(alu.cmp, isWide, first, state.operand(right));
    state.release(left);
    state.release(right);
    finishComparison(c, condition);
  };
}

function equalsZero(type: ValueType): Emitter {
  return (c) => {
    if (c.condition !== undefined) {
      const condition = c.condition ^ 1;
      c.condition = undefined;
      finishComparison(c, condition);
      return;
    }
    const value = c.state.pop();
    const register = c.state.register(value);
    c.assembler.test(type === i64, register, register);
    c.state.release(value);
    finishComparison(c, r.equal);
  };
}

function floatComparison(isDouble: boolean, condition: number, swapped: boolean): Emitter {
  return (c) => {
    const { state, assembler } = c;
    let right = state.pop();
    let left = state.pop();
    if (swapped) [left, right] = [right, left];
    const first = state.register(left);
    assembler.floatCompare(isDouble, first - 16, state.operand(right));
    state.release(left);
    state.release(right);
    finishComparison(c, condition);
  };
}

function floatArithmetic(type: ValueType, opcodeByte: number): Emitter {
  return ({ state, assembler }) => {
    const right = state.pop();
    const left = state.pop();
    const operand = state.operand(right);
    const to = state.writable(left);
    assembler.float(opcodeByte, type === f64, to - 16, operand);
    state.release(right);
    state.pushRegister(type, to);
  };
}

/** Two SSE registers in, the left one rewritten. */
function floatPair(type: ValueType, emit: (a: Assembler, to: number, from: number) => void): Emitter {
  return ({ state, assembler }) => {
    const right = state.pop();
    const left = state.pop();
    const from = state.register(right);
    const to = state.writable(left);
    emit(assembler, to - 16, from - 16);
    state.release(right);
    state.pushRegister(type, to);
  };
}

/** One operand in a register that may be rewritten, same type out. */
function inPlace(type: ValueType, emit: (a: Assembler, to: number) => void): Emitter {
  return ({ state, assembler }) => {
    const to = state.writable(state.pop());
    emit(assembler, to >= 16 ? to - 16 : to);
    state.pushRegister(type, to);
  };
}

/** One operand in a register, the result in a new one. */
function convert(result: ValueType, emit: (a: Assembler, to: number, from: number) => void): Emitter {
  const float = result === f32 || result === f64;
  return ({ state, assembler }) => {
    const value = state.pop();
    const from = state.register(value);
    const to = state.allocate(float);
    emit(assembler, to >= 16 ? to - 16 : to, from >= 16 ? from - 16 : from);
    state.release(value);
    state.pushRegister(result, to);
  };
}

for (const [name, type] of [
  ["i32", i32],
  ["i64", i64],
] as const) {
  const wide = type === i64;
  const on = (suffix: string, emitter: Emitter): void => void (numericEmitters[`${name}.${suffix}`] = emitter);
  on("add", arithmetic(type, alu.add, true));
  on("sub", arithmetic(type, alu.sub, false));
  on("and", arithmetic(type, alu.and, true));
  on("or", arithmetic(type, alu.or, true));
  on("xor", arithmetic(type, alu.xor, true));
  on("mul", multiply(type));
  on("div_s", divide(type, true, false));
  on("div_u", divide(type, false, false));
  on("rem_s", divide(type, true, true));
  on("rem_u", divide(type, false, true));
  on("shl", shifted(type, shift.left));
  on("shr_s", shifted(type, shift.rightSigned));
  on("shr_u", shifted(type, shift.right));
  on("rotl", shifted(type, shift.rotateLeft));
  on("rotr", shifted(type, shift.rotateRight));
  on("eqz", equalsZero(type));
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
  for (const [suffix, condition] of Object.entries(conditions)) on(suffix, comparison(type, condition));
  on(
    "clz",
    convert(type, (a, to, from) => sequences.countLeadingZeros(a, wide, to, from, r.rax)),
  );
  on(
    "ctz",
    convert(type, (a, to, from) => sequences.countTrailingZeros(a, wide, to, from, r.rax)),
  );
  on(
    "popcnt",
    convert(type, (a, to, from) => a.populationCount(wide, to, from)),
  );
  on(
    "extend8_s",
    convert(type, (a, to, from) => a.loadSigned8(wide, to, from)),
  );
  on(
    "extend16_s",
    convert(type, (a, to, from) => a.loadSigned16(wide, to, from)),
  );
  for (const [floatName, isDouble] of [
    ["f32", false],
    ["f64", true],
  ] as const)
    for (const isSigned of [true, false])
      for (const saturating of [true, false]) {
        const t: sequences.Truncation = { fromDouble: isDouble, toWide: wide, isSigned, saturating };
        on(
          `trunc_${saturating ? "sat_" : ""}${floatName}_${isSigned ? "s" : "u"}`,
          convert(type, (a, to, from) => sequences.truncate(a, t, to, from, r.rax, 15)),
        );
      }
}

for (const [name, type] of [
  ["f32", f32],
  ["f64", f64],
] as const) {
  const isDouble = type === f64;
  const on = (suffix: string, emitter: Emitter): void => void (numericEmitters[`${name}.${suffix}`] = emitter);
  on("eq", floatComparison(isDouble, floatEqual, false));
  on("ne", floatComparison(isDouble, floatNotEqual, false));
  on("gt", floatComparison(isDouble, r.above, false));
  on("ge", floatComparison(isDouble, r.aboveEqual, false));
  on("lt", floatComparison(isDouble, r.above, true));
  on("le", floatComparison(isDouble, r.aboveEqual, true));
  on("add", floatArithmetic(type, 0x58));
  on("sub", floatArithmetic(type, 0x5c));
  on("mul", floatArithmetic(type, 0x59));
  on("div", floatArithmetic(type, 0x5e));
  on(
    "min",
    floatPair(type, (a, to, from) => sequences.floatMinimum(a, isDouble, false, to, from)),
  );
  on(
    "max",
    floatPair(type, (a, to, from) => sequences.floatMinimum(a, isDouble, true, to, from)),
  );
  on(
    "copysign",
    floatPair(type, (a, to, from) => sequences.floatCopySign(a, isDouble, to, from, 15)),
  );
  on(
    "abs",
    inPlace(type, (a, to) => sequences.floatAbsolute(a, isDouble, to)),
  );
  on(
    "neg",
    inPlace(type, (a, to) => sequences.floatNegate(a, isDouble, to)),
  );
  on(
    "sqrt",
    convert(type, (a, to, from) => a.float(0x51, isDouble, to, from)),
  );
  for (const [suffix, mode] of [
    ["nearest", 0],
    ["floor", 1],
    ["ceil", 2],
    ["trunc", 3],
  ] as const)
    on(
      suffix,
      convert(type, (a, to, from) => a.floatRound(isDouble, mode, to, from)),
    );
  const fromInteger =
    (isWide: boolean) =>
    (a: Assembler, to: number, from: number): void => {
      a.floatZero(to); // cvtsi2sd keeps the upper half, on which it would otherwise wait
      a.floatFromInteger(isDouble, isWide, to, from);
    };
  on("convert_i32_s", convert(type, fromInteger(false)));
  on("convert_i32_u", convert(type, fromInteger(true)));
  on("convert_i64_s", convert(type, fromInteger(true)));
  on(
    "convert_i64_u",
    convert(type, (a, to, from) => sequences.convertUnsigned64(a, isDouble, to, from, r.rax, r.rcx)),
  );
}

Object.assign(numericEmitters, {
  "i64.extend32_s": convert(i64, (a, to, from) => a.loadSigned32(to, from)),
  "i64.extend_i32_s": convert(i64, (a, to, from) => a.loadSigned32(to, from)),
  "i64.extend_i32_u": convert(i64, (a, to, from) => a.move(false, to, from)),
  "i32.wrap_i64": convert(i32, (a, to, from) => a.move(false, to, from)),
  "f32.demote_f64": convert(f32, (a, to, from) => a.floatConvert(true, to, from)),
  "f64.promote_f32": convert(f64, (a, to, from) => a.floatConvert(false, to, from)),
  "i32.reinterpret_f32": convert(i32, (a, to, from) => a.floatToBits(false, to, from)),
  "i64.reinterpret_f64": convert(i64, (a, to, from) => a.floatToBits(true, to, from)),
  "f32.reinterpret_i32": convert(f32, (a, to, from) => a.floatFromBits(false, to, from)),
  "f64.reinterpret_i64": convert(f64, (a, to, from) => a.floatFromBits(true, to, from)),
} satisfies Record<string, Emitter>);
