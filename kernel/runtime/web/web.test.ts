/** The web globals, each tried inside a machine; Node's own are the oracle where it has them. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { bootMachine, deliver, deliverBody, evaluate } from "../testing/fake-machine.ts";

/** Evaluates the same source in a machine and in Node. */
async function same(source: string, input: unknown = null): Promise<void> {
  const here = await ((0, eval)(`(async (input) => (${source}))`) as (input: unknown) => Promise<unknown>)(input);
  assert.deepEqual(await evaluate(`(async (input) => (${source}))(msg.json())`, input), JSON.parse(JSON.stringify({ value: here })).value);
}

test("structuredClone", async () => {
  const cases: readonly string[] = [
    "(() => { const a = { x: [1, , 3], d: new Date(5), r: /a+/giu, n: null, u: undefined }; a.self = a; const b = structuredClone(a); return [b.self === b, b !== a, 1 in b.x, b.x.length, b.d.getTime(), String(b.r), 'u' in b]; })()",
    "(() => { const shared = { s: 1 }; const m = structuredClone(new Map([[shared, new Set([shared])]])); const [[k, v]] = m; return [v.has(k), m.size]; })()",
    "(() => { const buffer = new ArrayBuffer(8); const c = structuredClone({ a: new Uint8Array(buffer, 2, 3), b: new Float64Array(buffer), v: new DataView(buffer, 1, 2) }); return [c.a.buffer === c.b.buffer, c.a.byteOffset, c.a.length, c.v.byteLength, c.a.constructor.name, c.a.buffer !== buffer]; })()",
    "(() => { const buffer = new Uint8Array([1, 2, 3, 4]).buffer; const c = structuredClone(new Uint8Array(buffer, 1, 2), { transfer: [buffer] }); return [[...c], c.byteOffset, buffer.byteLength]; })()",
    "(() => { const buffer = new ArrayBuffer(4, { maxByteLength: 9 }); const view = new Uint8Array(buffer, 2); const c = structuredClone(buffer); buffer.resize(1); return [c.resizable, c.byteLength, c.maxByteLength, [view, new DataView(new ArrayBuffer(2)), new Uint8Array(0)].map((each) => { try { return structuredClone(each).byteLength; } catch (error) { return error.name; } })]; })()",
    "(() => { class E2 extends TypeError {} const e = structuredClone(new E2('m', { cause: { c: 1 } })); return [e instanceof TypeError, e.name, e.message, e.cause, typeof e.stack]; })()",
    "(() => { class P { constructor() { this.x = 1; } get y() { return 2; } } const c = structuredClone(new P()); return [c.constructor === Object, c]; })()",
    "[Object(1n) + 0n === 1n, structuredClone(Object('s')) instanceof String, structuredClone(10n) === 10n, structuredClone(NaN)]",
    "[() => 1, Symbol('x'), Promise.resolve(), new WeakMap(), { f() {} }].map((value) => { try { structuredClone(value); return 'cloned'; } catch (error) { return error.name; } })",
    '(() => { const value = JSON.parse(\'{"__proto__": {"p": 1}}\'); const c = structuredClone(value); return [Object.keys(c), c.p, {}.p]; })()',
  ];
  for (const source of cases) await same(source);
});

test("structuredClone of generated values", async () => {
  const values = fc.sample(fc.jsonValue(), { numRuns: 100, seed: 5 });
  assert.deepEqual(await evaluate("structuredClone(msg.json())", values), JSON.parse(JSON.stringify(values)));
});

test("events and abort signals", async () => {
  const cases: readonly string[] = [
    "(() => { const t = new EventTarget(); const seen = []; const f = (e) => seen.push(e.type, e.target === t); t.addEventListener('a', f); t.addEventListener('a', f); t.addEventListener('a', { handleEvent() { seen.push('object'); } }, { once: true }); t.dispatchEvent(new Event('a')); t.removeEventListener('a', f); t.dispatchEvent(new Event('a')); return seen; })()",
    "(() => { const t = new EventTarget(); t.addEventListener('a', (e) => e.preventDefault()); return [t.dispatchEvent(new Event('a')), t.dispatchEvent(new Event('a', { cancelable: true }))]; })()",
    "(() => { const t = new EventTarget(); const seen = []; t.addEventListener('a', (e) => { seen.push(1); e.stopImmediatePropagation(); }); t.addEventListener('a', () => seen.push(2)); t.dispatchEvent(new Event('a')); return seen; })()",
    "(() => { const c = new AbortController(); const seen = []; c.signal.onabort = () => seen.push('on'); c.signal.addEventListener('abort', (e) => seen.push(e.type)); c.abort(); c.abort('again'); return [seen, c.signal.aborted, c.signal.reason.name]; })()",
    "(() => { const a = new AbortController(); const any = AbortSignal.any([a.signal, new AbortController().signal]); a.abort('why'); return [any.aborted, any.reason]; })()",
    "(() => { try { AbortSignal.abort('x').throwIfAborted(); } catch (error) { return [error, AbortSignal.abort().reason.name, AbortSignal.any([AbortSignal.abort(3)]).reason]; } })()",
    "(() => { const e = new DOMException('m', 'AbortError'); return [e.name, e.message, e.code, e instanceof Error]; })()",
  ];
  for (const source of cases) await same(source);
  // Node 20 has no such property on its events.
  const trusted =
    "(() => { const of = (event) => { const { get, enumerable, configurable } = Object.getOwnPropertyDescriptor(event, 'isTrusted'); return [typeof get, enumerable, configurable]; }; const seen = []; const t = new EventTarget(); t.addEventListener('abort', (e) => seen.push(e.isTrusted)); const c = new AbortController(); c.signal.addEventListener('abort', (e) => { seen.push(e.isTrusted); queueMicrotask(() => t.dispatchEvent(e)); }); c.abort(); t.dispatchEvent(new Event('abort')); return Promise.resolve().then(() => [of(new Event('x')), seen]); })()";
  assert.deepEqual(await evaluate(trusted), [
    ["function", true, false],
    [true, false, false],
  ]);
});

