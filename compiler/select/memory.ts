import { alu, type Assembler, at, type Memory, symbol } from "../assemble/assembler.ts";
import { intrinsic } from "../assemble/intrinsics.ts";
import { integerRegisters, outgoing, signatureLayout } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { opcode, opcodeInfo } from "../decode/opcodes.ts";
import type { FunctionType } from "../decode/types.ts";
import { type EdgeMoves, emitMoves, location } from "../allocate/edges.ts";
import { isFloatValue } from "../allocate/machine.ts";
import { isConstant, op, opcodes, type Value } from "../ir/value.ts";
import { address, type Context, type Emitter, immediate } from "./context.ts";

/** Loads, stores, globals, tables and calls. */

export const memoryEmitters = new Map<number, Emitter>();
const on = (name: string, emitter: Emitter): void => void memoryEmitters.set(opcode(name), emitter);

// ---- loads and stores -------------------------------------------------------------------------------------------------

function load(emit: (a: Assembler, to: number, from: Memory) => void): Emitter {
  return (c) => {
    const { m, node, value } = c;
    const from = address(c, value.args[0] as Value, value.a);
    m.advance(node);
    const to = m.define(node);
    emit(m.assembler, to >= 16 ? to - 16 : to, from);
  };
}

const operations: Record<string, number> = { add: alu.add, sub: alu.sub, and: alu.and, or: alu.or, xor: alu.xor };

function store(bytes: number): Emitter {
  return (c) => {
    const { m, node } = c;
    const a = m.assembler;
    const [index, value] = c.value.args as [Value, Value];
    if (value.folded) {
      // A load, an operation and a store at one place.
      const operation = operations[opcodeInfo(value.op)?.name.slice(4) ?? ""] as number;
      const right = value.args[1] as Value;
      const constant = immediate(right, bytes === 8);
      const register = constant === undefined ? m.register(right) : -1;
      const place = address(c, index, c.value.a);
      if (constant !== undefined) a.aluImmediate(operation, bytes === 8, place, constant);
      else a.aluStore(operation, bytes === 8, place, register);
      m.advance(node);
      return;
    }
    const bits = storedBits(value, bytes);
    const register = bits === undefined ? m.register(value) : -1;
    const to = address(c, index, c.value.a);
    if (bits !== undefined) a.storeImmediate(bytes, to, bits);
    else if (register >= 16) a.floatStore(bytes === 8, to, register - 16);
    else a.store(bytes, to, register);
    m.advance(node);
  };
}

/** The immediate that stores a constant, where one can. */
function storedBits(value: Value, bytes: number): number | undefined {
  if (!isConstant(value)) return undefined;
  if (bytes < 8) return value.a;
  const high = value.op === opcodes.i32Const ? 0 : value.b;
  return high === value.a >> 31 ? value.a : undefined;
}

for (let code = 0x28; code <= 0x3e; code++) {
  const info = opcodeInfo(code);
  if (info === undefined) continue;
  const { name, accessBytes: bytes } = info;
  const isWide = name.startsWith("i64");
  if (name.includes("store")) on(name, store(bytes));
  else if (name.startsWith("f"))
    on(
      name,
      load((a, to, from) => a.floatLoad(bytes === 8, to, from)),
    );
  else if (name.endsWith("8_u"))
    on(
      name,
      load((a, to, from) => a.loadZero8(to, from)),
    );
  else if (name.endsWith("16_u"))
    on(
      name,
      load((a, to, from) => a.loadZero16(to, from)),
    );
  else if (name.endsWith("8_s"))
    on(
      name,
      load((a, to, from) => a.loadSigned8(isWide, to, from)),
    );
  else if (name.endsWith("16_s"))
    on(
      name,
      load((a, to, from) => a.loadSigned16(isWide, to, from)),
    );
  else if (name.endsWith("32_s"))
    on(
      name,
      load((a, to, from) => a.loadSigned32(to, from)),
    );
  else
    on(
      name,
      load((a, to, from) => a.move(bytes === 8, to, from)),
    );
}

// ---- globals, tables, references ----------------------------------------------------------------------------------------

const isNarrow = (type: number): boolean => type === 0x7f || type === 0x7d;

