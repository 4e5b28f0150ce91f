import { opcode, opcodeCount } from "../decode/opcodes.ts";
import {
  f32,
  f64,
  type FunctionType,
  funcref,
  i32,
  i64,
  type Module,
  type ModuleFunction,
  type Operator,
  type ValueType,
} from "../decode/types.ts";
import { Builder, type Handler } from "./build.ts";
import type { FunctionIr, Value } from "./value.ts";

/** The operators that the builder treats by name; all others compute one value from their operands. */
const byName = {
  unreachable: (b: Builder) => {
    b.finish({ kind: "trap" });
    b.markDead();
  },
  nop: () => undefined,
  block: (b: Builder, o: Operator) => b.push({ kind: "block" }, b.signature(o)),
  loop: (b: Builder, o: Operator, at: number) => b.loop(o, at),
  if: (b: Builder, o: Operator) => b.conditional(o),
  else: (b: Builder) => b.otherwise(),
  end: (b: Builder) => b.end(),
  br: (b: Builder, o: Operator) => {
    b.lead(b.edge(b.finish({ kind: "jump" })), o.a);
    b.markDead();
  },
  br_if: (b: Builder, o: Operator) => {
    const from = b.finish({ kind: "branch", condition: b.pop() });
    b.lead(b.edge(from), o.a);
    const other = b.edge(from);
    const block = b.newBlock();
    b.connect(other, block);
    b.begin(block);
  },
  br_table: (b: Builder, o: Operator) => b.branchTable(o),
  return: (b: Builder) => {
    b.finish({ kind: "return", values: b.popMany(b.item.type.results.length) });
    b.markDead();
  },
  call: (b: Builder, o: Operator) => b.call(b.module.types[b.module.functionTypes[o.a] as number] as FunctionType, o, undefined),
  call_indirect: (b: Builder, o: Operator) => {
    const index = b.pop();
    b.call(b.module.types[o.a] as FunctionType, o, index);
  },
  drop: (b: Builder) => void b.pop(),
  select: (b: Builder, o: Operator) => {
    const args = b.popMany(3);
    b.stack.push(b.make(o.code, (args[0] as Value).type === (args[1] as Value).type ? (args[0] as Value).type : i64, args));
  },
  select_t: (b: Builder, o: Operator) => void b.stack.push(b.make(o.code, o.a as ValueType, b.popMany(3))),
  "local.get": (b: Builder, o: Operator) => void b.stack.push(b.env[o.a] as Value),
  "local.set": (b: Builder, o: Operator) => b.setLocal(o.a, b.pop()),
  "local.tee": (b: Builder, o: Operator) => b.setLocal(o.a, b.stack[b.stack.length - 1] as Value),
  "global.get": (b: Builder, o: Operator) =>
    void b.stack.push(b.make(o.code, (b.module.globalTypes[o.a] as { type: ValueType }).type, [], o.a)),
  "global.set": (b: Builder, o: Operator) =>
    void b.make(o.code, 0, [b.pop()], o.a, (b.module.globalTypes[o.a] as { type: ValueType }).type),
  "i32.const": (b: Builder, o: Operator) => void b.stack.push(b.i32(o.a)),
  "i64.const": (b: Builder, o: Operator) => void b.stack.push(b.constant(o.code, i64, o.a, o.b)),
  "f32.const": (b: Builder, o: Operator) => void b.stack.push(b.constant(o.code, f32, o.a, 0)),
  "f64.const": (b: Builder, o: Operator) => void b.stack.push(b.constant(o.code, f64, o.a, o.b)),
  "ref.null": (b: Builder, o: Operator) => void b.stack.push(b.constant(o.code, o.a as ValueType, 0, 0)),
  "ref.is_null": (b: Builder, o: Operator) => void b.stack.push(b.make(o.code, i32, [b.pop()])),
  "ref.func": (b: Builder, o: Operator) => void b.stack.push(b.make(o.code, funcref, [], o.a)),
  "table.get": (b: Builder, o: Operator) =>
    void b.stack.push(b.make(o.code, (b.module.tables[o.a] as { element: ValueType }).element, [b.pop()], o.a)),
  "table.set": (b: Builder, o: Operator) => void b.make(o.code, 0, b.popMany(2), o.a),
  "table.grow": (b: Builder, o: Operator) => void b.stack.push(b.make(o.code, i32, b.popMany(2), o.a)),
  "table.fill": (b: Builder, o: Operator) => void b.make(o.code, 0, b.popMany(3), o.a),
} satisfies Record<string, (b: Builder, o: Operator, at: number) => void>;

const handlers: (Handler | undefined)[] = new Array<Handler | undefined>(opcodeCount).fill(undefined);
for (const [name, handler] of Object.entries(byName)) handlers[opcode(name)] = handler;

export function buildIr(module: Module, item: ModuleFunction): FunctionIr {
  return new Builder(module, item, handlers).build();
}
