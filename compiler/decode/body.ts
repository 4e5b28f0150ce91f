import { assert, CodedError } from "#base";
import { decodeLimits } from "./limits.ts";
import { opcode, opcodeCount, opcodeInfo } from "./opcodes.ts";
import {
  f32,
  f64,
  funcref,
  type FunctionType,
  i32,
  i64,
  isReference,
  type Module,
  type ModuleFunction,
  type Operator,
  typeName,
  type ValueType,
} from "./types.ts";
import { invalid } from "./errors.ts";

/** The validation algorithm of the spec's appendix (7.3): one pass, a stack of types and a stack of control frames. */

type StackType = ValueType | 0; // 0: any type, in unreachable code

interface Frame {
  readonly code: number;
  readonly start: readonly ValueType[];
  readonly end: readonly ValueType[];
  readonly height: number;
  unreachable: boolean;
}

const letters: Record<string, ValueType> = { i: i32, l: i64, f: f32, d: f64 };
const opLoop = opcode("loop");
const opIf = opcode("if");
const opElse = opcode("else");

/** The parameters and results a block type stands for (spec 3.2.2). */
export function blockSignature(module: Module, a: number): FunctionType | undefined {
  if (a === -64) return emptyType;
  if (a < 0) return singles.get(a);
  return module.types[a];
}
const emptyType: FunctionType = { params: [], results: [] };
const singles = new Map<number, FunctionType>(
  [0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f].map((type) => [type - 128, { params: [], results: [type as ValueType] }]),
);

class Checker {
  readonly module: Module;
  readonly locals: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly declared: ReadonlySet<number>;
  readonly stack: StackType[] = [];
  readonly frames: Frame[] = [];
  at = 0;
  usesData = false;

  constructor(module: Module, item: ModuleFunction, declared: ReadonlySet<number>) {
    this.module = module;
    this.locals = [...item.type.params, ...item.body.locals];
    this.results = item.type.results;
    this.declared = declared;
  }

  fail(what: string): never {
    throw invalid(this.at, what);
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1] ?? this.fail("operator after the function's end");
  }

  pop(expected: StackType): StackType {
    const frame = this.frame;
    if (this.stack.length === frame.height) {
      if (frame.unreachable) return 0;
      this.fail(`type mismatch: expected ${typeName(expected)} but the stack is empty`);
    }
    const actual = this.stack.pop() as StackType;
    if (actual !== expected && actual !== 0 && expected !== 0)
      this.fail(`type mismatch: expected ${typeName(expected)}, found ${typeName(actual)}`);
    return actual;
  }

  popAll(types: readonly ValueType[]): void {
    for (let i = types.length - 1; i >= 0; i--) this.pop(types[i] as ValueType);
  }

  pushAll(types: readonly ValueType[]): void {
    for (const type of types) this.stack.push(type);
  }

  enter(code: number, start: readonly ValueType[], end: readonly ValueType[]): void {
    this.frames.push({ code, start, end, height: this.stack.length, unreachable: false });
    this.pushAll(start);
  }

  leave(): Frame {
    const frame = this.frame;
    this.popAll(frame.end);
    if (this.stack.length !== frame.height) this.fail("type mismatch: values remain on the stack at the end of a block");
    this.frames.pop();
    return frame;
  }

  markUnreachable(): void {
    this.stack.length = this.frame.height;
    this.frame.unreachable = true;
  }

  label(depth: number): readonly ValueType[] {
    const frame = this.frames[this.frames.length - 1 - depth];
    if (frame === undefined) this.fail(`unknown label ${depth}`);
    return frame.code === opLoop ? frame.start : frame.end;
  }

  block(operator: Operator): FunctionType {
    return blockSignature(this.module, operator.a) ?? this.fail(`unknown type ${operator.a}`);
  }

  known<T>(space: readonly T[], index: number, what: string): T {
    if (index >= space.length) this.fail(`unknown ${what} ${index}`);
    return space[index] as T;
  }

  memory(): void {
    if (this.module.memories.length === 0) this.fail("unknown memory 0");
  }
}

