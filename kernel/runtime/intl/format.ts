/** Dates and times as en-US writes them (CLDR): the parts of one text. */
import { patternOf, wordParts } from "./date-words.ts";
import { missing } from "./faults.ts";
import { dayPeriod, months, shortened, weekdays, zoneName } from "./names.ts";
import type { Component, HourCycle, Settings } from "./options.ts";
import { typeAt } from "./zones.ts";

export interface Part {
  readonly type: string;
  readonly value: string;
}
type Components = Settings["components"];

/** Farther from 1970 there is no time (ECMA-262, TimeClip). */
const mostMs = 8.64e15;
/** Before AM and PM. */
export const narrowSpace = "\u202f";

const two = (value: number): string => String(value).padStart(2, "0");

/** Parts with texts between them; texts that meet become one part. */
class Text {
  readonly parts: Part[] = [];

  literal(value: string): void {
    const last = this.parts.at(-1);
    if (last?.type === "literal") this.parts[this.parts.length - 1] = { type: "literal", value: last.value + value };
    else if (value !== "") this.parts.push({ type: "literal", value });
  }

  add(type: string, value: string): void {
    this.parts.push({ type, value });
  }

  /** A further part, after a separator unless it is the first. */
  next(separator: string, type: string, value: string): void {
    if (this.parts.length > 0) this.literal(separator);
    this.add(type, value);
  }
}

const letters: Readonly<Partial<Record<Component, string>>> = { weekday: "w", era: "G", year: "y", month: "M", day: "d" };
/** The dates that have a pattern: letters in the order of the components. */
const dates = /^(?:w?G?y?Md|G?yM?|[wMd]|wd|)$/;
const clocks = /^(?:h(?:m(?:sf?)?)?|ms?|msf|s|)$/;

function shapeOf(components: Components): string {
  return Object.entries(letters)
    .filter(([name]) => components[name as Component] !== undefined)
    .map(([, letter]) => letter)
    .join("");
}

function timeShape({ hour, minute, second, fractionalSecondDigits }: Components): string {
  return `${hour === undefined ? "" : "h"}${minute === undefined ? "" : "m"}${second === undefined ? "" : "s"}${fractionalSecondDigits === undefined ? "" : "f"}`;
}

/** Throws MF_NO_INTL for a set of components that the locale has no pattern for. */
export function checkComponents(settings: Settings): void {
  const { components, hourCycle, table } = settings;
  if (table !== undefined) {
    patternOf(settings);
    return;
  }
  const date = shapeOf(components);
  const time = timeShape(components);
  const period = components.dayPeriod !== undefined && hourCycle !== "h23" && hourCycle !== "h24";
  const lonely =
    date === "w" && (components.timeZoneName !== undefined || components.dayPeriod !== undefined || (time !== "" && time[0] !== "h"));
  const good =
    dates.test(date) &&
    clocks.test(time) &&
    !lonely &&
    (!period || time[0] === "h" || (time === "" && components.timeZoneName === undefined));
  if (good) return;
  const asked = Object.keys(components).join(", ");
  throw missing(
    `a pattern for ${asked}`,
    "ask for a usual set, such as year, month and day, hour and minute, or put the text together yourself",
  );
}

function monthText(month: number, style: string): string {
  if (style === "numeric") return String(month + 1);
  return style === "2-digit" ? two(month + 1) : shortened(months[month]!, style);
}

function addDate(text: Text, clock: Date, { weekday, era, year, month, day }: Components): void {
  const full = clock.getUTCFullYear();
  const dayText = day === "2-digit" ? two(clock.getUTCDate()) : String(clock.getUTCDate());
  const dayName = weekday === undefined ? "" : shortened(weekdays[clock.getUTCDay()]!, weekday);
  const shownYear = full > 0 ? full : 1 - full;
  const yearText = year === "2-digit" ? two(shownYear % 100) : String(shownYear);
  if (weekday !== undefined && day !== undefined && month === undefined) {
    text.add("day", dayText);
    text.next(" ", "weekday", dayName);
    return;
  }
  if (weekday !== undefined) text.add("weekday", dayName);
  const isNumeric = month === "numeric" || month === "2-digit";
  if (month !== undefined) text.next(", ", "month", monthText(clock.getUTCMonth(), month));
  if (day !== undefined) text.next(isNumeric ? "/" : " ", "day", dayText);
  if (year !== undefined) text.next(isNumeric ? "/" : day === undefined ? " " : ", ", "year", yearText);
  if (era !== undefined) text.next(" ", "era", eraText(full > 0, era));
}

