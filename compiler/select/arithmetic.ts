import { alu, type Assembler, type Memory, shift } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import * as sequences from "../assemble/sequences.ts";
import { opcode } from "../decode/opcodes.ts";
import { isConstant, type Value } from "../ir/value.ts";
import { type Context, type Emitter, encoding, immediate, oneOperand, source, twoAddress } from "./context.ts";
import { isCommutative } from "./tile.ts";

/** Arithmetic and conversions. SSE registers are numbered from 16 in the machine and from 0 in the assembler. */

export const arithmeticEmitters = new Map<number, Emitter>();
const on = (name: string, emitter: Emitter): void => void arithmeticEmitters.set(opcode(name), emitter);

/** Of two operands either of which may be overwritten, first the one that dies. */
function ordered(c: Context): readonly [Value, Value] {
  const [x, y] = c.value.args as [Value, Value];
  const swap = isCommutative(c.value) && !y.folded && !isConstant(y) && c.m.dies(y, c.node) && (isConstant(x) || !c.m.dies(x, c.node));
  return swap ? [y, x] : [x, y];
}

function binary(operation: number, isWide: boolean): Emitter {
  return (c) => {
    const [x, y] = ordered(c);
    const a = c.m.assembler;
    const value = immediate(y, isWide);
    if (value !== undefined) {
      twoAddress(c, x, undefined, isWide, (to) => {
        a.aluImmediate(operation, isWide, to, value);
        c.m.noteFlags(to, isWide);
      });
      return;
    }
    if (!isConstant(x)) c.m.register(x);
    const from = source(c, y);
    twoAddress(c, x, from, isWide, (to) => {
      a.alu(operation, isWide, to, from);
      c.m.noteFlags(to, isWide);
    });
  };
}

/** The parts of a folded address: x + (y << n) + constant. */
function leaParts(
  value: Value,
  isWide: boolean,
): { readonly base: Value; readonly index: Value | undefined; readonly scale: number; readonly displacement: number } {
  const [x, y] = value.args as [Value, Value];
  const constant = immediate(y, isWide);
  if (constant !== undefined && !y.folded) {
    if (!x.folded) return { base: x, index: undefined, scale: 0, displacement: constant };
    return { ...leaParts(x, isWide), displacement: constant };
  }
  if (y.folded) return { base: x, index: y.args[0] as Value, scale: (y.args[1] as Value).a, displacement: 0 };
  return { base: x, index: y, scale: 0, displacement: 0 };
}

const shiftOps = new Set([opcode("i32.shl"), opcode("i64.shl")]);

function add(isWide: boolean): Emitter {
  const plain = binary(alu.add, isWide);
  return (c) => {
    const { m, node, value } = c;
    const a = m.assembler;
    const [x, y] = value.args as [Value, Value];
    const foldedShift = y.folded && shiftOps.has(y.op);
    const foldedAdd = x.folded && immediate(y, isWide) !== undefined;
    if (!foldedShift && !foldedAdd) {
      // Where both operands live on, lea saves the copy.
      const bothLive =
        !y.folded && !isConstant(x) && !m.dies(x, node) && (immediate(y, isWide) !== undefined || (!isConstant(y) && !m.dies(y, node)));
      if (!bothLive) {
        plain(c);
        return;
      }
    }
    const { base, index, scale, displacement } = leaParts(value, isWide);
    const first = m.register(base);
    const second = index === undefined ? -1 : m.register(index);
    m.advance(node);
    const to = m.define(node);
    const place: Memory = { base: first, index: second, scale, displacement, symbol: undefined };
    a.lea(isWide, to, place);
  };
}

function multiply(isWide: boolean): Emitter {
  return (c) => {
    const { m, node } = c;
    const [x, y] = ordered(c);
    const value = immediate(y, isWide);
    const a = m.assembler;
    if (value !== undefined) {
      const from = isConstant(x) ? m.register(x) : m.operand(x, node);
      m.advance(node);
      a.multiplyImmediate(isWide, m.define(node), from, value);
      return;
    }
    if (!isConstant(x)) m.register(x);
    const from = source(c, y);
    twoAddress(c, x, from, isWide, (to) => a.multiply(isWide, to, from));
  };
}

