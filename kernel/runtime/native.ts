/**
 * The runtime's interface to the machine below it. The functions are AssemblyScript (kernel/native/), called by the engine as
 * plain C functions; the boot code passes this object to `boot()` and keeps it from the flow.
 */
export interface Native {
  /** The kind of the event of this step (docs/ABI.md, "Events"). */
  kind(): number;
  /** A part of the event as text, or undefined when absent. Malformed UTF-8 becomes U+FFFD; with `fatal` it throws TypeError and names the byte. */
  text(part: number, fatal?: boolean): string | undefined;
  /** A part of the event as bytes of its own, or undefined when absent. */
  bytes(part: number): Uint8Array | undefined;
  /** A part of the event parsed as JSON straight from its bytes; throws SyntaxError. Undefined when absent or empty. */
  json(part: number): unknown;
  /** A part of the event as a number; NaN when it is not 8 bytes. */
  number(part: number): number;
  /** Appends one effect record. Parts: text, number (f64), boolean (1 byte), bytes, or undefined (absent). Throws RangeError when the step's effects are too many or too long. */
  emit(kind: number, ...parts: (string | number | boolean | Uint8Array | undefined)[]): void;
  /** UTF-8 bytes of a text; lone surrogates become U+FFFD. */
  encodeUtf8(text: string): Uint8Array;
  /** Text of UTF-8 bytes as WHATWG decodes them (no byte order mark handling); `fatal` throws TypeError on malformed bytes and names the first. */
  decodeUtf8(bytes: Uint8Array, fatal: boolean): string;
  /** Fills `bytes` from the machine's generator (ChaCha20 keyed with the event's seed). */
  random(bytes: Uint8Array): void;
  /** A number in [0, 1) with 53 random bits from the same generator. */
  randomFloat(): number;
  /** SHA digest: `algorithm` is 1, 256, 384 or 512. */
  digest(algorithm: number, bytes: Uint8Array): Uint8Array;
  /** HMAC with that SHA. */
  hmac(algorithm: number, key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /**
   * AES, by the operations of web/keys/aes.ts: `more` is GCM's additional data, `number` the bits of CTR's counter or the bytes of GCM's tag.
   * Undefined for a tag or a check that is wrong.
   */
  aes(operation: number, key: Uint8Array, iv: Uint8Array, data: Uint8Array, more: Uint8Array, number: number): Uint8Array | undefined;
  /** HMACs `value` so many times, at most 1,000, in place, and adds each result to `sum` (exclusive or); both have the digest's length. */
  repeatHmac(algorithm: number, key: Uint8Array, value: Uint8Array, sum: Uint8Array, iterations: number): void;
  /** base^exponent mod modulus, of big-endian numbers and an odd modulus of at most 1,024 bytes, as long as it. Undefined where the base is not below it. */
  modularPower(base: Uint8Array, exponent: Uint8Array, modulus: Uint8Array): Uint8Array | undefined;
  /**
   * RSA's private operation. `key`: n and e, as long as the input, then p, q, d mod (p - 1), d mod (q - 1) and 1/q mod p in `half` bytes each.
   * Undefined where the public key does not undo it.
   */
  rsaPrivate(key: Uint8Array, half: number, input: Uint8Array): Uint8Array | undefined;
  /** Work on curves with a = -3, by the operations of web/keys/ec.ts. `domain`: p, order, b, x and y of the base point. */
  curve(operation: number, domain: Uint8Array, a: Uint8Array, b: Uint8Array, c: Uint8Array): Uint8Array | boolean | undefined;
  /** Work on Curve25519, by the operations of web/keys/okp.ts. */
  edwards(operation: number, a: Uint8Array, b: Uint8Array, c: Uint8Array): Uint8Array | boolean;
  /** Compares two byte strings in a time that depends only on their lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** JSON.stringify(value), to its errors; undefined where that gives undefined. Also when a flow has put another function there. */
  stringify(value: unknown): string | undefined;
  /** True when a part holds the word "charset". */
  mentionsCharset(part: number): boolean;
  /**
   * XML as a value (formats/xml-format.ts), of a text or of UTF-8 bytes; `options` are bits of formats/xml-options.ts, `arrays` names with
   * a zero between them. A list of numbers says what is wrong with the text (formats/xml-fault.ts). Throws TypeError for malformed UTF-8.
   */
  xml(input: string | Uint8Array, options: number, arrays: string): unknown;
  /**
   * The first `most` rows of a CSV text, or of its bytes in well-formed UTF-8; `options` are bits of formats/csv-options.ts. A row is an object with these names, which are distinct,
   * where it has as many fields, else a list. A list of three numbers says what is wrong with the text. Behind the rows of a `piece`
   * stand the number of its bytes that were read, and of its rows.
   */
  csv(text: string | Uint8Array, delimiter: string, options: number, most: number, names?: readonly string[]): unknown[];
  /**
   * The text of rows, each with a line break behind it: of lists, without `names`, else of these columns of objects. `delimiter` is its code,
   * `newline` bytes, the first lowest. Undefined for rows that are not plain, or of one column, of which it has written nothing.
   */
  csvText(rows: readonly unknown[], names: readonly string[] | undefined, delimiter: number, newline: number): string | undefined;
  /** Those of a list of objects whose properties may have other names than those of the one before; undefined for a list that is not plain. */
  unlikeRows(rows: readonly unknown[]): readonly unknown[] | undefined;
  /** An element of plain data as XML, on one line; undefined for data that are not plain, of which it has written nothing. */
  xmlText(name: string, value: unknown): string | undefined;
  /** Text of bytes in a charset of one byte a character; `high` are the 128 characters of the bytes from 0x80 on. */
  decodeBytes(bytes: Uint8Array, high: string): string;
  /**
   * Text of bytes in the charset of several bytes a character with this number; `most`: about how many units of it, -1 for all. `tables` and
   * `state` have the layout of kernel/native/multibyte.ts; the options are 1, to stop at the first malformed byte, and 2, if bytes follow.
   */
  decodeMultibyte(bytes: Uint8Array, charset: number, tables: Uint8Array, state: Uint8Array, options: number, most: number): string;
  /**
   * A text in a charset of one byte a character; `high` are the 128 characters of the bytes from 0x80 on, U+FFFD for none. What the charset lacks
   * becomes a question mark; unless `replaces`, the place of the first such character, in UTF-16 units, is the result.
   */
  encodeBytes(text: string, high: string, replaces: boolean): Uint8Array | number;
  /** The same in UTF-16, which lacks lone surrogates; U+FFFD replaces them. */
  encodeUtf16(text: string, bigEndian: boolean, replaces: boolean): Uint8Array | number;
  /** The same in a charset of several bytes a character; `tables` as for `decodeMultibyte`. Options: 1 replaces, 2 for GBK, which is the 0 of GB18030. */
  encodeMultibyte(text: string, charset: number, tables: Uint8Array, options: number): Uint8Array | number;
  /**
   * Goes on to inflate or deflate `input`, which is the same in every call; `work` keeps where it is (kernel/native/inflate.ts, deflate.ts have its
   * layout), zeroes at first. Gives the bytes of output in it, which the next call overwrites; inflate -1 for input that ends early, -2 for damage.
   */
  inflate(work: Uint8Array, input: Uint8Array): number;
  deflate(work: Uint8Array, input: Uint8Array): number;
  /** The structured clone of an object or array of plain data; undefined for any other, of which it has done nothing. */
  clone(value: object): object | undefined;
  /** True when an allocation failed in this step, whoever caught that. */
  exhausted(): boolean;
}
