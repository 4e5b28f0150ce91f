import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import wabt from "wabt";
import type { Backend } from "../compile.ts";
import { decodeModule } from "../decode/module.ts";
import { conformance } from "./conformance.ts";
import { type Engine, evaluate, hostText, nativeEngine, quickjsBytes, quickjsProgram, start, v8Engine } from "./engines.ts";
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
    equal(
      expected.filter((text) => text.startsWith("thrown: ") === false).length > scripts.length - 5,
      true,
      "the scripts themselves work",
    );
    scripts.forEach((script, i) => equal(actual[i], expected[i], script));
    deepEqual(actual, expected);
    ok(actual.length === scripts.length);
  });
}

test("a C extension of the package shares the engine's memory and table, linked statically", async (t) => {
  if (process.platform !== "linux" || process.arch !== "x64") return t.skip("native code here is x86-64 Linux");
  const host = (await wabt()).parseWat("host.wat", hostText, { bulk_memory: true }).toBinary({}).buffer;
  const require = createRequire(import.meta.url);
  const bytes = new Uint8Array(
    readFileSync(join(dirname(require.resolve("quickjs-wasi/quickjs.wasm")), "extensions", "encoding", "encoding.so")),
  );
  const staticBytes = 4096;
  // Where the extension's data will lie is known once the same steps have been taken without it.
  const scout = await nativeEngine(quickjsProgram(host, "optimising"));
  await start(scout);
  const memoryBase = await scout.call("malloc", staticBytes);
  await scout.close();
  const tableBase = decodeModule(quickjsBytes()).tables[0]?.limits.minimum ?? 0;
  const engine = await nativeEngine(quickjsProgram(host, "optimising", { name: "encoding", bytes, memoryBase, tableBase }));
  try {
    await start(engine);
    equal(await engine.call("malloc", staticBytes), memoryBase);
    await engine.write(memoryBase, new Uint8Array(staticBytes));
    await engine.load?.("encoding");
    await engine.callIn?.("encoding", "__wasm_apply_data_relocs");
    const [context, runtime] = [await engine.call("qjs_get_context_ptr"), await engine.call("qjs_get_runtime_ptr")];
    await engine.callIn?.("encoding", "qjs_ext_encoding_init", context, runtime);
    equal(
      await evaluate(engine, "new TextEncoder().encode('é€').join() + new TextDecoder().decode(Uint8Array.of(0xe2, 0x82, 0xac))"),
      "195,169,226,130,172€",
    );
  } finally {
    await engine.close();
  }
});