test("Headers, Request and Response", async () => {
  const cases: readonly string[] = [
    "(() => { const h = new Headers({ B: '2', a: ' 1 ' }); h.append('b', '3'); h.append('set-cookie', 'x=1'); h.append('Set-Cookie', 'y=2'); return [[...h], h.get('B'), h.has('c'), h.get('c'), h.getSetCookie(), [...h.keys()], [...new Headers(h)]]; })()",
    "['a b', '', 'ü', 'ok'].map((name) => { try { return [...new Headers([[name, 'v']])]; } catch (error) { return error.name; } })",
    "['a\\nb', 'a\\0', 'ok'].map((value) => { try { return [...new Headers({ x: value })]; } catch (error) { return error.name; } })",
    "(async () => { const r = new Response('text ü', { status: 201, headers: { x: '1' } }); const c = r.clone(); return [r.status, r.ok, r.headers.get('content-type').toLowerCase().replace(/ /g, ''), await r.text(), r.bodyUsed, (await c.arrayBuffer()).byteLength, await r.text().catch((error) => error.name)]; })()",
    "(async () => { const r = Response.json({ a: 1 }, { status: 404 }); return [r.status, r.ok, r.headers.get('content-type'), await r.json()]; })()",
    "[Response.redirect('https://x/y', 301).headers.get('location'), Response.error().status, new Response(null, { status: 204 }).status]",
    "[[600], [199], [204, 'body']].map(([status, body]) => { try { return new Response(body, { status }).status; } catch (error) { return error.name; } })",
    "(async () => { const r = new Request('https://x/y?z', { method: 'post', body: new URLSearchParams({ a: '1 2' }), headers: { q: 'r' } }); return [r.url, r.method, r.headers.get('content-type').toLowerCase(), r.headers.get('q'), await r.text()]; })()",
    "(() => { try { new Request('https://x', { body: 'b' }); } catch (error) { return error.name; } })()",
    "(() => { try { new Request(new Request('https://x', { method: 'PUT', body: 'b' }), { method: 'GET' }); } catch (error) { return error.name; } })()",
    "[new Request('about:blank').url, new Request('ftp://x/').url]",
    "(() => { const r = new Request(new Request('https://x/', { headers: { a: '1' } }), { method: 'PUT', body: 'b' }); return [r.method, r.headers.get('a'), r.url]; })()",
    "[['mode', 'navigate'], ['mode', 'x'], ['cache', 'x'], ['cache', 'only-if-cached'], ['credentials', 'x'], ['referrerPolicy', 'x'], ['duplex', 'full'], ['window', 1], ['redirect', 'x']].map(([k, v]) => { try { new Request('https://x/', { [k]: v }); return 'made'; } catch (error) { return error.name; } })",
    "(() => { const r = new Request('https://x/', { mode: 'same-origin', cache: 'only-if-cached', credentials: 'omit', keepalive: true, integrity: 'i', referrerPolicy: 'origin', referrer: '' }).clone(); return [r.mode, r.cache, r.credentials, r.keepalive, r.integrity, r.referrerPolicy, r.referrer]; })()",
    "[Response.error(), Response.redirect('https://x/'), Response.error().clone(), new Response('')].map((r) => { try { r.headers.set('a', 'b'); return 'set'; } catch (error) { return error.name; } })",
    "[...new Headers([['a', '1'], ['A', '2'], ['set-cookie', 'x'], ['set-cookie', 'y']])]",
  ];
  for (const source of cases) await same(source);
});

