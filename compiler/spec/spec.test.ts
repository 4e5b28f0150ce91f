import { equal, ok } from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import wabt from "wabt";
import type { Backend } from "../compile.ts";
import { Suite } from "./suite.ts";

/** The core specification's test suite, run natively. Its files are not part of the repository. */
const folder = process.env["MAYFLY_WASM_SPEC"] ?? join(process.cwd(), "..", "shared", "data", "wasm-spec-core");
const only = process.env["MAYFLY_WASM_SPEC_ONLY"];
const backends: Backend[] = ["baseline", "optimising"];

for (const backend of backends) {
  test(`the core spec suite runs natively, compiled by the ${backend} backend`, async (t) => {
    if (process.platform !== "linux" || process.arch !== "x64") return t.skip("native code here is x86-64 Linux");
    if (!existsSync(folder)) return t.skip(`no spec suite at ${folder}; set MAYFLY_WASM_SPEC to its folder`);
    const tools = await wabt();
    const features = {
      bulk_memory: true,
      reference_types: true,
      multi_value: true,
      mutable_globals: true,
      sat_float_to_int: true,
      sign_extension: true,
    };
    const convert = (name: string, text: string): Uint8Array => {
      const module = tools.parseWat(name, /^[\x00-\x7f]*$/.test(text) ? text : new Uint8Array(Buffer.from(`${text}\n`)), features);
      try {
        return module.toBinary({}).buffer;
      } finally {
        module.destroy();
      }
    };
    let passed = 0;
    const failures: string[] = [];
    const skipped = new Map<string, number>();
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".wast") && (only === undefined || name.startsWith(only)))) {
      const result = await new Suite(join(folder, file), convert, backend).run();
      passed += result.passed;
      failures.push(...result.failures);
      for (const [reason, count] of result.skipped) skipped.set(reason, (skipped.get(reason) ?? 0) + count);
    }
    t.diagnostic(`${passed} assertions passed`);
    for (const [reason, count] of skipped) t.diagnostic(`${count} out of scope: ${reason}`);
    for (const failure of failures.slice(0, 100)) t.diagnostic(failure);
    equal(failures.length, 0, failures[0]);
    ok(only !== undefined || passed > 15_000, `${passed} assertions ran`);
  });
}
