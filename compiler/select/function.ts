import { assert } from "#base";
import { alu, type Label } from "../assemble/assembler.ts";
import type { CodeBlock } from "../assemble/code.ts";
import { integerRegisters, signatureLayout } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { decideStart, type EdgeMoves, edgeMoves, emitMoves, enter, hasMoves, location } from "../allocate/edges.ts";
import { computeLiveness, isCall, type Liveness } from "../allocate/liveness.ts";
import { isFloatValue, Machine, type StartState } from "../allocate/machine.ts";
import { outgoingSlots } from "../baseline/function.ts";
import { opcodeCount, opcodeName } from "../decode/opcodes.ts";
import type { Module, ModuleFunction } from "../decode/types.ts";
import { buildIr } from "../ir/operators.ts";
import { type Block, type Edge, type FunctionIr, isConstant, op, type Value } from "../ir/value.ts";
import { optimise } from "../optimise/optimise.ts";
import { arithmeticEmitters } from "./arithmetic.ts";
import { compare, comparisonCodes, comparisonValue, jumpIf, select } from "./conditions.ts";
import type { Context, Emitter } from "./context.ts";
import { memoryEmitters } from "./memory.ts";
import { isSelect, type Node, type Selected, selectFunction } from "./tile.ts";

/** The optimising backend: walks the blocks in order, allocating registers and emitting code in the same step. */

const emitters: (Emitter | undefined)[] = new Array<Emitter | undefined>(opcodeCount).fill(undefined);
for (const [code, emitter] of [...arithmeticEmitters, ...memoryEmitters]) emitters[code] = emitter;
for (const code of comparisonCodes) emitters[code] = comparisonValue;

/** The immediate dominator of each block: in the order of the code, every way in but a loop's back edges comes from before. */
function dominators(ir: FunctionIr, index: ReadonlyMap<Block, number>): Int32Array {
  const idom = new Int32Array(ir.blocks.length).fill(-1);
  ir.blocks.forEach((block, i) => {
    for (const edge of block.incoming) {
      let other = index.get(edge.from) as number;
      if (other >= i) continue;
      if (idom[i] === -1) {
        idom[i] = other;
        continue;
      }
      let own = idom[i] as number;
      while (own !== other) {
        if (own > other) own = idom[own] as number;
        else other = idom[other] as number;
      }
      idom[i] = own;
    }
  });
  return idom;
}

/** Marks the loops in which anything calls. */
function markLoopCalls(ir: FunctionIr, index: ReadonlyMap<Block, number>): void {
  const callsBefore = new Int32Array(ir.blocks.length + 1);
  ir.blocks.forEach((block, i) => (callsBefore[i + 1] = (callsBefore[i] as number) + (block.body.some(isCall) ? 1 : 0)));
  ir.blocks.forEach((block, i) => {
    if (!block.isLoop) return;
    let last = i;
    for (const edge of block.incoming) last = Math.max(last, index.get(edge.from) as number);
    block.loopCalls = callsBefore[last + 1] !== callsBefore[i];
  });
}

class FunctionEmitter {
  readonly ir: FunctionIr;
  readonly machine: Machine;
  private readonly selected: readonly Selected[];
  private readonly liveness: Liveness;
  private readonly index: ReadonlyMap<Block, number>;
  private readonly idom: Int32Array;
  private readonly labels: Label[];
  private readonly starts: (StartState | undefined)[];
  private readonly savedAtEnd: (ReadonlySet<Value> | undefined)[];
  private current = 0;
  private readonly observer: Observer | undefined;

  constructor(ir: FunctionIr, machine: Machine, observer?: Observer) {
    this.ir = ir;
    this.machine = machine;
    this.observer = observer;
    this.index = new Map(ir.blocks.map((block, i) => [block, i]));
    this.selected = selectFunction(ir);
    this.liveness = computeLiveness(ir, this.selected);
    this.idom = dominators(ir, this.index);
    markLoopCalls(ir, this.index);
    this.labels = ir.blocks.map(() => this.machine.assembler.newLabel());
    this.starts = ir.blocks.map(() => undefined);
    this.savedAtEnd = ir.blocks.map(() => undefined);
  }

