import { readFileSync } from "node:fs";
import { type Engine, evaluate, start } from "./engines.ts";
import { kernels } from "./kernels.ts";

/**
 * Milliseconds on a processor, not on the wall: other work on the machine matters less. Linux keeps them, in nanoseconds,
 * as the first number of schedstat. Without it the wall clock has to do.
 */
export function processorMs(pid: number | "self"): number {
  try {
    const path = pid === "self" ? `/proc/self/task/${process.pid}/schedstat` : `/proc/${pid}/schedstat`;
    return Number(readFileSync(path, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

export interface Measured {
  readonly name: string;
  /** By kernel: the least of all rounds. */
  readonly ms: Record<string, number>;
  readonly results: Record<string, string>;
}

/** Runs every kernel on every engine in turn, `rounds` times, so that all meet the same weather. */
export async function measureKernels(
  engines: readonly { readonly name: string; readonly engine: Engine }[],
  rounds: number,
): Promise<Measured[]> {
  const out = engines.map(({ name }): Measured => ({ name, ms: {}, results: {} }));
  for (const { engine } of engines) await start(engine);
  for (let round = 0; round < rounds; round++)
    for (const [kernel, code] of Object.entries(kernels))
      for (let i = 0; i < engines.length; i++) {
        const { engine } = engines[i] as (typeof engines)[number];
        const before = processorMs(engine.pid);
        const result = await evaluate(engine, code);
        const ms = processorMs(engine.pid) - before;
        const measured = out[i] as Measured;
        measured.ms[kernel] = Math.min(measured.ms[kernel] ?? Infinity, ms);
        measured.results[kernel] = result;
      }
  return out;
}

/** Geometric mean over the kernels of the time against a reference's. */
export function ratio(measured: Measured, reference: Measured): number {
  const names = Object.keys(kernels);
  return Math.exp(names.reduce((sum, name) => sum + Math.log((measured.ms[name] ?? 1) / (reference.ms[name] ?? 1)), 0) / names.length);
}
