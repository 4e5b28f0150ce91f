/**
 * The part `intl`: the global Intl. Its constructors are parts of their own, linked when the flow names them; those that are not there fail
 * with MF_NO_INTL.
 */
import { kernel } from "../link.ts";
import { table } from "../table.ts";
import { missing } from "./faults.ts";
import { canonicalLocales } from "./locales.ts";
import { supportedValuesOf } from "./values.ts";

const linked = (name: string): string => `write Intl.${name} plainly in the flow, so that it is linked`;
const others = table({
  Collator: linked("Collator"),
  DateTimeFormat: linked("DateTimeFormat"),
  DisplayNames: "use a table of your own",
  DurationFormat: "put the text together yourself",
  ListFormat: linked("ListFormat"),
  Locale: "use the language tag as text",
  NumberFormat: linked("NumberFormat"),
  PluralRules: linked("PluralRules"),
  RelativeTimeFormat: linked("RelativeTimeFormat"),
  Segmenter: "use [...text] for characters, and a regular expression for words",
});

export const intl: object = {};

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

/** A constructor that can be asked for, but not used. */
function absent(name: string, advice: string): object {
  const make = function (): never {
    throw missing(`Intl.${name}`, advice);
  };
  define(make, "supportedLocalesOf", () => []);
  Object.defineProperty(make, "name", { value: name, configurable: true });
  return make;
}

for (const [name, value] of Object.entries({ getCanonicalLocales: canonicalLocales, supportedValuesOf })) define(intl, name, value);
for (const [name, advice] of Object.entries(others)) define(intl, name, absent(name, advice));
Object.defineProperty(intl, Symbol.toStringTag, { value: "Intl", configurable: true });
kernel.define("Intl", intl);
