/** `Intl.DateTimeFormat` in a machine's runtime, beside Node's own. Node's versions carry different databases: a zone is compared where they agree. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { bundle, deliverBody, run } from "../testing/fake-machine.ts";
import { makeTable } from "./testing/make-table.ts";
import { zoneNames } from "./zone-table.ts";
import { listedZones, typeAt, type Zone, zoneOf } from "./zones.ts";

const source = new URL("../../../../kernel/runtime/intl/zone-table.ts", import.meta.url);
const names: readonly string[] = [...zoneNames.matchAll(/([^,]+):\d+/g)].map(([, name = ""]) => name);
const dayMs = 86_400_000;
/** The governments of these have changed their rules since Node 20 was made; they are compared up to 2021. */
const changed =
  /^(?:Africa\/(?:Casablanca|El_Aaiun|Cairo|Juba)|Egypt|America\/(?!Argentina|Indiana)|Mexico|Canada|US\/|Asia\/(?:Almaty|Qostanay|Gaza|Hebron|Amman|Damascus|Tehran|Manila)|Iran|Europe\/(?:Chisinau|Tiraspol|Kiev|Kyiv|Uzhgorod|Zaporozhye|Volgograd)|Pacific\/(?:Fiji|Apia)|Antarctica|Cuba|PST8PDT|MST7MDT|CST6CDT|EST5EDT)/;
/** Zones whose past one version of the database has mended, and others have not. */
const mended = /^(?:America\/Bogota|Asia\/(?:Tehran|Manila|Ho_Chi_Minh|Saigon)|Iran|Europe\/(?:Chisinau|Tiraspol))$/;

test("the table is made from the package moment-timezone", () => {
  const made = makeTable();
  if (process.env["UPDATE"] === "1") writeFileSync(source, made);
  assert.equal(readFileSync(source, "utf8"), made);
});

function nodeOffset(format: Intl.DateTimeFormat, timeMs: number): number {
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = /GMT([+-])(\d+):(\d+)(?::(\d+))?$/.exec(format.format(timeMs)) ?? [];
  const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === "-" ? -size : size;
}

/** Differences at both sides of every change that Node knows, and at every step between. */
function differences(zone: Zone, format: Intl.DateTimeFormat, endMs: number): string[] {
  const found: string[] = [];
  function check(timeMs: number, expected: number): void {
    const { offsetMs } = typeAt(zone, timeMs);
    if (offsetMs !== expected) found.push(`${zone.name} ${new Date(timeMs).toISOString()}: ${offsetMs} for ${expected}`);
  }
  const stepMs = 30 * dayMs;
  let before = nodeOffset(format, 0);
  for (let at = 0; at < endMs; at += stepMs) {
    const after = nodeOffset(format, at + stepMs);
    if (after !== before) {
      let [low, high] = [at, at + stepMs];
      while (high - low > 1000) {
        const middle = Math.floor((low + high) / 2000) * 1000;
        if (nodeOffset(format, middle) === before) low = middle;
        else high = middle;
      }
      check(high - 1, before);
      check(high, after);
    }
    check(at + stepMs, after);
    before = after;
  }
  return found;
}

test("every zone has Node's offsets, at both sides of every change from 1970 to 2045", () => {
  const found: string[] = [];
  for (const name of names) {
    if (mended.test(name)) continue;
    let format: Intl.DateTimeFormat;
    try {
      format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset", year: "numeric" });
    } catch {
      console.log(`skipped: this Node has no zone ${name}`);
      continue;
    }
    found.push(...differences(zoneOf(name)!, format, Date.UTC(changed.test(name) ? 2021 : 2045, 0, 1)));
  }
  assert.deepEqual(found.slice(0, 20), []);
});

test("zones are found in any case, by aliases and by offsets; nothing else is one", () => {
  assert.equal(zoneOf("europe/BRUSSELS")?.name, "Europe/Brussels");
  assert.equal(zoneOf("asia/calcutta")?.name, "Asia/Calcutta");
  for (const name of ["UTC", "utc", "GMT", "Etc/UTC", "Etc/GMT", "Zulu"]) assert.equal(zoneOf(name)?.name, "UTC");
  assert.equal(zoneOf("+02")?.name, "+02:00");
  assert.equal(zoneOf("-0930")?.types[0]?.offsetMs, -9.5 * 3_600_000);
  for (const name of [
    "",
    ",",
    "Europe",
    "Europe/Brussels:1",
    "+24:00",
    "+2:00",
    "+02:60",
    "constructor",
    "Europe/Brussels,",
    "Ｅurope/Paris",
  ])
    assert.equal(zoneOf(name), undefined, name);
  assert.ok(listedZones().length > 400);
});

