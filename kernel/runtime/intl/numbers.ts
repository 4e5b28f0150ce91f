/** The part `numbers`: Intl.NumberFormat in en, and Number's and BigInt's toLocaleString with it. */
import { listedCurrencies, listedUnits } from "./number-names.ts";
import { numberParts, type Part, type RangePart, rangeParts, textOf } from "./number-format.ts";
import { readNumberSettings, resolvedDigits } from "./number-options.ts";
import { addService, define } from "./service.ts";
import { addValues } from "./values.ts";

const formats = new WeakMap<object, (value?: unknown) => string>();

class NumberFormatMethods {
  get format(): (value?: unknown) => string {
    const settings = own(this);
    let format = formats.get(this);
    if (format === undefined) {
      format = (value?: unknown): string => textOf(numberParts(settings, value));
      formats.set(this, format);
    }
    return format;
  }

  formatToParts(value?: unknown): Part[] {
    return numberParts(own(this), value);
  }

  formatRange(start: unknown, end: unknown): string {
    return textOf(rangeParts(own(this), start, end));
  }

  formatRangeToParts(start: unknown, end: unknown): RangePart[] {
    return rangeParts(own(this), start, end);
  }

  resolvedOptions(): object {
    const { locale, style, digits, useGrouping, notation, signDisplay, ...rest } = own(this);
    const { currency, currencyDisplay, currencySign, unit, unitDisplay, compactDisplay } = rest;
    const { roundingMode, roundingIncrement, trailingZeroDisplay, roundingPriority } = digits;
    const all = {
      ...{ locale, numberingSystem: "latn", style, currency, currencyDisplay, currencySign, unit, unitDisplay },
      ...resolvedDigits(digits),
      ...{ useGrouping, notation, compactDisplay, signDisplay, roundingMode, roundingIncrement, trailingZeroDisplay, roundingPriority },
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }
}
const own = addService({ name: "NumberFormat", prototype: NumberFormatMethods.prototype, isFunction: true, read: readNumberSettings });
addValues("currency", listedCurrencies);
addValues("unit", listedUnits);

const ofNumbers = {
  toLocaleString(this: number, locales?: unknown, options?: unknown): string {
    const value = Number.prototype.valueOf.call(this);
    return textOf(numberParts(readNumberSettings(locales, options), value));
  },
};
const ofBigInts = {
  toLocaleString(this: bigint, locales?: unknown, options?: unknown): string {
    const value = BigInt.prototype.valueOf.call(this);
    return textOf(numberParts(readNumberSettings(locales, options), value));
  },
};
for (const [target, { toLocaleString }] of [
  [Number.prototype, ofNumbers],
  [BigInt.prototype, ofBigInts],
] as const) {
  Object.defineProperty(toLocaleString, "length", { value: 0 });
  define(target, "toLocaleString", toLocaleString);
}
