/** The published types against the code, and flows as authors write them against the published types. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type * as Api from "./api.d.ts";
import type { Kernel } from "./exports.ts";
import * as outside from "./outside.ts";
import { bootMachine, deliver } from "./testing/fake-machine.ts";

// Compiles only if the code offers what api.d.ts promises.
const promised = {} as Kernel satisfies Pick<typeof Api, "fail" | "FlowError" | "json" | "text" | "timingSafeEqual">;
void promised;

test("the module works in Node", () => {
  assert.deepEqual(outside.xml.parse("<a>1</a>"), { a: "1" });
  assert.deepEqual(outside.csv.parse("a,b\n1,2"), [{ a: "1", b: "2" }]);
  assert.equal(outside.timingSafeEqual("a", "a"), true);
  assert.throws(() => outside.fail("x", { code: "E" }), { code: "E" });
  assert.throws(() => outside.json.parse("{"), { code: "MF_JSON_INVALID" });
  assert.equal(outside.text.parse(outside.text.stringify("ü")), "ü");
});

/** Compiler messages of a flow's source, as `mayfly build` would have them. */
function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-types-"));
  try {
    const root = resolve(process.cwd());
    writeFileSync(join(folder, "flow.ts"), source);
    const options = {
      strict: true,
      noEmit: true,
      target: "ES2023",
      lib: ["ES2023"],
      types: [],
      module: "ESNext",
      moduleResolution: "bundler",
      paths: { mayfly: [join(root, "kernel/runtime/api.d.ts")], "mayfly/*": [join(root, "kernel/runtime/api.d.ts")] },
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: options, files: ["flow.ts", join(root, "kernel/runtime/globals.d.ts")] }),
    );
    return spawnSync(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", join(folder, "tsconfig.json"), "--pretty", "false"],
      { encoding: "utf8" },
    ).stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Properties of the web globals in a machine: `X.name` of objects and classes, `X.prototype.name` of what classes make. */
const listGlobals = `import { flow } from "mayfly";
export default flow(() => {
  const mentioned = [console, URL, URLSearchParams, TextEncoder, TextDecoder, Headers, Request, Response, Blob, File, FormData,
    AbortController, AbortSignal, Event, CustomEvent, EventTarget, DOMException, crypto, crypto.subtle, performance];
  const names = ["console", "URL", "URLSearchParams", "TextEncoder", "TextDecoder", "Headers", "Request", "Response", "Blob", "File", "FormData",
    "AbortController", "AbortSignal", "Event", "CustomEvent", "EventTarget", "DOMException", "crypto", "crypto.subtle", "performance"];
  const ofFunctions = Object.getOwnPropertyNames(Function.prototype).concat("prototype");
  const own = (value) => Object.getOwnPropertyNames(value).filter((name) => /^[a-zA-Z]/.test(name));
  return mentioned.flatMap((value, at) => {
    if (typeof value !== "function") return own(value).concat(own(Object.getPrototypeOf(value))).map((name) => names[at] + "." + name);
    const inherited = own(value.prototype).map((name) => names[at] + ".prototype." + name);
    return own(value).filter((name) => !ofFunctions.includes(name)).map((name) => names[at] + "." + name).concat(inherited);
  });
});`;

test("whatever the web globals have in a machine, the published types have", async () => {
  const machine = await bootMachine(listGlobals);
  const end = machine.event(deliver).effects.at(-1);
  assert.ok(end?.kind === "done");
  const paths = JSON.parse(new TextDecoder().decode(end.reply?.body)) as string[];
  assert.ok(paths.length > 150, `${paths.length}`);
  // Leftovers of old browsers are there for code that asks for them, and not offered: numbers of phases and errors among them.
  const leftovers =
    /\.(?:[A-Z_]+|constructor|srcElement|returnValue|cancelBubble|initEvent|initCustomEvent|is(?:Reload|History)Navigation)$/;
  const unknown = paths.filter((path) => !leftovers.test(path));
  assert.equal(compile(`export {};\n${unknown.map((path) => `void ${path};`).join("\n")}`), "");
});

test("a flow that uses everything type-checks without Node and DOM", () => {
  const messages = compile(`
    import { csv, fail, flow, FlowError, json, text, timingSafeEqual, xml, type Message } from "mayfly";
    interface Order { id: number; lines: { sku: string }[] }
    const total = (msg: Message): number => msg.json<Order>().lines.length;
    export default flow<"erp" | "audit">(async (msg, { to, log, state, reply, sleep, fetch, signal }) => {
      const invoice = msg.xml<{ Invoice: { ID: string } }>({ removePrefixes: true, arrays: ["Line"] });
      const rows = msg.csv<{ a: string }>({ delimiter: ";" });
      to.audit.send(rows[0], { key: msg.key, headers: { a: msg.headers["b"] } });
      const answer = await to.erp.request(invoice.Invoice.ID, { method: "PUT", timeout: "5s" });
      const page = await fetch("https://api.example/x", { signal: AbortSignal.any([signal, AbortSignal.timeout(100)]) });
      const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("k"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      const mac: ArrayBuffer = await crypto.subtle.sign("HMAC", key, msg.bytes);
      state.set("n", (state.get<number>("n") ?? 0) + total(msg));
      log.info("x", { n: 1 }); console.log(new URL("/a", "https://b").searchParams.get("c"), structuredClone(rows), atob(btoa("x")));
      await sleep("1s"); setTimeout((a: number) => a, 1, 2); await new Promise((done) => setTimeout(done, 5)); queueMicrotask(() => {});
      if (!timingSafeEqual(new Uint8Array(mac), text.stringify("x"))) fail("bad", { status: 401, retry: false });
      if (answer.status > 299) throw new FlowError("E_X", answer.text());
      reply(csv.stringify(rows), { contentType: "text/csv" });
      return new Response(xml.stringify({ a: json.parse("1") }), { status: page.status });
    });
    export const second = flow({ outlets: ["a", "b"], limits: { cpu: "1s" } }, (msg, { to }) => to.b.send(msg));
  `);
  assert.equal(messages, "");
});

test("what a machine does not have does not compile", () => {
  const header = 'import { flow } from "mayfly";\n';
  const table: readonly (readonly [source: string, message: RegExp])[] = [
    ['export default flow<"a">((msg, { to }) => to.b.send(1));', /Property 'b' does not exist/],
    ['export default flow({ outlets: ["a"] }, (msg, { to }) => to.b.send(1));', /Property 'b' does not exist/],
    ["export default flow(() => process.env.HOME);", /Cannot find name 'process'/],
    ["export default flow(() => document.title);", /Cannot find name 'document'/],
    ["export default flow(() => { setTimeout((a: number) => a, 1); });", /not assignable to parameter/],
    ["export default flow((msg) => msg.body);", /Property 'body' does not exist/],
    ["export default flow((msg) => { msg.headers.a = 'b'; });", /read-only|only permits reading/],
  ];
  for (const [source, message] of table) assert.match(compile(header + source), message, source);
});

test("every snippet of docs/FLOWS.md compiles", () => {
  const guide = readFileSync(resolve(process.cwd(), "docs/FLOWS.md"), "utf8");
  const snippets = [...guide.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((found) => found[1]!);
  assert.ok(snippets.length >= 9);
  for (const snippet of snippets) assert.equal(compile(snippet), "", snippet);
});
