import { assert } from "#base";
import { blockSignature } from "../decode/body.ts";
import { opcode, opcodeInfo } from "../decode/opcodes.ts";
import { f32, f64, type FunctionType, i32, i64, type Module, type ModuleFunction, type Operator, type ValueType } from "../decode/types.ts";
import { assignedInLoops } from "./loops.ts";
import { type Maker, simplify } from "./simplify.ts";
import { Block, type Edge, type FunctionIr, op, opcodes, type Terminator, Value } from "./value.ts";

/**
 * Builds SSA in one pass over the operators. Where forward branches meet, every incoming edge carries what its path left in the locals, so
 * that a block gets parameters exactly for those locals the paths disagree on. A loop's header is met before its back edges: it gets
 * parameters for the locals assigned anywhere inside, of which `optimise` removes those that never change.
 */

interface Incoming {
  readonly edge: Edge;
  readonly env: readonly Value[];
  readonly values: readonly Value[];
}

interface Frame {
  readonly kind: "function" | "block" | "loop" | "if" | "else";
  /** Height of the operand stack below the parameters. */
  readonly height: number;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly incoming: Incoming[];
  /** Loops: the header, and the locals that are its parameters after the block's own. */
  readonly header: Block | undefined;
  readonly assigned: readonly number[];
  /** If: the way to the else arm, with what it starts from. */
  readonly otherwise: { readonly edge: Edge; readonly env: readonly Value[]; readonly values: readonly Value[] } | undefined;
}

const letters: Record<string, ValueType> = { i: i32, l: i64, f: f32, d: f64 };
const openers = new Set(["block", "loop", "if"].map(opcode));
const [opEnd, opElse] = ["end", "else"].map(opcode);

export type Handler = (b: Builder, operator: Operator, at: number) => void;

export class Builder implements Maker {
  readonly module: Module;
  readonly item: ModuleFunction;
  /** By operator; what has none is plain. */
  private readonly handlers: readonly (Handler | undefined)[];
  readonly blocks: Block[] = [];
  readonly stack: Value[] = [];
  private readonly frames: Frame[] = [];
  private readonly loops: Map<number, readonly number[]>;
  private valueCount = 0;
  private blockCount = 0;
  private loopDepth = 0;
  private readonly constants = new Map<string, Value>();
  /** Undefined in unreachable code. */
  private current: Block | undefined;
  env: Value[] = [];
  /** True if a branch has kept `env`, so that it must be copied before it changes. */
  private envShared = false;
  private deadDepth = 0;

  constructor(module: Module, item: ModuleFunction, handlers: readonly (Handler | undefined)[]) {
    this.handlers = handlers;
    this.module = module;
    this.item = item;
    this.loops = assignedInLoops(item.body.operators);
  }

  // ---- values -----------------------------------------------------------------------------------------------------

  private newValue(operation: number, type: Value["type"], args: Value[], a: number, b: number, signature?: FunctionType): Value {
    return new Value(this.valueCount++, operation, type, args, a, b, signature);
  }

