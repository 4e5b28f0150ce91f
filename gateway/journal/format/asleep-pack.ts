/** Slots as bytes: of a record that says who sleeps (asleep-record.ts), which is laid out there, or put together one by one. */
import { assert } from "#base";
import type { AttemptRecord, Sequence } from "../journal.ts";
import type { FailedAttempts, Slot } from "../slot.ts";
import type { Headers } from "../../contract/message.ts";
import type { SlotPack } from "../packed-slots.ts";
import type { TextHasher } from "../seeded-hash.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { readAttempt, readAttempts, readHeaders, type RecordPlace, writeAttempts, writeHeaders } from "./fields.ts";

/** A slot as it was at a segment's end. */
export interface CapturedSlot {
  readonly slot: Slot<RecordPlace>;
  readonly place: RecordPlace;
  readonly failed: FailedAttempts | undefined;
  readonly burying: AttemptRecord | undefined;
}

/** Where the numbers of a slot are, from its beginning. */
const flowAt = 8;
const imageAt = 12;
const fileAt = 16;
const offsetAt = 20;
const lengthAt = 28;
const dueAt = 32;
const idAt = 40;

/** Bytes of a pack that grows, from which on it takes no further slots. */
const fullBytes = 64 * 1024;
/** Room for one more, as a rule: what is longer makes it grow. */
const sparedBytes = 512;

/** Slots of one record, or such as were put together. They are read when they are asked for, from bytes that are known to be sound. */
export class AsleepPack implements SlotPack<RecordPlace> {
  #bytes: Buffer;
  #view: DataView;
  readonly #names: string[];
  /** Where each slot begins, and the last one ends. */
  #starts: Uint32Array;
  #length: number;
  /** Of one that grows. */
  #writer: ByteWriter | undefined;
  readonly marked: number[];
  /** Those whose dead letter was begun. */
  readonly burying: readonly (readonly [at: number, record: AttemptRecord])[];

