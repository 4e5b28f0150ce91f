/** SHA-256 of the text of a long JSON value, taken in slices: the same as of the whole text at once. */
import { createHash } from "node:crypto";

const quote = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/** Bytes of one slice: some milliseconds to decode. */
const sliceBytes = 128 * 1024;

/** Of a surrogate pair. */
const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;

export class TextHash {
  readonly #literal: Uint8Array;
  readonly #isText: boolean;
  readonly #end: number;
  readonly #hash = createHash("sha256");
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #at: number;
  /** The first half of a surrogate pair whose second half comes in the next slice. */
  #half = "";

  /** `literal`: a value as it stands in sound JSON. A string counts as the text it stands for, anything else as it is written. */
  constructor(literal: Uint8Array) {
    this.#literal = literal;
    this.#isText = literal[0] === quote;
    this.#at = this.#isText ? 1 : 0;
    this.#end = this.#isText ? literal.length - 1 : literal.length;
  }

  /** Takes in a slice. True when there is more. */
  slice(mostBytes: number = sliceBytes): boolean {
    const until = this.#sliceEnd(mostBytes);
    const isLast = until >= this.#end;
    const written = this.#decoder.decode(this.#literal.subarray(this.#at, until), { stream: !isLast });
    const text = this.#half + (this.#isText ? (JSON.parse(`"${written}"`) as string) : written);
    this.#at = until;
    const isHalf = !isLast && isFirstHalf(text.charCodeAt(text.length - 1));
    this.#half = isHalf ? text.slice(-1) : "";
    this.#hash.update(isHalf ? text.slice(0, -1) : text);
    return !isLast;
  }

  /** Behind the escape that the slice would end in. */
  #sliceEnd(mostBytes: number): number {
    const until = Math.min(this.#end, this.#at + mostBytes);
    const slice = this.#literal.subarray(this.#at, until);
    if (!this.#isText) return until;
    for (let at = 0; ; ) {
      const escape = slice.indexOf(backslash, at);
      if (escape < 0) return until;
      at = escape + (this.#literal[this.#at + escape + 1] === letterU ? 6 : 2);
      if (at >= slice.length) return this.#at + at;
    }
  }

  /** In hexadecimal digits, once everything was taken in. */
  digest(): string {
    return this.#hash.digest("hex");
  }
}
