/**
 * The journal's files: a header, then batches. Everything is little endian; numbers are f64.
 *
 *   file     header, one sector │ batch │ batch │ …            each begins on a sector
 *
 *   header   u32 magic "MFYJ" │ u16 version │ u8 kind: 1 segment, 2 checkpoint, 3 sleepers │ u8 0 │ u32 salt │ u32 0 │ number
 *            │ previous: the segment before, 0 for none │ previousEnd: how many bytes of that one count │ createdMs
 *            │ firstBatch: number of its first batch │ u32 crc │ zeros
 *
 *   batch    u32 magic "MFYB" │ u32 bytes of the records │ u32 records │ u32 mix of their crcs │ number
 *            │ next sequence │ next token │ next entry number │ timeMs │ u32 0 │ u32 crc, seeded with salt and place
 *            │ record │ record │ … │ zeros
 *
 *   record   u32 length of the payload │ u32 crc of the payload │ payload (record.ts)
 *
 * A batch is written and synced before the next one is begun. So a batch that is damaged is the torn end of the log, unless a
 * batch with a higher number comes after it: then bytes that were safe were lost, and that is corruption. A batch's crc is seeded
 * with the journal's random salt and its place, so that a message which contains a journal can't pose as a batch.
 */
import { crc32 } from "node:zlib";
import type { DiskFile } from "./disk.ts";
import { sectorBytes } from "./limits.ts";

export const formatVersion = 2;
export const fileHeaderBytes = sectorBytes;
export const batchHeaderBytes = 64;
export const recordHeaderBytes = 8;

const fileMagic = 0x4a_59_46_4d; // "MFYJ"
const batchMagic = 0x42_59_46_4d; // "MFYB"
const fileHeaderUsed = 56;

export interface FileHeader {
  readonly version: number;
  readonly kind: "segment" | "checkpoint" | "sleepers";
  readonly salt: number;
  readonly number: number;
  readonly previous: number;
  readonly previousEnd: number;
  readonly createdMs: number;
  readonly firstBatch: number;
}

export interface BatchHeader {
  readonly bytes: number;
  readonly records: number;
  readonly mix: number;
  readonly number: number;
  readonly counters: { readonly sequence: number; readonly token: number; readonly entry: number };
  readonly timeMs: number;
}

/** Binds the crcs of a batch's records to its header; the order counts. */
export function mixCrc(mix: number, crc: number): number {
  return Math.imul(((mix << 5) | (mix >>> 27)) ^ crc, 0x9e37_79b1) >>> 0;
}

export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / sectorBytes) * sectorBytes;
}

/** Writes a header into the first sector of `buffer`. */
export function putFileHeader(buffer: Buffer, header: FileHeader): void {
  buffer.fill(0, 0, fileHeaderBytes);
  buffer.writeUInt32LE(fileMagic, 0);
  buffer.writeUInt16LE(header.version, 4);
  buffer[6] = header.kind === "segment" ? 1 : header.kind === "checkpoint" ? 2 : 3;
  buffer.writeUInt32LE(header.salt, 8);
  buffer.writeDoubleLE(header.number, 16);
  buffer.writeDoubleLE(header.previous, 24);
  buffer.writeDoubleLE(header.previousEnd, 32);
  buffer.writeDoubleLE(header.createdMs, 40);
  buffer.writeDoubleLE(header.firstBatch, 48);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, fileHeaderUsed)), fileHeaderUsed);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Undefined when these bytes are no header. Its version may be any. */
export function getFileHeader(buffer: Buffer): FileHeader | undefined {
  if (buffer.length < fileHeaderBytes || buffer.readUInt32LE(0) !== fileMagic) return undefined;
  if (buffer.readUInt32LE(fileHeaderUsed) !== crc32(buffer.subarray(0, fileHeaderUsed))) return undefined;
  const header: FileHeader = {
    version: buffer.readUInt16LE(4),
    kind: buffer[6] === 3 ? "sleepers" : buffer[6] === 2 ? "checkpoint" : "segment",
    salt: buffer.readUInt32LE(8),
    number: buffer.readDoubleLE(16),
    previous: buffer.readDoubleLE(24),
    previousEnd: buffer.readDoubleLE(32),
    createdMs: buffer.readDoubleLE(40),
    firstBatch: buffer.readDoubleLE(48),
  };
  return [header.number, header.previous, header.previousEnd, header.firstBatch].every(isCount) ? header : undefined;
}

function batchCrc(header: Buffer, salt: number, offset: number): number {
  return crc32(header.subarray(0, batchHeaderBytes - 4), (salt ^ (offset / sectorBytes)) >>> 0);
}

/** Writes the header of the batch that will stand at `offset` of a file with this salt into the first bytes of `buffer`. */
export function putBatchHeader(buffer: Buffer, header: BatchHeader, salt: number, offset: number): void {
  buffer.writeUInt32LE(batchMagic, 0);
  buffer.writeUInt32LE(header.bytes, 4);
  buffer.writeUInt32LE(header.records, 8);
  buffer.writeUInt32LE(header.mix, 12);
  buffer.writeDoubleLE(header.number, 16);
  buffer.writeDoubleLE(header.counters.sequence, 24);
  buffer.writeDoubleLE(header.counters.token, 32);
  buffer.writeDoubleLE(header.counters.entry, 40);
  buffer.writeDoubleLE(header.timeMs, 48);
  buffer.writeUInt32LE(0, 56);
  buffer.writeUInt32LE(batchCrc(buffer, salt, offset), 60);
}

