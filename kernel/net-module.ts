/** The network of an image that serves by itself, compiled by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

const files = { metal: "net.wasm.br", linux: "net-linux.wasm.br" } as const;
const modules = new Map<string, Uint8Array>();

/** kernel/net as WebAssembly: over an Ethernet device on bare metal, over the kernel's sockets on Linux. Throws MF_KERNEL_MISSING when the project was not built. */
export function netModule(carrier: keyof typeof files = "metal"): Uint8Array {
  const known = modules.get(carrier);
  if (known !== undefined) return known;
  try {
    const module = new Uint8Array(brotliDecompressSync(readFileSync(new URL(`./${files[carrier]}`, import.meta.url))));
    modules.set(carrier, module);
    return module;
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the network's module is missing: run `npm run build`", { cause });
  }
}
