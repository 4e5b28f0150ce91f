/** The network of an image that serves by itself, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

let net: Uint8Array | undefined;

/** kernel/net as WebAssembly, for bare metal. Throws MF_KERNEL_MISSING when the project was not built. */
export function netModule(): Uint8Array {
  try {
    net ??= new Uint8Array(brotliDecompressSync(readFileSync(new URL("./net.wasm.br", import.meta.url))));
    return net;
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the network's module is missing: run `npm run build`", { cause });
  }
}
