/** The options of Intl.NumberFormat (ECMA-402, 16.1), and those of digits that Intl.PluralRules shares, read and checked. */
import type { RoundingMode } from "./decimal.ts";
import { missing } from "./faults.ts";
import { optionsOf, textOption } from "./given.ts";
import { mostFractionDigits } from "./limits.ts";
import type { LocaleTable } from "./locale-tables.ts";
import { localeOf } from "./locales.ts";
import { currencyDigits, isUnit } from "./number-names.ts";

type Options = Readonly<Record<string, unknown>>;

export interface Digits {
  readonly minimumIntegerDigits: number;
  readonly fraction: readonly [least: number, most: number] | undefined;
  readonly significant: readonly [least: number, most: number] | undefined;
  /** "auto": `significant` alone if it is there. */
  readonly roundingPriority: string;
  readonly roundingMode: RoundingMode;
  readonly roundingIncrement: number;
  readonly trailingZeroDisplay: string;
}
export interface NumberSettings {
  readonly locale: string;
  readonly style: string;
  readonly currency: string | undefined;
  readonly currencyDisplay: string | undefined;
  readonly currencySign: string | undefined;
  readonly unit: string | undefined;
  readonly unitDisplay: string | undefined;
  readonly digits: Digits;
  readonly useGrouping: string | false;
  readonly notation: string;
  readonly compactDisplay: string | undefined;
  readonly signDisplay: string;
  /** Undefined in en. */
  readonly table: LocaleTable | undefined;
}

const increments = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000];
const modes = ["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"];

function number(options: Options, name: string, least: number, most: number): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  const read = Number(value);
  if (!(read >= least && read <= most)) throw new RangeError(`${name} value is out of range.`);
  return Math.floor(read);
}

interface Defaults {
  readonly least: number;
  readonly most: number;
  readonly notation: string;
}

/** The least and the most digits behind the point. */
function fractionOf(options: Options, { least, most }: Defaults): readonly [number, number] {
  let low = number(options, "minimumFractionDigits", 0, mostFractionDigits);
  let high = number(options, "maximumFractionDigits", 0, mostFractionDigits);
  if (low === undefined && high === undefined) return [least, most];
  low ??= Math.min(least, high!);
  high ??= Math.max(most, low);
  if (low > high) throw new RangeError("maximumFractionDigits value is out of range.");
  return [low, high];
}

/** Throws RangeError and TypeError as the standard has it. */
export function readDigits(service: string, options: Options, defaults: Defaults): Digits {
  const minimumIntegerDigits = number(options, "minimumIntegerDigits", 1, 21) ?? 1;
  const isSignificant = options["minimumSignificantDigits"] !== undefined || options["maximumSignificantDigits"] !== undefined;
  const isFraction = options["minimumFractionDigits"] !== undefined || options["maximumFractionDigits"] !== undefined;
  const roundingIncrement = number(options, "roundingIncrement", 1, 5000) ?? 1;
  if (!increments.includes(roundingIncrement)) throw new RangeError("roundingIncrement value is out of range.");
  const roundingMode = (textOption(service, options, "roundingMode", modes) ?? "halfExpand") as RoundingMode;
  const priority = textOption(service, options, "roundingPriority", ["auto", "morePrecision", "lessPrecision"]) ?? "auto";
  const trailingZeroDisplay = textOption(service, options, "trailingZeroDisplay", ["auto", "stripIfInteger"]) ?? "auto";
  const rest = { minimumIntegerDigits, roundingMode, roundingIncrement, trailingZeroDisplay };
  const bounds = roundingIncrement === 1 ? defaults : { ...defaults, most: defaults.least };
  const needsSignificant = priority !== "auto" || isSignificant;
  const needsFraction = priority !== "auto" || !(needsSignificant || (!isFraction && defaults.notation === "compact"));
  let significant: readonly [number, number] | undefined;
  if (needsSignificant && isSignificant) {
    const least = number(options, "minimumSignificantDigits", 1, 21) ?? 1;
    significant = [least, number(options, "maximumSignificantDigits", least, 21) ?? 21];
  } else if (needsSignificant) significant = [1, 21];
  const fraction = needsFraction ? fractionOf(options, bounds) : undefined;
  let digits: Digits = { ...rest, fraction, significant, roundingPriority: priority };
  // Compact numbers have two digits, or all before the point.
  if (!needsSignificant && !needsFraction) digits = { ...rest, fraction: [0, 0], significant: [1, 2], roundingPriority: "morePrecision" };
  if (roundingIncrement !== 1) {
    if (digits.significant !== undefined) throw new TypeError("roundingIncrement value is invalid.");
    if (digits.fraction![0] !== digits.fraction![1]) throw new RangeError("roundingIncrement value is out of range.");
  }
  return digits;
}

