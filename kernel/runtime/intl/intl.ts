/**
 * The part `intl`: Intl.DateTimeFormat with all zones of the IANA database, in en-US, Date's methods on it, and numbers' toLocaleString.
 * Other locales, and constructors that are not there, fail with MF_NO_INTL.
 */
import { kernel } from "../link.ts";
import { table } from "../table.ts";
import { missing } from "./faults.ts";
import { checkComponents, narrowSpace, type Part, partsOf } from "./format.ts";
import { canonicalLocales, isSupported } from "./locales.ts";
import { bigintText, numberText } from "./numbers.ts";
import { type Needs, readSettings, type Settings } from "./options.ts";
import { listedZones } from "./zones.ts";

const any: Needs = { required: "any", defaults: "date" };
const settingsOf = new WeakMap<object, Settings>();
const formats = new WeakMap<object, (date?: unknown) => string>();

function checked(locales: unknown, options: unknown, needs: Needs): Settings {
  const settings = readSettings(locales, options, needs);
  checkComponents(settings);
  return settings;
}

/** The narrow space before AM is in parts only: every engine writes a plain one in a text, so that programs can read it. */
function textOf(parts: readonly Part[]): string {
  return parts.map(({ value }) => (value === narrowSpace ? " " : value)).join("");
}

function own(format: object): Settings {
  const settings = settingsOf.get(format);
  if (settings === undefined) throw new TypeError("Method Intl.DateTimeFormat called on incompatible receiver");
  return settings;
}

class DateTimeFormatMethods {
  get format(): (date?: unknown) => string {
    const settings = own(this);
    let format = formats.get(this);
    if (format === undefined) {
      format = (date?: unknown): string => textOf(partsOf(settings, date));
      formats.set(this, format);
    }
    return format;
  }

  formatToParts(date?: unknown): Part[] {
    return partsOf(own(this), date);
  }

  formatRange(): never {
    throw missing("formatRange", "format both ends with format()");
  }

  formatRangeToParts(): never {
    throw missing("formatRangeToParts", "format both ends with formatToParts()");
  }

  resolvedOptions(): object {
    const { locale, zone, hourCycle, components, dateStyle, timeStyle } = own(this);
    const { weekday, era, year, month, day, dayPeriod, hour, minute, second, fractionalSecondDigits, timeZoneName } = components;
    const shown = {
      locale,
      calendar: "gregory",
      numberingSystem: "latn",
      timeZone: zone.name,
      hourCycle,
      hour12: hourCycle === undefined ? undefined : hourCycle === "h11" || hourCycle === "h12",
      ...(dateStyle === undefined && timeStyle === undefined
        ? { weekday, era, year, month, day, dayPeriod, hour, minute, second }
        : { dateStyle, timeStyle }),
    };
    const digits = fractionalSecondDigits === undefined ? undefined : Number(fractionalSecondDigits);
    const last = dateStyle === undefined && timeStyle === undefined ? { fractionalSecondDigits: digits, timeZoneName } : {};
    return Object.fromEntries(Object.entries({ ...shown, ...last }).filter(([, value]) => value !== undefined));
  }
}

// A function and no class: it is called with and without `new`.
function DateTimeFormat(locales?: unknown, options?: unknown): object {
  const made = Object.create((new.target?.prototype as object | undefined) ?? prototype) as object;
  settingsOf.set(made, checked(locales, options, any));
  return made;
}
const prototype: object = DateTimeFormatMethods.prototype;
Object.defineProperty(prototype, "constructor", { value: DateTimeFormat, writable: true, configurable: true });
Object.defineProperty(prototype, Symbol.toStringTag, { value: "Intl.DateTimeFormat", configurable: true });
Object.defineProperty(DateTimeFormat, "prototype", { value: prototype, writable: false });
Object.defineProperty(DateTimeFormat, "length", { value: 0 });

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
}
define(DateTimeFormat, "supportedLocalesOf", (locales?: unknown) => canonicalLocales(locales).filter(isSupported));

const others = table({
  Collator: "compare with < and >, or by a key of your own",
  DisplayNames: "use a table of your own",
  DurationFormat: "put the text together yourself",
  ListFormat: "use join()",
  Locale: "use the language tag as text",
  NumberFormat: "use a number's toLocaleString()",
  PluralRules: "choose the form yourself",
  RelativeTimeFormat: "use dayjs with its plugin relativeTime",
  Segmenter: "use [...text] for characters, and a regular expression for words",
});

/** A constructor that can be asked for, but not used. */
function absent(name: string, advice: string): object {
  const make = function (): never {
    throw missing(`Intl.${name}`, advice);
  };
  define(make, "supportedLocalesOf", () => []);
  Object.defineProperty(make, "name", { value: name, configurable: true });
  return make;
}

function supportedValuesOf(key: unknown): string[] {
  const name = String(key);
  if (name === "timeZone") return listedZones();
  if (name === "calendar") return ["gregory"];
  if (name === "numberingSystem") return ["latn"];
  if (["collation", "currency", "unit"].includes(name)) return [];
  throw new RangeError(`Invalid key : ${name.slice(0, 60)}`);
}

const intl = {};
for (const [name, value] of Object.entries({ getCanonicalLocales: canonicalLocales, supportedValuesOf, DateTimeFormat }))
  define(intl, name, value);
for (const [name, advice] of Object.entries(others)) define(intl, name, absent(name, advice));
Object.defineProperty(intl, Symbol.toStringTag, { value: "Intl", configurable: true });
kernel.define("Intl", intl);

function method(name: string, needs: Needs): void {
  const methods = {
    [name](this: Date, locales?: unknown, options?: unknown): string {
      const timeMs = Date.prototype.getTime.call(this);
      const settings = checked(locales, options, needs);
      return Number.isNaN(timeMs) ? "Invalid Date" : textOf(partsOf(settings, timeMs));
    },
  };
  Object.defineProperty(methods[name], "length", { value: 0 });
  define(Date.prototype, name, methods[name]);
}
method("toLocaleString", { required: "any", defaults: "all" });
method("toLocaleDateString", { required: "date", defaults: "date" });
method("toLocaleTimeString", { required: "time", defaults: "time" });

const ofNumbers = {
  toLocaleString(this: number, locales?: unknown, options?: unknown): string {
    return numberText(Number.prototype.valueOf.call(this), locales, options);
  },
};
const ofBigInts = {
  toLocaleString(this: bigint, locales?: unknown, options?: unknown): string {
    return bigintText(BigInt.prototype.valueOf.call(this), locales, options);
  },
};
for (const [target, { toLocaleString }] of [
  [Number.prototype, ofNumbers],
  [BigInt.prototype, ofBigInts],
] as const) {
  Object.defineProperty(toLocaleString, "length", { value: 0 });
  define(target, "toLocaleString", toLocaleString);
}
