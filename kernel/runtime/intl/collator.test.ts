/** `Intl.Collator` and localeCompare in a machine's runtime, beside Node's own. ICU's versions order new characters differently: compared with ICU 78. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { bundle, deliverBody, run } from "../testing/fake-machine.ts";
import { compareTexts, type Order } from "./collation.ts";
import { entryOf, primaryOf } from "./collation-data.ts";
import { icuVersion, makeCollation } from "./testing/make-collation.ts";

const source = new URL("../../../../kernel/runtime/intl/collation-table.ts", import.meta.url);
const icu = process.versions["icu"] ?? "";
const sameIcu = icu.startsWith(`${icuVersion}.`);
const other = sameIcu ? false : `this Node has ICU ${icu}, the table is of ${icuVersion}`;

test("the table is made from the ICU of Node", { skip: other }, (context) => {
  const made = makeCollation();
  if (made === undefined) return context.skip("this Node does not carry ICU's data");
  if (process.env["UPDATE"] === "1") writeFileSync(source, made);
  assert.ok(readFileSync(source, "utf8") === made, "UPDATE=1 makes it anew");
});

test("the digits have primaries in a row", () => {
  const primaries = [..."0123456789"].map((digit) => primaryOf(entryOf(digit.codePointAt(0)!)));
  assert.deepEqual(
    primaries,
    primaries.map((_, index) => primaries[0]! + index),
  );
});

const orders = (["base", "accent", "case", "variant"] as const).flatMap((sensitivity) =>
  (["false", "upper", "lower"] as const).flatMap((caseFirst) =>
    [false, true].flatMap((numeric) =>
      [false, true].map((ignorePunctuation) => ({
        options: { sensitivity, caseFirst, numeric, ignorePunctuation },
        order: { sensitivity, caseFirst, isNumeric: numeric, ignoresPunctuation: ignorePunctuation, isSearch: false } satisfies Order,
        compare: new Intl.Collator("en", { sensitivity, caseFirst, numeric, ignorePunctuation }).compare,
      })),
    ),
  ),
);
const usual = orders.filter(({ options }) => options.caseFirst === "false" && !options.numeric && !options.ignorePunctuation);

/** Characters that Unicode 15 has, so that every supported Node knows them, without rare ideographs. */
const isRare = (code: number): boolean =>
  /\p{Unified_Ideograph}/u.test(String.fromCodePoint(code).normalize("NFKD")) && (code < 0x4e00 || code > 0x9fff);
const characters: readonly string[] = Array.from({ length: 0x1ffff }, (_, code) => code)
  .filter((code) => (code < 0xd800 || code > 0xdfff) && /\p{Assigned}/u.test(String.fromCodePoint(code)) && !isRare(code))
  .map((code) => String.fromCodePoint(code));

function shown(text: string): string {
  return Array.from(text, (each) => each.codePointAt(0)!.toString(16)).join(" ");
}

test("every character stands where Node has it, at every level", { skip: other }, () => {
  const sorted = [...characters].sort(new Intl.Collator("en").compare);
  const wrong: string[] = [];
  const check = (left: string, right: string, each: (typeof orders)[number]): void => {
    const [found, expected] = [Math.sign(compareTexts(left, right, each.order)), each.compare(left, right)];
    if (found !== expected) wrong.push(`${shown(left)} | ${shown(right)}: ${found} for ${expected} ${JSON.stringify(each.options)}`);
  };
  for (const [index, right] of sorted.entries()) {
    for (const each of usual) if (index > 0) check(sorted[index - 1]!, right, each);
    for (const each of orders) if (index % 7 === 0) check(right, "a", each);
  }
  assert.ok(sorted.length > 60_000);
  assert.deepEqual(wrong.slice(0, 10), []);
});

