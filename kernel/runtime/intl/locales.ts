/** Language tags (BCP 47), as far as `Intl` reads them here: the machine has en and en-US, and the locales that are linked. */
import { missing } from "./faults.ts";
import { type LocaleTable, linkAdvice, tableFor } from "./locale-tables.ts";

const tagShape =
  /^(?:[a-z]{2,3}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*(?:-[a-wy-z\d](?:-[a-z\d]{2,8})+)*(?:-x(?:-[a-z\d]{1,8})+)?$/i;

/** A tag in its canonical case. Throws RangeError if it is malformed. */
function canonical(tag: string): string {
  if (!tagShape.test(tag)) throw new RangeError(`Incorrect locale information provided: ${tag.slice(0, 60)}`);
  let isExtension = false;
  return tag
    .toLowerCase()
    .split("-")
    .map((part, index) => {
      if (part.length === 1) isExtension = true;
      if (index === 0 || isExtension) return part;
      if (part.length === 2) return part.toUpperCase();
      return part.length === 4 && /^[a-z]/.test(part) ? part[0]!.toUpperCase() + part.slice(1) : part;
    })
    .join("-");
}

/** The result of Intl.getCanonicalLocales. Throws TypeError and RangeError. */
export function canonicalLocales(locales: unknown): string[] {
  if (locales === undefined) return [];
  if (locales === null) throw new TypeError("locales is null: give a language tag or a list of them");
  const list = typeof locales === "string" ? [locales] : [...Array.from(locales as ArrayLike<unknown>)];
  const found = new Set<string>();
  for (const each of list) {
    if (typeof each !== "string" && (typeof each !== "object" || each === null))
      throw new TypeError("Incorrect locale information provided");
    found.add(canonical(String(each)));
  }
  return [...found];
}

const supported = /^(en(?:-US)?)(?:-[a-z\d](?:-[a-z\d]{2,8})+)*$/;

export interface Locale {
  /** "en" or "en-US"; of a service with more languages, one of these. */
  readonly name: string;
  /** Of the extension -u-, key to value. */
  readonly keys: ReadonlyMap<string, string>;
  /** Undefined for en and en-US, which are built in. */
  readonly table?: LocaleTable | undefined;
}

const withoutExtensions = (tag: string): string => tag.replace(/-[a-z\d]-.*$/, "");

export function isSupported(tag: string): boolean {
  return supported.test(tag) || tableFor(withoutExtensions(tag)) !== undefined;
}

/** The extension keys of a tag. */
export function keysOf(tag: string): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  const extension = /-u((?:-[a-z\d]{2,8})+)/.exec(tag)?.[1] ?? "";
  for (const [, key = "", value = ""] of extension.matchAll(/-([a-z\d]{2})((?:-[a-z\d]{3,8})*)/g)) keys.set(key, value.slice(1));
  return keys;
}

/** The locale of a formatter: the first that was asked for. Throws MF_NO_INTL if a machine does not have it; `advice` is for one without a table. */
export function localeOf(locales: unknown, advice = 'ask for "en-US", or put the text together from formatToParts()'): Locale {
  const [tag = "en-US"] = canonicalLocales(locales);
  // A language that nobody has: programs ask for it to have the default.
  const name = tag === "fullwide" ? "en-US" : supported.exec(tag)?.[1];
  if (name !== undefined) return { name, keys: keysOf(tag) };
  const table = tableFor(withoutExtensions(tag));
  if (table === undefined) throw missing(`the locale ${tag}`, linkAdvice(withoutExtensions(tag)) ?? advice);
  return { name: table.tag, keys: keysOf(tag), table };
}
