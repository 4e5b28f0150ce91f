/** `Intl.NumberFormat` in a machine's runtime, beside Node's own, with all options. Names are compared with ICU 78, whose the table is. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { bundle, deliverBody, run } from "../testing/fake-machine.ts";
import { numberParts, rangeParts, textOf } from "./number-format.ts";
import { readNumberSettings } from "./number-options.ts";
import { makeNumbers, numbersIcu } from "./testing/make-numbers.ts";

const source = new URL("../../../../kernel/runtime/intl/number-table.ts", import.meta.url);
const icu = process.versions["icu"] ?? "";
const other = icu.startsWith(`${numbersIcu}.`) ? false : `this Node has ICU ${icu}, the table is of ${numbersIcu}`;

test("the table is made from Node's Intl", { skip: other }, () => {
  const made = makeNumbers();
  if (process.env["UPDATE"] === "1") writeFileSync(source, made!);
  assert.ok(readFileSync(source, "utf8") === made, "UPDATE=1 makes it anew");
});

type Options = Readonly<Record<string, unknown>>;
const some = <T>(values: readonly T[]): fc.Arbitrary<T | undefined> => fc.option(fc.constantFrom(...values), { nil: undefined });
const count = (least: number, most: number): fc.Arbitrary<number | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.integer({ min: least, max: most }) });
const units = Intl.supportedValuesOf("unit");
const counted = units.filter((unit) => unit !== "percent");
const unit = fc.oneof(
  fc.constantFrom(...units),
  fc.tuple(fc.constantFrom(...counted), fc.constantFrom(...units)).map(([each, per]) => `${each}-per-${per}`),
);
const style = fc.oneof(
  fc.constant({}),
  fc.constant({ style: "percent" }),
  fc.record({
    style: fc.constant("currency"),
    currency: fc.constantFrom(...Intl.supportedValuesOf("currency"), "DEM", "XYZ", "X".repeat(3), "usd", "EUR", "JPY", "KWD"),
    currencyDisplay: some(["code", "symbol", "narrowSymbol", "name"]),
    currencySign: some(["standard", "accounting"]),
  }),
  fc.record({ style: fc.constant("unit"), unit, unitDisplay: some(["long", "short", "narrow"]) }),
);
const shape = fc.record({
  notation: some(["standard", "scientific", "engineering", "compact"]),
  compactDisplay: some(["short", "long"]),
  signDisplay: some(["auto", "never", "always", "exceptZero", "negative"]),
  useGrouping: some(["min2", "auto", "always", true, false, null, ""]),
  trailingZeroDisplay: some(["auto", "stripIfInteger"]),
  roundingMode: some(["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"]),
});
const digits = fc.record({
  minimumIntegerDigits: count(0, 6),
  minimumFractionDigits: count(0, 6),
  maximumFractionDigits: count(-1, 8),
  minimumSignificantDigits: count(1, 5),
  maximumSignificantDigits: count(0, 7),
  roundingPriority: some(["auto", "auto", "morePrecision", "lessPrecision"]),
  roundingIncrement: fc.option(fc.constantFrom(1, 2, 3, 5, 10, 25, 50, 500), { nil: undefined, freq: 2 }),
});
const options: fc.Arbitrary<Options> = fc
  .tuple(style, shape, digits)
  .map((parts) => JSON.parse(JSON.stringify(Object.assign({}, ...parts))) as Options);
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.double(),
  fc
    .tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.integer({ min: 0, max: 9 }))
    .map(([whole, places]) => whole / 10 ** places),
  fc.integer({ min: -2000, max: 2000 }).map((whole) => whole / 8),
  fc.constantFrom(0, -0, 1, -1, 999_999, 999.5, 9.995, 0.5, 1.5, 2.5, 1e21, 1000, "0x10", " 12 ", "abc", null, true, undefined),
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
  fc.tuple(fc.integer(), fc.bigInt({ min: 0n, max: 10n ** 25n })).map(([whole, fraction]) => `${whole}.${fraction}`),
);

function outcome(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return (error as Error).name;
  }
}
const formatOf = (given: Options): Intl.NumberFormat => new Intl.NumberFormat("en", given as Intl.NumberFormatOptions);
/** Node before 24 counts with the digits of a currency where they do not count, from 24 on it wants both digits beside a step; ICU counts large steps in doubles, and where a number gets one digit more by a step, it rounds twice. */
function isOtherwise(given: Options, number: unknown): boolean {
  const { currency, notation = "standard", roundingIncrement = 1 } = given;
  if (currency !== undefined && notation !== "standard" && Number(process.versions.node.split(".")[0]) < 24) return true;
  const isWhole = given["minimumFractionDigits"] !== undefined && given["maximumFractionDigits"] !== undefined;
  return roundingIncrement !== 1 && (!isWhole || notation !== "standard" || Math.abs(Number(number)) > 1e9);
}

