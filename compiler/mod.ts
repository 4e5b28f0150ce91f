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
