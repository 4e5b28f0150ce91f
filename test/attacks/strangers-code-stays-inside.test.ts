/** Code by strangers in a program that embeds machines: what it does ends with its call, and what comes back is data. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sandbox } from "#embed";

const limits = { cpu: "100ms", memory: "16MiB", time: "10s" };

/** Codes with which each ends. */
const endings: readonly (readonly [name: string, code: string, ...expected: string[]])[] = [
  ["a loop", "() => { for (;;); }", "MF_CPU_LIMIT"],
  ["a loop of promises", "async () => { for (;;) await null; }", "MF_CPU_LIMIT"],
  ["a regular expression without end", "() => /(a+)+$/.test('a'.repeat(50) + 'b')", "MF_CPU_LIMIT"],
  [
    "one long native call",
    "() => 'a'.repeat(4_000_000).replaceAll('a', 'bb').split('').sort().join('').length",
    "MF_CPU_LIMIT",
    "MF_MEMORY_LIMIT",
  ],
  ["a loop that catches", "() => { for (;;) try { for (;;); } catch {} finally { continue; } }", "MF_CPU_LIMIT"],
  ["memory in pieces", "() => { const all = []; for (;;) all.push(new Uint8Array(100_000)); }", "MF_MEMORY_LIMIT"],
  ["memory at once", "() => new ArrayBuffer(2 ** 31 - 1)", "MF_MEMORY_LIMIT", "MF_FLOW_THREW"],
  ["a doubled text", "() => { let x = 'x'; for (;;) x += x; }", "MF_MEMORY_LIMIT", "MF_FLOW_THREW"],
  ["recursion", "() => { const f = () => f() + 1; return f(); }", "MF_STACK_OVERFLOW"],
  ["a promise that nothing settles", "() => new Promise(() => {})", "MF_FLOW_STALLED"],
  ["a thenable that never answers", "() => ({ then() {} })", "MF_FLOW_STALLED"],
  ["a timer for ever", "() => new Promise((done) => setTimeout(done, 2 ** 31))", "MF_TIME_LIMIT"],
  ["a getter without end", "() => ({ get a() { for (;;); } })", "MF_CPU_LIMIT"],
  ["a proxy without end", "() => new Proxy({}, { ownKeys() { for (;;); } })", "MF_CPU_LIMIT"],
  ["an array too long", "() => { const a = []; a.length = 4_294_967_295; return a; }", "MF_VALUE_INVALID", "MF_CPU_LIMIT"],
  [
    "a value too deep",
    "() => { let a = 1; for (let i = 0; i < 100_000; i++) a = [a]; return a; }",
    "MF_VALUE_INVALID",
    "MF_STACK_OVERFLOW",
  ],
  ["a text too deep", "() => { JSON.stringify = () => '['.repeat(100_000); return {}; }", "MF_VALUE_INVALID"],
  ["text that is no value", "() => { JSON.stringify = () => '!{'; return {}; }", "MF_VALUE_INVALID"],
  ["an unknown form", "() => { JSON.stringify = () => '[77]'; return { a: 1n }; }", "MF_VALUE_INVALID"],
  ["a value too long", "() => 'x'.repeat(17_000_000)", "MF_VALUE_INVALID", "MF_MEMORY_LIMIT"],
  ["null thrown", "() => { throw null; }", "MF_FLOW_THREW"],
  ["a proxy thrown", "() => { throw new Proxy({}, { get() { throw 1; } }); }", "MF_FLOW_THREW"],
  [
    "an error that lies",
    "() => { throw Object.assign(new Error('x'), { code: 'MF_MONITOR_CLOSED', stack: 7, retry: 'yes' }); }",
    "MF_FLOW_THREW",
  ],
  ["an error too long", "() => { throw new Error('x'.repeat(1_000_000)); }", "MF_FLOW_THREW"],
  ["calls without end", "async () => { for (;;) await ask(); }", "MF_CALL_LIMIT", "MF_CPU_LIMIT", "MF_TIME_LIMIT"],
  ["many calls at once", "async () => { await Promise.all(Array.from({ length: 1000 }, () => ask())); }", "MF_CALL_LIMIT"],
  ["a call too long", "async () => { await ask('x'.repeat(17_000_000)); }", "MF_VALUE_INVALID", "MF_MEMORY_LIMIT"],
];

