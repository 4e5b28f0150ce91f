import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import wabt from "wabt";
import { evaluate, hostText, nativeEngine, quickjsProgram, start, v8Engine } from "./engines.ts";

/** Libraries as they are published, some thousand lines each, run inside QuickJS on both engines. */
const script = `
  import yaml from "yaml";
  import { XMLParser, XMLBuilder } from "fast-xml-parser";
  import dayjs from "dayjs";
  import { z } from "zod";
  const out = [];
  const doc = { name: "orders", lines: Array.from({ length: 25 }, (_, i) => ({ sku: "s" + i, qty: i % 7, price: i * 1.1, note: i % 3 ? null : "a: b # c" })) };
  const text = yaml.stringify(doc);
  out.push(text, JSON.stringify(yaml.parse(text)), JSON.stringify(yaml.parse("a: &x [1, 2]\\nb: *x\\nc: |\\n  two\\n  lines\\n")));
  const xml = new XMLBuilder({ format: true, ignoreAttributes: false }).build({ order: { "@_id": "7", line: doc.lines } });
  out.push(xml, JSON.stringify(new XMLParser({ ignoreAttributes: false }).parse(xml)));
  out.push(dayjs.unix(1700000000).add(3, "month").toISOString(), dayjs("2024-02-29").diff("2020-02-29", "day"));
  const schema = z.object({ sku: z.string().regex(/^s\\d+$/), qty: z.number().int().max(5), price: z.number(), note: z.string().nullable() });
  out.push(JSON.stringify(doc.lines.map((line) => { const r = schema.safeParse(line); return r.success || r.error.issues.map((i) => i.path.join(".") + " " + i.code); })));
  globalThis.result = out.join("\\n---\\n");
`;

test("published libraries give the same results natively as under V8", async (t) => {
  if (process.platform !== "linux" || process.arch !== "x64") return t.skip("native code here is x86-64 Linux");
  const bundled = await build({
    stdin: { contents: script, resolveDir: process.cwd(), loader: "js" },
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
  });
  // QuickJS has neither of these, and only reading options asks for them.
  const shims =
    "globalThis.TextEncoder ??= class { encode(s) { return Uint8Array.from(unescape(encodeURIComponent(s)), c => c.charCodeAt(0)); } };\
    globalThis.TextDecoder ??= class { decode(b) { return decodeURIComponent(escape(String.fromCharCode(...(b ?? [])))); } };\
    globalThis.console ??= { log() {}, warn() {}, error() {} };";
  const code = `${shims}${bundled.outputFiles[0]?.text ?? ""};globalThis.result`;
  const host = (await wabt()).parseWat("host.wat", hostText, { bulk_memory: true }).toBinary({}).buffer;
  const engines = [v8Engine(host), await nativeEngine(quickjsProgram(host, "optimising"))];
  const results: string[] = [];
  for (const engine of engines) {
    await start(engine);
    results.push(await evaluate(engine, code));
    await engine.close();
  }
  ok((results[0]?.length ?? 0) > 5000 && results[0]?.startsWith("thrown") === false, results[0]?.slice(0, 300));
  equal(results[1], results[0]);
  deepEqual(results.length, 2);
});
