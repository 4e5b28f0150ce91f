import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { concatBytes, isCoded, prng } from "#base";
import { decodeModule, encodeModule, instruction, opcodeName } from "#compiler";

const require = createRequire(import.meta.url);
const quickjs = new Uint8Array(readFileSync(require.resolve("quickjs-wasi/quickjs.wasm")));

test("quickjs.wasm decodes and validates to the figures known of it", () => {
  const module = decodeModule(quickjs);
  equal(module.functions.length, 1698);
  equal(module.imports.length, 12);
  equal(module.exports.length, 450);
  equal(
    module.functions.reduce((sum, f) => sum + f.body.operators.length, 0),
    236_581,
  );
});

test("a module without edits is re-emitted byte for byte", () => {
  deepEqual(encodeModule(decodeModule(quickjs), {}), quickjs);
});

test("stores can be rewritten and a global added, and the module runs as before", async () => {
  // (module (memory (export "m") 1) (func (export "f") (param i32) (i32.store (i32.const 8) (local.get 0))))
  const source = Uint8Array.from([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 9, 2, 1, 109, 2, 0, 1, 102, 0, 0, 10, 11, 1, 9, 0,
    0x41, 8, 0x20, 0, 0x36, 2, 0, 0x0b,
  ]);
  const module = decodeModule(source);
  const counter = module.globalTypes.length;
  const count = [
    instruction("global.get", counter),
    instruction("i32.const", 1),
    instruction("i32.add"),
    instruction("global.set", counter),
  ];
  const edited = encodeModule(module, {
    addGlobals: [{ type: 0x7f, mutable: true, initial: instruction("i32.const", 0) }],
    addExports: [{ name: "stores", kind: "global", index: counter }],
    functions: (item) => ({
      edits: item.body.operators
        .filter((o) => opcodeName(o.code).includes(".store"))
        .map((o) => ({ at: o.at, end: o.end, code: concatBytes([...count, source.subarray(o.at, o.end)]) })),
    }),
  });
  decodeModule(edited);
  const vm = (
    globalThis as unknown as { WebAssembly: { instantiate(b: Uint8Array): Promise<{ instance: { exports: Record<string, never> } }> } }
  ).WebAssembly;
  const { instance } = await vm.instantiate(edited);
  const exports = instance.exports as unknown as { f(x: number): void; m: { buffer: ArrayBuffer }; stores: { value: number } };
  exports.f(7);
  exports.f(9);
  equal(exports.stores.value, 2);
  equal(new Uint32Array(exports.m.buffer)[2], 9);
});

test("damaged modules give a module or a coded error, never anything else", () => {
  const random = prng(20261123);
  let refused = 0;
  for (let round = 0; round < 60; round++) {
    const bytes = quickjs.slice(0, round % 3 === 0 ? random.below(quickjs.length) : quickjs.length);
    for (let i = 0; i < 4; i++) bytes[random.below(Math.min(bytes.length, 30_000))] = random.below(256);
    try {
      decodeModule(bytes);
    } catch (error) {
      ok(isCoded(error), String(error));
      refused++;
    }
  }
  ok(refused > 30);
  throws(() => decodeModule(new Uint8Array(3)), { code: "MF_WASM_MALFORMED" });
});
