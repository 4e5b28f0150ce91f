import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import wabt from "wabt";
import type { Backend } from "../compile.ts";
import { conformance } from "./conformance.ts";
import { type Engine, evaluate, hostText, nativeEngine, quickjsProgram, start, v8Engine } from "./engines.ts";
import { kernels } from "./kernels.ts";

const scripts = [...conformance, ...Object.values(kernels)];

async function results(engine: Engine): Promise<string[]> {
  try {
    await start(engine);
    const out: string[] = [];
    for (const script of scripts) out.push(await evaluate(engine, script));
    return out;
  } finally {
    await engine.close();
  }
}

for (const backend of ["baseline", "optimising"] satisfies Backend[]) {
  test(`QuickJS compiled by the ${backend} backend gives V8's results`, async (t) => {
    if (process.platform !== "linux" || process.arch !== "x64") return t.skip("native code here is x86-64 Linux");
    const host = (await wabt()).parseWat("host.wat", hostText, { bulk_memory: true }).toBinary({}).buffer;
    const before = performance.now();
    const program = quickjsProgram(host, backend);
    t.diagnostic(`compiled and linked in ${Math.round(performance.now() - before)} ms`);
    const [expected, actual] = [await results(v8Engine(host)), await results(await nativeEngine(program))];
    equal(expected.filter((text) => text.startsWith("thrown: ") === false).length > scripts.length - 5, true, "the scripts themselves work");
    scripts.forEach((script, i) => equal(actual[i], expected[i], script));
    deepEqual(actual, expected);
    ok(actual.length === scripts.length);
  });
}
