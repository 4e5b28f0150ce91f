/**
 * Long JSON bodies, read for `key:` and `dedup.by:` in slices with other work in between: a few MiB of short values take a second, and
 * whoever sends them must not keep other flows waiting. One slice at a time for the whole process, in turn over the bodies.
 */
import { Scan, TextHash, textOfValue } from "#base";

/** Bodies up to this are read at once: that takes no longer than a slice. */
export const shortBytes = 16 * 1024;
/** Values from this on are longer than any key, also when each unit of them is an escape of six bytes: their hash is the key. */
const longBytes = 64 * 1024;

type Texts = readonly (string | undefined)[];

class Reading {
  readonly done: (texts: Texts) => void;
  readonly failed: (error: unknown) => void;
  readonly #scan: Scan;
  #hashes: readonly (TextHash | undefined)[] | undefined;

  constructor(scan: Scan, done: (texts: Texts) => void, failed: (error: unknown) => void) {
    this.#scan = scan;
    this.done = done;
    this.failed = failed;
  }

  /** Reads on. True when there is more. */
  slice(): boolean {
    if (this.#hashes !== undefined) return this.#hashes.some((hash) => hash?.slice() === true);
    if (this.#scan.slice()) return true;
    const isLong = (literal: Uint8Array | undefined): literal is Uint8Array => literal !== undefined && literal.length > longBytes;
    this.#hashes = this.#scan.literals().map((literal) => (isLong(literal) ? new TextHash(literal) : undefined));
    return this.#hashes.some((hash) => hash !== undefined);
  }

  texts(): Texts {
    return this.#scan.literals().map((literal, index) => this.#hashes?.[index]?.digest() ?? textOfValue(literal));
  }
}

const readings: Reading[] = [];

/** The texts of the values at the pointers, as of `valuesAt`, later; of a long one the SHA-256, in hexadecimal digits. */
export function readInSlices(bytes: Uint8Array, pointers: readonly (readonly string[])[]): Promise<Texts> {
  return new Promise((done, failed) => {
    readings.push(new Reading(new Scan(bytes, pointers), done, failed));
    if (readings.length === 1) setImmediate(turn);
  });
}

function turn(): void {
  const reading = readings.shift();
  if (reading === undefined) return;
  try {
    if (reading.slice()) readings.push(reading);
    else reading.done(reading.texts());
  } catch (error) {
    reading.failed(error); // the others are read all the same
  }
  if (readings.length > 0) setImmediate(turn);
}
