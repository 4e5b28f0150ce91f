/** Blob, File and FormData inside a machine; Node's own are the oracle where it has them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Event } from "#abi";
import { bootMachine, deliver, evaluate } from "../testing/fake-machine.ts";
import { decode, failureOf, header, replyOf, resolveEvent } from "../testing/flows.ts";

/** Evaluates the same source in a machine and in Node. */
async function same(source: string, input: unknown = null): Promise<void> {
  const here = await ((0, eval)(`(async (input) => (${source}))`) as (input: unknown) => Promise<unknown>)(input);
  const there = await evaluate(`(async (input) => (${source}))(msg.json())`, input);
  assert.deepEqual(there, (JSON.parse(JSON.stringify({ value: here })) as { value: unknown }).value, source);
}

const tried = (cases: string, use: string): string =>
  `[${cases}].map((each) => { try { return (${use})(each); } catch (error) { return error.name; } })`;

test("Blob and File", async () => {
  const cases: readonly string[] = [
    "(async () => { const b = new Blob(['aü\\ud800', new Uint8Array([1, 2]), new Uint8Array([3, 4, 5]).subarray(1), new Blob(['c']), new Uint8Array([9]).buffer, 7, null], { type: 'Text/PLAIN' }); return [b.size, b.type, [...await b.bytes?.() ?? new Uint8Array(await b.arrayBuffer())], await b.text(), String(b)]; })()",
    "(async () => { const b = new Blob(['0123456789'], { type: 'a/b' }); return Promise.all([[], [2], [-3], [2, 5], [5, 2], [-5, -2], [0, 99], [undefined, undefined], [1, 3, 'X/Y']].map(async (each) => { const s = b.slice(...each); return [s.size, s.type, await s.text()]; })); })()",
    "(async () => (await new Blob(['\\ufeffa']).text()).length)()",
    "(async () => { const f = new File(['a'], 'n\\ud800.txt', { type: 'x/y', lastModified: 5 }); return [f.name, f.lastModified, f.type, f.size, f instanceof Blob, await f.text(), String(f), f.slice(0, 1) instanceof File]; })()",
    "(async () => { const own = new Uint8Array([1]); const b = new Blob([own]); own[0] = 2; new Uint8Array(await b.arrayBuffer())[0] = 3; return new Uint8Array(await b.arrayBuffer())[0]; })()",
    tried("undefined, [], 'abc', 1, {}, new Set(['a', 'b']), new Uint8Array([65]), [Symbol('s')]", "(parts) => new Blob(parts).size"),
    tried(
      "undefined, {}, { type: 'a\\u007f' }, { type: undefined }, { endings: 'x' }, 5, 'text'",
      "(options) => new Blob(['a'], options).type",
    ),
    tried("[], [['a']], [['a'], 'n']", "(given) => new File(...given).name"),
    "(() => { const b = new Blob(['a']); const c = structuredClone([b, b]); return [c[0] === c[1], c[0] !== b]; })()",
  ];
  for (const source of cases) await same(source);
  assert.equal(await evaluate("typeof Blob.prototype.stream"), "undefined");
  assert.equal(await evaluate("new Blob(['a\\r\\nb\\rc\\nd\\r', 'e'], { endings: 'native' }).text()"), "a\nb\nc\nd\ne");
  assert.deepEqual(
    await evaluate("[5.9, -5.9, '7', NaN, Infinity].map((lastModified) => new File([], 'n', { lastModified }).lastModified)"),
    [5, -5, 7, 0, 0],
  );
  const clones =
    "(() => { const { b, f } = structuredClone({ b: new Blob(['abc'], { type: 'a/b' }), f: new File(['x'], 'n', { type: 'c/d', lastModified: 3 }) }); return [b instanceof Blob, b instanceof File, b.size, b.type, f instanceof File, f.name, f.type, f.lastModified]; })()";
  assert.deepEqual(await evaluate(clones), [true, false, 3, "a/b", true, "n", "c/d", 3]);
  // Values that end Node 20: clamped, and rounded to the even number.
  const slices = "[[NaN, 2], ['1', '3'], [null, 1e300], [-Infinity, Infinity], [0.5, 1.5], [2.5, 3.5], [-0.5]]";
  assert.deepEqual(await evaluate(`Promise.all(${slices}.map((each) => new Blob(['0123456789']).slice(...each).text()))`), [
    "01",
    "12",
    "0123456789",
    "0123456789",
    "01",
    "23",
    "0123456789",
  ]);
  assert.deepEqual(await evaluate("[new File([], 'n').lastModified, Object.keys(Blob.prototype).sort(), Blob.length, File.length]"), [
    deliver.timeMs,
    ["arrayBuffer", "bytes", "size", "slice", "text", "type"],
    0,
    2,
  ]);
});

