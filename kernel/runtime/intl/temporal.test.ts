/** `Temporal` in a machine's runtime, beside the same package in Node, and beside our own table of zones. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { Temporal as NodeTemporal } from "temporal-polyfill/full/implementation";
import { bundle, deliver, deliverBody, run } from "../testing/fake-machine.ts";
import { linksVersion, makeLinks } from "./testing/make-links.ts";
import { makeZone } from "./wall-time.ts";
import { changeBeside } from "./zone-changes.ts";
import { zoneNames } from "./zone-table.ts";
import { typeAt, zoneOf } from "./zones.ts";

const source = new URL("../../../../kernel/runtime/intl/zone-links.ts", import.meta.url);
const { tz = "" } = process.versions;
const other = tz === linksVersion ? false : `this Node has time zones of ${tz}, the table is of ${linksVersion}`;

test("the table of links is made from Node's Intl", { skip: other }, () => {
  const made = makeLinks();
  if (process.env["UPDATE"] === "1") writeFileSync(source, made!);
  assert.ok(readFileSync(source, "utf8") === made, "UPDATE=1 makes it anew");
});

/** One call: a class, a text it reads, a method, its arguments; a text in an argument's `$` is read by the same class first. */
interface Question {
  readonly class: string;
  readonly text: unknown;
  readonly method: string;
  readonly values: readonly unknown[];
}

/** The text of a result, or the name of the error. Runs in a machine and in Node. */
const answerSource = `(Temporal, { class: name, text, method, values }) => {
  const shown = (value) => value === null || typeof value !== "object" ? String(value) : typeof value.toJSON === "function" ? value.toJSON() : JSON.stringify(value);
  try {
    const Class = Temporal[name];
    const given = values.map((value) => value !== null && typeof value === "object" && "$" in value ? Temporal[value.class ?? name].from(value.$) : value);
    const first = Class.from(text);
    return shown(method === "get" ? first[given[0]] : first[method](...given));
  } catch (error) { return error.code ?? error.name; }
}`;
const answer = new Function(`return ${answerSource}`)() as (temporal: unknown, question: Question) => string;

async function ask(questions: readonly Question[]): Promise<string[]> {
  const flow = `import { flow } from "mayfly"; const answer = ${answerSource}; export default flow((msg) => msg.json().map((each) => answer(Temporal, each)));`;
  const last = (await run(flow, deliverBody(questions))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as string[];
}

async function compare(questions: readonly Question[]): Promise<readonly string[]> {
  const answers = await ask(questions);
  for (const [index, each] of questions.entries()) assert.equal(answers[index], answer(NodeTemporal, each), JSON.stringify(each));
  return answers;
}

const two = (value: number): string => String(value).padStart(2, "0");
/** No duration below leads back behind 1970, where the table of zones begins. */
const dateText = fc
  .tuple(fc.integer({ min: 2020, max: 2060 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 29 }))
  .map(([year, month, day]) => `${year}-${two(month)}-${two(day)}`);
const timeText = fc
  .tuple(
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 999_999_999 }),
  )
  .map(([hour, minute, second, rest]) => `${two(hour)}:${two(minute)}:${two(second)}.${String(rest).padStart(9, "0")}`);
