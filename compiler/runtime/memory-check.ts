import { alu, Assembler, at } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";

/**
 * The first instructions of a PVH guest whose program may lie beyond the memory that it was given: they look at the memory map, and say on COM1
 * what is missing instead of running into nothing. 32 bits, without paging, in one page of their own:
 *
 *     0 code │ 768 zeroes, for the triple fault at the end │ 784 the sentence
 */
const zeroesAt = 768;
const textAt = 784;
const pageBytes = 4096;

export interface MemoryCheck {
  /** Where the page lies. */
  readonly address: number;
  /** End of the memory that the program needs, from 1 MiB on without holes. */
  readonly needed: number;
  /** Where the program begins. */
  readonly entry: number;
  /** ASCII, for the console. */
  readonly sentence: string;
  /** Code for isa-debug-exit. */
  readonly exitCode: number;
}

const serial = 0x3f8;
const debugExit = 0xf4;

/** mov edx, port */
const port = (a: Assembler, value: number): void => a.constantKeepingFlags32(r.rdx, value);

/** Jumps to the program if an entry of the map (type 1) covers 1 MiB to `needed`, or if there is no map. EBX → hvm_start_info. */
function look(a: Assembler, { needed, entry }: MemoryCheck): void {
  const [next, skip, found, missing] = [a.newLabel(), a.newLabel(), a.newLabel(), a.newLabel()];
  a.move(false, r.rcx, at(r.rbx, 48));
  a.move(false, r.rsi, at(r.rbx, 40));
  a.test(false, r.rcx, r.rcx);
  a.jumpIf(r.equal, found);
  a.bind(next);
  a.move(false, r.rax, at(r.rsi, 16));
  a.aluImmediate(alu.cmp, false, r.rax, 1);
  a.jumpIf(r.notEqual, skip);
  a.move(false, r.rax, at(r.rsi, 4));
  a.test(false, r.rax, r.rax);
  a.jumpIf(r.notEqual, skip);
  a.move(false, r.rax, at(r.rsi));
  a.aluImmediate(alu.cmp, false, r.rax, 0x100000);
  a.jumpIf(r.above, skip);
  a.move(false, r.rdx, at(r.rsi, 12));
  a.test(false, r.rdx, r.rdx);
  a.jumpIf(r.notEqual, found); // 4 GiB and more
  a.alu(alu.add, false, r.rax, at(r.rsi, 8));
  a.aluImmediate(alu.cmp, false, r.rax, needed);
  a.jumpIf(r.aboveEqual, found);
  a.bind(skip);
  a.aluImmediate(alu.add, false, r.rsi, 24);
  a.aluImmediate(alu.sub, false, r.rcx, 1);
  a.jumpIf(r.notEqual, next);
  a.jump(missing);
  a.bind(found);
  a.constantKeepingFlags32(r.rax, entry);
  a.raw(0xff, 0xe0); // jmp eax
  a.bind(missing);
}

function print(a: Assembler, address: number): void {
  const [next, busy, done] = [a.newLabel(), a.newLabel(), a.newLabel()];
  a.constantKeepingFlags32(r.rsi, address + textAt);
  a.bind(next);
  a.raw(0xac, 0x84, 0xc0); // lodsb; test al, al
  a.jumpIf(r.equal, done);
  a.raw(0x88, 0xc4); // mov ah, al
  port(a, serial + 5);
  a.bind(busy);
  a.raw(0xec, 0xa8, 0x20); // in al, dx; test al, the transmitter is empty
  a.jumpIf(r.equal, busy);
  a.raw(0x88, 0xe0); // mov al, ah
  port(a, serial);
  a.raw(0xee); // out dx, al
  a.jump(next);
  a.bind(done);
}

/** As kernel/drivers/power.ts: debug exit, PM1a of `pc` and `q35`, the keyboard controller, a triple fault. */
function end(a: Assembler, { exitCode, address }: MemoryCheck): void {
  port(a, debugExit);
  a.constantKeepingFlags32(r.rax, exitCode);
  a.raw(0xef); // out dx, eax
  port(a, 0x604);
  a.constantKeepingFlags32(r.rax, 0x2000);
  a.raw(0x66, 0xef); // out dx, ax
  a.constantKeepingFlags32(r.rax, 0xfe);
  a.raw(0xe6, 0x64); // out 0x64, al
  const zeroes = address + zeroesAt;
  a.raw(0x0f, 0x01, 0x1d, zeroes & 0xff, (zeroes >> 8) & 0xff, (zeroes >> 16) & 0xff, zeroes >>> 24, 0xcc); // lidt [zeroes]; int3
}

/** The page. Nothing in it is relocated. */
export function memoryCheck(check: MemoryCheck): Uint8Array {
  const a = new Assembler();
  look(a, check);
  print(a, check.address);
  end(a, check);
  const { bytes } = a.finish();
  const page = new Uint8Array(pageBytes);
  page.set(bytes);
  page.set(Buffer.from(`${check.sentence}\r\n\0`, "latin1"), textAt);
  return page;
}
