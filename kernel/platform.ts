/** The platform modules below the engine, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

let linux: Uint8Array | undefined;
let service: Uint8Array | undefined;

function missing(cause: unknown): CodedError {
  return new CodedError("MF_KERNEL_MISSING", "the platform's module is missing: run `npm run build`", { cause });
}

/** kernel/platform-linux as WebAssembly. Throws MF_KERNEL_MISSING when the project was not built. */
export function platformModule(): Uint8Array {
  try {
    linux ??= new Uint8Array(readFileSync(new URL("./platform-linux.wasm", import.meta.url)));
    return linux;
  } catch (cause) {
    throw missing(cause);
  }
}

/** kernel/platform-linux/service as WebAssembly: a process that serves by itself. Throws MF_KERNEL_MISSING when the project was not built. */
export function servicePlatformModule(): Uint8Array {
  try {
    service ??= new Uint8Array(brotliDecompressSync(readFileSync(new URL("./platform-service.wasm.br", import.meta.url))));
    return service;
  } catch (cause) {
    throw missing(cause);
  }
}
