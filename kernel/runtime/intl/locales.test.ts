/** `Intl` in the locales of tables, beside Node's own where it has the ICU of the tables. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { deliverBody, run } from "../testing/fake-machine.ts";
import { otherwise, tabled } from "./locale-tables.ts";
import { localeFile, localesIcu, makeLocales, regionsOf } from "./testing/make-locales.ts";

const icu = process.versions["icu"] ?? "";
const other = icu === localesIcu ? false : `this Node has ICU ${icu}, the tables are of ${localesIcu}`;

test("the tables are made from Node's Intl: three of them, or with UPDATE=1 all", { skip: other }, () => {
  const isUpdate = process.env["UPDATE"] === "1";
  const tags = isUpdate ? tabled : fc.sample(fc.uniqueArray(fc.constantFrom(...tabled), { minLength: 3, maxLength: 3 }), 1)[0]!;
  for (const [tag, text] of makeLocales(tags)) {
    if (isUpdate) writeFileSync(localeFile(tag), text);
    assert.ok(readFileSync(localeFile(tag), "utf8") === text, `${tag}: UPDATE=1 makes it anew`);
  }
  for (const language of tags.filter((tag) => !tag.includes("-")))
    assert.equal(regionsOf(language)[1].join(" "), otherwise[language] ?? "", `regions of ${language}`);
});

interface Question {
  readonly locale: string;
  readonly service: "DateTimeFormat" | "NumberFormat" | "PluralRules" | "ListFormat" | "RelativeTimeFormat";
  readonly options: Readonly<Record<string, unknown>>;
  readonly values: readonly unknown[];
}

/** Runs in a machine and in Node. Infinity and its like come as texts. */
const answerSource = `(Intl, { locale, service, options, values }) => {
  try {
    const format = new Intl[service](locale, options);
    const given = values.map((each) => (/^(?:NaN|Infinity|-0)$/.test(each) ? Number(each) : each));
    const resolved = format.resolvedOptions().locale;
    if (service === "PluralRules") return [resolved, format.select(given[0]), format.selectRange(...given), format.resolvedOptions().pluralCategories.sort()];
    return [resolved, format.format(...given), format.formatToParts(...given)];
  } catch (error) { return error.code === "MF_NO_INTL" ? error.code : error.name + error.message; }
}`;
const answer = new Function(`return ${answerSource}`)() as (intl: typeof Intl, question: Question) => unknown;

const written = (value: unknown): unknown => (Object.is(value, -0) ? "-0" : value);

