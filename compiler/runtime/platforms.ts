import { alu, Assembler, at, indexed, symbol, symbolIndexed } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import type { Linker } from "../link/linker.ts";
import {
  alarmHandler,
  alternateStackBytes,
  emitHandlerSetup,
  endCall,
  guardBytes,
  guardData,
  handlerData,
  memoryGrow,
  recoverGuarded,
  signalReturn,
  systemCall,
  systemCalls,
  trackBytes,
  transferExactly,
  trapHandler,
} from "./linux.ts";
import { addMetal } from "./pvh.ts";

/**
 * The layers around compiled code.
 *
 * `bench`  a process that takes commands on its standard input, for tests and measurements
 * `linux`  a process that runs one exported function and exits; a trap that is not guarded exits with 128 + kind after a record on descriptor 2
 * `bare`   nothing: whoever boots the machine jumps to the entry thunk, with a stack, and handles faults
 * `pvh`    a virtual machine without firmware or operating system: pvh.ts, and drivers that export the entry and the fault handler
 */
export type Platform = "bench" | "linux" | "bare" | "pvh";

export const benchBufferBytes = 64 * 1024;

function text(linker: Linker, name: string, emit: (a: Assembler) => void): void {
  const a = new Assembler();
  emit(a);
  linker.add("text", name, a.finish(), { title: name });
}

function addLinux(linker: Linker): void {
  text(linker, "runtime.trapHandler", trapHandler);
  text(linker, "runtime.signalReturn", signalReturn);
  text(linker, "runtime.memoryGrow", memoryGrow);
  for (const [name, a] of handlerData()) linker.add("data", name, a.finish());
  linker.addZeroes("runtime.alternateStack", alternateStackBytes);
  linker.addZeroes("runtime.track", trackBytes);
}

/**
 * A command is 32 bytes: command u32 │ thunk u32 │ x u64 │ y u64 │ 0 u64
 *   0 invoke   x argument words follow; the answer is status u32 │ kind u32 │ rip u64 │ y result words
 *   1 peek     the answer is y bytes from address x
 *   2 poke     y bytes follow and go to address x; no answer
 */
function benchLoop(a: Assembler): void {
  const loop = a.newLabel();
  const [notInvoke, poke, answer] = [a.newLabel(), a.newLabel(), a.newLabel()];
  const command = "runtime.command";
  a.bind(loop);
  a.addressOf(r.rdi, command);
  a.constant32(r.rsi, 32);
  a.call("runtime.read");
  a.move(false, r.rax, symbol(command));
  a.test(false, r.rax, r.rax);
  a.jumpIf(r.notEqual, notInvoke);
  a.addressOf(r.rdi, "runtime.arguments");
  a.move(true, r.rsi, symbol(command, 8));
  a.lea(true, r.rsi, { base: -1, index: r.rsi, scale: 3, displacement: 0, symbol: undefined });
  a.call("runtime.read");
  a.addressOf(r.rdi, "runtime.arguments");
  a.addressOf(r.rsi, "runtime.answer");
  a.move(false, r.rax, symbol(command, 4));
  a.callIndirect(symbolIndexed("runtime.thunks", r.rax, 3));
  a.storeImmediate(8, symbol("runtime.answer"), 0);
  a.storeImmediate(8, symbol("runtime.answer", 8), 0);
  a.bind(answer);
  a.addressOf(r.rdi, "runtime.answer");
  a.move(true, r.rsi, symbol(command, 16));
  a.lea(true, r.rsi, { base: -1, index: r.rsi, scale: 3, displacement: 16, symbol: undefined });
  a.call("runtime.write");
  a.jump(loop);

  a.bind(notInvoke);
  a.aluImmediate(alu.cmp, false, r.rax, 2);
  a.move(true, r.rdi, symbol(command, 8));
  a.move(true, r.rsi, symbol(command, 16));
  a.jumpIf(r.equal, poke);
  a.call("runtime.write");
  a.jump(loop);
  a.bind(poke);
  a.call("runtime.read");
  a.jump(loop);
}

/** Here a trap ends an invocation: status 1, kind and rip, and whatever the result words hold. */
function benchRecover(a: Assembler): void {
  a.storeImmediate(4, symbol("runtime.answer"), 1);
  a.move(true, r.rax, symbol("runtime.trap"));
  a.store(4, symbol("runtime.answer", 4), r.rax);
  a.move(true, r.rax, symbol("runtime.trap", 8));
  a.store(8, symbol("runtime.answer", 8), r.rax);
  a.addressOf(r.rdi, "runtime.answer");
  a.move(true, r.rsi, symbol("runtime.command", 16));
  a.lea(true, r.rsi, { base: -1, index: r.rsi, scale: 3, displacement: 16, symbol: undefined });
  a.call("runtime.write");
  a.jumpSymbol("runtime.loop");
}

