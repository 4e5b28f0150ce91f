import { opcode } from "../decode/opcodes.ts";
import { type Block, type FunctionIr, isConstant, op, type Value } from "../ir/value.ts";
import type { Selected } from "../select/tile.ts";

/**
 * Which values are wanted at the start of each block, and how soon. A distance counts nodes; crossing a call, or leaving a loop,
 * makes it far: a register is no help there.
 */
const callDistance = 400;
const exitDistance = 100;

export interface Liveness {
  /** By block: live values at its start, its own parameters included, with their distances. */
  readonly liveIn: readonly Map<Value, number>[];
  readonly liveOut: readonly Map<Value, number>[];
  /** By block: how many reads a register would save each live value from its start on, as far as the next call. */
  readonly weights: readonly ReadonlyMap<Value, number>[];
}

const calls = new Set(
  [
    "call",
    "call_indirect",
    "memory.grow",
    "memory.copy",
    "memory.fill",
    "memory.init",
    "table.init",
    "table.copy",
    "table.grow",
    "table.fill",
  ].map(opcode),
);
/** True if it changes every register. */
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
  return { liveIn, liveOut, weights: computeWeights(ir, selected, index, liveIn) };
}

const decay = 0.9;

/** How likely an edge is taken, beside the block's others: loops go round, traps do not happen. */
function likelihood(block: Block, to: Block): number {
  if (to.terminator.kind === "trap") return 0.01;
  return to.loopDepth < block.loopDepth ? 0.125 : 1;
}

/**
 * Uses before the first call count; what comes after the block counts as the average over its edges. A switch with two hundred arms
 * so tells what all of them use from what one of them does.
 */
function computeWeights(
  ir: FunctionIr,
  selected: readonly Selected[],
  index: ReadonlyMap<Block, number>,
  liveIn: readonly ReadonlyMap<Value, number>[],
): Map<Value, number>[] {
  const weights = ir.blocks.map(() => new Map<Value, number>());
  const local = selected.map(({ nodes, terminator }) => {
    const uses = new Map<Value, number>();
    let calling = false;
    for (const node of [...nodes, terminator]) {
      for (const value of node.inputs) uses.set(value, Math.min((uses.get(value) ?? 0) + 1, 2));
      if (node.value !== undefined && isCall(node.value)) {
        calling = true;
        break;
      }
    }
    return { uses, calling };
  });
  const rounds = ir.blocks.some((block) => block.isLoop) ? 3 : 1;
  for (let round = 0; round < rounds; round++)
    for (let i = ir.blocks.length - 1; i >= 0; i--) {
      const block = ir.blocks[i] as Block;
      const { uses, calling } = local[i] as (typeof local)[number];
      const own = new Map<Value, number>();
      if (!calling) addEdgeWeights(block, index, weights, own);
      for (const [value, count] of uses) own.set(value, (own.get(value) ?? 0) + count);
      for (const value of own.keys()) if (!(liveIn[i] as ReadonlyMap<Value, number>).has(value)) own.delete(value);
      weights[i] = own;
    }
  return weights;
}

function addEdgeWeights(
  block: Block,
  index: ReadonlyMap<Block, number>,
  weights: readonly ReadonlyMap<Value, number>[],
  into: Map<Value, number>,
): void {
  const share = new Map<(typeof block.edges)[number], number>();
  let total = 0;
  for (const edge of block.edges) {
    const likely = likelihood(block, edge.to as Block);
    share.set(edge, (share.get(edge) ?? 0) + likely);
    total += likely;
  }
  for (const [edge, part] of share) {
    const to = edge.to as Block;
    const factor = (decay * part) / total;
    for (const [value, weight] of weights[index.get(to) as number] as ReadonlyMap<Value, number>) {
      const place = value.op === op.parameter ? to.params.indexOf(value) : -1;
      const wanted = place < 0 ? value : (edge.args[place] as Value);
      if (!isConstant(wanted)) into.set(wanted, (into.get(wanted) ?? 0) + weight * factor);
    }
  }
}