on("global.get", ({ m, node, value }) => {
  const to = m.define(node);
  const from = symbol(`global.${value.a}`);
  if (to >= 16) m.assembler.floatLoad(!isNarrow(value.type), to - 16, from);
  else m.assembler.move(!isNarrow(value.type), to, from);
});
on("global.set", (c) => {
  const { m, node, value } = c;
  const [from] = value.args as [Value];
  const bytes = isNarrow(value.b) ? 4 : 8;
  const to = symbol(`global.${value.a}`);
  const bits = storedBits(from, bytes);
  if (bits !== undefined) m.assembler.storeImmediate(bytes, to, bits);
  else {
    const register = m.register(from);
    if (register >= 16) m.assembler.floatStore(bytes === 8, to, register - 16);
    else m.assembler.store(bytes, to, register);
  }
  m.advance(node);
});

/** The place of a table's element, its index checked. */
function element(c: Context, table: number, index: Value): Memory {
  const { m } = c;
  const register = m.register(index);
  m.assembler.alu(alu.cmp, false, register, symbol(`table.${table}`, 8));
  m.assembler.jumpIf(r.aboveEqual, m.assembler.coldTrap("table access out of bounds"));
  return { base: -1, index: register, scale: 3, displacement: 0, symbol: `table.${table}.elements` };
}
on("table.get", (c) => {
  const from = element(c, c.value.a, c.value.args[0] as Value);
  c.m.advance(c.node);
  c.m.assembler.move(true, c.m.define(c.node), from);
});
on("table.set", (c) => {
  const [index, value] = c.value.args as [Value, Value];
  const from = c.m.register(value);
  c.m.assembler.store(8, element(c, c.value.a, index), from);
  c.m.advance(c.node);
});
on("ref.func", ({ m, node, value }) => m.assembler.addressOf(m.define(node), `ref.${value.a}`));
on("ref.is_null", (c) => {
  const { m, node } = c;
  const from = m.register(c.value.args[0] as Value);
  m.assembler.test(true, from, from);
  m.advance(node);
  const to = m.define(node);
  m.assembler.setCondition(r.equal, to);
  m.assembler.loadZero8(to, to);
});
const readSize =
  (name: (value: Value) => string): Emitter =>
  ({ m, node, value }) =>
    m.assembler.move(false, m.define(node), symbol(name(value), 8));
on(
  "memory.size",
  readSize(() => "memory"),
);
on(
  "table.size",
  readSize((value) => `table.${value.a}`),
);
on("data.drop", ({ m, value }) => m.assembler.storeImmediate(4, symbol(`data.${value.a}`, 8), 0));
on("elem.drop", ({ m, value }) => m.assembler.storeImmediate(4, symbol(`elem.${value.a}`, 8), 0));

// ---- calls ------------------------------------------------------------------------------------------------------------

/** Arguments go to their places; `extra` are further values in given registers. Then nothing but them is in a register. */
function placeArguments(
  c: Context,
  type: FunctionType,
  args: readonly Value[],
  extra: readonly { readonly value: Value; readonly register: number }[],
): void {
  const { m, node } = c;
  const a = m.assembler;
  m.saveAll(node);
  const { params } = signatureLayout(type);
  const moves: { to: number; from: number }[] = [];
  const constants: EdgeMoves["constants"][number][] = [];
  params.forEach((place, i) => {
    const value = args[i] as Value;
    if (place.kind !== "stack") {
      const to = place.kind === "float" ? place.index + 16 : place.index;
      if (isConstant(value)) constants.push({ to, value });
      else moves.push({ to, from: location(value) });
      return;
    }
    const to = outgoing(place.index);
    const bits = storedBits(value, 8);
    if (bits !== undefined) a.storeImmediate(8, to, bits);
    else {
      const register = value.register >= 0 ? value.register : 30;
      if (value.register < 0) fetchToScratch(c, value);
      if (register >= 16) a.floatStore(true, to, register - 16);
      else a.store(8, to, register);
    }
  });
  for (const { value, register } of extra) {
    if (isConstant(value)) constants.push({ to: register, value });
    else moves.push({ to: register, from: location(value) });
  }
  // A move that waits for the end must not be overwritten by a constant; constants come last.
  emitMoves(m, { moves, constants });
  m.advance(node);
  m.clear();
}

