import { assert, CodedError } from "#base";
import { Assembler, at, type Memory, type Operand, symbol } from "../assemble/assembler.ts";
import { isFloat, maximumFrameBytes } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { constantSymbol64 } from "../assemble/sequences.ts";
import type { ValueType } from "../decode/types.ts";
import { type Edge, isConstant, opcodes, type Value } from "../ir/value.ts";
import type { Node } from "../select/tile.ts";

/**
 * Registers and slots while code is emitted, block after block.
 *
 * A value is in at most one register. When its register is wanted, or a call comes, it is stored to its slot, unless it is there already
 * on this path (`saved`), and loaded again at its next use. What is wanted last leaves first. Constants are made again instead.
 * xmm14 and xmm15 stay free for moves; rsp and r15 are not ours.
 */
const generalOrder = [r.rbx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.rdx, r.rcx, r.rax];
const floatOrder = [22, 23, 24, 25, 26, 27, 28, 29, 21, 20, 19, 18, 17, 16];

export function isFloatValue(value: Value): boolean {
  return isFloat(value.type as ValueType);
}

/** Where values are at the start of a block (edges.ts). */
export interface StartState {
  readonly registers: readonly (Value | undefined)[];
  /** Values whose slots hold them, with the slots. Parameters without a register are among them. */
  readonly saved: ReadonlyMap<Value, number>;
}

export class Machine {
  readonly assembler = new Assembler();
  readonly contents: (Value | undefined)[] = new Array<Value | undefined>(32).fill(undefined);
  /** Registers that the current node depends on, as bits. */
  pinned = 0;
  private readonly outgoingSlots: number;
  /** By slot: the live value it holds on the path being compiled. */
  private readonly owners: (Value | undefined)[] = [];
  /** By local: the slot its values prefer, so that blocks meet with them in the same places. */
  private readonly homes = new Map<number, number>();
  private readonly isHome: boolean[] = [];
  private readonly framePlaces: { readonly at: number; readonly value: number }[] = [];

  /** Register whose value the flags tell of, as long as nothing was emitted since. */
  private flags = { register: -1, isWide: false, at: -1 };

  noteFlags(register: number, isWide: boolean): void {
    this.flags = { register, isWide, at: this.assembler.length };
  }
  /** True if the zero flag tells whether the register is zero. */
  hasFlags(register: number, isWide: boolean): boolean {
    const { flags } = this;
    return flags.at === this.assembler.length && flags.register === register && (!flags.isWide || isWide);
  }

  constructor(outgoingSlots: number) {
    this.outgoingSlots = outgoingSlots;
  }

  // ---- frame ------------------------------------------------------------------------------------------------------