test("crypto.subtle against Node's crypto", async () => {
  const bytes = Array.from({ length: 200 }, (_none, index) => (index * 37) & 255);
  const source = `(async (bytes) => {
    const data = Uint8Array.from(bytes);
    const list = (buffer) => Array.from(new Uint8Array(buffer));
    const out = {};
    for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
      const key = await crypto.subtle.importKey("raw", data.subarray(0, 150), { name: "HMAC", hash }, true, ["sign", "verify"]);
      const mac = await crypto.subtle.sign("HMAC", key, data);
      const jwk = await crypto.subtle.exportKey("jwk", key);
      const again = await crypto.subtle.importKey("jwk", jwk, { name: "HMAC", hash: { name: hash } }, false, ["verify"]);
      out[hash] = [list(await crypto.subtle.digest(hash, data)), list(mac), jwk, await crypto.subtle.verify("HMAC", again, mac, data), await crypto.subtle.verify("HMAC", again, mac.slice(1), data),
        await crypto.subtle.sign("HMAC", again, data).catch((error) => error.name), await crypto.subtle.exportKey("raw", again).catch(() => "refused"), key.algorithm];
    }
    out.generated = (await crypto.subtle.exportKey("raw", await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-384" }, true, ["sign"]))).byteLength;
    out.errors = [await crypto.subtle.digest("MD5", data).catch((error) => error.name), await crypto.subtle.importKey("raw", data, "AES-GCM", true, ["sign"]).catch(() => "refused")];
    return out;
  })`;
  const inside = (await evaluate(`${source}(msg.json())`, bytes)) as Record<string, unknown[]>;
  const expected = (await ((0, eval)(source) as (bytes: number[]) => Promise<unknown>)(bytes)) as Record<string, unknown[]>;
  assert.deepEqual(inside, JSON.parse(JSON.stringify(expected)));
  assert.deepEqual(inside["SHA-256"]![0], [...createHash("sha256").update(Buffer.from(bytes)).digest()]);
  assert.deepEqual(inside["SHA-512"]![1], [
    ...createHmac("sha512", Buffer.from(bytes.slice(0, 150)))
      .update(Buffer.from(bytes))
      .digest(),
  ]);
});

test("random values have the right shape and are the generator's", async () => {
  const source =
    "[crypto.randomUUID(), crypto.randomUUID(), Array.from(crypto.getRandomValues(new Uint16Array(4))), Math.random(), Math.random()]";
  const [first, second, list, one, two] = (await evaluate(source)) as [string, string, number[], number, number];
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(first, second);
  assert.equal(list.length, 4);
  assert.ok(one >= 0 && one < 1 && one !== two);
  assert.deepEqual(
    await evaluate(
      "[new Float32Array(1), new DataView(new ArrayBuffer(1)), new Uint8Array(65537)].map((array) => { try { crypto.getRandomValues(array); return 'ok'; } catch (error) { return error.name; } })",
    ),
    ["TypeMismatchError", "TypeMismatchError", "QuotaExceededError"],
  );
});

test("timingSafeEqual and console", async () => {
  assert.deepEqual(
    await evaluate(
      '[timingSafeEqual("abc", "abc"), timingSafeEqual("abc", "abd"), timingSafeEqual("a", new Uint8Array([97])), timingSafeEqual("a", "aa")]',
    ),
    [true, false, true, false],
  );
  const machine = await bootMachine(`import { flow } from "mayfly"; export default flow(() => {
    console.log("a %s %d %% %j", "b", "3", { x: 1 }, [2], undefined, 4n, Symbol("s"));
    console.warn(new Map([["k", 1]]), null); console.error(new Error("boom")); console.debug(); console.assert(1 > 2, "no");
  });`);
  const lines = machine
    .event(deliver)
    .effects.flatMap((effect) => (effect.kind === "log" ? [[effect.level, effect.text.split("\n")[0]]] : []));
  assert.deepEqual(lines, [
    ["info", 'a b 3 % {"x":1} [2] undefined 4n Symbol(s)'],
    ["warn", '{"k":1} null'],
    ["error", "Error: boom"],
    ["debug", ""],
    ["error", "assertion failed: no"],
  ]);
});

test("time stands still in a step and moves with events", async () => {
  const machine = await bootMachine(`import { flow } from "mayfly"; export default flow(async (msg, { sleep }) => {
    const before = [Date.now(), performance.now(), performance.timeOrigin, new Date().toISOString()];
    await sleep("1.5s");
    return [before, Date.now(), performance.now(), performance.timeOrigin, new Date(0).getTimezoneOffset()];
  });`);
  machine.event(deliverBody(""));
  const last = machine.event({ kind: "wake", timeMs: deliver.timeMs + 1500, timer: 1 }).effects.at(-1);
  assert.ok(last?.kind === "done");
  assert.deepEqual(JSON.parse(new TextDecoder().decode(last.reply?.body)), [
    [deliver.timeMs, 0, deliver.timeMs, new Date(deliver.timeMs).toISOString()],
    deliver.timeMs + 1500,
    1500,
    deliver.timeMs,
    0,
  ]);
});
