import { opcode, opcodeInfo } from "../decode/opcodes.ts";
import { type Block, type FunctionIr, isConstant, isIntegerConstant, op, opcodes, type Value } from "../ir/value.ts";
import { isLoad, isPure } from "../optimise/optimise.ts";

/**
 * Chooses which values are computed inside the instruction that uses them: a comparison inside its branch, a load inside an addition,
 * a shift inside a lea, a load and an addition inside a store to the same place. Such a value is `folded`; what remains are nodes, each
 * one step of the code with the values it reads.
 *
 * A load may move down to its user only past other loads and pure values. `epoch` counts, within a block, what it may not pass.
 */
export interface Node {
  /** Undefined for the terminator. */
  readonly value: Value | undefined;
  /** Values that are read, each once, without constants. */
  readonly inputs: Value[];
  /** Position of each input's next use after this one. Filled in by the allocator. */
  readonly after: number[];
  /** Position of the result's first use. */
  outNext: number;
}

export interface Selected {
  readonly nodes: Node[];
  readonly terminator: Node;
}

const code = (names: readonly string[]): Set<number> => new Set(names.map(opcode));
const both = (name: string): string[] => [`i32.${name}`, `i64.${name}`];
const comparisons = code([
  ...["eqz", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"].flatMap(both),
  ...["f32", "f64"].flatMap((t) => ["eq", "ne", "lt", "gt", "le", "ge"].map((name) => `${t}.${name}`)),
]);
export function isComparison(value: Value): boolean {
  return comparisons.has(value.op);
}
const selects = code(["select", "select_t"]);
export function isSelect(value: Value): boolean {
  return selects.has(value.op);
}
const commutative = code([...["add", "mul", "and", "or", "xor", "eq", "ne"].flatMap(both), "f32.add", "f32.mul", "f64.add", "f64.mul"]);
export function isCommutative(value: Value): boolean {
  return commutative.has(value.op);
}

/** By the operator that may take a memory operand, the load it may take. */
const loadFor = new Map<number, number>();
for (const name of ["add", "sub", "and", "or", "xor", "mul", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"])
  for (const type of ["i32", "i64"]) loadFor.set(opcode(`${type}.${name}`), opcode(`${type}.load`));
for (const name of ["add", "sub", "mul", "div"])
  for (const type of ["f32", "f64"]) loadFor.set(opcode(`${type}.${name}`), opcode(`${type}.load`));
loadFor.set(opcode("i64.extend_i32_s"), opcode("i32.load"));

const intComparisons = code(["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"].flatMap(both));
const updates = code(["add", "sub", "and", "or", "xor"].flatMap(both));
const storeUpdates = new Map([
  [opcode("i32.store"), opcode("i32.load")],
  [opcode("i64.store"), opcode("i64.load")],
]);
const adds = code(both("add"));
/** Of the same width as the addition they go into. */
const shiftFor = new Map([
  [opcode("i32.add"), opcode("i32.shl")],
  [opcode("i64.add"), opcode("i64.shl")],
]);
const andFor = new Map([
  [opcode("i32.eqz"), opcode("i32.and")],
  [opcode("i64.eqz"), opcode("i64.and")],
]);
const opAnd = opcode("i32.and");

/**
 * True if a constant can be the immediate of an instruction on 64 or 32 bits. An i32 stands for its zero extension where a value that was
 * extended for nothing turned out to be constant, while immediates are sign-extended.
 */
export function fitsImmediate(value: Value, isWide: boolean): boolean {
  if (value.op === opcodes.i32Const) return !isWide || value.a >= 0;
  return value.op === opcodes.i64Const ? !isWide || value.b === value.a >> 31 : value.op === opcodes.refNull;
}
const wideOperators = new Set<number>();
for (let code = 0; code < 0x112; code++) if (opcodeInfo(code)?.name.startsWith("i64.") === true) wideOperators.add(code);
function isWideOperator(value: Value): boolean {
  return wideOperators.has(value.op);
}

const opShl = opcode("i32.shl");
const opShrU = opcode("i32.shr_u");
const [load8, load16] = [opcode("i32.load8_u"), opcode("i32.load16_u")];

/** The largest number an i32 can be, as far as is easily seen. */
function largest(value: Value): number {
  const y = value.args[1];
  if (value.op === load8) return 0xff;
  if (value.op === load16) return 0xffff;
  if (value.op === opAnd && y !== undefined && isIntegerConstant(y) && y.a >= 0) return y.a;
  if (value.op === opShrU && y !== undefined && isIntegerConstant(y)) return 2 ** (32 - (y.a & 31)) - 1;
  return 0xffffffff;
}

class Tiler {
  readonly inBlock: Int32Array;
  private block = 0;

  constructor(valueCount: number) {
    this.inBlock = new Int32Array(valueCount).fill(-1);
  }

  private single(value: Value): boolean {
    return value.uses === 1 && this.inBlock[value.id] === this.block && !value.folded;
  }
  private foldableLoad(value: Value, wanted: number | undefined, epoch: number): boolean {
    return wanted !== undefined && value.op === wanted && this.single(value) && value.epoch === epoch;
  }

  /** An index shifted left goes into the address, where nothing can be shifted out of 32 bits. */
  private foldIndex(access: Value): void {
    const index = access.args[0] as Value;
    const [x, count] = index.args as [Value | undefined, Value | undefined];
    if (index.op !== opShl || access.a >= 2 ** 31 || count === undefined || x === undefined || !this.single(index)) return;
    if (isIntegerConstant(count) && count.a >= 1 && count.a <= 3 && largest(x) * 2 ** count.a < 2 ** 32) index.folded = true;
  }

  /** Folds what can be folded into `root`, seen at `epoch`. */
  private fold(root: Value, epoch: number): void {
    this.foldInto(root, epoch);
    if (root.op >= 0x28 && root.op <= 0x3e) this.foldIndex(root);
    for (const arg of root.args) if (arg.folded && isLoad(arg)) this.foldIndex(arg);
  }
  private foldInto(root: Value, epoch: number): void {
    const [x, y] = root.args as [Value, Value | undefined];
    if (isSelect(root)) {
      const condition = root.args[2] as Value;
      if (isComparison(condition) && this.single(condition)) {
        condition.folded = true;
        this.fold(condition, epoch);
      }
      return;
    }
    const update = storeUpdates.get(root.op);
    if (update !== undefined && y !== undefined) {
      this.foldUpdate(root, x, y, update, epoch);
      return;
    }
    if (adds.has(root.op) && y !== undefined && this.foldAddress(root, x, y)) return;
    if (y === undefined && x !== undefined && x.op === andFor.get(root.op) && this.single(x)) {
      x.folded = true; // test
      return;
    }
    const wanted = loadFor.get(root.op);
    if (wanted === undefined) return;
    if (y === undefined) {
      if (this.foldableLoad(x, wanted, epoch)) x.folded = true;
      return;
    }
    if (this.foldableLoad(y, wanted, epoch)) y.folded = true;
    else if (
      isConstant(y)
        ? intComparisons.has(root.op) && fitsImmediate(y, isWideOperator(root)) && this.foldableLoad(x, wanted, epoch)
        : isCommutative(root) && this.foldableLoad(x, wanted, epoch)
    ) {
      if (!isConstant(y)) root.args = [y, x];
      x.folded = true;
    }
  }

  /** store [m], (load [m] op y) → op [m], y */
  private foldUpdate(root: Value, address: Value, value: Value, wanted: number, epoch: number): void {
    if (!updates.has(value.op) || !this.single(value)) return;
    let [left, right] = value.args as [Value, Value];
    const matches = (load: Value): boolean =>
      load.op === wanted &&
      load.args[0] === address &&
      load.a === root.a &&
      this.single(load) &&
      load.epoch === epoch &&
      value.epoch === epoch;
    if (!matches(left) && isCommutative(value) && matches(right)) [left, right] = [right, left];
    if (!matches(left) || (isConstant(right) && !fitsImmediate(right, isWideOperator(value)))) return;
    value.args = [left, right];
    value.folded = true;
    left.folded = true;
  }

  /** x + (y << 1…3), and (x + y) + c, in one lea. */
  private foldAddress(root: Value, x: Value, y: Value): boolean {
    const scaled = (value: Value): boolean => {
      const count = value.args[1];
      return (
        value.op === shiftFor.get(root.op) &&
        count !== undefined &&
        isIntegerConstant(count) &&
        count.a >= 1 &&
        count.a <= 3 &&
        this.single(value)
      );
    };
    if (scaled(y)) {
      y.folded = true;
      return true;
    }
    if (scaled(x) && !isConstant(y)) {
      root.args = [y, x];
      x.folded = true;
      return true;
    }
    if (fitsImmediate(y, isWideOperator(root)) && adds.has(x.op) && x.op === root.op && this.single(x) && !isConstant(x.args[1] as Value)) {
      x.folded = true;
      const [p, q] = x.args as [Value, Value];
      if (scaled(q)) q.folded = true;
      else if (scaled(p)) {
        x.args = [q, p];
        p.folded = true;
      }
      return true;
    }
    return false;
  }

  private gather(value: Value, into: Value[]): void {
    if (value.op === op.result) return; // comes with its call
    for (const arg of value.args) this.leaf(arg, into);
  }
  private leaf(arg: Value, into: Value[]): void {
    if (isConstant(arg)) return;
    if (arg.folded) this.gather(arg, into);
    else if (!into.includes(arg)) into.push(arg);
  }

  select(block: Block, index: number): Selected {
    this.block = index;
    let epoch = 0;
    for (const value of block.body) {
      this.inBlock[value.id] = index;
      value.epoch = epoch;
      if (!isPure(value) && !isLoad(value)) epoch++;
    }
    const t = block.terminator;
    const ends: Value[] = [];
    if (t.kind === "branch") {
      if (isComparison(t.condition) && this.single(t.condition)) {
        t.condition.folded = true;
        this.fold(t.condition, epoch);
      } else if (t.condition.op === opAnd && this.single(t.condition)) t.condition.folded = true;
      this.leaf(t.condition, ends);
    } else if (t.kind === "table") this.leaf(t.index, ends);
    else if (t.kind === "return") for (const value of t.values) this.leaf(value, ends);
    const terminator: Node = { value: undefined, inputs: ends, after: [], outNext: Infinity };
    const nodes: Node[] = [];
    for (let i = block.body.length - 1; i >= 0; i--) {
      const value = block.body[i] as Value;
      if (value.folded) continue;
      this.fold(value, value.epoch);
      const inputs: Value[] = [];
      this.gather(value, inputs);
      nodes.push({ value, inputs, after: [], outNext: Infinity });
    }
    nodes.reverse();
    return { nodes, terminator };
  }
}

export function selectFunction(ir: FunctionIr): Selected[] {
  const tiler = new Tiler(ir.valueCount);
  return ir.blocks.map((block, index) => tiler.select(block, index));
}
