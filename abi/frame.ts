/**
 * The wire form shared by both directions: a frame of records, a record of parts. Little endian.
 *
 *   frame   u32 magic "MFY" + version byte │ u32 length of the whole frame, bytes │ record*
 *   record  u8 kind │ u8 parts │ u16 zero │ u32 length of each part, 0xffffffff = absent │ the parts' bytes, end to end
 *
 * A part is text (UTF-8), bytes, a number (f64, 8 bytes), a flag (1 byte) or JSON (UTF-8); its record's kind says which.
 * Nothing is aligned or padded, a body crosses as it is, and a reader finds a part without reading those before it.
 */
import { assert, err, fromUtf8, ok, type Result, toUtf8, writeUtf8 } from "#base";
import { abiVersion, hardLimits } from "./limits.ts";

export const frameMagic = (0x59_46_4d | (abiVersion << 24)) >>> 0; // "MFY", version

/** A family of frames: its magic, and the longest of it. */
export interface FrameForm {
  readonly magic: number;
  readonly mostBytes: number;
  readonly mostRecords: number;
}

/** Frames that cross the door. */
const doorForm: FrameForm = { magic: frameMagic, mostBytes: hardLimits.frameBytes, mostRecords: hardLimits.effectsPerStep };
export const frameHeaderBytes = 8;
export const recordHeaderBytes = 4;
export const absentPart = 0xffff_ffff;

/** A part as a writer gives it. Absent parts are `undefined`. */
export type Part = string | number | boolean | Uint8Array | undefined;

/**
 * A record as a reader gets it: where its parts lie in the frame, nothing copied; and typed access to them. A reader returns
 * undefined for an absent part, and notes in `valid` when one is misshapen.
 */
export class PartRecord {
  readonly kind: number;
  readonly #frame: Uint8Array;
  /** For each part its offset and its length; −1 and 0 for an absent one. */
  readonly #places: readonly number[];
  valid = true;

  constructor(kind: number, frame: Uint8Array, places: readonly number[]) {
    this.kind = kind;
    this.#frame = frame;
    this.#places = places;
  }

  /** Number of its parts. */
  get length(): number {
    return this.#places.length / 2;
  }

  /** The parts as views. */
  get parts(): readonly (Uint8Array | undefined)[] {
    return Array.from({ length: this.#places.length / 2 }, (_, index) => {
      const at = this.#at(index);
      return at < 0 ? undefined : this.#frame.subarray(at, at + this.#length(index));
    });
  }

  /** The record, which is misshapen when it does not have so many parts. */
  expect(count: number): this {
    if (this.#places.length !== 2 * count) this.valid = false;
    return this;
  }

  absent(index: number): boolean {
    return this.#at(index) < 0;
  }

  #at(index: number): number {
    return this.#places[2 * index] ?? -1;
  }

