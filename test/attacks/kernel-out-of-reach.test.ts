/** A flow's code, its packages among it, never gets hold of the kernel's natives or of what the kernel was booted with. */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { defaultFlowLimits } from "#abi";
import { fromUtf8 } from "#base";
import { embeddedMonitor, type Monitor } from "#monitors";
import { deliver } from "../../monitors/monitor.case.ts";
import { buildImage } from "#image";

/** Walks everything that can be reached from values: properties, prototypes, getters' and setters' functions, what getters give. */
const walker = `
const own = Reflect.ownKeys, describe = Reflect.getOwnPropertyDescriptor, parent = Reflect.getPrototypeOf;
const telling = ["emit", "hmac", "decodeUtf8", "randomFloat", "setFlow", "rejection", "settle", "getFunction", "mayfly.kernel"];
export function reach(roots) {
  const seen = new Set(), found = new Set(), open = [...roots];
  const add = (value) => { if ((typeof value === "object" && value !== null) || typeof value === "function") if (!seen.has(value)) { seen.add(value); open.push(value); } };
  while (open.length > 0) {
    const value = open.pop();
    try { add(parent(value)); } catch {}
    let keys = [];
    try { keys = own(value); } catch {}
    for (const key of keys) {
      const text = typeof key === "symbol" ? key.description : key;
      if (telling.includes(text)) found.add(text);
      let property;
      try { property = describe(value, key); } catch {}
      if (property === undefined) continue;
      add(property.value); add(property.get); add(property.set);
      if (property.get) try { add(property.get.call(value)); } catch {}
      try { if (telling.includes(property.value?.name)) found.add("function " + property.value.name); } catch {}
    }
  }
  return [...found];
}
const globals = () => [globalThis, Symbol.for("mayfly.kernel") in globalThis ? globalThis[Symbol.for("mayfly.kernel")] : undefined, globalThis.__mayfly, globalThis.__manifest];
export const early = reach(globals().filter(Boolean));
`;

/** Every part is linked; a module that is first in the flow and one in a package look around while the image is built. */
const files: Readonly<Record<string, string>> = {
  "walker.js": walker,
  "node_modules/nosy/package.json": '{"name":"nosy","main":"index.js"}',
  "node_modules/nosy/index.js": 'const kernel = globalThis[Symbol.for("mayfly.kernel")]; module.exports = { kernel: typeof kernel };',
  "flow.js": `
    import { early, reach } from "./walker.js";
    import nosy from "nosy";
    import * as mayfly from "mayfly";
    import crypto from "node:crypto"; import util from "node:util"; import url from "node:url"; import assert from "node:assert"; import os from "node:os";
    import "mayfly/xml"; import "mayfly/csv";
    const heard = [];
    const apply = Reflect.apply;
    for (const [where, name] of [[Function.prototype, "call"], [Function.prototype, "apply"], [Reflect, "apply"], [Array.prototype, "push"], [Map.prototype, "get"],
      [Map.prototype, "set"], [Object, "defineProperty"], [Object, "entries"], [Promise.prototype, "then"], [JSON, "parse"], [JSON, "stringify"], [RegExp.prototype, "test"],
      [RegExp.prototype, "exec"], [String.prototype, "replace"], [Array.prototype, Symbol.iterator]]) {
      const before = where[name];
      where[name] = function (...given) { if (heard.length < 5000) { heard[heard.length] = this; heard[heard.length] = given; } return apply(before, this, given); };
    }
    const sites = [];
    Error.prepareStackTrace = (error, given) => { sites[sites.length] = given; return ""; };
    export default mayfly.flow(async (msg, context) => {
      console.log("x"); new URL("http://a/?b=c"); structuredClone({}); new TextEncoder().encode({ toString() { new Error("in").stack; return "x"; } });
      context.log.info("y", { toJSON() { new Error("in").stack; return 1; } });
      mayfly.xml.parse("<a/>"); mayfly.csv.parse("a,b\\n1,2"); await crypto.subtle.digest("SHA-256", new Uint8Array(2)); crypto.randomUUID();
      const form = new FormData(); form.append("f", new File(["x"], "n")); await (await new Response(form).formData()).get("f").slice(0).text();
      crypto.createHmac("md5", "k").update("x").digest("hex"); crypto.createHash("sha256").copy().digest(); crypto.randomBytes(2); try { crypto.createSign("x"); } catch (error) { heard[heard.length] = error; }
      Buffer.from("aGk=", "base64").toString("utf8"); util.inspect(Buffer.alloc(2)); util.promisify(setTimeout); url.parse("http://a/b?c", true); process.nextTick(() => 0); setImmediate(() => 0); heard[heard.length] = [crypto, util, url, assert, os, process, Buffer];
      new AbortController().signal; new Headers({ a: "b" });
      const answer = await context.to.erp.request({ get a() { new Error("in").stack; return 1; } });
      return { early, nosy, late: reach([globalThis, msg, context, mayfly, form, heard, sites, answer]) };
    });`,
};

let folder: string;
let monitor: Monitor;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-sealed-"));
  for (const [name, text] of Object.entries({ "package.json": "{}", ...files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  monitor = embeddedMonitor({ workers: 1 });
});
after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

test("nothing of the kernel can be reached by a flow, at its top level or in its handler", async () => {
  const { image } = await buildImage(join(folder, "flow.js"));
  const machine = monitor.start(await monitor.load(image), deliver(), { ...defaultFlowLimits, cpuMs: 20_000, memoryBytes: 2 ** 27 });
  const first = await machine.first;
  deepEqual(first.failure, undefined);
  equal(first.status, "waiting");
  const { effects, failure } = await machine.step({
    kind: "resolve",
    timeMs: 1,
    call: 0,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: new Uint8Array(0),
  });
  deepEqual(failure, undefined);
  const last = effects.at(-1);
  if (last?.kind !== "done") throw new Error(JSON.stringify(last));
  deepEqual(JSON.parse(fromUtf8(last.reply?.body ?? new Uint8Array(0))), { early: [], nosy: { kernel: "undefined" }, late: [] });
});

test("a kernel's file can't be imported by its path", async () => {
  const link = fileURLToPath(new URL("../../kernel/runtime/link.js", import.meta.url));
  const file = join(folder, "thief.js");
  await writeFile(
    file,
    `import { kernel } from ${JSON.stringify(link)}; import { flow } from "mayfly"; export default flow(() => typeof kernel.native);`,
  );
  await rejects(buildImage(file), (error: Error & { code?: string }) => {
    equal(error.code, "MF_BUNDLE_OUTSIDE");
    match(error.message, /thief\.js: .*link\.js is a file of the kernel/);
    return true;
  });
});
