import { assert } from "#base";
import { type CodeBlock, type RelocationKind, trapKinds, type TrapKind, trapNumber } from "./code.ts";
import { relax } from "./relax.ts";

/**
 * An x86-64 encoder. One method per instruction form; operands are register numbers or `Memory`.
 * Encoding (Intel SDM vol. 2, ch. 2): [66|F2|F3] [REX] opcode ModRM [SIB] [disp8|disp32] [imm].
 */
export interface Memory {
  /** −1: none. */
  readonly base: number;
  /** −1: none. rsp cannot be an index. */
  readonly index: number;
  /** log2: 0–3. */
  readonly scale: number;
  readonly displacement: number;
  /** With base and index −1: RIP-relative to the symbol; else the symbol's absolute address is added to the displacement. */
  readonly symbol: string | undefined;
}

export function at(base: number, displacement = 0): Memory {
  return { base, index: -1, scale: 0, displacement, symbol: undefined };
}
export function indexed(base: number, index: number, scale = 0, displacement = 0): Memory {
  return { base, index, scale, displacement, symbol: undefined };
}
export function symbol(name: string, displacement = 0): Memory {
  return { base: -1, index: -1, scale: 0, displacement, symbol: name };
}
export function symbolIndexed(name: string, index: number, scale: number): Memory {
  return { base: -1, index, scale, displacement: 0, symbol: name };
}

export type Operand = number | Memory;
export type Label = number;

