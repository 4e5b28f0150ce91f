/** The part `collator`: Intl.Collator in en and the languages that order alike, and localeCompare with it. */
import { compareTexts, type Order } from "./collation.ts";
import { missing } from "./faults.ts";
import { optionsOf, textOption } from "./given.ts";
import { canonicalLocales, keysOf, type Locale } from "./locales.ts";
import { addService, define } from "./service.ts";

interface Settings extends Order {
  readonly locale: string;
  readonly usage: string;
}

const name = "Collator";
/** Languages that order as the root collation does, but for some regions: French of Canada counts accents from the end. */
const sameOrder = /^(?:ca|de|en|fr|ga|id|it|lb|ms|nl|pt|sw|zu)(?:-[A-Z]{2})?(?=-[a-z\d]-|$)/;
const otherOrder = /^fr-CA/;
/** Tags that are shown with their region. */
const shownWhole = /^(?:en-US|de-AT|id-ID)$/;

function isOrdered(tag: string): boolean {
  return sameOrder.test(tag) && !otherOrder.test(tag);
}

function orderOf(locales: unknown): Locale {
  const [tag = "en-US"] = canonicalLocales(locales);
  if (!isOrdered(tag))
    throw missing(
      `the order of the locale ${tag}`,
      'it has that of "en", "de", "fr", "it", "nl", "pt" and some more: ask for one of these',
    );
  const [whole = ""] = sameOrder.exec(tag)!;
  return { name: shownWhole.test(whole) ? whole : whole.slice(0, 2), keys: keysOf(tag) };
}

const firstCases = ["upper", "lower", "false"] as const;

function read(locales: unknown, given: unknown): Settings {
  const { name: language, keys } = orderOf(locales);
  const options = optionsOf(given);
  const usage = textOption(name, options, "usage", ["sort", "search"]) ?? "sort";
  textOption(name, options, "localeMatcher", ["lookup", "best fit"]);
  const collation = textOption(name, options, "collation") ?? keys.get("co") ?? "default";
  if (usage === "sort" && !["default", "standard", "search"].includes(collation) && (language !== "en" || /^e(?:moji|or)$/.test(collation)))
    throw missing(`the collation ${collation}`, "leave out the option collation");
  if (usage === "search" && !language.startsWith("en"))
    throw missing(`the order of ${language} for usage "search"`, 'leave out usage: "search"');
  const shown: string[] = [];
  const numericKey = keys.get("kn");
  const isKeyNumeric = numericKey === undefined ? undefined : numericKey === "" || numericKey === "true";
  const isNumeric = options["numeric"] === undefined ? (isKeyNumeric ?? false) : Boolean(options["numeric"]);
  const firstKey = firstCases.find((each) => each === keys.get("kf"));
  const caseFirst = (textOption(name, options, "caseFirst", firstCases) as Order["caseFirst"] | undefined) ?? firstKey ?? "false";
  const sensitivity = textOption(name, options, "sensitivity", ["base", "accent", "case", "variant"]) ?? "variant";
  if (firstKey !== undefined) shown.push(`kf-${firstKey}`);
  if (isKeyNumeric !== undefined) shown.push(isKeyNumeric ? "kn" : "kn-false");
  return {
    locale: [language, ...(shown.length > 0 ? ["u", ...shown] : [])].join("-"),
    usage,
    sensitivity: sensitivity as Order["sensitivity"],
    isNumeric,
    ignoresPunctuation: Boolean(options["ignorePunctuation"] ?? false),
    caseFirst,
    isSearch: usage === "search",
  };
}

const compares = new WeakMap<object, (left: unknown, right: unknown) => number>();

class CollatorMethods {
  get compare(): (left: unknown, right: unknown) => number {
    const settings = own(this);
    let compare = compares.get(this);
    if (compare === undefined) {
      compare = (left, right) => Math.sign(compareTexts(String(left), String(right), settings));
      compares.set(this, compare);
    }
    return compare;
  }

  resolvedOptions(): object {
    const { locale, usage, sensitivity, ignoresPunctuation, isNumeric, caseFirst } = own(this);
    return { locale, usage, sensitivity, ignorePunctuation: ignoresPunctuation, collation: "default", numeric: isNumeric, caseFirst };
  }
}
const own = addService({ name, prototype: CollatorMethods.prototype, isFunction: true, isSupported: isOrdered, read });

const usual = read(undefined, undefined);
// A class, as its code is strict: null stays null.
class TextMethods {
  localeCompare(this: unknown, that: unknown, locales?: unknown, options?: unknown): number {
    if (this === undefined || this === null) throw new TypeError("String.prototype.localeCompare called on null or undefined");
    const settings = locales === undefined && options === undefined ? usual : read(locales, options);
    return Math.sign(compareTexts(String(this), String(that), settings));
  }
}
const { localeCompare } = TextMethods.prototype;
Object.defineProperty(localeCompare, "length", { value: 1 });
define(String.prototype, "localeCompare", localeCompare);