export function getBatchHeader(buffer: Buffer, salt: number, offset: number): BatchHeader | undefined {
  if (buffer.length < batchHeaderBytes || buffer.readUInt32LE(0) !== batchMagic) return undefined;
  if (buffer.readUInt32LE(60) !== batchCrc(buffer, salt, offset)) return undefined;
  const header: BatchHeader = {
    bytes: buffer.readUInt32LE(4),
    records: buffer.readUInt32LE(8),
    mix: buffer.readUInt32LE(12),
    number: buffer.readDoubleLE(16),
    counters: { sequence: buffer.readDoubleLE(24), token: buffer.readDoubleLE(32), entry: buffer.readDoubleLE(40) },
    timeMs: buffer.readDoubleLE(48),
  };
  const { sequence, token, entry } = header.counters;
  return [header.number, sequence, token, entry].every(isCount) ? header : undefined;
}

/** A batch as it was read. The payloads are views that the next read of the same reader overwrites. */
export interface ReadBatch {
  readonly header: BatchHeader;
  readonly offset: number;
  readonly end: number;
  readonly payloads: readonly { readonly bytes: Buffer; readonly offset: number }[];
}

export type BatchStep = { readonly batch: ReadBatch } | { readonly batch: undefined; readonly reason: string };

/** Reads one file's batches through a window. Never throws for bytes that are malformed. */
export class BatchReader {
  readonly #file: DiskFile;
  readonly #size: number;
  #window: Buffer;
  #windowAt = 0;
  #windowBytes = 0;

  constructor(file: DiskFile, size: number, window: Buffer) {
    this.#file = file;
    this.#size = size;
    this.#window = window;
  }

  get size(): number {
    return this.#size;
  }

  async header(): Promise<FileHeader | undefined> {
    return getFileHeader(await this.#view(0, fileHeaderBytes));
  }

  /** The batch at `offset`, which is within the file. */
  async batchAt(offset: number, salt: number): Promise<BatchStep> {
    const header = getBatchHeader(await this.#view(offset, batchHeaderBytes), salt, offset);
    if (header === undefined) return { batch: undefined, reason: "no batch begins here" };
    const length = batchHeaderBytes + header.bytes;
    const end = offset + paddedBytes(length);
    if (end > this.#size) return { batch: undefined, reason: "the batch is cut short" };
    const view = await this.#view(offset, length);
    if (view.length < length) return { batch: undefined, reason: "the batch is cut short" };
    const payloads: { bytes: Buffer; offset: number }[] = [];
    let mix = 0;
    for (let at = batchHeaderBytes; at < length; ) {
      const from = at + recordHeaderBytes;
      if (from > length) return { batch: undefined, reason: "a record is cut short" };
      const to = from + view.readUInt32LE(at);
      if (to > length) return { batch: undefined, reason: "a record is longer than its batch" };
      const crc = view.readUInt32LE(at + 4);
      const bytes = view.subarray(from, to);
      if (crc32(bytes) !== crc) return { batch: undefined, reason: `record ${payloads.length + 1} of ${header.records} is damaged` };
      mix = mixCrc(mix, crc);
      payloads.push({ bytes, offset: offset + from });
      at = to;
    }
    if (payloads.length !== header.records || mix !== header.mix)
      return { batch: undefined, reason: "records are missing or not this batch's" };
    return { batch: { header, offset, end, payloads } };
  }

  /** The first batch header from `offset` on with a number above `above`, whether or not its records are whole. */
  async laterBatch(offset: number, salt: number, above: number): Promise<number | undefined> {
    for (let at = paddedBytes(offset); at + batchHeaderBytes <= this.#size; at += sectorBytes) {
      const header = getBatchHeader(await this.#view(at, batchHeaderBytes), salt, at);
      if (header !== undefined && header.number > above) return at;
    }
    return undefined;
  }

  /** True if all bytes from `offset` on are zero. */
  async isZero(offset: number): Promise<boolean> {
    const zeros = Buffer.alloc(Math.min(this.#window.length, 64 * 1024));
    for (let at = offset; at < this.#size; ) {
      const view = await this.#view(at, zeros.length);
      if (view.length === 0 || !view.equals(zeros.subarray(0, view.length))) return false;
      at += view.length;
    }
    return true;
  }

  /** Bytes of the file, shorter at its end. */
  async #view(offset: number, length: number): Promise<Buffer> {
    const inside = Math.max(Math.min(length, this.#size - offset), 0);
    const held = (): boolean => offset >= this.#windowAt && offset + inside <= this.#windowAt + this.#windowBytes;
    if (!held()) {
      if (inside > this.#window.length) this.#window = Buffer.allocUnsafeSlow(paddedBytes(inside));
      this.#windowAt = offset;
      this.#windowBytes = await this.#file.read(this.#window.subarray(0, Math.min(this.#window.length, this.#size - offset)), offset);
    }
    const from = offset - this.#windowAt;
    return this.#window.subarray(from, Math.min(from + inside, this.#windowBytes));
  }
}
