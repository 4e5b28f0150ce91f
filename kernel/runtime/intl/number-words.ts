/**
 * Numbers in the locales of tables. Patterns have the fields `{n}` the number, `{-}` its sign, `{c}` the currency, `{%}`, `{k:…}` and `{u:…}` the text of
 * a compact number and of a unit. Rows: `nsym` symbols; `nKIND:SIGN` patterns of d (decimal), p (percent), c and a (currency, accounting; with
 * a capital where the symbol is a letter beside the number); `nn` that of currency names; `kshort`, `klong` compact patterns from thousands on,
 * "power;pattern;pattern" for each power of ten, "" for that of the one before; `uWIDTH:UNIT` units, `$CODE` currencies, with a pattern or
 * name for each plural.
 */
import { table } from "../table.ts";
import { missing } from "./faults.ts";
import type { Rows } from "./locale-tables.ts";
import type { NumberSettings } from "./number-options.ts";
import { pluralOf, pluralsOf } from "./plural-rules.ts";
import type { Shown } from "./rounding.ts";

export interface Part {
  readonly type: string;
  readonly value: string;
}

export interface Symbols {
  readonly decimal: string;
  readonly group: string;
  readonly minus: string;
  readonly plus: string;
  readonly exponent: string;
  readonly nan: string;
  readonly infinity: string;
  /** A number is grouped from so many digits before the first group on. */
  readonly leastGrouped: number;
}

const inEnglish: Symbols = { decimal: ".", group: ",", minus: "-", plus: "+", exponent: "E", nan: "NaN", infinity: "∞", leastGrouped: 1 };

/** `ncur` has the signs of currencies in locales where they are others. */
export function symbolsOf(rows: Rows | undefined, style = "decimal"): Symbols {
  if (rows === undefined) return inEnglish;
  const row = (style === "currency" ? rows.get("ncur") : undefined) ?? rows.get("nsym")!;
  const [decimal = "", group = "", minus = "", plus = "", exponent = "", nan = "", infinity = "", least] = row.split("|");
  return { decimal, group, minus, plus, exponent, nan, infinity, leastGrouped: Number(least) };
}

const typed = table({ k: "compact", u: "unit" });

/** A pattern with its fields filled in. */
function filled(pattern: string, fields: Readonly<Record<string, readonly Part[]>>): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const { 0: whole, 1: name = "", 2: text, index } of pattern.matchAll(/\{([-nc%ku])(?::([^}]*))?\}/g)) {
    if (index > at) parts.push({ type: "literal", value: pattern.slice(at, index) });
    parts.push(...(text === undefined ? (fields[name] ?? []) : [{ type: typed[name]!, value: text }]));
    at = index + whole.length;
  }
  if (at < pattern.length) parts.push({ type: "literal", value: pattern.slice(at) });
  return parts;
}

/** The member of a list for each plural; one member stands for all. */
function ofPlural(list: readonly string[], locale: string, shown: Shown | undefined): string {
  const plural = shown === undefined ? "other" : pluralOf(locale, shown);
  return list.length === 1 ? list[0]! : list[pluralsOf(locale).indexOf(plural)]!;
}

/** The compact pattern of numbers of a magnitude, with its power of ten; undefined for numbers that have none. */
function compactOf(rows: Rows, display: string, magnitude: number): readonly [power: number, patterns: readonly string[]] | undefined {
  if (magnitude < 3) return undefined;
  const list = rows.get(`k${display}`)!.split("|");
  let index = Math.min(magnitude - 3, list.length - 1);
  while (list[index] === "") index--;
  const [power = "0", ...patterns] = list[index]!.split(";");
  return power === "0" ? undefined : [Number(power), patterns];
}

/** The power of ten that compact numbers of a magnitude are divided by. */
export function compactPower(rows: Rows, display: string, magnitude: number): number {
  return compactOf(rows, display, magnitude)?.[0] ?? 0;
}

function currencyText({ currency, currencyDisplay, table, locale }: NumberSettings, shown: Shown | undefined): string {
  const [symbol = "", narrow = "", ...names] = (table!.rows.get(`$${currency!}`) ?? "").split("|");
  if (currencyDisplay === "code") return currency!;
  if (currencyDisplay === "symbol") return symbol || currency!;
  if (currencyDisplay === "narrowSymbol") return narrow || symbol || currency!;
  if (names.length > 0) return ofPlural(names, locale, shown);
  throw missing(`the name of the currency ${currency!} in this locale`, 'use currencyDisplay: "code" or "symbol"');
}

