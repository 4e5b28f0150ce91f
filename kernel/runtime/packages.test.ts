/** npm packages that need no Node API bundle and work in a machine, and what is in an image of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkedParts } from "./parts.ts";
import { bundle, deliverBody, run } from "./testing/fake-machine.ts";

async function reply(source: string, body: unknown): Promise<unknown> {
  const last = (await run(source, deliverBody(body))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body));
}

test("zod validates", async () => {
  const source = `import { flow } from "mayfly"; import { z } from "zod";
    const Order = z.object({ id: z.number().int(), mail: z.email(), when: z.iso.datetime(), url: z.url(), lines: z.array(z.object({ sku: z.string().min(1) })).min(1) });
    export default flow((msg) => { const result = Order.safeParse(msg.json()); return result.success ? { good: result.data.id } : { bad: result.error.issues.map((issue) => issue.path.join(".")) }; });`;
  const order = { id: 1, mail: "a@b.example", when: "2026-01-01T00:00:00Z", url: "https://a/b", lines: [{ sku: "x" }] };
  assert.deepEqual(await reply(source, order), { good: 1 });
  assert.deepEqual(await reply(source, { ...order, id: "1", lines: [{}] }), { bad: ["id", "lines.0.sku"] });
});

test("dayjs formats", async () => {
  const source =
    'import { flow } from "mayfly"; import dayjs from "dayjs"; import utc from "dayjs/plugin/utc.js"; dayjs.extend(utc); export default flow((msg) => [dayjs.utc(msg.text()).add(1, "month").format("DD.MM.YYYY HH:mm"), dayjs().utc().year()]);';
  assert.deepEqual(await reply(source, "2024-01-31T10:00:00Z"), ["29.02.2024 10:00", 2023]);
});

test("fast-xml-parser parses", async () => {
  const source =
    'import { flow } from "mayfly"; import { XMLParser } from "fast-xml-parser"; const parser = new XMLParser(); export default flow((msg) => parser.parse(msg.text()));';
  assert.deepEqual(await reply(source, "<a><b>1</b></a>"), { a: { b: 1 } });
});

test("an image has the parts its flow mentions, and no others", () => {
  const table: readonly (readonly [source: string, parts: readonly string[]])[] = [
    ["(msg) => msg.json()", []],
    ["(msg) => msg.xml()", ["xml"]],
    ["(msg) => msg.csv?.({})", ["csv"]],
    ["(msg, { to }) => to.a.send('x', { contentType: 'application/xml' })", []],
    ["() => xml.stringify({})", ["xml"]],
    ["(msg, { signal }) => signal.aborted", ["events"]],
    ["() => new URL('https://x')", ["url"]],
    ["(msg, context) => context.fetch('https://x')", ["events", "url", "fetch"]],
    ["() => crypto.randomUUID()", ["crypto"]],
    ["async () => crypto.subtle.digest('SHA-1', new TextEncoder().encode(''))", ["encoding", "crypto", "subtle"]],
    ["() => new Blob([])", ["blob"]],
    ["async () => (await fetch('https://x')).blob()", ["blob", "events", "url", "fetch"]],
    ["(msg) => msg.formData()", ["blob", "form"]],
    ["(msg) => msg.form().fields", ["blob", "form"]],
    ["() => new FormData()", ["blob", "form"]],
    ["async () => (await fetch('https://x')).body.getReader()", ["encoding", "events", "url", "fetch", "streams"]],
    ["async () => { for await (const part of (await fetch('https://x')).body) return part; }", ["fetch", "streams"]],
    ["() => new Blob([]).stream().pipeThrough(new CompressionStream('gzip'))", ["blob", "streams", "compression"]],
    ["(msg) => msg.headers['x'] === 'ReadableStream'", []],
    ["() => Buffer.from(process.env.X)", ["buffer", "process"]],
    ["() => new Date().toLocaleDateString('en-US')", ["intl", "dates"]],
    ["() => new Intl.DateTimeFormat()", ["intl", "dates"]],
    ["() => ['b', 'a'].sort((a, b) => a.localeCompare(b))", ["intl", "collator"]],
    ["() => new Intl.NumberFormat('en').format(1)", ["intl", "numbers"]],
    ["() => new Intl.PluralRules('en').select(1)", ["intl", "plurals"]],
    ["() => new Intl.ListFormat('en').format([])", ["intl", "lists"]],
    ["() => new Intl.RelativeTimeFormat('en').format(1, 'day')", ["intl", "relative"]],
    ["() => 'i'.toLocaleUpperCase('tr')", ["casing"]],
    ["() => console.log(structuredClone(1))", ["console", "clone"]],
  ];
  for (const [handler, parts] of table) {
    const source = `import { flow, xml } from "mayfly"; export default flow(${handler});`;
    const linked = linkedParts(bundle(source).replace(/^\s*\/\/.*$/gm, ""));
    for (const part of parts) assert.ok(linked.includes(part), `${handler}: ${part}`);
    if (parts.length === 0) assert.deepEqual(linked, [], handler);
  }
});
