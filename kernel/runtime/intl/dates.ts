/** The part `dates`: Intl.DateTimeFormat in en-US with all zones of the IANA database, and Date's methods on it. */
import { missing } from "./faults.ts";
import { checkComponents, narrowSpace, type Part, partsOf } from "./format.ts";
import { type Needs, readSettings, type Settings } from "./options.ts";
import { addService, define } from "./service.ts";
import { addValues } from "./values.ts";
import { listedZones } from "./zones.ts";

const any: Needs = { required: "any", defaults: "date" };
const formats = new WeakMap<object, (date?: unknown) => string>();

function checked(locales: unknown, options: unknown, needs: Needs): Settings {
  const settings = readSettings(locales, options, needs);
  checkComponents(settings);
  return settings;
}

/** The narrow space before AM is in parts only: every engine writes a plain one in a text, so that programs can read it. */
function textOf(parts: readonly Part[]): string {
  return parts
    .map(({ value }) => value)
    .join("")
    .replaceAll(narrowSpace, " ");
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
const own = addService({
  name: "DateTimeFormat",
  prototype: DateTimeFormatMethods.prototype,
  isFunction: true,
  read: (locales, options) => checked(locales, options, any),
});
addValues("timeZone", listedZones);

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