/** True if what stands beside the number is not set apart from it by itself. */
function isLetter(symbol: string, pattern: string): boolean {
  return /[^\p{S}\p{Z}]/u.test(pattern.indexOf("{c}") < pattern.indexOf("{n}") ? symbol.at(-1)! : [...symbol][0]!);
}

/** A symbol is set apart from digits only. */
function currencyPattern(settings: NumberSettings, symbol: string, sign: string, isNumber: boolean): string {
  const { currencyDisplay, currencySign, table } = settings;
  if (currencyDisplay === "name") return table!.rows.get("nn")!;
  const kind = currencySign === "accounting" ? "a" : "c";
  const pattern = table!.rows.get(`n${kind}:${sign}`)!;
  return isNumber && isLetter(symbol, pattern) ? table!.rows.get(`n${kind.toUpperCase()}:${sign}`)! : pattern;
}

function unitPattern({ unit = "percent", unitDisplay = "short", table, locale }: NumberSettings, shown: Shown | undefined): string {
  const row = table!.rows.get(`u${unitDisplay}:${unit}`) ?? table!.rows.get(`ushort:${unit}`);
  if (row === undefined) throw missing(`the unit ${unit} in this locale`, "put the text together yourself");
  return ofPlural(row.split("|"), locale, shown).replace("{n}", "{-}{n}");
}

/** A number before it is written. */
interface Written {
  readonly sign: "" | "-" | "+";
  readonly isNegative: boolean;
  readonly digits: readonly Part[];
  /** Undefined for NaN and infinity. */
  readonly shown: Shown | undefined;
}

/** The plural is that of the digits that are shown; `k1…` is a pattern for 1 sharp, "power:pattern". */
function compactParts(
  { table, locale, compactDisplay }: NumberSettings,
  patterns: readonly string[],
  shown: Shown,
  { digits, isNegative }: Written,
): Part[] {
  const [power, sharp = ""] = table!.rows.get(`k1${compactDisplay!}`)?.split(/:(.*)/) ?? [];
  // Where "one" is 1 alone, -1 has its pattern too; in French, where it is 1.5 as well, the pattern is of the number 1.
  const isOfPlural = pluralOf(locale, { ...shown, power: 0, fraction: "5" }) !== "one";
  const isSharp = shown.whole === "1" && shown.fraction === "" && (isOfPlural || !isNegative);
  if (power === String(shown.power) && isSharp) return filled(sharp, {});
  return filled(ofPlural(patterns, locale, { ...shown, power: 0 }), { n: digits });
}

/** A number with its sign, and the currency, unit or percent sign. */
export function wordParts(settings: NumberSettings, written: Written): Part[] {
  const { sign, digits, shown } = written;
  const { style, table, compactDisplay, notation, unit, unitDisplay } = settings;
  const { rows } = table!;
  const { minus, plus } = symbolsOf(rows);
  const signs: Part[] = sign === "" ? [] : [sign === "-" ? { type: "minusSign", value: minus } : { type: "plusSign", value: plus }];
  const compact =
    compactDisplay === undefined || shown === undefined || shown.power === 0
      ? undefined
      : compactOf(rows, compactDisplay, shown.power + shown.whole.replace(/^0+/, "").length - 1);
  const number = compact === undefined ? digits : compactParts(settings, compact[1], shown!, written);
  const symbol = style === "currency" ? currencyText(settings, shown) : "";
  // ICU writes short percent signs as it does percentages, but those of compact numbers as units.
  const isPercent = (style === "percent" || (unit === "percent" && unitDisplay !== "long")) && notation !== "compact";
  const pattern =
    style === "currency"
      ? currencyPattern(settings, symbol, sign, shown !== undefined)
      : isPercent || style === "decimal"
        ? rows.get(`n${isPercent ? "p" : "d"}:${sign}`)!
        : unitPattern(settings, shown);
  return filled(pattern, {
    n: number,
    "-": signs,
    c: [{ type: "currency", value: symbol }],
    "%": [{ type: style === "unit" ? "unit" : "percentSign", value: "%" }],
  });
}
