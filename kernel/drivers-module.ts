/** The drivers of bare metal, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { CodedError } from "#base";

let drivers: Uint8Array | undefined;

/** kernel/drivers as WebAssembly. Throws MF_KERNEL_MISSING when the project was not built. */
export function driversModule(): Uint8Array {
  try {
    drivers ??= new Uint8Array(readFileSync(new URL("./drivers.wasm", import.meta.url)));
    return drivers;
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the drivers' module is missing: run `npm run build`", { cause });
  }
}
