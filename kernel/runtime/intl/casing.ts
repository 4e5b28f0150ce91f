/** The part `casing`: toLocaleUpperCase and toLocaleLowerCase for Turkish and Azeri, which have i with and without a dot. */
import { missing } from "./faults.ts";
import { canonicalLocales } from "./locales.ts";
import { isLower, isMark } from "./marks.ts";
import { define } from "./service.ts";

/** Languages whose letters change in ways that are not here. */
const others = { upper: ["lt", "el"], lower: ["lt"] };

function languageOf(locales: unknown, others: readonly string[]): string {
  const [tag = "en"] = canonicalLocales(locales);
  const [language = ""] = tag.split("-");
  if (others.includes(language))
    throw missing(`the letters of the locale ${tag}`, "leave the locale out, or replace its special letters yourself");
  return language;
}

const isDotted = (language: string): boolean => language === "tr" || language === "az";

function textOf(value: unknown, name: string): string {
  if (value === undefined || value === null) throw new TypeError(`String.prototype.${name} called on null or undefined`);
  return String(value);
}

const dotAbove = "\u0307";

/** İ is i, also where its dot is a mark behind marks of other classes; any other I is ı (SpecialCasing.txt). */
function dotted(text: string): string {
  return text.replaceAll("İ", "i").replace(/I(\p{M}*)/gu, (_whole, marks: string) => {
    const list = [...marks];
    const dot = list.findIndex((mark) => mark === dotAbove || !isMark(mark) || (!isLower(mark, dotAbove) && !isLower(dotAbove, mark)));
    return list[dot] === dotAbove ? `i${list.toSpliced(dot, 1).join("")}` : `ı${marks}`;
  });
}

// A class, as its code is strict: null stays null.
class TextMethods {
  toLocaleUpperCase(this: unknown, locales?: unknown): string {
    const text = textOf(this, "toLocaleUpperCase");
    return (isDotted(languageOf(locales, others.upper)) ? text.replaceAll("i", "İ") : text).toUpperCase();
  }

  toLocaleLowerCase(this: unknown, locales?: unknown): string {
    const text = textOf(this, "toLocaleLowerCase");
    if (!isDotted(languageOf(locales, others.lower))) return text.toLowerCase();
    return dotted(text).toLowerCase();
  }
}
const { toLocaleUpperCase, toLocaleLowerCase } = TextMethods.prototype;
for (const [name, method] of Object.entries({ toLocaleUpperCase, toLocaleLowerCase })) {
  Object.defineProperty(method, "length", { value: 0 });
  define(String.prototype, name, method);
}
