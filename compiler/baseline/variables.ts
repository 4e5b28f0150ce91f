import { alu, indexed, type Memory, symbol } from "../assemble/assembler.ts";
import { isFloat } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { opcodeInfo } from "../decode/opcodes.ts";
import { f32, f64, funcref, i32, i64, type Operator, type ValueType } from "../decode/types.ts";
import type { Emitter } from "./control.ts";
import type { FunctionCompiler } from "./function.ts";
import type { Value } from "./state.ts";

/** Locals, globals, memory, tables and references. */

/** [r15 + index + offset]: the index has zero upper bits, and the window beyond 4 GiB is unmapped up to 8 GiB, so nothing is checked. */
function address(c: FunctionCompiler, index: Value, offset: number): Memory {
  const { state, assembler: a } = c;
  if (index.kind === "constant") {
    const total = (index.a >>> 0) + offset;
    if (total < 2 ** 31) return indexed(r.r15, -1, 0, total);
    a.constant64(r.rax, total | 0, total >= 2 ** 32 ? 1 : 0, true);
    return indexed(r.r15, r.rax);
  }
  const register = state.register(index);
  if (offset < 2 ** 31) return indexed(r.r15, register, 0, offset);
  a.constantKeepingFlags32(r.rax, offset | 0);
  a.alu(alu.add, true, r.rax, register);
  return indexed(r.r15, r.rax);
}

function load(type: ValueType, emit: (c: FunctionCompiler, to: number, from: Memory) => void): Emitter {
  return (c, o) => {
    const { state } = c;
    const index = state.pop();
    const from = address(c, index, o.a);
    state.release(index);
    const to = state.allocate(isFloat(type));
    emit(c, to, from);
    state.pushRegister(type, to);
  };
}

function store(bytes: number): Emitter {
  return (c, o) => {
    const { state, assembler } = c;
    const value = state.pop();
    const index = state.pop();
    const immediate = value.kind === "constant" && (bytes < 8 || value.b === value.a >> 31);
    const register = immediate ? -1 : state.register(value);
    const to = address(c, index, o.a);
    if (immediate) assembler.storeImmediate(bytes, to, value.a);
    else if (register >= 16) assembler.floatStore(bytes === 8, to, register - 16);
    else assembler.store(bytes, to, register);
    state.release(index);
    state.release(value);
  };
}

function select(c: FunctionCompiler): void {
  const { state, assembler: a } = c;
  const condition = state.pop();
  const right = state.pop();
  const left = state.pop();
  const { type } = left;
  const to = state.writable(left);
  const other = state.register(right);
  const test = state.register(condition);
  a.test(false, test, test);
  if (to >= 16) {
    const skip = a.newLabel();
    a.jumpIf(r.notEqual, skip);
    a.floatMove(to - 16, other - 16);
    a.bind(skip);
  } else a.moveIf(r.equal, type !== i32, to, other);
  state.release(right);
  state.release(condition);
  state.pushRegister(type, to);
}

function globalType(c: FunctionCompiler, index: number): ValueType {
  return (c.module.globalTypes[index] as { type: ValueType }).type;
}

function tableElement(c: FunctionCompiler, o: Operator): ValueType {
  return (c.module.tables[o.a] as { element: ValueType }).element;
}

/** Checks an index in a register against a table's size and gives the element's place. */
function element(c: FunctionCompiler, table: number, register: number): Memory {
  const { assembler: a } = c;
  a.alu(alu.cmp, false, register, symbol(`table.${table}`, 8));
  a.jumpIf(r.aboveEqual, a.coldTrap("table access out of bounds"));
  return { base: -1, index: register, scale: 3, displacement: 0, symbol: `table.${table}.elements` };
}

const memory = "memory";

