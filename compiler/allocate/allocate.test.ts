import { ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { decodeModule } from "../decode/module.ts";
import type { Module } from "../decode/types.ts";
import { generateModule } from "../fuzz/generate.ts";
import { quickjsBytes } from "../quickjs/engines.ts";
import { compileOptimised } from "../select/function.ts";
import { CheckedMachine } from "./testing/check.ts";

function compileChecked(module: Module): void {
  for (const item of module.functions) compileOptimised(module, item, (slots) => new CheckedMachine(slots));
}

test("values are where the allocator believes them, in every function of QuickJS", () => {
  compileChecked(decodeModule(quickjsBytes()));
});

test("values are where the allocator believes them, in random functions", () => {
  for (let seed = 1; seed <= 400; seed++) compileChecked(decodeModule(generateModule(seed)));
});

test("the checker sees a value that is not where it should be", () => {
  class Forgetful extends CheckedMachine {
    override storeSlot(): void {}
  }
  const module = decodeModule(quickjsBytes());
  ok(module.functions.length > 0);
  throws(
    () => module.functions.forEach((item) => compileOptimised(module, item, (slots) => new Forgetful(slots))),
    /where v\d+ is expected/,
  );
});
