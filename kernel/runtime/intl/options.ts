/** The options of Intl.DateTimeFormat (ECMA-402), read and checked. */
import { missing } from "./faults.ts";
import type { LocaleTable } from "./locale-tables.ts";
import { type Locale, localeOf } from "./locales.ts";
import { type Zone, zoneOf } from "./zones.ts";

export type Component =
  | "weekday"
  | "era"
  | "year"
  | "month"
  | "day"
  | "dayPeriod"
  | "hour"
  | "minute"
  | "second"
  | "fractionalSecondDigits"
  | "timeZoneName";
export type HourCycle = "h11" | "h12" | "h23" | "h24";

export interface Settings {
  readonly locale: string;
  readonly zone: Zone;
  readonly components: Readonly<Partial<Record<Component, string>>>;
  /** Undefined without an hour. */
  readonly hourCycle: HourCycle | undefined;
  readonly dateStyle: string | undefined;
  readonly timeStyle: string | undefined;
  /** Undefined in en. */
  readonly table: LocaleTable | undefined;
}
/** Which components a format must have, and which it gets if it has none of them. */
export interface Needs {
  readonly required: "any" | "date" | "time";
  readonly defaults: "all" | "date" | "time";
}
type Given = Readonly<Record<string, unknown>>;

const texts = ["narrow", "short", "long"];
const numbers = ["2-digit", "numeric"];
const zoneNames = ["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"];
const values: Readonly<Record<Component, readonly string[]>> = {
  weekday: texts,
  era: texts,
  year: numbers,
  month: [...numbers, ...texts],
  day: numbers,
  dayPeriod: texts,
  hour: numbers,
  minute: numbers,
  second: numbers,
  fractionalSecondDigits: ["1", "2", "3"],
  timeZoneName: zoneNames,
};
const styles = ["full", "long", "medium", "short"];
const dateComponents: readonly Component[] = ["weekday", "year", "month", "day"];
const timeComponents: readonly Component[] = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];

/** One option as text; undefined if it is not given. Throws RangeError for a value it can't have. */
function option(given: Given, name: string, allowed?: readonly string[]): string | undefined {
  const value = given[name];
  if (value === undefined) return undefined;
  const text = name === "fractionalSecondDigits" ? String(Math.floor(Number(value))) : String(value);
  if (allowed !== undefined && !allowed.includes(text))
    throw new RangeError(`Value ${text.slice(0, 60)} out of range for Intl.DateTimeFormat options property ${name}`);
  return text;
}

function readZone(given: Given): Zone {
  const name = given["timeZone"] === undefined ? "UTC" : String(given["timeZone"]);
  const zone = zoneOf(name);
  if (zone === undefined) throw new RangeError(`Invalid time zone specified: ${name.slice(0, 60)}`);
  return zone;
}

function checkOnly(given: Given, { keys }: Locale): void {
  const calendar = option(given, "calendar") ?? keys.get("ca") ?? "gregory";
  if (calendar !== "gregory") throw missing(`the calendar ${calendar.slice(0, 60)}`, 'leave the option calendar out, or give "gregory"');
  const system = option(given, "numberingSystem") ?? keys.get("nu") ?? "latn";
  if (system !== "latn") throw missing(`the digits ${system.slice(0, 60)}`, 'leave the option numberingSystem out, or give "latn"');
  option(given, "localeMatcher", ["lookup", "best fit"]);
  option(given, "formatMatcher", ["basic", "best fit"]);
}

const cycles: readonly string[] = ["h11", "h12", "h23", "h24"];

function readCycle(given: Given, { keys, table }: Locale): HourCycle {
  const cycle = option(given, "hourCycle", cycles);
  if (given["hour12"] !== undefined) return given["hour12"] ? ((table?.rows.get("cycle12") ?? "h12") as HourCycle) : "h23";
  const key = keys.get("hc");
  return (cycle ?? (key !== undefined && cycles.includes(key) ? key : (table?.rows.get("cycle") ?? "h12"))) as HourCycle;
}

function addDefaults(components: Partial<Record<Component, string>>, { required, defaults }: Needs): void {
  const asked: Component[] = [];
  if (required !== "time") asked.push(...dateComponents);
  if (required !== "date") asked.push(...timeComponents);
  if (asked.some((name) => components[name] !== undefined)) return;
  if (defaults !== "time") Object.assign(components, { year: "numeric", month: "numeric", day: "numeric" });
  if (defaults !== "date") Object.assign(components, { hour: "numeric", minute: "numeric", second: "numeric" });
}

function styled(dateStyle: string | undefined, timeStyle: string | undefined): Partial<Record<Component, string>> {
  const found: Partial<Record<Component, string>> = {};
  if (dateStyle === "full") found.weekday = "long";
  if (dateStyle === "short") Object.assign(found, { year: "2-digit", month: "numeric", day: "numeric" });
  else if (dateStyle !== undefined)
    Object.assign(found, { year: "numeric", month: dateStyle === "medium" ? "short" : "long", day: "numeric" });
  if (timeStyle !== undefined) Object.assign(found, { hour: "numeric", minute: "2-digit" });
  if (timeStyle !== undefined && timeStyle !== "short") found.second = "2-digit";
  if (timeStyle === "full") found.timeZoneName = "long";
  if (timeStyle === "long") found.timeZoneName = "short";
  return found;
}

/** Two digits where the pattern has them whatever was asked. */
function settle(components: Partial<Record<Component, string>>, cycle: HourCycle): void {
  const { hour, minute, second, fractionalSecondDigits } = components;
  if (fractionalSecondDigits !== undefined && minute !== undefined) components.second = "2-digit";
  if (minute !== undefined) {
    components.minute = hour !== undefined || components.second !== undefined ? "2-digit" : "numeric";
    if (components.second !== undefined) components.second = "2-digit";
  } else if (second !== undefined) components.second = "numeric";
  if (hour === undefined || cycle === "h11" || cycle === "h12") return;
  components.hour = "2-digit";
  delete components.dayPeriod;
}

/** Throws RangeError and TypeError as the standard says, and MF_NO_INTL for what a machine does not have. */
export function readSettings(locales: unknown, options: unknown, needs: Needs): Settings {
  const locale = localeOf(locales);
  if (options === null) throw new TypeError("Cannot convert undefined or null to object");
  const given = Object(options ?? {}) as Given;
  checkOnly(given, locale);
  const cycle = readCycle(given, locale);
  const zone = readZone(given);
  let components: Partial<Record<Component, string>> = {};
  for (const name of Object.keys(values) as Component[]) {
    const value = option(given, name, values[name]);
    if (value !== undefined) components[name] = value;
  }
  const dateStyle = option(given, "dateStyle", styles);
  const timeStyle = option(given, "timeStyle", styles);
  if (dateStyle !== undefined || timeStyle !== undefined) {
    const [name] = Object.keys(components);
    if (name !== undefined)
      throw new TypeError(`Can't set option ${name} when ${dateStyle === undefined ? "timeStyle" : "dateStyle"} is used`);
    if (needs.required === "date" && timeStyle !== undefined) throw new TypeError("Invalid option : timeStyle");
    if (needs.required === "time" && dateStyle !== undefined) throw new TypeError("Invalid option : dateStyle");
    components = styled(dateStyle, timeStyle);
  } else addDefaults(components, needs);
  const { name, table } = locale;
  if (table === undefined) settle(components, cycle);
  return { locale: name, zone, components, hourCycle: components.hour === undefined ? undefined : cycle, dateStyle, timeStyle, table };
}
