/** Numbers as en and the linked locales write them (CLDR): the parts of one text, and of a range. */
import { type Decimal, scaled, type Value, valueOf } from "./decimal.ts";
import { missing } from "./faults.ts";
import { currencyOf, unitText } from "./number-names.ts";
import type { NumberSettings } from "./number-options.ts";
import { compactPower, type Part, type Symbols, symbolsOf, wordParts } from "./number-words.ts";
import { isOne, type Shown, shownOf } from "./rounding.ts";

export type { Part };
export interface RangePart extends Part {
  readonly source: string;
}
/** The parts around the digits. */
interface Frame {
  readonly before: readonly Part[];
  readonly after: readonly Part[];
}
interface Formatted extends Frame {
  readonly digits: readonly Part[];
}

const part = (type: string, value: string): Part => ({ type, value });
const literal = (value: string): Part => part("literal", value);
const hardSpace = "\u00a0";
const shortPowers = ["", "K", "M", "B", "T"];
const longPowers = ["", "thousand", "million", "billion", "trillion"];

function wholeParts(whole: string, { useGrouping, notation }: NumberSettings, { group, leastGrouped }: Symbols): Part[] {
  const isLate = useGrouping === "min2" || (useGrouping === "auto" && notation === "compact");
  const least = useGrouping === "always" ? 1 : Math.max(leastGrouped, isLate ? 2 : 1);
  const isGrouped = useGrouping !== false && whole.length > 2 + least;
  if (!isGrouped) return [part("integer", whole)];
  const parts: Part[] = [];
  for (let end = ((whole.length - 1) % 3) + 1, start = 0; start < whole.length; start = end, end += 3) {
    if (start > 0) parts.push(part("group", group));
    parts.push(part("integer", whole.slice(start, end)));
  }
  return parts;
}

function digitParts(shown: Shown, settings: NumberSettings): Part[] {
  const { notation, style, table } = settings;
  const symbols = symbolsOf(table?.rows, style);
  const parts = wholeParts(shown.whole, settings, symbols);
  if (shown.fraction !== "") parts.push(part("decimal", symbols.decimal), part("fraction", shown.fraction));
  if (notation !== "scientific" && notation !== "engineering") return parts;
  parts.push(part("exponentSeparator", symbols.exponent));
  if (shown.power < 0) parts.push(part("exponentMinusSign", symbols.minus));
  parts.push(part("exponentInteger", String(Math.abs(shown.power))));
  return parts;
}

function compactParts({ power }: Shown, { compactDisplay, style, currencyDisplay }: NumberSettings): Part[] {
  if (compactDisplay === undefined || power === 0) return [];
  // There is no long form with a symbol.
  if (compactDisplay === "short" || (style === "currency" && currencyDisplay !== "name")) return [part("compact", shortPowers[power / 3]!)];
  return [literal(" "), part("compact", longPowers[power / 3]!)];
}

type Sign = "" | "-" | "+";

/** `isNegative` counts for what is shown as 0 too. */
function signOf(signDisplay: string, isNegative: boolean, isZero: boolean): Sign {
  if (signDisplay === "never" || (isZero && (signDisplay === "exceptZero" || signDisplay === "negative"))) return "";
  if (isNegative) return "-";
  return signDisplay === "always" || signDisplay === "exceptZero" ? "+" : "";
}

function signParts(sign: Sign): Part[] {
  return sign === "" ? [] : [part(sign === "-" ? "minusSign" : "plusSign", sign)];
}

/** A symbol that ends with a letter is kept apart from digits. */
function symbolParts({ currency, currencyDisplay }: NumberSettings, beforeDigit: boolean): Part[] {
  const { symbol, narrowSymbol } = currencyOf(currency!);
  const text = currencyDisplay === "code" ? currency! : currencyDisplay === "symbol" ? symbol : narrowSymbol;
  return [part("currency", text), ...(beforeDigit && /[^\p{S}\p{Z}]$/u.test(text) ? [literal(hardSpace)] : [])];
}

function unitParts(text: string): Part[] {
  const space = /^\s*/.exec(text)![0];
  return [...(space === "" ? [] : [literal(space)]), part("unit", text.slice(space.length))];
}

interface Content {
  readonly sign: Sign;
  readonly compact: readonly Part[];
  readonly isOne: boolean;
  readonly isNumber: boolean;
}

/** The sign, and the percent sign, currency or unit. */
function frameOf(settings: NumberSettings, { sign, compact, isOne: one, isNumber }: Content): Frame {
  const { style, currencyDisplay, currencySign, currency, notation, unit, unitDisplay } = settings;
  const before = signParts(sign);
  // Its type with compact numbers is that of V8.
  if (style === "percent") return { before, after: [...compact, part(notation === "compact" ? "unit" : "percentSign", "%")] };
  if (style === "unit") {
    return { before, after: [...compact, ...unitParts(unitText(unit!, unitDisplay!, one))] };
  }
  if (style !== "currency") return { before, after: compact };
  if (currencyDisplay === "name") {
    const names = currencyOf(currency!);
    return { before, after: [...compact, literal(" "), part("currency", one ? names.one : names.more)] };
  }
  const symbol = symbolParts(settings, isNumber);
  if (sign === "-" && currencySign === "accounting" && compact.length === 0)
    return { before: [literal("("), ...symbol], after: [...compact, literal(")")] };
  return { before: [...before, ...symbol], after: compact };
}

