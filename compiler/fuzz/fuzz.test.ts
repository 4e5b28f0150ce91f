import { deepEqual } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Backend } from "../compile.ts";
import { compareModules, type Subject } from "./compare.ts";
import { generateModule } from "./generate.ts";

const skip = process.platform === "linux" && process.arch === "x64" ? false : "native code here is x86-64 Linux";
const corpus = join(process.cwd(), "compiler", "fuzz", "corpus");

for (const backend of ["baseline", "optimising"] satisfies Backend[]) {
  const judge = async (subjects: readonly Subject[]): Promise<void> => {
    const differences = await compareModules(subjects, backend);
    deepEqual(
      differences.map((d) => `${d.subject.label}: ${d.what}`),
      [],
    );
  };

  test(`random modules give V8's results when compiled by the ${backend} backend`, { skip }, async (t) => {
    const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 2 ** 30);
    t.diagnostic(`seed ${seed}; repeat with MAYFLY_SEED=${seed}, run longer with npm run fuzz:compiler -- --seed ${seed}`);
    for (const first of [1, seed, seed + 100])
      await judge(Array.from({ length: 100 }, (_, i) => ({ label: `seed ${first + i}`, bytes: generateModule(first + i) })));
  });

  test(`modules that once failed stay repaired in the ${backend} backend`, { skip }, async (t) => {
    const files = existsSync(corpus) ? readdirSync(corpus).filter((name) => name.endsWith(".wasm")) : [];
    if (files.length === 0) return t.skip("the corpus is not here");
    await judge(files.map((name) => ({ label: name, bytes: new Uint8Array(readFileSync(join(corpus, name))) })));
  });
}
