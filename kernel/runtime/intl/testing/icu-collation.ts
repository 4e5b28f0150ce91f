/**
 * Reads the root collation (CLDR) from the ICU data that Node's own binary carries: the file `ucadata.icu`, found by its header. The layout
 * is ICU's collation data, format version 5: a trie from code points to 32-bit values, which stand for collation elements or lead to more.
 */
import { readFileSync } from "node:fs";

/** One collation element. */
export interface Element {
  readonly primary: number;
  readonly secondary: number;
  /** Bits 14 and 15 are the case: 0 lower, 1 mixed, 2 upper. */
  readonly tertiary: number;
}
export interface Mapping {
  readonly code: number;
  readonly elements: readonly Element[];
  /** Texts behind the code point, with the elements of both. */
  readonly contractions: readonly (readonly [suffix: string, elements: readonly Element[]])[];
  /** Texts before the code point, with its elements then. */
  readonly prefixes: readonly (readonly [prefix: string, elements: readonly Element[]])[];
}

/** Where the parts of the file are, in its list of offsets. */
const [trieAt, elementsAt, valuesAt, contextsAt] = [7, 9, 11, 13];
const headerBytes = 32;
const common = { secondary: 0x500, tertiary: 0x500 };
const tagOf = (value: number): number => ((value & 0xff) < 0xc0 ? -1 : value & 15);
const tags = {
  longPrimary: 1,
  longSecondary: 2,
  latin: 4,
  values: 5,
  elements: 6,
  prefix: 8,
  contraction: 9,
  digit: 10,
  zero: 11,
  offset: 14,
};

/** The file, or undefined where Node carries no ICU data, or another format. */
function findData(): Buffer | undefined {
  const binary = readFileSync(process.execPath);
  for (let at = binary.indexOf("UCol"); at >= 0; at = binary.indexOf("UCol", at + 1)) {
    const start = at - 12 + headerBytes;
    if (binary[at + 4] !== 5 || binary.readUInt16LE(at - 12) !== headerBytes || binary.readInt32LE(start) !== 20) continue;
    return binary.subarray(start, start + binary.readInt32LE(start + 4 * 19));
  }
  return undefined;
}

/** Three bytes of a primary, counted on by `offset`: the bytes 0 and 1 are never used, nor 0 to 3 where primaries are compressed. */
function countOn(primary: number, isCompressed: boolean, offset: number): number {
  let left = offset + ((primary >>> 8) & 0xff) - 2;
  const low = (left % 254) + 2;
  left = Math.floor(left / 254);
  const [least, size] = isCompressed ? [4, 251] : [2, 254];
  left += ((primary >>> 16) & 0xff) - least;
  const middle = (left % size) + least;
  return ((primary >>> 24) + Math.floor(left / size)) * 0x1000000 + middle * 0x10000 + low * 0x100;
}

/** All texts of a trie of texts (UCharsTrie) with their values. */
function textsOf(unit: (at: number) => number, start: number): [string, number][] {
  const found: [string, number][] = [];
  const wide = (at: number): number => unit(at) * 0x10000 + unit(at + 1);
  function value(at: number, lead: number): [number, number] {
    if (lead < 0x4000) return [lead, at];
    return lead < 0x7fff ? [(lead - 0x4000) * 0x10000 + unit(at), at + 1] : [wide(at), at + 2];
  }
  function node(from: number, text: string): void {
    let at = from + 1;
    let lead = unit(from);
    if ((lead & 0x8000) !== 0) return void found.push([text, value(at, lead & 0x7fff)[0]]);
    if (lead >= 0x40) {
      const kind = lead & 0x7fc0;
      if (kind < 0x4040) found.push([text, (kind >> 6) - 1]);
      else found.push([text, kind < 0x7fc0 ? (kind - 0x4040) * 0x400 + unit(at++) : wide(at)]);
      if (kind === 0x7fc0) at += 2;
      lead &= 0x3f;
    }
    if (lead < 0x30) return branch(lead === 0 ? at + 1 : at, (lead === 0 ? unit(at) : lead) + 1, text);
    const units = Array.from({ length: lead - 0x2f }, (_, index) => unit(at + index));
    node(at + units.length, text + String.fromCharCode(...units));
  }
  function branch(from: number, count: number, text: string): void {
    let [at, length] = [from, count];
    while (length > 5) {
      let delta = unit(at + 1);
      at += 2;
      if (delta === 0xffff) [delta, at] = [wide(at), at + 2];
      else if (delta >= 0xfc00) delta = (delta - 0xfc00) * 0x10000 + unit(at++);
      branch(at + delta, length >> 1, text);
      length -= length >> 1;
    }
    for (; length > 1; length--) {
      const longer = text + String.fromCharCode(unit(at));
      const lead = unit(at + 1);
      const [read, next] = value(at + 2, lead & 0x7fff);
      at = next;
      if ((lead & 0x8000) === 0) node(at + read, longer);
      else found.push([longer, read]);
    }
    node(at + 1, text + String.fromCharCode(unit(at)));
  }
  node(start, "");
  return found;
}

