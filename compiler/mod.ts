/**
 * WebAssembly → x86-64 → ELF.
 *
 *     decodeModule → compileModule → linkProgram → writeExecutable
 *
 * Phases: decode → baseline, or IR → optimise → select → allocate → assemble → link. A program is linked once (`cachedProgram` keeps it);
 * `writeExecutable` then only adds the contents of memories and globals.
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
export { type LinkedProgram, linkProgram, type Program, type ProgramOptions } from "./link/program.ts";
export { type ExecutableOptions, type GlobalValue, type MemoryContents, writeExecutable } from "./link/executable.ts";
export { type LoadSegment, type Note, writeElf } from "./link/elf.ts";
export { cachedProgram, decodeProgram, encodeProgram, programKey, type ProgramSource } from "./cache.ts";
export { dumpFunction, type DumpKind } from "./dump.ts";
export { trapKinds, type TrapKind } from "./assemble/code.ts";
export { functionAt, parseTrapRecord } from "./runtime/trap-record.ts";
