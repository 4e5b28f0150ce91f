import { equal, match, throws } from "node:assert/strict";
import { test } from "node:test";
import wabt from "wabt";
import { decodeModule } from "../decode/module.ts";
import { generateModule } from "../fuzz/generate.ts";
import { optimise } from "../optimise/optimise.ts";
import { dumpFunction } from "../dump.ts";
import { buildIr } from "./operators.ts";
import { dumpIr } from "./dump.ts";
import { verifyIr } from "./testing/verify.ts";
import type { FunctionIr } from "./value.ts";

const tools = await wabt();

function ir(body: string): FunctionIr {
  const module = decodeModule(tools.parseWat("t.wat", `(module (memory 1) (func ${body}))`).toBinary({}).buffer);
  const built = buildIr(module, module.functions[0]!);
  optimise(built);
  verifyIr(built);
  return built;
}

test("blocks get parameters for what their paths disagree on, and for nothing else", () => {
  const text = dumpIr(
    ir(
      "(param i32 i32) (result i32) (local i32) (if (local.get 0) (then (local.set 2 (i32.const 3))) (else (local.set 2 (local.get 1)))) (i32.add (local.get 2) (local.get 1))",
    ),
  );
  match(text, /block\d+\(v\d+:i32\) depth 0/);
  equal([...text.matchAll(/i32\.add/g)].length, 1);
});

test("a loop keeps as parameters only what changes in it", () => {
  const built = ir(
    "(param i32 i32) (result i32) (local i32) (loop (local.set 1 (local.get 1)) (local.set 2 (i32.add (local.get 2) (local.get 1))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 2)",
  );
  equal(built.blocks.find((block) => block.isLoop)?.params.length, 2);
});

test("constants are folded, branches on them decided, and what nothing uses is gone", () => {
  const text = dumpIr(
    ir(
      "(param i32) (result i32) (drop (i32.mul (local.get 0) (local.get 0))) (if (result i32) (i32.eqz (i32.const 0)) (then (i32.add (i32.mul (i32.const 6) (i32.const 7)) (i32.const 0))) (else (unreachable)))",
    ),
  );
  match(text, /return i32:42/);
  equal(/mul|branch|trap/.test(text), false);
});

test("a load or division that nothing uses stays: it may trap", () => {
  match(
    dumpIr(ir("(param i32) (drop (i32.load (local.get 0))) (drop (i32.div_u (i32.const 1) (local.get 0)))")),
    /i32\.load[^]*i32\.div_u/,
  );
});

test("random functions keep SSA's promises through every pass", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const module = decodeModule(generateModule(seed));
    for (const item of module.functions) {
      const built = buildIr(module, item);
      optimise(built);
      verifyIr(built);
    }
  }
});

test("the verifier sees a broken promise", () => {
  const built = ir("(param i32) (result i32) (i32.add (i32.load (local.get 0)) (i32.load offset=4 (local.get 0)))");
  const body = built.blocks[0]!.body;
  body.reverse();
  throws(() => verifyIr(built), /defined before its use/);
});

test("every phase of a function can be read as text", () => {
  const module = decodeModule(
    tools
      .parseWat("t.wat", "(module (memory 1) (func (param i32) (result i32) (i32.load offset=8 (i32.add (local.get 0) (i32.const 4)))))")
      .toBinary({}).buffer,
  );
  const item = module.functions[0]!;
  match(dumpFunction(module, item, "operators"), /i32\.load 8/);
  match(dumpFunction(module, item, "ir"), /v\d+:i32 = i32\.load #8 v\d+/);
  match(dumpFunction(module, item, "alloc"), /i32\.add v0, i32:4   → rax/);
  match(dumpFunction(module, item, "asm"), /83c004/);
  match(dumpFunction(module, item, "baseline"), /^function 0/);
});
