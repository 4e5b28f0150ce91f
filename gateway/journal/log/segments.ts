/**
 * The segments of the log: one batch after the other, each one write that returns when the bytes are safe.
 *
 * After a failed write nobody knows what of the batch is on disk, and a second one that succeeds proves nothing (the kernel may have
 * dropped the pages). So a segment is never written again after a failure: it is given up at its last safe byte, and the same batch goes
 * into a new one. The header of that one says how many bytes of the segment before count, and with it what was in doubt is void.
 */
import type { Clock, CodedError } from "#base";
import type { LedgerCounters } from "../ledger.ts";
import { fileHeaderBytes, formatVersion, putBatchHeader, putFileHeader } from "./batch.ts";
import type { BatchBuffer } from "./batch-buffer.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { goneError } from "./errors.ts";
import type { LogLimits } from "./limits.ts";
import { nameOfSegment } from "./names.ts";
import { NextSegment } from "./next-segment.ts";

/** The end of the log: what the next segment's header says of the one before. */
export interface LogEnd {
  /** Number of the last segment that counts, 0 for none, and how many bytes of it do. */
  readonly segment: number;
  readonly end: number;
  /** No segment has had a number above this. */
  readonly highest: number;
  /** Number of the next batch. */
  readonly batch: number;
}

export interface SegmentOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly salt: number;
  readonly end: LogEnd;
  readonly counters: () => LedgerCounters;
  /** A file has this many bytes now; 0 when it is gone. */
  readonly onSize: (file: string, bytes: number) => void;
}

interface Segment {
  readonly number: number;
  readonly name: string;
  readonly file: DiskFile;
  end: number;
  /** Length of the file, at least, until it is truncated. */
  readonly room: number;
}

/** A batch that is safe. */
export interface WrittenBatch {
  readonly file: string;
  /** Offset in the file that the buffer's first byte would have: its room for a file header is written with a new segment only. */
  readonly origin: number;
  /** Length of the batch, and of the segment with it. */
  readonly bytes: number;
  readonly end: number;
}

export class Segments {
  readonly #options: SegmentOptions;
  readonly #next: NextSegment;
  /** Files were deleted: what is in them is lost, and a new segment would hide that. */
  #gone: CodedError | undefined;
  #segment: Segment | undefined;
  /** Segments that were left and are being truncated. */
  #closing: Promise<unknown> = Promise.resolve();
  #end: LogEnd;
  #written: LedgerCounters;

  constructor(options: SegmentOptions) {
    this.#options = options;
    this.#next = new NextSegment(options);
    this.#end = options.end;
    this.#written = options.counters();
  }

  /** Why nothing can be written any more, if so. */
  get gone(): CodedError | undefined {
    return this.#gone;
  }

  /** The counters in the header of the last batch. */
  get written(): LedgerCounters {
    return this.#written;
  }

  /** Writes a padded batch, safely. Rejects as the disk does, or with `gone`; then the batch does not count. */
  async write(batch: BatchBuffer): Promise<WrittenBatch> {
    if (this.#gone !== undefined) throw this.#gone;
    const segment = (await this.#append(batch)) ?? (await this.#writeNewSegment(batch));
    this.#options.onSize(segment.name, Math.max(segment.end, segment.room));
    return {
      file: segment.name,
      origin: segment.end - batch.writer.length,
      bytes: batch.writer.length - fileHeaderBytes,
      end: segment.end,
    };
  }

  /** Ends the segment. What is written later goes into segments above the number given back, which no segment has. */
  boundary(): { readonly segment: number; readonly batch: number } {
    this.#closeSegment();
    this.#end = { ...this.#end, highest: this.#end.highest + 1 };
    return { segment: this.#end.highest, batch: this.#end.batch };
  }

  /** Begins no file any more: they are another process's. */
  halt(): void {
    this.#next.halt();
  }

  /** Truncates the segment and removes the one made ahead. */
  async close(): Promise<void> {
    this.halt();
    this.#closeSegment();
    await Promise.all([this.#closing, this.#next.close()]);
  }

  /** Leaves every file as it is. */
  async abandon(): Promise<void> {
    this.halt();
    await this.#segment?.file.close().catch(() => undefined);
  }

  /** Writes into the open segment. Undefined if no segment is open, it has no room or its write failed; then it is closed. */
  async #append(batch: BatchBuffer): Promise<Segment | undefined> {
    const length = batch.writer.length - fileHeaderBytes;
    const { segmentBytes } = this.#options.limits;
    const segment = this.#segment;
    if (segment === undefined || segment.end + length > segmentBytes) {
      this.#closeSegment();
      return undefined;
    }
    try {
      this.#seal(batch, segment.end);
      await segment.file.write(batch.writer.buffer.subarray(fileHeaderBytes, batch.writer.length), segment.end);
      if (!segment.file.isLinked()) this.#gone = goneError(`${segment.name} was removed`);
      if (this.#gone !== undefined) throw this.#gone;
    } catch {
      this.#segment = undefined;
      await this.#truncate(segment);
      if (this.#gone !== undefined) throw this.#gone;
      return undefined;
    }
    segment.end += length;
    const { segment: number, highest, batch: written } = this.#end;
    this.#end = { segment: number, end: segment.end, highest, batch: written + 1 };
    const half = segmentBytes / 2;
    if (segment.end > half && segment.end - length <= half) this.#next.make(); // once for each segment: the disk may be full
    return segment;
  }

  /** The header and the first batch are one write, so that a segment that exists says at once where the one before ends. */
  async #writeNewSegment(batch: BatchBuffer): Promise<Segment> {
    const { disk, salt, clock } = this.#options;
    const number = this.#end.highest + 1;
    this.#end = { ...this.#end, highest: number };
    const name = nameOfSegment(number);
    const { segment: previous, end: previousEnd, batch: firstBatch } = this.#end;
    putFileHeader(batch.writer.buffer, {
      version: formatVersion,
      kind: "segment",
      salt,
      number,
      previous,
      previousEnd,
      createdMs: clock.now(),
      firstBatch,
    });
    this.#seal(batch, fileHeaderBytes);
    const made = await this.#next.take(name);
    let file = made;
    try {
      file ??= await disk.createSynced(name);
      await file.write(batch.writer.buffer.subarray(0, batch.writer.length), 0);
      await disk.syncNames();
    } catch (error) {
      await file?.close().catch(() => undefined);
      await disk.remove(name).catch(() => undefined);
      throw error;
    }
    const end = batch.writer.length;
    this.#segment = { number, name, file, end, room: made === undefined ? 0 : this.#options.limits.segmentBytes };
    this.#end = { segment: number, end, highest: number, batch: firstBatch + 1 };
    return this.#segment;
  }

  #seal({ writer, bytes, records, mix }: BatchBuffer, offset: number): void {
    const { clock, counters, salt } = this.#options;
    const now = counters();
    const header = { bytes, records, mix, number: this.#end.batch, counters: now, timeMs: clock.now() };
    putBatchHeader(writer.buffer.subarray(fileHeaderBytes), header, salt, offset);
    this.#written = now;
  }

  #closeSegment(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    this.#options.onSize(segment.name, segment.end);
    this.#closing = Promise.all([this.#closing, this.#truncate(segment)]);
  }

  /**
   * Truncates a segment at its last safe byte and closes it: behind that are zeros, or what is in doubt, and on a full disk that makes
   * room. When it fails the next header still makes that part void.
   */
  async #truncate(segment: Segment): Promise<void> {
    await segment.file.truncate(segment.end).catch(() => undefined);
    await segment.file.close().catch(() => undefined);
  }
}
