/** kernel/native/csv-write.ts: what it writes is what csv-format.ts writes without it, and what is not plain is left to that. */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runOut } from "../testing/scarce-memory.ts";
import { WritingMachine } from "../testing/writing-machine.ts";

const writer = new WritingMachine(
  ["../formats/csv-options.js", "../formats/written.js", "../formats/csv-format.js"],
  '["csvText", "unlikeRows"]',
  "{ csvText: () => undefined, unlikeRows: () => undefined }",
);

/** An expression of a value. */
function literal(value: unknown): string {
  if (value === undefined) return "undefined";
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([name, item]) => `[${JSON.stringify(name)}]: ${literal(item)}`)
      .join()}}`;
  return typeof value === "number" && Object.is(value, -0) ? "-0" : typeof value === "number" ? String(value) : JSON.stringify(value);
}

const text = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "a",
    "sep=x",
    "SEP=",
    "a\nb",
    '"',
    'a"b',
    " a",
    "a ",
    "é;",
    "\ufeff",
    "a\ufeff",
    "\uffee",
    "€",
    "日本",
    "😀",
    "\ud800",
    "x,y",
    "1\t2",
    "\x1e",
    "|",
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 9 }),
);
const field = fc.oneof({ weight: 6, arbitrary: text }, fc.integer(), fc.double(), fc.boolean(), fc.constantFrom(null, undefined), {
  weight: 1,
  arbitrary: fc.constant({ x: 1 }),
});
const column = fc.constantFrom("a", "b", "c d", "é", "0", "12", "__proto__", "sep=", " x");
const rows = fc.oneof(
  fc.array(fc.dictionary(column, field, { maxKeys: 5 }), { maxLength: 6 }),
  fc.array(fc.array(field, { maxLength: 5 }), { maxLength: 6 }),
  fc
    .tuple(
      fc.uniqueArray(column, { minLength: 2, maxLength: 5 }),
      fc.array(fc.array(fc.oneof(text, fc.integer()), { minLength: 5, maxLength: 5 }), { maxLength: 8 }),
    )
    .map(([names, all]) => all.map((values) => Object.fromEntries(names.map((name, index) => [name, values[index]])))),
);
const options = fc.record(
  {
    delimiter: fc.constantFrom(",", ";", "\t", "|", " ", "a", "1", ".", "é", "€"),
    newline: fc.constantFrom("\n", "\r\n", "\r"),
    header: fc.oneof(fc.boolean(), fc.uniqueArray(column, { minLength: 1, maxLength: 4 })),
    escapeFormulas: fc.boolean(),
  },
  { requiredKeys: [] },
);

test("random rows and options give the same text or the same refusal", () => {
  let native = 0;
  fc.assert(
    fc.property(rows, options, (given, chosen) => {
      const found = writer.write(literal(given), chosen);
      equal(found.native, found.plain);
      if (found.isNative) native++;
    }),
    { numRuns: 1500 },
  );
  ok(native > 300, String(native));
});

test("what is not plain is left to the other writer, and nothing of the flow runs", () => {
  const cases = [
    "[{ a: 1, b: new Date(0) }]",
    "[{ a: 1, b: { toJSON: () => 7 } }]",
    "(() => { let reads = 0; return [{ a: 1, get b() { return ++reads; } }]; })()",
    "[new Proxy({ a: 1, b: 2 }, {})]",
    "[Object.create({ a: 1, b: 2 }), { a: 3, b: 4 }]",
    "[new (class Row { a = 1; b = 2; })()]",
    "[{ a: 1, b: 10n }]",
    "[{ a: 1, b: Symbol('s') }]",
    "[{ a: NaN, b: Infinity }]",
    "[[1, 2], , [3, 4]]",
    "[[1, , 3]]",
    "Object.assign([[1, 2]], { x: 1 })",
    "[{ a: 1, b: 'x'.repeat(300) + 'y'.repeat(300) }]",
    "[{ a: 'abcdefghijklmnopqrstuvwxyz'.repeat(30).slice(3, 500), b: 1 }]",
    "[Object.defineProperty({ a: 1 }, 'b', { value: 2, enumerable: false }), { a: 1, b: 3 }]",
    "[{ a: 1, b: 2 }, { b: 3, a: 4 }, { c: 5 }, { a: 6, b: undefined }]",
    "7",
    "[7]",
    "[]",
    "[[]]",
    "[{}]",
  ];
  for (const each of cases) {
    const { native, plain } = writer.write(each);
    equal(native, plain, each);
  }
});

test("memory that runs out at any moment is an error, and nothing stays", () => {
  const { whole, failed } = runOut(writer.machine, {
    given: `globalThis.table = Array.from({ length: 200 }, (_, i) => ({ id: i, ["name " + 1]: 'say "' + i + '"', x: i / 8 }))`,
    call: `native.csvText(table, ["id", "name 1", "x", "none"], 44, 0x0a0d)`,
    most: 6_000,
    step: 41,
  });
  ok(whole.length > 3_000, whole);
  ok(failed > 10, String(failed));
});
