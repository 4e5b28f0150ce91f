import { assert, CodedError } from "#base";
import { type Assembler, at, type Label, type Memory, type Operand } from "../assemble/assembler.ts";
import { isFloat, maximumFrameBytes } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { f32, i32, i64, type ValueType } from "../decode/types.ts";

/**
 * Where values are while the single pass runs.
 *
 * Every local and every position of the operand stack has a slot in the frame:
 *
 *     rsp → [ outgoing area ][ locals ][ operand stack, by height ] [ return address ]
 *
 * Locals are written through: a slot is always up to date, and registers only cache it. An operand is a constant, a local
 * not read yet, a register (shared with a cache or other operands; counted in `uses`), or in its own slot. At control-flow
 * joins all operands are in slots, and a cached local survives where all paths agree.
 */
export interface Value {
  readonly type: ValueType;
  kind: "constant" | "register" | "slot" | "local";
  /** Constant: low bits. Register: its number, SSE registers from 16 on. Slot: height. Local: its index. */
  a: number;
  /** Constant: high bits. */
  readonly b: number;
}

/** rax, rcx, rdx, r14 and xmm14, xmm15 are scratch. */
const generalPool = [r.rbx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13];
const floatPool = [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

export class State {
  readonly assembler: Assembler;
  readonly locals: readonly ValueType[];
  readonly outgoingSlots: number;
  readonly stack: Value[] = [];
  /** By register: how many operands, on the stack or popped and not released, are in it. */
  private readonly uses = new Int32Array(32);
  /** By register: the local it caches, or −1. */
  cached = new Int32Array(32).fill(-1);
  private readonly registerOfLocal: Int32Array;
  private nextVictim = 0;
  private maximumHeight = 0;

  constructor(assembler: Assembler, locals: readonly ValueType[], outgoingSlots: number) {
    this.assembler = assembler;
    this.locals = locals;
    this.outgoingSlots = outgoingSlots;
    this.registerOfLocal = new Int32Array(locals.length).fill(-1);
  }

  // ---- slots ------------------------------------------------------------------------------------------------------

  localSlot(index: number): Memory {
    return at(r.rsp, 8 * (this.outgoingSlots + index));
  }
  stackSlot(height: number): Memory {
    if (height >= this.maximumHeight) this.maximumHeight = height + 1;
    return at(r.rsp, 8 * (this.outgoingSlots + this.locals.length + height));
  }
  frameBytes(): number {
    const bytes = 8 * (this.outgoingSlots + this.locals.length + this.maximumHeight);
    if (bytes > maximumFrameBytes)
      throw new CodedError("MF_COMPILE_LIMIT", `a function needs a frame of ${bytes} bytes, ${maximumFrameBytes} are allowed; split it`);
    return bytes;
  }

  load(type: ValueType, register: number, from: Memory): void {
    if (register >= 16) this.assembler.floatLoad(type !== f32, register - 16, from);
    else this.assembler.move(type !== i32, register, from);
  }
  store(type: ValueType, to: Memory, register: number): void {
    if (register >= 16) this.assembler.floatStore(type !== f32, to, register - 16);
    else this.assembler.store(type === i32 ? 4 : 8, to, register);
  }
  moveRegister(to: number, from: number): void {
    if (to === from) return;
    if (to >= 16) this.assembler.floatMove(to - 16, from - 16);
    else this.assembler.move(true, to, from);
  }
  loadConstant(value: Value, register: number): void {
    const a = this.assembler;
    if (register < 16) {
      a.constant64(register, value.a, value.type === i32 ? 0 : value.b, true);
      return;
    }
    if (value.a === 0 && value.b === 0) a.floatZero(register - 16);
    else {
      a.constant64(r.rax, value.a, value.type === f32 ? 0 : value.b, true);
      a.floatFromBits(value.type !== f32, register - 16, r.rax);
    }
  }

  // ---- registers --------------------------------------------------------------------------------------------------

  /** A register nothing depends on. Registers of popped, unreleased values stay untouched. */
  allocate(float: boolean): number {
    const pool = float ? floatPool : generalPool;
    let candidate = -1;
    for (let i = 0; i < pool.length; i++) {
      const register = pool[(this.nextVictim + i) % pool.length] as number;
      if (this.uses[register] !== 0) continue;
      if (this.cached[register] === -1) {
        candidate = register;
        break;
      }
      if (candidate < 0) candidate = register;
    }
    if (candidate < 0) candidate = this.spillLowest(float);
    this.nextVictim++;
    this.uncache(candidate);
    this.uses[candidate] = 1;
    return candidate;
  }

  private spillLowest(float: boolean): number {
    for (let height = 0; height < this.stack.length; height++) {
      const value = this.stack[height] as Value;
      if (value.kind !== "register" || value.a >= 16 !== float) continue;
      const register = value.a;
      this.spill(height);
      if (this.uses[register] === 0) return register;
    }
    throw new Error("assertion failed: an operator holds all registers");
  }

  private uncache(register: number): void {
    const local = this.cached[register] as number;
    if (local < 0) return;
    this.registerOfLocal[local] = -1;
    this.cached[register] = -1;
  }

  private spill(height: number): void {
    const value = this.stack[height] as Value;
    const slot = this.stackSlot(height);
    if (value.kind === "register") {
      this.store(value.type, slot, value.a);
      this.uses[value.a]!--;
    } else if (value.kind === "local") {
      const scratch = isFloat(value.type) ? 31 : r.rax;
      this.load(value.type, scratch, this.localSlot(value.a));
      this.store(value.type, slot, scratch);
    } else if (value.kind === "constant") this.storeConstant(value, slot);
    value.kind = "slot";
    value.a = height;
  }

  storeConstant(value: Value, slot: Memory): void {
    const narrow = value.type === i32 || value.type === f32;
    const high = narrow ? value.a >> 31 : value.b;
    if (high === value.a >> 31) this.assembler.storeImmediate(narrow ? 4 : 8, slot, value.a);
    else {
      this.assembler.constant64(r.rax, value.a, value.b, true);
      this.assembler.store(8, slot, r.rax);
    }
  }

  /**
   * Brings all operands to their slots. Constants from height `parameters` on go there too; those below stay constants, since
   * what is done to them inside one arm of a block would not be done in the other.
   */
  flush(parameters = this.stack.length): void {
    for (let i = 0; i < this.stack.length; i++) {
      const kind = (this.stack[i] as Value).kind;
      if (kind === "register" || kind === "local" || (kind === "constant" && i >= parameters)) this.spill(i);
    }
  }
  /** Brings the operands below `height` to their slots, but for constants. */
  flushBelow(height: number): void {
    for (let i = 0; i < height; i++) {
      const kind = (this.stack[i] as Value).kind;
      if (kind === "register" || kind === "local") this.spill(i);
    }
  }
  /** Before a call: registers are lost, slots of locals are not. */
  flushRegisters(): void {
    for (let i = 0; i < this.stack.length; i++) if ((this.stack[i] as Value).kind === "register") this.spill(i);
  }
  /** After a call. */
  forgetCaches(): void {
    this.cached.fill(-1);
    this.registerOfLocal.fill(-1);
  }
  restoreCaches(caches: Int32Array): void {
    this.forgetCaches();
    caches.forEach((local, register) => {
      if (local < 0) return;
      this.cached[register] = local;
      this.registerOfLocal[local] = register;
    });
  }

  // ---- operands ---------------------------------------------------------------------------------------------------

  push(value: Value): void {
    this.stack.push(value);
  }
  pushRegister(type: ValueType, register: number): void {
    this.stack.push({ type, kind: "register", a: register, b: 0 });
  }
  pushSlot(type: ValueType): void {
    this.stack.push({ type, kind: "slot", a: this.stack.length, b: 0 });
    this.stackSlot(this.stack.length - 1);
  }
  pushConstant(type: ValueType, low: number, high: number): void {
    this.stack.push({ type, kind: "constant", a: low, b: high });
  }
  /** The value keeps its register until `release`. */
  pop(): Value {
    const value = this.stack.pop();
    assert(value !== undefined, "validated code does not underflow");
    return value;
  }
  release(value: Value): void {
    if (value.kind === "register") this.uses[value.a]!--;
  }
  /** Drops entries above `height` without looking at them. */
  truncate(height: number): void {
    while (this.stack.length > height) this.release(this.pop());
  }
  peek(): Value | undefined {
    return this.stack[this.stack.length - 1];
  }

  /** The value in a register. It must not be written: others may share it. */
  register(value: Value): number {
    if (value.kind === "register") return value.a;
    const local = value.kind === "local" ? value.a : -1;
    const known = local < 0 ? -1 : (this.registerOfLocal[local] as number);
    if (known >= 0) {
      this.uses[known]!++;
      value.kind = "register";
      value.a = known;
      return known;
    }
    const register = this.allocate(isFloat(value.type));
    if (value.kind === "constant") this.loadConstant(value, register);
    else this.load(value.type, register, local < 0 ? this.stackSlot(value.a) : this.localSlot(local));
    if (local >= 0) this.cache(local, register);
    value.kind = "register";
    value.a = register;
    return register;
  }

  /** The value in a register of its own that may be written; gives up the popped value. */
  writable(value: Value): number {
    if (value.kind === "register" && this.uses[value.a] === 1 && this.cached[value.a] === -1) return value.a;
    if (value.kind !== "register" && !(value.kind === "local" && (this.registerOfLocal[value.a] as number) >= 0)) {
      const register = this.allocate(isFloat(value.type));
      this.into(value, register);
      return register;
    }
    const from = this.register(value);
    const register = this.allocate(isFloat(value.type));
    this.moveRegister(register, from);
    this.uses[from]!--;
    return register;
  }

  /** Something an instruction can read: a register, or memory for what is not in one. Constants go to a register. */
  operand(value: Value): Operand {
    if (value.kind === "slot") return this.stackSlot(value.a);
    if (value.kind === "local" && (this.registerOfLocal[value.a] as number) < 0) return this.localSlot(value.a);
    const register = this.register(value);
    return register >= 16 ? register - 16 : register;
  }

  /** Copies a value to a given register, whatever that holds. */
  into(value: Value, register: number): void {
    if (value.kind === "constant") this.loadConstant(value, register);
    else if (value.kind === "register") this.moveRegister(register, value.a);
    else if (value.kind === "slot") this.load(value.type, register, this.stackSlot(value.a));
    // From its slot even when cached: during parallel moves the caching register may be overwritten already.
    else this.load(value.type, register, this.localSlot(value.a));
  }

  /** Copies a value to memory. */
  intoMemory(value: Value, to: Memory): void {
    if (value.kind === "constant") this.storeConstant(value, to);
    else if (value.kind === "register") this.store(value.type, to, value.a);
    else {
      const scratch = isFloat(value.type) ? 31 : r.rax;
      this.into(value, scratch);
      this.store(value.type, to, scratch);
    }
  }

  // ---- locals -----------------------------------------------------------------------------------------------------

  private cache(local: number, register: number): void {
    this.uncache(register);
    const old = this.registerOfLocal[local] as number;
    if (old >= 0) this.cached[old] = -1;
    this.cached[register] = local;
    this.registerOfLocal[local] = register;
  }

  getLocal(index: number): void {
    const type = this.locals[index] as ValueType;
    const register = this.registerOfLocal[index] as number;
    if (register >= 0) {
      this.uses[register]!++;
      this.pushRegister(type, register);
    } else this.stack.push({ type, kind: "local", a: index, b: 0 });
  }

  /** Writes a popped value to a local; the value is not released. */
  setLocal(index: number, value: Value): void {
    for (const entry of this.stack) if (entry.kind === "local" && entry.a === index) this.register(entry);
    if (value.kind === "local" && value.a === index) return;
    const old = this.registerOfLocal[index] as number;
    if (old >= 0 && !(value.kind === "register" && value.a === old)) this.uncache(old);
    const slot = this.localSlot(index);
    if (value.kind === "constant" && !isFloat(value.type) && (value.type !== i64 || value.b === value.a >> 31)) {
      this.storeConstant(value, slot);
      return;
    }
    const register = this.register(value);
    this.store(value.type, slot, register);
    this.cache(index, register);
  }

  /** A branch that carries the caches on to `label`, where they must agree with those of the other branches. */
  mergeCaches(known: Int32Array | undefined): Int32Array {
    if (known === undefined) return this.cached.slice();
    for (let i = 0; i < 32; i++) if (known[i] !== this.cached[i]) known[i] = -1;
    return known;
  }
}

export interface ControlFrame {
  readonly kind: "function" | "block" | "loop" | "if" | "else";
  readonly label: Label;
  readonly elseLabel: Label | undefined;
  /** Height of the operand stack below the frame's parameters. */
  readonly height: number;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  /** True if the frame began in reachable code. */
  readonly live: boolean;
  targeted: boolean;
  caches: Int32Array | undefined;
  elseCaches: Int32Array | undefined;
}