  #length(index: number): number {
    return this.#places[2 * index + 1] ?? 0;
  }

  optionalText(index: number, most: number): string | undefined {
    const at = this.#at(index);
    const length = this.#length(index);
    if (at < 0) return undefined;
    if (length > most) {
      this.valid = false;
      return undefined;
    }
    return readText(this.#frame, at, length);
  }

  text(index: number, most: number): string {
    const text = this.optionalText(index, most);
    if (text === undefined) this.valid = false;
    return text ?? "";
  }

  /** A view into the frame. */
  bytes(index: number): Uint8Array {
    const at = this.#at(index);
    if (at < 0) this.valid = false;
    return at < 0 ? new Uint8Array(0) : this.#frame.subarray(at, at + this.#length(index));
  }

  /** Finite: the bits of NaN are not the same after every engine's reading and writing. */
  number(index: number): number {
    const at = this.#at(index);
    const value = at < 0 || this.#length(index) !== 8 ? Number.NaN : readDouble(this.#frame, at);
    if (Number.isFinite(value)) return value;
    this.valid = false;
    return 0;
  }

  /** A whole number in [0, most]. */
  count(index: number, most: number): number {
    const value = this.number(index);
    if (!Number.isInteger(value) || value < 0 || value > most) {
      this.valid = false;
      return 0;
    }
    return value;
  }

  flag(index: number): boolean {
    return this.byte(index) === 1;
  }

  byte(index: number): number {
    const at = this.#at(index);
    if (at < 0 || this.#length(index) !== 1) this.valid = false;
    return at >= 0 ? (this.#frame[at] ?? 0) : 0;
  }
}

export type Frame = readonly PartRecord[];

function partBytes(part: Part): Uint8Array | undefined {
  if (part === undefined || part instanceof Uint8Array) return part;
  if (typeof part === "string") return toUtf8(part);
  if (typeof part === "boolean") return Uint8Array.of(part ? 1 : 0);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, part, true);
  return bytes;
}

/** A record as a writer gives it. */
export interface NewRecord {
  readonly kind: number;
  readonly parts: readonly Part[];
}

/** Writes records as one frame. */
export function encodeFrame(records: readonly NewRecord[]): Uint8Array {
  let length = frameHeaderBytes;
  const encoded = records.map(({ kind, parts }) => {
    assert(parts.length <= hardLimits.partsPerRecord, "a record has too many parts");
    const bytes = parts.map(partBytes);
    length += recordHeaderBytes + 4 * bytes.length;
    for (const part of bytes) length += part?.length ?? 0;
    return { kind, bytes };
  });
  assert(length <= hardLimits.frameBytes, `a frame of ${length} bytes is longer than the ABI allows`);
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frameMagic, true);
  view.setUint32(4, length, true);
  let at = frameHeaderBytes;
  for (const { kind, bytes } of encoded) {
    frame[at] = kind;
    frame[at + 1] = bytes.length;
    at += recordHeaderBytes;
    for (const part of bytes) {
      view.setUint32(at, part === undefined ? absentPart : part.length, true);
      at += 4;
    }
    for (const part of bytes) {
      if (part === undefined) continue;
      frame.set(part, at);
      at += part.length;
    }
  }
  assert(at === length, "a frame's length was computed wrongly");
  return frame;
}

/**
 * Writes one record as a frame into `target`, which may be shared memory; allocates nothing. The frame's length, or −1 when it might
 * not fit: then use `encodeFrame`.
 */
export function encodeRecordInto(target: Buffer, kind: number, parts: readonly Part[]): number {
  if (frameHeaderBytes > target.length) return -1;
  const end = writeRecord(target, frameHeaderBytes, kind, parts);
  if (end >= 0) writeFrameHeader(target, 0, end, frameMagic);
  return end;
}

/** Writes the header of a frame whose records lie between it and `end`. */
export function writeFrameHeader(target: Buffer, start: number, end: number, magic: number): void {
  writeU32(target, start, magic);
  writeU32(target, start + 4, end - start);
}

/** Writes one record at an offset; allocates nothing. The offset behind it, or −1 when it might not fit. */
export function writeRecord(target: Buffer, start: number, kind: number, parts: readonly Part[]): number {
  const lengths = start + recordHeaderBytes;
  let at = lengths + 4 * parts.length;
  if (at > target.length) return -1;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index];
    let length = absentPart;
    if (typeof part === "string") {
      if (at + 3 * part.length > target.length) return -1; // no UTF-16 unit takes more than three bytes
      length = writeUtf8(target, part, at);
    } else if (typeof part === "number") {
      if (at + 8 > target.length) return -1;
      double[0] = part;
      writeU32(target, at, halves[0] as number);
      writeU32(target, at + 4, halves[1] as number);
      length = 8;
    } else if (typeof part === "boolean") {
      if (at + 1 > target.length) return -1;
      target[at] = part ? 1 : 0;
      length = 1;
    } else if (part !== undefined) {
      if (at + part.length > target.length) return -1;
      target.set(part, at);
      length = part.length;
    }
    writeU32(target, lengths + 4 * index, length);
    if (length !== absentPart) at += length;
  }
  writeU32(target, start, kind | (parts.length << 8));
  return at;
}