function start(a: Assembler, next: string): void {
  a.addressOf64(r.rsp, "stack.top");
  a.store(8, symbol("runtime.trap", 24), r.rsp);
  emitHandlerSetup(a);
  a.jumpSymbol(next);
}

/** A guarded call ends; otherwise 24 bytes on descriptor 2: "MFTRAP\0\0" │ kind u64 │ rip u64; then exit code 128 + kind. */
function linuxRecover(a: Assembler): void {
  recoverGuarded(a);
  a.constant64(r.rax, 0x5254464d, 0x00005041);
  a.push(r.rax); // room
  a.push(r.rax);
  a.push(r.rax);
  a.move(true, r.rax, symbol("runtime.trap"));
  a.store(8, at(r.rsp, 8), r.rax);
  a.move(true, r.rax, symbol("runtime.trap", 8));
  a.store(8, at(r.rsp, 16), r.rax);
  a.constant32(r.rdi, 2);
  a.move(true, r.rsi, r.rsp);
  a.constant32(r.rdx, 24);
  systemCall(a, systemCalls.write);
  a.move(false, r.rdi, symbol("runtime.trap"));
  a.aluImmediate(alu.add, false, r.rdi, 128);
  systemCall(a, systemCalls.exitGroup);
}

/** Adds what the platform needs and returns the symbol where execution begins. */
export function addPlatform(linker: Linker, platform: Platform, entryThunk: string | undefined): string {
  if (platform === "bare") {
    text(linker, "runtime.memoryGrow", reservedGrow);
    return entryThunk ?? "image.text";
  }
  if (platform === "pvh") {
    addMetal(linker);
    return "runtime.start";
  }
  addLinux(linker);
  if (platform === "bench") {
    text(linker, "runtime.start", (a) => start(a, "runtime.loop"));
    text(linker, "runtime.loop", benchLoop);
    text(linker, "runtime.recover", benchRecover);
    text(linker, "runtime.read", (a) => transferExactly(a, systemCalls.read, 0));
    text(linker, "runtime.write", (a) => transferExactly(a, systemCalls.write, 1));
    linker.addZeroes("runtime.command", 32);
    linker.addZeroes("runtime.arguments", benchBufferBytes);
    linker.addZeroes("runtime.answer", benchBufferBytes);
    return "runtime.start";
  }
  text(linker, "runtime.start", (a) => {
    a.store(8, symbol("runtime.begin"), r.rsp); // the arguments and the environment
    start(a, "runtime.main");
  });
  text(linker, "runtime.main", (a) => {
    a.addressOf(r.rdi, "runtime.nothing");
    a.addressOf(r.rsi, "runtime.nothing");
    if (entryThunk !== undefined) a.call(entryThunk);
    a.constant32(r.rdi, 0);
    systemCall(a, systemCalls.exitGroup);
  });
  text(linker, "runtime.recover", linuxRecover);
  text(linker, "runtime.endCall", endCall);
  text(linker, "runtime.alarmHandler", alarmHandler);
  for (const [name, a] of guardData()) linker.add("data", name, a.finish());
  linker.addZeroes("runtime.guard", guardBytes);
  linker.addZeroes("runtime.nothing", 64);
  return "runtime.start";
}

/** memory.grow where the whole window up to the maximum is mapped already: zeroes the new pages. */
function reservedGrow(a: Assembler): void {
  const fail = a.newLabel();
  a.move(false, r.rbx, at(r.rcx, 8));
  a.move(false, r.rsi, at(r.rcx, 12));
  a.lea(true, r.rdx, indexed(r.rbx, r.rax));
  a.alu(alu.cmp, true, r.rdx, r.rsi);
  a.jumpIf(r.above, fail);
  a.store(4, at(r.rcx, 8), r.rdx);
  a.move(true, r.rdi, r.rbx);
  a.shiftImmediate(4, true, r.rdi, 16);
  a.alu(alu.add, true, r.rdi, at(r.rcx));
  a.move(true, r.rcx, r.rax);
  a.shiftImmediate(4, true, r.rcx, 16);
  a.constant32(r.rax, 0);
  a.repeatStoreBytes();
  a.move(false, r.rax, r.rbx);
  a.return();
  a.bind(fail);
  a.constantKeepingFlags32(r.rax, -1);
  a.return();
}
