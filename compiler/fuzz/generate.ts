import { concatBytes, type Prng, prng } from "#base";
import { encodeName, encodeSigned, encodeType, encodeUnsigned, instruction } from "../decode/encode.ts";
import { opcodeCount, opcodeInfo } from "../decode/opcodes.ts";
import { f32, f64, type FunctionType, i32, i64, type ValueType } from "../decode/types.ts";

/**
 * Random valid modules of the shapes that matter: deep expressions, many locals, nested blocks with values, loops, branch tables,
 * direct and indirect calls, memory at odd addresses. Loops and calls burn fuel, so every module ends. What floats leave behind is
 * made canonical wherever its bits can be seen, since NaN payloads may legitimately differ.
 */

const valueTypes: readonly ValueType[] = [i32, i64, f32, f64];
const letters: Record<string, ValueType> = { i: i32, l: i64, f: f32, d: f64 };

interface NumericOperator {
  readonly name: string;
  readonly operands: readonly ValueType[];
}
const numeric = new Map<ValueType, NumericOperator[]>(valueTypes.map((type) => [type, []]));
const loads = new Map<ValueType, string[]>(valueTypes.map((type) => [type, []]));
const stores: { readonly name: string; readonly type: ValueType }[] = [];
for (let code = 0; code < opcodeCount; code++) {
  const info = opcodeInfo(code);
  if (info?.operands === undefined) continue;
  const result = letters[info.results] as ValueType;
  const operands = [...info.operands].map((letter) => letters[letter] as ValueType);
  if (info.immediate === "none" && info.results !== "") numeric.get(result)?.push({ name: info.name, operands });
  else if (info.immediate === "memarg" && info.results !== "") loads.get(result)?.push(info.name);
  else if (info.immediate === "memarg") stores.push({ name: info.name, type: operands[1] as ValueType });
}

/** The parameters, results and bodies of one module under construction. */
class Generator {
  readonly random: Prng;
  readonly types: FunctionType[] = [];
  readonly functions: { readonly type: number; readonly locals: ValueType[]; readonly code: Uint8Array }[] = [];
  readonly globals: readonly ValueType[] = [i32, i32, i64, f64, f32];
  private code: Uint8Array[] = [];
  private locals: ValueType[] = [];
  private labels: (readonly ValueType[])[] = [];
  private results: readonly ValueType[] = [];
  private budget = 0;