function fetchToScratch(c: Context, value: Value): void {
  const { m } = c;
  if (!isConstant(value)) m.loadSlot(30, value.slot);
  else m.assembler.floatLoad(true, 14, m.constantMemory(value));
}

/** Results are in their registers and slots now; the nodes of further results follow the call. */
function takeResults(c: Context, type: FunctionType): void {
  const { m, nodes, at: position } = c;
  const { results } = signatureLayout(type);
  const wanted: { readonly value: Value; readonly next: number; readonly index: number }[] = [];
  if (results.length > 0) wanted.push({ value: c.value, next: c.node.outNext, index: 0 });
  for (let i = position + 1; nodes[i]?.value?.op === op.result && nodes[i]?.value?.args[0] === c.value; i++) {
    const node = nodes[i]!;
    wanted.push({ value: node.value as Value, next: node.outNext, index: (node.value as Value).a });
  }
  for (const stacked of [false, true])
    for (const { value, next, index } of wanted) {
      const place = results[index];
      if (place === undefined || (place.kind === "stack") !== stacked || next === Infinity) continue;
      const register = stacked ? m.take(isFloatValue(value)) : place.kind === "float" ? place.index + 16 : place.index;
      m.place(value, register, next);
      if (!stacked) continue;
      if (register >= 16) m.assembler.floatLoad(true, register - 16, outgoing(place.index));
      else m.assembler.move(true, register, outgoing(place.index));
    }
}

on("call", (c) => {
  const { m, module, value } = c;
  const type = value.signature as FunctionType;
  placeArguments(c, type, value.args, []);
  const emit = value.a < module.importedFunctions ? intrinsic(module, value.a) : undefined;
  if (emit !== undefined) emit(m.assembler);
  else m.assembler.call(`func.${value.a}`);
  takeResults(c, type);
});

on("call_indirect", (c) => {
  const { m, value } = c;
  const a = m.assembler;
  const type = value.signature as FunctionType;
  const args = value.args.slice(0, -1);
  placeArguments(c, type, args, [{ value: value.args[value.args.length - 1] as Value, register: r.r14 }]);
  // Bounds, then null, then the canonical type (spec 4.4.8).
  a.alu(alu.cmp, false, r.r14, symbol(`table.${value.b}`, 8));
  a.jumpIf(r.aboveEqual, a.coldTrap("undefined element"));
  a.move(true, r.r14, { base: -1, index: r.r14, scale: 3, displacement: 0, symbol: `table.${value.b}.elements` });
  a.test(true, r.r14, r.r14);
  a.jumpIf(r.equal, a.coldTrap("uninitialized element"));
  a.compareWithSymbol(at(r.r14, 8), `type.${value.a}`);
  a.jumpIf(r.notEqual, a.coldTrap("indirect call type mismatch"));
  a.callIndirect(at(r.r14));
  takeResults(c, type);
});

/** A helper of the runtime: the operands, then the addresses of symbols, in the convention's integer registers. */
function runtime(name: string, symbols: (value: Value) => readonly string[]): Emitter {
  return (c) => {
    const { m, value } = c;
    const type: FunctionType = { params: value.args.map((arg) => arg.type || 0x7f), results: value.type === 0 ? [] : [value.type] };
    placeArguments(c, type, value.args, []);
    symbols(value).forEach((text, i) => m.assembler.addressOf(integerRegisters[value.args.length + i] as number, text));
    m.assembler.call(name);
    takeResults(c, type);
  };
}
on(
  "memory.grow",
  runtime("runtime.memoryGrow", () => ["memory"]),
);
on(
  "memory.copy",
  runtime("runtime.memoryCopy", () => ["memory"]),
);
on(
  "memory.fill",
  runtime("runtime.memoryFill", () => ["memory"]),
);
on(
  "memory.init",
  runtime("runtime.memoryInit", (v) => ["memory", `data.${v.a}`]),
);
on(
  "table.init",
  runtime("runtime.tableInit", (v) => [`table.${v.b}`, `elem.${v.a}`]),
);
on(
  "table.copy",
  runtime("runtime.tableCopy", (v) => [`table.${v.a}`, `table.${v.b}`]),
);
on(
  "table.grow",
  runtime("runtime.tableGrow", (v) => [`table.${v.a}`]),
);
on(
  "table.fill",
  runtime("runtime.tableFill", (v) => [`table.${v.a}`]),
);
