/** The two ways a module can be wrong: bytes that are no module, and a module that breaks a rule of validation. */
import { CodedError } from "#base";

export function malformed(offset: number, what: string): CodedError {
  return new CodedError("MF_WASM_MALFORMED", `malformed WebAssembly at byte ${offset}: ${what}; compile the module again`);
}

export function invalid(at: number | undefined, what: string): CodedError {
  return new CodedError(
    "MF_WASM_INVALID",
    `invalid WebAssembly${at === undefined ? "" : ` at byte ${at}`}: ${what}; compile the module again`,
  );
}
