/** Rows of a locale's table for numbers, from Node's own Intl.NumberFormat. */
import { currencies } from "../number-table.ts";
import { pluralsOf } from "../plural-rules.ts";
import { folded, pluralSamples } from "./make-words.ts";

type Options = Readonly<Record<string, unknown>>;

const perUnits = ["kilometer-per-hour", "meter-per-second", "mile-per-hour", "mile-per-gallon", "liter-per-kilometer"];
const inNumber = new Set(["integer", "group", "decimal", "fraction", "nan", "infinity"]);

/** A text's pattern (number-words.ts). */
function pattern(tag: string, options: Options, value: number): string {
  const texts: string[] = [];
  for (const { type, value: text } of new Intl.NumberFormat(tag, options as object).formatToParts(value)) {
    if (inNumber.has(type)) {
      if (texts.at(-1) !== "{n}") texts.push("{n}");
    } else if (type === "minusSign" || type === "plusSign") texts.push("{-}");
    else if (type === "currency") texts.push("{c}");
    else if (type === "percentSign") texts.push("{%}");
    else if (type === "compact") texts.push(`{k:${text}}`);
    else if (type === "unit") texts.push(`{u:${text}}`);
    else texts.push(text);
  }
  return texts.join("");
}

function symbols(tag: string, style: Options): string {
  const find = (options: Options, value: number, type: string): string =>
    new Intl.NumberFormat(tag, { ...style, ...options } as object).formatToParts(value).find((each) => each.type === type)?.value ?? "";
  const always = { useGrouping: "always" };
  const isLate = !new Intl.NumberFormat(tag, style as object).formatToParts(1234).some(({ type }) => type === "group");
  return [
    find({}, 1.5, "decimal"),
    find(always, 12_345, "group"),
    find({}, -1, "minusSign"),
    find({ signDisplay: "always" }, 1, "plusSign"),
    find({ notation: "scientific" }, 1, "exponentSeparator"),
    find({}, Number.NaN, "nan"),
    find({}, Number.POSITIVE_INFINITY, "infinity"),
    isLate ? 2 : 1,
  ].join("|");
}

function framePatterns(tag: string, rows: Map<string, string>): void {
  const kinds: Readonly<Record<string, Options>> = {
    d: {},
    p: { style: "percent" },
    c: { style: "currency", currency: "EUR", currencyDisplay: "narrowSymbol" },
    C: { style: "currency", currency: "CHF", currencyDisplay: "code" },
    a: { style: "currency", currency: "EUR", currencyDisplay: "narrowSymbol", currencySign: "accounting" },
    A: { style: "currency", currency: "CHF", currencyDisplay: "code", currencySign: "accounting" },
  };
  for (const [kind, options] of Object.entries(kinds)) {
    rows.set(`n${kind}:`, pattern(tag, options, 5));
    rows.set(`n${kind}:-`, pattern(tag, options, -5));
    rows.set(`n${kind}:+`, pattern(tag, { ...options, signDisplay: "always" }, 5));
  }
  rows.set("nn", pattern(tag, { style: "currency", currency: "EUR", currencyDisplay: "name" }, -5));
}