  emit(): CodeBlock {
    this.ir.blocks.forEach((_, i) => this.block(i));
    const block = this.machine.assembler.finish();
    this.machine.patchFrame(block.bytes);
    return block;
  }

  // ---- blocks -----------------------------------------------------------------------------------------------------

  /** Parameters come in registers, or on the caller's stack. */
  private entry(): void {
    const m = this.machine;
    m.adjustStack(0xec);
    const { params } = signatureLayout(this.ir.item.type);
    const live = this.liveness.liveIn[0] as ReadonlyMap<Value, number>;
    const values = (this.ir.blocks[0] as Block).params;
    values.forEach((value, i) => {
      const place = params[i];
      if (place === undefined || place.kind === "stack" || !live.has(value)) return;
      const register = place.kind === "float" ? place.index + 16 : place.index;
      m.place(value, register, value.next);
    });
    values.forEach((value, i) => {
      const place = params[i];
      if (place?.kind !== "stack" || !live.has(value)) return;
      const float = isFloatValue(value);
      const register = m.take(float);
      if (float) {
        m.incoming(0x8b, this.scratchForStack(register), place.index);
        m.assembler.floatFromBits(true, register - 16, r.r14);
      } else m.incoming(0x8b, register, place.index);
      m.place(value, register, value.next);
    });
  }
  /** A float parameter from the stack passes through r14, emptied for it. */
  private scratchForStack(_register: number): number {
    this.machine.reserve(r.r14);
    this.machine.pinned = 0;
    return r.r14;
  }

  private block(i: number): void {
    this.current = i;
    const m = this.machine;
    const block = this.ir.blocks[i] as Block;
    this.prepare(i);
    m.noteFlags(-1, false); // other ways lead here, with other flags
    if (i === 0) this.entry();
    else {
      const start = this.starts[i];
      assert(start !== undefined, "a block is reached before it is emitted");
      m.assembler.bind(this.labels[i] as Label);
      enter(m, start, this.liveness.liveIn[i] as Map<Value, number>);
      m.entered(start);
    }
    this.observer?.block(block, m);
    const { nodes, terminator } = this.selected[i] as Selected;
    nodes.forEach((node, at) => this.node(node, nodes, at));
    const from = m.assembler.length;
    this.terminate(block, terminator);
    this.observer?.terminator(block, from, m.assembler.length);
  }

  /** Next uses, scanned backward, and hints for where values are wanted. */
  private prepare(i: number): void {
    const { nodes, terminator } = this.selected[i] as Selected;
    const block = this.ir.blocks[i] as Block;
    const end = nodes.length + 1;
    for (const value of (this.liveness.liveIn[i] as Map<Value, number>).keys()) value.next = Infinity;
    for (const node of nodes) if (node.value !== undefined) node.value.next = Infinity;
    for (const [value, distance] of this.liveness.liveOut[i] as Map<Value, number>) {
      value.next = end + distance;
      value.hint = -1;
    }
    for (const edge of block.edges) {
      const start = this.starts[this.index.get(edge.to as Block) as number];
      if (start === undefined) continue;
      start.registers.forEach((param, register) => {
        const place = param?.op === op.parameter ? (edge.to as Block).params.indexOf(param) : -1;
        const arg = place < 0 ? undefined : (edge.args[place] as Value);
        if (arg !== undefined && !isConstant(arg)) arg.hint = register;
      });
    }
    if (block.terminator.kind === "return") this.hintPlaces(block.terminator.values, signatureLayout(this.ir.item.type).results);
    this.scan(terminator, nodes.length);
    for (let at = nodes.length - 1; at >= 0; at--) {
      const node = nodes[at]!;
      const value = node.value as Value;
      node.outNext = value.next;
      value.next = Infinity;
      this.scan(node, at);
      if (value.signature !== undefined) this.hintPlaces(value.args, signatureLayout(value.signature).params);
      else if (isCall(value)) value.args.forEach((arg, k) => (arg.hint = integerRegisters[k] as number));
      else if (value.hint >= 0 && value.args.length > 0 && !(value.args[0] as Value).folded && (value.args[0] as Value).type === value.type)
        (value.args[0] as Value).hint = value.hint;
    }
  }
  private scan(node: Node, at: number): void {
    node.inputs.forEach((value, k) => {
      node.after[k] = value.next;
      value.next = at;
    });
  }
  private hintPlaces(values: readonly Value[], places: ReturnType<typeof signatureLayout>["params"]): void {
    places.forEach((place, k) => {
      const value = values[k];
      if (value !== undefined && place.kind !== "stack" && !isConstant(value))
        value.hint = place.kind === "float" ? place.index + 16 : place.index;
    });
  }