function readCurrency(options: Options, style: string): Pick<NumberSettings, "currency" | "currencyDisplay" | "currencySign"> {
  const currency = textOption(service, options, "currency");
  if (currency === undefined && style === "currency") throw new TypeError("Currency code is required with currency style.");
  if (currency !== undefined && !/^[a-z]{3}$/i.test(currency)) throw new RangeError(`Invalid currency code : ${currency.slice(0, 60)}`);
  const currencyDisplay = textOption(service, options, "currencyDisplay", ["code", "symbol", "narrowSymbol", "name"]) ?? "symbol";
  const currencySign = textOption(service, options, "currencySign", ["standard", "accounting"]) ?? "standard";
  if (style !== "currency") return { currency: undefined, currencyDisplay: undefined, currencySign: undefined };
  return { currency: currency!.toUpperCase(), currencyDisplay, currencySign };
}

function readUnit(options: Options, style: string): Pick<NumberSettings, "unit" | "unitDisplay"> {
  const unit = textOption(service, options, "unit");
  if (unit === undefined && style === "unit") throw new TypeError("Invalid unit argument for Intl.NumberFormat() 'undefined'");
  if (unit !== undefined && !isUnit(unit)) throw new RangeError(`Invalid unit argument for Intl.NumberFormat() '${unit.slice(0, 60)}'`);
  const unitDisplay = textOption(service, options, "unitDisplay", ["short", "narrow", "long"]) ?? "short";
  if (style !== "unit") return { unit: undefined, unitDisplay: undefined };
  if (unit!.startsWith("percent-per-")) throw missing(`the unit ${unit!}`, "put the text together yourself");
  return { unit: unit!, unitDisplay };
}

function readGrouping(options: Options, notation: string): string | false {
  const value = options["useGrouping"];
  const usual = notation === "compact" ? "min2" : "auto";
  if (value === undefined) return usual;
  if (value === true) return "always";
  if (!value) return false;
  const text = String(value);
  if (text === "true" || text === "false") return usual;
  if (!["min2", "auto", "always"].includes(text))
    throw new RangeError(`Value ${text.slice(0, 60)} out of range for Intl.NumberFormat options property useGrouping`);
  return text;
}

const service = "NumberFormat";

/** Throws RangeError and TypeError as the standard has it, and MF_NO_INTL for what a machine does not have. */
export function readNumberSettings(locales: unknown, given: unknown): NumberSettings {
  const { name, keys, table } = localeOf(locales, 'ask for "en-US", or write the number yourself');
  const options = optionsOf(given);
  textOption(service, options, "localeMatcher", ["lookup", "best fit"]);
  const system = textOption(service, options, "numberingSystem") ?? keys.get("nu") ?? "latn";
  if (system !== "latn") throw missing(`the digits ${system.slice(0, 60)}`, 'leave the option numberingSystem out, or give "latn"');
  const style = textOption(service, options, "style", ["decimal", "percent", "currency", "unit"]) ?? "decimal";
  const currency = readCurrency(options, style);
  const unit = readUnit(options, style);
  const notation = textOption(service, options, "notation", ["standard", "scientific", "engineering", "compact"]) ?? "standard";
  const ofCurrency = style === "currency" && notation === "standard" ? currencyDigits(currency.currency!) : undefined;
  const [least, most] = ofCurrency === undefined ? [0, style === "percent" ? 0 : 3] : [ofCurrency, ofCurrency];
  const digits = readDigits(service, options, { least, most, notation });
  const compactDisplay = textOption(service, options, "compactDisplay", ["short", "long"]) ?? "short";
  const useGrouping = readGrouping(options, notation);
  const signDisplay = textOption(service, options, "signDisplay", ["auto", "never", "always", "exceptZero", "negative"]) ?? "auto";
  const settings: NumberSettings = {
    locale: keys.get("nu") === "latn" ? `${name}-u-nu-latn` : name,
    style,
    ...currency,
    ...unit,
    digits,
    useGrouping,
    notation,
    compactDisplay: notation === "compact" ? compactDisplay : undefined,
    signDisplay,
    table,
  };
  if (table !== undefined && notation === "compact" && style === "currency" && settings.currencyDisplay !== "name")
    throw missing("compact numbers of currencies in this locale", "write the currency's symbol yourself");
  return settings;
}

/** The digits of resolvedOptions. */
export function resolvedDigits({ minimumIntegerDigits, fraction, significant }: Digits): object {
  return {
    minimumIntegerDigits,
    ...(significant && { minimumSignificantDigits: significant[0], maximumSignificantDigits: significant[1] }),
    ...(fraction && { minimumFractionDigits: fraction[0], maximumFractionDigits: fraction[1] }),
  };
}
