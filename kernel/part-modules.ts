/** Modules of the kernel's runtime that only bundles of flows take, packed as one file by scripts/build-kernel.mjs. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";

/** The file itself, for who asks what an image is made of. */
export const partModulesFile: string = fileURLToPath(new URL("./parts.json.br", import.meta.url));

let modules: ReadonlyMap<string, string> | undefined;

/** JavaScript by its path below kernel/runtime, with slashes: `intl/dates.js`. Throws MF_KERNEL_MISSING when the project was not built. */
export function packedPartModules(): ReadonlyMap<string, string> {
  try {
    return (modules ??= new Map(JSON.parse(brotliDecompressSync(readFileSync(partModulesFile)).toString("utf8")) as [string, string][]));
  } catch (cause) {
    throw new CodedError("MF_KERNEL_MISSING", "the parts of the kernel are missing: run `npm run build`", { cause });
  }
}
