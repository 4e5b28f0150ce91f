/**
 * Texts of values in JSON bytes, found without building the others: one pass, no recursion, a byte of memory for each container that is
 * open. The same as JSON.parse and a walk along the pointer give: of equal names the last counts, "__proto__" is a name like any other, an
 * index is a name of an array's, and what is not JSON from its first byte to its last has no value.
 */
import { mostNormalJsonBytes } from "./limits.ts";

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const words = ["true", "false", "null"].map((word) => Uint8Array.from(Buffer.from(word)));

/** Characters that may follow a backslash, but for u. */
const escaped = new Set([...'"\\/bfnrt'].map((each) => each.charCodeAt(0)));

class Malformed extends Error {}

/** A step whose text in JSON is most likely the same bytes: ASCII without quotes, backslashes and controls. */
const plain = /^[ !#-[\]-~]*$/;

/** How far the path of one pointer is followed. */
class Trail {
  readonly steps: readonly string[];
  /** The steps as bytes, where they are plain. */
  readonly #plain: readonly (Uint8Array | undefined)[];
  /** Open containers, from the outermost, that the pointer leads into. */
  live = 0;
  /** The value that comes, or has just been read, is one the pointer leads to or through. */
  on = true;
  #from = 0;
  found: { readonly from: number; readonly to: number } | undefined;

  constructor(steps: readonly string[]) {
    this.steps = steps;
    this.#plain = steps.map((step) => (plain.test(step) ? Uint8Array.from(Buffer.from(step)) : undefined));
  }

  /** True when the name between the quotes from `from` to `to` is the step into the container that is `depth` deep. */
  isStep(depth: number, bytes: Uint8Array, from: number, to: number): boolean {
    const step = this.live === depth ? this.steps[depth - 1] : undefined;
    const length = to - from - 2;
    // A UTF-16 unit takes one to six bytes.
    if (step === undefined || length < step.length || length > step.length * 6) return false;
    const expected = this.#plain[depth - 1];
    if (expected !== undefined && length === expected.length) {
      for (let at = 0; at < length; at++) if (bytes[from + 1 + at] !== expected[at]) return false;
      return true;
    }
    if (expected !== undefined && !bytes.subarray(from, to).includes(backslash)) return false;
    return textOf(bytes.subarray(from, to)) === step;
  }

  /** A value begins within `depth` containers. */
  begin(depth: number, at: number): void {
    if (!this.on) return;
    this.found = undefined; // of an earlier member of the same name
    if (depth === this.steps.length) this.#from = at;
  }

  end(depth: number, at: number): void {
    if (this.on && depth === this.steps.length) this.found = { from: this.#from, to: at };
  }

  /** The name of a member of the container that is `depth` deep. */
  step(depth: number): string | undefined {
    return this.live === depth ? this.steps[depth - 1] : undefined;
  }
}

/** Places of the scanner between two steps. The last five are inside a token, which may be many MiB long; before the others there may be space. */
const place = { value: 0, first: 1, member: 2, colon: 3, behind: 4, text: 5, name: 6, whole: 7, fraction: 8, exponent: 9 } as const;
type Place = (typeof place)[keyof typeof place];

class Scanner {
  readonly #bytes: Uint8Array;
  readonly trails: readonly Trail[];
  isJson = false;
  #at = 0;
  /** The end of the slice. A token is read on in the next one. */
  #until = 0;
  #place: Place = place.value;
  /** The first quote of the name that is read. */
  #nameFrom = 0;
  /** The closing bracket of each open container. */
  #closers = new Uint8Array(64);
  #depth = 0;
  /** The index of the member that is read, of containers that a pointer may lead into. */
  readonly #indexes: Uint32Array;

  constructor(bytes: Uint8Array, pointers: readonly (readonly string[])[]) {
    this.#bytes = bytes;
    this.trails = pointers.map((steps) => new Trail(steps));
    this.#indexes = new Uint32Array(Math.max(...pointers.map(({ length }) => length)) + 2);
  }

  /** Reads on, some steps or so many bytes. True when there is more; `isJson` is known afterwards. */
  run(mostSteps: number, mostBytes: number): boolean {
    const { length } = this.#bytes;
    this.#until = Math.min(length, this.#at + mostBytes);
    try {
      for (let steps = 0; steps < mostSteps; steps++) {
        if (this.#place <= place.behind) this.#space();
        if (this.#at >= this.#until && this.#until < length) return true;
        if (this.#place === place.behind && this.#depth === 0) {
          this.isJson = this.#at === length;
          return false;
        }
        this.#read();
      }
      return true;
    } catch (error) {
      if (error instanceof Malformed) return false;
      throw error;
    }
  }

  #read(): void {
    switch (this.#place) {
      case place.value:
        return this.#value();
      case place.first:
        return this.#bytes[this.#at] === this.#closers[this.#depth - 1] ? this.#close() : this.#member();
      case place.member:
        return this.#member();
      case place.colon:
        if (this.#bytes[this.#at++] !== colon) throw new Malformed();
        this.#place = place.value;
        return;
      case place.behind:
        return this.#behind();
      case place.text:
        return this.#text();
      case place.name:
        return this.#name();
      case place.whole:
        return this.#whole();
      case place.fraction:
        return this.#fraction();
      case place.exponent:
        return this.#exponent();
    }
  }

  /** A scalar, or the beginning of a container. */
  #value(): void {
    for (const trail of this.trails) trail.begin(this.#depth, this.#at);
    const byte = this.#bytes[this.#at];
    if (byte === openBrace) return this.#open(closeBrace);
    if (byte === openBracket) return this.#open(closeBracket);
    if (byte === quote) {
      this.#at++;
      this.#place = place.text;
      return this.#text();
    }
    if (byte === minus || isDigit(byte)) return this.#number(byte);
    const word = words.find((each) => each[0] === byte);
    if (word === undefined) throw new Malformed();
    for (const expected of word) if (this.#bytes[this.#at++] !== expected) throw new Malformed();
    this.#ended();
  }

  #ended(): void {
    this.#place = place.behind;
    for (const trail of this.trails) trail.end(this.#depth, this.#at);
  }

  /** Behind a value in a container: another one, or the end. */
  #behind(): void {
    const byte = this.#bytes[this.#at];
    if (byte === this.#closers[this.#depth - 1]) return this.#close();
    if (byte !== comma) throw new Malformed();
    this.#at++;
    if (this.#depth < this.#indexes.length) (this.#indexes[this.#depth] as number)++;
    this.#place = place.member;
  }

  #open(closer: number): void {
    this.#at++;
    this.#place = place.first;
    if (this.#depth === this.#closers.length) {
      const grown = new Uint8Array(2 * this.#depth);
      grown.set(this.#closers);
      this.#closers = grown;
    }
    for (const trail of this.trails) if (trail.on) trail.live = this.#depth + 1;
    this.#closers[this.#depth++] = closer;
    if (this.#depth < this.#indexes.length) this.#indexes[this.#depth] = 0;
  }

  #close(): void {
    this.#at++;
    this.#place = place.behind;
    this.#depth--;
    for (const trail of this.trails) {
      trail.on = trail.live === this.#depth + 1;
      if (trail.on) trail.live = this.#depth;
      trail.end(this.#depth, this.#at);
    }
  }

  /** The next member: in an object its name comes first. Says which trails it is on. */
  #member(): void {
    const depth = this.#depth;
    if (this.#closers[depth - 1] === closeBrace) {
      if (this.#bytes[this.#at] !== quote) throw new Malformed();
      this.#nameFrom = this.#at++;
      this.#place = place.name;
      return this.#name();
    }
    for (const trail of this.trails) {
      const step = trail.step(depth);
      trail.on = step !== undefined && step === String(this.#indexes[depth]);
    }
    this.#value();
  }

  #name(): void {
    if (!this.#string()) return;
    for (const trail of this.trails) trail.on = trail.isStep(this.#depth, this.#bytes, this.#nameFrom, this.#at);
    this.#place = place.colon;
  }

  #text(): void {
    if (this.#string()) this.#ended();
  }

  #space(): void {
    for (; this.#at < this.#until; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
    }
  }

  /** Reads on in a string. True at its end, false where the slice ends. */
  #string(): boolean {
    const bytes = this.#bytes;
    const until = this.#until;
    let at = this.#at;
    for (; at < until; at++) {
      const byte = bytes[at] as number;
      if (byte < 0x20) throw new Malformed();
      if (byte === backslash) at = this.#escape(at + 1);
      else if (byte === quote) {
        this.#at = at + 1;
        return true;
      }
    }
    this.#at = at;
    if (at >= bytes.length) throw new Malformed();
    return false;
  }

  /** The last byte of an escape, by what follows its backslash. */
  #escape(at: number): number {
    const next = this.#bytes[at];
    if (next !== 0x75) {
      if (next === undefined || !escaped.has(next)) throw new Malformed();
      return at;
    }
    for (let digit = 1; digit <= 4; digit++) if (!isHex(this.#bytes[at + digit])) throw new Malformed();
    return at + 4;
  }

  #number(byte: number | undefined): void {
    if (byte === minus) this.#at++;
    if (this.#bytes[this.#at] !== zero) return this.#enter(place.whole);
    this.#at++;
    this.#place = place.whole;
    this.#behindWhole();
  }

  #whole(): void {
    if (this.#digits()) this.#behindWhole();
  }

  #behindWhole(): void {
    if (this.#bytes[this.#at] !== dot) return this.#behindFraction();
    this.#at++;
    this.#enter(place.fraction);
  }

  #fraction(): void {
    if (this.#digits()) this.#behindFraction();
  }

  #behindFraction(): void {
    const letter = this.#bytes[this.#at];
    if (letter !== 0x65 && letter !== 0x45) return this.#ended();
    this.#at++;
    const sign = this.#bytes[this.#at];
    if (sign === minus || sign === 0x2b) this.#at++;
    this.#enter(place.exponent);
  }

  #exponent(): void {
    if (this.#digits()) this.#ended();
  }

  /** Digits come, one at least. */
  #enter(digits: typeof place.whole | typeof place.fraction | typeof place.exponent): void {
    if (!isDigit(this.#bytes[this.#at])) throw new Malformed();
    this.#place = digits;
    this.#read();
  }

  /** Reads on in digits. True behind the last, false where the slice ends. */
  #digits(): boolean {
    while (this.#at < this.#until && isDigit(this.#bytes[this.#at])) this.#at++;
    return this.#at < this.#until || this.#until === this.#bytes.length;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

/** The text a JSON string stands for. */
function textOf(literal: Uint8Array): string {
  return JSON.parse(decoder.decode(literal)) as string;
}

/** The text of a value as it stands in sound JSON: a string as it is, anything else as JSON.stringify writes it, undefined for null. */
export function textOfValue(literal: Uint8Array | undefined): string | undefined {
  if (literal === undefined) return undefined;
  if (literal[0] === quote) return textOf(literal);
  const text = decoder.decode(literal);
  if (literal.length > mostNormalJsonBytes) return text;
  const value = JSON.parse(text) as unknown;
  try {
    return value === null ? undefined : JSON.stringify(value);
  } catch {
    return text; // nested deeper than stringify goes
  }
}

/** Bounds of one slice: some milliseconds of a hostile body, and of one long string, number or space. */
const sliceSteps = 16_384;
const sliceBytes = 512 * 1024;

/** Finds the value at each pointer. Never throws. */
export class Scan {
  readonly #bytes: Uint8Array;
  readonly #scanner: Scanner;

  constructor(bytes: Uint8Array, pointers: readonly (readonly string[])[]) {
    this.#bytes = bytes;
    this.#scanner = new Scanner(bytes, pointers);
  }

  /** Reads on. True when there is more. */
  slice(mostSteps: number = sliceSteps, mostBytes: number = sliceBytes): boolean {
    return this.#scanner.run(mostSteps, mostBytes);
  }

  /** Once everything is read: the values as they stand in the JSON, undefined for one that is not there and where the bytes are not JSON. */
  literals(): readonly (Uint8Array | undefined)[] {
    const { isJson, trails } = this.#scanner;
    return trails.map(({ found }) => (isJson && found !== undefined ? this.#bytes.subarray(found.from, found.to) : undefined));
  }
}

/** The texts of the values at the pointers, at once. */
export function valuesAt(bytes: Uint8Array, pointers: readonly (readonly string[])[]): readonly (string | undefined)[] {
  const scan = new Scan(bytes, pointers);
  while (scan.slice());
  return scan.literals().map(textOfValue);
}
