import { assert } from "#base";
import { Assembler, type Label } from "../assemble/assembler.ts";
import type { CodeBlock } from "../assemble/code.ts";
import { integerRegisters, isFloat, outgoing, parallelMoves, signatureLayout, type Transfer } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { blockSignature } from "../decode/body.ts";
import { opcode } from "../decode/opcodes.ts";
import { f32, type FunctionType, type Module, type ModuleFunction, type Operator, type ValueType } from "../decode/types.ts";
import { type ControlFrame, State, type Value } from "./state.ts";

/** Conditions beyond the processor's sixteen: float equality needs two flags. */
export const floatEqual = 16;
export const floatNotEqual = 17;

/** Everything the operators' emitters need: the state of values, the control stack and the moves at its edges. */
export class FunctionCompiler {
  readonly module: Module;
  readonly item: ModuleFunction;
  readonly assembler = new Assembler();
  readonly state: State;
  readonly frames: ControlFrame[] = [];
  /** In unreachable code: how many blocks began in it. */
  dead = -1;
  /** A comparison whose flags the next operator uses. */
  condition: number | undefined;
  /** Index of the operator after the current one. */
  next = 0;

  constructor(module: Module, item: ModuleFunction) {
    this.module = module;
    this.item = item;
    this.state = new State(this.assembler, [...item.type.params, ...item.body.locals], outgoingSlots(module, item));
  }

  get reachable(): boolean {
    return this.dead < 0;
  }

  functionType(index: number): FunctionType {
    return this.module.types[this.module.functionTypes[index] as number] as FunctionType;
  }

  nextOperator(): Operator | undefined {
    return this.item.body.operators[this.next];
  }

  // ---- prologue and epilogue --------------------------------------------------------------------------------------

  prologue(): void {
    const a = this.assembler;
    a.raw(0x48, 0x81, 0xec); // sub rsp, imm32
    this.patchWithFrame(0);
    const { params } = signatureLayout(this.item.type);
    params.forEach((param, i) => {
      const type = this.item.type.params[i] as ValueType;
      if (param.kind === "stack") return;
      this.state.store(type, this.state.localSlot(i), param.kind === "float" ? param.index + 16 : param.index);
    });
    params.forEach((param, i) => {
      if (param.kind !== "stack") return;
      this.raxAtIncoming(0x8b, param.index);
      a.store(8, this.state.localSlot(i), r.rax);
    });
    if (this.item.body.locals.length > 0) {
      a.constant32(r.rax, 0);
      for (let i = params.length; i < this.state.locals.length; i++) a.store(8, this.state.localSlot(i), r.rax);
    }
  }

  /** The frame's size is known at the end: notes four bytes to which it will be added, and emits them. */
  private patchWithFrame(value: number): void {
    this.framePlaces.push({ at: this.assembler.length, value });
    this.assembler.int32(0);
  }
  private readonly framePlaces: { readonly at: number; readonly value: number }[] = [];

  /** mov rax, [incoming slot] (0x8b) or mov [incoming slot], rax (0x89). */
  private raxAtIncoming(opcode: number, slot: number): void {
    this.assembler.raw(0x48, opcode, 0x84, 0x24);
    this.patchWithFrame(8 + 8 * slot);
  }

  /** The function's results, on top of the operand stack, go to where the convention wants them. Leaves the state as it is. */
  returnValues(): void {
    const { results } = signatureLayout(this.item.type);
    const { stack } = this.state;
    const base = stack.length - results.length;
    results.forEach((place, i) => {
      if (place.kind !== "stack") return;
      const value = stack[base + i] as Value;
      if (isFloat(value.type)) {
        this.state.into(value, 31);
        this.assembler.floatToBits(value.type !== f32, r.rax, 15);
      } else this.state.into(value, r.rax);
      this.raxAtIncoming(0x89, place.index);
    });
    this.intoPlaces(results, base);
    this.assembler.raw(0x48, 0x81, 0xc4); // add rsp, imm32
    this.patchWithFrame(0);
    this.assembler.return();
  }

  // ---- moves ------------------------------------------------------------------------------------------------------

  /** Moves stack entries from `base` on to the registers of `places`; entries for the stack are left to the caller. */
  intoPlaces(places: readonly { readonly kind: string; readonly index: number }[], base: number): void {
    const { state, assembler } = this;
    const general: Transfer[] = [];
    const float: Transfer[] = [];
    places.forEach((place, i) => {
      if (place.kind === "stack") return;
      const value = state.stack[base + i] as Value;
      const to = place.kind === "float" ? place.index + 16 : place.index;
      if (value.kind === "register") (to >= 16 ? float : general).push({ from: value.a, to });
    });
    // A float constant goes through rax, so floats are loaded before rax gets its value.
    parallelMoves(
      float,
      (to, from) => state.moveRegister(to, from),
      (x, y) => {
        state.moveRegister(31, x);
        state.moveRegister(x, y);
        state.moveRegister(y, 31);
      },
    );
    places.forEach((place, i) => {
      const value = state.stack[base + i] as Value;
      if (place.kind === "float" && value.kind !== "register") state.into(value, place.index + 16);
    });
    parallelMoves(
      general,
      (to, from) => state.moveRegister(to, from),
      (x, y) => assembler.exchange(true, x, y),
    );
    places.forEach((place, i) => {
      const value = state.stack[base + i] as Value;
      if (place.kind === "integer" && value.kind !== "register") state.into(value, place.index);
    });
  }