  constructor(seed: number) {
    this.random = prng(seed);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }
  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }
  emit(name: string, ...immediates: readonly (number | bigint)[]): void {
    this.code.push(instruction(name, ...immediates));
  }
  raw(...bytes: readonly number[]): void {
    this.code.push(Uint8Array.from(bytes));
  }

  typeIndex(type: FunctionType): number {
    this.types.push(type);
    return this.types.length - 1;
  }

  randomTypes(most: number): ValueType[] {
    return Array.from({ length: this.random.below(most + 1) }, () => this.pick(valueTypes));
  }

  // ---- expressions ------------------------------------------------------------------------------------------------

  constant(type: ValueType): void {
    const small = BigInt(this.random.below(40)) - 8n;
    const edges = [
      0n,
      1n,
      -1n,
      0x7fffffffn,
      -0x80000000n,
      0xffffn,
      255n,
      0x7fffffffffffffffn,
      -0x8000000000000000n,
      0xffffffffn,
      0x80000000n,
    ];
    const integer = this.chance(3)
      ? this.pick(edges)
      : this.chance(2)
        ? small
        : (BigInt(this.random.uint32()) << 32n) | BigInt(this.random.uint32());
    if (type === i32) this.emit("i32.const", Number(BigInt.asIntN(32, integer)));
    else if (type === i64) this.emit("i64.const", BigInt.asIntN(64, integer));
    else {
      const floats = [
        0,
        -0,
        1,
        -1,
        0.5,
        1e10,
        -1e10,
        2 ** 31,
        -(2 ** 31),
        2 ** 32,
        2 ** 63,
        -(2 ** 63),
        2 ** 64,
        Infinity,
        -Infinity,
        1e-310,
        1e-40,
        0.1,
        Number(small),
      ];
      this.emit(type === f32 ? "f32.const" : "f64.const", this.pick(floats));
    }
  }

  /** Replaces a NaN on the stack by the canonical one: (local.tee t) (f.const nan) (t == t) select. */
  canonical(type: ValueType): void {
    if (type !== f32 && type !== f64) return;
    const local = this.scratch(type);
    const name = type === f32 ? "f32" : "f64";
    this.emit("local.tee", local);
    this.raw(...(type === f32 ? [0x43, 0, 0, 0xc0, 0x7f] : [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]));
    this.emit("local.get", local);
    this.emit("local.get", local);
    this.emit(`${name}.eq`);
    this.emit("select");
  }

  scratch(type: ValueType): number {
    const candidates = this.locals.flatMap((t, i) => (t === type ? [i] : []));
    if (candidates.length > 0) return this.pick(candidates);
    this.locals.push(type);
    return this.locals.length - 1;
  }

  address(depth: number): void {
    this.expression(i32, depth - 1);
    if (this.chance(30)) return;
    this.emit("i32.const", this.pick([0xff, 0xfff, 0xfffc, 0x7ff8]));
    this.emit("i32.and");
  }

  access(name: string): void {
    const natural = Math.log2(Number(opcodeInfo0(name)));
    this.emit(name, this.random.below(natural + 1), this.chance(40) ? this.pick([0xffffffff, 0x80000000, 65536]) : this.random.below(200));
  }

  expression(type: ValueType, depth: number): void {
    this.budget--;
    if (depth <= 0 || this.budget < 0) {
      if (this.chance(2)) this.constant(type);
      else this.emit("local.get", this.scratch(type));
      return;
    }
    switch (this.random.below(16)) {
      case 0:
        this.constant(type);
        return;
      case 1:
      case 2:
        this.emit("local.get", this.scratch(type));
        return;
      case 3: {
        const name = this.pick(loads.get(type) as string[]);
        this.address(depth);
        this.access(name);
        return;
      }
      case 4:
        this.expression(type, depth - 1);
        this.emit("local.tee", this.scratch(type));
        return;
      case 5:
        this.expression(type, depth - 1);
        this.expression(type, depth - 1);
        this.expression(i32, depth - 1);
        this.emit("select");
        return;
      case 6:
        this.conditional([type], depth);
        return;
      case 7:
        this.blockOf([type], depth);
        return;
      case 8:
        this.call([type], depth);
        return;
      case 9: {
        const found = this.globals.flatMap((t, i) => (t === type && i > 0 ? [i] : []));
        this.emit("global.get", this.pick(found.length > 0 ? found : [0]));
        return;
      }
      case 10:
        if (type === i32 && this.chance(3)) {
          this.emit("memory.size");
          return;
        }
        this.manyValues(type, depth);
        return;
      default: {
        const operator = this.pick(numeric.get(type) as NumericOperator[]);
        for (const operand of operator.operands) this.expression(operand, depth - 1);
        if (operator.name.includes("reinterpret") && !operator.name.endsWith("_i32") && !operator.name.endsWith("_i64"))
          this.beforeLast(operator.operands[0] as ValueType);
        if (operator.name.endsWith("copysign")) this.canonical(type);
        this.emit(operator.name);
      }
    }
  }
  private beforeLast(type: ValueType): void {
    this.canonical(type);
  }

  blockType(types: readonly ValueType[], params: readonly ValueType[] = []): Uint8Array {
    if (params.length === 0 && types.length === 0) return Uint8Array.of(0x40);
    if (params.length === 0 && types.length === 1) return Uint8Array.of(types[0] as number);
    return encodeSigned(BigInt(this.typeIndex({ params, results: types })));
  }

  inBlock(
    opcodeByte: number,
    labelTypes: readonly ValueType[],
    types: readonly ValueType[],
    params: readonly ValueType[],
    body: () => void,
  ): void {
    this.code.push(Uint8Array.of(opcodeByte), this.blockType(types, params));
    this.labels.push(labelTypes);
    body();
    this.labels.pop();
    this.raw(0x0b);
  }

  conditional(types: readonly ValueType[], depth: number): void {
    this.expression(i32, depth - 1);
    this.inBlock(0x04, types, types, [], () => {
      this.statements(depth - 1);
      for (const type of types) this.expression(type, depth - 2);
      if (types.length === 0 && this.chance(2)) return;
      this.raw(0x05);
      this.statements(depth - 1);
      for (const type of types) this.expression(type, depth - 2);
    });
  }

  blockOf(types: readonly ValueType[], depth: number): void {
    this.inBlock(0x02, types, types, [], () => {
      this.statements(depth - 1);
      for (const type of types) this.expression(type, depth - 1);
      if (this.chance(2)) {
        this.expression(i32, depth - 2);
        this.emit("br_if", this.labels.length - 1 - (this.labels.length - 1));
      }
    });
  }

  /** A block with parameters and several results, folded into one value. */
  manyValues(type: ValueType, depth: number): void {
    const params = this.randomTypes(3);
    const extra = this.randomTypes(3);
    for (const param of params) this.expression(param, depth - 2);
    this.inBlock(0x02, [type, ...extra], [type, ...extra], params, () => {
      for (let i = params.length - 1; i >= 0; i--) this.emit("local.set", this.scratch(params[i] as ValueType));
      this.expression(type, depth - 2);
      for (const more of extra) this.expression(more, depth - 2);
    });
    for (let i = extra.length - 1; i >= 0; i--) this.emit("local.set", this.scratch(extra[i] as ValueType));
  }

  call(results: readonly ValueType[], depth: number): void {
    const same = (type: FunctionType): boolean => type.results.length === results.length && type.results.every((t, i) => t === results[i]);
    const found = this.functions.flatMap((f, i) => (same(this.types[f.type] as FunctionType) ? [i] : []));
    if (found.length === 0) {
      for (const type of results) this.constant(type);
      return;
    }
    const index = this.pick(found);
    const type = this.types[(this.functions[index] as { type: number }).type] as FunctionType;
    for (const param of type.params) this.expression(param, depth - 2);
    if (this.chance(3)) {
      if (this.chance(12)) this.expression(i32, 1);
      else this.emit("i32.const", index);
      this.emit("call_indirect", (this.functions[index] as { type: number }).type, 0);
    } else this.emit("call", index);
  }

  // ---- statements -------------------------------------------------------------------------------------------------

  fuel(): void {
    this.emit("global.get", 0);
    this.emit("i32.eqz");
    this.raw(0x04, 0x40, 0x00, 0x0b); // if unreachable end
    this.emit("global.get", 0);
    this.emit("i32.const", 1);
    this.emit("i32.sub");
    this.emit("global.set", 0);
  }

  statements(depth: number): void {
    for (let n = this.random.below(depth > 0 ? 4 : 1); n > 0 && this.budget > 0; n--) this.statement(depth);
  }

  branch(depth: number): void {
    const target = this.random.below(this.labels.length);
    const types = this.labels[this.labels.length - 1 - target] as readonly ValueType[];
    if (this.chance(2)) {
      for (const type of types) this.expression(type, depth - 2);
      this.expression(i32, depth - 2);
      this.emit("br_if", target);
      for (let i = types.length - 1; i >= 0; i--) this.emit("local.set", this.scratch(types[i] as ValueType));
      return;
    }
    // Inside an if, so that what follows stays reachable.
    this.expression(i32, depth - 1);
    this.inBlock(0x04, [], [], [], () => {
      for (const type of types) this.expression(type, depth - 2);
      this.emit("br", target + 1);
      if (this.chance(3)) this.expressionStatement(1);
    });
  }

  branchTable(depth: number): void {
    const targets = Array.from({ length: 2 + this.random.below(4) }, (_, i) => i);
    for (let i = 0; i < targets.length; i++) {
      this.raw(0x02, 0x40);
      this.labels.push([]);
    }
    this.expression(i32, depth - 1);
    if (this.chance(2)) {
      this.emit("i32.const", 7);
      this.emit("i32.and");
    }
    const list = Array.from({ length: this.random.below(8) }, () => this.pick(targets));
    this.code.push(Uint8Array.of(0x0e), encodeUnsigned(list.length), ...list.map(encodeUnsigned), encodeUnsigned(this.pick(targets)));
    for (let i = 0; i < targets.length; i++) {
      this.labels.pop();
      this.raw(0x0b);
      this.statement(depth - 2);
    }
  }

  loop(depth: number): void {
    const counter = this.locals.push(i32) - 1;
    this.emit("i32.const", this.random.below(12));
    this.emit("local.set", counter);
    const params = this.chance(4) ? this.randomTypes(2) : [];
    for (const param of params) this.expression(param, 1);
    this.inBlock(0x03, params, params, params, () => {
      for (let i = params.length - 1; i >= 0; i--) this.emit("local.set", this.scratch(params[i] as ValueType));
      this.fuel();
      this.statements(depth - 1);
      for (const param of params) this.expression(param, 1);
      this.emit("local.get", counter);
      this.emit("i32.const", 1);
      this.emit("i32.sub");
      this.emit("local.tee", counter);
      this.emit("i32.const", 0);
      this.emit("i32.gt_s");
      this.emit("br_if", 0);
    });
    for (let i = params.length - 1; i >= 0; i--) this.emit("local.set", this.scratch(params[i] as ValueType));
  }

  expressionStatement(depth: number): void {
    this.expression(this.pick(valueTypes), depth);
    this.emit("drop");
  }

  statement(depth: number): void {
    this.budget--;
    switch (this.random.below(14)) {
      case 0:
      case 1:
      case 2: {
        const type = this.pick(valueTypes);
        this.expression(type, depth);
        this.emit("local.set", this.scratch(type));
        return;
      }
      case 3:
      case 4: {
        const { name, type } = this.pick(stores);
        this.address(depth);
        this.expression(type, depth);
        this.canonical(type);
        this.access(name);
        return;
      }
      case 5: {
        const global = 1 + this.random.below(this.globals.length - 1);
        this.expression(this.globals[global] as ValueType, depth);
        this.canonical(this.globals[global] as ValueType);
        this.emit("global.set", global);
        return;
      }
      case 6:
        this.conditional([], depth);
        return;
      case 7:
        this.blockOf([], depth);
        return;
      case 8:
        if (depth > 0) this.loop(depth);
        return;
      case 9:
        if (this.labels.length > 0) this.branch(depth);
        return;
      case 10:
        if (depth > 1) this.branchTable(depth);
        return;
      case 11:
        this.bulk(depth);
        return;
      case 12:
        this.call([], depth);
        return;
      default:
        this.expressionStatement(depth);
    }
  }

  bulk(depth: number): void {
    const small = (): void => {
      this.expression(i32, depth - 2);
      this.emit("i32.const", this.pick([15, 63, 0x3ff]));
      this.emit("i32.and");
    };
    if (this.chance(8)) {
      this.emit("i32.const", this.random.below(2));
      this.emit("memory.grow");
      this.emit("drop");
      return;
    }
    small();
    if (this.chance(2)) {
      this.expression(i32, depth - 2);
      small();
      this.emit("memory.fill");
    } else {
      small();
      small();
      this.emit("memory.copy");
    }
  }

  function(): void {
    const type: FunctionType = {
      params: this.randomTypes(this.chance(6) ? 14 : 4),
      results: this.chance(6) ? this.randomTypes(5) : this.randomTypes(1),
    };
    this.code = [];
    this.results = type.results;
    this.locals = [...type.params, ...this.randomTypes(8)];
    this.labels = [this.results];
    this.budget = this.chance(5) ? 600 : 120;
    this.fuel();
    for (let n = 1 + this.random.below(6); n > 0; n--) this.statement(2 + this.random.below(5));
    for (const result of this.results) {
      this.expression(result, 4);
    }
    const locals = this.locals.slice(type.params.length);
    this.functions.push({ type: this.typeIndex(type), locals, code: concatBytes(this.code) });
  }
}

