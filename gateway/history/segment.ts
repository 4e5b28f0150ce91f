/** One segment as a reader has it: its index, and its entries where they are asked for. */
import { join } from "node:path";
import { decodeFrame, decodeRecording, type PartRecord, type Recording } from "#abi";
import { EntryIndex, type SegmentIndex, scanEntries, wholeEntryAt } from "./entry-index.ts";
import { bytesOf } from "./folder.ts";
import { entryHeaderBytes, factsForm, indexName, isSegmentHeader, segmentHeaderBytes, segmentName } from "./layout.ts";
import type { OpenFiles } from "./open-files.ts";
import { IndexFile } from "./segment-index.ts";

/** Memory for bytes that are looked through once: a fresh piece for each segment costs more than reading it. */
let scratch = Buffer.alloc(0);

/** An entry that was read: its facts, and the bytes of the recording behind them. */
export interface ReadEntry {
  readonly facts: readonly PartRecord[];
  readonly recording: Uint8Array;
}

export class Segment {
  readonly number: number;
  readonly #path: string;
  readonly #indexPath: string;
  readonly #files: OpenFiles;
  #index: SegmentIndex | undefined;
  /** The index that is made here, and how far the segment was scanned for it. */
  #scanned: EntryIndex | undefined;
  #scannedTo = 0;
  #bytes: Buffer | undefined;

  constructor(folder: string, number: number, files: OpenFiles) {
    this.number = number;
    this.#path = join(folder, segmentName(number));
    this.#indexPath = join(folder, indexName(number));
    this.#files = files;
  }

  /** The index as of now. `remark` is told what is damaged. */
  index(remark: (text: string) => void): SegmentIndex {
    if (this.#index !== undefined) return this.#index;
    const length = bytesOf(this.#path);
    this.#index = IndexFile.open(this.#files, this.#indexPath, length);
    if (this.#index !== undefined) {
      this.#scanned = undefined;
      return this.#index;
    }
    return this.#scan(length, remark);
  }

  #scan(length: number, remark: (text: string) => void): SegmentIndex {
    this.#scanned ??= new EntryIndex();
    const index = this.#scanned;
    if (this.#scannedTo === 0) {
      if (length < segmentHeaderBytes) return index;
      if (!isSegmentHeader(this.#read(0, segmentHeaderBytes))) {
        remark(`segment ${this.number} of history is damaged from its beginning: what it held is lost`);
        return index;
      }
      this.#scannedTo = segmentHeaderBytes;
    }
    if (length <= this.#scannedTo) return index;
    const start = this.#scannedTo;
    const bytes = this.#read(start, length - start);
    const { end, gaps, skippedBytes } = scanEntries(bytes, 0, (at) => index.add(bytes, at, start + at));
    this.#scannedTo = start + end;
    this.#bytes = undefined;
    if (gaps > 0) remark(`segment ${this.number} of history is damaged in ${gaps} places: ${skippedBytes} bytes are passed over`);
    return index;
  }

  /** All its bytes, in memory that the next call uses again. */
  passing(): Buffer {
    const length = bytesOf(this.#path);
    if (scratch.length < length) scratch = Buffer.allocUnsafeSlow(length);
    return this.#read(0, length, scratch);
  }

  #read(at: number, length: number, bytes: Buffer = Buffer.allocUnsafe(length)): Buffer {
    return this.#files.read(this.#path, at, bytes.subarray(0, length));
  }

  /** The whole segment in memory, until `forget`. */
  bytes(): Buffer {
    this.#bytes ??= this.#read(0, bytesOf(this.#path));
    return this.#bytes;
  }

  forget(): void {
    this.#bytes = undefined;
  }

  get inMemory(): boolean {
    return this.#bytes !== undefined;
  }

  /** The entry at an offset; undefined when it is damaged. */
  entry(offset: number): ReadEntry | undefined {
    const whole = this.#bytes === undefined || offset >= this.#bytes.length ? this.#readEntry(offset) : this.#bytes.subarray(offset);
    const end = whole === undefined ? 0 : wholeEntryAt(whole, 0);
    if (whole === undefined || end === 0) return undefined;
    const payload = whole.subarray(entryHeaderBytes, end);
    if (payload.length < 8) return undefined;
    const length = payload.readUInt32LE(4);
    if (length > payload.length) return undefined;
    const decoded = decodeFrame(payload.subarray(0, length), factsForm);
    return decoded.ok ? { facts: decoded.value, recording: payload.subarray(length) } : undefined;
  }

  /** Most entries are short: one read is enough for them. */
  #readEntry(offset: number): Buffer | undefined {
    const first = this.#read(offset, 8192);
    if (first.length < entryHeaderBytes) return undefined;
    const length = entryHeaderBytes + first.readUInt32LE(4);
    if (length <= first.length) return first;
    return length > bytesOf(this.#path) - offset ? undefined : this.#read(offset, length);
  }
}

/** The recording of an entry; undefined when it has none, a sentence when it can't be read. */
export function recordingOf({ recording }: ReadEntry): Recording | string | undefined {
  if (recording.length === 0) return undefined;
  const decoded = decodeRecording(recording);
  return decoded.ok ? decoded.value : decoded.error;
}