const calendar = fc.constantFrom(
  "",
  "",
  "",
  "[u-ca=gregory]",
  "[u-ca=japanese]",
  "[u-ca=buddhist]",
  "[u-ca=hebrew]",
  "[u-ca=coptic]",
  "[u-ca=islamic-civil]",
);
/** Zones whose rules are the same in the databases of all Node versions. */
const zone = fc.constantFrom(
  "Europe/Brussels",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "America/St_Johns",
  "UTC",
  "+05:45",
);
const unit = fc.constantFrom(
  "year",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
  "nanosecond",
  "years",
  "hours",
  "fortnight",
);
const mode = fc.constantFrom("ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven");
const amount = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most });
const duration = fc.record(
  {
    years: amount(40),
    months: amount(40),
    weeks: amount(9),
    days: amount(400),
    hours: amount(90),
    minutes: amount(900),
    nanoseconds: amount(2e9),
  },
  { requiredKeys: [] },
);
const plainDateTime = fc.tuple(dateText, timeText, calendar).map(([date, time, ca]) => `${date}T${time}${ca}`);
const zoned = fc.tuple(dateText, timeText, zone, calendar).map(([date, time, name, ca]) => `${date}T${time}[${name}]${ca}`);
const instant = fc.tuple(dateText, timeText).map(([date, time]) => `${date}T${time}Z`);
const texts: readonly (readonly [string, fc.Arbitrary<unknown>])[] = [
  ["PlainDate", fc.tuple(dateText, calendar).map((each) => each.join(""))],
  ["PlainTime", timeText],
  ["PlainDateTime", plainDateTime],
  ["PlainYearMonth", dateText.map((each) => each.slice(0, 7))],
  ["PlainMonthDay", dateText.map((each) => each.slice(5))],
  ["ZonedDateTime", zoned],
  ["Instant", instant],
  ["Duration", duration],
];
const options = fc.record(
  {
    largestUnit: unit,
    smallestUnit: unit,
    roundingMode: mode,
    roundingIncrement: fc.constantFrom(1, 2, 5, 15, 30),
    overflow: fc.constantFrom("constrain", "reject"),
  },
  { requiredKeys: [] },
);
const display = fc.record(
  {
    fractionalSecondDigits: fc.constantFrom("auto", 0, 3, 9),
    smallestUnit: unit,
    roundingMode: mode,
    calendarName: fc.constantFrom("auto", "always", "never", "critical"),
    timeZoneName: fc.constantFrom("auto", "never"),
    offset: fc.constantFrom("auto", "never"),
  },
  { requiredKeys: [] },
);
const field = fc.constantFrom(
  "year",
  "era",
  "eraYear",
  "month",
  "monthCode",
  "day",
  "dayOfWeek",
  "dayOfYear",
  "weekOfYear",
  "daysInMonth",
  "inLeapYear",
  "hoursInDay",
  "offset",
  "epochMilliseconds",
  "nanosecond",
  "sign",
  "blank",
);
const question: fc.Arbitrary<Question> = fc.constantFrom(...texts).chain(([name, text]) => {
  const call = (method: string, values: fc.Arbitrary<readonly unknown[]>): fc.Arbitrary<Question> =>
    fc.record({ class: fc.constant(name), text, method: fc.constant(method), values });
  const like = text.map(($) => ({ $ }));
  return fc.oneof(
    call("add", fc.tuple(duration, options)),
    call("subtract", fc.tuple(duration, options)),
    call("until", fc.tuple(like, options)),
    call("since", fc.tuple(like, options)),
    call("round", fc.tuple(options)),
    call(
      "with",
      fc.tuple(fc.record({ month: amount(14), day: amount(32), hour: amount(25), hours: amount(99) }, { requiredKeys: [] }), options),
    ),
    call("toString", fc.tuple(display)),
    call("equals", fc.tuple(like)),
    call("get", fc.tuple(field)),
    call("toZonedDateTime", fc.tuple(zone)),
    call("withTimeZone", fc.tuple(zone)),
    call("withCalendar", fc.constant(["persian"])),
    call("startOfDay", fc.constant([])),
    call("total", fc.tuple(fc.record({ unit, relativeTo: fc.option(zoned, { nil: undefined }) }))),
    call("toZonedDateTimeISO", fc.tuple(zone)),
    call("getTimeZoneTransition", fc.tuple(fc.constantFrom("next", "previous", "both"))),
    call("toPlainDate", fc.constant([{ year: 2024, day: 29 }])),
  );
});

test("results of any calls are those of the package in Node", async () => {
  const questions = fc.sample(question, 6000);
  const answers = await compare(questions);
  const good = answers.filter((each) => !/Error$/.test(each)).length;
  assert.ok(good > 2000, `${good} without an error`);
});

/** One name of each zone: those that share a row of the table are read alike. */
const names = [...new Map([...zoneNames.matchAll(/([^,]+):(\d+)/g)].map(([, name = "", row = ""]) => [row, name])).values()];
const dayMs = 86_400_000;

/** Changes of the zone's offset from 1970 to 2045, found in steps of a day: no two of any zone are so close. */
function changesOf(name: string): number[] {
  const zone = zoneOf(name)!;
  const found: number[] = [];
  for (let [at, before] = [0, typeAt(zone, 0).offsetMs]; at < Date.UTC(2045, 0, 1); at += dayMs) {
    const after = typeAt(zone, at + dayMs).offsetMs;
    if (after === before) continue;
    let [low, high] = [at, at + dayMs];
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (typeAt(zone, middle).offsetMs === before) low = middle;
      else high = middle;
    }
    found.push(high);
    before = after;
  }
  return found;
}

