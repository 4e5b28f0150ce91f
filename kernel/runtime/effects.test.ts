/** Sends, requests, logs and state of a flow, and their bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bootMachine, deliver, deliverBody, run } from "./testing/fake-machine.ts";
import { decode, failure, failureOf, header, resolveEvent } from "./testing/flows.ts";

test("outlets: declared, undeclared, unknown", async () => {
  const unknown = await failureOf("(m, { to }) => to.eprx.send('x')", deliver, { outlets: ["erp", "audit"] });
  assert.equal(unknown.code, "MF_OUTLET_UNKNOWN");
  assert.match(unknown.message, /"eprx".*erp, audit/);
  const own = await run(
    `${header}export default flow({ outlets: ["a"] }, (m, { to }) => { to.a.send("x"); return [Object.keys(to), "a" in to, typeof to.then, to.a.name]; });`,
  );
  const done = own.effects.at(-1);
  assert.ok(done?.kind === "done");
  assert.equal(decode(done.reply?.body), '[["a"],true,"undefined","a"]');
  const open = await run(
    `${header}export default flow((m, { to }) => { to["any name"].send("x"); to.constructor; if (to.q !== to.q) throw 1; });`,
  );
  assert.deepEqual(
    open.effects.map((effect) => (effect.kind === "send" ? effect.outlet : effect.kind)),
    ["any name", "done"],
  );
  const hostile = await failureOf("(m, { to }) => to.__proto__.send('x')", deliver, { outlets: ["a"] });
  assert.match(hostile.code, /MF_/);
});

test("what is sent: text, bytes, objects, messages, answers", async () => {
  const { effects } = await run(
    `${header}export default flow((m, { to }) => { to.a.send("ü"); to.a.send(new Uint8Array([1])); to.a.send(new DataView(new ArrayBuffer(2))); to.a.send(null); to.a.send(m); to.a.send("<a/>", { contentType: "application/xml", key: 5 }); to.a.send("x", { headers: { "Content-Type": "text/csv" } }); });`,
    deliverBody("body", { headersJson: '{"content-type":"x/y"}' }),
  );
  assert.deepEqual(
    effects.flatMap((effect) => (effect.kind === "send" ? [[effect.contentType, decode(effect.body), effect.key]] : [])),
    [
      ["text/plain; charset=utf-8", "ü", undefined],
      ["application/octet-stream", "\u0001", undefined],
      ["application/octet-stream", "\0\0", undefined],
      ["application/json", "null", undefined],
      ["x/y", "body", undefined],
      ["application/xml", "<a/>", "5"],
      ["text/csv", "x", undefined],
    ],
  );
});

test("bounds: sends, log text, log total", async () => {
  const many = await failureOf("(m, { to }) => { for (;;) to.a.send('x'); }", deliver, { limits: { sends: 50 } });
  assert.deepEqual([many.code, many.retry], ["MF_EFFECT_LIMIT", false]);
  for (const endless of ["setTimeout(() => {}, 1)"]) {
    const found = await failureOf(`(m, { to, state }) => { for (;;) ${endless}; }`, deliverBody("", { key: "k" }), {
      limits: { sends: 1e9 },
    });
    assert.deepEqual([found.code, found.retry], ["MF_EFFECT_LIMIT", false], endless);
  }
  const empty = await run(`${header}export default flow((m, { log }) => { for (let i = 0; i < 120000; i++) log.info(""); });`);
  assert.equal(empty.outcome, 1);
  const { effects } = await run(
    `${header}export default flow((m, { log }) => { log.info("ü".repeat(1e5)); log.info("x", { big: "y".repeat(1e5) }); for (let i = 0; i < 1e4; i++) log.warn("z".repeat(1000)); });`,
  );
  const logs = effects.filter((effect) => effect.kind === "log");
  assert.match(logs[0]!.text, /^ü+… \[cut: 100000 characters\]$/);
  assert.ok(new TextEncoder().encode(logs[0]!.text).length <= 16 * 1024);
  assert.equal(JSON.parse(logs[1]!.fieldsJson!).characters, 100_010);
  assert.match(logs.at(-1)!.text, /^97\d\d log lines were dropped/);
  assert.ok(logs.reduce((sum, log) => sum + log.text.length, 0) <= 256 * 1024 + 200);
});

test("limits of the flow itself", async () => {
  const { effects } = await run(
    `${header}export default flow({ limits: { logBytes: "1KiB", sends: 2 } }, (m, { log, to }) => { for (let i = 0; i < 9; i++) log.info("x".repeat(300)); to.a.send(1); to.a.send(2); to.a.send(3); });`,
  );
  assert.equal(effects.filter((effect) => effect.kind === "log").length, 4);
  assert.equal(failure(effects).code, "MF_EFFECT_LIMIT");
});

test("log fields: anything goes and nothing throws", async () => {
  const { effects } = await run(`${header}export default flow((m, { log }) => {
    const cycle = { a: 1 }; cycle.self = cycle;
    log.info("cycle", cycle); log.info("big", { n: 1n, f() {}, s: Symbol("s") }); log.error("error", { error: Object.assign(new TypeError("t"), { code: "E" }) });
    log.error("bare", new Error("b")); log.debug("map", { m: new Map([["k", new Set([1])]]) }); log.info("list", [1, 2]); log.info("text", "plain"); log.info("none", undefined);
    log.info("hostile", { get x() { throw new Error("getter"); } }); log.info({ not: "text" }); log.info("json", { toJSON() { return 5; } });
  });`);
  const logs = effects.flatMap((effect) =>
    effect.kind === "log" ? [[effect.text, effect.fieldsJson === undefined ? undefined : JSON.parse(effect.fieldsJson)]] : [],
  );
  const errorFields = logs[2]![1] as { error: Record<string, unknown> };
  assert.deepEqual(
    [errorFields.error["name"], errorFields.error["message"], errorFields.error["code"], typeof errorFields.error["stack"]],
    ["TypeError", "TypeError: t", "E", "string"],
  );
  assert.equal((logs[3]![1] as { message: string }).message, "b");
  assert.deepEqual(
    logs.filter((_log, index) => index !== 2 && index !== 3),
    [
      ["cycle", { a: 1, self: "[cycle]" }],
      ["big", { n: "1n", f: "a function", s: "Symbol(s)" }],
      ["map", { m: { k: [1] } }],
      ["list", { value: [1, 2] }],
      ["text", { value: "plain" }],
      ["none", undefined],
      ["hostile", { x: "unreadable: Error: getter" }],
      ['{"not":"text"}', undefined],
      ["json", { value: 5 }],
    ],
  );
});

test("errors: causes, parts, cycles and hostile properties, in the log and in the failure", async () => {
  const { effects } = await run(`${header}export default flow((m, { log }) => {
    const root = new RangeError("root", { cause: { status: 500 } });
    const top = new Error("top", { cause: new AggregateError([new Error("a"), "b", root], "all", { cause: root }) });
    root.self = root;
    const cycle = new Error("one"); cycle.cause = new Error("two", { cause: cycle });
    const hostile = Object.defineProperties(new TypeError("hostile"), Object.fromEntries(["cause", "errors", "code", "stack"].map((name) => [name, { get() { throw name; } }])));
    const endless = new Error("endless"); Object.defineProperty(endless, "cause", { get() { return endless.constructor === Error ? Object.defineProperty(new Error("again"), "cause", Object.getOwnPropertyDescriptor(endless, "cause")) : 0; } });
    const revoked = Proxy.revocable([], {}); revoked.revoke();
    const parts = Object.assign(new Error("parts"), { errors: revoked.proxy, cause: revoked.proxy });
    for (const error of [top, cycle, hostile, endless, parts]) { log.error("logged", { error }); console.error(error); }
    throw top;
  });`);
  const logs = effects.filter((effect) => effect.kind === "log");
  interface Shown {
    readonly name: string;
    readonly message: string;
    readonly stack: string;
    readonly cause: Shown;
    readonly errors: readonly (Shown | string)[];
  }
  const fields = logs.flatMap((log) =>
    log.fieldsJson === undefined ? [] : [(JSON.parse(log.fieldsJson) as { readonly error: Shown | "[cycle]" }).error as Shown],
  );
  const [top, cycle, hostile, endless, parts] = fields;
  assert.ok(top !== undefined && cycle !== undefined && hostile !== undefined && endless !== undefined && parts !== undefined);
  assert.deepEqual(
    [top.message, top.cause.name, top.cause.message, top.cause.cause.message, top.cause.cause.cause],
    ["top", "AggregateError", "AggregateError: all", "RangeError: root", { status: 500 }],
  );
  assert.deepEqual(
    top.cause.errors.map((part) => (typeof part === "string" ? part : part.message)),
    ["a", "b", "RangeError: root"],
  );
  assert.match(top.cause.cause.stack, /^ {4}at /);
  assert.equal(cycle.cause.cause as unknown, "[cycle]");
  assert.deepEqual([hostile.name, hostile.message, hostile.stack], ["TypeError", "TypeError: hostile", undefined]);
  assert.ok(JSON.stringify(endless).split("again").length <= 10);
  assert.equal(parts.message, "parts");

  const texts = logs
    .filter(({ fieldsJson }) => fieldsJson === undefined)
    .map(({ text }) => text.replaceAll(/^ {4}at .*\n?/gm, "").trimEnd());
  const topText =
    'caused by AggregateError: all\ncaused by RangeError: root\ncaused by {"status":500}\nerror 1 of 3 Error: a\nerror 2 of 3 "b"\nerror 3 of 3 an error above: RangeError: root\n';
  assert.equal(texts[0], `Error: top\n${topText.trimEnd()}`);
  assert.equal(texts[1], "Error: one\ncaused by Error: two\ncaused by an error above: Error: one");
  assert.match(texts[2]!, /^TypeError: hostile/);
  assert.ok(texts[3]!.split("caused by Error: again").length <= 10);
  const failed = failure(effects);
  assert.deepEqual([failed.code, failed.message], ["MF_FLOW_THREW", "top"]);
  assert.equal(failed.stack?.replaceAll(/^ {4}at .*\n/gm, ""), topText);
});

test("state: read, changed, deleted, read elsewhere", async () => {
  const machine = await bootMachine(`${header}export default flow(async (m, { state }) => {
    const before = [state.get("n"), state.has("x"), state.has("constructor"), state.entries()];
    state.set("n", { a: 1 }); state.get("n").a = 99; state.delete("x"); state.delete("y"); state.set("z", null);
    const other = await state.read("other");
    return [before, state.get("n"), state.has("x"), state.get("z"), other.v, other.constructor === undefined];
  });`);
  const first = machine.event(deliverBody("", { key: "k", stateJson: '{"n":1,"x":2,"__proto__":{"p":1}}' }));
  assert.deepEqual(first.effects.slice(0, 3), [
    { kind: "state", name: "n", valueJson: '{"a":1}' },
    { kind: "state", name: "x", valueJson: undefined },
    { kind: "state", name: "z", valueJson: "null" },
  ]);
  const call = first.effects[3];
  assert.ok(call?.kind === "call" && call.operation === "state" && call.target === "other");
  const done = machine.event(resolveEvent(0, '{"v":5}')).effects[0];
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(decode(done.reply?.body)), [
    [
      1,
      true,
      false,
      [
        ["n", 1],
        ["x", 2],
        ["__proto__", { p: 1 }],
      ],
    ],
    { a: 99 },
    false,
    null,
    5,
    true,
  ]);
});

test("state is there after the first step though nobody read it in the first", async () => {
  const machine = await bootMachine(
    `${header}export default flow(async (m, { state, sleep }) => { await sleep(1); return [state.get("n"), m.headers.h, m.text(), m.xml === undefined]; });`,
  );
  machine.event(deliverBody("body", { key: "k", stateJson: '{"n":1}', headersJson: '{"h":"v"}' }));
  const done = machine.event({ kind: "wake", timeMs: deliver.timeMs + 1, timer: 1 }).effects[0];
  assert.ok(done?.kind === "done");
  assert.equal(decode(done.reply?.body), '[1,"v","body",false]');
});

test("answers: errors, garbage, an answer kept beyond its event, several at once", async () => {
  const machine = await bootMachine(`${header}export default flow(async (m, { to, sleep }) => {
    const [a, b] = await Promise.allSettled([to.a.request(), to.b.request("x")]);
    const bad = await to.c.request("y");
    let invalid; try { bad.json(); } catch (error) { invalid = [error.code, error.retry]; }
    await sleep(1);
    return [a.reason.code, a.reason.message, b.value.status, b.value.ok, b.value.headers["x"], b.value.json(), invalid, bad.text()];
  });`);
  assert.deepEqual(
    machine
      .event(deliver)
      .effects.map((effect) => (effect.kind === "call" ? [effect.call, effect.contentType, effect.body.length] : effect)),
    [
      [0, "", 0],
      [1, "text/plain; charset=utf-8", 1],
    ],
  );
  assert.equal(machine.event(resolveEvent(1, "[1]", { status: 404, headersJson: '{"x":"y"}' })).outcome, 0);
  assert.equal(machine.event(resolveEvent(1, "again")).outcome, 0);
  assert.equal(machine.event(resolveEvent(0, "", { error: { code: "MF_OUTLET_FAILED", message: "refused" }, status: 0 })).outcome, 0);
  assert.equal(machine.event(resolveEvent(2, "{garbage")).outcome, 0);
  assert.equal(machine.event(resolveEvent(77, "never asked")).outcome, 0);
  const done = machine.event({ kind: "wake", timeMs: deliver.timeMs + 9, timer: 1 }).effects[0];
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(decode(done.reply?.body)), [
    "MF_OUTLET_FAILED",
    "refused",
    404,
    false,
    "y",
    [1],
    ["MF_RESPONSE_INVALID", true],
    "{garbage",
  ]);
});

test("a flow that completes while a request is open is told where it was made", async () => {
  const open = async (body: string): Promise<readonly unknown[]> => {
    const { effects } = await run(`${header}export default flow(async function handler(m, { to, state }) { ${body} });`);
    return effects.flatMap((effect) => (effect.kind === "log" ? [effect.level, effect.text, effect.fieldsJson] : []));
  };
  const [level, text, fields] = await open('to.erp.request({}).then((a) => to.out.send(a)); return "ok";');
  assert.equal(level, "warn");
  assert.match(String(text), /a request was open.*await/);
  assert.equal((JSON.parse(String(fields)) as { at: unknown[] }).at.length, 1);
  assert.match(String((await open('to.a.request(); to.b.request(); return "ok";'))[1]), /2 requests were open/);
  assert.deepEqual(await open('return "ok";'), []);
});

test("the sender's word that a CSV has no row of names is taken", async () => {
  const read = async (type: string, options = ""): Promise<unknown> => {
    const event = deliverBody("a,b\n1,2", { headersJson: JSON.stringify({ "content-type": type }) });
    const last = (await run(`import "mayfly/csv"; ${header}export default flow((m) => m.csv(${options}));`, event)).effects.at(-1);
    return last?.kind === "done" ? JSON.parse(decode(last.reply?.body)) : last;
  };
  const rows = [
    ["a", "b"],
    ["1", "2"],
  ];
  assert.deepEqual(await read("text/csv; header=absent"), rows);
  assert.deepEqual(await read('text/csv; charset=utf-8; Header="absent"'), rows);
  assert.deepEqual(await read("text/csv; header=present"), [{ a: "1", b: "2" }]);
  assert.deepEqual(await read("text/csv; header=absent", "{ header: true }"), [{ a: "1", b: "2" }]);
});
