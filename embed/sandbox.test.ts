/** Functions by strangers: what they get, what they give, and what they can't do. */
import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { SandboxedFunction, SandboxOptions } from "./embed.d.ts";
import { sandbox } from "./sandbox.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests call any function
async function made(context: TestContext, code: string, options: SandboxOptions = {}): Promise<SandboxedFunction<any[], any>> {
  // biome-ignore lint/suspicious/noExplicitAny: tests call any function
  const own = await sandbox<any[], any>(code, { workers: 1, ...options });
  context.after(() => own.close());
  return own;
}

test("a function in JavaScript or TypeScript takes values and gives one", async (context) => {
  const double = await sandbox<[number], number>("(x) => x * 2", { workers: 1 });
  context.after(() => double.close());
  equal(await double(21), 42);
  equal(await (await made(context, "function (a: number, b = 2): number { return a + b }"))(1), 3);
  equal(await (await made(context, "async (x) => { await null; return x; } // as it was"))("ä\ud800"), "ä\ud800");
  equal(await (await made(context, "() => {}"))(), undefined);
  deepEqual(await (await made(context, "(...all) => all.length"))(undefined, undefined), 2);
});

test("values of every kind cross both ways", async (context) => {
  const same = await made(context, "(x) => x");
  const kinds = await made(context, "(x) => Object.prototype.toString.call(x)");
  const values: unknown[] = [
    null,
    -0,
    Number.NaN,
    12n ** 40n,
    -1n,
    new Date(0),
    new Map<unknown, unknown>([[{ a: 1n }, new Set([undefined])]]),
    new Uint8Array([0, 255]),
    new Float64Array([1.5, Number.NaN]),
    new BigInt64Array([-1n]),
    new Uint8Array([1, 2]).buffer,
    { a: undefined, b: [undefined, { c: 1n }] },
    ["!", "", "form"],
    { form: [1] },
  ];
  for (const value of values) {
    deepEqual(await same(value), structuredClone(value));
    equal(await kinds(value), Object.prototype.toString.call(value));
  }
  ok(Number.isNaN(((await same(new Date(Number.NaN))) as Date).getTime()));
  const error = (await same(new RangeError("far"))) as Error;
  ok(error instanceof RangeError);
  equal(error.message, "far");
});

test("each call meets a machine of its own", async (context) => {
  const count = await made(context, "() => { globalThis.n = (globalThis.n ?? 0) + 1; Object.prototype.x = 1; return n + Math.random(); }");
  const all = (await Promise.all(Array.from({ length: 40 }, () => count()))) as number[];
  ok(all.every((each) => each >= 1 && each < 2));
  equal(new Set(all).size, 40);
});

test("functions of the host get values and give them; the code reaches no other", async (context) => {
  const asked: unknown[] = [];
  const functions = {
    add: (a: number, b: bigint) => {
      asked.push([a, b]);
      return Promise.resolve(new Map([["sum", BigInt(a) + b]]));
    },
    none: () => undefined,
  };
  const own = await made(context, "async (x) => [await add(x, 1n), await none(), typeof to, typeof subtract]", {
    functions,
  });
  deepEqual(await own(2), [new Map([["sum", 3n]]), undefined, "undefined", "undefined"]);
  deepEqual(asked, [[2, 1n]]);
  const fetching = await made(context, "() => fetch('http://127.0.0.1/').then(() => 'reached', (e) => e.cause?.code ?? e.code)", {
    functions,
  });
  equal(await fetching(), "MF_OUTLET_UNKNOWN");
});

test("an error of the host's function shows its text where it says so; the caller has it as the cause", async (context) => {
  const secret = new Error("password=1");
  const functions = {
    fails: () => Promise.reject(secret),
    tells: () => Promise.reject(Object.assign(new Error("no such order"), { expose: true, code: "NO_ORDER" })),
    wrong: () => Symbol("x"),
  };
  const caught = await made(context, "async (name) => ({ fails, tells, wrong })[name]().catch((e) => [e.code, e.message])", { functions });
  deepEqual(await caught("fails"), ["MF_OUTLET_FAILED", "the outlet fails failed"]);
  deepEqual(await caught("tells"), ["NO_ORDER", "no such order"]);
  deepEqual(await caught("wrong"), ["MF_OUTLET_FAILED", "the outlet wrong failed"]);
  const own = await made(context, "async () => await fails()", { functions });
  await rejects(own(), (error: Error & { code?: string }) => {
    deepEqual([error.code, error.cause], ["MF_OUTLET_FAILED", secret]);
    return true;
  });
});

