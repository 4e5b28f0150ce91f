/** WebAssembly → x86-64 → ELF. Phases: decode → baseline or (IR → optimise → select → allocate) → assemble → link. */
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
export { type Program, linkProgram, type ProgramOptions } from "./link/program.ts";
export type { ProgramModule } from "./link/bind.ts";
export { type ExecutableOptions, type GlobalValue, type MemoryContents, writeExecutable } from "./link/executable.ts";
export { trapKinds, type TrapKind } from "./assemble/code.ts";
