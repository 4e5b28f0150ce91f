import { opcode } from "../decode/opcodes.ts";
import { i32, i64 } from "../decode/types.ts";
import { isIntegerConstant, opcodes, type Value } from "./value.ts";

/** Rewrites an operator into a simpler value while the IR is built. Floats are left alone: their rounding and NaNs are not ours to move. */

export interface Maker {
  i32(value: number): Value;
  i64(value: bigint): Value;
  make(op: number, type: Value["type"], args: Value[]): Value;
}

const O = Object.fromEntries(
  [
    "i32.add",
    "i32.sub",
    "i32.mul",
    "i32.and",
    "i32.or",
    "i32.xor",
    "i32.shl",
    "i32.shr_s",
    "i32.shr_u",
    "i32.eqz",
    "i32.div_u",
    "i32.rem_u",
    "i64.add",
    "i64.sub",
    "i64.mul",
    "i64.and",
    "i64.or",
    "i64.xor",
    "i64.shl",
    "i64.shr_s",
    "i64.shr_u",
    "i64.eqz",
    "i64.div_u",
    "i64.rem_u",
    "i32.wrap_i64",
    "i64.extend_i32_u",
    "i64.extend_i32_s",
    "i32.eq",
    "i32.ne",
    "i64.eq",
    "i64.ne",
    "select",
    "select_t",
  ].map((name) => [name, opcode(name)]),
) as Record<string, number>;

/** Comparisons come in pairs of opposites, which i32.eqz turns into each other; those of floats do not, because of NaN. */
const opposites = new Map<number, number>();
for (const type of ["i32", "i64"])
  for (const [x, y] of [
    ["eq", "ne"],
    ["lt_s", "ge_s"],
    ["lt_u", "ge_u"],
    ["gt_s", "le_s"],
    ["gt_u", "le_u"],
  ] as const) {
    opposites.set(opcode(`${type}.${x}`), opcode(`${type}.${y}`));
    opposites.set(opcode(`${type}.${y}`), opcode(`${type}.${x}`));
  }

const commutative = new Set(
  ["add", "mul", "and", "or", "xor", "eq", "ne"].flatMap((name) => [opcode(`i32.${name}`), opcode(`i64.${name}`)]),
);

/** Operators on i32 that look at the low 32 bits of their operands only, so that a wrap before them is nothing. */
const low32 = new Set(
  [
    "i32.add",
    "i32.sub",
    "i32.mul",
    "i32.and",
    "i32.or",
    "i32.xor",
    "i32.shl",
    "i32.shr_s",
    "i32.shr_u",
    "i32.rotl",
    "i32.rotr",
    "i32.eqz",
    "i32.eq",
    "i32.ne",
    "i32.lt_s",
    "i32.lt_u",
    "i32.gt_s",
    "i32.gt_u",
    "i32.le_s",
    "i32.le_u",
    "i32.ge_s",
    "i32.ge_u",
    "i32.extend8_s",
    "i32.extend16_s",
    "i64.extend_i32_s",
    "f32.convert_i32_s",
    "f64.convert_i32_s",
  ].map(opcode),
);
const narrowStores = new Set(["i32.store", "i32.store8", "i32.store16", "i64.store8", "i64.store16", "i64.store32"].map(opcode));

function fold32(op: number, x: number, y: number): number | undefined {
  switch (op) {
    case O["i32.add"]:
      return (x + y) | 0;
    case O["i32.sub"]:
      return (x - y) | 0;
    case O["i32.mul"]:
      return Math.imul(x, y);
    case O["i32.and"]:
      return x & y;
    case O["i32.or"]:
      return x | y;
    case O["i32.xor"]:
      return x ^ y;
    case O["i32.shl"]:
      return x << y;
    case O["i32.shr_s"]:
      return x >> y;
    case O["i32.shr_u"]:
      return (x >>> y) | 0;
    case O["i32.eq"]:
      return x === y ? 1 : 0;
    case O["i32.ne"]:
      return x === y ? 0 : 1;
    default:
      return undefined;
  }
}

function fold64(op: number, x: bigint, y: bigint): bigint | undefined {
  switch (op) {
    case O["i64.add"]:
      return x + y;
    case O["i64.sub"]:
      return x - y;
    case O["i64.mul"]:
      return x * y;
    case O["i64.and"]:
      return x & y;
    case O["i64.or"]:
      return x | y;
    case O["i64.xor"]:
      return x ^ y;
    case O["i64.shl"]:
      return x << (y & 63n);
    case O["i64.shr_s"]:
      return BigInt.asIntN(64, x) >> (y & 63n);
    case O["i64.shr_u"]:
      return BigInt.asUintN(64, x) >> (y & 63n);
    default:
      return undefined;
  }
}

function wide(value: Value): bigint {
  return BigInt(value.a >>> 0) | (BigInt(value.b) << 32n);
}

