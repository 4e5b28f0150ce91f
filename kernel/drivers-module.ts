/** The drivers of bare metal, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

const modules = new Map<string, Uint8Array>();

function moduleOf(file: string): Uint8Array {
  try {
    const bytes = modules.get(file) ?? new Uint8Array(brotliDecompressSync(readFileSync(new URL(file, import.meta.url))));
    modules.set(file, bytes);
    return bytes;
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the drivers' module is missing: run `npm run build`", { cause });
  }
}

/** kernel/drivers as WebAssembly, for a monitor. Throws MF_KERNEL_MISSING when the project was not built. */
export function driversModule(): Uint8Array {
  return moduleOf("./drivers.wasm.br");
}

/** The drivers of an image that serves the network by itself. Throws MF_KERNEL_MISSING. */
export function standaloneModule(): Uint8Array {
  return moduleOf("./standalone.wasm.br");
}
