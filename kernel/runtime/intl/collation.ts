/** Compares texts by the Unicode Collation Algorithm (UTS #10) with CLDR's root collation, as ICU does: NFD, contractions, levels. */
import {
  type Context,
  contractionsOf,
  eachElement,
  entryOf,
  hasContexts,
  ideographPrimary,
  prefixesOf,
  primaryOf,
} from "./collation-data.ts";
import { usualWeights, variableTop } from "./collation-table.ts";
import { missing } from "./faults.ts";
import { mostNumberDigits } from "./limits.ts";
import { isLower, isMark } from "./marks.ts";

export interface Order {
  readonly sensitivity: "base" | "accent" | "case" | "variant";
  /** Digits are compared as numbers. */
  readonly isNumeric: boolean;
  /** Spaces and punctuation do not count. */
  readonly ignoresPunctuation: boolean;
  readonly caseFirst: "upper" | "lower" | "false";
  /** For finding: Arabic, Thai and Korean have another order then, which is not here. */
  readonly isSearch: boolean;
}

/** Code points without elements are ordered by themselves, after all that have some. */
const unassigned = 0x10000;
/** U+FFFD and U+FFFF come after them. */
const highest = 0x200000;
const [usualSecondary, usualTertiary] = usualWeights;
const beyondAscii = /[^\0-\x7f]/;
const otherForSearch =
  /[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0e00-\u0eff\u1100-\u11ff\ua960-\ua97f\uaa80-\uaadf\uac00-\ud7ff\ufb50-\ufdff\ufe70-\ufeff]/;
const rareIdeograph = /^\p{Unified_Ideograph}$/u;
const decimalDigit = /^\p{Nd}$/u;
const zero = primaryOf(entryOf(0x30));
/** Numbers come before the digit 0: first by how many digits they have, then by six digits at a time. */
const beforeZero = zero - 1;
const digitsAtOnce = 6;
const millionths = 2_000_000;

/** The elements of a text, read as far as they are asked for. */
class Elements {
  readonly primaries: number[] = [];
  readonly secondaries: number[] = [];
  readonly tertiaries: number[] = [];
  readonly #order: Order;
  #text: string;
  #at = 0;
  /** The rest of the text, while marks that belong to no letter are read from #text. */
  #rest: { readonly text: string; readonly at: number } | undefined;

  constructor(text: string, order: Order) {
    this.#text = beyondAscii.test(text) ? text.normalize("NFD") : text;
    this.#order = order;
    if (order.isSearch && otherForSearch.test(text))
      throw missing('the order of Arabic, Thai and Korean for usage "search"', 'leave out usage: "search"');
  }

