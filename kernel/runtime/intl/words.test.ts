/** `Intl.PluralRules`, `ListFormat` and `RelativeTimeFormat` in a machine's runtime, beside Node's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deliverBody, run } from "../testing/fake-machine.ts";

/** Answers of a machine to expressions, as JSON; the code or name of an error. */
async function ask(expressions: readonly string[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; const { PluralRules, ListFormat, RelativeTimeFormat } = Intl;
    const tries = [${expressions.map((each) => `() => (${each})`).join(",")}];
    export default flow(() => tries.map((each) => { try { return each() ?? null; } catch (error) { return error.code ?? error.name; } }));`;
  const last = (await run(flow, deliverBody({}))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

function fromNode(expression: string): unknown {
  try {
    const make = new Function("PluralRules", "ListFormat", "RelativeTimeFormat", `return (${expression});`) as (
      ...given: unknown[]
    ) => unknown;
    return JSON.parse(JSON.stringify(make(Intl.PluralRules, Intl.ListFormat, Intl.RelativeTimeFormat) ?? null)) as unknown;
  } catch (error) {
    return (error as Error).name;
  }
}

async function compare(expressions: readonly string[]): Promise<void> {
  const answers = await ask(expressions);
  for (const [index, each] of expressions.entries()) assert.deepEqual(answers[index], fromNode(each), each);
}

const number = fc.oneof(
  fc.integer({ min: -130, max: 130 }),
  fc.constantFrom(0, -0, 1, -1, 1.0001, 0.996, 0.994, 1.005, 2, Number.NaN, Number.POSITIVE_INFINITY),
  fc.double({ min: -3, max: 3, noNaN: true }),
  fc.integer({ min: -3000, max: 3000 }).map((whole) => whole / 16),
  // Beyond, ICU takes a form after the digits of a 64-bit integer.
  fc.double({ min: -1e15, max: 1e15 }),
);
const shown = (value: unknown): string => (Object.is(value, -0) ? "-0" : typeof value === "number" ? String(value) : JSON.stringify(value));

test("plurals are Node's", async () => {
  const digits = fc.record(
    {
      type: fc.constantFrom("cardinal", "ordinal", "nominal"),
      minimumFractionDigits: fc.integer({ min: 0, max: 2 }),
      maximumFractionDigits: fc.integer({ min: 0, max: 2 }),
      maximumSignificantDigits: fc.integer({ min: 1, max: 3 }),
    },
    { requiredKeys: [] },
  );
  const questions = fc
    .sample(fc.tuple(digits, number, number), 2000)
    .map(
      ([given, a, b]) => `((r) => [r.select(${shown(a)}), r.selectRange(${shown(b)}, 2)])(new PluralRules("en", ${JSON.stringify(given)}))`,
    );
  await compare([
    ...questions,
    `new PluralRules("en").select(1n)`,
    `new PluralRules().select("1")`,
    `PluralRules("en")`,
    `new PluralRules("en").selectRange(1)`,
  ]);
  const [cardinal, ordinal, absent] = await ask([
    `new PluralRules("en").resolvedOptions()`,
    `new PluralRules("en", { type: "ordinal", maximumSignificantDigits: 2 }).resolvedOptions()`,
    `new PluralRules("ar")`,
  ]);
  const rounding = { roundingIncrement: 1, roundingMode: "halfExpand", roundingPriority: "auto", trailingZeroDisplay: "auto" };
  // As in Node 24: Node 20 has no rounding here, and another order of the categories.
  assert.deepEqual(cardinal, {
    ...{ locale: "en", type: "cardinal", minimumIntegerDigits: 1, minimumFractionDigits: 0, maximumFractionDigits: 3 },
    ...{ pluralCategories: ["one", "other"], ...rounding },
  });
  assert.deepEqual(ordinal, {
    ...{ locale: "en", type: "ordinal", minimumIntegerDigits: 1, minimumSignificantDigits: 1, maximumSignificantDigits: 2 },
    ...{ pluralCategories: ["one", "two", "few", "other"], ...rounding },
  });
  assert.equal(absent, "MF_NO_INTL");
});

test("lists are Node's", async () => {
  const expressions: string[] = [];
  for (const type of ["conjunction", "disjunction", "unit", "list"])
    for (const style of ["long", "short", "narrow"])
      for (const list of [[], ["a"], ["a", "b"], ["a", "ü", "c"], ["a", "b, and", "c", "d"]])
        expressions.push(
          `((l) => [l.format(${JSON.stringify(list)}), l.formatToParts(${JSON.stringify(list)}), l.resolvedOptions()])(new ListFormat("en-US", ${JSON.stringify({ type, style })}))`,
        );
  expressions.push(
    `new ListFormat("en").format("abc")`,
    `new ListFormat("en").format([1])`,
    `new ListFormat("en").format(5)`,
    `new ListFormat("en").format()`,
    `new ListFormat("en").format(new Set(["x", "y"]))`,
    `new ListFormat("en", "long")`,
    `ListFormat("en")`,
    `Object.prototype.toString.call(new ListFormat())`,
  );
  await compare(expressions);
  assert.deepEqual(await ask([`new ListFormat("de")`]), ["MF_NO_INTL"]);
});

test("relative times are Node's", async () => {
  const units = ["second", "minute", "hour", "day", "week", "month", "quarter", "year", "days", "weeks", "fortnight", "s"];
  const given = fc.record({ style: fc.constantFrom("long", "short", "narrow"), numeric: fc.constantFrom("always", "auto") });
  const questions = fc
    .sample(fc.tuple(given, number, fc.constantFrom(...units)), 3000)
    .map(([options, value, unit]) => `new RelativeTimeFormat("en", ${JSON.stringify(options)}).formatToParts(${shown(value)}, "${unit}")`);
  await compare([
    ...questions,
    `new RelativeTimeFormat("en-US", { numeric: "auto" }).resolvedOptions()`,
    `new RelativeTimeFormat("en").format("2", "day")`,
    `new RelativeTimeFormat("en").format(2n, "day")`,
    `new RelativeTimeFormat("en").format(-12345.678, "hours")`,
    `new RelativeTimeFormat("en", { style: "tiny" })`,
    `new RelativeTimeFormat("en", null)`,
  ]);
  assert.deepEqual(await ask([`new RelativeTimeFormat("fr")`]), ["MF_NO_INTL"]);
});
