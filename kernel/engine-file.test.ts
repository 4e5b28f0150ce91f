import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { prng } from "#base";
import { kernelArtifacts } from "./artifacts.ts";
import { engineFile, rewrittenEngine } from "./engine-file.ts";

test("an engine comes back from its differences, wherever bytes were added, removed or changed", () => {
  const random = prng(20261129);
  for (let round = 0; round < 200; round++) {
    const original = Uint8Array.from({ length: random.below(3000) }, () => random.below(random.below(2) === 0 ? 256 : 3));
    const rewritten = [...original];
    for (let edit = random.below(6); edit > 0; edit--)
      rewritten.splice(
        random.below(rewritten.length + 1),
        random.below(40),
        ...Array.from({ length: random.below(40) }, () => random.below(256)),
      );
    const file = engineFile(original, Uint8Array.from(rewritten));
    deepEqual([...(rewrittenEngine(original, file) ?? [])], rewritten, `round ${round}`);
  }
});

test("the kernel's engine is the package's with some bytes more, and no other version of the package", () => {
  const packaged = readFileSync(createRequire(import.meta.url).resolve("quickjs-wasi/quickjs.wasm"));
  const file = engineFile(packaged, kernelArtifacts().engine);
  ok(file.splices.length > 0 && JSON.stringify(file).length < 4096);
  const other = Buffer.from(packaged);
  other[300_000] = (other[300_000] ?? 0) ^ 1;
  equal(rewrittenEngine(other, file), undefined);
});
