/** The files a machine is made of, found beside this module in dist/ and in the engine's package. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { brotliDecompressSync } from "node:zlib";
import { assert, CodedError } from "#base";
import { type EngineFile, rewrittenEngine } from "./engine-file.ts";

export interface Kernel {
  /** The package's quickjs.wasm, which notes allocations that fail (image/exhaustion.ts). */
  readonly engine: Uint8Array;
  /** kernel/native, compiled. */
  readonly native: Uint8Array;
  /** kernel/runtime, bundled to one script. */
  readonly runtime: Uint8Array;
  /** SHA-256 over engine, natives and runtime, 64 hexadecimal digits: an image runs only on what it was booted with. */
  readonly hash: string;
}

export interface KernelArtifacts extends Kernel {
  readonly engineVersion: string;
}

/** The hash of a kernel's engine, natives and runtime, in this order. */
export function kernelHash(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}\n`).update(part);
  return hash.digest("hex");
}

/** Natives that trap, in place of those that a flow does not use: `plain` is without those of keys, `bare` without those of other parts as well. */
export type LessNatives = "plain" | "bare";

/** A kernel as an executable links it whose flow does without some natives. Those of older versions have all. */
export function withLess(kernel: Kernel, natives: LessNatives): Kernel {
  if (kernel.hash !== kernelArtifacts().hash) return kernel;
  const native = (lessNatives[natives] ??= brotliDecompressSync(readFileSync(new URL(`./native-${natives}.wasm.br`, import.meta.url))));
  return { ...kernel, native, hash: `${kernel.hash} ${natives}` };
}

const lessNatives: Partial<Record<LessNatives, Uint8Array>> = {};
let cached: KernelArtifacts | undefined;

/** Reads the artifacts once. Throws MF_KERNEL_MISSING when the project was not built. */
export function kernelArtifacts(): KernelArtifacts {
  if (cached !== undefined) return cached;
  try {
    const require = createRequire(import.meta.url);
    const packaged = readFileSync(require.resolve("quickjs-wasi/quickjs.wasm"));
    const engine = rewrittenEngine(packaged, JSON.parse(readFileSync(new URL("./engine.json", import.meta.url), "utf8")) as EngineFile);
    assert(engine !== undefined, "quickjs-wasi is the version that the kernel was built with");
    const packed = (name: string): Uint8Array => brotliDecompressSync(readFileSync(new URL(name, import.meta.url)));
    const native = packed("./native.wasm.br");
    const runtime = packed("./runtime.js.br");
    const hash = kernelHash([engine, native, runtime]);
    const version = (require("quickjs-wasi/package.json") as { version: string }).version;
    cached = { engine, native, runtime, hash, engineVersion: `quickjs-wasi ${version}` };
    return cached;
  } catch (cause) {
    throw new CodedError(
      "MF_KERNEL_MISSING",
      "the kernel's files are missing, or of another version of quickjs-wasi: run `npm run build`, or reinstall the package",
      { cause },
    );
  }
}
