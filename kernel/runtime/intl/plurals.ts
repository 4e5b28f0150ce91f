/** The part `plurals`: Intl.PluralRules in en (CLDR). */
import { valueOf } from "./decimal.ts";
import { optionsOf, textOption } from "./given.ts";
import { localeOf } from "./locales.ts";
import { type Digits, readDigits, resolvedDigits } from "./number-options.ts";
import { isOne, type Shown, shownOf } from "./rounding.ts";
import { addService } from "./service.ts";

interface Settings {
  readonly locale: string;
  readonly type: string;
  readonly digits: Digits;
}
const name = "PluralRules";

function read(locales: unknown, given: unknown): Settings {
  const locale = localeOf(locales, 'ask for "en", or choose the form yourself').name;
  const options = optionsOf(given);
  textOption(name, options, "localeMatcher", ["lookup", "best fit"]);
  const type = textOption(name, options, "type", ["cardinal", "ordinal"]) ?? "cardinal";
  return { locale, type, digits: readDigits(name, options, { least: 0, most: 3, notation: "standard" }) };
}

/** 1st, 2nd, 3rd, but 11th, 12th and 13th. */
function ordinal({ whole, fraction }: Shown): string {
  if (/[1-9]/.test(fraction) || /1.$/.test(whole)) return "other";
  return ({ "1": "one", "2": "two", "3": "few" } as Readonly<Record<string, string>>)[whole.at(-1)!] ?? "other";
}

class PluralRulesMethods {
  select(given: unknown): string {
    const { type, digits } = own(this);
    const value = Number(typeof given === "bigint" ? refuse() : given);
    if (!Number.isFinite(value)) return "other";
    const decimal = valueOf(value);
    if (decimal === "NaN" || "isInfinite" in decimal) return "other";
    const shown = shownOf(decimal, digits, "standard");
    return type === "ordinal" ? ordinal(shown) : isOne(shown) ? "one" : "other";
  }

  /** Of en all ranges take one form. */
  selectRange(start: unknown, end: unknown): string {
    own(this);
    for (const [label, given] of [
      ["start", start],
      ["end", end],
    ] as const) {
      if (given === undefined) throw new TypeError(`Invalid ${label}Range : undefined`);
      if (Number.isNaN(Number(typeof given === "bigint" ? refuse() : given))) throw new RangeError(`Invalid ${label}Range : NaN`);
    }
    return "other";
  }

  resolvedOptions(): object {
    const { locale, type, digits } = own(this);
    const { roundingIncrement, roundingMode, roundingPriority, trailingZeroDisplay } = digits;
    const pluralCategories = type === "ordinal" ? ["one", "two", "few", "other"] : ["one", "other"];
    const rounding = { roundingIncrement, roundingMode, roundingPriority, trailingZeroDisplay };
    return { locale, type, ...resolvedDigits(digits), pluralCategories, ...rounding };
  }
}

function refuse(): never {
  throw new TypeError("Cannot convert a BigInt value to a number");
}
const own = addService({ name, prototype: PluralRulesMethods.prototype, read });
