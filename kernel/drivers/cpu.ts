/**
 * The instructions that no AssemblyScript stands for: each is an import that the compiler emits in place (compiler/assemble/intrinsics.ts).
 * Memory that a device or its DMA may change is accessed by `mmio…` only, as exactly one mov: the optimiser may merge plain loads.
 */
// @ts-ignore: decorator
@external("cpu", "hlt")
export declare function hlt(): void;
// @ts-ignore: decorator
@external("cpu", "sti_hlt")
export declare function stiHlt(): void;
// @ts-ignore: decorator
@external("cpu", "cli")
export declare function cli(): void;
// @ts-ignore: decorator
@external("cpu", "sti")
export declare function sti(): void;
// @ts-ignore: decorator
@external("cpu", "stack")
export declare function stack(): u64;
// @ts-ignore: decorator
@external("cpu", "pause")
export declare function pause(): void;
// @ts-ignore: decorator
@external("cpu", "fence")
export declare function fence(): void;
// @ts-ignore: decorator
@external("cpu", "inb")
export declare function inb(port: u32): u32;
// @ts-ignore: decorator
@external("cpu", "inw")
export declare function inw(port: u32): u32;
// @ts-ignore: decorator
@external("cpu", "inl")
export declare function inl(port: u32): u32;
// @ts-ignore: decorator
@external("cpu", "outb")
export declare function outb(port: u32, value: u32): void;
// @ts-ignore: decorator
@external("cpu", "outw")
export declare function outw(port: u32, value: u32): void;
// @ts-ignore: decorator
@external("cpu", "outl")
export declare function outl(port: u32, value: u32): void;
// @ts-ignore: decorator
@external("cpu", "rdtsc")
export declare function rdtsc(): u64;
// @ts-ignore: decorator
@external("cpu", "rdseed")
export declare function rdseed(): u64;
// @ts-ignore: decorator
@external("cpu", "rdmsr")
export declare function rdmsr(register: u32): u64;
// @ts-ignore: decorator
@external("cpu", "wrmsr")
export declare function wrmsr(register: u32, value: u64): void;
// @ts-ignore: decorator
@external("cpu", "cpuid")
export declare function cpuid(leaf: u32, subleaf: u32, which: u32): u32;
// @ts-ignore: decorator
@external("cpu", "read_cr2")
export declare function readCr2(): u64;
// @ts-ignore: decorator
@external("cpu", "read_cr3")
export declare function readCr3(): u64;
// @ts-ignore: decorator
@external("cpu", "write_cr3")
export declare function writeCr3(value: u64): void;
// @ts-ignore: decorator
@external("cpu", "invlpg")
export declare function invlpg(address: u64): void;
// @ts-ignore: decorator
@external("cpu", "lidt")
export declare function lidt(address: u64): void;
// @ts-ignore: decorator
@external("cpu", "ltr")
export declare function ltr(selector: u32): void;
// @ts-ignore: decorator
@external("cpu", "copy")
export declare function copy(to: u64, from: u64, bytes: u64): void;
// @ts-ignore: decorator
@external("cpu", "fill")
export declare function fill(to: u64, value: u32, bytes: u64): void;
// @ts-ignore: decorator
@external("mmio", "read8")
export declare function read8(address: u32): u32;
// @ts-ignore: decorator
@external("mmio", "read16")
export declare function read16(address: u32): u32;
// @ts-ignore: decorator
@external("mmio", "read32")
export declare function read32(address: u32): u32;
// @ts-ignore: decorator
@external("mmio", "read64")
export declare function read64(address: u32): u64;
// @ts-ignore: decorator
@external("mmio", "write8")
export declare function write8(address: u32, value: u32): void;
// @ts-ignore: decorator
@external("mmio", "write16")
export declare function write16(address: u32, value: u32): void;
// @ts-ignore: decorator
@external("mmio", "write32")
export declare function write32(address: u32, value: u32): void;
// @ts-ignore: decorator
@external("mmio", "write64")
export declare function write64(address: u32, value: u64): void;

/** At an address of the machine, which may lie above 4 GiB: how the drivers look into the engine's memory. */
// @ts-ignore: decorator
@external("mmio", "read8")
export declare function read8Far(address: u64): u32;
// @ts-ignore: decorator
@external("mmio", "read32")
export declare function read32Far(address: u64): u32;
// @ts-ignore: decorator
@external("mmio", "read64")
export declare function read64Far(address: u64): u64;
// @ts-ignore: decorator
@external("mmio", "write8")
export declare function write8Far(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("mmio", "write64")
export declare function write64Far(address: u64, value: u64): void;

// Addresses of the link.
// @ts-ignore: decorator
@external("symbol", "memory.engine.base")
export declare function engineBase(): u64;
// @ts-ignore: decorator
@external("symbol", "memory.engine.descriptor")
export declare function engineDescriptor(): u64;
// @ts-ignore: decorator
@external("symbol", "memory.net.descriptor")
export declare function netDescriptor(): u64;
// @ts-ignore: decorator
@external("symbol", "stack.limit")
export declare function stackLimit(): u64;
// @ts-ignore: decorator
@external("symbol", "stack.top")
export declare function stackTop(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.startInfo")
export declare function startInfoAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.startTicks")
export declare function startTicksAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.stubs")
export declare function stubsAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.interrupt")
export declare function interruptAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.interruptTable")
export declare function interruptTableAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.taskState")
export declare function taskStateAt(): u64;
// @ts-ignore: decorator
@external("symbol", "runtime.descriptors")
export declare function descriptorsAt(): u64;
// @ts-ignore: decorator
@external("symbol", "image.text")
export declare function textStart(): u64;
// @ts-ignore: decorator
@external("symbol", "image.textEnd")
export declare function textEnd(): u64;