  private node(node: Node, nodes: readonly Node[], at: number): void {
    const value = node.value as Value;
    if (value.op === op.result) return; // placed by its call
    const emitter = isSelect(value) ? select : emitters[value.op];
    assert(emitter !== undefined, `the optimising backend knows ${opcodeName(value.op)}`);
    const context: Context = { m: this.machine, module: this.ir.module, node, value, nodes, at };
    const from = this.machine.assembler.length;
    emitter(context);
    this.machine.settle(value);
    this.observer?.node(value, node, from, this.machine.assembler.length);
  }

  // ---- edges ------------------------------------------------------------------------------------------------------

  private moves(edge: Edge): EdgeMoves {
    const to = this.index.get(edge.to as Block) as number;
    const live = this.liveness.liveIn[to] as Map<Value, number>;
    let start = this.starts[to];
    if (start === undefined) {
      const idom = this.idom[to] as number;
      const saved = idom === this.current ? this.savedNow() : (this.savedAtEnd[idom] ?? new Set<Value>());
      start = decideStart(this.machine, edge, live, this.liveness.weights[to] as ReadonlyMap<Value, number>, saved);
      this.starts[to] = start;
    }
    return edgeMoves(edge, start);
  }
  private savedNow(): ReadonlySet<Value> {
    let saved = this.savedAtEnd[this.current];
    if (saved === undefined) {
      saved = new Set([...(this.liveness.liveOut[this.current] as Map<Value, number>).keys()].filter((value) => value.saved));
      this.savedAtEnd[this.current] = saved;
    }
    return saved;
  }
  private label(edge: Edge): Label {
    return this.labels[this.index.get(edge.to as Block) as number] as Label;
  }
  private isNext(edge: Edge): boolean {
    return this.index.get(edge.to as Block) === this.current + 1;
  }
  private emitMoves(edge: Edge, moves: EdgeMoves): void {
    this.machine.edge(edge, this.starts[this.index.get(edge.to as Block) as number] as StartState, () => emitMoves(this.machine, moves));
  }
  private go(edge: Edge, moves: EdgeMoves): void {
    this.emitMoves(edge, moves);
    if (!this.isNext(edge)) this.machine.assembler.jump(this.label(edge));
  }

  private terminate(block: Block, node: Node): void {
    const m = this.machine;
    const t = block.terminator;
    const context = { m, module: this.ir.module, node, value: undefined as unknown as Value, nodes: [], at: -1 };
    if (t.kind === "trap") m.assembler.trapHere("unreachable");
    else if (t.kind === "return") this.return(t.values);
    else if (t.kind === "jump") {
      this.savedNow();
      this.go(block.edges[0] as Edge, this.moves(block.edges[0] as Edge));
    } else if (t.kind === "branch") this.branch(block, t.condition, context);
    else this.table(block, t.index, context);
  }

