/** kernel/native/xml-write.ts: what it writes is what xml-format.ts writes without it, and what is not plain is left to that. */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runOut } from "../testing/scarce-memory.ts";
import { WritingMachine } from "../testing/writing-machine.ts";

const writer = new WritingMachine(
  ["../formats/xml-options.js", "../formats/written.js", "../formats/xml-format.js"],
  '["xmlText"]',
  "{ xmlText: () => undefined }",
);

const text = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\n\t",
    "a & b",
    "<x>",
    '"q"',
    "]]>",
    "a\rb",
    "\r",
    "\t",
    "é",
    "日本",
    "😀",
    "\ud800",
    "\ufffe",
    "x\uffff",
    "\u0001",
    "\u007f",
    "&amp;",
    "\u00a0",
  ),
  fc.string({ maxLength: 12 }),
);
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "Order", "b-1", "ns:x", "_", "#text", "@id", "@ns:y", "c.d") },
  fc.constantFrom("é", "1", "a b", "@", "@1", "-x", "", "__proto__", "#cdata"),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 4, arbitrary: tie("leaf") },
    { weight: 2, arbitrary: fc.dictionary(name, tie("value"), { maxKeys: 5 }) },
    fc.array(tie("value"), { maxLength: 4 }),
  ),
  leaf: fc.oneof({ weight: 5, arbitrary: text }, fc.integer(), fc.double(), fc.boolean(), fc.constantFrom(null, undefined)),
}));

/** An expression of a value. */
function literal(given: unknown): string {
  if (Array.isArray(given)) return `[${given.map(literal).join()}]`;
  if (typeof given === "object" && given !== null)
    return `Object.fromEntries([${Object.entries(given)
      .map(([key, item]) => `[${JSON.stringify(key)}, ${literal(item)}]`)
      .join()}])`;
  return typeof given === "number" ? (Object.is(given, -0) ? "-0" : String(given)) : (JSON.stringify(given) ?? "undefined");
}

test("random data give the same text or the same refusal", () => {
  let native = 0;
  fc.assert(
    fc.property(value, fc.constantFrom({}, { declaration: false }, { indent: 2 }), (given, options) => {
      const found = writer.write(`{ Root: ${literal(given)} }`, options);
      equal(found.native, found.plain);
      if (found.isNative) native++;
    }),
    { numRuns: 2500 },
  );
  ok(native > 300, String(native));
});

test("what is not plain is left to the other writer, and nothing of the flow runs", () => {
  for (const each of [
    "{ a: new Date(0) }",
    "{ a: { toJSON: () => ({ b: 1 }) } }",
    "(() => { let reads = 0; return { a: { get b() { return ++reads; } } }; })()",
    "{ a: new Proxy({ b: 1 }, {}) }",
    "{ a: Object.create({ b: 1 }) }",
    "{ a: new (class { b = 1; })() }",
    "{ a: Object.create(null) }",
    "{ a: new Map([[1, 2]]) }",
    "{ a: { [Symbol('s')]: 1, b: 2 } }",
    "{ a: { b: 10n } }",
    "{ a: { b: [1, , 2] } }",
    "{ a: { b: [[1]] } }",
    "{ a: { b: NaN } }",
    "(() => { const a = {}; a.a = a; return { a }; })()",
    "(() => { let deep = 1; for (let i = 0; i < 150; i++) deep = { deep }; return { deep }; })()",
    "(() => { let deep = 1; for (let i = 0; i < 250; i++) deep = { deep }; return { deep }; })()",
    "{ a: { '#text': ' ', b: 1 } }",
    "{ a: { '#text': '\\r', b: 1 } }",
    "{ a: { '#text': 'x', b: 1, '@c': null, d: undefined, e: null } }",
    "{ a: { '@b': {} } }",
    "{ a: { b: 'x'.repeat(9000) + '<'.repeat(9000) } }",
    "{ a: 1, b: 2 }",
    "{ a: [1] }",
    "{}",
    "7",
  ]) {
    const { native, plain } = writer.write(each);
    equal(native, plain, each);
  }
});

test("memory that runs out at any moment is an error, and nothing stays", () => {
  const { whole, failed } = runOut(writer.machine, {
    given: `globalThis.data = { line: Array.from({ length: 200 }, (_, i) => ({ "@id": i, name: "<" + i + "> & more".repeat(3), price: i / 8 })) }`,
    call: `native.xmlText("orders", data)`,
    most: 25_000,
    step: 171,
  });
  ok(whole.length > 10_000, whole);
  ok(failed > 10, String(failed));
});
