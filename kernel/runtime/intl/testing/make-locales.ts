/** Makes the modules of kernel/runtime/intl/locales from Node's own Intl; make-dates.ts, make-words.ts and make-number-words.ts read the rows. */
import { tabled } from "../locale-tables.ts";
import { dateRows } from "./make-dates.ts";
import { numberRows } from "./make-number-words.ts";
import { wordRows } from "./make-words.ts";

/** ICU's version whose texts the tables have: CLDR 48. 78.3 has others for a few locales. */
export const localesIcu = "78.2";

/** Regions of all locales that ICU may know. */
const regions = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].flatMap((a, _index, letters) => letters.map((b) => a + b));
const samples: readonly number[] = [0, Date.UTC(2026, 7, 9, 16, 5, 6)];

/** Texts by which the regions of a language are told apart. */
function fingerprint(tag: string): string {
  const texts: string[] = [];
  for (const dateStyle of ["full", "long", "medium", "short"] as const)
    for (const timeStyle of ["medium", "short", undefined] as const)
      texts.push(new Intl.DateTimeFormat(tag, { dateStyle, timeZone: "UTC", ...(timeStyle && { timeStyle }) }).format(samples[1]));
  for (const month of ["numeric", "short", "long"] as const)
    for (const more of [
      {},
      { weekday: "short" },
      { year: "numeric", day: "numeric" },
      { hour: "numeric", timeZoneName: "short", timeZone: "Europe/Brussels" },
    ] as const)
      texts.push(new Intl.DateTimeFormat(tag, { month, timeZone: "UTC", ...more }).format(samples[1]));
  texts.push(new Intl.DateTimeFormat(tag, { timeStyle: "short", hourCycle: "h12" }).format(samples[1]));
  for (const options of [
    {},
    { style: "percent" },
    { style: "currency", currency: "EUR" },
    { style: "currency", currency: "USD" },
    { style: "currency", currency: "CHF", currencySign: "accounting" },
    { notation: "compact" },
    { notation: "compact", compactDisplay: "long" },
    { style: "unit", unit: "liter" },
  ])
    for (const value of [-1234.5, 12345678]) texts.push(new Intl.NumberFormat(tag, options as object).format(value));
  texts.push(new Intl.ListFormat(tag).format(["a", "b", "c"]));
  for (const unit of ["day", "month"] as const)
    texts.push(new Intl.RelativeTimeFormat(tag, { style: "short", numeric: "auto" }).format(-1, unit));
  return texts.join("\\n");
}

/** The regions of a language that ICU knows: those that write as it does, and the others. */
export function regionsOf(language: string): readonly [same: string[], others: string[]] {
  const known = regions.filter(
    (region) => new Intl.ListFormat(`${language}-${region}`).resolvedOptions().locale === `${language}-${region}`,
  );
  const own = fingerprint(language);
  // ICU 78 has an odd pattern of currencies for tr-TR, which writes "€5,00 €".
  const same = known.filter((region) => region === "TR" || fingerprint(`${language}-${region}`) === own);
  return [same, known.filter((region) => !same.includes(region))];
}

/** All rows of a locale. */
export function rowsOf(tag: string): Map<string, string> {
  const made = dateRows(tag);
  const { rows } = made;
  wordRows(tag, rows);
  numberRows(tag, rows);
  rows.set("regions", tag.includes("-") ? "" : regionsOf(tag)[0].join(" "));
  return rows;
}

const named = (tag: string): string => tag.replace("-", "");

/** The module of a locale. One with a region has the rows in which it is another than its language. */
export function moduleOf(tag: string, rows: ReadonlyMap<string, string>, base: ReadonlyMap<string, string> | undefined): string {
  const language = tag.split("-", 1)[0]!;
  const changed = [...rows].filter(([key, value]) => base?.get(key) !== value).map(([key, value]) => `${key}=${value}`);
  const gone = base === undefined ? [] : [...base.keys()].filter((key) => !rows.has(key));
  const imports = base === undefined ? "" : `import { ${language} } from "./${language}.ts";\n`;
  const lines = [...changed, ...gone].join("\n");
  if (/[`\\]|\$\{/.test(lines)) throw new Error(`${tag} has characters that a template can't hold`);
  return `/** Made by testing/make-locales.ts (UPDATE=1 npm test -- intl/locales). Data of Unicode CLDR 48, © Unicode, Inc., under the Unicode License v3. */
import { addLocale, type LocaleTable } from "../locale-tables.ts";
${imports}
export const ${named(tag)}: LocaleTable = addLocale(
  ${JSON.stringify(tag)},
  \`
${lines}
\`,${base === undefined ? "" : `\n  ${language},`}
);
`;
}

export const localeFile = (tag: string): URL => new URL(`../../../../../kernel/runtime/intl/locales/${tag}.ts`, import.meta.url);

/** The modules of these locales, by tag. */
export function makeLocales(tags: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    tags.map((tag) => {
      const language = tag.split("-", 1)[0]!;
      return [tag, moduleOf(tag, rowsOf(tag), tag === language || !tabled.includes(language) ? undefined : rowsOf(language))];
    }),
  );
}
