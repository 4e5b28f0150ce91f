import { deepEqual, ok } from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import wabt from "wabt";
import { type Engine, hostText, nativeEngine, quickjsProgram, start, v8Engine } from "./engines.ts";
import { outcome, type Script, scriptAt, scriptPaths } from "./test262.ts";

/**
 * ECMAScript's own conformance suite: QuickJS compiled here must give the results of QuickJS under V8, also where it fails.
 * MAYFLY_TEST262_STEP=1 takes every script (half an hour), 50 every fiftieth; MAYFLY_TEST262_FROM begins later.
 */
const folder = process.env["MAYFLY_TEST262"] ?? join(process.cwd(), "..", "shared", "data", "test262");
const step = Number(process.env["MAYFLY_TEST262_STEP"] ?? 50);
const from = Number(process.env["MAYFLY_TEST262_FROM"] ?? 0);
const most = Number(process.env["MAYFLY_TEST262_MOST"] ?? Number.MAX_SAFE_INTEGER);
/** Scripts that share an engine: starting one takes as long as some of them. */
const perEngine = 50;
const memoryBytes = 128 * 1024 * 1024;

async function outcomes(engine: Engine, scripts: readonly Script[]): Promise<string[]> {
  const all: string[] = [];
  try {
    await start(engine);
    await engine.call("qjs_set_memory_limit", memoryBytes);
    for (const script of scripts) all.push(await outcome(engine, script));
  } catch (error) {
    all.push(`the engine ended: ${error instanceof Error ? error.message : String(error)}`); // both must
  } finally {
    await engine.close();
  }
  return all;
}

test("QuickJS compiled here gives the same results as under V8, in test262", async (t) => {
  if (process.platform !== "linux" || process.arch !== "x64") return t.skip("native code here is x86-64 Linux");
  if (!existsSync(folder)) return t.skip(`no test262 at ${folder}; set MAYFLY_TEST262 to its folder`);
  const host = (await wabt()).parseWat("host.wat", hostText, { bulk_memory: true }).toBinary({}).buffer;
  const program = quickjsProgram(host, "optimising");
  const paths = ["language", "built-ins"].flatMap((below) => scriptPaths(folder, below)).filter((_, index) => index % step === 0);
  const scripts = paths.slice(from, from + most).flatMap((path) => scriptAt(folder, path) ?? []);
  const wrong: string[] = [];
  let thrown = 0;
  let ran = 0;
  for (let first = 0; first < scripts.length; first += perEngine) {
    const some = scripts.slice(first, first + perEngine);
    const expected = await outcomes(v8Engine(host), some);
    const actual = await outcomes(await nativeEngine(program), some);
    ran += actual.length;
    for (const [index, { name }] of some.entries()) {
      if (expected[index]?.startsWith("thrown: ") === true) thrown++;
      if (actual[index] !== expected[index]) wrong.push(`${name}: ${actual[index]} instead of ${expected[index]}`);
    }
  }
  t.diagnostic(`${ran} scripts, ${wrong.length} differences; ${thrown} end with an exception on both`);
  deepEqual(wrong, []);
  ok(ran >= Math.min(scripts.length, most), `${ran} of ${scripts.length} scripts ran`);
});
