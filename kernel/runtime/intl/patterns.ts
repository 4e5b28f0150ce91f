/**
 * Patterns of dates and times in the tables of locales: text with fields `{letter…}`.
 * - `{y}` `{M}` `{d}` `{h}` `{m}` `{s}`: numbers as they were asked for, or `{y12}`: with "numeric" as the first digit says, with "2-digit" as
 *   the second does (1 without zeros and with a whole year, 2 with two digits);
 * - `{N0}`: the name of the month in the list l0; `{w012}`, `{G012}`: of the weekday and the era, in the lists for narrow, short and long;
 * - `{a0}`: the half of the day, in a list for its 24 hours; `{f}` a fraction of a second, `{z}` the zone.
 */
import { table } from "../table.ts";
import type { Rows } from "./locale-tables.ts";
import type { Component, HourCycle } from "./options.ts";

export interface DatePart {
  readonly type: string;
  readonly value: string;
}
/** A time to write. */
export interface Moment {
  /** Its UTC fields are the zone's clock. */
  readonly clock: Date;
  readonly components: Readonly<Partial<Record<Component, string>>>;
  readonly hourCycle: HourCycle | undefined;
  readonly zoneName: () => string;
}

const field = /\{([a-zA-Z])([^}]*)\}/g;
const widths = ["narrow", "short", "long"];

function number(value: number, asked: string | undefined, detail: string): string {
  const isTwo = (detail === "" ? "12" : detail)[asked === "2-digit" ? 1 : 0] === "2";
  return isTwo ? String(value % 100).padStart(2, "0") : String(value);
}

/** The number of an hour on a clock. */
export function shownHour(hour: number, cycle: HourCycle): number {
  return cycle === "h23" ? hour : cycle === "h24" ? hour || 24 : cycle === "h11" ? hour % 12 : hour % 12 || 12;
}

function part(letter: string, detail: string, { clock, components, hourCycle, zoneName }: Moment, rows: Rows): DatePart {
  const named = (list: string, index: number): string => rows.get(`l${list}`)!.split("|")[index]!;
  const ofWidth = (width: string | undefined): string => detail[detail.length === 1 ? 0 : widths.indexOf(width!)]!;
  const full = clock.getUTCFullYear();
  const { year, month, day, hour, minute, second } = components;
  switch (letter) {
    case "y":
      return { type: "year", value: number(full > 0 ? full : 1 - full, year, detail) };
    case "M":
      return { type: "month", value: number(clock.getUTCMonth() + 1, month, detail) };
    case "N":
      return { type: "month", value: named(detail, clock.getUTCMonth()) };
    case "d":
      return { type: "day", value: number(clock.getUTCDate(), day, detail) };
    case "w":
      return { type: "weekday", value: named(ofWidth(components.weekday), clock.getUTCDay()) };
    case "G":
      return { type: "era", value: named(ofWidth(components.era), full > 0 ? 1 : 0) };
    case "h":
      return { type: "hour", value: number(shownHour(clock.getUTCHours(), hourCycle!), hour, detail) };
    case "m":
      return { type: "minute", value: number(clock.getUTCMinutes(), minute, detail) };
    case "s":
      return { type: "second", value: number(clock.getUTCSeconds(), second, detail) };
    case "a":
      return { type: "dayPeriod", value: named(detail, clock.getUTCHours()) };
    case "f": {
      const digits = Number(components.fractionalSecondDigits);
      return { type: "fractionalSecond", value: String(clock.getUTCMilliseconds()).padStart(3, "0").slice(0, digits) };
    }
    default:
      return { type: "timeZoneName", value: zoneName() };
  }
}

/** The parts of a time in a pattern. Texts that meet are one part. */
export function patternParts(pattern: string, moment: Moment, rows: Rows): DatePart[] {
  const parts: DatePart[] = [];
  let at = 0;
  for (const found of pattern.matchAll(field)) {
    if (found.index > at) parts.push({ type: "literal", value: pattern.slice(at, found.index) });
    parts.push(part(found[1]!, found[2]!, moment, rows));
    at = found.index + found[0].length;
  }
  if (at < pattern.length) parts.push({ type: "literal", value: pattern.slice(at) });
  return parts;
}

const months = table({ numeric: "M", "2-digit": "M", short: "S", long: "L", narrow: "N" });

/** The key of the pattern of a date with these components; "" without any. */
export function dateShape({ weekday, era, year, month, day }: Moment["components"]): string {
  return `${weekday === undefined ? "" : "w"}${era === undefined ? "" : "G"}${year === undefined ? "" : "y"}${month === undefined ? "" : months[month]!}${day === undefined ? "" : "d"}`;
}

/** The key of the pattern of a time; "" without any of its components. */
export function timeShape(
  { hour, minute, second, fractionalSecondDigits, timeZoneName }: Moment["components"],
  cycle: HourCycle | undefined,
): string {
  const clock = hour === undefined ? "" : cycle === "h11" || cycle === "h12" ? "12h" : "24h";
  return `${clock}${minute === undefined ? "" : "m"}${second === undefined ? "" : "s"}${fractionalSecondDigits === undefined ? "" : "f"}${timeZoneName === undefined ? "" : "z"}`;
}

const numbers: readonly Component[] = ["year", "month", "day", "hour", "minute", "second"];

const digitStyles = table({ numeric: "1", "2-digit": "2" });
const zoneStyles = table({ short: "s", long: "l", shortOffset: "S", longOffset: "L" });

/** The key of the styles of a date's or time's components, for patterns that hold for these alone: "s12" for a short weekday, a month and a 2-digit day. */
export function stylesKey(components: Moment["components"]): string {
  const { weekday = "", era = "", timeZoneName = "" } = components;
  const digits = numbers.map((name) => digitStyles[components[name] ?? ""] ?? "");
  return `${weekday.slice(0, 1)}${era.slice(0, 1)}${digits.join("")}${zoneStyles[timeZoneName] ?? ""}`;
}

const dateComponents: readonly Component[] = ["weekday", "era", "year", "month", "day"];

/** The pattern under a key: that of the styles, or that of all. Undefined without one. */
export function patternIn(rows: Rows, key: string, components: Moment["components"]): string | undefined {
  const isDate = key.startsWith("d");
  const own = Object.fromEntries(Object.entries(components).filter(([name]) => dateComponents.includes(name as Component) === isDate));
  const found = rows.get(`${key}/${stylesKey(own)}`) ?? rows.get(key);
  return found === "?" ? undefined : found;
}