  /** Copies the top operands to the slots where the target of a branch expects them. */
  moveToLabel(frame: ControlFrame): void {
    const types = frame.kind === "loop" ? frame.params : frame.results;
    const { state } = this;
    const base = state.stack.length - types.length;
    for (let i = 0; i < types.length; i++) {
      const value = state.stack[base + i] as Value;
      if (value.kind === "slot" && value.a === frame.height + i) continue;
      state.intoMemory(value, state.stackSlot(frame.height + i));
    }
  }

  labelArity(frame: ControlFrame): number {
    return (frame.kind === "loop" ? frame.params : frame.results).length;
  }

  frameAt(depth: number): ControlFrame {
    const frame = this.frames[this.frames.length - 1 - depth];
    assert(frame !== undefined, "validated labels exist");
    return frame;
  }

  /** Notes a branch to `frame` with the caches as they are. A loop's header has none. */
  target(frame: ControlFrame): void {
    frame.targeted = true;
    if (frame.kind !== "loop") frame.caches = this.state.mergeCaches(frame.caches);
  }

  branch(depth: number): void {
    const frame = this.frameAt(depth);
    if (frame.kind === "function") {
      this.returnValues();
      return;
    }
    this.moveToLabel(frame);
    this.target(frame);
    this.assembler.jump(frame.label);
  }

  markDead(): void {
    const frame = this.frames[this.frames.length - 1] as ControlFrame;
    this.state.truncate(frame.height);
    this.dead = 0;
  }

  signature(operator: Operator): FunctionType {
    return blockSignature(this.module, operator.a) as FunctionType;
  }

  // ---- conditions -------------------------------------------------------------------------------------------------

  /** Pops the condition, or takes the flags of the comparison just emitted. */
  takeCondition(): number {
    if (this.condition !== undefined) {
      const condition = this.condition;
      this.condition = undefined;
      return condition;
    }
    const { state, assembler } = this;
    const value = state.pop();
    if (value.kind === "constant") {
      assembler.constant32(r.rax, value.a);
      assembler.test(false, r.rax, r.rax);
    } else {
      const operand = state.operand(value);
      if (typeof operand === "number") assembler.test(false, operand, operand);
      else assembler.aluImmediate(7, false, operand, 0);
    }
    state.release(value);
    return r.notEqual;
  }

  jumpIf(condition: number, label: Label): void {
    const a = this.assembler;
    if (condition === floatEqual) {
      const skip = a.newLabel();
      a.jumpIf(r.parity, skip);
      a.jumpIf(r.equal, label);
      a.bind(skip);
    } else if (condition === floatNotEqual) {
      a.jumpIf(r.parity, label);
      a.jumpIf(r.notEqual, label);
    } else a.jumpIf(condition, label);
  }

  // ---- calls ------------------------------------------------------------------------------------------------------

  /** Puts the arguments in place, lets `emit` call, and pushes the results. */
  call(type: FunctionType, emit: () => void): void {
    const { state } = this;
    const layout = signatureLayout(type);
    const base = state.stack.length - type.params.length;
    const args = state.stack.splice(base);
    state.flushRegisters();
    state.stack.push(...args);
    layout.params.forEach((place, i) => {
      if (place.kind === "stack") state.intoMemory(args[i] as Value, outgoing(place.index));
    });
    this.intoPlaces(layout.params, base);
    state.truncate(base);
    state.forgetCaches();
    emit();
    this.pushResults(type);
  }

  pushResults(type: FunctionType): void {
    const { state, assembler } = this;
    const { results } = signatureLayout(type);
    if (results.length === 1) {
      const [resultType] = type.results as [ValueType];
      const float = isFloat(resultType);
      const register = state.allocate(float);
      state.moveRegister(register, float ? 16 : r.rax);
      state.pushRegister(resultType, register);
      return;
    }
    results.forEach((place, i) => {
      const resultType = type.results[i] as ValueType;
      if (place.kind === "stack") return;
      state.store(resultType, state.stackSlot(state.stack.length + i), place.kind === "float" ? place.index + 16 : place.index);
    });
    results.forEach((place, i) => {
      if (place.kind !== "stack") return;
      assembler.move(true, r.rax, outgoing(place.index));
      assembler.store(8, state.stackSlot(state.stack.length + i), r.rax);
    });
    for (const resultType of type.results) state.pushSlot(resultType);
  }

  /** Calls a helper of the runtime: `operands` from the stack, then the addresses of symbols, in the convention's integer registers. */
  callRuntime(name: string, operands: number, symbols: readonly string[], result: ValueType | undefined): void {
    const { state, assembler } = this;
    const params = state.stack.slice(state.stack.length - operands).map((value) => value.type);
    this.call({ params, results: result === undefined ? [] : [result] }, () => {
      symbols.forEach((symbol, i) => assembler.addressOf(integerRegisters[operands + i] as number, symbol));
      assembler.call(name);
    });
  }

  finish(): CodeBlock {
    const block = this.assembler.finish();
    const view = new DataView(block.bytes.buffer);
    for (const { at, value } of this.framePlaces) view.setInt32(this.assembler.finalPosition(at), this.state.frameBytes() + value, true);
    return block;
  }
}

const opCall = opcode("call");
const opCallIndirect = opcode("call_indirect");

/** Slots of the outgoing area that the function's calls need. */
export function outgoingSlots(module: Module, item: ModuleFunction): number {
  let slots = 0;
  for (const operator of item.body.operators) {
    if (operator.code !== opCall && operator.code !== opCallIndirect) continue;
    const index = operator.code === opCall ? (module.functionTypes[operator.a] as number) : operator.a;
    slots = Math.max(slots, signatureLayout(module.types[index] as FunctionType).slots);
  }
  return slots;
}