/** The answers of a machine's Intl to these questions. */
async function ask(questions: readonly unknown[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; export default flow((msg) => msg.json().map(({ time, options, method, locale }) => {
    try {
      const date = new Date(time);
      if (method) return date[method](locale, options);
      const format = new Intl.DateTimeFormat(locale, options);
      return [format.format(date), format.formatToParts(date), format.resolvedOptions()];
    } catch (error) { return { name: error.name, code: error.code, message: error.message }; }
  }));`;
  const last = (await run(flow, deliverBody(questions))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

interface Question {
  readonly time: number;
  readonly options: Intl.DateTimeFormatOptions;
  readonly locale: string;
  readonly method?: "toLocaleString" | "toLocaleDateString" | "toLocaleTimeString";
}

function fromNode({ time, options, locale, method }: Question): unknown {
  const date = new Date(time);
  if (method !== undefined) return date[method](locale, options);
  const format = new Intl.DateTimeFormat(locale, options);
  // Node shows the database's older names ("Asia/Calcutta"), a machine the one that was asked for.
  return [
    format.format(date),
    format.formatToParts(date),
    { ...format.resolvedOptions(), timeZone: zoneOf(options.timeZone ?? "UTC")!.name },
  ];
}

const steady = [
  "UTC",
  "Europe/Brussels",
  "America/New_York",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "Asia/Tokyo",
  "America/St_Johns",
  "Pacific/Auckland",
  "Europe/London",
  "America/Los_Angeles",
  "Asia/Kathmandu",
];
const text = fc.constantFrom("narrow", "short", "long");
const number = fc.constantFrom("numeric", "2-digit");
const some = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });
const clock = {
  minute: some(number),
  second: some(number),
  hour: some(number),
  dayPeriod: some(text),
  fractionalSecondDigits: some(fc.constantFrom(1, 2, 3)),
};
const parts = fc.record({
  ...clock,
  weekday: some(text),
  era: some(text),
  year: some(number),
  month: some(fc.constantFrom("numeric", "2-digit", "narrow", "short", "long")),
  day: some(number),
  timeZoneName: some(fc.constantFrom("short", "shortOffset", "longOffset")),
});
const style = some(fc.constantFrom("full", "long", "medium", "short"));
const options = fc
  .tuple(
    fc.oneof(parts, fc.record({ dateStyle: style, timeStyle: some(fc.constantFrom("long", "medium", "short")) })),
    fc.constantFrom(...steady),
    some(fc.constantFrom("h11", "h12", "h23", "h24")),
  )
  .map(([given, timeZone, hourCycle]) => JSON.parse(JSON.stringify({ ...given, timeZone, hourCycle })) as Intl.DateTimeFormatOptions);
const question = fc.record({
  time: fc.integer({ min: 0, max: Date.UTC(2060, 0, 1) }),
  options,
  locale: fc.constantFrom("en-US", "en"),
});

test("dates and times of any options are Node's, or MF_NO_INTL says that there is no pattern", async () => {
  const questions = fc.sample(question, 3000);
  const answers = await ask(questions);
  let compared = 0;
  for (const [index, each] of questions.entries()) {
    const answer = answers[index] as { readonly code?: string };
    if (answer.code === "MF_NO_INTL") continue;
    // "04h UTC" in some versions of ICU, "04 UTC" in others.
    const { hour, minute, timeZoneName, hourCycle } = each.options;
    if (hour !== undefined && minute === undefined && timeZoneName !== undefined && /h2/.test(hourCycle ?? "")) continue;
    compared++;
    assert.deepEqual(answer, JSON.parse(JSON.stringify(fromNode(each))), JSON.stringify(each));
  }
  assert.ok(compared > 500, `${compared} compared`);
});

test("the usual sets of components are all there", async () => {
  const questions: Question[] = [];
  for (const time of [0, Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 9, 25, 0, 59, 59, 7), Date.UTC(2026, 11, 31, 23, 59)])
    for (const timeZone of steady) {
      for (const month of ["numeric", "2-digit", "short", "long"] as const)
        for (const time2 of [
          {},
          { hour: "numeric" },
          { hour: "2-digit", minute: "2-digit" },
          { hour: "numeric", minute: "numeric", second: "numeric", timeZoneName: "short" },
        ] as const)
          for (const weekday of [undefined, "short", "long"] as const)
            questions.push({
              time,
              locale: "en-US",
              options: { timeZone, year: "numeric", month, day: "2-digit", ...(weekday && { weekday }), ...time2 },
            });
      for (const method of ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"] as const)
        questions.push({ time, locale: "en-US", options: { timeZone }, method });
    }
  const answers = await ask(questions);
  for (const [index, each] of questions.entries())
    assert.deepEqual(answers[index], JSON.parse(JSON.stringify(fromNode(each))), JSON.stringify(each));
});

/** Juárez has had two names for one offset; the others are called otherwise by Node's versions. */
const renamed = /Ciudad_Juarez|Antarctica\/Troll|^[ECMP]ST\d[ECMP]DT$/;

test("long names of zones are Node's or MF_NO_INTL", async () => {
  const questions = names.flatMap((timeZone) =>
    [0, 6].map(
      (month): Question => ({
        time: Date.UTC(2019, month, 15),
        locale: "en-US",
        options: { timeZone, month: "numeric", day: "numeric", timeZoneName: "long" },
      }),
    ),
  );
  const short = questions.map((each): Question => ({ ...each, options: { ...each.options, timeZoneName: "short" } }));
  const answers = await ask([...questions, ...short]);
  const wrong: unknown[] = [];
  let named = 0;
  for (const [index, each] of [...questions, ...short].entries()) {
    const answer = answers[index] as readonly string[] & { readonly code?: string };
    if (answer.code === "MF_NO_INTL" || renamed.test(each.options.timeZone!)) continue;
    named++;
    const node = (fromNode(each) as readonly string[])[0];
    if (answer[0] !== node) wrong.push([each.options.timeZone, answer[0], node]);
  }
  assert.deepEqual(wrong, []);
  assert.ok(named > names.length * 2.2, `${named} named`);
});

test("what a machine does not have, and what is no option, is said", async () => {
  const table: readonly (readonly [locale: unknown, options: unknown, name: string, message: RegExp])[] = [
    ["de-DE", {}, "FlowError", /the locale de-DE/],
    ["en-GB", {}, "FlowError", /the locale en-GB/],
    ["en-US", { calendar: "japanese" }, "FlowError", /the calendar japanese/],
    ["en-US-u-nu-arab", {}, "FlowError", /the digits arab/],
    ["en-US", { timeZone: "Asia/Tokyo", timeZoneName: "long" }, "FlowError", /a long name of the time zone Asia\/Tokyo/],
    ["en-US", { era: "short", day: "numeric" }, "FlowError", /a pattern for era, day/],
    ["no_tag", {}, "RangeError", /Incorrect locale/],
    ["en-US", { timeZone: "Europe/Brussel" }, "RangeError", /Invalid time zone specified: Europe\/Brussel/],
    ["en-US", { month: "tiny" }, "RangeError", /Value tiny out of range/],
    ["en-US", { dateStyle: "full", day: "numeric" }, "TypeError", /Can't set option day when dateStyle is used/],
  ];
  const answers = (await ask(table.map(([locale, given]) => ({ time: 0, locale, options: given })))) as {
    name: string;
    code?: string;
    message: string;
  }[];
  for (const [index, [, , name, message]] of table.entries()) {
    assert.equal(answers[index]!.name, name, JSON.stringify(answers[index]));
    assert.match(answers[index]!.message, message);
    if (name === "FlowError") assert.equal(answers[index]!.code, "MF_NO_INTL");
  }
});

test("only a flow that names Intl or a localised method has the part", () => {
  const made = (handler: string): number => bundle(`import { flow } from "mayfly"; export default flow(${handler});`).length;
  const empty = made("() => 1");
  assert.ok(made("() => new Date(0).toISOString()") < empty + 100);
  assert.ok(made("() => typeof Intl.DateTimeFormat") > empty + 60_000);
});
