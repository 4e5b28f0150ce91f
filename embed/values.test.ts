/** The codec of values, as both sides have it, and what hostile text can make of it. */
import { deepEqual, doesNotThrow, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isDeep, parseJson } from "./content.ts";
import { embedLimits } from "./limits.ts";
import { type Base64, decodeForm, decodeValue, encodeValue, type ValueBounds } from "./values.ts";

const base64: Base64 = {
  to: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
  from: (text) => Uint8Array.from(Buffer.from(text, "base64")),
};
const bounds: ValueBounds = { depth: 20, parts: 10_000, characters: 100_000 };
const encoded = (value: unknown): string => encodeValue(value, bounds, base64);
const crossed = (value: unknown): unknown => decodeValue(encoded(value), (json) => parseJson(json, "x"), base64);

/** Values of every kind that crosses, in trees of them. */
const leaf = fc.oneof(
  fc.constantFrom(undefined, null, true, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.double(),
  fc.string({ unit: "binary" }),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  fc.int16Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
);
const { value: anyValue } = fc.letrec<{ readonly value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "form", "!", "then")), tie("value"), { maxKeys: 5 }),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}));

test("values cross as structuredClone gives them", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      deepEqual(crossed(value), structuredClone(value));
    }),
  );
});

test("JSON crosses as JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false } as never), (value) => {
      const text = encoded(value);
      if (!JSON.stringify(value).includes("-0") && !text.startsWith("!")) equal(text, JSON.stringify(value));
      deepEqual(crossed(value), structuredClone(value));
    }),
  );
});

test("hostile text makes data or a coded error, and changes no prototype", () => {
  const before = Object.getOwnPropertyNames(Object.prototype).length;
  const form = fc.letrec<{ readonly form: unknown }>((tie) => ({
    form: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<unknown>(null, true, "-", "f", "NaN", "Error", "AAA=", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, 1e99),
      fc.array(tie("form"), { minLength: 1, maxLength: 4 }),
      fc.dictionary(fc.constantFrom("__proto__", "constructor", "a"), tie("form"), { maxKeys: 3 }),
    ),
  })).form;
  fc.assert(
    fc.property(
      fc.oneof(
        form.map((value) => `!${JSON.stringify(value)}`),
        fc.string().map((text) => `!${text}`),
        fc.json(),
      ),
      (text) => {
        try {
          decodeValue(text, (json) => parseJson(json, "x"), base64);
        } catch (error) {
          equal((error as { code?: unknown }).code, "MF_VALUE_INVALID");
        }
        equal(Object.getOwnPropertyNames(Object.prototype).length, before);
      },
    ),
  );
  const tricked = decodeForm(JSON.parse('{"__proto__":{"polluted":[3,"","1"]}}'), base64) as { polluted?: unknown };
  equal(tricked.polluted, undefined);
  equal(Object.getPrototypeOf(tricked), Object.prototype);
  ok(Object.hasOwn(tricked, "__proto__"));
});

test("what can't cross is refused with its reason", () => {
  const refused = (value: unknown, sentence: RegExp): void => throws(() => encoded(value), { code: "MF_VALUE_INVALID", message: sentence });
  refused(() => 1, /a function can't cross/);
  refused([Symbol("x")], /a symbol can't cross/);
  refused({ a: Promise.resolve() }, /a Promise can't cross/);
  refused(new WeakMap(), /a WeakMap can't cross/);
  refused(/x/, /a RegExp can't cross/);
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  refused(cycle, /contains itself/);
  refused(new Array(10_001), /more than 10000 parts/);
  refused("x".repeat(100_001), /more than 100000/);
  let deep: unknown = 1;
  for (let level = 0; level < 21; level++) deep = [deep];
  refused(deep, /nests deeper than 20/);
  const twice = { a: 1n };
  deepEqual(crossed([twice, twice]), [{ a: 1n }, { a: 1n }]);
});

test("an error crosses with its class and text, and no stack of the other side", () => {
  const error = crossed(new RangeError("far")) as Error;
  ok(error instanceof RangeError);
  deepEqual([error.message, error.stack], ["far", "RangeError: far"]);
});

test("depth is found as a parser finds it, whatever texts hold", () => {
  const depthOf = (value: unknown): number =>
    typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
  const { depth } = embedLimits;
  fc.assert(
    fc.property(
      fc.integer({ min: depth - 3, max: depth + 3 }),
      fc.string({ unit: fc.constantFrom("[", "]", "{", '"', "\\", "a") }),
      (levels, text) => {
        let value: unknown = { [text]: text };
        for (let level = 1; level < levels; level++) value = level % 2 === 0 ? [text, value] : { [text]: value };
        equal(isDeep(JSON.stringify(value)), depthOf(value) > depth);
      },
    ),
  );
  doesNotThrow(() => isDeep(`"${"\\".repeat(100_000)}`));
  throws(() => parseJson("[".repeat(10_000_000), "x"), { code: "MF_VALUE_INVALID" });
});