test("FormData", async () => {
  const made = "const f = new FormData(); f.append('a', 1); f.append('b', 'x\\ud800'); f.append('a', 'two');";
  const cases: readonly string[] = [
    `(() => { ${made} return [[...f], f.get('a'), f.get('z'), f.getAll('a'), f.getAll('z'), f.has('b'), f.has('z'), [...f.keys()], [...f.values()], String(f)]; })()`,
    `(() => { ${made} f.set('a', 'new'); f.set('c', 'last'); f.delete('b'); return [...f.entries()]; })()`,
    `(() => { ${made} const seen = []; f.forEach(function (value, name, form) { seen.push(value, name, form === f, this.x); if (name === 'b') f.delete('a'); }, { x: 1 }); return seen; })()`,
    `(() => { ${made} const iterator = f.keys(); iterator.next(); f.delete('a'); return [iterator.next(), String(iterator), iterator[Symbol.iterator]() === iterator]; })()`,
    "(() => { const f = new FormData(); const file = new File(['x'], 'own.txt', { type: 'a/b', lastModified: 4 }); f.append('a', file); f.append('b', file, 'other'); f.append('c', new Blob(['y'], { type: 'c/d' })); f.set('d', new Blob(['z']), 'given\\ud800'); return [f.get('a') === file, ...[...f.values()].map((v) => [v instanceof File, v.name, v.type, v.size])]; })()",
    tried(
      "['a'], [], ['a', 'b', 'c'], ['a', Symbol('s')], ['a', {}], ['a', null]",
      "(given) => { const f = new FormData(); f.append(...given); return [...f]; }",
    ),
    tried("undefined, null, {}", "(form) => [...new FormData(form)].length"),
  ];
  for (const source of cases) await same(source);
  assert.deepEqual(await evaluate("[FormData.prototype.append.length, FormData.prototype.set.length, FormData.name]"), [2, 2, "FormData"]);
});

test("bodies of blobs and forms, and what is read as one", async () => {
  const cases: readonly string[] = [
    "(async () => { const r = new Response(new Blob(['a'], { type: 'x/y' })); return [r.headers.get('content-type'), await r.text(), new Response(new Blob(['a'])).headers.get('content-type')]; })()",
    "(async () => { const r = new Request('https://x/', { method: 'POST', body: new Blob(['a'], { type: 'x/y' }), headers: { 'content-type': 'Text/Html;CHARSET=x' } }); const b = await r.blob(); return [r.bodyUsed, b instanceof Blob, b.type, b.size]; })()",
    "(async () => { const b = await new Response('text').blob(); return [b.type.toLowerCase(), await b.text(), (await new Response(null).blob()).size]; })()",
    "(async () => [...await new Response('a=1&b=%C3%BC+x&a=%ff&c', { headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' } }).formData()])()",
    "(async () => [...await new Request('https://x/', { method: 'POST', body: new URLSearchParams({ q: 'ü &' }) }).formData()])()",
    "(async () => Promise.all([['text', 'text/plain'], ['', 'multipart/form-data'], ['x', 'multipart/form-data; boundary=b'], ['x', '']].map(([body, type]) => new Response(body, { headers: type === '' ? {} : { 'content-type': type } }).formData().catch((error) => error.name))))()",
    "(async () => { const f = new FormData(); f.append('a\"\\n', 'line\\nline\\r'); f.append('f', new File([new Uint8Array([0, 255, 13, 10, 45, 45])], 'ü\"\\r\\n.bin', { type: 'A/b' })); f.append('e', new Blob([])); const r = new Response(f); const g = await r.formData(); return Promise.all([...g].map(async ([name, v]) => [name, typeof v === 'string' ? v : [v instanceof File, v.name, v.type, [...new Uint8Array(await v.arrayBuffer())]]])); })()",
  ];
  for (const source of cases) await same(source);
});