/** x op 0, x op 1 and the like. */
function identity(m: Maker, op: number, x: Value, y: Value): Value | undefined {
  const narrow = y.op === opcodes.i32Const;
  const isZero = y.a === 0 && (narrow || y.b === 0);
  const minusOne = y.a === -1 && (narrow || y.b === -1);
  if (op === O["i32.sub"] && y.a !== 0) return m.make(O["i32.add"] as number, i32, [x, m.i32(-y.a)]);
  if (op === O["i64.sub"] && y.b === y.a >> 31 && y.a !== 0 && y.a !== -0x80000000)
    return m.make(O["i64.add"] as number, i64, [x, m.i64(BigInt(-y.a))]);
  switch (op) {
    case O["i32.add"]:
    case O["i64.add"]:
    case O["i32.sub"]:
    case O["i64.sub"]:
    case O["i32.or"]:
    case O["i64.or"]:
    case O["i32.xor"]:
    case O["i64.xor"]:
    case O["i32.shl"]:
    case O["i64.shl"]:
    case O["i32.shr_s"]:
    case O["i64.shr_s"]:
    case O["i32.shr_u"]:
    case O["i64.shr_u"]:
      // An i32 operand that skipped its wrap has upper bits, so it must not become the result itself.
      return isZero && (x.type === i32 || !narrow) ? x : undefined;
    case O["i32.and"]:
    case O["i64.and"]:
      if (isZero) return y;
      return minusOne && (x.type === i32 || !narrow) ? x : undefined;
    case O["i32.mul"]:
    case O["i64.mul"]: {
      if (isZero) return y;
      if (narrow ? y.a > 0 && (y.a & (y.a - 1)) === 0 : y.b === 0 && y.a > 0 && (y.a & (y.a - 1)) === 0) {
        const count = 31 - Math.clz32(y.a);
        return m.make(narrow ? (O["i32.shl"] as number) : (O["i64.shl"] as number), narrow ? i32 : i64, [
          x,
          narrow ? m.i32(count) : m.i64(BigInt(count)),
        ]);
      }
      return undefined;
    }
    case O["i32.div_u"]:
    case O["i32.rem_u"]:
      if (y.a > 0 && (y.a & (y.a - 1)) === 0)
        return op === O["i32.div_u"]
          ? m.make(O["i32.shr_u"] as number, i32, [x, m.i32(31 - Math.clz32(y.a))])
          : m.make(O["i32.and"] as number, i32, [x, m.i32(y.a - 1)]);
      return undefined;
    case O["i32.eq"]:
    case O["i64.eq"]:
      return isZero ? m.make(narrow ? (O["i32.eqz"] as number) : (O["i64.eqz"] as number), i32, [x]) : undefined;
    default:
      return undefined;
  }
}

/** (x + c) + d, (x & c) & d and (x ^ c) ^ d with constants put together. */
function reassociate(m: Maker, op: number, x: Value, y: Value): Value | undefined {
  if (op !== O["i32.add"] && op !== O["i32.and"] && op !== O["i64.add"] && op !== O["i64.and"]) return undefined;
  const inner = x.args[1];
  if (x.op !== op || inner === undefined || !isIntegerConstant(inner)) return undefined;
  if (y.op === opcodes.i32Const) {
    const value = fold32(op, inner.a, y.a) as number;
    return m.make(op, i32, [x.args[0] as Value, m.i32(value)]);
  }
  return m.make(op, i64, [x.args[0] as Value, m.i64(fold64(op, wide(inner), wide(y)) as bigint)]);
}

/** The simpler value, or undefined when the value is simple already. May exchange or replace the operands in `args`. */
export function simplify(m: Maker, op: number, args: Value[]): Value | undefined {
  if (low32.has(op)) for (let i = 0; i < args.length; i++) if (args[i]?.op === O["i32.wrap_i64"]) args[i] = args[i]?.args[0] as Value;
  if (narrowStores.has(op)) {
    const value = args[1] as Value;
    // Storing less than was extended: neither wrap nor extension matters.
    if (value.op === O["i32.wrap_i64"] || value.op === O["i64.extend_i32_s"]) args[1] = value.args[0] as Value;
    return undefined;
  }
  const [x, y] = args as [Value, Value];
  if (args.length === 2 && isIntegerConstant(x) && !isIntegerConstant(y) && commutative.has(op)) {
    args[0] = y;
    args[1] = x;
    return simplifyPair(m, op, y, x);
  }
  if (args.length === 2) return simplifyPair(m, op, x, y);
  if (args.length === 3 && isIntegerConstant(args[2] as Value) && (op === O["select"] || op === O["select_t"]))
    return (args[2] as Value).a !== 0 ? x : y;
  if (args.length !== 1) return undefined;
  if (op === O["i32.eqz"]) {
    if (isIntegerConstant(x) && x.op === opcodes.i32Const) return m.i32(x.a === 0 ? 1 : 0);
    const opposite = opposites.get(x.op);
    if (opposite !== undefined) return m.make(opposite, i32, [...x.args]);
    if (x.op === O["i64.eqz"]) return m.make(O["i64.ne"] as number, i32, [x.args[0] as Value, m.i64(0n)]);
    if (x.op === O["i32.eqz"]) return m.make(O["i32.ne"] as number, i32, [x.args[0] as Value, m.i32(0)]);
  }
  if (op === O["i64.extend_i32_u"]) return x.op === opcodes.i32Const ? m.i64(BigInt(x.a >>> 0)) : x.type === i32 ? x : undefined;
  if (op === O["i64.extend_i32_s"] && x.op === opcodes.i32Const) return m.i64(BigInt(x.a));
  if (op === O["i32.wrap_i64"]) {
    if (x.op === opcodes.i64Const) return m.i32(x.a);
    if (x.type === i32) return x; // an extension that was nothing
    if (x.op === O["i64.extend_i32_s"] && (x.args[0] as Value).type === i32) return x.args[0];
  }
  return undefined;
}

function simplifyPair(m: Maker, op: number, x: Value, y: Value): Value | undefined {
  if (!isIntegerConstant(y)) return undefined;
  if (isIntegerConstant(x)) {
    if (x.op === opcodes.i32Const && y.op === opcodes.i32Const) {
      const value = fold32(op, x.a, y.a);
      if (value !== undefined) return m.i32(value);
    } else if (x.op === opcodes.i64Const && y.op === opcodes.i64Const) {
      const value = fold64(op, wide(x), wide(y));
      if (value !== undefined) return m.i64(value);
    }
    return undefined;
  }
  return identity(m, op, x, y) ?? reassociate(m, op, x, y);
}