function eraText(isAfter: boolean, style: string): string {
  if (style === "long") return isAfter ? "Anno Domini" : "Before Christ";
  if (style === "narrow") return isAfter ? "A" : "B";
  return isAfter ? "AD" : "BC";
}

function hourText(hour: number, style: string, cycle: HourCycle): string {
  const shown = cycle === "h23" ? hour : cycle === "h24" ? hour || 24 : cycle === "h11" ? hour % 12 : hour % 12 || 12;
  return style === "2-digit" ? two(shown) : String(shown);
}

function addTime(text: Text, clock: Date, { components, hourCycle }: Settings): void {
  const { hour, minute, second, fractionalSecondDigits, dayPeriod: period } = components;
  const style = (value: number, asked: string): string => (asked === "2-digit" ? two(value) : String(value));
  if (hour !== undefined) text.add("hour", hourText(clock.getUTCHours(), hour, hourCycle!));
  const colon = hour === undefined ? "" : ":";
  if (minute !== undefined) {
    text.literal(colon);
    text.add("minute", style(clock.getUTCMinutes(), minute));
  }
  if (second !== undefined) {
    if (minute !== undefined) text.literal(":");
    text.add("second", style(clock.getUTCSeconds(), second));
  }
  if (fractionalSecondDigits !== undefined) {
    if (second !== undefined) text.literal(".");
    text.add("fractionalSecond", String(clock.getUTCMilliseconds()).padStart(3, "0").slice(0, Number(fractionalSecondDigits)));
  }
  if (hourCycle === "h23" || hourCycle === "h24") return;
  if (period !== undefined) {
    const isSharp = (minute === undefined || clock.getUTCMinutes() === 0) && (second === undefined || clock.getUTCSeconds() === 0);
    // Before a zone's name the pattern is that of AM and PM.
    if (hour !== undefined) text.literal(components.timeZoneName === undefined ? " " : narrowSpace);
    text.add("dayPeriod", dayPeriod(clock.getUTCHours(), isSharp, period));
  } else if (hour !== undefined) {
    text.literal(narrowSpace);
    text.add("dayPeriod", clock.getUTCHours() < 12 ? "AM" : "PM");
  }
}

/** Between the date and the time. */
function glue({ components, hourCycle }: Settings): string {
  if (components.month === "long") return " at ";
  const isClock = components.minute !== undefined || hourCycle === "h12" || hourCycle === "h11";
  return shapeOf(components) === "w" && isClock ? " " : ", ";
}

/** The parts of a time's text. Throws RangeError for an invalid date. */
export function partsOf(settings: Settings, date: unknown): Part[] {
  const timeMs = date === undefined ? Date.now() : Math.trunc(Number(date));
  if (!(Math.abs(timeMs) <= mostMs)) throw new RangeError("Invalid time value");
  const { components, zone } = settings;
  const type = typeAt(zone, timeMs);
  const clock = new Date(timeMs + type.offsetMs);
  if (Number.isNaN(clock.getTime())) throw new RangeError("Invalid time value");
  if (settings.table !== undefined) return wordParts(settings, clock, type);
  const text = new Text();
  addDate(text, clock, components);
  const time = new Text();
  addTime(time, clock, settings);
  if (components.timeZoneName !== undefined) time.next(" ", "timeZoneName", zoneName(zone, type, components.timeZoneName));
  if (text.parts.length > 0 && time.parts.length > 0) text.literal(glue(settings));
  for (const { type: kind, value } of time.parts) {
    if (kind === "literal") text.literal(value);
    else text.add(kind, value);
  }
  return text.parts;
}
