/** The network of an image that serves by itself, compiled by scripts/build-kernel.mjs: all forms of it in one file, since most of them is the same. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

/** In the order of the file, each behind its length, which is little-endian. */
const forms = ["metal", "metal tokens", "linux", "linux tokens"] as const;
type Form = (typeof forms)[number];

let modules: ReadonlyMap<Form, Uint8Array> | undefined;

function readForms(): ReadonlyMap<Form, Uint8Array> {
  const bytes = brotliDecompressSync(readFileSync(new URL("./net.br", import.meta.url)));
  const found = new Map<Form, Uint8Array>();
  let at = 0;
  for (const form of forms) {
    const end = at + 4 + bytes.readUInt32LE(at);
    found.set(form, new Uint8Array(bytes.subarray(at + 4, end)));
    at = end;
  }
  return found;
}

/**
 * kernel/net as WebAssembly: over an Ethernet device on bare metal, over the kernel's sockets on Linux. `tokens`: with the code that judges tokens
 * of issuers. Throws MF_KERNEL_MISSING when the project was not built.
 */
export function netModule(carrier: "metal" | "linux" = "metal", tokens = false): Uint8Array {
  try {
    modules ??= readForms();
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the network's module is missing: run `npm run build`", { cause });
  }
  return modules.get(tokens ? `${carrier} tokens` : carrier) as Uint8Array;
}