function divide(isWide: boolean, isSigned: boolean, isRemainder: boolean): Emitter {
  return ({ m, node, value }) => {
    const [x, y] = value.args as [Value, Value];
    m.intoFixed(y, r.rcx);
    m.intoReserved(x, r.rax, node);
    m.reserve(r.rdx);
    sequences.divide(m.assembler, isWide, isSigned, isRemainder);
    m.advance(node);
    m.result(node, isRemainder ? r.rdx : r.rax);
  };
}

function shifted(operation: number, isWide: boolean): Emitter {
  return (c) => {
    const { m, value } = c;
    const a = m.assembler;
    const [x, y] = value.args as [Value, Value];
    if (isConstant(y)) {
      twoAddress(c, x, undefined, isWide, (to) => a.shiftImmediate(operation, isWide, to, y.a & (isWide ? 63 : 31)));
      return;
    }
    if (!isConstant(x)) m.register(x);
    m.intoFixed(y, r.rcx);
    twoAddress(c, x, r.rcx, isWide, (to) => a.shiftByCl(operation, isWide, to));
  };
}

for (const [name, isWide] of [
  ["i32", false],
  ["i64", true],
] as const) {
  on(`${name}.add`, add(isWide));
  on(`${name}.sub`, binary(alu.sub, isWide));
  on(`${name}.and`, binary(alu.and, isWide));
  on(`${name}.or`, binary(alu.or, isWide));
  on(`${name}.xor`, binary(alu.xor, isWide));
  on(`${name}.mul`, multiply(isWide));
  on(`${name}.div_s`, divide(isWide, true, false));
  on(`${name}.div_u`, divide(isWide, false, false));
  on(`${name}.rem_s`, divide(isWide, true, true));
  on(`${name}.rem_u`, divide(isWide, false, true));
  on(`${name}.shl`, shifted(shift.left, isWide));
  on(`${name}.shr_s`, shifted(shift.rightSigned, isWide));
  on(`${name}.shr_u`, shifted(shift.right, isWide));
  on(`${name}.rotl`, shifted(shift.rotateLeft, isWide));
  on(`${name}.rotr`, shifted(shift.rotateRight, isWide));
  on(`${name}.clz`, (c) => oneOperand(c, (to, from, [t]) => sequences.countLeadingZeros(c.m.assembler, isWide, to, from, t as number), 1));
  on(`${name}.ctz`, (c) => oneOperand(c, (to, from, [t]) => sequences.countTrailingZeros(c.m.assembler, isWide, to, from, t as number), 1));
  on(`${name}.popcnt`, (c) => oneOperand(c, (to, from) => c.m.assembler.populationCount(isWide, to, from)));
  on(`${name}.extend8_s`, (c) => oneOperand(c, (to, from) => c.m.assembler.loadSigned8(isWide, to, from)));
  on(`${name}.extend16_s`, (c) => oneOperand(c, (to, from) => c.m.assembler.loadSigned16(isWide, to, from)));
  for (const [floatName, fromDouble] of [
    ["f32", false],
    ["f64", true],
  ] as const)
    for (const isSigned of [true, false])
      for (const saturating of [true, false]) {
        const t: sequences.Truncation = { fromDouble, toWide: isWide, isSigned, saturating };
        on(`${name}.trunc_${saturating ? "sat_" : ""}${floatName}_${isSigned ? "s" : "u"}`, (c) =>
          oneOperand(c, (to, from, [scratch]) => sequences.truncate(c.m.assembler, t, to, from, scratch as number, 15), 1),
        );
      }
}

// ---- floats ---------------------------------------------------------------------------------------------------------

function floatBinary(opcodeByte: number, isDouble: boolean): Emitter {
  return (c) => {
    const [x, y] = ordered(c);
    if (!isConstant(x)) c.m.register(x);
    const from = source(c, y);
    twoAddress(c, x, from, true, (to) => c.m.assembler.float(opcodeByte, isDouble, to, from));
  };
}
function floatPair(emit: (a: Assembler, to: number, from: number) => void): Emitter {
  return (c) => {
    const [x, y] = c.value.args as [Value, Value];
    if (!isConstant(x)) c.m.register(x);
    const from = encoding(c.m.register(y));
    twoAddress(c, x, from, true, (to) => emit(c.m.assembler, to, from));
  };
}
function floatInPlace(emit: (a: Assembler, to: number) => void): Emitter {
  return (c) => twoAddress(c, c.value.args[0] as Value, undefined, true, (to) => emit(c.m.assembler, to));
}

