/** DER (X.690) as far as keys need it: strict, since two encodings of one key are no key of ours. */
import { dataError, joined, minimal } from "./registry.ts";

export const tags = { integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, sequence: 0x30, context0: 0xa0, context1: 0xa1 } as const;

const nothing = "the key is not in the DER that its format asks for";

/** Reads values one after the other. Throws DataError. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Tag of the next value; undefined at the end. */
  get next(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** Contents of the next value, which must have this tag. */
  take(tag: number): Uint8Array {
    if (this.next !== tag) throw dataError(nothing);
    let length = this.#bytes[this.#at + 1] ?? 0x80;
    this.#at += 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (this.#bytes[this.#at + i] ?? 0);
      if (count === 0 || count > 4 || length < 0x80 || length < 256 ** (count - 1)) throw dataError(nothing);
      this.#at += count;
    }
    if (this.#at + length > this.#bytes.length) throw dataError(nothing);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  inside(tag: number): DerReader {
    return new DerReader(this.take(tag));
  }

  /** A number that is not negative, without leading zeros. */
  integer(): Uint8Array {
    const bytes = this.take(tags.integer);
    const isLong = bytes.length > 1 && bytes[0] === 0 && bytes[1]! < 0x80;
    if (bytes.length === 0 || bytes[0]! >= 0x80 || isLong) throw dataError(nothing);
    return minimal(bytes);
  }

  /** Whole bytes of a bit string. */
  bits(): Uint8Array {
    const bytes = this.take(tags.bits);
    if (bytes[0] !== 0) throw dataError(nothing);
    return bytes.subarray(1);
  }

  end(): void {
    if (!this.isDone) throw dataError(nothing);
  }
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = joined(...parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return joined(Uint8Array.of(tag, ...head), content);
}

export function derInteger(bytes: Uint8Array): Uint8Array {
  const number = minimal(bytes);
  return der(tags.integer, number[0]! >= 0x80 ? joined(Uint8Array.of(0), number) : number);
}

export function derBits(bytes: Uint8Array): Uint8Array {
  return der(tags.bits, Uint8Array.of(0), bytes);
}

/** A key with its algorithm: `parameters` is what stands behind the identifier. */
export interface Labelled {
  readonly oid: Uint8Array;
  readonly parameters: Uint8Array;
  readonly key: Uint8Array;
}

function algorithmIn(reader: DerReader): Pick<Labelled, "oid" | "parameters"> {
  const content = reader.take(tags.sequence);
  const inner = new DerReader(content);
  const oid = inner.take(tags.oid);
  return { oid, parameters: content.subarray(2 + oid.length) };
}

/** SubjectPublicKeyInfo (RFC 5280, §4.1). */
export function readSpki(bytes: Uint8Array): Labelled {
  const whole = new DerReader(bytes);
  const reader = whole.inside(tags.sequence);
  whole.end();
  const algorithm = algorithmIn(reader);
  const key = reader.bits();
  reader.end();
  return { ...algorithm, key };
}

/** PrivateKeyInfo (RFC 5208) and OneAsymmetricKey (RFC 5958); what stands behind the key is passed over. */
export function readPkcs8(bytes: Uint8Array): Labelled {
  const whole = new DerReader(bytes);
  const reader = whole.inside(tags.sequence);
  whole.end();
  const version = reader.integer();
  if (version.length !== 1 || version[0]! > 1) throw dataError(nothing);
  const algorithm = algorithmIn(reader);
  const key = reader.take(tags.octets);
  while (!reader.isDone) reader.take(reader.next === 0x81 ? 0x81 : reader.next === tags.context1 ? tags.context1 : tags.context0);
  return { ...algorithm, key };
}

export function writeSpki({ oid, parameters, key }: Labelled): Uint8Array {
  return der(tags.sequence, der(tags.sequence, der(tags.oid, oid), parameters), derBits(key));
}

export function writePkcs8({ oid, parameters, key }: Labelled): Uint8Array {
  return der(tags.sequence, derInteger(Uint8Array.of(0)), der(tags.sequence, der(tags.oid, oid), parameters), der(tags.octets, key));
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
