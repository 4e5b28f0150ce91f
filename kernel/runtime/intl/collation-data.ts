/**
 * The root collation (CLDR): elements of code points, read from collation-table.ts once, when the image is built. Weights are ranks: only their
 * order counts. The table is numbers that are not negative, of one character below 60, two below 2552, else five:
 * - shapes: of each its number of elements, and of an element 2 × primary, and 1 more if a secondary and a tertiary weight
 *   follow; else it has the usual ones. A primary of 1 is the code point's own, and all from 2 on are 1 more than their rank. Of a tertiary weight the
 *   bits from 6 on are the case: 0 lower, 1 mixed, 2 upper.
 * - runs of code points in order: 12 × shape, and 6 if a gap to the run before follows; 0, 2 or 4 if the primary rises by 0, by 1, or by a number that
 *   follows, from one code point to the next; and 1 if a length follows.
 * - ideographs U+4E00 to U+9FFF by their primaries, in runs: from the end of the one before to the first of this one, and their number.
 * - contractions and prefixes: a code point, as distance to the one before; a number of texts; of each its length, its code points as distances,
 *   and its elements as a shape: one of no elements stands for those of the text and then those of the code point.
 */
import { alphabet, contractions, counts, firstIdeograph, ideographs, prefixes, runs, shapes, usualWeights } from "./collation-table.ts";

export interface Context {
  readonly text: string;
  /** Primary, secondary and tertiary weight of one element after another. */
  readonly weights: readonly number[];
}

const pageBits = 7;
const pageSize = 1 << pageBits;
/** Of a code point: its own primary, 2¹⁶ if contexts count, and 2¹⁷ × (the number of its shape + 1). 0 without an entry. */
const ownMask = 0xffff;
const contextFlag = 0x10000;
const shapeBits = 17;
const lowestIdeograph = 0x4e00;
const highestIdeograph = 0x9fff;
/** Below, and so for the letters of most texts, no run rises so far. */
const lowestRising = 0x1000;
/** Runs of at least so many code points with one shape whose primaries rise by 1 are kept as such. */
const fewestRising = 64;