class Data {
  readonly #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #part(index: number): number {
    return this.#bytes.readInt32LE(4 * index);
  }

  /** The trie's value of a code point (UTrie2: the index in two steps above U+FFFF, blocks of 32). */
  value(code: number): number {
    const trie = this.#part(trieAt);
    const index = trie + 16;
    const data = index + 2 * this.#bytes.readUInt16LE(trie + 6);
    const at = (entry: number): number => this.#bytes.readUInt16LE(index + 2 * entry);
    const lead = code >= 0xd800 && code < 0xdc00 ? 0x140 : 0;
    if (code >= this.#bytes.readUInt16LE(trie + 14) << 11)
      return this.#bytes.readUInt32LE(data + 4 * ((this.#bytes.readUInt16LE(trie + 8) << 2) - 4));
    const block = code < 0x10000 ? at(lead + (code >> 5)) : at(at(0x840 - 32 + (code >> 11)) + ((code >> 5) & 63));
    return this.#bytes.readUInt32LE(data + 4 * ((block << 2) + (code & 31)));
  }

  #whole(index: number): Element {
    const at = this.#part(elementsAt) + 8 * index;
    return {
      primary: this.#bytes.readUInt32LE(at + 4),
      secondary: this.#bytes.readUInt16LE(at + 2),
      tertiary: this.#bytes.readUInt16LE(at),
    };
  }

  #unit = (at: number): number => this.#bytes.readUInt16LE(this.#part(contextsAt) + 2 * at);

  #values(index: number): number {
    return this.#bytes.readUInt32LE(this.#part(valuesAt) + 4 * index);
  }

  /** Undefined for what has no elements of its own: unassigned code points, surrogates, Hangul syllables. */
  elements(value: number, code: number): Element[] | undefined {
    const [index, length] = [value >>> 13, (value >>> 8) & 31];
    switch (tagOf(value)) {
      case -1:
        return [{ primary: (value & 0xffff0000) >>> 0, secondary: value & 0xff00, tertiary: (value & 0xff) << 8 }];
      case tags.longPrimary:
        return [{ primary: (value & 0xffffff00) >>> 0, ...common }];
      case tags.longSecondary:
        return [{ primary: 0, secondary: value >>> 16, tertiary: value & 0xff00 }];
      case tags.latin:
        return [
          { primary: (value & 0xff000000) >>> 0, secondary: 0x500, tertiary: (value & 0xff0000) >>> 8 },
          { primary: 0, secondary: value & 0xff00, tertiary: 0x500 },
        ];
      case tags.values:
        return Array.from({ length }, (_, at) => this.elements(this.#values(index + at), code) ?? []).flat();
      case tags.elements:
        return Array.from({ length }, (_, at) => this.#whole(index + at));
      case tags.digit:
      case tags.zero:
        return this.elements(this.#values(tagOf(value) === tags.zero ? 0 : index), code);
      case tags.offset: {
        const at = this.#part(elementsAt) + 8 * index;
        const low = this.#bytes.readUInt32LE(at);
        return [{ primary: countOn(this.#bytes.readUInt32LE(at + 4), (low & 0x80) !== 0, (code - (low >>> 8)) * (low & 0x7f)), ...common }];
      }
      case tags.prefix:
      case tags.contraction:
        return this.elements(this.#unit(index) * 0x10000 + this.#unit(index + 1), code);
      default:
        return undefined;
    }
  }

  texts(value: number, tag: number, code: number): (readonly [string, Element[]])[] {
    if (tagOf(value) !== tag) return [];
    return textsOf(this.#unit, (value >>> 13) + 2).map(([text, found]) => [text, this.elements(found, code) ?? []] as const);
  }
}

/** Every code point that has elements of its own, in order; undefined if Node carries no such data. */
export function rootCollation(): Mapping[] | undefined {
  const bytes = findData();
  if (bytes === undefined) return undefined;
  const data = new Data(bytes);
  const found: Mapping[] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    const value = data.value(code);
    const elements = code === 0xfdd1 ? undefined : data.elements(value, code); // U+FDD1 marks where scripts begin, for lists of letters
    if (elements === undefined) continue;
    found.push({
      code,
      elements,
      contractions: data.texts(value, tags.contraction, code),
      prefixes: data.texts(value, tags.prefix, code),
    });
  }
  return found;
}
