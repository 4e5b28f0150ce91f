/** Speed of compiled code: JavaScript kernels inside quickjs.wasm, natively and under both tiers of V8, in one run. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Backend, cachedProgram, compileModule, decodeModule, writeExecutable } from "#compiler";
import { hostText, nativeEngine, quickjsBytes, quickjsProgram } from "../compiler/quickjs/engines.ts";
import { type Measured, measureKernels, ratio } from "../compiler/quickjs/measure.ts";
import type { Row } from "./rows.ts";

const suite = "compiler";

function underV8(flags: readonly string[], host: string, rounds: number): Measured {
  const self = fileURLToPath(import.meta.url);
  const child = fileURLToPath(new URL(`../compiler/quickjs/v8-child${extname(self)}`, import.meta.url));
  const run = spawnSync(process.execPath, [...flags, child, host, String(rounds)], { encoding: "utf8", maxBuffer: 2 ** 24 });
  if (run.status !== 0) throw new Error(`the kernels did not run under V8 ${flags.join(" ")}: ${run.stderr}`);
  return JSON.parse(run.stdout) as Measured;
}

async function timed<T>(task: () => T | Promise<T>): Promise<readonly [number, T]> {
  const before = performance.now();
  const value = await task();
  return [performance.now() - before, value];
}

/** Compiling the engine, finding it in the cache, and writing an executable with a flow's pages. */
async function buildRows(folder: string, host: Uint8Array): Promise<Row[]> {
  const bytes = quickjsBytes();
  const [compileMs] = await timed(() => compileModule(decodeModule(bytes), { backend: "optimising" }));
  const sources = [
    { name: "host", bytes: host },
    { name: "engine", bytes },
  ];
  const options = {
    platform: "linux",
    missing: "trap",
    resolve: (importer: string, item: { module: string; name: string }) =>
      importer === "engine" ? { module: "host", name: item.name } : item,
  } as const;
  cachedProgram(folder, sources, options, "bench");
  const [cacheMs, program] = await timed(() => cachedProgram(folder, sources, options, "bench"));
  const pages = new Uint8Array(24 * 65536).fill(1, 0, 300_000);
  const [writeMs, executable] = await timed(() => writeExecutable(program, { memories: [{ module: "engine", bytes: pages }] }));
  return [
    { suite, name: "compile quickjs.wasm", value: compileMs, unit: "ms", aim: "≤ 3,000 ms", met: compileMs <= 3000 },
    { suite, name: "engine from the cache", value: cacheMs, unit: "ms" },
    { suite, name: "add a flow's pages to it", value: writeMs, unit: "ms", aim: "≤ 50 ms", met: writeMs <= 50 },
    { suite, name: "executable with 300 kB of pages", value: executable.length / 1024, unit: "KiB" },
  ];
}

export async function compilerRows(quick: boolean): Promise<Row[]> {
  if (process.platform !== "linux" || process.arch !== "x64")
    return [{ suite, name: "native code", value: Number.NaN, unit: "", skipped: "it is for x86-64 Linux" }];
  const wabt = (await import("wabt")).default;
  const host = (await wabt()).parseWat("host.wat", hostText, { bulk_memory: true }).toBinary({}).buffer;
  const folder = mkdtempSync(join(tmpdir(), "mayfly-bench-"));
  const rounds = quick ? 2 : 6;
  try {
    const hostFile = join(folder, "host.wasm");
    writeFileSync(hostFile, host);
    const turbofan = underV8(["--no-liftoff", "--no-wasm-tier-up"], hostFile, rounds);
    const liftoff = underV8(["--liftoff-only"], hostFile, rounds);
    const backends: readonly Backend[] = ["baseline", "optimising"];
    const engines = await Promise.all(backends.map(async (name) => ({ name, engine: await nativeEngine(quickjsProgram(host, name)) })));
    const native = await measureKernels(engines, rounds);
    for (const { engine } of engines) await engine.close();
    const aims: Record<string, number> = { baseline: 1.7, optimising: 1 };
    const rows = native.map((measured): Row => {
      const value = ratio(measured, turbofan);
      const aim = aims[measured.name] ?? 1;
      return {
        suite,
        name: `kernels, ${measured.name} backend`,
        value,
        unit: "of TurboFan's time",
        beside: { name: "Liftoff", value: ratio(liftoff, turbofan) },
        aim: `≤ ${aim}`,
        met: value <= aim,
      };
    });
    const each = Object.keys(turbofan.ms).map((kernel): Row => {
      const value = native[1]?.ms[kernel] ?? Number.NaN;
      const peer = turbofan.ms[kernel] ?? Number.NaN;
      return {
        suite,
        name: `kernel ${kernel}`,
        value,
        unit: "ms of processor",
        beside: { name: "TurboFan", value: peer },
        ratio: peer / value,
      };
    });
    return [...rows, ...each, ...(await buildRows(folder, host))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
