/** Effects of flows, good and bad: every case is a flow's source and the effects of its steps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EffectKind, EventKind, flawByte } from "#abi";
import { bootMachine, deliver, deliverBody, run } from "./testing/fake-machine.ts";
import { decode, failure, failureOf, header, replyOf, resolveEvent } from "./testing/flows.ts";
import * as wire from "./wire.ts";

test("the runtime's numbers are the door's", () => {
  const { deliver: d, resolve, wake, cancel, signal, resume } = EventKind;
  assert.deepEqual(
    [wire.deliverKind, wire.resolveKind, wire.wakeKind, wire.cancelKind, wire.signalKind, wire.resumeKind],
    [d, resolve, wake, cancel, signal, resume],
  );
  const { log, send, call, timer, state, done, fail } = EffectKind;
  assert.deepEqual(
    [wire.logEffect, wire.sendEffect, wire.callEffect, wire.timerEffect, wire.stateEffect, wire.doneEffect, wire.failEffect],
    [log, send, call, timer, state, done, fail],
  );
  assert.deepEqual([wire.waitEffect, wire.continueEffect], [EffectKind.wait, EffectKind.continue]);
  assert.equal(wire.flawByte, flawByte);
});

test("the reference flow: log, route, split, enrich, reply", async () => {
  const machine = await bootMachine(
    `${header}export default flow<"erp" | "bigOrders" | "audit">(async (msg, { to, log }) => {
       const order = msg.json();
       const total = order.lines.reduce((sum, l) => sum + l.qty * l.price, 0);
       log.info("order received", { id: order.id, total });
       if (total > 1000) to.bigOrders.send({ ...order, total });
       for (const line of order.lines) to.audit.send(line, { key: line.sku, headers: { "X-Line": 1 } });
       const confirmation = await to.erp.request({ id: order.id, total }, { method: "PUT", path: "/o?x", timeout: "2s" });
       return { status: "accepted", erp: confirmation.json(), late: [msg.json().id, msg.id, msg.source, msg.attempt, msg.key, msg.headers["a"], msg.text().length] };
     });`,
    { outlets: ["erp", "bigOrders", "audit"] },
  );
  const order = { id: 7, lines: [{ sku: "ä", qty: 2, price: 600 }] };
  const first = machine.event(deliverBody(order, { key: "k", headersJson: '{"a":"1"}' }));
  assert.equal(first.outcome, 0);
  assert.deepEqual(
    first.effects.map((effect) => ("body" in effect ? { ...effect, body: decode(effect.body) } : effect)),
    [
      { kind: "log", level: "info", text: "order received", fieldsJson: '{"id":7,"total":1200}' },
      {
        kind: "send",
        outlet: "bigOrders",
        key: undefined,
        contentType: "application/json",
        headersJson: "{}",
        body: JSON.stringify({ ...order, total: 1200 }),
      },
      {
        kind: "send",
        outlet: "audit",
        key: "ä",
        contentType: "application/json",
        headersJson: '{"x-line":"1"}',
        body: JSON.stringify(order.lines[0]),
      },
      {
        kind: "call",
        call: 0,
        operation: "request",
        target: "erp",
        method: "PUT",
        contentType: "application/json",
        headersJson: '{":path":"/o?x"}',
        timeoutMs: 2000,
        body: '{"id":7,"total":1200}',
      },
    ],
  );
  const second = machine.event(resolveEvent(0, '{"ok":1}'));
  assert.equal(second.outcome, 1);
  const done = second.effects[0];
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(decode(done.reply?.body)), {
    status: "accepted",
    erp: { ok: 1 },
    late: [7, "m-1", "test", 1, "k", "1", JSON.stringify(order).length],
  });
});

test("replies", async () => {
  const table: readonly (readonly [handler: string, reply: unknown])[] = [
    ["() => undefined", undefined],
    ["async () => {}", undefined],
    ["() => 'text ü'", { status: 200, contentType: "text/plain; charset=utf-8", headers: {}, body: "text ü" }],
    ["() => new Uint8Array([104, 105])", { status: 200, contentType: "application/octet-stream", headers: {}, body: "hi" }],
    ["() => new Uint16Array([0x6968]).buffer", { status: 200, contentType: "application/octet-stream", headers: {}, body: "hi" }],
    ["() => ({ a: [1] })", { status: 200, contentType: "application/json", headers: {}, body: '{"a":[1]}' }],
    ["() => null", { status: 200, contentType: "application/json", headers: {}, body: "null" }],
    ["() => 0", { status: 200, contentType: "application/json", headers: {}, body: "0" }],
    [
      "async () => new Response('r', { status: 418, headers: { 'content-type': 'x/y', a: 'b' } })",
      { status: 418, contentType: "x/y", headers: { a: "b" }, body: "r" },
    ],
    [
      "(m, { reply }) => reply({ a: 1 }, { status: 201, headers: { Location: '/x' }, contentType: 'application/hal+json' })",
      { status: 201, contentType: "application/hal+json", headers: { location: "/x" }, body: '{"a":1}' },
    ],
    [
      "(m, { reply }) => { reply('first'); return 'second'; }",
      { status: 200, contentType: "text/plain; charset=utf-8", headers: {}, body: "second" },
    ],
    ["(m, { reply }) => reply(undefined, { status: 204 })", { status: 204, contentType: "", headers: {}, body: "" }],
    ["(m) => m", { status: 200, contentType: "application/octet-stream", headers: {}, body: "" }],
    ["() => ({ then: 1 })", { status: 200, contentType: "application/json", headers: {}, body: '{"then":1}' }],
  ];
  for (const [handler, reply] of table) assert.deepEqual(await replyOf(handler), reply, handler);
});

test("failures have a code, and say whether to retry", async () => {
  const table: readonly (readonly [handler: string, code: string, message: RegExp, retry: boolean, status?: number])[] = [
    ["() => { throw new TypeError('x'); }", "MF_FLOW_THREW", /^TypeError: x$/, false],
    ["() => undefined.x", "MF_FLOW_THREW", /^TypeError: /, false],
    ["async () => { await 0; return null.x; }", "MF_FLOW_THREW", /^TypeError: /, false],
    ["() => JSON.parse('{')", "MF_FLOW_THREW", /^SyntaxError: /, false],
    ["() => 'x'.repeat(-1)", "MF_FLOW_THREW", /^RangeError: /, false],
    ["() => { throw new (class Mine extends TypeError {})('x'); }", "MF_FLOW_THREW", /x$/, false],
    ["() => { throw Object.assign(new TypeError('x'), { retry: true }); }", "MF_FLOW_THREW", /^TypeError: x$/, true],
    ["() => { throw Object.assign(new TypeError('x'), { code: 'E_X' }); }", "E_X", /x$/, true],
    ["() => { throw new TypeError('x', { cause: Object.assign(new Error('y'), { code: 'E_PEER' }) }); }", "MF_FLOW_THREW", /x$/, true],
    ["() => { throw new TypeError('x', { cause: new Error('y') }); }", "MF_FLOW_THREW", /x$/, false],
    ["() => { throw new EvalError('x'); }", "MF_FLOW_THREW", /x$/, true],
    ["async () => { Promise.reject(new TypeError('lost')); }", "MF_UNHANDLED_REJECTION", /lost/, false],
    ["async () => { throw new Error('x'); }", "MF_FLOW_THREW", /^x$/, true],
    ["() => { throw Object.assign(new Error('x'), { code: 'E_X', retry: false }); }", "E_X", /^x$/, false],
    ["() => { throw Object.assign(new Error('x'), { code: 'not a code!' }); }", "MF_FLOW_THREW", /^x$/, true],
    ["() => { throw 'text'; }", "MF_FLOW_THREW", /threw "text" instead of an Error/, true],
    ["() => { throw null; }", "MF_FLOW_THREW", /threw null/, true],
    ["() => { throw new Proxy({}, { get() { throw 1; } }); }", "MF_FLOW_THREW", /can't be read/, true],
    ["() => fail('no', { retry: false, status: 422, code: 'BAD_ORDER' })", "BAD_ORDER", /^no$/, false, 422],
    ["() => fail('no')", "MF_FLOW_FAILED", /^no$/, true],
    ["() => fail('no', { status: 200 })", "MF_ARGUMENT", /from 400 to 599/, false],
    ["() => new Promise(() => {})", "MF_FLOW_STALLED", /no request, no timer and no wait/, false],
    ["async () => { Promise.reject(new Error('lost')); }", "MF_UNHANDLED_REJECTION", /lost/, true],
    [
      "async () => { const p = Promise.reject(new Error('found')); await 0; await p.catch(() => {}); return fail('later'); }",
      "MF_FLOW_FAILED",
      /^later$/,
      true,
    ],
    ["(m) => m.json()", "MF_MESSAGE_INVALID", /the body is empty/, false, 400],
    ["() => { const a = {}; a.a = a; return a; }", "MF_REPLY_UNSERIALISABLE", /JSON/, false],
    ["() => ({ a: 1n })", "MF_REPLY_UNSERIALISABLE", /JSON: it contains a BigInt: use String/, false],
    ["() => () => 1", "MF_REPLY_UNSERIALISABLE", /a function/, false],
    ["() => ({ toJSON() { throw new Error('own'); } })", "MF_REPLY_UNSERIALISABLE", /own/, false],
    ["(m, { reply }) => reply('x', { status: 99 })", "MF_ARGUMENT", /200 to 599/, false],
    ["(m, { to }) => to.a.send(undefined)", "MF_BODY_UNSERIALISABLE", /undefined/, false],
    ["(m, { to }) => to.a.send('x', { key: 'k'.repeat(2000) })", "MF_TOO_LONG", /key/, false],
    ["(m, { to }) => to.a.send('x', { headers: { 'a b': 'c' } })", "MF_ARGUMENT", /not a header/, false],
    ["(m, { to }) => to.a.send('x', { headers: { a: '\\ud800' } })", "MF_ARGUMENT", /other characters/, false],
    ["(m, { to }) => to.a.send('x', { headers: [['__proto__', 'b']] })", "MF_ARGUMENT", /not a header/, false],
    ["(m, { to }) => to.a.send('x', { headers: { a: 'b\\nc' } })", "MF_ARGUMENT", /line breaks/, false],
    ["async (m, { to }) => { await to.a.request('x', { timeout: 'soon' }); }", "MF_ARGUMENT", /timeout: "soon"/, false],
    ["(m, { sleep }) => sleep('1 fortnight')", "MF_ARGUMENT", /sleep/, false],
    ["function again() { return again(); }", "MF_FLOW_THREW", /./, true],
    ["() => new Intl.DisplayNames()", "MF_NO_INTL", /Intl\.DisplayNames: use a table of your own/, false],
    ["() => new WebSocket('ws://x')", "MF_GLOBAL_MISSING", /an outlet/, false],
    ["() => document.title", "MF_GLOBAL_MISSING", /no browser/, false],
    ["() => nothing", "MF_FLOW_THREW", /nothing.* is not defined/, false],
    ["(m, { state }) => state.set('a', 1)", "MF_STATE_NO_KEY", /mayfly\.yaml/, false],
    ["() => { setTimeout(() => { throw new Error('late'); }); return 'done before'; }", "none", /none/, true],
    ["() => { queueMicrotask(() => { throw new Error('soon'); }); return 1; }", "MF_FLOW_THREW", /^soon$/, true],
    ["() => json.parse('{')", "MF_JSON_INVALID", /JSON/, false],
    ["() => text.parse(new Uint8Array(1), 'klingon')", "MF_CHARSET_UNKNOWN", /klingon/, false],
  ];
  for (const [handler, code, message, retry, status] of table) {
    if (code === "none") {
      assert.ok(await replyOf(handler));
      continue;
    }
    if (handler.startsWith("function again")) continue;
    const found = await failureOf(handler);
    assert.deepEqual([found.code, found.retry, found.status], [code, retry, status ?? 0], handler);
    assert.match(found.message, message, handler);
  }
});

test("endless recursion and memory", async () => {
  const recursion = await failureOf("function again(m) { return [again(m)]; }");
  assert.deepEqual([recursion.code, recursion.retry], ["MF_STACK_OVERFLOW", false]);
  assert.equal((await failureOf("async (m) => { const again = async () => [await again()]; await again(); }")).code, "MF_STACK_OVERFLOW");
  const machine = await bootMachine(`${header}export default flow(() => { const all = []; for (;;) all.push(new Uint8Array(1e6)); });`);
  (machine.vm as unknown as { _getExports(): { qjs_set_memory_limit(bytes: number): void } })._getExports().qjs_set_memory_limit(4e6);
  const found = failure(machine.event(deliver).effects);
  assert.deepEqual([found.code, found.retry], ["MF_MEMORY_LIMIT", true]);
});

test("timers: order, arguments, intervals, cleared ones", async () => {
  const machine = await bootMachine(`${header}export default flow(() => new Promise((resolve) => {
    const seen = [];
    setTimeout((a, b) => seen.push(a, b), 5, "a", "b");
    clearTimeout(setTimeout(() => seen.push("never"), 1));
    const every = setInterval(() => { seen.push(Date.now() % 100); if (seen.length > 3) { clearInterval(every); resolve(seen); } }, 10);
  }));`);
  const start = deliver.timeMs;
  assert.deepEqual(machine.event(deliver).effects, [
    { kind: "timer", timer: 1, dueMs: start + 5 },
    { kind: "timer", timer: 2, dueMs: start + 1 },
    { kind: "timer", timer: 2, dueMs: -1 },
    { kind: "timer", timer: 3, dueMs: start + 10 },
  ]);
  machine.event({ kind: "wake", timeMs: start + 5, timer: 1 });
  machine.event({ kind: "wake", timeMs: start + 6, timer: 2 });
  assert.deepEqual(machine.event({ kind: "wake", timeMs: start + 10, timer: 3 }).effects, [{ kind: "timer", timer: 3, dueMs: start + 20 }]);
  const last = machine.event({ kind: "wake", timeMs: start + 20, timer: 3 });
  assert.equal(last.outcome, 1);
  const late = await bootMachine(
    `${header}export default flow(() => new Promise(() => setTimeout(() => { throw new Error("late"); }, 1)));`,
  );
  late.event(deliver);
  assert.equal(failure(late.event({ kind: "wake", timeMs: start + 1, timer: 1 }).effects).message, "late");
});

test("fetch: the call, the answer, an abort, a refusal", async () => {
  const machine = await bootMachine(`${header}export default flow(async (m, { fetch: own, log }) => {
    if (own !== fetch) throw new Error("not the same");
    const answer = await fetch("https://api.example/x?y", { method: "post", body: JSON.stringify({ a: 1 }), headers: { "Content-Type": "application/json", A: "b" } });
    const controller = new AbortController();
    const aborted = fetch("https://slow.example/", { signal: controller.signal }).catch((error) => error.name);
    controller.abort();
    const refused = await fetch("https://other.example/").catch((error) => error.code);
    return [answer.status, answer.url, await answer.json(), answer.headers.get("x"), await aborted, refused, await fetch("ftp://x").catch((error) => error.name)];
  });`);
  const call = machine.event(deliver).effects[0];
  assert.ok(call?.kind === "call");
  assert.deepEqual(
    { ...call, body: decode(call.body) },
    {
      kind: "call",
      call: 0,
      operation: "fetch",
      target: "https://api.example/x?y",
      method: "POST",
      contentType: "application/json",
      timeoutMs: 0,
      headersJson: '{"a":"b","content-type":"application/json"}',
      body: '{"a":1}',
    },
  );
  machine.event(resolveEvent(0, '{"b":2}', { status: 201, headersJson: '{"x":"y"}' }));
  const done = machine.event(resolveEvent(2, "", { error: { code: "MF_HOST_NOT_DECLARED", message: "no" }, status: 0 })).effects.at(-1);
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(decode(done.reply?.body)), [
    201,
    "https://api.example/x?y",
    { b: 2 },
    "y",
    "AbortError",
    "MF_HOST_NOT_DECLARED",
    "TypeError",
  ]);
});

test("a fetch that fails rejects with a TypeError; the message fails as if it were its cause", async () => {
  const error = { code: "MF_FETCH_FAILED", message: "ECONNREFUSED: nobody listens" };
  const lost = resolveEvent(0, "", { error, status: 0 });
  const caught = await bootMachine(`${header}export default flow(() => fetch("https://a.example/").catch((error) => [
    error.constructor === TypeError, error.message, error.code, error.cause instanceof FlowError, error.cause.code, error.cause.message ]));`);
  caught.event(deliver);
  const done = caught.event(lost).effects.at(-1);
  assert.ok(done?.kind === "done");
  assert.deepEqual(JSON.parse(decode(done.reply?.body)), [true, "fetch failed", error.code, true, error.code, error.message]);

  async function failed(handler: string): Promise<object> {
    const machine = await bootMachine(`${header}export default flow(${handler});`);
    machine.event(deliver);
    const { stack, ...more } = failure(machine.event(lost).effects);
    return more;
  }
  const expected = { kind: "fail", ...error, retry: true, status: 0 };
  assert.deepEqual(await failed("async (m, { to }) => { await to.a.request(1); }"), expected);
  assert.deepEqual(await failed("async () => { await fetch('https://a.example/'); }"), expected);
  const given =
    "async () => { try { await fetch('https://a.example/'); } catch (error) { throw Object.assign(error, { retry: false }); } }";
  assert.deepEqual(await failed(given), { ...expected, retry: false });
  const wrapped =
    "async () => { try { await fetch('https://a.example/'); } catch (cause) { throw new TypeError('no rates', { cause }); } }";
  assert.deepEqual(await failed(wrapped), { ...expected, code: "MF_FLOW_THREW", message: "TypeError: no rates" });
  const dropped = {
    ...expected,
    code: "MF_UNHANDLED_REJECTION",
    message: `unhandled promise rejection: ${error.message}`,
  };
  assert.deepEqual(await failed("(m, { sleep }) => { void fetch('https://a.example/'); return sleep(9); }"), dropped);
});

test("an answer to fetch that can't be parsed is the peer's fault, and no error of the program", async () => {
  const tried: readonly (readonly [read: string, retry: boolean, flaw: true | undefined, code: string])[] = [
    ["(await fetch('https://a.example/')).json()", true, undefined, "MF_RESPONSE_INVALID"],
    ["(await fetch('https://a.example/')).clone().formData()", true, undefined, "MF_RESPONSE_INVALID"],
    ["fetch('https://a.example/').then(() => new Response('{').json())", false, true, "MF_FLOW_THREW"],
  ];
  for (const [read, retry, flaw, code] of tried) {
    const machine = await bootMachine(`${header}export default flow(async () => { await (${read}); });`);
    machine.event(deliver);
    const found = failure(machine.event(resolveEvent(0, "{")).effects);
    assert.deepEqual([found.code, found.retry, found.flaw], [code, retry, flaw], read);
  }
});

test("a fetch that is given up rejects with the reason of its signal, whatever that is", async () => {
  const machine = await bootMachine(`${header}export default flow(async (m, { signal }) => {
    const controller = new AbortController();
    const reason = new FlowError("MINE", "enough");
    const aborted = fetch("https://a.example/", { signal: controller.signal });
    controller.abort(reason);
    const first = await aborted.catch((error) => error === reason);
    try { await fetch("https://b.example/"); } catch (error) { throw error === signal.reason && first ? error : new Error("another reason"); }
  });`);
  machine.event(deliver);
  assert.equal(
    failure(machine.event({ kind: "cancel", timeMs: deliver.timeMs + 50, reason: "the caller left" }).effects).code,
    "MF_CANCELLED",
  );
});

test("cancel: the signal is aborted, what is open is rejected, the machine ends", async () => {
  const machine = await bootMachine(`${header}export default flow(async (m, { to, signal, log, sleep }) => {
    signal.addEventListener("abort", () => log.warn("aborted", { why: signal.reason.message }));
    try { await Promise.all([to.a.request("x"), sleep("1h")]); } finally { log.info("tidied up"); }
  });`);
  machine.event(deliver);
  const { outcome, effects } = machine.event({ kind: "cancel", timeMs: deliver.timeMs + 50, reason: "the caller left" });
  assert.equal(outcome, 2);
  assert.deepEqual(
    effects.map((effect) => (effect.kind === "log" ? effect.text : effect.kind)),
    ["aborted", "tidied up", "fail"],
  );
  assert.equal(failure(effects).code, "MF_CANCELLED");
  const two = await bootMachine(
    `${header}export default flow(async (m, { to }) => { const a = to.a.request(); const b = to.b.request(); await a; await b; });`,
  );
  two.event(deliver);
  assert.equal(failure(two.event({ kind: "cancel", timeMs: deliver.timeMs + 50, reason: "over" }).effects).code, "MF_CANCELLED");
  const deaf = await bootMachine(`${header}export default flow((m, { to }) => to.a.request("x").catch(() => new Promise(() => {})));`);
  deaf.event(deliver);
  assert.equal(failure(deaf.event({ kind: "cancel", timeMs: deliver.timeMs + 50, reason: "over" }).effects).code, "MF_CANCELLED");
});

test("messages: headers, charsets, byte order marks, pollution", async () => {
  const headers = '{"content-type":"text/plain; charset=ISO-8859-1","__proto__":"polluted","constructor":"c"}';
  const event = deliverBody(Uint8Array.of(0xfc, 0x80), { headersJson: headers });
  const reply = await replyOf(
    "(m) => [m.text(), m.headers.toString === undefined, Object.keys(m.headers), m.headers.constructor, {}.polluted === undefined, m.contentType]",
    event,
  );
  assert.deepEqual(JSON.parse(reply!.body), [
    "ü€",
    true,
    ["content-type", "__proto__", "constructor"],
    "c",
    true,
    "text/plain; charset=ISO-8859-1",
  ]);
  const marked = await replyOf("(m) => [m.json().a, m.text()]", deliverBody('\ufeff{"a":"ü"}'));
  assert.deepEqual(JSON.parse(marked!.body), ["ü", '{"a":"ü"}']);
  const polluting = await replyOf(
    "(m) => { const o = m.json(); Object.assign({}, o); return [Object.keys(o), {}.polluted === undefined]; }",
    deliverBody('{"__proto__":{"polluted":1},"a":1}'),
  );
  assert.deepEqual(JSON.parse(polluting!.body), [["__proto__", "a"], true]);
  const utf16 = await replyOf(
    "(m) => m.json()",
    deliverBody(new Uint8Array(Buffer.from('{"a":"ü"}', "utf16le")), {
      headersJson: '{"content-type":"application/json;charset=utf-16le"}',
    }),
  );
  assert.equal(utf16!.body, '{"a":"ü"}');
  assert.equal(
    (await failureOf("(m) => m.text()", deliverBody("x", { headersJson: '{"content-type":"text/plain;charset=klingon"}' }))).code,
    "MF_MESSAGE_INVALID",
  );
  assert.equal((await failureOf("(m) => m.json()", deliverBody('{"a":'))).code, "MF_MESSAGE_INVALID");
});

test("a top level that does what only a handler may do is refused at build", async () => {
  for (const source of [
    "setTimeout(() => {}, 1)",
    "crypto.randomUUID()",
    "crypto.getRandomValues(new Uint8Array(1))",
    "fetch('https://x').catch(() => {}); setInterval(() => {})",
  ]) {
    await assert.rejects(
      bootMachine(`${header}${source}; export default flow(() => {});`),
      /top level, or in warm, which run once/,
      source,
    );
  }
  const quiet = await run(`${header}console.log("built"); Math.random(); export default flow(() => {});`);
  assert.deepEqual(quiet.effects, [{ kind: "done", reply: undefined }]);
});

test("a module that exports no flow is refused at build", async () => {
  await assert.rejects(bootMachine("export default 5;"), /export default flow/);
  await assert.rejects(bootMachine(`${header}export default flow({});`), /needs a function/);
});

test("a message with a stored body is forwarded by reference, asked with, logged, and never read as an empty body", async () => {
  const machine = await bootMachine(`${header}export default flow<"a">(async (msg, { to, log }) => {
    const codes = [];
    for (const read of [() => msg.bytes, () => msg.text(), () => msg.json(), () => msg.xml(), () => msg.csv(), () => to.a.send({ body: msg.text() })])
      try { read(); } catch (error) { codes.push(error.code); }
    log.info("got", { msg });
    to.a.send(msg, { headers: { x: "1" } });
    to.a.send("other");
    await to.a.request(msg, { path: "/p" });
    try { return msg.text(); } catch (error) { codes.push(error.code); }
    return codes;
  });`);
  const headersJson = '{"content-type":"video/mp4","mayfly-claim":"c","mayfly-claim-bytes":"9","mayfly-claim-sha256":"s"}';
  const { effects } = machine.event(deliverBody("", { headersJson }));
  const [log, sent, other, asked] = effects;
  assert.ok(log?.kind === "log" && JSON.parse(log.fieldsJson ?? "").msg.bytes === 9);
  assert.deepEqual(sent, {
    kind: "send",
    outlet: "a",
    key: undefined,
    contentType: "video/mp4",
    headersJson: '{"mayfly-claim":"c","x":"1"}',
    body: new Uint8Array(0),
  });
  assert.ok(other?.kind === "send" && other.headersJson === "{}");
  assert.ok(asked?.kind === "call" && asked.headersJson === '{"mayfly-claim":"c",":path":"/p"}' && asked.contentType === "video/mp4");
  const done = machine.event(resolveEvent(0, "")).effects[0];
  assert.ok(done?.kind === "done");
  assert.deepEqual(
    JSON.parse(decode(done.reply?.body)),
    Array.from({ length: 7 }, () => "MF_BODY_CLAIMED"),
  );
});

test("a reply with a stored body is an error, and an empty body that is not stored is empty", async () => {
  const source = `${header}export default flow((msg) => msg);`;
  const { effects } = await run(source, deliverBody("", { headersJson: '{"mayfly-claim":"c"}' }));
  assert.equal(failure(effects).code, "MF_BODY_CLAIMED");
  const plain = await run(source, deliverBody(""));
  assert.equal(plain.effects[0]?.kind, "done");
});

test("parameters of the path and the query, as HTTP brings them", async () => {
  const headers = {
    "mayfly-path": "/orders/7/ä",
    "mayfly-path-order": "7",
    "mayfly-path-rest": "ä",
    "mayfly-claims": '{"sub":"ada"}',
    "mayfly-operation": "getOrder",
    "mayfly-parameters": '{"path":{"order":7},"query":{},"header":{},"cookie":{}}',
    "mayfly-query": "a=1&b=x+y%26&a=%C3%A9&empty&=v&bad=%zz&__proto__=p&a=3",
  };
  const handler =
    "(msg) => ({ params: msg.params, query: Object.entries(msg.query), none: msg.query.nothing ?? null, who: msg.claims.sub, what: msg.operation, order: msg.parameters.path.order })";
  const machine = await bootMachine(`${header}export default flow(${handler});`);
  const { effects } = machine.event(deliverBody({}, { headersJson: JSON.stringify(headers) }));
  const last = effects.at(-1);
  assert.ok(last?.kind === "done");
  assert.deepEqual(JSON.parse(decode(last.reply!.body)), {
    params: { order: "7", rest: "ä" },
    query: [
      ["a", ["1", "é", "3"]],
      ["b", "x y&"],
      ["empty", ""],
      ["", "v"],
      ["bad", "%zz"],
      ["__proto__", "p"],
    ],
    none: null,
    who: "ada",
    what: "getOrder",
    order: 7,
  });
});