  slotMemory(slot: number): Memory {
    return at(r.rsp, 8 * (this.outgoingSlots + slot));
  }
  /** A slot for a value, which is free in `owners`: that of its local, else any. */
  chooseSlot(value: Value, owners: readonly (Value | undefined)[] = this.owners): number {
    if (value.local >= 0) {
      let home = this.homes.get(value.local);
      if (home === undefined) {
        home = this.slotCount++;
        this.isHome[home] = true;
        this.homes.set(value.local, home);
      }
      if (owners[home] === undefined) return home;
    }
    for (let slot = 0; slot < this.slotCount; slot++) if (this.isHome[slot] !== true && owners[slot] === undefined) return slot;
    return this.slotCount++;
  }
  private slotCount = 0;
  /** The value is in this slot from now on, on this path. */
  own(value: Value, slot: number): void {
    value.slot = slot;
    value.saved = true;
    this.owners[slot] = value;
  }
  disown(value: Value): void {
    if (value.saved && this.owners[value.slot] === value) this.owners[value.slot] = undefined;
    value.saved = false;
  }
  forgetSlots(): void {
    this.owners.length = 0;
  }
  frameBytes(): number {
    const bytes = 8 * (this.outgoingSlots + this.slotCount);
    if (bytes > maximumFrameBytes)
      throw new CodedError("MF_COMPILE_LIMIT", `a function needs a frame of ${bytes} bytes, ${maximumFrameBytes} are allowed; split it`);
    return bytes;
  }
  /** Four bytes to which the frame's size is added when it is known. */
  patchWithFrame(value: number): void {
    this.framePlaces.push({ at: this.assembler.length, value });
    this.assembler.int32(0);
  }
  /** add rsp (0xc4) or sub rsp (0xec) */
  adjustStack(modrm: number): void {
    this.assembler.raw(0x48, 0x81, modrm);
    this.patchWithFrame(0);
  }
  /** mov register, [incoming slot] (0x8b) or mov [incoming slot], register (0x89) */
  incoming(opcode: number, register: number, slot: number): void {
    this.assembler.raw(0x48 | (register >= 8 ? 4 : 0), opcode, 0x84 | ((register & 7) << 3), 0x24);
    this.patchWithFrame(8 + 8 * slot);
  }
  patchFrame(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer);
    const frame = this.frameBytes();
    for (const { at: noted, value } of this.framePlaces) {
      const place = this.assembler.finalPosition(noted);
      view.setInt32(place, frame + value, true);
      // Without a frame, adjusting the stack is a seven-byte nop.
      if (frame === 0 && value === 0) bytes.set([0x0f, 0x1f, 0x80, 0, 0, 0, 0], place - 3);
    }
  }

  // ---- moves ------------------------------------------------------------------------------------------------------

  moveRegister(to: number, from: number): void {
    if (to === from) return;
    if (to >= 16 && from >= 16) this.assembler.floatMove(to - 16, from - 16);
    else if (to >= 16) this.assembler.floatFromBits(true, to - 16, from);
    else if (from >= 16) this.assembler.floatToBits(true, to, from - 16);
    else this.assembler.move(true, to, from);
  }
  exchangeRegisters(x: number, y: number): void {
    this.assembler.exchange(true, x, y);
  }
  loadSlot(register: number, slot: number): void {
    if (register >= 16) this.assembler.floatLoad(true, register - 16, this.slotMemory(slot));
    else this.assembler.move(true, register, this.slotMemory(slot));
  }
  storeSlot(slot: number, register: number): void {
    if (register >= 16) this.assembler.floatStore(true, this.slotMemory(slot), register - 16);
    else this.assembler.store(8, this.slotMemory(slot), register);
  }
  /** Keeps flags. */
  loadConstant(register: number, value: Value): void {
    const a = this.assembler;
    if (register < 16) {
      a.constant64(register, value.a, value.op === opcodes.i32Const ? 0 : value.b, true);
      return;
    }
    if (value.a === 0 && value.b === 0) a.floatZero(register - 16);
    else a.floatLoad(true, register - 16, this.constantMemory(value));
  }
  storeConstant(slot: number, value: Value): void {
    const to = this.slotMemory(slot);
    const high = value.op === opcodes.i32Const || value.op === opcodes.f32Const ? 0 : value.b;
    if (high === value.a >> 31) this.assembler.storeImmediate(8, to, value.a);
    else {
      this.assembler.storeImmediate(4, to, value.a);
      this.assembler.storeImmediate(4, { ...to, displacement: to.displacement + 4 }, high);
    }
  }
  constantMemory(value: Value): Memory {
    return symbol(constantSymbol64(value.a, value.op === opcodes.f32Const ? 0 : value.b));
  }

  // ---- registers --------------------------------------------------------------------------------------------------

  /** Notes that a register holds a value from now on. */
  put(value: Value, register: number): void {
    this.contents[register] = value;
    value.register = register;
  }
  /** A value computed by the current step, or come from outside. */
  place(value: Value, register: number, next: number): void {
    value.next = next;
    value.saved = false;
    assert(this.contents[register] === undefined, "a result's register is free");
    this.put(value, register);
  }
  /** The node is emitted. */
  settle(_value: Value): void {
    this.pinned = 0;
  }
  drop(value: Value): void {
    if (value.register >= 0) this.contents[value.register] = undefined;
    value.register = -1;
  }
  /** Stores a value that is only in its register and still wanted. */
  save(value: Value): void {
    if (value.saved || isConstant(value) || value.next === Infinity) return;
    const slot = this.chooseSlot(value);
    this.storeSlot(slot, value.register);
    this.own(value, slot);
  }
  private evict(value: Value): void {
    this.save(value);
    this.drop(value);
  }

  /** A register nothing depends on; it is not pinned and holds nothing. */
  take(float: boolean, hint = -1, avoid = 0): number {
    const unwanted = this.pinned | avoid;
    if (hint >= 0 && hint >= 16 === float && ((unwanted >> hint) & 1) === 0 && this.contents[hint] === undefined) return hint;
    let victim: Value | undefined;
    for (const register of float ? floatOrder : generalOrder) {
      if (((unwanted >>> register) & 1) !== 0) continue;
      const value = this.contents[register];
      if (value === undefined) return register;
      if (victim === undefined || value.next > victim.next) victim = value;
    }
    assert(victim !== undefined, "a node leaves some register free");
    const register = victim.register;
    this.evict(victim);
    return register;
  }

  pin(register: number): void {
    this.pinned |= 1 << register;
  }

  /** The value in a register of its class, pinned until the node's result. */
  register(value: Value): number {
    if (value.register < 0) {
      const register = this.take(isFloatValue(value), value.hint);
      this.fetch(value, register);
      this.put(value, register);
    }
    this.pin(value.register);
    return value.register;
  }
  /** Copies a value to a register, from wherever it is. */
  fetch(value: Value, register: number): void {
    if (value.register >= 0) this.moveRegister(register, value.register);
    else if (isConstant(value)) this.loadConstant(register, value);
    else {
      assert(value.saved && value.slot >= 0, `value ${value.id} is somewhere`);
      this.loadSlot(register, value.slot);
    }
  }

  /** A register or, for what lies in memory and is not wanted soon, its slot. SSE registers by their own number. */
  operand(value: Value, node: Node): Operand {
    if (value.register < 0) {
      if (isConstant(value) && isFloatValue(value)) return this.constantMemory(value);
      const k = node.inputs.indexOf(value);
      if (!isConstant(value) && value.saved && (node.after[k] ?? 0) > value.next + 24) return this.slotMemory(value.slot);
    }
    const register = this.register(value);
    return register >= 16 ? register - 16 : register;
  }

  /** Empties a given register and pins it. What was there moves elsewhere, pinned again when it was. */
  reserve(register: number): void {
    const value = this.contents[register];
    if (value !== undefined) {
      const wasPinned = ((this.pinned >>> register) & 1) !== 0;
      this.pin(register);
      if (isConstant(value) && !wasPinned) this.drop(value);
      else {
        const to = this.freeRegister(register >= 16) ?? (wasPinned ? this.take(register >= 16) : -1);
        if (to < 0) this.evict(value);
        else {
          this.moveRegister(to, register);
          this.contents[register] = undefined;
          this.put(value, to);
          if (wasPinned) this.pin(to);
        }
      }
    }
    this.pin(register);
  }
  private freeRegister(float: boolean): number | undefined {
    return (float ? floatOrder : generalOrder).find(
      (register) => ((this.pinned >>> register) & 1) === 0 && this.contents[register] === undefined,
    );
  }

  /** True if this node is the last use of the value on this path. */
  dies(value: Value, node: Node): boolean {
    const k = node.inputs.indexOf(value);
    return k >= 0 && node.after[k] === Infinity;
  }

  /** A value in a given register that the node will change: a copy, unless it dies here. */
  intoReserved(value: Value, register: number, node: Node): void {
    if (value.register === register && this.dies(value, node)) {
      this.pin(register);
      return;
    }
    this.reserve(register);
    this.fetch(value, register);
  }
  /** A value in a given register that the node only reads. */
  intoFixed(value: Value, register: number): void {
    if (value.register === register) this.pin(register);
    else {
      this.reserve(register);
      this.fetch(value, register);
    }
  }

  /** All inputs are read: what is not wanted any more leaves its register, and nothing is pinned but `keep`. */
  advance(node: Node, keep = 0): void {
    for (let k = 0; k < node.inputs.length; k++) {
      const value = node.inputs[k]!;
      value.next = node.after[k] as number;
      if (value.next === Infinity) this.release(value);
    }
    this.pinned = keep;
  }
  release(value: Value): void {
    this.drop(value);
    this.disown(value);
  }

  /** A register for the node's result: `preferred` when it is free now, else its hint, else any but those in `avoid`. */
  define(node: Node, preferred = -1, avoid = 0): number {
    const value = node.value as Value;
    const hint = value.hint;
    let register: number;
    if (
      preferred >= 0 &&
      preferred >= 16 === isFloatValue(value) &&
      this.contents[preferred] === undefined &&
      ((avoid >>> preferred) & 1) === 0
    )
      register = preferred;
    else register = this.take(isFloatValue(value), hint, avoid);
    this.result(node, register);
    return register;
  }
  /** The node's result is in this register, which holds nothing. */
  result(node: Node, register: number): void {
    this.pinned = 0;
    if (node.outNext !== Infinity) this.place(node.value as Value, register, node.outNext);
  }

  /** A block begins as its start state says. */
  entered(_start: StartState): void {}
  /** Moves on an edge; the machine stays at the end of the block they leave. */
  edge(_edge: Edge, _start: StartState, emit: () => void): void {
    emit();
  }

  /** A register of the node's own, until its result; pinned. */
  temporary(float: boolean): number {
    const register = this.take(float);
    this.pin(register);
    return register;
  }

  /** Before a call: everything wanted later is stored. Registers still hold their values, for the arguments. */
  saveAll(node: Node | undefined): void {
    for (let register = 0; register < 32; register++) {
      const value = this.contents[register];
      if (value === undefined || isConstant(value) || value.saved) continue;
      const k = node === undefined ? -1 : node.inputs.indexOf(value);
      if (k >= 0 && node?.after[k] === Infinity) continue;
      this.save(value);
    }
  }
  /** After a call nothing is in a register. */
  clear(): void {
    for (let register = 0; register < 32; register++) {
      const value = this.contents[register];
      if (value !== undefined) this.drop(value);
    }
    this.pinned = 0;
  }
}
