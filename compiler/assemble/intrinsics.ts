import { CodedError } from "#base";
import { type FunctionType, i32, i64, type Module, typeText, type ValueType } from "../decode/types.ts";
import { type Assembler, at, indexed, type Memory } from "./assembler.ts";
import * as r from "./registers.ts";

/**
 * Imports that are instructions. Arguments lie where the convention puts them (rax rcx rdx rbx rsi rdi r8 r9), the result goes to rax
 * or nowhere; every register but rsp and r15 may change.
 *
 * `mmio` reads and writes with exactly one mov. Its address is an offset into the module's own memory when it is an i32, and an address
 * of the machine when it is an i64.
 */
type Emit = (a: Assembler, type: FunctionType) => void;

interface Intrinsic {
  readonly signatures: readonly string[];
  readonly emit: Emit;
}

const letters: Record<ValueType, string> = { [i32]: "i", [i64]: "l", 0x7d: "f", 0x7c: "d", 0x70: "r", 0x6f: "r" };

function letterSignature(type: FunctionType): string {
  const text = (types: readonly ValueType[]): string => types.map((t) => letters[t]).join("");
  return `${text(type.params)}:${text(type.results)}`;
}

function place(type: FunctionType): Memory {
  return type.params[0] === i32 ? indexed(r.r15, r.rax) : at(r.rax);
}

function read(bytes: number): Intrinsic {
  const result = bytes === 8 ? "l" : "i";
  return {
    signatures: [`i:${result}`, `l:${result}`],
    emit: (a, type) => {
      if (bytes === 1) a.loadZero8(r.rax, place(type));
      else if (bytes === 2) a.loadZero16(r.rax, place(type));
      else a.move(bytes === 8, r.rax, place(type));
    },
  };
}

function write(bytes: number): Intrinsic {
  const value = bytes === 8 ? "l" : "i";
  return { signatures: [`i${value}:`, `l${value}:`], emit: (a, type) => a.store(bytes, place(type), r.rcx) };
}

/** One or several fixed instructions without operands of their own. */
function fixed(signature: string, ...bytes: readonly number[]): Intrinsic {
  return { signatures: [signature], emit: (a) => a.raw(...bytes) };
}

/** rcx, the second argument, goes to rax after the first has gone to rdx: the shape of `out`. */
function portOut(...bytes: readonly number[]): Intrinsic {
  return {
    signatures: ["ii:"],
    emit: (a) => {
      a.move(false, r.rdx, r.rax);
      a.move(false, r.rax, r.rcx);
      a.raw(...bytes);
    },
  };
}
function portIn(zeroExtend: readonly number[], ...bytes: readonly number[]): Intrinsic {
  return {
    signatures: ["i:i"],
    emit: (a) => {
      a.move(false, r.rdx, r.rax);
      a.raw(...bytes, ...zeroExtend);
    },
  };
}

/** mov cr, rax and mov rax, cr; the register number is the ModRM field. */
function readControl(register: number): Intrinsic {
  return fixed(":l", 0x0f, 0x20, 0xc0 | (register << 3));
}
function writeControl(register: number): Intrinsic {
  return fixed("l:", 0x0f, 0x22, 0xc0 | (register << 3));
}

function systemCall(a: Assembler): void {
  // Ours: rax = number, rcx rdx rbx rsi rdi r8 = arguments. Linux: rax, rdi rsi rdx r10 r8 r9.
  a.move(true, r.r9, r.r8);
  a.move(true, r.r8, r.rdi);
  a.move(true, r.r10, r.rsi);
  a.move(true, r.rsi, r.rdx);
  a.move(true, r.rdx, r.rbx);
  a.move(true, r.rdi, r.rcx);
  a.syscall();
}

/** copy(to, from, bytes) and fill(to, value, bytes) between addresses of the machine. */
function copyBytes(a: Assembler): void {
  a.move(true, r.rdi, r.rax);
  a.move(true, r.rsi, r.rcx);
  a.move(true, r.rcx, r.rdx);
  a.repeatMoveBytes();
}
function fillBytes(a: Assembler): void {
  a.move(true, r.rdi, r.rax);
  a.move(true, r.rax, r.rcx);
  a.move(true, r.rcx, r.rdx);
  a.repeatStoreBytes();
}