async function ask(questions: readonly Question[]): Promise<unknown[]> {
  const links = tabled.map((tag) => `import "mayfly/locales/${tag}";`).join("");
  const flow = `import { flow } from "mayfly"; ${links} const answer = ${answerSource};
    const named = [Intl.DateTimeFormat, Intl.NumberFormat, Intl.PluralRules, Intl.ListFormat, Intl.RelativeTimeFormat];
    export default flow((msg) => msg.json().map((each) => answer(Intl, each)));`;
  const last = (await run(flow, deliverBody(questions.map((each) => ({ ...each, values: each.values.map(written) }))))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

/** The number of answers of each service that were Node's; the others were MF_NO_INTL. */
async function compare(questions: readonly Question[]): Promise<number> {
  const answers = await ask(questions);
  let compared = 0;
  const wrong: unknown[] = [];
  for (const [index, each] of questions.entries()) {
    if (answers[index] === "MF_NO_INTL") continue;
    compared++;
    const node = JSON.parse(JSON.stringify(answer(Intl, each))) as unknown;
    if (JSON.stringify(answers[index]) !== JSON.stringify(node)) wrong.push([each, answers[index], node]);
  }
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${questions.length}`);
  return compared;
}

const regional = ["nl-NL", "de-DE", "fr-FR", "es-ES", "it-IT", "pt-BR", "pl-PL", "sv-SE", "da-DK", "ja-JP", "zh-CN", "nl-DE"];
const locale = fc.constantFrom(...tabled, ...regional);
const some = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> => fc.option(fc.constantFrom(...values), { nil: undefined });
const present = (options: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
const text = ["narrow", "short", "long"] as const;
const digits = ["numeric", "2-digit"] as const;

const zones = [
  "UTC",
  "Europe/Brussels",
  "America/New_York",
  "Asia/Kolkata",
  "Asia/Tokyo",
  "America/St_Johns",
  "Europe/London",
  "Asia/Kathmandu",
];
const components = fc.record({
  weekday: some(...text),
  era: some(undefined, undefined, ...text),
  year: some(...digits),
  month: some(...digits, ...text),
  day: some(...digits),
  hour: some(...digits),
  minute: some(...digits),
  second: some(...digits),
  fractionalSecondDigits: some(undefined, undefined, 1, 2, 3),
  timeZoneName: some(undefined, "short", "long", "shortOffset", "longOffset"),
});
const styles = fc.record({ dateStyle: some("full", "long", "medium", "short"), timeStyle: some("full", "long", "medium", "short") });
const date = fc
  .record({
    locale,
    options: fc.tuple(
      fc.oneof(components, styles),
      fc.record({ timeZone: fc.constantFrom(...zones), hourCycle: some("h11", "h12", "h23") }),
    ),
    time: fc.integer({ min: 0, max: Date.UTC(2060, 0, 1) }),
  })
  .map(
    ({ locale: tag, options: [first, second], time }): Question => ({
      locale: tag,
      service: "DateTimeFormat",
      options: present({ ...first, ...second }),
      values: [time],
    }),
  )
  // An era ends Node 20 there: a check of V8's fails.
  .filter(({ locale: tag, options }) => tag !== "de-CH" || !("era" in options));

test("dates and times are Node's, or MF_NO_INTL says what there is not", { skip: other }, async () => {
  const compared = await compare(fc.sample(date, 6000));
  assert.ok(compared > 2000, `${compared} compared`);
});

test("the usual sets of components, and all styles, are there in each locale", { skip: other }, async () => {
  const questions: Question[] = [];
  for (const tag of [...tabled, ...regional])
    for (const time of [0, Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 11, 31, 23, 59, 58)]) {
      const add = (options: object): void =>
        void questions.push({
          locale: tag,
          service: "DateTimeFormat",
          options: present({ timeZone: "Europe/Brussels", ...options }),
          values: [time],
        });
      add({});
      for (const month of ["numeric", "2-digit", "short", "long"])
        for (const clock of [
          {},
          { hour: "2-digit", minute: "2-digit" },
          { hour: "numeric", minute: "numeric", second: "numeric", timeZoneName: "short" },
        ])
          for (const weekday of [undefined, "short", "long"]) add({ year: "numeric", month, day: "numeric", weekday, ...clock });
      for (const options of [{ month: "long", year: "numeric" }, { weekday: "long" }, { month: "short" }, { hour: "numeric" }])
        add(options);
      for (const dateStyle of [undefined, "full", "long", "medium", "short"])
        for (const timeStyle of [undefined, "full", "long", "medium", "short"]) add({ dateStyle, timeStyle });
    }
  assert.equal(await compare(questions), questions.length);
});

const amount = fc.oneof(
  fc.integer({ min: -20, max: 2000 }),
  fc.double({ min: -1e16, max: 1e16, noNaN: true }),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.integer({ min: -100_000, max: 100_000 }).map((whole) => whole / 100),
  fc.constantFrom(1, 2, 1e6, 2e6, 1000, 1500, 999_999, 0.5, 1e15, "NaN", "Infinity", "-0"),
);
const style = fc.oneof(
  fc.constant({}),
  fc.constant({ style: "percent" }),
  fc.record({
    style: fc.constant("currency"),
    currency: fc.constantFrom("EUR", "USD", "CHF", "JPY", "PLN", "BRL", "SEK", "TRY", "CNY", "GBP", "KWD", "DEM"),
    currencyDisplay: some("code", "symbol", "narrowSymbol", "name"),
    currencySign: some("standard", "accounting"),
  }),
  fc.record({
    style: fc.constant("unit"),
    unit: fc.constantFrom(...Intl.supportedValuesOf("unit"), "kilometer-per-hour", "liter-per-kilometer"),
    unitDisplay: some(...text),
  }),
);
const number = fc
  .tuple(
    locale,
    style,
    fc.record({
      notation: some("standard", "scientific", "engineering", "compact"),
      compactDisplay: some("short", "long"),
      signDisplay: some("auto", "never", "always", "exceptZero", "negative"),
      useGrouping: some<string | boolean>("min2", "auto", "always", true, false),
      minimumFractionDigits: some(undefined, undefined, 0, 2),
      maximumSignificantDigits: some(undefined, undefined, 1, 3),
    }),
    amount,
  )
  // Digits of a currency count there in Node 20, but not in 24.
  .filter(([, first, second]) => !("currency" in first) || (second.notation ?? "standard") === "standard")
  // ICU takes another plural of units there.
  .filter(([, , second]) => second.notation !== "compact" || second.minimumFractionDigits !== 2)
  // ICU has a pattern of its own for TRY in tr, with the symbol besides the name and no brackets.
  .filter(([tag, first]) => tag !== "tr" || !("currency" in first) || first.currency !== "TRY")
  .map(
    ([tag, first, second, value]): Question => ({
      locale: tag,
      service: "NumberFormat",
      options: present({ ...first, ...second }),
      values: [value],
    }),
  );

test("numbers are Node's, or MF_NO_INTL says what there is not", { skip: other }, async () => {
  const compared = await compare(fc.sample(number, 8000));
  assert.ok(compared > 5000, `${compared} compared`);
});

test("plurals, lists and relative times are Node's", { skip: other }, async () => {
  const plural = fc
    .tuple(
      locale,
      some("cardinal", "ordinal"),
      some(0, 1, 2),
      fc.oneof(amount, fc.integer({ min: 0, max: 200 })),
      fc.integer({ min: 0, max: 30 }),
    )
    .map(
      ([tag, type, minimumFractionDigits, a, b]): Question => ({
        locale: tag,
        service: "PluralRules",
        options: present({ type, minimumFractionDigits }),
        values: [Number.isNaN(Number(a)) ? 0 : a, b],
      }),
    );
  const list = fc
    .tuple(
      locale,
      some("conjunction", "disjunction", "unit"),
      some(...text),
      fc.array(fc.constantFrom("a", "i", "hielo", "hijo", "8", "11", "oro", "Ñ"), { maxLength: 5 }),
    )
    .map(
      ([tag, type, width, values]): Question => ({
        locale: tag,
        service: "ListFormat",
        options: present({ type, style: width }),
        values: [values],
      }),
    );
  const unit = fc.constantFrom("second", "minutes", "hour", "days", "week", "months", "quarter", "year");
  const relative = fc
    .tuple(
      locale,
      some("auto", "always"),
      some(...text),
      fc.oneof(fc.integer({ min: -3, max: 25 }), fc.double({ min: -1e7, max: 1e7, noNaN: true }), fc.constantFrom(-0, 1.5, 0.996)),
      unit,
    )
    .map(
      ([tag, numeric, width, value, of]): Question => ({
        locale: tag,
        service: "RelativeTimeFormat",
        options: present({ numeric, style: width }),
        values: [value, of],
      }),
    );
  const questions = [...fc.sample(plural, 3000), ...fc.sample(list, 1500), ...fc.sample(relative, 3000)];
  assert.equal(await compare(questions), questions.length);
});
