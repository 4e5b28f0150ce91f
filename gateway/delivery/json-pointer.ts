/**
 * Texts of values in JSON bytes, found without building the others: one pass, no recursion, a byte of memory for each container that is
 * open. The same as JSON.parse and a walk along the pointer give: of equal names the last counts, "__proto__" is a name like any other, an
 * index is a name of an array's, and what is not JSON from its first byte to its last has no value.
 */

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

class Scanner {
  readonly #bytes: Uint8Array;
  readonly trails: readonly Trail[];
  isJson = false;
  #at = 0;
  /** A value begins here; or else one has just ended. */
  #valueNext = true;
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
    const lastByte = this.#at + mostBytes;
    try {
      for (let steps = 0; steps < mostSteps && this.#at <= lastByte; steps++) {
        this.#space();
        if (this.#valueNext) this.#value();
        else if (this.#depth > 0) this.#behind();
        else {
          this.isJson = this.#at === this.#bytes.length;
          return false;
        }
      }
      return true;
    } catch (error) {
      if (error instanceof Malformed) return false;
      throw error;
    }
  }

  /** A scalar, or the beginning of a container up to its first value. */
  #value(): void {
    for (const trail of this.trails) trail.begin(this.#depth, this.#at);
    const byte = this.#bytes[this.#at];
    this.#valueNext = false;
    if (byte !== openBrace && byte !== openBracket) {
      this.#scalar(byte);
      for (const trail of this.trails) trail.end(this.#depth, this.#at);
      return;
    }
    this.#open(byte === openBrace ? closeBrace : closeBracket);
    this.#space();
    if (this.#bytes[this.#at] === this.#closers[this.#depth - 1]) {
      this.#at++;
      return this.#close();
    }
    this.#member();
  }

  /** What follows a value: another one, or the end of its container. */
  #behind(): void {
    const byte = this.#bytes[this.#at++];
    if (byte === comma) {
      if (this.#depth < this.#indexes.length) (this.#indexes[this.#depth] as number)++;
      this.#space();
      return this.#member();
    }
    if (byte !== this.#closers[this.#depth - 1]) throw new Malformed();
    this.#close();
  }

  #open(closer: number): void {
    this.#at++;
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
    this.#depth--;
    for (const trail of this.trails) {
      trail.on = trail.live === this.#depth + 1;
      if (trail.on) trail.live = this.#depth;
      trail.end(this.#depth, this.#at);
    }
  }

  /** The name of an object's next member; says which trails it is on. */
  #member(): void {
    this.#valueNext = true;
    const depth = this.#depth;
    if (this.#closers[depth - 1] === closeBracket) {
      for (const trail of this.trails) {
        const step = trail.step(depth);
        trail.on = step !== undefined && step === String(this.#indexes[depth]);
      }
      return;
    }
    const from = this.#at;
    if (this.#bytes[from] !== quote) throw new Malformed();
    this.#string();
    for (const trail of this.trails) trail.on = trail.isStep(depth, this.#bytes, from, this.#at);
    this.#space();
    if (this.#bytes[this.#at++] !== colon) throw new Malformed();
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #scalar(byte: number | undefined): void {
    if (byte === quote) return this.#string();
    if (byte === minus || (byte !== undefined && byte >= zero && byte <= nine)) return this.#number();
    const word = words.find((each) => each[0] === byte);
    if (word === undefined) throw new Malformed();
    for (const expected of word) if (this.#bytes[this.#at++] !== expected) throw new Malformed();
  }

  #string(): void {
    const bytes = this.#bytes;
    for (let at = this.#at + 1; ; at++) {
      const byte = bytes[at];
      if (byte === undefined || byte < 0x20) throw new Malformed();
      if (byte === quote) {
        this.#at = at + 1;
        return;
      }
      if (byte !== backslash) continue;
      const next = bytes[++at];
      if (next === 0x75) {
        for (let digit = 0; digit < 4; digit++) if (!isHex(bytes[++at])) throw new Malformed();
      } else if (next === undefined || !escaped.has(next)) throw new Malformed();
    }
  }

  #number(): void {
    if (this.#bytes[this.#at] === minus) this.#at++;
    if (this.#bytes[this.#at] === zero) this.#at++;
    else this.#digits();
    if (this.#bytes[this.#at] === dot) {
      this.#at++;
      this.#digits();
    }
    const exponent = this.#bytes[this.#at];
    if (exponent !== 0x65 && exponent !== 0x45) return;
    this.#at++;
    const sign = this.#bytes[this.#at];
    if (sign === minus || sign === 0x2b) this.#at++;
    this.#digits();
  }

  /** One at least. */
  #digits(): void {
    const from = this.#at;
    for (let byte = this.#bytes[from]; byte !== undefined && byte >= zero && byte <= nine; byte = this.#bytes[this.#at]) this.#at++;
    if (this.#at === from) throw new Malformed();
  }
}

function isHex(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= zero && byte <= nine) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66));
}

/** The text a JSON string stands for. */
function textOf(literal: Uint8Array): string {
  return JSON.parse(decoder.decode(literal)) as string;
}

/** A longer value that is no text is given as it stands there, not as JSON.stringify writes it. */
export const mostNormalBytes = 64 * 1024;

function valueText(bytes: Uint8Array, { found }: Trail): string | undefined {
  if (found === undefined) return undefined;
  const literal = bytes.subarray(found.from, found.to);
  if (literal[0] === quote) return textOf(literal);
  const text = decoder.decode(literal);
  if (literal.length > mostNormalBytes) return text;
  const value = JSON.parse(text) as unknown;
  try {
    return value === null ? undefined : JSON.stringify(value);
  } catch {
    return text; // nested deeper than stringify goes
  }
}

/** What one slice reads at most: some milliseconds of a hostile body, and of one long string. */
const sliceSteps = 8192;
const sliceBytes = 1024 * 1024;

/**
 * The value at each pointer as a text: a string as it is, anything else as JSON.stringify writes it, and undefined for null, for what is not
 * there and where the bytes are not JSON. Never throws.
 */
export class Scan {
  readonly #bytes: Uint8Array;
  readonly #scanner: Scanner;

  constructor(bytes: Uint8Array, pointers: readonly (readonly string[])[]) {
    this.#bytes = bytes;
    this.#scanner = new Scanner(bytes, pointers);
  }

  /** Reads on. True when there is more. */
  slice(): boolean {
    return this.#scanner.run(sliceSteps, sliceBytes);
  }

  /** Once everything is read. */
  values(): readonly (string | undefined)[] {
    const { isJson, trails } = this.#scanner;
    return trails.map((trail) => (isJson ? valueText(this.#bytes, trail) : undefined));
  }
}

/** The same, at once. */
export function valuesAt(bytes: Uint8Array, pointers: readonly (readonly string[])[]): readonly (string | undefined)[] {
  const scan = new Scan(bytes, pointers);
  while (scan.slice());
  return scan.values();
}