type Rule = (c: Checker, operator: Operator) => void;
const rules: (Rule | undefined)[] = new Array<Rule | undefined>(opcodeCount).fill(undefined);
const rule = (name: string, check: Rule): void => {
  rules[opcode(name)] = check;
};

rule("unreachable", (c) => c.markUnreachable());
rule("block", (c, o) => {
  const type = c.block(o);
  c.popAll(type.params);
  c.enter(o.code, type.params, type.results);
});
rule("loop", rules[opcode("block")] as Rule);
rule("if", (c, o) => {
  c.pop(i32);
  (rules[opcode("block")] as Rule)(c, o);
});
rule("else", (c) => {
  if (c.frame.code !== opIf) c.fail("else without if");
  const frame = c.leave();
  c.enter(opElse, frame.start, frame.end);
});
rule("end", (c) => {
  const frame = c.leave();
  const same = frame.start.length === frame.end.length && frame.start.every((type, i) => type === frame.end[i]);
  if (frame.code === opIf && !same) c.fail("type mismatch: an if with results needs an else");
  if (c.frames.length > 0) c.pushAll(frame.end);
});
rule("br", (c, o) => {
  c.popAll(c.label(o.a));
  c.markUnreachable();
});
rule("br_if", (c, o) => {
  c.pop(i32);
  const types = c.label(o.a);
  c.popAll(types);
  c.pushAll(types);
});
rule("br_table", (c, o) => {
  c.pop(i32);
  const last = c.label(o.targets[o.targets.length - 1] as number);
  for (const target of o.targets) {
    const types = c.label(target);
    if (types.length !== last.length) c.fail("type mismatch: branch targets of different arity");
    const popped: StackType[] = [];
    for (let i = types.length - 1; i >= 0; i--) popped.push(c.pop(types[i] as ValueType));
    while (popped.length > 0) c.stack.push(popped.pop() as StackType);
  }
  c.popAll(last);
  c.markUnreachable();
});
rule("return", (c) => {
  c.popAll(c.results);
  c.markUnreachable();
});
rule("call", (c, o) => {
  const type = c.module.types[c.known(c.module.functionTypes, o.a, "function")] as FunctionType;
  c.popAll(type.params);
  c.pushAll(type.results);
});
rule("call_indirect", (c, o) => {
  const table = c.known(c.module.tables, o.b, "table");
  if (table.element !== funcref) c.fail("type mismatch: call_indirect needs a table of funcref");
  const type = c.known(c.module.types, o.a, "type");
  c.pop(i32);
  c.popAll(type.params);
  c.pushAll(type.results);
});
rule("drop", (c) => void c.pop(0));
rule("select", (c) => {
  c.pop(i32);
  const first = c.pop(0);
  const second = c.pop(0);
  if (isReference(first) || isReference(second)) c.fail("type mismatch: select of references needs its type");
  if (first !== second && first !== 0 && second !== 0) c.fail("type mismatch: select of different types");
  c.stack.push(first === 0 ? second : first);
});
rule("select_t", (c, o) => {
  if (o.b !== 1) c.fail("invalid result arity of select");
  c.pop(i32);
  c.pop(o.a as ValueType);
  c.pop(o.a as ValueType);
  c.stack.push(o.a as ValueType);
});
rule("local.get", (c, o) => void c.stack.push(c.known(c.locals, o.a, "local")));
rule("local.set", (c, o) => void c.pop(c.known(c.locals, o.a, "local")));
rule("local.tee", (c, o) => {
  c.pop(c.known(c.locals, o.a, "local"));
  c.stack.push(c.locals[o.a] as ValueType);
});
rule("global.get", (c, o) => void c.stack.push(c.known(c.module.globalTypes, o.a, "global").type));
rule("global.set", (c, o) => {
  const global = c.known(c.module.globalTypes, o.a, "global");
  if (!global.mutable) c.fail("global is immutable");
  c.pop(global.type);
});
rule("table.get", (c, o) => {
  c.pop(i32);
  c.stack.push(c.known(c.module.tables, o.a, "table").element);
});
rule("table.set", (c, o) => {
  c.pop(c.known(c.module.tables, o.a, "table").element);
  c.pop(i32);
});
rule("table.grow", (c, o) => {
  c.pop(i32);
  c.pop(c.known(c.module.tables, o.a, "table").element);
  c.stack.push(i32);
});
rule("table.size", (c, o) => {
  c.known(c.module.tables, o.a, "table");
  c.stack.push(i32);
});
rule("table.fill", (c, o) => {
  c.pop(i32);
  c.pop(c.known(c.module.tables, o.a, "table").element);
  c.pop(i32);
});
rule("table.copy", (c, o) => {
  const to = c.known(c.module.tables, o.a, "table");
  const from = c.known(c.module.tables, o.b, "table");
  if (to.element !== from.element) c.fail("type mismatch between tables");
  c.popAll([i32, i32, i32]);
});
rule("table.init", (c, o) => {
  const to = c.known(c.module.tables, o.b, "table");
  const from = c.known(c.module.elements, o.a, "elem segment");
  if (to.element !== from.type) c.fail("type mismatch between table and element segment");
  c.popAll([i32, i32, i32]);
});
rule("elem.drop", (c, o) => void c.known(c.module.elements, o.a, "elem segment"));
rule("memory.init", (c, o) => {
  c.usesData = true;
  c.memory();
  c.popAll([i32, i32, i32]);
  c.known(c.module.data, o.a, "data segment");
});
rule("data.drop", (c, o) => {
  c.usesData = true;
  c.known(c.module.data, o.a, "data segment");
});
rule("ref.null", (c, o) => void c.stack.push(o.a as ValueType));
rule("ref.is_null", (c) => {
  const type = c.pop(0);
  if (type !== 0 && !isReference(type)) c.fail("type mismatch: ref.is_null needs a reference");
  c.stack.push(i32);
});
rule("ref.func", (c, o) => {
  c.known(c.module.functionTypes, o.a, "function");
  if (!c.declared.has(o.a)) c.fail("undeclared function reference");
  c.stack.push(funcref);
});