function isDecimal(value: Value): value is Decimal {
  return value !== "NaN" && !("isInfinite" in value);
}

/** The digits that a value shows, with a percentage's two more before the point. Undefined for what has none. */
export function shownDigits({ style, digits, notation, compactDisplay, table }: NumberSettings, value: Value): Shown | undefined {
  if (!isDecimal(value)) return undefined;
  const compact =
    compactDisplay === undefined || table === undefined
      ? undefined
      : (magnitude: number): number => compactPower(table.rows, compactDisplay, magnitude);
  return shownOf(style === "percent" ? scaled(value, 2) : value, digits, notation, compact);
}

function format(settings: NumberSettings, value: Value, isPlural = false): Formatted {
  const shown = shownDigits(settings, value);
  const isNegative = value !== "NaN" && value.isNegative;
  const one = !isPlural && shown !== undefined && isOne(shown);
  const sign = signOf(settings.signDisplay, isNegative, value === "NaN" || shown?.isZero === true);
  const { nan, infinity } = symbolsOf(settings.table?.rows);
  const digits = shown === undefined ? [value === "NaN" ? part("nan", nan) : part("infinity", infinity)] : digitParts(shown, settings);
  if (settings.table !== undefined) return { before: [], digits: wordParts(settings, { sign, isNegative, digits, shown }), after: [] };
  const frame = frameOf(settings, {
    sign,
    compact: shown === undefined ? [] : compactParts(shown, settings),
    isOne: one,
    isNumber: shown !== undefined,
  });
  return { ...frame, digits };
}

/** Texts that meet become one part. */
function joined<P extends Part>(parts: readonly P[]): P[] {
  const found: P[] = [];
  for (const each of parts) {
    const last = found.at(-1);
    if (
      last?.type === "literal" &&
      each.type === "literal" &&
      (last as Part & { source?: string }).source === (each as Part & { source?: string }).source
    )
      found[found.length - 1] = { ...last, value: last.value + each.value };
    else found.push(each);
  }
  return found;
}

export function numberParts(settings: NumberSettings, given: unknown): Part[] {
  const { before, digits, after } = format(settings, valueOf(given));
  return joined([...before, ...digits, ...after]);
}

export function textOf(parts: readonly Part[]): string {
  return parts.map(({ value }) => value).join("");
}

/** Without the space that keeps a symbol from digits. */
const frameText = ({ before, after }: Frame): string => `${textOf(before)} ${textOf(after)}`.replace(hardSpace, "");
const from = (source: string, parts: readonly Part[]): RangePart[] => parts.map((each) => ({ ...each, source }));
const between = "–";

/** Throws RangeError for NaN and TypeError for undefined; MF_NO_INTL for compact numbers and powers of ten. */
export function rangeParts(settings: NumberSettings, start: unknown, end: unknown): RangePart[] {
  if (start === undefined || end === undefined) throw new TypeError("start or end is undefined");
  const [first, last] = [valueOf(start), valueOf(end)];
  if (first === "NaN" || last === "NaN") throw new RangeError(`Invalid ${first === "NaN" ? "start" : "end"} : NaN`);
  if (settings.table !== undefined) throw missing(`ranges of numbers in the locale ${settings.locale}`, "format both ends with format()");
  if (settings.notation !== "standard") throw missing(`ranges of ${settings.notation} numbers`, "format both ends with format()");
  const [left, right] = [format(settings, first), format(settings, last)];
  const isSameSign = first.isNegative === last.isNegative;
  if (
    isSameSign &&
    textOf([...left.before, ...left.digits, ...left.after]) === textOf([...right.before, ...right.digits, ...right.after])
  ) {
    const isBracketed = left.before[0]?.value === "(";
    return from(
      "shared",
      joined([...(isBracketed ? [] : [part("approximatelySign", "~")]), ...left.before, ...left.digits, ...left.after]),
    );
  }
  const isUnit = (settings.style === "unit" && textOf(right.after) !== "%") || settings.currencyDisplay === "name";
  // A frame of both is written once: a unit or name, and a sign or symbol if it is more than one character.
  const outer = isUnit ? format(settings, last, true).after : [];
  const inner = [left, right].map(({ before, after }): Frame => ({ before, after: isUnit ? [] : after })) as [Frame, Frame];
  const length = [...frameText(inner[0])].length - 1;
  const isShared = frameText(inner[0]) === frameText(inner[1]) && length !== 1;
  if (isShared)
    return joined([
      ...from("shared", inner[0].before),
      ...from("startRange", left.digits),
      ...from("shared", [literal(between)]),
      ...from("endRange", right.digits),
      ...from("shared", [...inner[0].after, ...outer]),
    ]);
  return joined([
    ...from("startRange", [...inner[0].before, ...left.digits, ...inner[0].after]),
    ...from("shared", [literal(length === 0 ? between : ` ${between} `)]),
    ...from("endRange", [...inner[1].before, ...right.digits, ...inner[1].after]),
    ...from("shared", outer),
  ]);
}
