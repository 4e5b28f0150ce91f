import { table } from "../table.ts";
import { mostKeptRows } from "./limits.ts";

/**
 * Tables of linked locales: `import "mayfly/locales/nl"` brings rows `key=value`. testing/make-locales.ts makes them.
 * - `regions`: regions that write as the language does;
 * - `cycle`, `cycle12`: the usual hour cycle, and that of `hour12: true`;
 * - `dSHAPE` and `tSHAPE`: patterns of dates and times (patterns.ts), `g…` texts between the two, `lN` lists of names;
 * - `gmt`, `zs`, `zl`: names of time zones (zone-words.ts); `r…` relative times, `c…` lists of texts, `n…` numbers.
 */
export interface Rows {
  get(key: string): string | undefined;
}
export interface LocaleTable {
  readonly tag: string;
  readonly rows: Rows;
}

/** The rows of a text, found when they are asked for: a map of all would be ten times as long in the image. */
class TextRows implements Rows {
  readonly #text: string;
  readonly #base: Rows | undefined;
  readonly #found = new Map<string, string | undefined>();

  constructor(text: string, base: Rows | undefined) {
    this.#text = text;
    this.#base = base;
  }

  get(key: string): string | undefined {
    if (this.#found.has(key)) return this.#found.get(key);
    const value = this.#find(key);
    // Keys have units and currencies that messages may name.
    if (this.#found.size < mostKeptRows) this.#found.set(key, value);
    return value;
  }

  #find(key: string): string | undefined {
    const at = this.#text.indexOf(`\n${key}=`);
    if (at >= 0) return this.#text.slice(at + key.length + 2, this.#text.indexOf("\n", at + 1));
    return this.#text.includes(`\n${key}\n`) ? undefined : this.#base?.get(key);
  }
}

const tables = new Map<string, LocaleTable>();

/** Adds a locale; `text`: its rows, a line each. `base`: the table whose other rows it has; a row `key` without "=" takes one of them away. */
export function addLocale(tag: string, text: string, base?: LocaleTable): LocaleTable {
  const made = { tag, rows: new TextRows(text, base?.rows) };
  tables.set(tag, made);
  return made;
}

/** Tags that have a table, linked or not: kernel/runtime/intl/locales. */
export const tabled: readonly string[] = [
  "da",
  "de",
  "de-AT",
  "de-CH",
  "en-GB",
  "es",
  "es-MX",
  "fr",
  "fr-BE",
  "fr-CA",
  "fr-CH",
  "it",
  "it-CH",
  "ja",
  "nl",
  "nl-BE",
  "pl",
  "pt",
  "pt-PT",
  "sv",
  "tr",
  "zh",
];
/** Regions that write otherwise than their language does, with a table of their own or none (CLDR). */
export const otherwise: Readonly<Record<string, string>> = table({
  de: "AT CH LI",
  es: "AR BO BR BZ CL CO CR CU DO EC GQ GT HN MX NI PA PE PH PR PY SV US UY VE",
  fr: "BE CA CH CM DJ DZ LU MA MR SY TD TN VU",
  it: "CH",
  nl: "BE BQ",
  pt: "AO CH CV GQ GW LU MO MZ PT ST TL",
  sv: "AX FI",
  tr: "CY",
  zh: "HK MO MY SG TW",
});
const isOther = (language: string, region: string): boolean => otherwise[language]?.split(" ").includes(region) ?? false;

/**
 * The table for a canonical tag without extensions: its own, or that of its language where its region writes alike or is unknown to
 * CLDR, as `Intl` resolves it. Undefined without a linked one.
 */
export function tableFor(tag: string): LocaleTable | undefined {
  const own = tables.get(tag);
  if (own !== undefined) return own;
  const [found, language = "", region = ""] = /^([a-z]{2,3})-([A-Z]{2}|\d{3})$/.exec(tag) ?? [];
  const ofLanguage = found === undefined ? undefined : tables.get(language);
  if (ofLanguage === undefined) return undefined;
  if (isOther(language, region)) return undefined;
  return ofLanguage.rows.get("regions")!.split(" ").includes(region) ? { tag, rows: ofLanguage.rows } : ofLanguage;
}

/** How to link the locale of a tag, as advice. Undefined if there is no table for it. */
export function linkAdvice(tag: string): string | undefined {
  const [language = "", region = ""] = tag.split("-");
  const name = [tag, ...(isOther(language, region) ? [] : [language])].find((each) => tabled.includes(each) && !tables.has(each));
  return name === undefined ? undefined : `write import "mayfly/locales/${name}" in the flow, so that it is linked`;
}