test("a form is encoded as the standard says, with a boundary from the machine's seed", async () => {
  const source =
    "() => { const f = new FormData(); f.append('a', 'x\\ny'); f.append('f\"', new File(['1'], 'n', { type: 't/t' })); f.append('g', new Blob(['2'])); return new Response(f); }";
  const reply = await replyOf(source);
  const boundary = /^multipart\/form-data; boundary=(----mayfly-form-[0-9a-f]{32})$/.exec(reply?.contentType ?? "")?.[1];
  assert.ok(boundary !== undefined, reply?.contentType);
  assert.equal(
    reply?.body,
    [
      `--${boundary}`,
      'Content-Disposition: form-data; name="a"',
      "",
      "x",
      "y",
      `--${boundary}`,
      'Content-Disposition: form-data; name="f%22"; filename="n"',
      "Content-Type: t/t",
      "",
      "1",
      `--${boundary}`,
      'Content-Disposition: form-data; name="g"; filename="blob"',
      "Content-Type: application/octet-stream",
      "",
      "2",
      `--${boundary}--`,
      "",
    ].join("\r\n"),
  );
  assert.deepEqual(await replyOf(source), reply, "a replay draws the same boundary");
  const twice = "[new FormData(), new FormData()].map((form) => new Response(form).headers.get('content-type'))";
  const [one, other] = (await evaluate(twice)) as string[];
  assert.notEqual(one, other);
  assert.equal(
    await evaluate("(() => { try { structuredClone(new FormData()); } catch (error) { return error.name; } })()"),
    "DataCloneError",
  );
  await assert.rejects(bootMachine(`${header}new Response(new FormData()); export default flow(() => {});`), /MF_TOP_LEVEL|top level/);
});

test("blobs and forms are sent, asked with, fetched with and replied, with their types", async () => {
  const machine = await bootMachine(`${header}export default flow(async (msg, { to }) => {
    const form = new FormData();
    form.append("a", "1");
    to.a.send(form);
    to.a.send(new Blob(["b"], { type: "x/y" }), { headers: { n: "1" } });
    to.a.send(new Blob(["b"]));
    to.a.send(new URLSearchParams({ q: "ü" }));
    to.a.send(form, { contentType: "z/z" });
    await to.a.request(form, { method: "PUT" });
    await fetch("https://a.example/", { method: "POST", body: form });
    return new File(["f"], "n", { type: "f/f" });
  });`);
  const first = machine.event(deliver).effects;
  const sent = first.map((effect) =>
    effect.kind === "send" || effect.kind === "call" ? [effect.contentType.slice(0, 47), decode(effect.body).length] : effect,
  );
  const form = ["multipart/form-data; boundary=----mayfly-form-", 159];
  const [a, b, c, d, e, f] = sent;
  assert.deepEqual(
    [a, f].map((each) => (each as [string, number])[0].slice(0, 46)),
    [form[0], form[0]],
  );
  assert.deepEqual(
    [b, c, d, (e as [string])[0]],
    [["x/y", 1], ["application/octet-stream", 1], ["application/x-www-form-urlencoded;charset=UTF-8", 8], "z/z"],
  );
  const call = machine.event(resolveEvent(0, "")).effects.at(-1);
  assert.ok(call?.kind === "call" && call.contentType.startsWith("multipart/form-data; boundary="), "fetch");
  assert.match(decode(call.body), /name="a"\r\n\r\n1\r\n--/);
  const done = machine.event(resolveEvent(1, "")).effects.at(-1);
  assert.ok(done?.kind === "done");
  assert.deepEqual([done.reply?.contentType, decode(done.reply?.body)], ["f/f", "f"]);
});

const posted = (contentType: string, body: string | Uint8Array): Event => ({
  ...deliver,
  headersJson: JSON.stringify({ "content-type": contentType }),
  body: typeof body === "string" ? new TextEncoder().encode(body) : body,
});

test("msg.formData() reads uploads, and refuses what is malformed with 400", async () => {
  const field = 'Content-Disposition: form-data; name="a"';
  const handler =
    "async (msg) => Promise.all([...msg.formData()].map(async ([name, v]) => [name, typeof v === 'string' ? v : [v.name, v.type, await v.text()]]))";
  const body = `--b\r\n${field}\r\n\r\nü\r\n--b\r\n${field}; filename="x.csv"\r\nContent-Type: Text/CSV\r\n\r\n1,2\r\n--b--\r\n`;
  assert.deepEqual(JSON.parse((await replyOf(handler, posted('Multipart/Form-Data; boundary="b"', body)))?.body ?? ""), [
    ["a", "ü"],
    ["a", ["x.csv", "text/csv", "1,2"]],
  ]);
  assert.equal((await replyOf(handler, posted("application/x-www-form-urlencoded", "q=%C3%BC")))?.body, '[["q","ü"]]');

  const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const bad: readonly (readonly [type: string, body: string | Uint8Array, why: RegExp])[] = [
    ["multipart/form-data; boundary=b", body.slice(0, -8), /the message is not valid form data: a part has no end at byte \d+/],
    ["multipart/form-data", body, /no valid boundary/],
    ["text/plain", "a=1", /"text\/plain" is neither multipart/],
    ["application/x-www-form-urlencoded", "q=%FF", /not valid form data/],
    ["multipart/form-data; boundary=b", latin(`--b\r\n${field}\r\n\r\n\xff\r\n--b--`), /of the text at byte 49$/],
  ];
  for (const [type, given, why] of bad) {
    const found = await failureOf("(msg) => [...msg.formData()].length", posted(type, given));
    assert.deepEqual([found.code, found.status, found.retry], ["MF_MESSAGE_INVALID", 400, false], type);
    assert.match(found.message, why);
  }
  const replaced = "(msg) => [...msg.formData({ malformed: 'replace' })]";
  assert.equal((await replyOf(replaced, posted("application/x-www-form-urlencoded", "q=%FF")))?.body, '[["q","\ufffd"]]');
});