test("every zone changes its clocks when the table does, with the times that never come and those that come twice", async () => {
  const perZone = new Map(names.map((name) => [name, changesOf(name)]));
  const flow = `import { flow } from "mayfly";
    const local = (at, offset) => new Date(at + offset).toISOString().slice(0, -1);
    export default flow((msg) => Object.entries(msg.json()).flatMap(([name, changes]) => {
      const found = [];
      const list = [];
      for (let at = Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name); ; ) {
        at = at.getTimeZoneTransition("next");
        if (at === null || at.epochMilliseconds >= Date.UTC(2045, 0, 1)) break;
        list.push(at.epochMilliseconds);
      }
      if (JSON.stringify(list) !== JSON.stringify(changes.map(({ at }) => at))) found.push([name, "next", list]);
      for (const { at, before, after, walls } of changes) {
        const [last, first] = [at - 1, at].map((each) => Temporal.Instant.fromEpochMilliseconds(each).toZonedDateTimeISO(name));
        if (last.offsetNanoseconds !== before * 1e6 || first.offsetNanoseconds !== after * 1e6) found.push([name, at, last.offset, first.offset]);
        const back = first.add({ nanoseconds: 1 }).getTimeZoneTransition({ direction: "previous" });
        if (back?.epochMilliseconds !== at) found.push([name, at, "previous", String(back)]);
        for (const { wall, compatible, earlier, later } of walls)
          for (const [disambiguation, expected] of Object.entries({ compatible, earlier, later })) {
            const given = Temporal.PlainDateTime.from(wall).toZonedDateTime(name, { disambiguation }).epochMilliseconds;
            if (given !== expected) found.push([name, wall, disambiguation, given, expected]);
          }
      }
      return found;
    }));`;
  const unknown = (): never => assert.fail("no such zone");
  const given = Object.fromEntries(
    [...perZone].map(([name, changes]) => {
      const local = makeZone(name, unknown as never);
      const rows = changes.map((at, index) => {
        const [before, after] = [typeAt(zoneOf(name)!, at - 1).offsetMs, typeAt(zoneOf(name)!, at).offsetMs];
        // All would take a minute: the latest, and each seventh.
        const some = index % 7 === 0 || index > changes.length - 3;
        const walls = [0, -1000, (after - before) / 2, after - before].slice(0, some ? 4 : 0).map((each) => {
          const wall = new Date(at + before + each).toISOString().slice(0, -1);
          const [compatible, earlier, later] = (["compatible", "earlier", "later"] as const).map((policy) =>
            local.toUtc(wall, policy).getTime(),
          );
          return { wall, compatible, earlier, later };
        });
        return { at, before, after, walls };
      });
      return [name, rows];
    }),
  );
  const last = (await run(flow, deliverBody(given))).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last).slice(0, 500));
  assert.deepEqual((JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[]).slice(0, 10), []);
  const compared = [...perZone.values()].flat().length;
  assert.ok(compared > 15_000, `${compared} changes`);
});

test("changes are found at both ends of time, and none before the first or behind the last", () => {
  const brussels = zoneOf("Europe/Brussels")!;
  const tokyo = zoneOf("Asia/Tokyo")!;
  assert.equal(changeBeside(tokyo, 0, true), undefined);
  assert.equal(changeBeside(tokyo, 0, false), undefined);
  assert.equal(changeBeside(brussels, -1e15, false), undefined);
  assert.equal(changeBeside(brussels, 8.64e15, true), undefined);
  assert.equal(changeBeside(brussels, Date.UTC(3000, 0, 1), true), Date.UTC(3000, 2, 30, 1));
  assert.equal(changeBeside(brussels, Date.UTC(2026, 2, 29, 1), true), Date.UTC(2026, 9, 25, 1));
  assert.equal(changeBeside(brussels, Date.UTC(2026, 2, 29, 1), false), Date.UTC(2025, 9, 26, 1));
});

/** Values of a machine's expressions, or the code or name of their errors. */
async function values(expressions: readonly string[]): Promise<unknown[]> {
  const flow = `import { flow } from "mayfly"; const early = Temporal.Now.instant().epochMilliseconds;
    export default flow(() => [${expressions.map((each) => `() => (${each})`).join(",")}].map((each) => { try { return each() ?? null; } catch (error) { return error.code ?? error.name; } }));`;
  const last = (await run(flow, deliver)).effects.at(-1);
  assert.ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(new TextDecoder().decode(last.reply?.body)) as unknown[];
}

test("now is the event's time, in UTC; at the top level it is what Date has there", async () => {
  assert.deepEqual(
    await values([
      "early",
      "Temporal.Now.instant().epochMilliseconds === Date.now()",
      "Temporal.Now.timeZoneId()",
      "Temporal.Now.plainDateISO()",
      "Temporal.Now.zonedDateTimeISO('Asia/Tokyo')",
      "new Date(0).toTemporalInstant()",
    ]),
    [0, true, "UTC", "2023-11-14", "2023-11-15T07:13:20+09:00[Asia/Tokyo]", "1970-01-01T00:00:00Z"],
  );
});