const pools = [
  "abcABCxyz éàüøßæ",
  "0123456789aB٠١٢",
  "-_ .,!?·()$€+'",
  "αβγΑΒΩάώ",
  "абвгйЙёЁи\u0306",
  "\u0300\u0301\u0306\u0308\u0323\u0338\u0327\u0345",
  "lL·\u0387",
  "กขเแโาำ",
  "가각힣ᄀᆨ",
  "あアかガーｱ",
  "一丁龥漢字",
  "😀🎉🇧🇪\u{1f468}\u200d\u{1f469}",
  "اأإآب\u0653\u0655",
  "\u0fb2\u0f71\u0f72\u0f80\u0f74",
  "\ud800\udc00\ufffd\uffff\ufffe\u0378",
].map((pool) => fc.constantFrom(...pool));
const word = fc
  .uniqueArray(fc.constantFrom(...pools), { minLength: 1, maxLength: 3 })
  .chain((chosen) => fc.array(fc.oneof(...chosen, { arbitrary: fc.constantFrom(...characters), weight: 1 }), { maxLength: 9 }))
  .map((list) => list.join(""));
/** Two texts that have much in common. */
const pair = fc.oneof(
  fc.tuple(word, word),
  fc.tuple(word, word, word, word).map(([start, left, right, end]): [string, string] => [start + left + end, start + right + end]),
);

test("texts are ordered as Node orders them, with all options", { skip: other }, () => {
  fc.assert(
    fc.property(pair, fc.constantFrom(...orders), ([left, right], { order, compare }) => {
      assert.equal(Math.sign(compareTexts(left, right, order)), compare(left, right), `${shown(left)} | ${shown(right)}`);
    }),
    { numRuns: 8_000 },
  );
});

test("numbers of any length are ordered as Node orders them", () => {
  const digits = fc.array(fc.constantFrom(..."0019٠९"), { minLength: 1, maxLength: 600 }).map((list) => list.join(""));
  const numeric = orders.filter(({ options }) => options.numeric);
  fc.assert(
    fc.property(
      fc.tuple(fc.constantFrom("", "0", "00a", "-"), digits, digits),
      fc.constantFrom(...numeric),
      ([start, left, right], each) => {
        for (const [a, b] of [
          [start + left, start + right],
          [left, start + left],
          [`${left}a`, `${left}b${right}`],
        ] as const)
          assert.equal(Math.sign(compareTexts(a, b, each.order)), each.compare(a, b));
      },
    ),
    { numRuns: 1000 },
  );
});

