/** The part `lists`: Intl.ListFormat in en and the locales that are linked (CLDR). */
import { optionsOf, textOption } from "./given.ts";
import type { LocaleTable } from "./locale-tables.ts";
import { localeOf } from "./locales.ts";
import { addService } from "./service.ts";

interface Settings {
  readonly locale: string;
  readonly type: string;
  readonly style: string;
  readonly table: LocaleTable | undefined;
}
interface Part {
  readonly type: string;
  readonly value: string;
}
const name = "ListFormat";

function read(locales: unknown, given: unknown): Settings {
  const { name: locale, table } = localeOf(locales, 'ask for "en", or use join()');
  if (given !== undefined && (typeof given !== "object" || given === null))
    throw new TypeError("Incorrect ListFormat information provided");
  const options = optionsOf(given);
  textOption(name, options, "localeMatcher", ["lookup", "best fit"]);
  const type = textOption(name, options, "type", ["conjunction", "disjunction", "unit"]) ?? "conjunction";
  return { locale, type, style: textOption(name, options, "style", ["long", "short", "narrow"]) ?? "long", table };
}

type Glue = readonly [pair: string, middle: string, last: string];

/** Texts between two elements that are all, between two of more, and before the last of more. */
function glue({ type, style, table }: Settings): Glue {
  if (table !== undefined) return table.rows.get(`c${type}:${style}`)!.split("|") as unknown as Glue;
  if (type === "unit") return style === "narrow" ? [" ", " ", " "] : [", ", ", ", ", "];
  if (type === "disjunction") return [" or ", ", ", ", or "];
  if (style === "narrow") return [", ", ", ", ", "];
  return style === "short" ? [" & ", ", ", ", & "] : [" and ", ", ", ", and "];
}

/** Spanish: "y" before an i is "e", "o" before an o is "u". */
function inSpanish(text: string, next: string): string {
  if (text === " y " && /^(?:i|hi(?![ae]))/i.test(next)) return " e ";
  return text === " o " && /^(?:h?o|8|11(?:$| ))/i.test(next) ? " u " : text;
}

function textsOf(list: unknown): string[] {
  if (list === undefined) return [];
  const texts: string[] = [];
  for (const each of list as Iterable<unknown>) {
    if (typeof each !== "string") throw new TypeError(`Iterable yielded ${String(each).slice(0, 60)} which is not a string`);
    texts.push(each);
  }
  return texts;
}

function partsOf(settings: Settings, list: unknown): Part[] {
  const texts = textsOf(list);
  const [pair, middle, last] = glue(settings);
  const parts: Part[] = [];
  for (const [index, value] of texts.entries()) {
    const text = texts.length === 2 ? pair : index === texts.length - 1 ? last : middle;
    if (index > 0 && text !== "") parts.push({ type: "literal", value: settings.locale.startsWith("es") ? inSpanish(text, value) : text });
    parts.push({ type: "element", value });
  }
  return parts;
}

class ListFormatMethods {
  format(list?: unknown): string {
    return partsOf(own(this), list)
      .map(({ value }) => value)
      .join("");
  }

  formatToParts(list?: unknown): Part[] {
    return partsOf(own(this), list);
  }

  resolvedOptions(): object {
    const { table: _, ...rest } = own(this);
    return rest;
  }
}
const own = addService({ name, prototype: ListFormatMethods.prototype, read });
