/** The part `relative`: Intl.RelativeTimeFormat in en and the locales that are linked (CLDR). */
import { table } from "../table.ts";
import { missing } from "./faults.ts";
import { optionsOf, textOption } from "./given.ts";
import type { LocaleTable } from "./locale-tables.ts";
import { localeOf } from "./locales.ts";
import { valueOf } from "./decimal.ts";
import { numberParts, type Part, shownDigits } from "./number-format.ts";
import { type NumberSettings, readNumberSettings } from "./number-options.ts";
import { pluralOf, pluralsOf } from "./plural-rules.ts";
import { addService } from "./service.ts";

interface Settings {
  readonly locale: string;
  readonly style: string;
  readonly numeric: string;
  readonly table: LocaleTable | undefined;
}
interface UnitPart extends Part {
  readonly unit?: string;
}
const name = "RelativeTimeFormat";

/** Of a unit its short names for one and for more, the narrow one, and the short one in "last mo." */
const names = table<readonly [one: string, more: string, narrow: string, alone: string]>({
  second: ["sec.", "sec.", "s", ""],
  minute: ["min.", "min.", "m", "minute"],
  hour: ["hr.", "hr.", "h", "hour"],
  day: ["day", "days", "d", ""],
  week: ["wk.", "wk.", "w", "wk."],
  month: ["mo.", "mo.", "mo", "mo."],
  quarter: ["qtr.", "qtrs.", "q", "qtr."],
  year: ["yr.", "yr.", "y", "yr."],
});

function read(locales: unknown, given: unknown): Settings {
  const { name: locale, keys, table } = localeOf(locales, 'ask for "en", or use dayjs with its plugin relativeTime');
  const options = optionsOf(given);
  textOption(name, options, "localeMatcher", ["lookup", "best fit"]);
  const system = textOption(name, options, "numberingSystem") ?? keys.get("nu") ?? "latn";
  if (system !== "latn") throw missing(`the digits ${system.slice(0, 60)}`, 'leave the option numberingSystem out, or give "latn"');
  const style = textOption(name, options, "style", ["long", "short", "narrow"]) ?? "long";
  return { locale, style, numeric: textOption(name, options, "numeric", ["always", "auto"]) ?? "always", table };
}

function unitOf(given: unknown): string {
  const text = String(given);
  const unit = text.endsWith("s") ? text.slice(0, -1) : text;
  if (names[unit] === undefined)
    throw new RangeError(`Invalid unit argument for Intl.RelativeTimeFormat.prototype.format() '${text.slice(0, 60)}'`);
  return unit;
}

/** The words for the one before, this one and the next; undefined without any. `step`: -1, 0 or 1. */
function word(unit: string, step: number, style: string): string | undefined {
  if (unit === "second") return step === 0 ? "now" : undefined;
  if (unit === "day") return ["yesterday", "today", "tomorrow"][step + 1]!;
  const noun = style === "long" ? unit : names[unit]![3];
  if (unit === "minute" || unit === "hour") return step === 0 ? `this ${noun}` : undefined;
  return `${["last", "this", "next"][step + 1]!} ${noun}`;
}

function noun(unit: string, isOne: boolean, style: string): string {
  const [one, more, narrow] = names[unit]!;
  if (style === "narrow") return narrow;
  if (style === "short") return ` ${isOne ? one : more}`;
  return ` ${unit}${isOne ? "" : "s"}`;
}

/** A format's row: texts for the future and the past, a pattern for each plural, then words by number. */
function rowOf({ rows }: LocaleTable, unit: string, style: string): readonly [future: string, past: string, words: string] {
  const row = rows.get(`r${style}:${unit}`) ?? (style === "narrow" ? rows.get(`rshort:${unit}`) : undefined) ?? rows.get(`rlong:${unit}`)!;
  return row.split(";") as unknown as readonly [string, string, string];
}

function tableParts({ table, locale, style, numeric }: Settings, value: number, unit: string): UnitPart[] {
  const [future, past, words] = rowOf(table!, unit, style);
  const step = Math.round(value * 100) / 100 || 0;
  const word = numeric === "auto" ? words.split("|").find((each) => each.startsWith(`${step}:`)) : undefined;
  if (word !== undefined) return [{ type: "literal", value: word.slice(word.indexOf(":") + 1) }];
  const isPast = value < 0 || Object.is(value, -0);
  const settings = readNumberSettings(locale, { roundingMode: "halfEven" });
  const plural = pluralOf(locale, shownDigits(settings, valueOf(Math.abs(value)))!);
  const patterns = (isPast ? past : future).split("|");
  const pattern = patterns.length === 1 ? patterns[0]! : patterns[pluralsOf(locale).indexOf(plural)]!;
  const at = pattern.indexOf("{n}");
  const counted: UnitPart[] = numberParts(settings, Math.abs(value)).map((each) => ({ ...each, unit }));
  const literal = (text: string): UnitPart[] => (text === "" ? [] : [{ type: "literal", value: text }]);
  return [...literal(pattern.slice(0, at)), ...counted, ...literal(pattern.slice(at + 3))];
}

let numbers: NumberSettings | undefined;

function partsOf(settings: Settings, given: unknown, unitName: unknown): UnitPart[] {
  if (typeof given === "bigint") throw new TypeError("Cannot convert a BigInt value to a number");
  const value = Number(given);
  const unit = unitOf(unitName);
  if (!Number.isFinite(value)) throw new RangeError("Value need to be finite number for Intl.RelativeTimeFormat.prototype.format()");
  const { style, numeric, table } = settings;
  if (table !== undefined) return tableParts(settings, value, unit);
  // As ICU has it, to the hundredth.
  const step = Math.round(Math.abs(value) * 100) / 100;
  const found = numeric === "auto" && step <= 1 && Number.isInteger(step) ? word(unit, step * Math.sign(value) || 0, style) : undefined;
  if (found !== undefined) return [{ type: "literal", value: found }];
  const isPast = value < 0 || Object.is(value, -0);
  const digits = numberParts((numbers ??= readNumberSettings("en", { roundingMode: "halfEven" })), Math.abs(value));
  const text = noun(unit, digits.length === 1 && digits[0]!.value === "1", style);
  const counted: UnitPart[] = digits.map((each) => ({ ...each, unit }));
  return isPast
    ? [...counted, { type: "literal", value: `${text} ago` }]
    : [{ type: "literal", value: "in " }, ...counted, { type: "literal", value: text }];
}

class RelativeTimeFormatMethods {
  format(value: unknown, unit: unknown): string {
    return partsOf(own(this), value, unit)
      .map((each) => each.value)
      .join("");
  }

  formatToParts(value: unknown, unit: unknown): UnitPart[] {
    return partsOf(own(this), value, unit);
  }

  resolvedOptions(): object {
    const { table: _, ...rest } = own(this);
    return { ...rest, numberingSystem: "latn" };
  }
}
const own = addService({ name, prototype: RelativeTimeFormatMethods.prototype, read });