/** The rule of an operator whose types its letters tell. */
function plainRule(code: number): Rule {
  const info = opcodeInfo(code);
  assert(info?.operands !== undefined, `operator ${code} has a signature`);
  const operands = [...info.operands].map((letter) => letters[letter] as ValueType);
  const results = [...info.results].map((letter) => letters[letter] as ValueType);
  const memory = info.immediate === "memarg" || info.immediate.startsWith("memor");
  const alignment = info.accessBytes;
  return (c, o) => {
    if (memory) c.memory();
    if (alignment > 0 && 2 ** o.b > alignment) c.fail("alignment must not be larger than natural");
    for (let i = operands.length - 1; i >= 0; i--) c.pop(operands[i] as ValueType);
    if (results.length > 0) c.stack.push(results[0] as ValueType);
  };
}
for (let code = 0; code < opcodeCount; code++) {
  if (rules[code] === undefined && opcodeInfo(code) !== undefined) rules[code] = plainRule(code);
}

/** Checks one function; true when it names a data segment, which asks for a data count section (spec 5.5.16). */
export function validateBody(module: Module, item: ModuleFunction, declared: ReadonlySet<number>): boolean {
  const checker = new Checker(module, item, declared);
  if (checker.locals.length > decodeLimits.locals)
    throw new CodedError("MF_WASM_LIMIT", `function ${item.index} has ${checker.locals.length} locals, ${decodeLimits.locals} are allowed`);
  checker.enter(-1, [], item.type.results);
  for (const operator of item.body.operators) {
    checker.at = operator.at;
    const check = rules[operator.code];
    assert(check !== undefined, `operator ${operator.code} has a rule`);
    check(checker, operator);
  }
  assert(checker.frames.length === 0, "the decoder balances blocks");
  return checker.usesData;
}
