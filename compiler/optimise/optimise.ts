import { opcode, opcodeInfo } from "../decode/opcodes.ts";
import { Block, type FunctionIr, isConstant, op, resolve, type Value } from "../ir/value.ts";

/** Passes over the whole function: parameters that are always the same value, constant branches, what nothing uses, the order of blocks. */

/** A parameter whose incoming values are one value, or itself, is that value. */
export function removeRedundantParameters(ir: FunctionIr): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of ir.blocks) {
      if (block.params.length === 0 || block.incoming.length === 0) continue;
      let kept = 0;
      const { params, incoming } = block;
      for (let i = 0; i < params.length; i++) {
        const param = params[i] as Value;
        let only: Value | undefined;
        let same = true;
        for (const edge of incoming) {
          const arg = resolve(edge.args[i] as Value);
          if (arg === param || arg === only) continue;
          if (only !== undefined) {
            same = false;
            break;
          }
          only = arg;
        }
        if (same && only !== undefined) {
          param.forward = only;
          changed = true;
          continue;
        }
        params[kept] = param;
        for (const edge of incoming) edge.args[kept] = edge.args[i] as Value;
        kept++;
      }
      if (kept === params.length) continue;
      params.length = kept;
      for (const edge of incoming) edge.args.length = kept;
    }
  }
}

/** Values whose computing can be left out when nobody wants them: all but those that write, call or may trap. */
const trapping = new Set(
  ["div_s", "div_u", "rem_s", "rem_u"]
    .flatMap((name) => [opcode(`i32.${name}`), opcode(`i64.${name}`)])
    .concat(
      ["i32", "i64"].flatMap((to) => ["f32", "f64"].flatMap((from) => ["s", "u"].map((sign) => opcode(`${to}.trunc_${from}_${sign}`)))),
    ),
);
const pure = new Set<number>(["global.get", "select", "select_t", "ref.is_null", "ref.func", "memory.size", "table.size"].map(opcode));
for (let code = 0; code < 0x112; code++) {
  const info = opcodeInfo(code);
  if (info?.immediate === "none" && info.operands !== undefined && info.results !== "" && !trapping.has(code)) pure.add(code);
}
export function isPure(value: Value): boolean {
  return value.op === op.parameter || value.op === op.result || pure.has(value.op) || isConstant(value);
}
/** A load computes nothing else, but may trap: a dead one stays. */
export function isLoad(value: Value): boolean {
  return value.op >= 0x28 && value.op <= 0x35;
}

function terminatorValues(block: Block): Value[] {
  const t = block.terminator;
  if (t.kind === "branch") return [t.condition];
  if (t.kind === "table") return [t.index];
  return t.kind === "return" ? t.values : [];
}

/** Makes every reference point at what it resolves to. */
function resolveAll(ir: FunctionIr): void {
  const list = (values: Value[]): void => {
    for (let i = 0; i < values.length; i++) values[i] = resolve(values[i] as Value);
  };
  for (const block of ir.blocks) {
    for (const value of block.body) list(value.args);
    for (const edge of block.edges) list(edge.args);
    const t = block.terminator;
    if (t.kind === "branch") t.condition = resolve(t.condition);
    else if (t.kind === "table") t.index = resolve(t.index);
    else if (t.kind === "return") list(t.values);
  }
}

/** Counts uses from what has effects, and drops the rest, loop parameters that only feed themselves included. */
export function removeDead(ir: FunctionIr): void {
  const marked = new Uint8Array(ir.valueCount);
  const owner = new Map<Value, Block>();
  for (const block of ir.blocks) for (const param of block.params) owner.set(param, block);
  const work: Value[] = [];
  const mark = (value: Value): void => {
    value.uses++;
    if (marked[value.id] !== 0) return;
    marked[value.id] = 1;
    work.push(value);
  };
  for (const block of ir.blocks) {
    for (const value of block.body)
      if (!isPure(value) && marked[value.id] === 0) {
        marked[value.id] = 1;
        work.push(value);
      }
    for (const value of terminatorValues(block)) mark(value);
  }
  for (let value = work.pop(); value !== undefined; value = work.pop()) {
    for (const arg of value.args) mark(arg);
    const block = value.op === op.parameter ? owner.get(value) : undefined;
    if (block === undefined) continue;
    const index = block.params.indexOf(value);
    for (const edge of block.incoming) mark(edge.args[index] as Value);
  }
  for (const block of ir.blocks) {
    block.body = block.body.filter((value) => marked[value.id] !== 0);
    if (block === ir.blocks[0]) continue;
    const keep = block.params.map((param) => marked[param.id] !== 0);
    if (keep.every(Boolean)) continue;
    block.params = block.params.filter((_, i) => keep[i]);
    for (const edge of block.incoming) edge.args = edge.args.filter((_, i) => keep[i]);
  }
}

/** A branch on a constant is a jump; blocks that nothing leads to go. */
export function foldBranches(ir: FunctionIr): void {
  let changed = false;
  for (const block of ir.blocks) {
    const t = block.terminator;
    if (t.kind !== "branch") continue;
    const condition = resolve(t.condition);
    if (!isConstant(condition)) continue;
    const kept = block.edges[condition.a !== 0 ? 0 : 1];
    const dropped = block.edges[condition.a !== 0 ? 1 : 0];
    if (kept === undefined || dropped === undefined) continue;
    block.terminator = { kind: "jump" };
    block.edges = [kept];
    if (dropped.to !== undefined) dropped.to.incoming = dropped.to.incoming.filter((edge) => edge !== dropped);
    changed = true;
  }
  if (changed) removeUnreachable(ir);
}

function removeUnreachable(ir: FunctionIr): void {
  const reached = new Set<Block>();
  const work: Block[] = [ir.blocks[0] as Block];
  for (let block = work.pop(); block !== undefined; block = work.pop()) {
    if (reached.has(block)) continue;
    reached.add(block);
    for (const edge of block.edges) if (edge.to !== undefined) work.push(edge.to);
  }
  ir.blocks = ir.blocks.filter((block) => reached.has(block));
  for (const block of ir.blocks) block.incoming = block.incoming.filter((edge) => reached.has(edge.from));
}

/** A block with nothing in it but a jump, or with one way in from a block with one way out, is no block. */
export function mergeBlocks(ir: FunctionIr): void {
  const gone = new Set<Block>();
  for (const block of ir.blocks) {
    if (gone.has(block)) continue;
    for (;;) {
      const edge = block.edges[0];
      const next = edge?.to;
      if (block.terminator.kind !== "jump" || edge === undefined || next === undefined || next === block) break;
      if (next.incoming.length !== 1 || next === ir.blocks[0] || next.isLoop) break;
      next.params.forEach((param, i) => (param.forward = edge.args[i]));
      block.body.push(...next.body);
      block.terminator = next.terminator;
      block.edges = next.edges;
      for (const moved of block.edges) (moved as { from: Block }).from = block;
      gone.add(next);
    }
  }
  if (gone.size > 0) ir.blocks = ir.blocks.filter((block) => !gone.has(block));
}

/** Blocks that end in a trap go behind the rest. */
export function orderBlocks(ir: FunctionIr): void {
  const cold = (block: Block): boolean => block.terminator.kind === "trap" && block !== ir.blocks[0];
  ir.blocks = [...ir.blocks.filter((block) => !cold(block)), ...ir.blocks.filter(cold)];
}

export function optimise(ir: FunctionIr): void {
  removeRedundantParameters(ir);
  foldBranches(ir);
  removeRedundantParameters(ir);
  mergeBlocks(ir);
  resolveAll(ir);
  removeDead(ir);
  orderBlocks(ir);
}
