/** The part `plurals`: Intl.PluralRules in en and the locales that are linked (CLDR). */
import { valueOf } from "./decimal.ts";
import { optionsOf, textOption } from "./given.ts";
import type { LocaleTable } from "./locale-tables.ts";
import { localeOf } from "./locales.ts";
import { type Digits, readDigits, resolvedDigits } from "./number-options.ts";
import { pluralOf, pluralsOf } from "./plural-rules.ts";
import { shownOf } from "./rounding.ts";
import { addService } from "./service.ts";

interface Settings {
  readonly locale: string;
  readonly type: string;
  readonly digits: Digits;
  readonly table: LocaleTable | undefined;
}
const name = "PluralRules";

function read(locales: unknown, given: unknown): Settings {
  const { name: tag, table } = localeOf(locales, 'ask for "en", or choose the form yourself');
  // Rules are of languages, and one region.
  const locale = table === undefined || tag === "pt-PT" ? tag : tag.split("-", 1)[0]!;
  const options = optionsOf(given);
  textOption(name, options, "localeMatcher", ["lookup", "best fit"]);
  const type = textOption(name, options, "type", ["cardinal", "ordinal"]) ?? "cardinal";
  return { locale, type, table, digits: readDigits(name, options, { least: 0, most: 3, notation: "standard" }) };
}

function plural({ locale, type, digits }: Settings, given: unknown): string {
  const value = Number(typeof given === "bigint" ? refuse() : given);
  if (!Number.isFinite(value)) return "other";
  const decimal = valueOf(value);
  return decimal === "NaN" || "isInfinite" in decimal ? "other" : pluralOf(locale, shownOf(decimal, digits, "standard"), type);
}

class PluralRulesMethods {
  select(given: unknown): string {
    return plural(own(this), given);
  }

  /** Of en all ranges take one form; the row `pr` has those that don't take that of their end. */
  selectRange(start: unknown, end: unknown): string {
    const settings = own(this);
    for (const [label, given] of [
      ["start", start],
      ["end", end],
    ] as const) {
      if (given === undefined) throw new TypeError(`Invalid ${label}Range : undefined`);
      if (Number.isNaN(Number(typeof given === "bigint" ? refuse() : given))) throw new RangeError(`Invalid ${label}Range : NaN`);
    }
    if (settings.table === undefined) return "other";
    const [first, last] = [plural(settings, start), plural(settings, end)];
    const ranges = settings.table.rows.get(settings.type === "ordinal" ? "pro" : "pr") ?? "";
    return new RegExp(`(?:^| )${first}:${last}=(\\w+)`).exec(ranges)?.[1] ?? last;
  }

  resolvedOptions(): object {
    const { locale, type, digits } = own(this);
    const { roundingIncrement, roundingMode, roundingPriority, trailingZeroDisplay } = digits;
    const pluralCategories = pluralsOf(locale, type);
    const rounding = { roundingIncrement, roundingMode, roundingPriority, trailingZeroDisplay };
    return { locale, type, ...resolvedDigits(digits), pluralCategories, ...rounding };
  }
}

function refuse(): never {
  throw new TypeError("Cannot convert a BigInt value to a number");
}
const own = addService({ name, prototype: PluralRulesMethods.prototype, read });