  /** True if there is an element of that index. */
  has(index: number): boolean {
    while (index >= this.primaries.length && !this.#isAtEnd()) this.#read();
    return index < this.primaries.length;
  }

  #isAtEnd(): boolean {
    if (this.#at < this.#text.length) return false;
    if (this.#rest === undefined) return true;
    ({ text: this.#text, at: this.#at } = this.#rest);
    this.#rest = undefined;
    return this.#at >= this.#text.length;
  }

  readAll(): void {
    this.has(Number.POSITIVE_INFINITY);
  }

  readonly #push = (primary: number, secondary: number, tertiary: number): void => {
    this.primaries.push(primary);
    this.secondaries.push(secondary);
    this.tertiaries.push(tertiary);
  };

  #read(): void {
    const start = this.#at;
    const code = this.#text.codePointAt(start)!;
    this.#at += code > 0xffff ? 2 : 1;
    const entry = entryOf(code);
    if (entry === 0) return this.#pushOther(code);
    const own = primaryOf(entry);
    if (this.#order.isNumeric && own >= zero && own < zero + 10 && this.#number(start)) return;
    const context = hasContexts(entry) ? this.#context(code, start) : undefined;
    if (context === undefined) return eachElement(entry, this.#push);
    for (let at = 0; at < context.length; at += 3) this.#push(context[at]!, context[at + 1]!, context[at + 2]!);
  }

  #pushOther(code: number): void {
    const ideograph = ideographPrimary(code);
    if (ideograph !== undefined) return this.#push(ideograph, usualSecondary, usualTertiary);
    if (code === 0xfffd || code === 0xffff) return this.#push(highest + code, usualSecondary, usualTertiary);
    const character = String.fromCodePoint(code);
    if (rareIdeograph.test(character) || character.normalize("NFKD") !== character)
      throw missing(`the order of ${character}`, "of ideographs it has those from U+4E00 to U+9FFF: compare by a key of your own");
    this.#push(unassigned + code, usualSecondary, usualTertiary);
  }

  #context(code: number, start: number): readonly number[] | undefined {
    const prefix = prefixesOf(code).find(({ text }) => start >= text.length && this.#text.startsWith(text, start - text.length));
    if (prefix !== undefined) return prefix.weights;
    const contractions = contractionsOf(code);
    const found = contractions.find(({ text }) => this.#text.startsWith(text, this.#at));
    if (found !== undefined) this.#at += found.text.length;
    return this.#withMarks(contractions, found)?.weights;
  }

  /** Marks that no mark of their class keeps from the letter belong to it too (UTS #10, S2.1.1). Those between are read after it. */
  #withMarks(contractions: readonly Context[], contiguous: Context | undefined): Context | undefined {
    let found = contiguous;
    let skipped = "";
    let before: string | undefined;
    let at = this.#at;
    while (at < this.#text.length) {
      const mark = String.fromCodePoint(this.#text.codePointAt(at)!);
      if (!isMark(mark)) break;
      at += mark.length;
      const longer = contractions.find(({ text }) => text === (found?.text ?? "") + mark);
      if (longer !== undefined && (before === undefined || isLower(before, mark))) found = longer;
      else skipped += before = mark;
    }
    if (found === contiguous) return found;
    this.#rest ??= { text: this.#text, at };
    this.#text = skipped;
    this.#at = 0;
    return found;
  }

  /** Digits from `start` on, as numbers; false without a digit there. */
  #number(start: number): boolean {
    let digits = "";
    let at = start;
    while (at < this.#text.length) {
      const code = this.#text.codePointAt(at)!;
      const value = primaryOf(entryOf(code)) - zero;
      if (value < 0 || value > 9 || (code > 0x7f ? !decimalDigit.test(String.fromCodePoint(code)) : code < 0x30 || code > 0x39)) break;
      digits += String(value);
      at += code > 0xffff ? 2 : 1;
    }
    if (digits === "") return false;
    this.#at = at;
    for (let from = 0; from < digits.length; ) {
      while (from < digits.length - 1 && digits[from] === "0") from++;
      const part = digits.slice(from, from + mostNumberDigits);
      from += part.length;
      this.#push(beforeZero + part.length / millionths, usualSecondary, usualTertiary);
      for (let first = 0; first < part.length; first += digitsAtOnce) {
        const value = Number(part.slice(first, first + digitsAtOnce).padEnd(digitsAtOnce, "0"));
        this.#push(beforeZero + (value + 1) / millionths, usualSecondary, usualTertiary);
      }
    }
    return true;
  }

  /** Takes out what does not count from `index` on: punctuation, and marks behind it. Returns the index of the first element that stays. */
  skipVariable(index: number): number {
    let at = index;
    while (this.has(at) && this.primaries[at]! > 1 && this.primaries[at]! <= variableTop) {
      this.#clear(at++);
      while (this.has(at) && this.primaries[at] === 0) this.#clear(at++);
    }
    return at;
  }

  #clear(index: number): void {
    this.primaries[index] = 0;
    this.secondaries[index] = 0;
    this.tertiaries[index] = 0;
  }
}

/** The index of the next element from `from` on whose primary counts. */
function nextPrimary(elements: Elements, from: number, ignoresPunctuation: boolean): number {
  let at = from;
  while (elements.has(at)) {
    if (ignoresPunctuation) at = elements.skipVariable(at);
    if (!elements.has(at) || elements.primaries[at] !== 0) break;
    at++;
  }
  return at;
}

function comparePrimaries(a: Elements, b: Elements, ignoresPunctuation: boolean): number {
  let [left, right] = [0, 0];
  for (;;) {
    left = nextPrimary(a, left, ignoresPunctuation);
    right = nextPrimary(b, right, ignoresPunctuation);
    const difference = (a.primaries[left++] ?? 0) - (b.primaries[right++] ?? 0);
    if (difference !== 0) return difference;
    if (left > a.primaries.length) return 0;
  }
}

/** Compares weights that are not 0, in order; a text that ends comes first. */
function compareWeights(a: readonly number[], b: readonly number[]): number {
  let [left, right] = [0, 0];
  for (;;) {
    while (a[left] === 0) left++;
    while (b[right] === 0) right++;
    const difference = (a[left++] ?? 0) - (b[right++] ?? 0);
    if (difference !== 0) return difference;
    if (left > a.length) return 0;
  }
}

/** Cases from 1 on of the elements that have a primary: lower, mixed, upper. */
function cases({ primaries, tertiaries }: Elements): number[] {
  return tertiaries.map((tertiary, index) => (primaries[index] === 0 || tertiary === 0 ? 0 : (tertiary >> 6) + 1));
}

/** Tertiary weights with their cases, as `caseFirst` orders them, or without. */
function finest({ secondaries, tertiaries }: Elements, caseFirst: Order["caseFirst"]): number[] {
  return tertiaries.map((tertiary, index) => {
    if (tertiary === 0) return 0;
    if (caseFirst === "false") return tertiary % 64;
    if (caseFirst === "lower") return tertiary;
    // Of what is no letter, nor a mark, the case stays above all those.
    return secondaries[index] === 0 ? tertiary + 64 : (3 - (tertiary >> 6)) * 64 + (tertiary % 64);
  });
}

/** Primaries of ASCII: no character behind one of these changes its. 0 for controls. */
const asciiPrimaries = new Uint16Array(0x80);
for (let code = 0; code < asciiPrimaries.length; code++) eachElement(entryOf(code), (primary) => void (asciiPrimaries[code] = primary));

/** The order of two texts whose first difference of primaries is in ASCII; undefined for all others. */
function quickOrder(left: string, right: string): number | undefined {
  const length = Math.max(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = index < left.length ? left.charCodeAt(index) : -1;
    const b = index < right.length ? right.charCodeAt(index) : -1;
    if (a > 0x7f || b > 0x7f) return undefined;
    const [first, second] = [a < 0 ? -1 : asciiPrimaries[a]!, b < 0 ? -1 : asciiPrimaries[b]!];
    if (first === 0 || second === 0) return undefined;
    if (first !== second) return first - second;
  }
  return undefined;
}

/** Negative, 0 or positive. Throws MF_NO_INTL for text whose order a machine does not have. */
export function compareTexts(left: string, right: string, order: Order): number {
  if (left === right) return 0;
  const quick = order.isNumeric || order.ignoresPunctuation ? undefined : quickOrder(left, right);
  if (quick !== undefined) return quick;
  const [a, b] = [new Elements(left, order), new Elements(right, order)];
  const difference = comparePrimaries(a, b, order.ignoresPunctuation);
  if (difference !== 0 || order.sensitivity === "base") return difference;
  a.readAll();
  b.readAll();
  if (order.sensitivity === "case") {
    const [first, second] = order.caseFirst === "upper" ? [b, a] : [a, b];
    return compareWeights(cases(first), cases(second));
  }
  const accents = compareWeights(a.secondaries, b.secondaries);
  if (accents !== 0 || order.sensitivity === "accent") return accents;
  return compareWeights(finest(a, order.caseFirst), finest(b, order.caseFirst));
}