export const variableEmitters: Record<string, Emitter> = {
  drop: ({ state }) => state.release(state.pop()),
  select,
  select_t: select,
  "local.get": ({ state }, o) => state.getLocal(o.a),
  "local.set": ({ state }, o) => {
    const value = state.pop();
    state.setLocal(o.a, value);
    state.release(value);
  },
  "local.tee": ({ state }, o) => {
    const value = state.pop();
    state.setLocal(o.a, value);
    state.push(value);
  },
  "global.get": (c, o) => {
    const type = globalType(c, o.a);
    const to = c.state.allocate(isFloat(type));
    c.state.load(type, to, symbol(`global.${o.a}`));
    c.state.pushRegister(type, to);
  },
  "global.set": (c, o) => {
    const value = c.state.pop();
    c.state.intoMemory(value, symbol(`global.${o.a}`));
    c.state.release(value);
  },
  "table.get": (c, o) => {
    const { state } = c;
    const index = state.pop();
    const register = state.register(index);
    const from = element(c, o.a, register);
    state.release(index);
    const to = state.allocate(false);
    c.assembler.move(true, to, from);
    state.pushRegister(tableElement(c, o), to);
  },
  "table.set": (c, o) => {
    const { state } = c;
    const value = state.pop();
    const index = state.pop();
    const from = state.register(value);
    c.assembler.store(8, element(c, o.a, state.register(index)), from);
    state.release(value);
    state.release(index);
  },
  "i32.const": ({ state }, o) => state.pushConstant(i32, o.a, 0),
  "i64.const": ({ state }, o) => state.pushConstant(i64, o.a, o.b),
  "f32.const": ({ state }, o) => state.pushConstant(f32, o.a, 0),
  "f64.const": ({ state }, o) => state.pushConstant(f64, o.a, o.b),
  "ref.null": ({ state }, o) => state.pushConstant(o.a as ValueType, 0, 0),
  "ref.is_null": (c) => {
    const value = c.state.pop();
    const from = c.state.register(value);
    c.assembler.test(true, from, from);
    c.assembler.setCondition(r.equal, r.rax);
    c.state.release(value);
    const to = c.state.allocate(false);
    c.assembler.loadZero8(to, r.rax);
    c.state.pushRegister(i32, to);
  },
  "ref.func": (c, o) => {
    const to = c.state.allocate(false);
    c.assembler.addressOf(to, `ref.${o.a}`);
    c.state.pushRegister(funcref, to);
  },
  "memory.size": (c) => {
    const to = c.state.allocate(false);
    c.assembler.move(false, to, symbol(memory, 8));
    c.state.pushRegister(i32, to);
  },
  "memory.grow": (c) => c.callRuntime("runtime.memoryGrow", 1, [memory], i32),
  "memory.copy": (c) => c.callRuntime("runtime.memoryCopy", 3, [memory], undefined),
  "memory.fill": (c) => c.callRuntime("runtime.memoryFill", 3, [memory], undefined),
  "memory.init": (c, o) => c.callRuntime("runtime.memoryInit", 3, [memory, `data.${o.a}`], undefined),
  "data.drop": (c, o) => c.assembler.storeImmediate(4, symbol(`data.${o.a}`, 8), 0),
  "elem.drop": (c, o) => c.assembler.storeImmediate(4, symbol(`elem.${o.a}`, 8), 0),
  "table.init": (c, o) => c.callRuntime("runtime.tableInit", 3, [`table.${o.b}`, `elem.${o.a}`], undefined),
  "table.copy": (c, o) => c.callRuntime("runtime.tableCopy", 3, [`table.${o.a}`, `table.${o.b}`], undefined),
  "table.grow": (c, o) => c.callRuntime("runtime.tableGrow", 2, [`table.${o.a}`], i32),
  "table.fill": (c, o) => c.callRuntime("runtime.tableFill", 3, [`table.${o.a}`], undefined),
  "table.size": (c, o) => {
    const to = c.state.allocate(false);
    c.assembler.move(false, to, symbol(`table.${o.a}`, 8));
    c.state.pushRegister(i32, to);
  },
};

for (let code = 0x28; code <= 0x3e; code++) {
  const info = opcodeInfo(code);
  if (info === undefined) continue;
  const { name, accessBytes: bytes } = info;
  const type = ({ i32, i64, f32, f64 } as Record<string, ValueType>)[name.slice(0, 3)] as ValueType;
  const isWide = type === i64;
  if (name.includes("store")) variableEmitters[name] = store(bytes);
  else if (isFloat(type)) variableEmitters[name] = load(type, (c, to, from) => c.assembler.floatLoad(bytes === 8, to - 16, from));
  else if (name.endsWith("8_u")) variableEmitters[name] = load(type, (c, to, from) => c.assembler.loadZero8(to, from));
  else if (name.endsWith("16_u")) variableEmitters[name] = load(type, (c, to, from) => c.assembler.loadZero16(to, from));
  else if (name.endsWith("8_s")) variableEmitters[name] = load(type, (c, to, from) => c.assembler.loadSigned8(isWide, to, from));
  else if (name.endsWith("16_s")) variableEmitters[name] = load(type, (c, to, from) => c.assembler.loadSigned16(isWide, to, from));
  else if (name.endsWith("32_s")) variableEmitters[name] = load(type, (c, to, from) => c.assembler.loadSigned32(to, from));
  else variableEmitters[name] = load(type, (c, to, from) => c.assembler.move(bytes === 8, to, from));
}