/** Reads a frame; total on hostile bytes. The parts are views into `frame`. */
export function decodeFrame(frame: Uint8Array, { magic, mostBytes, mostRecords }: FrameForm = doorForm): Result<Frame, string> {
  if (frame.length < frameHeaderBytes) return err("frame: shorter than its header");
  if (frame.length > mostBytes) return err("frame: longer than the ABI allows");
  if (readU32(frame, 0) !== magic) return err("frame: wrong magic or version");
  if (readU32(frame, 4) !== frame.length) return err("frame: its length field is wrong");
  const records: PartRecord[] = [];
  let at = frameHeaderBytes;
  while (at < frame.length) {
    if (records.length === mostRecords) return err("frame: too many records");
    if (at + recordHeaderBytes > frame.length) return err("record: cut short");
    const count = frame[at + 1] as number;
    if (frame[at + 2] !== 0 || frame[at + 3] !== 0) return err("record: reserved bytes are not zero");
    if (count > hardLimits.partsPerRecord) return err("record: too many parts");
    let data = at + recordHeaderBytes + 4 * count;
    if (data > frame.length) return err("record: cut short");
    const places = new Array<number>(2 * count);
    for (let index = 0; index < count; index++) {
      const length = readU32(frame, at + recordHeaderBytes + 4 * index);
      const absent = length === absentPart;
      if (!absent && length > frame.length - data) return err("part: longer than its frame");
      places[2 * index] = absent ? -1 : data;
      places[2 * index + 1] = absent ? 0 : length;
      if (!absent) data += length;
    }
    records.push(new PartRecord(frame[at] as number, frame, places));
    at = data;
  }
  return ok(records);
}

/** Writes four bytes that there is room for. */
function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

/** Reads four bytes that are known to be there. */
function readU32(frame: Uint8Array, at: number): number {
  return (
    ((frame[at] as number) | ((frame[at + 1] as number) << 8) | ((frame[at + 2] as number) << 16) | ((frame[at + 3] as number) << 24)) >>> 0
  );
}

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);
/** Its halves, the low one first: every processor that runs Node is little endian. */
const halves = new Uint32Array(double.buffer);

/** Reads eight bytes that are known to be there. */
function readDouble(frame: Uint8Array, at: number): number {
  for (let index = 0; index < 8; index++) doubleBytes[index] = frame[at + index] as number;
  return double[0] as number;
}

/** Frames of one event. */
export const oneRecord: FrameForm = { magic: frameMagic, mostBytes: hardLimits.frameBytes, mostRecords: 1 };

/** The kind of a frame's last record without reading its parts: 0 when it has none, undefined when it is malformed. Allocates nothing. */
export function lastRecordKind(frame: Uint8Array): number | undefined {
  if (frame.length < frameHeaderBytes || readU32(frame, 0) !== frameMagic || readU32(frame, 4) !== frame.length) return undefined;
  let kind = 0;
  let at = frameHeaderBytes;
  while (at < frame.length) {
    if (at + recordHeaderBytes > frame.length) return undefined;
    kind = frame[at] as number;
    const count = frame[at + 1] as number;
    let data = at + recordHeaderBytes + 4 * count;
    if (data > frame.length) return undefined;
    for (let index = 0; index < count; index++) {
      const length = readU32(frame, at + recordHeaderBytes + 4 * index);
      if (length !== absentPart) data += length;
    }
    at = data;
  }
  return at === frame.length ? kind : undefined;
}

const shortBytes = 32;
/** Short texts repeat from message to message: content types, names of outlets, empty headers. */
const shortTexts = new Array<string>(256).fill("");

/** Reads a text; a short one is looked for among those read before, so that it is not made anew. */
function readText(frame: Uint8Array, at: number, length: number): string {
  if (length > shortBytes) return fromUtf8(frame.subarray(at, at + length));
  let hash = length;
  for (let index = at; index < at + length; index++) hash = (Math.imul(hash, 31) + (frame[index] as number)) | 0;
  const place = (hash ^ (hash >>> 8)) & 255;
  const known = shortTexts[place] as string;
  if (isText(known, frame, at, length)) return known;
  const text = fromUtf8(frame.subarray(at, at + length));
  if (text.length === length) shortTexts[place] = text; // ASCII; or all of it malformed, and U+FFFD equals no byte
  return text;
}

function isText(ascii: string, frame: Uint8Array, at: number, length: number): boolean {
  if (ascii.length !== length) return false;
  for (let index = 0; index < length; index++) if (ascii.charCodeAt(index) !== frame[at + index]) return false;
  return true;
}