/** For each power of ten from a thousand on, the patterns by the plural of the digits that are shown. */
function compactRow(tag: string, compactDisplay: string, rows: Map<string, string>): string {
  const options = { notation: "compact", compactDisplay };
  const rules = new Intl.PluralRules(tag);
  const cells: string[] = [];
  for (let magnitude = 3; magnitude <= 19; magnitude++) {
    const digits = new Intl.NumberFormat(tag, { ...options, useGrouping: false } as object).formatToParts(5 * 10 ** magnitude);
    const power = magnitude + 1 - digits.find(({ type }) => type === "integer")!.value.length;
    const room = 10 ** (magnitude - power);
    // Shown as they are: two digits, or all before the point.
    const mantissas = [
      ...Array.from({ length: 9 }, (_, index) => (index + 1) * room),
      room + 1,
      room + 2,
      2 * room + 2,
      12 * (room / 10),
      1.5 * room,
    ].filter((each) => each >= room && each < 10 * room && (room === 1 || Number.isInteger(each)));
    const patterns = pluralsOf(tag).map((plural) => {
      const mantissa = mantissas.find((each) => rules.select(each) === plural);
      // Only with a fraction, or never.
      if (mantissa === undefined) return pattern(tag, { ...options, maximumFractionDigits: 1 }, (room + 0.5) * 10 ** power);
      const text = pattern(tag, options, mantissa * 10 ** power);
      // "mille" in French, for a thousand sharp.
      if (!text.includes("{n}")) rows.set(`k1${compactDisplay}`, `${power}:${text}`);
      return text.includes("{n}") ? text : pattern(tag, options, 1.5 * mantissa * 10 ** power);
    });
    cells.push(power === 0 ? "0" : [power, ...folded(patterns)].join(";"));
  }
  return cells.map((cell, index) => (cell === cells[index - 1] ? "" : cell)).join("|");
}

function unitRows(tag: string, rows: Map<string, string>): void {
  const samples = pluralSamples(tag);
  for (const unit of [...Intl.supportedValuesOf("unit"), ...perUnits]) {
    const notation = unit === "percent" ? "compact" : "standard";
    const [short, narrow, long] = ["short", "narrow", "long"].map((unitDisplay) =>
      folded(samples.map((value) => pattern(tag, { style: "unit", unit, unitDisplay, notation }, value > 1000 ? 5 : value))).join("|"),
    );
    rows.set(`ushort:${unit}`, short!);
    if (narrow !== short) rows.set(`unarrow:${unit}`, narrow!);
    if (long !== short) rows.set(`ulong:${unit}`, long!);
  }
}

function currencyRows(tag: string, rows: Map<string, string>): void {
  const samples = pluralSamples(tag);
  for (const currency of currencies.map((row) => row.slice(0, 3))) {
    const text = (currencyDisplay: string, value: number): string =>
      new Intl.NumberFormat(tag, {
        style: "currency",
        currency,
        currencyDisplay,
        minimumFractionDigits: 0,
        maximumFractionDigits: 1,
      } as object)
        .formatToParts(value)
        // The last: of TRY in tr, ICU 78 writes the symbol besides the name.
        .findLast(({ type }) => type === "currency")!.value;
    const [symbol, narrow] = [text("symbol", 5), text("narrowSymbol", 5)];
    const isOld = /\(\d{4}|\d{4}\)/.test(text("name", 5)) || !inUse.has(currency);
    const names = isOld ? [] : folded(samples.map((value) => text("name", value)));
    if (symbol === currency && narrow === currency && names.length === 0) continue;
    rows.set(`$${currency}`, [symbol === currency ? "" : symbol, narrow === symbol ? "" : narrow, ...names].join("|"));
  }
}

/** The currencies whose names are worth their bytes: those in use that more than one country has, or a large one. */
const inUse = new Set(
  "AED ALL AMD ARS AUD AZN BAM BDT BGN BHD BRL BYN CAD CHF CLP CNY COP CRC CZK DKK DZD EGP EUR GBP GEL GHS HKD HUF IDR ILS INR IQD ISK JOD JPY KES KRW KWD KZT LBP LKR MAD MDL MKD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TND TRY TWD TZS UAH UGX USD UYU UZS VND XAF XOF ZAR".split(
    " ",
  ),
);

export function numberRows(tag: string, rows: Map<string, string>): void {
  const [usual, ofCurrency] = [symbols(tag, {}), symbols(tag, { style: "currency", currency: "EUR" })];
  rows.set("nsym", usual);
  if (ofCurrency !== usual) rows.set("ncur", ofCurrency);
  framePatterns(tag, rows);
  for (const display of ["short", "long"]) rows.set(`k${display}`, compactRow(tag, display, rows));
  unitRows(tag, rows);
  currencyRows(tag, rows);
}