test("numbers have Node's parts, with all options", { skip: other }, () => {
  let compared = 0;
  fc.assert(
    fc.property(options, value, (given, number) => {
      if (isOtherwise(given, number)) return;
      const expected = outcome(() => formatOf(given).formatToParts(number as number));
      assert.deepEqual(
        outcome(() => numberParts(readNumberSettings("en", given), number)),
        expected,
      );
      if (typeof expected !== "string") compared++;
    }),
    { numRuns: 20_000 },
  );
  assert.ok(compared > 5000, `${compared} compared`);
});

test("ranges have Node's text", { skip: other }, () => {
  let compared = 0;
  fc.assert(
    fc.property(options, value, value, (given, start, end) => {
      if (isOtherwise(given, start) || isOtherwise(given, end) || !/^standard$/.test(String(given["notation"] ?? "standard"))) return;
      if (start !== end && Number(start) === Number(end)) return; // one number to ICU, which compares doubles
      const expected = outcome(() => formatOf(given).formatRange(start as number, end as number));
      // Two numbers that are rounded to 0: ICU shows one or two of them, by their digits before rounding.
      if (typeof expected === "string" && /^\D*[0.]+(?:\D+[0.]+)?\D*$/.test(expected)) return;
      assert.deepEqual(
        outcome(() => textOf(rangeParts(readNumberSettings("en", given), start, end))),
        expected,
      );
      compared++;
    }),
    { numRuns: 10_000 },
  );
  assert.ok(compared > 1000, `${compared} compared`);
});

test("every currency and unit has Node's names", { skip: other }, () => {
  for (const currency of Intl.supportedValuesOf("currency"))
    for (const currencyDisplay of ["code", "symbol", "narrowSymbol", "name"])
      for (const number of [1, -1234.5]) {
        const given = { style: "currency", currency, currencyDisplay };
        assert.equal(textOf(numberParts(readNumberSettings("en", given), number)), formatOf(given).format(number));
      }
  for (const each of units)
    for (const per of [undefined, ...units])
      for (const unitDisplay of ["long", "short", "narrow"]) {
        if (each === "percent" && per !== undefined) continue;
        const given = { style: "unit", unit: per === undefined ? each : `${each}-per-${per}`, unitDisplay };
        for (const number of [1, 2])
          assert.equal(textOf(numberParts(readNumberSettings("en", given), number)), formatOf(given).format(number), JSON.stringify(given));
      }
});

