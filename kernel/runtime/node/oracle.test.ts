/** The kernel's versions of Node's modules on random input, beside Node's own. */
import { deepEqual as equalValues, equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import nodeQuery from "node:querystring";
import { test } from "node:test";
import { format as nodeFormat, inspect as nodeInspect, isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { deepEqual } from "./equal.ts";
import { format, inspect } from "./inspect.ts";
import { md5 } from "./md5.ts";
import query from "./querystring.ts";

const word = fc.lorem({ maxCount: 1 });
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, undefined, Symbol("s"), /x/g, -0),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.lorem(),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 12 }),
    fc.array(fc.integer({ min: -5, max: 5000 }), { maxLength: 40 }),
    fc.array(word, { maxLength: 40 }),
    fc.dictionary(fc.oneof(word, fc.string()), tie("value"), { maxKeys: 8 }),
    fc.array(tie("value"), { maxLength: 8 }).map((values) => new Set(values)),
    fc.array(fc.tuple(leaf, tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
  ),
}));

test("inspect and format show values as Node does", () => {
  fc.assert(
    fc.property(value, (each) => equal(inspect(each), nodeInspect(each))),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(value, (each) =>
      equal(inspect(each, { depth: null, breakLength: 60 }), nodeInspect(each, { depth: null, breakLength: 60 })),
    ),
  );
  const marks = fc.array(fc.constantFrom("%s", "%d", "%i", "%f", "%j", "%O", "%%", "%x", "text"), { minLength: 1, maxLength: 5 });
  const plain = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.bigInt(), fc.array(fc.integer()));
  const said = (write: typeof format, values: readonly unknown[]): string => {
    try {
      return write(...values);
    } catch (error) {
      return (error as Error).name;
    }
  };
  fc.assert(
    fc.property(marks, fc.array(plain, { maxLength: 5 }), (text, values) => {
      const all = [text.join(" "), ...values];
      equal(said(format, all), said(nodeFormat, all));
    }),
    { numRuns: 500 },
  );
});

test("deep equality is Node's", () => {
  fc.assert(fc.property(value, value, (a, b) => equal(deepEqual(a, b), isDeepStrictEqual(a, b))));
  fc.assert(
    fc.property(fc.clone(value, 2), ([a, b]) => equal(deepEqual(a, b), isDeepStrictEqual(a, b))),
    { numRuns: 300 },
  );
});

test("MD5 is Node's, at every length around its blocks", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 31 + length) & 0xff);
    equal(Buffer.from(md5(bytes)).toString("hex"), createHash("md5").update(bytes).digest("hex"), `${length} bytes`);
  }
});

test("queries are read and written as Node does", () => {
  const text = fc.string({ unit: fc.constantFrom(..."ab=&+% é%41%zz%ff%c3%a9;".split("")), maxLength: 30 });
  fc.assert(
    fc.property(text, (each) => equalValues({ ...query.parse(each) }, { ...nodeQuery.parse(each) })),
    { numRuns: 500, examples: [["=é%a+a"], ["é%a+a=1"], ["%aa%aa=%é"]] },
  );
  const quoted = { decodeURIComponent: (part: string): string => `<${part}>` };
  fc.assert(
    fc.property(text, (each) => equalValues({ ...query.parse(each, "&", "=", quoted) }, { ...nodeQuery.parse(each, "&", "=", quoted) })),
    { numRuns: 500 },
  );
  const values = fc.dictionary(
    fc.string({ minLength: 1 }),
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 })),
    { minKeys: 1, maxKeys: 5 },
  );
  fc.assert(
    fc.property(values, (each) => equal(query.stringify(each), nodeQuery.stringify(each as never))),
    { numRuns: 500 },
  );
});
