import { assert } from "#base";
import { type Block, type FunctionIr, isConstant, type Value } from "../value.ts";

/** Checks what SSA promises: every use is dominated by its definition, edges carry a value of the right kind for every parameter. For tests. */
export function verifyIr(ir: FunctionIr): void {
  const index = new Map(ir.blocks.map((block, i) => [block, i]));
  const defined = new Map<Value, Block>();
  for (const block of ir.blocks)
    for (const value of [...block.params, ...block.body]) {
      assert(!defined.has(value), `v${value.id} is defined once`);
      defined.set(value, block);
    }
  const dominators = dominatorSets(ir, index);
  const check = (user: Block, value: Value, seen: ReadonlySet<Value>): void => {
    assert(value.forward === undefined, `v${value.id} is what it stands for`);
    if (isConstant(value)) return;
    const home = defined.get(value);
    assert(home !== undefined, `v${value.id}, used in block ${user.id}, is defined`);
    const here = home === user ? seen.has(value) : (dominators[index.get(user) as number] as ReadonlySet<Block>).has(home);
    assert(here, `v${value.id} is defined before its use in block ${user.id}`);
  };
  for (const block of ir.blocks) {
    const seen = new Set<Value>(block.params);
    for (const value of block.body) {
      for (const arg of value.args) check(block, arg, seen);
      seen.add(value);
    }
    const t = block.terminator;
    if (t.kind === "branch") check(block, t.condition, seen);
    if (t.kind === "table") check(block, t.index, seen);
    if (t.kind === "return") for (const value of t.values) check(block, value, seen);
    const wanted = { jump: 1, branch: 2, return: 0, trap: 0, table: block.edges.length }[t.kind];
    assert(block.edges.length === wanted, `block ${block.id} has the edges of a ${t.kind}`);
    for (const edge of block.edges) checkEdge(edge.to, edge.args, (value) => check(block, value, seen));
    for (const edge of block.edges) assert(edge.to?.incoming.includes(edge), `block ${edge.to?.id} knows its edge from ${block.id}`);
  }
}

const isFloatType = (type: number): boolean => type === 0x7d || type === 0x7c;

function checkEdge(to: Block | undefined, args: readonly Value[], check: (value: Value) => void): void {
  assert(to !== undefined && to.params.length === args.length, "an edge has an argument for each parameter");
  args.forEach((value, i) => {
    check(value);
    assert(isFloatType(value.type) === isFloatType((to.params[i] as Value).type), "argument and parameter are of one class of registers");
  });
}

/** By block: the blocks on every way to it. Simple rather than fast. */
function dominatorSets(ir: FunctionIr, index: ReadonlyMap<Block, number>): ReadonlySet<Block>[] {
  const sets: (Set<Block> | undefined)[] = ir.blocks.map(() => undefined);
  ir.blocks.forEach((block, i) => {
    let common: Set<Block> | undefined;
    for (const edge of block.incoming) {
      const from = sets[index.get(edge.from) as number];
      if (from === undefined) continue; // a back edge: its source is dominated by this block
      common = common === undefined ? new Set(from) : new Set([...common].filter((b) => from.has(b)));
    }
    assert(i === 0 || common !== undefined, `block ${block.id} is reached from before it`);
    sets[i] = (common ?? new Set<Block>()).add(block);
  });
  return sets as ReadonlySet<Block>[];
}
