/** The modules that workers run: those of this version's kernel are made when Mayfly is built, those of an older one when first needed. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { brotliDecompressSync } from "node:zlib";
import { CodedError } from "#base";
import type { Kernel } from "#kernel";

export interface TrackedModules {
  readonly engine: WebAssembly.Module;
  readonly native: WebAssembly.Module;
}

let modules: TrackedModules | undefined;

/**
 * The write-tracking engine and natives, compiled once and shared by all threads. V8 11 (Node 20) can inline WebAssembly functions but
 * does so only when told; later versions do it by themselves. It takes a quarter off a step.
 */
export function trackedModules(): TrackedModules {
  if (modules === undefined && process.versions.v8.startsWith("11.")) setFlagsFromString("--wasm-inlining");
  const file = (name: string): Uint8Array<ArrayBuffer> => readFileSync(new URL(name, import.meta.url));
  modules ??= {
    engine: new WebAssembly.Module(brotliDecompressSync(file("./engine.wasm.br"))),
    native: new WebAssembly.Module(brotliDecompressSync(file("./native.wasm.br"))),
  };
  return modules;
}

/** The same of an older kernel. Rejects with MF_IMAGE_VERSION where this version can't run it. */
export async function trackedKernel({ engine, native, hash }: Kernel): Promise<TrackedModules> {
  const thread = new Worker(new URL("./track-thread.js", import.meta.url), { workerData: { engine, native }, execArgv: [] });
  try {
    const [tracked] = (await once(thread, "message")) as [TrackedModules];
    return tracked;
  } catch (cause) {
    throw new CodedError(
      "MF_IMAGE_VERSION",
      `the kernel ${hash.slice(0, 12)} of an older version can't be run: build its flows again with \`mayfly build\`, and begin their sleepers again with \`mayfly sleepers migrate\``,
      { cause },
    );
  } finally {
    void thread.terminate();
  }
}