/** Answers of a machine to expressions, as JSON; the code or name of an error. */
async function ask(expressions: readonly string[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; const tries = [${expressions.map((each) => `() => (${each})`).join(",")}];
    export default flow(() => tries.map((each) => { try { return each(); } catch (error) { return error.code ?? error.name; } }));`;
  const last = (await run(flow, deliverBody({}))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

function fromNode(expression: string): unknown {
  try {
    // eslint-disable-next-line -- the same text runs in the machine
    return JSON.parse(JSON.stringify(new Function(`return (${expression});`)())) as unknown;
  } catch (error) {
    return (error as Error).name;
  }
}

test("a flow gets what Node gives: methods, options and what is no option", { skip: other }, async () => {
  const options = [
    `"en-u-kn"`,
    `"en-u-kn-false"`,
    `"en-US-u-kf-upper-kn-true"`,
    `"en-u-kn", { numeric: false }`,
    `"en-u-kf-lower", { caseFirst: "upper" }`,
    `"en", { numeric: "false" }`,
    `"en", { collation: "phonebk" }`,
    `"en", { usage: "search", sensitivity: "base" }`,
    `"de-AT"`,
    `"de-DE", { numeric: true }`,
    `["fr-BE", "en"]`,
    `"nl-NL-u-kn"`,
    `"pt-BR", { ignorePunctuation: true, sensitivity: "accent" }`,
    `"no_tag"`,
    `"en", null`,
    `"en", { sensitivity: "tiny" }`,
    `"en", { usage: "find" }`,
    `"en", { caseFirst: "none" }`,
  ];
  const expressions = [
    ...options.map((each) => `new Intl.Collator(${each}).resolvedOptions()`),
    `"a".localeCompare("B")`,
    `"a".localeCompare("A", undefined, { sensitivity: "base" })`,
    `"résumé".localeCompare("resume", "en", { sensitivity: "base" })`,
    `["z", "ä", "a", "Z", "é", "e", "10", "9"].sort((a, b) => a.localeCompare(b))`,
    `["f10", "f9", "F1"].sort(Intl.Collator("en", { numeric: true }).compare)`,
    `[1, undefined, "u"].map(new Intl.Collator("en").compare.bind(undefined, "undefined"))`,
    `["Straße", "Strasse"].toSorted((a, b) => a.localeCompare(b, "de"))`,
    `"x".localeCompare("y", "no_tag")`,
    `String.prototype.localeCompare.call(null, "x")`,
    `Object.prototype.toString.call(new Intl.Collator())`,
    `Intl.Collator.supportedLocalesOf(["en", "de-CH"])`,
    `Object.getOwnPropertyDescriptor(Intl.Collator.prototype, "compare").get.call({})`,
    `String.prototype.localeCompare.length`,
    `(({ compare }) => compare === Intl.Collator("en").compare)(new Intl.Collator("en"))`,
    `(class extends Intl.Collator {}, new (class extends Intl.Collator {})("en").compare("a", "b"))`,
  ];
  const answers = await ask(expressions);
  for (const [index, each] of expressions.entries()) assert.deepEqual(answers[index], fromNode(each), each);
});

test("an order that a machine does not have ends in MF_NO_INTL", async () => {
  const wrong = [
    `"a".localeCompare("b", "sv")`,
    `"a".localeCompare("b", "fr-CA")`,
    `new Intl.Collator("cs")`,
    `new Intl.Collator("en", { collation: "emoji" })`,
    `new Intl.Collator("de-u-co-phonebk")`,
    `new Intl.Collator("de", { usage: "search" })`,
    `new Intl.Collator("en", { usage: "search" }).compare("ا", "ب")`,
    `"𠮷".localeCompare("吉")`,
    `"㐀".localeCompare("一")`,
  ];
  assert.deepEqual(
    await ask(wrong),
    wrong.map(() => "MF_NO_INTL"),
  );
});

test("letters of Turkish and Azeri", async () => {
  const texts = [
    "I",
    "İ",
    "i",
    "ı",
    "I\u0307",
    "I\u0323\u0307",
    "I\u0301\u0307",
    "ISPARTA",
    "İ\u0307",
    "I\u0307\u0307",
    "I\u034f\u0307",
    "J\u0307",
    "ΑΣ",
    "I\u0345\u0307",
  ];
  const expressions = texts.flatMap((text) =>
    ["tr", "az-Latn", "en", "de"].flatMap((locale) =>
      ["Upper", "Lower"].map((kind) => `${JSON.stringify(text)}.toLocale${kind}Case(${JSON.stringify(locale)})`),
    ),
  );
  expressions.push(`"Ii".toLocaleUpperCase()`, `"Ii".toLocaleLowerCase(["tr"])`, `"i".toLocaleUpperCase("no_tag")`);
  const answers = await ask(expressions);
  for (const [index, each] of expressions.entries()) assert.deepEqual(answers[index], fromNode(each), each);
  assert.deepEqual(await ask([`"I".toLocaleLowerCase("lt")`, `"i".toLocaleUpperCase("lt")`, `"ά".toLocaleUpperCase("el")`]), [
    "MF_NO_INTL",
    "MF_NO_INTL",
    "MF_NO_INTL",
  ]);
});

test("only a flow that compares by locale has the part", () => {
  const made = (handler: string): number => bundle(`import { flow } from "mayfly"; export default flow(${handler});`).length;
  const empty = made("() => 1");
  assert.ok(made("() => [...'ba'].sort()") < empty + 100);
  assert.ok(made("() => 'a'.localeCompare('b')") > empty + 50_000);
  assert.ok(made("() => typeof Intl") < empty + 20_000);
});
