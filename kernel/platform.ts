/** The platform modules below the engine, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { CodedError } from "#base";

let linux: Uint8Array | undefined;

/** kernel/platform-linux as WebAssembly. Throws MF_KERNEL_MISSING when the project was not built. */
export function platformModule(): Uint8Array {
  try {
    linux ??= new Uint8Array(readFileSync(new URL("./platform-linux.wasm", import.meta.url)));
    return linux;
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the platform's module is missing: run `npm run build`", { cause });
  }
}
