/** Currencies and units in en. */
import { currencies, units } from "./number-table.ts";

export interface Currency {
  readonly digits: number;
  readonly symbol: string;
  readonly narrowSymbol: string;
  readonly one: string;
  readonly more: string;
}

function rowOf(rows: readonly string[], name: string): readonly string[] | undefined {
  return rows.find((row) => row.startsWith(name) && /^[|*]/.test(row.slice(name.length)))?.split("|");
}

/** ISO 4217's code for no currency. */
const none = "X".repeat(3);
const noCurrency: Currency = { digits: 2, symbol: "¤", narrowSymbol: "¤", one: "(unknown unit of currency)", more: "(unknown currency)" };

/** A currency by its code of three capitals; for an unknown one the code is its name. */
export function currencyOf(code: string): Currency {
  if (code === none) return noCurrency;
  const row = rowOf(currencies, code);
  if (row === undefined) return { digits: 2, symbol: code, narrowSymbol: code, one: code, more: code };
  const [, digits = "", symbol = "", narrow = "", one = "", more = ""] = row;
  return {
    digits: digits === "" ? 2 : Number(digits),
    symbol: symbol || code,
    narrowSymbol: narrow || symbol || code,
    one,
    more: more || `${one}s`,
  };
}

export function currencyDigits(code: string): number {
  return currencyOf(code).digits;
}

/** The currencies in use, as Intl.supportedValuesOf lists them. */
export function listedCurrencies(): string[] {
  return currencies.flatMap((row) => (row[3] === "*" ? row.slice(0, 3) : []));
}

export function listedUnits(): string[] {
  return units.map((row) => row.slice(0, row.indexOf("|")));
}

const between = "-per-";

/** True for the units that ECMA-402 has, and for one of them per another. */
export function isUnit(unit: string): boolean {
  const at = unit.indexOf(between);
  const parts = at < 0 ? [unit] : [unit.slice(0, at), unit.slice(at + between.length)];
  return parts.every((part) => /^[a-z-]+$/.test(part) && rowOf(units, part) !== undefined);
}

/** The text behind a number of units, the space between them included. */
export function unitText(unit: string, display: string, isOne: boolean): string {
  const column = 1 + 3 * ["long", "short", "narrow"].indexOf(display);
  const at = unit.indexOf(between);
  if (at < 0) return rowOf(units, unit)![column + (isOne ? 0 : 1)]!;
  const [counted, per] = [unit.slice(0, at), unit.slice(at + between.length)];
  if (counted === "mile" && display !== "long" && (per === "hour" || per === "gallon"))
    return `${display === "short" ? " " : ""}mp${per[0]!}`;
  return unitText(counted, display, isOne) + rowOf(units, per)![column + 2]!;
}