  constructor(bytes: Uint8Array, names: readonly string[], starts: Uint32Array, more: Pick<AsleepPack, "marked" | "burying">) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#names = [...names];
    this.#starts = starts;
    this.#length = starts.length - 1;
    this.marked = more.marked;
    this.burying = more.burying;
  }

  /** An empty one, which grows. */
  static begin(): AsleepPack {
    return new AsleepPack(new Uint8Array(0), [], new Uint32Array(16), { marked: [], burying: [] }).#begin();
  }

  #begin(): this {
    this.#length = 0;
    this.#writer = new ByteWriter(fullBytes);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** True when it takes no further slots. */
  get isFull(): boolean {
    return this.#writer === undefined || this.#writer.length > fullBytes - sparedBytes;
  }

  /** Adds a slot to one that is not full. */
  add(slot: Slot<RecordPlace>): void {
    assert(this.#writer !== undefined && !this.isFull, "only what grows is added to");
    const writer = this.#writer;
    writeSlot(writer, { slot, place: slot.stored, failed: slot.failed, burying: undefined }, (name) => this.#numberOf(name));
    if (writer.buffer !== this.#bytes) {
      this.#bytes = writer.buffer;
      this.#view = new DataView(writer.buffer.buffer, writer.buffer.byteOffset, writer.buffer.byteLength);
    }
    if (slot.headers !== undefined || slot.blobs.length > 0) this.marked.push(this.#length);
    this.#length += 1;
    if (this.#length === this.#starts.length) {
      const starts = new Uint32Array(this.#length * 2);
      starts.set(this.#starts);
      this.#starts = starts;
    }
    this.#starts[this.#length] = writer.length;
  }

  /** The same with bytes of its own, for a buffer that is used again. */
  kept(): AsleepPack {
    return new AsleepPack(Uint8Array.from(this.#bytes), this.#names, this.#starts, this);
  }

  sequence(at: number): Sequence {
    return this.#view.getFloat64(this.#start(at), true) as Sequence;
  }

  flow(at: number): string {
    return this.#name(this.#start(at) + flowAt);
  }

  imageSha256(at: number): string {
    return this.#name(this.#start(at) + imageAt);
  }

  dueMs(at: number): number {
    return this.#view.getFloat64(this.#start(at) + dueAt, true);
  }

  id(at: number): string {
    return this.#text(this.#start(at) + idAt);
  }

  waits(at: number): readonly string[] {
    const flow = this.flow(at);
    const waits: string[] = [];
    let from = this.#behind(this.#start(at) + idAt);
    let left = this.#view.getUint32(from, true);
    for (from += 4; left > 0; left--) {
      waits.push(`${flow}\0${this.#text(from)}`);
      from = this.#behind(from);
    }
    return waits;
  }

  stored(at: number): RecordPlace {
    const start = this.#start(at);
    return {
      file: this.#name(start + fileAt),
      offset: this.#view.getFloat64(start + offsetAt, true),
      length: this.#view.getUint32(start + lengthAt, true),
    };
  }

  store(at: number, { file, offset, length }: RecordPlace): void {
    const start = this.#start(at);
    this.#view.setUint32(start + fileAt, this.#numberOf(file), true);
    this.#view.setFloat64(start + offsetAt, offset, true);
    this.#view.setUint32(start + lengthAt, length, true);
  }

  bytes(at: number): number {
    return this.#start(at + 1) - this.#start(at);
  }

  slot(at: number): Slot<RecordPlace> {
    const reader = new ByteReader(this.#bytes.subarray(this.#start(at), this.#start(at + 1)));
    return readSlot(reader, this.#names).slot;
  }

  idHash(at: number, hash: TextHasher, salt: number): number {
    const from = this.#start(at) + idAt;
    return hash.of(this.#bytes, from + 4, this.#behind(from), salt);
  }

  waitHashes(at: number, hash: TextHasher, salt: number): readonly number[] {
    const hashes: number[] = [];
    let from = this.#behind(this.#start(at) + idAt);
    let left = this.#view.getUint32(from, true);
    for (from += 4; left > 0; left--) {
      const to = this.#behind(from);
      hashes.push(hash.of(this.#bytes, from + 4, to, salt));
      from = to;
    }
    return hashes;
  }

  *[Symbol.iterator](): Iterator<{ readonly slot: Slot<RecordPlace>; readonly burying: AttemptRecord | undefined }> {
    const burying = new Map(this.burying);
    for (let at = 0; at < this.length; at++) yield { slot: this.slot(at), burying: burying.get(at) };
  }

  #numberOf(name: string): number {
    const known = this.#names.indexOf(name);
    return known < 0 ? this.#names.push(name) - 1 : known;
  }

  #start(at: number): number {
    return this.#starts[at] as number;
  }

  #text(from: number): string {
    return this.#bytes.toString("utf8", from + 4, this.#behind(from));
  }

  /** Where a text ends. */
  #behind(from: number): number {
    return from + 4 + this.#view.getUint32(from, true);
  }

  #name(at: number): string {
    return this.#names[this.#view.getUint32(at, true)] as string;
  }
}

export function writeSlot(writer: ByteWriter, { slot, place, failed, burying }: CapturedSlot, numberOf: (name: string) => number): void {
  writer.number(slot.sequence);
  writer.u32(numberOf(slot.flow));
  writer.u32(numberOf(slot.imageSha256));
  writer.u32(numberOf(place.file));
  writer.number(place.offset);
  writer.u32(place.length);
  writer.number(slot.dueMs);
  writer.text(slot.id);
  writer.u32(slot.waits.length);
  for (const wait of slot.waits) writer.text(wait.slice(slot.flow.length + 1));
  writer.u32(slot.blobs.length);
  for (const blob of slot.blobs) writer.text(blob);
  writer.u8((slot.headers === undefined ? 0 : 1) + (failed === undefined ? 0 : 2) + (burying === undefined ? 0 : 4));
  if (slot.headers !== undefined) writeHeaders(writer, slot.headers);
  if (failed !== undefined) {
    writer.number(failed.attempt);
    writer.number(failed.dueMs);
    writeAttempts(writer, failed.attempts);
  }
  if (burying !== undefined) writer.text(JSON.stringify(burying));
}

/** Passes over a slot, and sees that it can be read; gives what it has that few have. */
export function passSlot(
  reader: ByteReader,
  names: number,
): { readonly isMarked: boolean; readonly burying: AttemptRecord | undefined } | undefined {
  reader.count();
  for (let each = 0; each < 3; each++) if (reader.u32() >= names) reader.valid = false;
  reader.count();
  reader.u32();
  reader.number();
  reader.skipText();
  for (let left = reader.items(4); left > 0; left--) reader.skipText();
  const blobs = reader.items(4);
  for (let left = blobs; left > 0; left--) reader.skipText();
  const flags = reader.u8();
  if (flags === 0 && blobs === 0) return undefined;
  const { burying } = readRest(reader, flags);
  return { isMarked: blobs > 0 || (flags & 1) !== 0, burying };
}

function readRest(reader: ByteReader, flags: number): Rest {
  if (flags > 7) reader.valid = false;
  const headers = (flags & 1) === 0 ? undefined : readHeaders(reader);
  const failed = (flags & 2) === 0 ? undefined : { attempt: reader.count(), dueMs: reader.number(), attempts: readAttempts(reader) };
  const burying = (flags & 4) === 0 ? undefined : readAttempt(reader);
  return { headers, failed, burying };
}

interface Rest {
  readonly headers: Headers | undefined;
  readonly failed: FailedAttempts | undefined;
  readonly burying: AttemptRecord | undefined;
}

function readSlot(
  reader: ByteReader,
  names: readonly string[],
): { readonly slot: Slot<RecordPlace>; readonly burying: AttemptRecord | undefined } {
  const name = (): string => names[reader.u32()] ?? "";
  const sequence = reader.count() as Sequence;
  const flow = name();
  const imageSha256 = name();
  const stored: RecordPlace = { file: name(), offset: reader.count(), length: reader.u32() };
  const dueMs = reader.number();
  const id = reader.text();
  const waits: string[] = [];
  for (let left = reader.items(4); left > 0; left--) waits.push(`${flow}\0${reader.text()}`);
  const blobs: string[] = [];
  for (let left = reader.items(4); left > 0; left--) blobs.push(reader.text());
  const { headers, failed, burying } = readRest(reader, reader.u8());
  const rest = { postponedMs: undefined, token: undefined };
  return { slot: { sequence, flow, id, imageSha256, dueMs, waits, headers, blobs, stored, failed, ...rest }, burying };
}