test("msg.form() has fields and files apart, whatever their names, and is the FormData too", async () => {
  const part = (parameters: string, body: string, more = ""): string =>
    `--b\r\nContent-Disposition: form-data; ${parameters}\r\n${more}\r\n${body}\r\n`;
  const body = [
    part('name="a"', "1"),
    part('name="a"', "2"),
    part('name="__proto__"', "p"),
    part('name="f"; filename="x.csv"', "1,2", "Content-Type: text/csv\r\n"),
    part('name="a"; filename=""', ""),
    part('name="a"', "3"),
  ].join("");
  const shown =
    "async (msg) => { const form = msg.form(); return [Object.entries(form.fields), await Promise.all(form.files.map(async (f) => [f.field, f.name, f.type, await f.text()])), form instanceof FormData && form.getAll('a').length, JSON.parse(JSON.stringify(form)).files, typeof form.fields.toString, msg.formData().fields === undefined]; }";
  assert.deepEqual(JSON.parse((await replyOf(shown, posted("multipart/form-data; boundary=b", `${body}--b--`)))?.body ?? ""), [
    [
      ["a", ["1", "2", "3"]],
      ["__proto__", "p"],
    ],
    [
      ["f", "x.csv", "text/csv", "1,2"],
      ["a", "", "text/plain", ""],
    ],
    4,
    [{ field: "f" }, { field: "a" }],
    "undefined",
    true,
  ]);
  const fields = await replyOf(
    "(msg) => ({ ...msg.form() })",
    posted("application/x-www-form-urlencoded; charset=UTF-8", "q=a+b&q=%C3%BC&r"),
  );
  assert.deepEqual(JSON.parse(fields?.body ?? ""), { fields: { q: ["a b", "ü"], r: "" }, files: [] });
  assert.equal((await failureOf("(msg) => msg.form()", posted("text/plain", "a=1"))).code, "MF_MESSAGE_INVALID");
});

test("a form that a machine writes is the same to Node, whatever is in it", async () => {
  const text = fc.string({ unit: "binary" });
  const entries = fc.sample(
    fc.array(
      fc.tuple(text, fc.oneof(text, fc.record({ name: fc.string({ unit: "binary", minLength: 1 }), bytes: fc.array(fc.nat(255)) }))),
      { maxLength: 4 },
    ),
    {
      numRuns: 30,
      seed: 7,
    },
  );
  const written = (await evaluate(
    `Promise.all(msg.json().map(async (entries) => {
      const form = new FormData();
      for (const [name, value] of entries) {
        if (typeof value === "string") form.append(name, value);
        else form.append(name, new Blob([new Uint8Array(value.bytes)]), value.name);
      }
      const response = new Response(form);
      return [response.headers.get("content-type"), (await response.bytes()).toHex()];
    }))`,
    entries,
  )) as [string, string][];
  const lines = (value: string): string => value.replace(/\r\n?|\n/g, "\r\n");
  for (const [index, [type, hex]] of written.entries()) {
    const form = await new Response(Buffer.from(hex, "hex"), { headers: { "content-type": type } }).formData();
    const read = await Promise.all(
      [...form].map(async ([name, value]) => [
        name,
        typeof value === "string" ? value : [value.name, [...new Uint8Array(await value.arrayBuffer())]],
      ]),
    );
    const meant = entries[index]!.map(([name, value]) => [
      lines(name),
      typeof value === "string" ? lines(value) : [value.name, value.bytes],
    ]);
    assert.deepEqual(read, meant);
  }
});

test("what is not linked says what to import", async () => {
  assert.equal((await failureOf("(msg) => msg[['form', 'Data'].join('')]()")).code, "MF_FORMAT_NOT_LINKED");
  assert.match((await failureOf("() => new Response('')[['bl', 'ob'].join('')]()")).message, /import "mayfly\/blob"/);
});
