import { deepEqual, notDeepEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import wabt from "wabt";
import { concatBytes } from "#base";
import {
  compileModule,
  decodeModule,
  encodeUnsigned,
  instruction,
  linkProgram,
  type ProgramModule,
  type ProgramOptions,
  writeExecutable,
} from "#compiler";

/** Bad input gets a coded error, from every phase, and soon. */

const tools = await wabt();
const features = { bulk_memory: true, reference_types: true, simd: true, tail_call: true, exceptions: true };
const binary = (text: string): Uint8Array => tools.parseWat("t.wat", text, features).toBinary({}).buffer;
const module = (name: string, text: string): ProgramModule => ({ name, code: compileModule(decodeModule(binary(text))) });

function link(texts: Readonly<Record<string, string>>, options: Partial<ProgramOptions> = {}): void {
  writeExecutable(
    linkProgram(
      Object.entries(texts).map(([name, text]) => module(name, text)),
      { platform: "linux", ...options },
    ),
  );
}

test("features out of scope are named and refused", () => {
  const cases = [
    [`(module (func (result v128) (v128.const i32x4 0 0 0 0)))`, /SIMD/],
    [`(module (func $f (return_call $f)))`, /tail calls/],
    [`(module (tag $t) (func (throw $t)))`, /exception|section/],
    [`(module (memory 1 2 shared))`, /shared memory/],
  ] as const;
  for (const [text, message] of cases)
    throws(
      () => decodeModule(tools.parseWat("t.wat", text, { ...features, threads: true }).toBinary({}).buffer),
      (error: Error & { code?: string }) => /^MF_WASM_(UNSUPPORTED|MALFORMED)$/.test(error.code ?? "") && message.test(error.message),
    );
});

test("types of later features are named, as a parameter, a table's elements and a block's result", () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const kinds = [
    [/garbage collection/, [0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73]],
    [/exception handling/, [0x69, 0x74]],
    [/typed function references/, [0x63, 0x64]],
    [/SIMD/, [0x7b]],
  ] as const;
  for (const [message, types] of kinds)
    for (const type of types)
      for (const sections of [
        [1, 5, 1, 0x60, 1, type, 0],
        [4, 4, 1, type, 0, 0],
        [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 7, 1, 5, 0, 0x02, type, 0x0b, 0x0b],
      ])
        throws(() => decodeModule(Uint8Array.from([...header, ...sections])), { code: "MF_WASM_UNSUPPORTED", message });
  throws(() => decodeModule(Uint8Array.from([...header, 1, 5, 1, 0x60, 1, 0x62, 0])), { code: "MF_WASM_MALFORMED" });
});

test("limits hold: memory, tables, segments, frames", () => {
  throws(() => link({ a: "(module (memory 3))" }, { memoryPages: () => 2 }), { code: "MF_LINK_LIMIT" });
  throws(() => link({ a: "(module (table 2000000 funcref))" }), { code: "MF_LINK_LIMIT" });
  throws(() => link({ a: `(module (memory 1) (data (i32.const 65535) "ab"))` }), { code: "MF_LINK_SEGMENT" });
  throws(() => link({ a: "(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))" }), { code: "MF_LINK_SEGMENT" });
  const deep = 140_000;
  const repeat = (code: Uint8Array): Uint8Array => concatBytes(Array.from({ length: deep }, () => code));
  const body = concatBytes([
    Uint8Array.of(0),
    repeat(instruction("local.get", 0)),
    Uint8Array.of(0x02, 0x40, 0x0b),
    repeat(instruction("drop")),
    Uint8Array.of(0x0b),
  ]);
  const code = concatBytes([Uint8Array.of(1), encodeUnsigned(body.length), body]);
  const bytes = concatBytes([
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0, 10),
    encodeUnsigned(code.length),
    code,
  ]);
  throws(() => compileModule(decodeModule(bytes), { backend: "baseline" }), { code: "MF_COMPILE_LIMIT" });
});

test("names that do not meet are refused", () => {
  throws(() => linkProgram([module("a", "(module)"), module("a", "(module)")], { platform: "linux" }), { code: "MF_LINK_DUPLICATE" });
  throws(
    () =>
      link({ a: `(module (import "b" "f" (func)) (export "f" (func 0)))`, b: `(module (import "a" "f" (func)) (export "f" (func 0)))` }),
    {
      code: "MF_LINK_CYCLE",
    },
  );
  throws(() => link({ a: `(module (import "b" "m" (memory 1)))`, b: `(module (func (export "m")))` }), { code: "MF_LINK_INCOMPATIBLE" });
  throws(() => link({ a: `(module (import "symbol" "memory.nobody.base" (func $s (result i64))) (func (drop (call $s))))` }), {
    code: "MF_LINK_SYMBOL",
  });
});

test("a function too tangled for the optimising backend is left to the single pass", () => {
  // 2,000 locals, each changed in its own arm of 12,000: what every path left in every local would have to be kept.
  const tangled = (arms: number): Uint8Array => {
    const locals = Array.from({ length: 2000 }, () => "i32").join(" ");
    const all = Array.from({ length: arms }, (_, i) => `(if (local.get 0) (then (local.set ${(i % 2000) + 1} (i32.const ${i}))))`);
    return binary(`(module (func (param i32) (local ${locals}) ${all.join("\n")}))`);
  };
  const both = (bytes: Uint8Array): readonly (Uint8Array | undefined)[] =>
    (["baseline", "optimising"] as const).map((backend) => compileModule(decodeModule(bytes), { backend }).functions[0]?.code.bytes);
  const [single, chosen] = both(tangled(12_000));
  deepEqual(chosen, single);
  const [simple, better] = both(tangled(100));
  notDeepEqual(better, simple, "below the limit the backends differ");
});
