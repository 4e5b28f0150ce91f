/**
 * The functions below the kernel's runtime (kernel/runtime/native.ts), of Node. Those of a machine are AssemblyScript that shares the engine's
 * memory, and V8 has no such memory: what Node lacks runs in an engine beside it.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { decodeEffects, type Effect, encodeFrame, type Event, EventKind, eventParts, hardLimits, type Part } from "#abi";
import { assert, fromUtf8, toUtf8 } from "#base";
import { type NativeName, nativeInNode } from "#kernel";
import { SeededRandom } from "./random.ts";

const hashes: readonly (readonly [number, string])[] = [
  [1, "sha1"],
  [256, "sha256"],
  [384, "sha384"],
  [512, "sha512"],
];

function hashName(algorithm: number): string {
  const name = hashes.find(([number]) => number === algorithm)?.[1];
  if (name === undefined) throw new TypeError("not an algorithm");
  return name;
}

/** Offset of the first byte that is no UTF-8. */
function malformedAt(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let sound = 0;
  let broken = bytes.length;
  // Halving: a beginning is sound if it decodes as the beginning of a longer text.
  while (broken - sound > 1) {
    const middle = (sound + broken) >> 1;
    try {
      decoder.decode(bytes.subarray(0, middle), { stream: true });
      sound = middle;
    } catch {
      broken = middle;
    }
    try {
      decoder.decode();
    } catch {
      // The end of a stream that was cut in a character: the decoder is reset either way.
    }
  }
  let start = sound;
  while (start > 0 && ((bytes[start] ?? 0) & 0xc0) === 0x80 && sound - start < 3) start -= 1;
  return start;
}

function decode(bytes: Uint8Array, fatal: boolean): string {
  try {
    return new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TypeError(`malformed UTF-8 at byte ${malformedAt(bytes)}`);
  }
}

/** A view of this realm, of bytes that may be another's. */
function own(bytes: unknown): Uint8Array {
  if (!ArrayBuffer.isView(bytes)) throw new TypeError("not a Uint8Array");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes of this realm, and other values as they are. */
const ownValue = (value: unknown): unknown => (ArrayBuffer.isView(value) ? own(value) : value);

/** The machine's own function, which runs in an engine beside Node. */
const machines =
  (name: NativeName) =>
  (...values: unknown[]): unknown =>
    nativeInNode(name, ...values.map(ownValue));

/** For those that do the plain cases only, and leave the others to the runtime's JavaScript. */
const leftToTheRuntime = (): undefined => undefined;

/** Event and effects of the step under way. */
export class Door {
  timeMs = 0;
  #kind = 0;
  #parts: readonly Part[] = [];
  #records: { readonly kind: number; readonly parts: readonly Part[] }[] = [];
  #random = new SeededRandom(new Uint8Array(hardLimits.seedBytes));

  open(event: Event): void {
    this.#kind = EventKind[event.kind];
    this.#parts = eventParts(event);
    this.#records = [];
    this.timeMs = event.timeMs;
    if (event.kind === "deliver") this.#random = new SeededRandom(event.seed);
  }

  effects(): readonly Effect[] {
    const decoded = decodeEffects(encodeFrame(this.#records));
    assert(decoded.ok, "the runtime's effects are well formed");
    return decoded.value;
  }

  #bytes(index: number): Uint8Array | undefined {
    const part = this.#parts[index];
    if (part === undefined || part instanceof Uint8Array) return part;
    if (typeof part === "string") return toUtf8(part);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, Number(part), true);
    return bytes;
  }

  #text(index: number): string | undefined {
    const bytes = this.#bytes(index);
    if (bytes === undefined) return undefined;
    const text = fromUtf8(bytes);
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  }

  /** Bytes in and out may belong to another realm; the realm's script (realm.ts) takes them over. */
  readonly natives = {
    kind: (): number => this.#kind,
    text: (index: number, fatal?: boolean): string | undefined => {
      const bytes = this.#bytes(index);
      return bytes === undefined ? undefined : decode(bytes, fatal === true);
    },
    bytes: (index: number): Uint8Array | undefined => this.#bytes(index),
    /** Text of the part, which the realm parses. */
    json: (index: number): string | undefined => this.#text(index),
    number: (index: number): number => {
      const part = this.#parts[index];
      return typeof part === "number" ? part : Number.NaN;
    },
    emit: (kind: number, ...parts: unknown[]): void => {
      if (this.#records.length >= hardLimits.effectsPerStep) throw new RangeError("too many effects");
      // Bytes are copied: the flow may change them afterwards.
      this.#records.push({ kind, parts: parts.map((part) => (ArrayBuffer.isView(part) ? Uint8Array.from(own(part)) : (part as Part))) });
    },
    encodeUtf8: (text: string): Uint8Array => toUtf8(text),
    decodeUtf8: (bytes: unknown, fatal: boolean): string => decode(own(bytes), fatal),
    random: (bytes: unknown): void => this.#random.fill(own(bytes)),
    randomFloat: (): number => this.#random.float(),
    digest: (algorithm: number, bytes: unknown): Uint8Array => createHash(hashName(algorithm)).update(own(bytes)).digest(),
    hmac: (algorithm: number, key: unknown, bytes: unknown): Uint8Array =>
      createHmac(hashName(algorithm), own(key)).update(own(bytes)).digest(),
    equal: (a: unknown, b: unknown): boolean => own(a).length === own(b).length && timingSafeEqual(own(a), own(b)),
    /** JSON of the value, which the realm parses; of `csv` as well. */
    xml: (input: unknown, ...how: unknown[]): string =>
      JSON.stringify(nativeInNode("xml", ArrayBuffer.isView(input) ? own(input) : String(input), ...how)),
    csv: (...values: unknown[]): string => JSON.stringify(machines("csv")(...values)),
    decodeBytes: machines("decodeBytes"),
    decodeMultibyte: machines("decodeMultibyte"),
    encodeBytes: machines("encodeBytes"),
    encodeUtf16: machines("encodeUtf16"),
    encodeMultibyte: machines("encodeMultibyte"),
    aes: machines("aes"),
    repeatHmac: machines("repeatHmac"),
    modularPower: machines("modularPower"),
    rsaPrivate: machines("rsaPrivate"),
    curve: machines("curve"),
    edwards: machines("edwards"),
    inflate: machines("inflate"),
    deflate: machines("deflate"),
    clone: leftToTheRuntime,
    csvText: leftToTheRuntime,
    unlikeRows: leftToTheRuntime,
    xmlText: leftToTheRuntime,
    // The realm puts its own JSON.stringify here.
    stringify: leftToTheRuntime,
    exhausted: (): boolean => false,
    mentionsCharset: (index: number): boolean => /charset/i.test(Buffer.from(this.#bytes(index) ?? []).toString("latin1")),
    // The realm's own part takes these two.
    now: (): number => this.timeMs,
    detach: (buffer: ArrayBuffer): void => void structuredClone(buffer, { transfer: [buffer] }),
  } satisfies Record<NativeName | "now" | "detach", unknown>;
}