  private return(values: readonly Value[]): void {
    const m = this.machine;
    const { results } = signatureLayout(this.ir.item.type);
    const moves: { to: number; from: number }[] = [];
    const constants: { to: number; value: Value }[] = [];
    results.forEach((place, i) => {
      if (place.kind !== "stack") return;
      const value = values[i] as Value;
      // rsi and the like may still hold other results, so the way is through xmm14 and a push of its own: r14 is saved in xmm15.
      m.assembler.floatFromBits(true, 15, r.r14);
      if (value.register === r.r14) m.incoming(0x89, r.r14, place.index);
      else {
        if (value.register >= 16) m.assembler.floatToBits(true, r.r14, value.register - 16);
        else if (isConstant(value) && isFloatValue(value)) {
          m.assembler.floatLoad(true, 14, m.constantMemory(value));
          m.assembler.floatToBits(true, r.r14, 14);
        } else m.fetch(value, r.r14);
        m.incoming(0x89, r.r14, place.index);
        m.assembler.floatToBits(true, r.r14, 15);
      }
    });
    results.forEach((place, i) => {
      if (place.kind === "stack") return;
      const value = values[i] as Value;
      const to = place.kind === "float" ? place.index + 16 : place.index;
      if (isConstant(value)) constants.push({ to, value });
      else moves.push({ to, from: location(value) });
    });
    emitMoves(m, { moves, constants });
    m.adjustStack(0xc4);
    m.assembler.return();
  }

  private branch(block: Block, wanted: Value, context: Context): void {
    const m = this.machine;
    const a = m.assembler;
    let condition = compare(context, wanted);
    m.advance(context.node);
    this.savedNow();
    let [taken, other] = block.edges as [Edge, Edge];
    if (this.isNext(taken)) {
      [taken, other] = [other, taken];
      condition ^= 1;
    }
    const takenMoves = this.moves(taken);
    const otherMoves = this.moves(other);
    if (!hasMoves(takenMoves)) {
      jumpIf(context, condition, this.label(taken));
      this.emitMoves(taken, takenMoves);
    } else {
      const skip = a.newLabel();
      jumpIf(context, condition ^ 1, skip);
      this.emitMoves(taken, takenMoves);
      a.jump(this.label(taken));
      a.bind(skip);
    }
    this.go(other, otherMoves);
  }

  private table(block: Block, wanted: Value, context: Context): void {
    const m = this.machine;
    const a = m.assembler;
    const index = isConstant(wanted) ? m.temporary(false) : m.register(wanted);
    if (isConstant(wanted)) m.loadConstant(index, wanted);
    m.advance(context.node);
    this.savedNow();
    const stubs = new Map<Edge, { readonly label: Label; readonly moves: EdgeMoves }>();
    const labels = block.edges.map((edge) => {
      let stub = stubs.get(edge);
      if (stub === undefined) {
        const moves = this.moves(edge);
        stub = { label: hasMoves(moves) ? a.newLabel() : this.label(edge), moves };
        stubs.set(edge, stub);
      }
      return stub.label;
    });
    const last = labels.pop() as Label;
    a.aluImmediate(alu.cmp, false, index, labels.length);
    a.jumpIf(r.aboveEqual, last);
    if (labels.length > 0) a.jumpTable(index, `func.${this.ir.item.index}`, labels);
    for (const [edge, { label, moves }] of stubs) {
      if (!hasMoves(moves)) {
        this.emitMoves(edge, moves);
        continue;
      }
      a.bind(label);
      this.emitMoves(edge, moves);
      a.jump(this.label(edge));
    }
  }
}

/** Told what is emitted where, for dumps. */
export interface Observer {
  block(block: Block, machine: Machine): void;
  node(value: Value, node: Node, from: number, to: number): void;
  terminator(block: Block, from: number, to: number): void;
}

export type NewMachine = (outgoingSlots: number) => Machine;

/** `newMachine` lets a test watch over the registers. */
export function compileOptimised(
  module: Module,
  item: ModuleFunction,
  newMachine: NewMachine = (slots) => new Machine(slots),
  observer?: Observer,
): CodeBlock {
  const ir = buildIr(module, item);
  optimise(ir);
  return new FunctionEmitter(ir, newMachine(outgoingSlots(module, item)), observer).emit();
}
