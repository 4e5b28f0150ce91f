/** Numbers' toLocaleString in a machine's runtime, beside Node's own; number-format.test.ts has all options. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deliverBody, run } from "../testing/fake-machine.ts";

interface Question {
  /** Of a number, or with `big` of a BigInt. */
  readonly value: string;
  readonly big: boolean;
  readonly locale?: string | undefined;
  readonly options?: Record<string, unknown> | undefined;
}

async function ask(questions: readonly Question[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; export default flow((msg) => msg.json().map(({ value, big, locale, options }) => {
    try { return (big ? BigInt(value) : Number(value)).toLocaleString(locale, options); }
    catch (error) { return error.code ?? error.name; }
  }));`;
  const last = (await run(flow, deliverBody(questions))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

function fromNode({ value, big, locale, options }: Question): string {
  try {
    return big
      ? BigInt(value).toLocaleString(locale ?? "en-US", options as object)
      : Number(value).toLocaleString(locale ?? "en-US", options);
  } catch (error) {
    return (error as Error).name;
  }
}

const digits = fc.option(fc.integer({ min: -1, max: 20 }), { nil: undefined });
const numbers = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc
    .tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.integer({ min: 0, max: 9 }))
    .map(([whole, places]) => whole / 10 ** places),
);
const question = fc.record({
  value: fc.oneof({ weight: 4, arbitrary: numbers.map((value) => (Object.is(value, -0) ? "-0" : String(value))) }, fc.bigInt().map(String)),
  big: fc.constant(false),
  locale: fc.constantFrom(undefined, "en", "en-US", "en-US-u-nu-latn"),
  options: fc.option(
    fc.record(
      {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        useGrouping: fc.constantFrom(true, false, "auto", "always", null, 0, ""),
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  ),
});

test("numbers are written as Node writes them", async () => {
  const questions = fc
    .sample(question, 3000)
    .map((each) => ({ ...each, big: /^-?\d{4,}$/.test(each.value) && each.value.length % 2 === 0 }));
  const answers = await ask(questions);
  for (const [index, each] of questions.entries()) assert.equal(answers[index], fromNode(each), JSON.stringify(each));
});

test("halves, carries, and what is no number", async () => {
  const values = [
    "0.5",
    "1.5",
    "-0.5",
    "1.0005",
    "999.9995",
    "9999999.9999",
    "NaN",
    "Infinity",
    "-Infinity",
    "-0",
    "-0.0001",
    "1e21",
    "5e-324",
    "1.7976931348623157e308",
  ];
  const questions = values.flatMap((value) => [undefined, { maximumFractionDigits: 0 }].map((options) => ({ value, big: false, options })));
  assert.deepEqual(await ask(questions), questions.map(fromNode));
});

test("what a machine does not have fails, and gives no other text", async () => {
  const wrong = [
    { locale: "de-DE" },
    { locale: "en-US-u-nu-arab" },
    { options: { numberingSystem: "deva" } },
    { options: { style: "unit", unit: "percent-per-day" } },
  ];
  const answers = await ask(wrong.map((each) => ({ value: "1234.5", big: false, ...each })));
  assert.deepEqual(
    answers,
    wrong.map(() => "MF_NO_INTL"),
  );
});
