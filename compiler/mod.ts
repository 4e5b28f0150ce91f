/**
 * WebAssembly → x86-64 → ELF, without a native toolchain.
 *
 *     decodeModule → compileModule → linkProgram → writeExecutable
 *
 *     decode/     bytes to plain data, validated; and back to bytes with operators replaced
 *     baseline/   one pass, one emitter per operator: the oracle, and what very large functions get
 *     ir/         SSA with block parameters, built in one pass and simplified on the way; dump and verifier
 *     optimise/   redundant parameters, constant branches, merged blocks, dead values, cold blocks last
 *     select/     tiles: what is computed inside the instruction that uses it; one emitter per tile
 *     allocate/   liveness, and registers and slots while code is emitted, block after block; a checker for tests
 *     assemble/   the encoder, sequences of several instructions, the calling convention, intrinsics, short jumps
 *     link/       imports to exports, stubs between memories, four segments, the ELF file
 *     runtime/    helpers that code calls, and what a platform needs below it
 *     spec/ fuzz/ quickjs/   the core spec suite, differential fuzzing and JavaScript, each beside V8
 *
 * A linear memory lies alone in a window of its own: an address is r15 + 32-bit index + 32-bit offset, the window is unmapped beyond its
 * pages, and so nothing is checked in code. A trap is a fault or a `ud1` that names its kind; the symbol table names the function.
 * A program is linked once (`cachedProgram` keeps it); `writeExecutable` then only adds the contents of memories and globals.
 */
export { opcode, opcodeInfo, opcodeName } from "./decode/opcodes.ts";
export { decodeModule } from "./decode/module.ts";
export {
  type CodeEdit,
  encodeModule,
  encodeSigned,
  encodeUnsigned,
  type FunctionEdit,
  instruction,
  type ModuleEdits,
} from "./decode/encode.ts";
export type * from "./decode/types.ts";
export { type Backend, compileModule, type CompiledModule, type CompileOptions } from "./compile.ts";
export type { ProgramModule } from "./link/bind.ts";
export { type ProgramOptions } from "./link/options.ts";
export { type LinkedProgram, linkProgram, type Program } from "./link/program.ts";
export { type ExecutableOptions, type GlobalValue, type MemoryContents, writeExecutable } from "./link/executable.ts";
export { type LoadSegment, type Note, writeElf } from "./link/elf.ts";
export { cachedProgram, decodeProgram, encodeProgram, programKey, type ProgramSource } from "./cache.ts";
export { dumpFunction, type DumpKind } from "./dump.ts";
export { trapKinds, type TrapKind } from "./assemble/code.ts";
export { memoryCheck } from "./runtime/memory-check.ts";
export { functionAt, parseTrapRecord } from "./runtime/trap-record.ts";