class Reader {
  readonly #text: string;
  #at: number;
  constructor(text: string, at = 0) {
    this.#text = text;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  #digit(): number {
    return digits[this.#text.charCodeAt(this.#at++)]!;
  }

  number(): number {
    const first = this.#digit();
    if (first < 60) return first;
    if (first < alphabet.length - 1) return 60 + (first - 60) * alphabet.length + this.#digit();
    let value = 0;
    for (let count = 0; count < 4; count++) value = value * alphabet.length + this.#digit();
    return value;
  }

  signed(): number {
    const value = this.number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Weights of elements, three of each; the code point's own primary is -1. */
  shape(): number[] {
    const found: number[] = [];
    for (let count = this.number(); count > 0; count--) {
      const head = this.number();
      const primary = head >> 1;
      const weights = head % 2 === 0 ? usualWeights : [this.number(), this.number()];
      found.push(primary === 0 ? 0 : primary === 1 ? -1 : primary - 1, ...weights);
    }
    return found;
  }
}

const digits = new Uint8Array(128);
for (let index = 0; index < alphabet.length; index++) digits[alphabet.charCodeAt(index)] = index;

// Typed arrays, since they are part of every image that has this module.
const weights = new Int32Array(counts.weights);
const starts = new Uint16Array(counts.shapes + 1);
const entries = new Uint32Array(counts.pages * pageSize);
/** Of a page of code points: its place in `entries`, from 1; 0 for none. */
const pages = new Uint16Array(0x110000 >> pageBits);
/** Runs of code points with one shape whose primaries rise by 1: the first, the one behind the last, and the entry of the first. */
const rising: (readonly [start: number, end: number, entry: number])[] = [];
const places = new Uint16Array(highestIdeograph - lowestIdeograph + 1);
/** Of a code point: where its contexts are in the table, and once they are read those themselves. */
const contractionsAt = new Map<number, number | readonly Context[]>();
const prefixesAt = new Map<number, number | readonly Context[]>();

function setEntry(code: number, entry: number): void {
  const page = (pages[code >> pageBits] ||= ++pagesInUse);
  entries[(page - 1) * pageSize + (code & (pageSize - 1))] = entry;
}
let pagesInUse = 0;

/** The entry of a code point, for the functions below; 0 without one. */
export function entryOf(code: number): number {
  const page = pages[code >> pageBits]!;
  const entry = page === 0 ? 0 : entries[(page - 1) * pageSize + (code & (pageSize - 1))]!;
  if (entry !== 0 || code < lowestRising) return entry;
  const run = rising.find(([start, end]) => code >= start && code < end);
  return run === undefined ? 0 : run[2] + code - run[0];
}
export function primaryOf(entry: number): number {
  return entry & ownMask;
}
export function hasContexts(entry: number): boolean {
  return (entry & contextFlag) !== 0;
}

/** Calls `push` with the weights of each element. */
export function eachElement(entry: number, push: (primary: number, secondary: number, tertiary: number) => void): void {
  const shape = (entry >>> shapeBits) - 1;
  for (let at = starts[shape]!; at < starts[shape + 1]!; at += 3)
    push(weights[at]! < 0 ? entry & ownMask : weights[at]!, weights[at + 1]!, weights[at + 2]!);
}

function weightsOf(code: number): number[] {
  const found: number[] = [];
  eachElement(entryOf(code), (...element) => found.push(...element));
  return found;
}

/** Texts that may follow a code point and have elements together with it, the longest first. */
export function contractionsOf(code: number): readonly Context[] {
  return contextsOf(code, contractions, contractionsAt);
}
/** Texts that may stand before a code point and change its elements. */
export function prefixesOf(code: number): readonly Context[] {
  return contextsOf(code, prefixes, prefixesAt);
}

function contextsOf(code: number, table: string, at: Map<number, number | readonly Context[]>): readonly Context[] {
  const known = at.get(code) ?? [];
  if (typeof known !== "number") return known;
  const reader = new Reader(table, known);
  const found: Context[] = [];
  for (let count = reader.number(); count > 0; count--) {
    const codes = Array.from({ length: reader.number() }, () => code + reader.signed());
    const shape = reader.shape();
    found.push({ text: String.fromCodePoint(...codes), weights: shape.length > 0 ? shape : [...weightsOf(codes[0]!), ...weightsOf(code)] });
  }
  found.sort((a, b) => b.text.length - a.text.length);
  at.set(code, found);
  return found;
}

/** The primary of an ideograph of the block U+4E00 to U+9FFF; undefined for all else. */
export function ideographPrimary(code: number): number | undefined {
  return code >= lowestIdeograph && code <= highestIdeograph ? firstIdeograph + places[code - lowestIdeograph]! : undefined;
}

function readShapes(): void {
  const reader = new Reader(shapes);
  let end = 0;
  for (let index = 0; index < counts.shapes; index++) {
    for (const weight of reader.shape()) weights[end++] = weight;
    starts[index + 1] = end;
  }
}

function readRuns(): void {
  const reader = new Reader(runs);
  let [code, primary] = [0, 0];
  while (!reader.isAtEnd) {
    const head = reader.number();
    const kind = head % 12;
    if (kind >= 6) code += reader.number();
    const stepKind = (kind % 6) >> 1;
    const step = stepKind === 2 ? reader.signed() : stepKind;
    const shape = (Math.floor(head / 12) + 1) << shapeBits;
    let count = kind % 2 === 1 ? reader.number() : 1;
    if (stepKind === 1 && count >= fewestRising) {
      rising.push([code, code + count, shape | (primary + 1)]);
      code += count;
      primary += count;
      count = 0;
    }
    for (; count > 0; count--) setEntry(code++, shape | (primary += step));
  }
}

function readIdeographs(): void {
  const reader = new Reader(ideographs);
  let [code, place] = [lowestIdeograph, 0];
  while (!reader.isAtEnd) {
    code += reader.signed();
    for (let count = reader.number(); count > 0; count--) places[code++ - lowestIdeograph] = place++;
  }
}

function findContexts(table: string, at: Map<number, number | readonly Context[]>): void {
  const reader = new Reader(table);
  let code = 0;
  while (!reader.isAtEnd) {
    code += reader.number();
    at.set(code, reader.at);
    setEntry(code, entryOf(code) | contextFlag);
    for (let count = reader.number(); count > 0; count--) {
      for (let length = reader.number(); length > 0; length--) reader.signed();
      reader.shape();
    }
  }
}

readShapes();
readRuns();
findContexts(contractions, contractionsAt);
findContexts(prefixes, prefixesAt);
readIdeographs();
