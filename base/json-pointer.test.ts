/** The scanner says what JSON.parse and a walk would, whatever the bytes are, and wherever its slices end. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromUtf8, toUtf8 } from "#base";
import { Scan, textOfValue, valuesAt } from "./json-pointer.ts";

/** The same by way of JSON.parse. */
function expected(bytes: Uint8Array, steps: readonly string[]): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    return undefined;
  }
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step) || (Array.isArray(value) && step === "length"))
      return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  if (typeof value === "string") return value;
  return value === undefined || value === null ? undefined : JSON.stringify(value);
}

/** The same in slices of so many steps or bytes. */
function inSlices(bytes: Uint8Array, pointers: readonly (readonly string[])[], most: number): readonly (string | undefined)[] {
  const scan = new Scan(bytes, pointers);
  while (scan.slice(most, most));
  return scan.literals().map(textOfValue);
}

function check(text: string | Uint8Array, ...pointers: readonly (readonly string[])[]): void {
  const bytes = typeof text === "string" ? toUtf8(text) : text;
  const values = pointers.map((steps) => expected(bytes, steps));
  const shown = fromUtf8(bytes).slice(0, 500);
  deepEqual(valuesAt(bytes, pointers), values, shown);
  for (const most of [1, 2, 5]) deepEqual(inSlices(bytes, pointers, most), values, `${shown} in slices of ${most}`);
}

const pointers = [[], ["a"], ["a", "b"], ["a", "0"], ["0"], ["1", "a"], ["a", "b", "a"], [""], ["__proto__"], ["é"], ["😀"], ["00"]];

const cases: Readonly<Record<string, readonly string[]>> = {
  "equal names, of which the last counts": [
    '{"a":1,"a":2}',
    '{"a":{"b":1},"a":{}}',
    '{"a":{"b":1},"a":3}',
    '{"a":{"b":1,"b":2},"a":{"b":{"a":5}}}',
    '{"a":{"b":1},"a":null}',
    '{"a":1,"\\u0061":2}',
  ],
  escapes: [
    '{"\\u0061":"\\n\\"\\\\\\/\\ud83d\\ude00\\ud800"}',
    '{"\\ud83d\\ude00":1}',
    '{"😀":2,"é":3}',
    '"\\u00g0"',
    '"\\x"',
    '"a\nb"',
    '"\\',
  ],
  numbers: [
    "0",
    "-0",
    "1e999",
    "-1E+2",
    "12345678901234567890",
    "0.1",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "--1",
    "1e+",
    "-",
    "0x1",
    "5e-324",
    "NaN",
  ],
  "what is not JSON": [
    "",
    " ",
    "[",
    "]",
    "{",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "[1,]",
    "[,1]",
    "1 2",
    "tru",
    "truex",
    "nul",
    "undefined",
    "'a'",
    '{"a":1}}',
    "[}",
    "{a:1}",
    "\ufeff1",
    '{"a":1} x',
    "{1:1}",
    '{"a" 1}',
  ],
  "names of everybody's": ['{"__proto__":{"a":1}}', '{"constructor":1}', '{"":{"":1}}', '[[1],2,{"a":[3]}]', '{"a":[4,5]}'],
  space: [' \t\r\n{ "a" : { "b" : [ 1 , 2 ] } } \n', "\v1", "\u00a01", "[ ]", "{ }"],
};
for (const [name, texts] of Object.entries(cases)) {
  test(name, () => {
    for (const text of texts) check(text, ...pointers);
  });
}

test("an array's length is no member of it", () => equal(valuesAt(toUtf8("[1]"), [["length"]])[0], undefined));

test("any value, and any pair of pointers", () => {
  const name = fc.oneof(fc.constantFrom("a", "b", "0", "1", "", "__proto__", "é"), fc.string({ unit: "binary", maxLength: 3 }));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ depthSize: "small", maxDepth: 4 }, fc.jsonValue({ maxDepth: 1 }), tie("list"), tie("object")),
    list: fc.array(tie("tree"), { maxLength: 3 }),
    object: fc.array(fc.tuple(name, tie("tree")), { maxLength: 4 }).map((entries) => ({ entries })),
  }));
  const write = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(write).join(" ,")}]`;
    const entries = (value as { entries?: [string, unknown][] } | null)?.entries;
    if (!Array.isArray(entries)) return JSON.stringify(value);
    return `{${entries.map(([key, each]) => `${JSON.stringify(key)}: ${write(each)}`).join(",")}}`; // equal names as well
  };
  const pointer = fc.array(name, { maxLength: 4 });
  fc.assert(
    fc.property(tree, pointer, pointer, (value, first, second) => check(write(value), first, second)),
    { numRuns: 3000 },
  );
});

test("any bytes, and JSON with bytes changed", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => check(bytes, ...pointers)));
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    '"a"',
    '"b"',
    "0",
    "1",
    "-",
    ".",
    "e",
    "\\",
    "u",
    "true",
    "null",
    " ",
    "é",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => check(pieces.join(""), ...pointers)),
    { numRuns: 20_000 },
  );
});

test("nested as deep as a body is long", () => {
  const depth = 2_000_000;
  check("[".repeat(depth), ["0"], []);
  const bytes = toUtf8(`{"a":${"[".repeat(depth)}${"]".repeat(depth)},"b":"x"}`);
  deepEqual(valuesAt(bytes, [["b"], ["a", "0", "1"]]), ["x", undefined]);
  equal(valuesAt(bytes, [["a"]])[0]?.length, 2 * depth);
  const normal = `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
  equal(valuesAt(toUtf8(normal), [["a"]])[0]?.length, 40_000);
});