/** The eight two-operand arithmetic instructions, by the number in their opcodes. */
export const alu = { add: 0, or: 1, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
/** Shifts and rotates by their ModRM extension. */
export const shift = { rotateLeft: 0, rotateRight: 1, left: 4, right: 5, rightSigned: 7 } as const;

export class Assembler {
  bytes = new Uint8Array(1024);
  length = 0;
  readonly relocations: { at: number; kind: RelocationKind; symbol: string; addend: number }[] = [];
  private readonly labels: number[] = [];
  private readonly jumps: { readonly at: number; readonly label: Label }[] = [];
  /** Relocations whose addend is a label's offset. */
  private readonly labelled: { readonly relocation: number; readonly label: Label }[] = [];
  private readonly deferred: (() => void)[] = [];
  private readonly coldTraps = new Map<TrapKind, Label>();

  private reserve(): void {
    if (this.length + 32 <= this.bytes.length) return;
    const larger = new Uint8Array(this.bytes.length * 2);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  byte(value: number): void {
    this.reserve();
    this.bytes[this.length++] = value;
  }

  int32(value: number): void {
    this.reserve();
    const { bytes } = this;
    bytes[this.length++] = value;
    bytes[this.length++] = value >> 8;
    bytes[this.length++] = value >> 16;
    bytes[this.length++] = value >> 24;
  }

  relocate(kind: RelocationKind, name: string, addend: number): void {
    this.relocations.push({ at: this.length, kind, symbol: name, addend });
    this.int32(0);
    if (kind === "absolute64") this.int32(0);
  }

  newLabel(): Label {
    this.labels.push(-1);
    return this.labels.length - 1;
  }

  bind(label: Label): void {
    assert(this.labels[label] === -1, "a label is bound once");
    this.labels[label] = this.length;
  }

  /** Offset of a bound label. */
  offsetOf(label: Label): number {
    return this.labels[label] as number;
  }

  /** A label whose trap is emitted after the function's code, one per kind. */
  coldTrap(kind: TrapKind): Label {
    let label = this.coldTraps.get(kind);
    if (label === undefined) {
      label = this.newLabel();
      this.coldTraps.set(kind, label);
    }
    return label;
  }

  /**
   * `ud1` (0F B9 /r) raises #UD; its ModRM byte, which nothing executes, carries the kind: 0xC0 + kind.
   * The trap handler reads it at RIP + 2.
   */
  trapHere(kind: TrapKind): void {
    assert(trapKinds.length <= 64, "a kind fits in the low six bits of ModRM");
    this.byte(0x0f);
    this.byte(0xb9);
    this.byte(0xc0 + trapNumber(kind));
  }

  /** Emits after the function's own code, out of the way of what usually runs. */
  later(emit: () => void): void {
    this.deferred.push(emit);
  }

  finish(): CodeBlock {
    for (let i = 0; i < this.deferred.length; i++) this.deferred[i]?.();
    for (const [kind, label] of this.coldTraps) {
      this.bind(label);
      this.trapHere(kind);
    }
    const jumps = this.jumps.map(({ at: place, label }) => {
      const target = this.labels[label] as number;
      assert(target >= 0, "every label used is bound");
      return { at: place, target };
    });
    const relaxed = relax(this.bytes.subarray(0, this.length), jumps);
    this.finalPosition = relaxed.position;
    for (const { relocation, label } of this.labelled) {
      const entry = this.relocations[relocation];
      if (entry !== undefined) entry.addend += relaxed.position(this.labels[label] as number);
    }
    for (const entry of this.relocations) entry.at = relaxed.position(entry.at);
    return { bytes: relaxed.bytes, relocations: this.relocations };
  }

  /** Where an offset noted while assembling lies in the finished bytes. */
  finalPosition: (offset: number) => number = (offset) => offset;

  // ---- the general form -------------------------------------------------------------------------------------------

  /**
   * prefix 0 for none; opcode of one byte, or 0x0Fxx, or 0x0F38xx / 0x0F3Axx; `reg` a register or an opcode extension;
   * `byteRegister` marks 8-bit operands, for which spl…dil need a REX; `immediateBytes` follow the operand (RIP-relative addresses count from after them).
   */
  op(prefix: number, isWide: boolean, opcode: number, reg: number, rm: Operand, byteRegister = false, immediateBytes = 0): void {
    this.reserve();
    if (prefix !== 0) this.bytes[this.length++] = prefix;
    const isRegister = typeof rm === "number";
    let rex = isWide ? 0x48 : 0;
    if (reg >= 8) rex |= 0x44;
    if (isRegister) {
      if (rm >= 8) rex |= 0x41;
      if (byteRegister && rm >= 4) rex |= 0x40;
    } else {
      if (rm.base >= 8) rex |= 0x41;
      if (rm.index >= 8) rex |= 0x42;
    }
    if (byteRegister && reg >= 4) rex |= 0x40;
    if (rex !== 0) this.bytes[this.length++] = rex;
    if (opcode > 0xffff) this.bytes[this.length++] = opcode >> 16;
    if (opcode > 0xff) this.bytes[this.length++] = opcode >> 8;
    this.bytes[this.length++] = opcode;
    if (isRegister) this.bytes[this.length++] = 0xc0 | ((reg & 7) << 3) | (rm & 7);
    else this.memory(reg & 7, rm, immediateBytes);
  }

  private memory(reg: number, rm: Memory, immediateBytes: number): void {
    const { bytes } = this;
    const field = reg << 3;
    if (rm.base < 0) {
      if (rm.index < 0 && rm.symbol !== undefined) {
        bytes[this.length++] = field | 5;
        this.relocate("relative32", rm.symbol, rm.displacement - immediateBytes);
        return;
      }
      bytes[this.length++] = field | 4;
      bytes[this.length++] = (rm.scale << 6) | ((rm.index < 0 ? 4 : rm.index & 7) << 3) | 5;
      if (rm.symbol === undefined) this.int32(rm.displacement);
      else this.relocate("absolute32", rm.symbol, rm.displacement);
      return;
    }
    const base = rm.base & 7;
    const displacement = rm.displacement;
    // A base of rbp or r13 without displacement means something else, so it gets a zero disp8.
    const mode = rm.symbol !== undefined ? 2 : displacement === 0 && base !== 5 ? 0 : displacement >= -128 && displacement <= 127 ? 1 : 2;
    if (rm.index >= 0 || base === 4) {
      bytes[this.length++] = (mode << 6) | field | 4;
      bytes[this.length++] = (rm.scale << 6) | ((rm.index < 0 ? 4 : rm.index & 7) << 3) | base;
    } else bytes[this.length++] = (mode << 6) | field | base;
    if (mode === 1) bytes[this.length++] = displacement;
    else if (mode === 2) {
      if (rm.symbol === undefined) this.int32(displacement);
      else this.relocate("absolute32", rm.symbol, displacement);
    }
  }

  // ---- general registers ------------------------------------------------------------------------------------------

  move(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x8b, to, from);
  }
  /** Stores 1, 2, 4 or 8 bytes of a register. */
  store(bytes: number, to: Memory, from: number): void {
    if (bytes === 1) this.op(0, false, 0x88, from, to, true);
    else this.op(bytes === 2 ? 0x66 : 0, bytes === 8, 0x89, from, to);
  }
  /** Stores a constant, sign-extended from 32 bits when 8 bytes are stored. */
  storeImmediate(bytes: number, to: Memory, value: number): void {
    if (bytes === 1) {
      this.op(0, false, 0xc6, 0, to, false, 1);
      this.byte(value);
    } else if (bytes === 2) {
      this.op(0x66, false, 0xc7, 0, to, false, 2);
      this.byte(value);
      this.byte(value >> 8);
    } else {
      this.op(0, bytes === 8, 0xc7, 0, to, false, 4);
      this.int32(value);
    }
  }
  loadZero8(to: number, from: Operand): void {
    this.op(0, false, 0x0fb6, to, from, typeof from === "number");
  }
  loadZero16(to: number, from: Operand): void {
    this.op(0, false, 0x0fb7, to, from);
  }
  loadSigned8(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0fbe, to, from, typeof from === "number");
  }
  loadSigned16(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0fbf, to, from);
  }
  /** movsxd: 32 → 64 bits. */
  loadSigned32(to: number, from: Operand): void {
    this.op(0, true, 0x63, to, from);
  }
  /** xor for zero (changes flags), else the shortest mov. */
  constant32(to: number, value: number): void {
    if (value === 0) this.op(0, false, 0x31, to, to);
    else this.constantKeepingFlags32(to, value);
  }
  constantKeepingFlags32(to: number, value: number): void {
    this.reserve();
    if (to >= 8) this.byte(0x41);
    this.byte(0xb8 + (to & 7));
    this.int32(value);
  }
  /** low and high are the signed halves. */
  constant64(to: number, low: number, high: number, keepFlags = false): void {
    if (high === 0) {
      if (keepFlags) this.constantKeepingFlags32(to, low);
      else this.constant32(to, low);
      return;
    }
    if (high === -1 && low < 0) {
      this.op(0, true, 0xc7, 0, to);
      this.int32(low);
      return;
    }
    this.reserve();
    this.byte(to >= 8 ? 0x49 : 0x48);
    this.byte(0xb8 + (to & 7));
    this.int32(low);
    this.int32(high);
  }
  /** The address of a symbol, which lies in the low 2 GiB. */
  addressOf(to: number, name: string, addend = 0): void {
    this.reserve();
    if (to >= 8) this.byte(0x41);
    this.byte(0xb8 + (to & 7));
    this.relocate("absolute32", name, addend);
  }
  /** The 64-bit value of a symbol, such as the base of a linear memory. */
  addressOf64(to: number, name: string, addend = 0): void {
    this.reserve();
    this.byte(to >= 8 ? 0x49 : 0x48);
    this.byte(0xb8 + (to & 7));
    this.relocate("absolute64", name, addend);
  }
  alu(operation: number, isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, (operation << 3) | 3, to, from);
  }
  /** [memory] op= register, or cmp [memory], register. */
  aluStore(operation: number, isWide: boolean, to: Memory, from: number): void {
    this.op(0, isWide, (operation << 3) | 1, from, to);
  }
  aluImmediate(operation: number, isWide: boolean, to: Operand, value: number): void {
    if (value >= -128 && value <= 127) {
      this.op(0, isWide, 0x83, operation, to, false, 1);
      this.byte(value);
    } else {
      this.op(0, isWide, 0x81, operation, to, false, 4);
      this.int32(value);
    }
  }
  /** cmp dword [memory], the low 32 bits of a symbol's value. */
  compareWithSymbol(to: Memory, name: string): void {
    this.op(0, false, 0x81, alu.cmp, to, false, 4);
    this.relocate("absolute32", name, 0);
  }
  compare8Immediate(left: Memory, value: number): void {
    this.op(0, false, 0x80, alu.cmp, left, false, 1);
    this.byte(value);
  }
  test(isWide: boolean, left: Operand, right: number): void {
    this.op(0, isWide, 0x85, right, left);
  }
  testImmediate(isWide: boolean, left: Operand, value: number): void {
    this.op(0, isWide, 0xf7, 0, left, false, 4);
    this.int32(value);
  }
  lea(isWide: boolean, to: number, from: Memory): void {
    this.op(0, isWide, 0x8d, to, from);
  }
  multiply(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0faf, to, from);
  }
  multiplyImmediate(isWide: boolean, to: number, from: Operand, value: number): void {
    const short = value >= -128 && value <= 127;
    this.op(0, isWide, short ? 0x6b : 0x69, to, from, false, short ? 1 : 4);
    if (short) this.byte(value);
    else this.int32(value);
  }
  negate(isWide: boolean, to: number): void {
    this.op(0, isWide, 0xf7, 3, to);
  }
  not(isWide: boolean, to: number): void {
    this.op(0, isWide, 0xf7, 2, to);
  }
  /** rdx:rax ÷ divisor → quotient rax, remainder rdx. */
  divideSigned(isWide: boolean, divisor: number): void {
    this.op(0, isWide, 0xf7, 7, divisor);
  }
  divideUnsigned(isWide: boolean, divisor: number): void {
    this.op(0, isWide, 0xf7, 6, divisor);
  }
  /** cdq or cqo. */
  signExtendRax(isWide: boolean): void {
    if (isWide) this.byte(0x48);
    this.byte(0x99);
  }
  /** By the count in cl. */
  shiftByCl(operation: number, isWide: boolean, to: number): void {
    this.op(0, isWide, 0xd3, operation, to);
  }
  shiftImmediate(operation: number, isWide: boolean, to: number, count: number): void {
    this.op(0, isWide, 0xc1, operation, to, false, 1);
    this.byte(count);
  }
  bitScanReverse(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0fbd, to, from);
  }
  bitScanForward(isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0fbc, to, from);
  }
  populationCount(isWide: boolean, to: number, from: Operand): void {
    this.op(0xf3, isWide, 0x0fb8, to, from);
  }
  setCondition(condition: number, to: number): void {
    this.op(0, false, 0x0f90 | condition, 0, to, true);
  }
  moveIf(condition: number, isWide: boolean, to: number, from: Operand): void {
    this.op(0, isWide, 0x0f40 | condition, to, from);
  }
  exchange(isWide: boolean, a: number, b: number): void {
    this.op(0, isWide, 0x87, a, b);
  }
  push(register: number): void {
    if (register >= 8) this.byte(0x41);
    this.byte(0x50 + (register & 7));
  }
  pop(register: number): void {
    if (register >= 8) this.byte(0x41);
    this.byte(0x58 + (register & 7));
  }

  // ---- control ----------------------------------------------------------------------------------------------------

  private fixup(label: Label): void {
    this.jumps.push({ at: this.length, label });
    this.int32(0);
  }
  /** Emitted with a 32-bit distance, which `finish` shortens where it can. */
  jump(label: Label): void {
    this.byte(0xe9);
    this.fixup(label);
  }
  jumpIf(condition: number, label: Label): void {
    this.byte(0x0f);
    this.byte(0x80 | condition);
    this.fixup(label);
  }
  jumpSymbol(name: string): void {
    this.byte(0xe9);
    this.relocate("relative32", name, 0);
  }
  jumpIndirect(target: Operand): void {
    this.op(0, false, 0xff, 4, target);
  }
  call(name: string): void {
    this.byte(0xe8);
    this.relocate("relative32", name, 0);
  }
  callIndirect(target: Operand): void {
    this.op(0, false, 0xff, 2, target);
  }
  return(): void {
    this.byte(0xc3);
  }
  syscall(): void {
    this.byte(0x0f);
    this.byte(0x05);
  }
  /** rep movsb / rep stosb with rdi, rsi, rcx, al. */
  repeatMoveBytes(): void {
    this.byte(0xf3);
    this.byte(0xa4);
  }
  repeatStoreBytes(): void {
    this.byte(0xf3);
    this.byte(0xaa);
  }
  raw(...bytes: readonly number[]): void {
    for (const value of bytes) this.byte(value);
  }
  align(boundary: number): void {
    while (this.length % boundary !== 0) this.byte(0x90);
  }
  /** Jumps to `labels[index]`; the table of absolute addresses follows the function. `codeSymbol` names this code's start. */
  jumpTable(index: number, codeSymbol: string, labels: readonly Label[]): void {
    const table = this.newLabel();
    this.labelled.push({ relocation: this.relocations.length, label: table });
    this.op(0, false, 0xff, 4, symbolIndexed(codeSymbol, index, 3));
    this.later(() => {
      while (this.length % 8 !== 0) this.byte(0xcc);
      this.bind(table);
      for (const label of labels) {
        this.labelled.push({ relocation: this.relocations.length, label });
        this.relocate("absolute64", codeSymbol, 0);
      }
    });
  }

  // ---- SSE: isDouble chooses between the sd/pd and ss/ps forms -----------------------------------------------------

  /** addsd, mulsd, subsd, minsd, divsd, maxsd, sqrtsd by opcode byte 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f, 0x51. */
  float(opcode: number, isDouble: boolean, to: number, from: Operand): void {
    this.op(isDouble ? 0xf2 : 0xf3, false, 0x0f00 | opcode, to, from);
  }
  /** andps 0x54, andnps 0x55, orps 0x56, xorps 0x57 on whole registers. */
  floatBits(opcode: number, to: number, from: Operand): void {
    this.op(0, false, 0x0f00 | opcode, to, from);
  }
  /** Register to register: the whole register, so that no dependency on the old value stays. */
  floatMove(to: number, from: number): void {
    this.op(0, false, 0x0f28, to, from);
  }
  floatLoad(isDouble: boolean, to: number, from: Memory): void {
    this.op(isDouble ? 0xf2 : 0xf3, false, 0x0f10, to, from);
  }
  floatStore(isDouble: boolean, to: Memory, from: number): void {
    this.op(isDouble ? 0xf2 : 0xf3, false, 0x0f11, from, to);
  }
  floatCompare(isDouble: boolean, left: number, right: Operand): void {
    this.op(isDouble ? 0x66 : 0, false, 0x0f2e, left, right);
  }
  floatZero(to: number): void {
    this.floatBits(0x57, to, to);
  }
  /** movd or movq. */
  floatFromBits(isWide: boolean, to: number, from: Operand): void {
    this.op(0x66, isWide, 0x0f6e, to, from);
  }
  floatToBits(isWide: boolean, to: number, from: number): void {
    this.op(0x66, isWide, 0x0f7e, from, to);
  }
  /** cvtsi2sd / cvtsi2ss. */
  floatFromInteger(isDouble: boolean, isWide: boolean, to: number, from: Operand): void {
    this.op(isDouble ? 0xf2 : 0xf3, isWide, 0x0f2a, to, from);
  }
  /** cvttsd2si / cvttss2si: out of range gives 0x80…0. */
  floatTruncate(isDouble: boolean, isWide: boolean, to: number, from: Operand): void {
    this.op(isDouble ? 0xf2 : 0xf3, isWide, 0x0f2c, to, from);
  }
  /** cvtsd2ss or cvtss2sd: `fromDouble` tells the source. */
  floatConvert(fromDouble: boolean, to: number, from: Operand): void {
    this.op(fromDouble ? 0xf2 : 0xf3, false, 0x0f5a, to, from);
  }
  /** roundsd / roundss (SSE4.1): 0 nearest even, 1 down, 2 up, 3 toward zero; 8 added: no precision exception. */
  floatRound(isDouble: boolean, mode: number, to: number, from: Operand): void {
    this.op(0x66, false, isDouble ? 0x0f3a0b : 0x0f3a0a, to, from, false, 1);
    this.byte(mode | 8);
  }
}