const functions = { ask: () => 1 };

async function attack(context: TestContext, monitor: "embedded" | "process"): Promise<void> {
  const friend = await sandbox<[number], number>("(x) => x + 1", { monitor, workers: 1, limits });
  context.after(() => friend.close());
  for (const [name, code, ...expected] of endings)
    await context.test(name, async () => {
      const own = await sandbox(code, { monitor, workers: 1, limits, functions });
      try {
        const call = own().then(
          () => "fine",
          (error: { code?: string }) => error.code ?? String(error),
        );
        equal(await friend(1), 2); // beside it
        const ended = await call;
        ok(expected.includes(ended), `${name} ended with ${ended}`);
        equal(await friend(2), 3);
      } finally {
        await own.close();
      }
    });
}

test("in a thread", (context) => attack(context, "embedded"));

test("in a process", async (context) => {
  if (process.platform !== "linux" || process.arch !== "x64") return context.skip("the process monitor needs x86-64 Linux");
  await attack(context, "process");
});

test("data that looks like more is data", async (context) => {
  const returned = async (code: string): Promise<unknown> => {
    const own = await sandbox(code, { workers: 1, limits });
    context.after(() => own.close());
    return own();
  };
  const proto = (await returned('() => JSON.parse(\'{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}\')')) as object;
  equal(Object.getPrototypeOf(proto), Object.prototype);
  equal((proto as { admin?: unknown }).admin, undefined);
  equal(({} as { admin?: unknown }).admin, undefined);
  deepEqual(Object.keys(proto), ["__proto__", "constructor"]);
  const forged = (await returned(
    '() => { JSON.stringify = () => \'{"__proto__":[3,"","1"],"a":[8,"constructor","x"]}\'; return { b: 1n }; }',
  )) as { a: Error };
  equal(Object.getPrototypeOf(forged), Object.prototype);
  equal(forged.a.constructor, Error);
  equal(await returned("() => { class Evil { get toJSON() { return () => ({ then() {} }); } } return typeof new Evil(); }"), "object");
  deepEqual(await returned("() => ({ then: 1, toJSON: 2, toString: 3 })"), { then: 1, toJSON: 2, toString: 3 });
});

test("the code finds no way to its host", async (context) => {
  const own = await sandbox<[string], unknown>(
    `(code) => { try { return String(new Function("return " + code)()); } catch (error) { return "threw"; } }`,
    { workers: 1, limits, functions },
  );
  context.after(() => own.close());
  Object.assign(globalThis, { hostSecret: "found" });
  context.after(() => Reflect.deleteProperty(globalThis, "hostSecret"));
  for (const code of [
    "hostSecret",
    "globalThis.hostSecret",
    "this.constructor.constructor('return hostSecret')()",
    "ask.constructor('return hostSecret')()",
  ])
    ok(["threw", "undefined"].includes(String(await own(code))), code);
  for (const name of ["binding", "mainModule", "dlopen", "kill", "getBuiltinModule"])
    equal(await own(`globalThis.process?.${name}`), "undefined", name);
  equal(await own("typeof WebAssembly + typeof Worker"), "undefinedundefined");
  equal(await own("eval('(globalThis.left = 1)')"), "1");
  equal(await own("globalThis.left"), "undefined");
});

test("many hostile calls at once leave others their turn", { timeout: 120_000 }, async (context) => {
  const evil = await sandbox("() => { for (;;); }", { workers: 1, limits: { ...limits, cpu: "20ms" } });
  const good = await sandbox<[number], number>("(x) => x", { workers: 1, limits });
  context.after(() => Promise.all([evil.close(), good.close()]));
  const hostile = Array.from({ length: 40 }, () => rejects(evil(), { code: "MF_CPU_LIMIT" }));
  for (let index = 0; index < 20; index++) equal(await good(index), index);
  await Promise.all(hostile);
});