for (const [name, isDouble] of [
  ["f32", false],
  ["f64", true],
] as const) {
  on(`${name}.add`, floatBinary(0x58, isDouble));
  on(`${name}.sub`, floatBinary(0x5c, isDouble));
  on(`${name}.mul`, floatBinary(0x59, isDouble));
  on(`${name}.div`, floatBinary(0x5e, isDouble));
  on(
    `${name}.min`,
    floatPair((a, to, from) => sequences.floatMinimum(a, isDouble, false, to, from)),
  );
  on(
    `${name}.max`,
    floatPair((a, to, from) => sequences.floatMinimum(a, isDouble, true, to, from)),
  );
  on(
    `${name}.copysign`,
    floatPair((a, to, from) => sequences.floatCopySign(a, isDouble, to, from, 15)),
  );
  on(
    `${name}.abs`,
    floatInPlace((a, to) => sequences.floatAbsolute(a, isDouble, to)),
  );
  on(
    `${name}.neg`,
    floatInPlace((a, to) => sequences.floatNegate(a, isDouble, to)),
  );
  on(`${name}.sqrt`, (c) => oneOperand(c, (to, from) => c.m.assembler.float(0x51, isDouble, to, from)));
  for (const [suffix, mode] of [
    ["nearest", 0],
    ["floor", 1],
    ["ceil", 2],
    ["trunc", 3],
  ] as const)
    on(`${name}.${suffix}`, (c) => oneOperand(c, (to, from) => c.m.assembler.floatRound(isDouble, mode, to, from)));
  const fromInteger =
    (isWide: boolean): Emitter =>
    (c) =>
      oneOperand(c, (to, from) => {
        c.m.assembler.floatZero(to); // cvtsi2sd keeps the upper half, on which it would otherwise wait
        c.m.assembler.floatFromInteger(isDouble, isWide, to, from);
      });
  on(`${name}.convert_i32_s`, fromInteger(false));
  on(`${name}.convert_i32_u`, fromInteger(true));
  on(`${name}.convert_i64_s`, fromInteger(true));
  on(`${name}.convert_i64_u`, (c) =>
    oneOperand(c, (to, from, [t, u]) => sequences.convertUnsigned64(c.m.assembler, isDouble, to, from, t as number, u as number), 2),
  );
}

/** movsxd, from memory where the load was folded. */
function extendSigned(c: Context): void {
  const { m, node, value } = c;
  const from = source(c, value.args[0] as Value);
  m.advance(node);
  m.assembler.loadSigned32(m.define(node), from);
}

on("i64.extend_i32_s", extendSigned);
on("i64.extend32_s", (c) => oneOperand(c, (to, from) => c.m.assembler.loadSigned32(to, from)));
on("i64.extend_i32_u", (c) => oneOperand(c, (to, from) => c.m.assembler.move(false, to, from)));
on("i32.wrap_i64", (c) => oneOperand(c, (to, from) => c.m.assembler.move(false, to, from)));
on("f32.demote_f64", (c) => oneOperand(c, (to, from) => c.m.assembler.floatConvert(true, to, from)));
on("f64.promote_f32", (c) => oneOperand(c, (to, from) => c.m.assembler.floatConvert(false, to, from)));
on("i32.reinterpret_f32", (c) => oneOperand(c, (to, from) => c.m.assembler.floatToBits(false, to, from)));
on("i64.reinterpret_f64", (c) => oneOperand(c, (to, from) => c.m.assembler.floatToBits(true, to, from)));
on("f32.reinterpret_i32", (c) => oneOperand(c, (to, from) => c.m.assembler.floatFromBits(false, to, from)));
on("f64.reinterpret_i64", (c) => oneOperand(c, (to, from) => c.m.assembler.floatFromBits(true, to, from)));