test("what the code throws has a place in its own text", async (context) => {
  const own = await made(
    context,
    "(n: number) => {\n  const check = (x: number) => {\n    if (x > 3) throw new RangeError(`too much: ${x}`);\n  };\n  check(n);\n}",
  );
  await rejects(own(4), (error: Error & { code?: string; at?: object }) => {
    equal(error.code, "MF_FLOW_THREW");
    equal(error.message, "RangeError: too much: 4");
    match(error.stack ?? "", /^GuestError: RangeError: too much: 4\n {4}at .*function\.ts:3:\d+/);
    ok(!/sandbox\.js|values\.js|function\.ts:0/.test(error.stack ?? ""), error.stack);
    equal((error.at as { line: number }).line, 3);
    return true;
  });
  equal(await own(1), undefined);
});

test("text that is not one expression is refused where it goes wrong, and can't leave its place", async () => {
  const refused = async (code: string, expected = "MF_SANDBOX_INVALID", sentence = /^function\.ts:\d+:\d+: /) =>
    rejects(sandbox(code, { workers: 1 }), (error: Error & { code?: string }) => {
      equal(error.code, expected, error.message);
      match(error.message, sentence);
      return true;
    });
  await refused("(x) =>\n  x +* 2", undefined, /^function\.ts:2:6: /);
  for (const code of [
    "1); globalThis.evil = 1; (2",
    "() => 1); for (;;); (() => 1",
    "1]; [2",
    "(x) => x; throw 1",
    "import x from 'mayfly'",
    "// only a comment",
    "`${1",
    "/* ",
    "() => 1 /*",
    "export default 1",
    "<!-- x",
  ])
    await refused(code);
  await refused("() => import('/etc/hostname')", "MF_BUNDLE_OUTSIDE");
  await refused("() => require('./mayfly.yaml')", "MF_BUNDLE_OUTSIDE");
  await refused("", "MF_EMBED_OPTION", /text/);
  await refused(`() => "${"x".repeat(256 * 1024)}"`, "MF_EMBED_OPTION", /characters/);
});

test("nothing of the code runs before the first call", async (context) => {
  const own = await made(context, "(() => { throw new Error('ran'); })()");
  await rejects(own(), { code: "MF_FLOW_THREW", message: "ran" });
  const loops = await made(context, "(() => { for (;;); })()", { limits: { cpu: "50ms" } });
  await rejects(loops(), { code: "MF_CPU_LIMIT" });
  await rejects((await made(context, "42"))(), { code: "MF_SANDBOX_INVALID" });
});

test("a signal and close end calls", async (context) => {
  const functions = { never: () => new Promise(() => undefined) };
  const own = await made(context, "() => never()", { functions });
  const controller = new AbortController();
  const call = own.run([], { signal: controller.signal });
  controller.abort();
  await rejects(call, { code: "MF_CANCELLED", name: "AbortError" });
  await Promise.all([rejects(own(), { code: "MF_MONITOR_CLOSED" }), own.close()]);
  await rejects(own(), { code: "MF_EMBED_CLOSED" });
  await own[Symbol.asyncDispose]();
});

test("sandboxes share threads, and one that closes leaves the others", async (context) => {
  const first = await made(context, "() => 1");
  const second = await made(context, "() => 2");
  const alike = await made(context, "() => 1");
  equal(first.hash, alike.hash);
  notEqual(first.hash, second.hash);
  await first.close();
  deepEqual([await second(), await alike()], [2, 1]);
});

test("console goes to log, within its limit", async (context) => {
  const lines: unknown[] = [];
  const own = await made(context, "(n) => { for (let i = 0; i < n; i++) console.warn('line', { i }); }", {
    log: ({ level, text }) => lines.push([level, text]),
    limits: { logBytes: 100 },
  });
  await own(1);
  deepEqual(lines, [["warn", 'line {"i":0}']]);
  await own(1000);
  ok(lines.length < 20, String(lines.length));
});

test("wrong options are refused", async () => {
  const refused = async (options: object) => rejects(sandbox("() => 1", options), { code: "MF_EMBED_OPTION" });
  await refused({ timeout: 1 });
  await refused({ functions: { a: 1 } });
  await refused({ functions: { "a-b": () => 1 } });
  await refused({ functions: { await: () => 1 } });
  await refused({ log: true });
  await refused({ limits: { cpu: "x" } });
  await refused({ workers: 1.5 });
});