/** Answers of a machine to expressions, as JSON; the code or name of an error. */
async function ask(expressions: readonly string[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; const tries = [${expressions.map((each) => `() => (${each})`).join(",")}];
    export default flow(() => tries.map((each) => { try { return each(); } catch (error) { return error.code ?? error.name; } }));`;
  const last = (await run(flow, deliverBody({}))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

const fromNode = (expression: string): unknown =>
  outcome(() => JSON.parse(JSON.stringify(new Function(`return (${expression});`)())) as unknown);

test("a flow gets what Node gives: methods, resolved options and errors", { skip: other }, async () => {
  const given = [
    `"en-US"`,
    `"en-u-nu-latn"`,
    `"en", { style: "currency", currency: "jpy", notation: "compact" }`,
    `"en", { style: "currency", currency: "EUR", currencySign: "accounting", currencyDisplay: "name" }`,
    `"en", { style: "unit", unit: "kilometer-per-hour", unitDisplay: "long" }`,
    `"en", { style: "unit" }`,
    `"en", { style: "unit", unit: "parsec" }`,
    `"en", { style: "currency" }`,
    `"en", { style: "currency", currency: "EURO" }`,
    `"en", { style: "money" }`,
    `"en", { notation: "compact", compactDisplay: "long", useGrouping: false }`,
    `"en", { maximumSignificantDigits: 3 }`,
    `"en", { maximumSignificantDigits: 3, roundingPriority: "lessPrecision" }`,
    `"en", { style: "percent", minimumFractionDigits: 1, useGrouping: "true" }`,
    `"en", { useGrouping: "sometimes" }`,
    `"en", { maximumFractionDigits: 101 }`,
    `"en", { maximumFractionDigits: 1, minimumFractionDigits: 2 }`,
    `"en", { roundingIncrement: 5, maximumFractionDigits: 2, minimumFractionDigits: 2 }`,
    `"en", { roundingIncrement: 5, maximumSignificantDigits: 2 }`,
    `"en", { roundingIncrement: 7 }`,
    `"en", null`,
  ];
  const expressions = [
    ...given.map((each) => `new Intl.NumberFormat(${each}).resolvedOptions()`),
    `(1234.5).toLocaleString("en-US", { style: "currency", currency: "EUR" })`,
    `(0.256).toLocaleString(undefined, { style: "percent", maximumFractionDigits: 1 })`,
    `(12345678901234567890n).toLocaleString("en", { notation: "compact" })`,
    `[1, 22, 333].map(Intl.NumberFormat("en", { minimumIntegerDigits: 2 }).format)`,
    `new Intl.NumberFormat("en", { style: "currency", currency: "USD" }).formatRangeToParts(3, 5)`,
    `new Intl.NumberFormat("en").formatRange(1)`,
    `new Intl.NumberFormat("en").formatRange(NaN, 1)`,
    `new Intl.NumberFormat("en").format("1e400")`,
    `new Intl.NumberFormat("en").format({ valueOf: () => 5n })`,
    `new Intl.NumberFormat("en").format(Symbol())`,
    `Intl.supportedValuesOf("unit")`,
    `Intl.supportedValuesOf("currency")`,
    `Intl.NumberFormat.supportedLocalesOf(["en", "en-US"])`,
    `Intl.NumberFormat.prototype.formatToParts.call({})`,
    `Object.prototype.toString.call(new Intl.NumberFormat())`,
  ];
  const answers = await ask(expressions);
  for (const [index, each] of expressions.entries()) assert.deepEqual(answers[index], fromNode(each), each);
  assert.deepEqual(await ask([`new Intl.NumberFormat("en", { notation: "compact" }).formatRange(1, 2)`, `new Intl.NumberFormat("nl")`]), [
    "MF_NO_INTL",
    "MF_NO_INTL",
  ]);
});

test("a long text of digits takes no time that grows with its square", async () => {
  const [answer] = await ask([`new Intl.NumberFormat("en").format("9".repeat(300)).length`]);
  assert.equal(answer, 399);
});

test("only a flow that names them has the tables of currencies and units", () => {
  const made = (handler: string): number => bundle(`import { flow } from "mayfly"; export default flow(${handler});`).length;
  const empty = made("() => 1");
  assert.ok(made("() => (1.5).toFixed(2)") < empty + 100);
  assert.ok(made("() => new Intl.NumberFormat('en')") > empty + 20_000);
});
