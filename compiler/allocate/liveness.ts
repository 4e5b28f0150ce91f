import { opcode } from "../decode/opcodes.ts";
import { type Block, type FunctionIr, isConstant, op, type Value } from "../ir/value.ts";
import type { Selected } from "../select/tile.ts";

/**
 * Which values are wanted at the start of each block, and how soon. A distance counts nodes; crossing a call, or leaving a loop,
 * makes it far: a register is no help there.
 */
export const farDistance = 400;
const callDistance = 400;
const exitDistance = 100;

export interface Liveness {
  /** By block: live values at its start, its own parameters included, with their distances. */
  readonly liveIn: readonly Map<Value, number>[];
  readonly liveOut: readonly Map<Value, number>[];
}

const calls = new Set(
  ["call", "call_indirect", "memory.grow", "memory.copy", "memory.fill", "memory.init", "table.init", "table.copy", "table.grow", "table.fill"].map(opcode),
);
/** Whether it changes every register. */
export function isCall(value: Value): boolean {
  return calls.has(value.op);
}

function lower(map: Map<Value, number>, value: Value, distance: number): boolean {
  const known = map.get(value);
  if (known !== undefined && known <= distance) return false;
  map.set(value, distance);
  return known === undefined;
}

function atEnd(block: Block, index: ReadonlyMap<Block, number>, liveIn: readonly Map<Value, number>[], out: Map<Value, number>): void {
  for (const edge of new Set(block.edges)) {
    const to = edge.to as Block;
    const extra = to.loopDepth < block.loopDepth ? exitDistance : 0;
    for (const [value, distance] of liveIn[index.get(to) as number] as Map<Value, number>) {
      const place = value.op === op.parameter ? to.params.indexOf(value) : -1;
      const wanted = place < 0 ? value : (edge.args[place] as Value);
      if (!isConstant(wanted)) lower(out, wanted, Math.min(distance + extra, 100_000));
    }
  }
}

function throughBlock(selected: Selected, out: ReadonlyMap<Value, number>): Map<Value, number> {
  const { nodes, terminator } = selected;
  const live = new Map<Value, number>();
  // Counted from the block's start; `shift` grows by what calls add between.
  const positions = new Float64Array(nodes.length + 1);
  let at = 0;
  nodes.forEach((node, i) => {
    positions[i] = at;
    at += node.value !== undefined && isCall(node.value) ? callDistance : 1;
  });
  positions[nodes.length] = at;
  for (const [value, distance] of out) live.set(value, at + 1 + distance);
  for (const value of terminator.inputs) live.set(value, at);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!;
    if (node.value !== undefined) live.delete(node.value);
    for (const value of node.inputs) live.set(value, positions[i] as number);
  }
  return live;
}

export function computeLiveness(ir: FunctionIr, selected: readonly Selected[]): Liveness {
  const index = new Map(ir.blocks.map((block, i) => [block, i]));
  const liveIn = ir.blocks.map(() => new Map<Value, number>());
  const liveOut = ir.blocks.map(() => new Map<Value, number>());
  // Backward over the order of the code; loops need more rounds, until nothing new is live.
  for (let again = true; again; ) {
    again = false;
    for (let i = ir.blocks.length - 1; i >= 0; i--) {
      const block = ir.blocks[i] as Block;
      const out = liveOut[i] as Map<Value, number>;
      atEnd(block, index, liveIn, out);
      const live = throughBlock(selected[i] as Selected, out);
      if (live.size !== (liveIn[i] as Map<Value, number>).size && block.isLoop) again = true;
      liveIn[i] = live;
    }
  }
  return { liveIn, liveOut };
}