function opcodeInfo0(name: string): number {
  for (let code = 0x28; code <= 0x3e; code++) {
    const info = opcodeInfo(code);
    if (info?.name === name) return info.accessBytes;
  }
  return 1;
}

function section(id: number, items: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes([encodeUnsigned(items.length), ...items]);
  return concatBytes([Uint8Array.of(id), encodeUnsigned(body.length), body]);
}

/** A module that exports its functions as f0…, its memory as m and its globals as g0…; the same for the same seed. */
export function generateModule(seed: number): Uint8Array {
  const g = new Generator(seed);
  const count = 1 + g.random.below(5);
  for (let i = 0; i < count; i++) g.function();
  const initial = (type: ValueType, i: number): Uint8Array =>
    concatBytes([
      Uint8Array.of(type, 1),
      type === i32
        ? instruction("i32.const", i === 0 ? 400 : 5)
        : type === i64
          ? instruction("i64.const", -3n)
          : instruction(type === f32 ? "f32.const" : "f64.const", 1.5),
      Uint8Array.of(0x0b),
    ]);
  const named = (name: string, kind: number, index: number): Uint8Array =>
    concatBytes([encodeName(name), Uint8Array.of(kind), encodeUnsigned(index)]);
  const data = Uint8Array.from({ length: 512 }, () => g.random.below(256));
  const bodies = g.functions.map(({ locals, code }) => {
    const groups = locals.map((type) => Uint8Array.of(1, type));
    const body = concatBytes([encodeUnsigned(groups.length), ...groups, code, Uint8Array.of(0x0b)]);
    return concatBytes([encodeUnsigned(body.length), body]);
  });
  return concatBytes([
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
    section(1, g.types.map(encodeType)),
    section(
      3,
      g.functions.map((f) => encodeUnsigned(f.type)),
    ),
    section(4, [Uint8Array.of(0x70, 0, count + 2)]),
    section(5, [Uint8Array.of(1, 1, 3)]),
    section(6, g.globals.map(initial)),
    section(7, [...g.functions.map((_, i) => named(`f${i}`, 0, i)), named("m", 2, 0), ...g.globals.map((_, i) => named(`g${i}`, 3, i))]),
    section(9, [
      concatBytes([
        Uint8Array.of(0),
        instruction("i32.const", 0),
        Uint8Array.of(0x0b),
        encodeUnsigned(count),
        ...g.functions.map((_, i) => encodeUnsigned(i)),
      ]),
    ]),
    section(10, bodies),
    section(11, [concatBytes([Uint8Array.of(0), instruction("i32.const", 16), Uint8Array.of(0x0b), encodeUnsigned(data.length), data])]),
  ]);
}