const table: Record<string, Intrinsic> = {
  "cpu.syscall": { signatures: ["lllllll:l"], emit: systemCall },
  // The machine's address of an offset into the module's memory.
  "cpu.address": { signatures: ["i:l"], emit: (a) => a.alu(0, true, r.rax, r.r15) },
  "cpu.copy": { signatures: ["lll:"], emit: copyBytes },
  "cpu.fill": { signatures: ["lil:"], emit: fillBytes },
  "cpu.inb": portIn([0x0f, 0xb6, 0xc0], 0xec),
  "cpu.inw": portIn([0x0f, 0xb7, 0xc0], 0x66, 0xed),
  "cpu.inl": portIn([], 0xed),
  "cpu.outb": portOut(0xee),
  "cpu.outw": portOut(0x66, 0xef),
  "cpu.outl": portOut(0xef),
  "cpu.hlt": fixed(":", 0xf4),
  "cpu.sti_hlt": fixed(":", 0xfb, 0xf4),
  "cpu.cli": fixed(":", 0xfa),
  "cpu.sti": fixed(":", 0xfb),
  // Where the stack of the calling function ends: what it calls finds its return address below.
  "cpu.stack": fixed(":l", 0x48, 0x89, 0xe0),
  "cpu.pause": fixed(":", 0xf3, 0x90),
  "cpu.fence": fixed(":", 0x0f, 0xae, 0xf0),
  // edx:eax → rax
  "cpu.rdtsc": fixed(":l", 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0),
  // A random number of the processor's, or 0 when it has none ready: rdseed; mov ecx, 0; cmovnc
  "cpu.rdseed": fixed(":l", 0x48, 0x0f, 0xc7, 0xf8, 0xb9, 0, 0, 0, 0, 0x48, 0x0f, 0x43, 0xc1),
  "cpu.rdmsr": {
    signatures: ["i:l"],
    emit: (a) => {
      a.move(false, r.rcx, r.rax);
      a.raw(0x0f, 0x32, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0);
    },
  },
  "cpu.wrmsr": {
    signatures: ["il:"],
    emit: (a) => {
      a.exchange(true, r.rax, r.rcx);
      a.move(true, r.rdx, r.rax);
      a.shiftImmediate(5, true, r.rdx, 32);
      a.raw(0x0f, 0x30);
    },
  },
  // Leaf and subleaf; one of eax ebx ecx edx by the third argument 0–3.
  "cpu.cpuid": {
    signatures: ["iii:i"],
    emit: (a) => {
      a.move(false, r.rdi, r.rdx);
      a.raw(0x0f, 0xa2);
      for (const [which, register] of [
        [1, r.rbx],
        [2, r.rcx],
        [3, r.rdx],
      ] as const) {
        a.aluImmediate(7, false, r.rdi, which);
        a.moveIf(r.equal, false, r.rax, register);
      }
      a.move(false, r.rax, r.rax);
    },
  },
  "cpu.read_cr0": readControl(0),
  "cpu.read_cr2": readControl(2),
  "cpu.read_cr3": readControl(3),
  "cpu.read_cr4": readControl(4),
  "cpu.write_cr0": writeControl(0),
  "cpu.write_cr3": writeControl(3),
  "cpu.write_cr4": writeControl(4),
  "cpu.invlpg": fixed("l:", 0x0f, 0x01, 0x38),
  "cpu.lidt": fixed("l:", 0x0f, 0x01, 0x18),
  "cpu.lgdt": fixed("l:", 0x0f, 0x01, 0x10),
  "cpu.ltr": fixed("i:", 0x0f, 0x00, 0xd8),
  "mmio.read8": read(1),
  "mmio.read16": read(2),
  "mmio.read32": read(4),
  "mmio.read64": read(8),
  "mmio.write8": write(1),
  "mmio.write16": write(2),
  "mmio.write32": write(4),
  "mmio.write64": write(8),
};

export const intrinsicModules = ["cpu", "mmio", "symbol"] as const;

/**
 * Code for a call of imported function `index`; undefined if its import is not an intrinsic.
 * `("symbol", name)` is the address of a symbol of the link, as i64: `memory.engine.base`, `memory.engine.descriptor`, …
 */
export function intrinsic(module: Module, index: number): ((a: Assembler) => void) | undefined {
  const item = module.imports.filter((i) => i.description.kind === "function")[index];
  if (item === undefined || !(intrinsicModules as readonly string[]).includes(item.module)) return undefined;
  const type = module.types[module.functionTypes[index] as number] as FunctionType;
  const signature = letterSignature(type);
  const found = table[`${item.module}.${item.name}`];
  if (item.module === "symbol" && signature === ":l") return (a) => a.addressOf64(r.rax, item.name);
  if (item.module === "symbol" || found === undefined || !found.signatures.includes(signature))
    throw new CodedError(
      "MF_LINK_INTRINSIC",
      `there is no intrinsic ${item.module}.${item.name} of type ${typeText(type)}; see compiler/assemble/intrinsics.ts for those there are`,
    );
  return (a) => found.emit(a, type);
}