  constant(operation: number, type: ValueType, a: number, b: number): Value {
    const key = `${operation}:${type}:${a}:${b}`;
    let value = this.constants.get(key);
    if (value === undefined) {
      value = this.newValue(operation, type, [], a, b);
      this.constants.set(key, value);
    }
    return value;
  }
  i32(value: number): Value {
    return this.constant(opcodes.i32Const, i32, value | 0, 0);
  }
  i64(value: bigint): Value {
    return this.constant(opcodes.i64Const, i64, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  private zero(type: ValueType): Value {
    if (type === i32) return this.i32(0);
    if (type === i64) return this.i64(0n);
    if (type === f32) return this.constant(opcodes.f32Const, f32, 0, 0);
    if (type === f64) return this.constant(opcodes.f64Const, f64, 0, 0);
    return this.constant(opcodes.refNull, type, 0, 0);
  }

  /** An operator of the current block, or something simpler. */
  make(operation: number, type: Value["type"], args: Value[], a = 0, b = 0, signature?: FunctionType): Value {
    const simpler = simplify(this, operation, args);
    if (simpler !== undefined) return simpler;
    const value = this.newValue(operation, type, args, a, b, signature);
    this.current?.body.push(value);
    return value;
  }

  pop(): Value {
    const value = this.stack.pop();
    assert(value !== undefined, "validated code does not underflow");
    return value;
  }
  popMany(count: number): Value[] {
    return count === 0 ? [] : this.stack.splice(this.stack.length - count);
  }

  // ---- blocks -----------------------------------------------------------------------------------------------------

  newBlock(isLoop = false): Block {
    return new Block(this.blockCount++, isLoop, this.loopDepth);
  }
  begin(block: Block): void {
    this.blocks.push(block);
    this.current = block;
  }
  edge(from: Block): Edge {
    const edge: Edge = { from, to: undefined, args: [] };
    from.edges.push(edge);
    return edge;
  }
  connect(edge: Edge, to: Block, args: readonly Value[] = []): void {
    edge.to = to;
    edge.args = [...args];
    to.incoming.push(edge);
  }
  finish(terminator: Terminator): Block {
    const block = this.current as Block;
    block.terminator = terminator;
    return block;
  }
  markDead(): void {
    this.current = undefined;
    this.stack.length = (this.frames[this.frames.length - 1] as Frame).height;
    this.deadDepth = 0;
  }

  setLocal(index: number, value: Value): void {
    if (this.envShared) {
      this.env = this.env.slice();
      this.envShared = false;
    }
    this.env[index] = value;
    if (value.local < 0) value.local = index;
  }
  private snapshot(): readonly Value[] {
    this.envShared = true;
    return this.env;
  }
  private restore(env: readonly Value[]): void {
    this.env = env as Value[];
    this.envShared = true;
  }

  /** Leads an edge that leaves the current block to the target of a branch. `values` are the label's. */
  private branchTo(frame: Frame, edge: Edge, values: readonly Value[]): void {
    if (frame.header !== undefined)
      this.connect(edge, frame.header, [...values, ...frame.assigned.map((local) => this.env[local] as Value)]);
    else frame.incoming.push({ edge, env: this.snapshot(), values });
  }
  private labelTypes(frame: Frame): readonly ValueType[] {
    return frame.kind === "loop" ? frame.params : frame.results;
  }
  private frameAt(depth: number): Frame {
    return this.frames[this.frames.length - 1 - depth] as Frame;
  }
  private labelValues(frame: Frame): Value[] {
    return this.stack.slice(this.stack.length - this.labelTypes(frame).length);
  }
  /** Where an edge to the function itself ends: a block that returns. */
  private returnFrom(edge: Edge, values: readonly Value[]): void {
    const block = this.newBlock();
    this.connect(edge, block);
    block.terminator = { kind: "return", values: [...values] };
    this.blocks.push(block);
  }
  lead(edge: Edge, depth: number): void {
    const frame = this.frameAt(depth);
    const values = this.labelValues(frame);
    if (frame.kind === "function") this.returnFrom(edge, values);
    else this.branchTo(frame, edge, values);
  }

  /** The block where forward edges meet, with parameters where they disagree. */
  private join(frame: Frame): void {
    const { incoming } = frame;
    this.stack.length = frame.height;
    const first = incoming[0];
    if (first === undefined) {
      this.current = undefined;
      return;
    }
    const block = this.newBlock();
    for (const { edge } of incoming) this.connect(edge, block);
    this.begin(block);
    const pick = (type: ValueType, get: (from: Incoming) => Value): Value => {
      const value = get(first);
      if (incoming.every((from) => get(from) === value)) return value;
      const parameter = this.newValue(op.parameter, type, [], 0, 0);
      block.params.push(parameter);
      for (const from of incoming) from.edge.args.push(get(from));
      return parameter;
    };
    if (incoming.every((from) => from.env === first.env)) this.restore(first.env);
    else {
      const types = this.localTypes;
      this.env = first.env.map((_, local) => {
        const value = pick(types[local] as ValueType, (from) => from.env[local] as Value);
        if (value.local < 0) value.local = local;
        return value;
      });
      this.envShared = false;
    }
    frame.results.forEach((type, i) => this.stack.push(pick(type, (from) => from.values[i] as Value)));
  }
  private localTypes: readonly ValueType[] = [];

  // ---- operators --------------------------------------------------------------------------------------------------

  push(frame: Partial<Frame> & Pick<Frame, "kind">, type: FunctionType): void {
    this.frames.push({
      height: this.stack.length - type.params.length,
      params: type.params,
      results: type.results,
      incoming: [],
      header: undefined,
      assigned: [],
      otherwise: undefined,
      ...frame,
    });
  }
  signature(operator: Operator): FunctionType {
    return blockSignature(this.module, operator.a) as FunctionType;
  }

  loop(operator: Operator, at: number): void {
    const type = this.signature(operator);
    const assigned = this.loops.get(at) as readonly number[];
    const values = this.popMany(type.params.length);
    const entry = this.edge(this.finish({ kind: "jump" }));
    this.loopDepth++;
    const header = this.newBlock(true);
    this.connect(entry, header, [...values, ...assigned.map((local) => this.env[local] as Value)]);
    this.begin(header);
    for (const param of type.params) {
      const parameter = this.newValue(op.parameter, param, [], 0, 0);
      header.params.push(parameter);
      this.stack.push(parameter);
    }
    for (const local of assigned) {
      const parameter = this.newValue(op.parameter, this.localTypes[local] as ValueType, [], 0, 0);
      header.params.push(parameter);
      this.setLocal(local, parameter);
    }
    this.push({ kind: "loop", header, assigned }, type);
  }

  conditional(operator: Operator): void {
    const type = this.signature(operator);
    const condition = this.pop();
    const from = this.finish({ kind: "branch", condition });
    const taken = this.edge(from);
    const other = this.edge(from);
    const values = this.stack.slice(this.stack.length - type.params.length);
    this.push({ kind: "if", otherwise: { edge: other, env: this.snapshot(), values } }, type);
    const block = this.newBlock();
    this.connect(taken, block);
    this.begin(block);
  }

  private leave(frame: Frame): void {
    if (this.current === undefined) return;
    const values = this.labelValues({ ...frame, kind: "block" });
    const edge = this.edge(this.finish({ kind: "jump" }));
    frame.incoming.push({ edge, env: this.snapshot(), values });
  }

  otherwise(): void {
    const frame = this.frames.pop() as Frame;
    this.leave(frame);
    const start = frame.otherwise as NonNullable<Frame["otherwise"]>;
    this.stack.length = frame.height;
    this.frames.push({ ...frame, kind: "else", otherwise: undefined });
    this.restore(start.env);
    const block = this.newBlock();
    this.connect(start.edge, block);
    this.begin(block);
    this.stack.push(...start.values);
  }

  end(): void {
    const frame = this.frames.pop() as Frame;
    if (frame.kind === "function") {
      if (this.current !== undefined) this.finish({ kind: "return", values: this.popMany(frame.results.length) });
      return;
    }
    if (frame.kind === "loop") {
      this.loopDepth--;
      if (this.current === undefined) return;
      // The rest is outside: a block of its own, unless nothing follows.
      const edge = this.edge(this.finish({ kind: "jump" }));
      const block = this.newBlock();
      this.connect(edge, block);
      this.begin(block);
      return;
    }
    if (frame.otherwise !== undefined)
      frame.incoming.push({ edge: frame.otherwise.edge, env: frame.otherwise.env, values: frame.otherwise.values });
    if (frame.kind === "block" && frame.incoming.length === 0) return; // nothing branches here
    this.leave(frame);
    this.join(frame);
  }

  branchTable(operator: Operator): void {
    const index = this.pop();
    const from = this.finish({ kind: "table", index });
    const edges = new Map<number, Edge>();
    const list: Edge[] = [];
    // Labels that lie together share an edge, so that their moves exist once.
    for (const depth of operator.targets) {
      let edge = edges.get(depth);
      if (edge === undefined) {
        edge = { from, to: undefined, args: [] };
        edges.set(depth, edge);
        this.lead(edge, depth);
      }
      list.push(edge);
    }
    from.edges.push(...list);
    this.markDead();
  }

  call(type: FunctionType, operator: Operator, index: Value | undefined): void {
    const args = this.popMany(type.params.length);
    if (index !== undefined) args.push(index);
    const first = type.results[0] ?? 0;
    const value = this.newValue(operator.code, first, args, operator.a, operator.b, type);
    this.current?.body.push(value);
    if (first !== 0) this.stack.push(value);
    for (let i = 1; i < type.results.length; i++) {
      const result = this.newValue(op.result, type.results[i] as ValueType, [value], i, 0);
      this.current?.body.push(result);
      this.stack.push(result);
    }
  }

  private plain(operator: Operator): void {
    const info = opcodeInfo(operator.code);
    assert(info?.operands !== undefined, `operator ${operator.code} has a signature`);
    const args = this.popMany(info.operands.length);
    const type = info.results === "" ? 0 : (letters[info.results] as ValueType);
    const value = this.make(operator.code, type, args, operator.a, operator.b);
    if (type !== 0) this.stack.push(value);
  }

  build(): FunctionIr {
    const { item } = this;
    this.localTypes = [...item.type.params, ...item.body.locals];
    const entry = this.newBlock();
    this.begin(entry);
    item.type.params.forEach((type, i) => {
      const parameter = this.newValue(op.parameter, type, [], i, 0);
      entry.params.push(parameter);
      parameter.local = i;
      this.env.push(parameter);
    });
    for (const type of item.body.locals) this.env.push(this.zero(type));
    this.push({ kind: "function" }, { params: [], results: item.type.results });
    item.body.operators.forEach((operator, at) => {
      if (this.current === undefined && !this.revives(operator)) return;
      const handler = this.handlers[operator.code];
      if (handler === undefined) this.plain(operator);
      else handler(this, operator, at);
    });
    return { module: this.module, item, blocks: this.blocks, valueCount: this.valueCount };
  }

  /** Unreachable code is left out; only its block structure is followed. */
  private revives(operator: Operator): boolean {
    if (openers.has(operator.code)) this.deadDepth++;
    else if (operator.code === opEnd) {
      if (this.deadDepth > 0) {
        this.deadDepth--;
        return false;
      }
      return true;
    } else if (operator.code === opElse) return this.deadDepth === 0;
    return false;
  }
}