test("Temporal's objects are written in the locales that Intl has, and Intl.DateTimeFormat takes them", async () => {
  const date = `Temporal.PlainDate.from("2026-02-03")`;
  assert.deepEqual(
    await values([
      `${date}.toLocaleString("en")`,
      `${date}.toLocaleString("en-US", { dateStyle: "full" })`,
      `${date}.toLocaleString("ka")`,
      `Temporal.PlainTime.from("13:04:05").toLocaleString("en", { timeStyle: "short" })`,
      `Temporal.ZonedDateTime.from("2026-02-03T13:04[America/New_York]").toLocaleString("en-US")`,
      `Temporal.Instant.from("2026-02-03T13:04Z").toLocaleString("en-US", { timeZone: "Europe/Brussels" })`,
      `new Intl.DateTimeFormat("en", { dateStyle: "long" }).format(${date})`,
      `new Intl.DateTimeFormat("en", { dateStyle: "long" }).format(new Date(0))`,
      `new Intl.DateTimeFormat("en", { timeStyle: "long" }).format(${date})`,
      `new Intl.DateTimeFormat("en-u-hc-h23", { calendar: "iso8601", timeZone: "Asia/Tokyo" }).format(0)`,
      `Temporal.PlainYearMonth.from("2026-02").toLocaleString("en")`,
      `Temporal.PlainYearMonth.from("2026-02-01[u-ca=gregory]").toLocaleString("en", { calendar: "gregory" })`,
      `Temporal.Duration.from("PT90M").toLocaleString("en")`,
      `Intl.DateTimeFormat.supportedLocalesOf("en")`,
      `Intl.DateTimeFormat().resolvedOptions().timeZone`,
      `new Date(0).toLocaleDateString("en")`,
    ]),
    [
      "2/3/2026",
      "Tuesday, February 3, 2026",
      "MF_NO_INTL",
      "1:04 PM",
      "2/3/2026, 1:04:00 PM EST",
      "2/3/2026, 2:04:00 PM",
      "February 3, 2026",
      "January 1, 1970",
      "TypeError",
      "MF_NO_INTL",
      "RangeError",
      "2/2026",
      "MF_NO_INTL",
      ["en"],
      "UTC",
      "1/1/1970",
    ],
  );
});

test("calendars that are computed are there, those that are observed are MF_NO_INTL; names of one zone are one zone", async () => {
  const in_ = (calendar: string): string => `Temporal.PlainDate.from("2026-02-03").withCalendar("${calendar}").monthCode`;
  assert.deepEqual(
    await values([
      ...["japanese", "roc", "hebrew", "indian", "persian", "ethiopic", "islamic-tbla"].map(in_),
      ...["chinese", "dangi", "mayan"].map(in_),
      `Temporal.ZonedDateTime.from("2026-02-03T00:00[Asia/Kolkata]").equals("2026-02-03T00:00[Asia/Calcutta]")`,
      `Temporal.ZonedDateTime.from("2026-02-03T00:00[Asia/Kolkata]").timeZoneId`,
      `Temporal.ZonedDateTime.from("2026-02-03T00:00[europe/brussels]").timeZoneId`,
      `Temporal.ZonedDateTime.from("2026-02-03T00:00[Europe/Paris]").equals("2026-02-03T00:00[Europe/Brussels]")`,
      `Temporal.ZonedDateTime.from("2026-02-03T00:00[Europe/Brussel]")`,
      `Temporal.ZonedDateTime.from("+275760-09-13T00:00[UTC]").withTimeZone("Asia/Tokyo").year`,
      `Temporal.ZonedDateTime.from("-271821-04-20T00:00[UTC]").withTimeZone("America/New_York").day`,
    ]),
    [
      "M02",
      "M02",
      "M05",
      "M11",
      "M11",
      "M05",
      "M08",
      "MF_NO_INTL",
      "MF_NO_INTL",
      "RangeError",
      true,
      "Asia/Kolkata",
      "Europe/Brussels",
      false,
      "RangeError",
      275760,
      19,
    ],
  );
});

test("only a flow that names Temporal has it", () => {
  const made = (handler: string): string => bundle(`import { flow } from "mayfly"; export default flow(${handler});`);
  assert.ok(made("() => typeof Temporal").length > 150_000);
  assert.ok(!made("() => new Date(0).toLocaleDateString('en')").includes("PlainYearMonth"));
});
