/**
 * The wire form shared by both directions: a frame of records, a record of parts. Little endian.
 *
 *   frame   u32 magic "MFY" + version byte │ u32 length of the whole frame, bytes │ record*
 *   record  u8 kind │ u8 parts │ u16 zero │ u32 length of each part, 0xffffffff = absent │ the parts' bytes, end to end
 *
 * A part is text (UTF-8), bytes, a number (f64, 8 bytes), a flag (1 byte) or JSON (UTF-8); its record's kind says which.
 * Nothing is aligned or padded, a body crosses as it is, and a reader finds a part without reading those before it.
 */
import { assert, err, fromUtf8, ok, type Result, toUtf8 } from "#base";
import { abiVersion, hardLimits } from "./limits.ts";

export const frameMagic = (0x59_46_4d | (abiVersion << 24)) >>> 0; // "MFY", version
export const frameHeaderBytes = 8;
export const recordHeaderBytes = 4;
export const absentPart = 0xffff_ffff;

/** A part as a writer gives it. Absent parts are `undefined`. */
export type Part = string | number | boolean | Uint8Array | undefined;

/** A record as a reader gets it: views into the frame, nothing copied. */
export interface PartRecord {
  readonly kind: number;
  readonly parts: readonly (Uint8Array | undefined)[];
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

/** Writes records as one frame. */
export function encodeFrame(records: readonly { readonly kind: number; readonly parts: readonly Part[] }[]): Uint8Array {
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

/** Reads a frame; total on hostile bytes. The parts are views into `frame`. */
export function decodeFrame(frame: Uint8Array, mostRecords: number = hardLimits.effectsPerStep): Result<Frame, string> {
  if (frame.length < frameHeaderBytes) return err("frame: shorter than its header");
  if (frame.length > hardLimits.frameBytes) return err("frame: longer than the ABI allows");
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== frameMagic) return err("frame: wrong magic or version");
  if (view.getUint32(4, true) !== frame.length) return err("frame: its length field is wrong");
  const records: PartRecord[] = [];
  let at = frameHeaderBytes;
  while (at < frame.length) {
    if (records.length === mostRecords) return err("frame: too many records");
    if (at + recordHeaderBytes > frame.length) return err("record: cut short");
    const kind = view.getUint8(at);
    const count = view.getUint8(at + 1);
    if (view.getUint16(at + 2, true) !== 0) return err("record: reserved bytes are not zero");
    if (count > hardLimits.partsPerRecord) return err("record: too many parts");
    let data = at + recordHeaderBytes + 4 * count;
    if (data > frame.length) return err("record: cut short");
    const parts: (Uint8Array | undefined)[] = [];
    for (let index = 0; index < count; index++) {
      const length = view.getUint32(at + recordHeaderBytes + 4 * index, true);
      if (length === absentPart) {
        parts.push(undefined);
        continue;
      }
      if (length > frame.length - data) return err("part: longer than its frame");
      parts.push(frame.subarray(data, data + length));
      data += length;
    }
    records.push({ kind, parts });
    at = data;
  }
  return ok(records);
}

/** The kind of a frame's last record without reading its parts: 0 when it has none, undefined when it is malformed. Allocates nothing. */
export function lastRecordKind(frame: Uint8Array): number | undefined {
  const u32 = (at: number): number =>
    ((frame[at] as number) | ((frame[at + 1] as number) << 8) | ((frame[at + 2] as number) << 16) | ((frame[at + 3] as number) << 24)) >>>
    0;
  if (frame.length < frameHeaderBytes || u32(0) !== frameMagic || u32(4) !== frame.length) return undefined;
  let kind = 0;
  let at = frameHeaderBytes;
  while (at < frame.length) {
    if (at + recordHeaderBytes > frame.length) return undefined;
    kind = frame[at] as number;
    const count = frame[at + 1] as number;
    let data = at + recordHeaderBytes + 4 * count;
    if (data > frame.length) return undefined;
    for (let index = 0; index < count; index++) {
      const length = u32(at + recordHeaderBytes + 4 * index);
      if (length !== absentPart) data += length;
    }
    at = data;
  }
  return at === frame.length ? kind : undefined;
}

/** Typed access to a record's parts. Each reader returns undefined for an absent or misshapen part; `Fields.valid` says whether any was misshapen. */
export class Fields {
  readonly #parts: readonly (Uint8Array | undefined)[];
  valid = true;

  constructor(record: PartRecord, count: number) {
    this.#parts = record.parts;
    if (record.parts.length !== count) this.valid = false;
  }

  optionalBytes(index: number, most: number = hardLimits.frameBytes): Uint8Array | undefined {
    const part = this.#parts[index];
    if (part !== undefined && part.length > most) {
      this.valid = false;
      return undefined;
    }
    return part;
  }

  optionalText(index: number, most: number): string | undefined {
    const part = this.optionalBytes(index, most);
    return part === undefined ? undefined : fromUtf8(part);
  }

  text(index: number, most: number): string {
    const text = this.optionalText(index, most);
    if (text === undefined) this.valid = false;
    return text ?? "";
  }

  bytes(index: number): Uint8Array {
    const part = this.optionalBytes(index);
    if (part === undefined) this.valid = false;
    return part ?? new Uint8Array(0);
  }

  number(index: number): number {
    const part = this.#parts[index];
    if (part === undefined || part.length !== 8) {
      this.valid = false;
      return 0;
    }
    return new DataView(part.buffer, part.byteOffset, 8).getFloat64(0, true);
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
    const part = this.#parts[index];
    if (part === undefined || part.length !== 1) this.valid = false;
    return part?.[0] === 1;
  }
}
