/**
 * Group commit. Records that arrive while a batch is written gather in the next one; each batch is one write that returns when
 * the bytes are safe, and then all its callers are answered.
 *
 *   append ──▶ filling batch ──▶ queue ──▶ write, safely ──▶ apply each record, answer each caller, in order
 *                                              │ failed
 *                                              ▼
 *                     the segment is given up at its last safe byte; the same batch goes into a new one
 *                                              │ failed as well
 *                                              ▼
 *                     its callers are refused, and with them all that is queued by then: of one key, what came later must not
 *                     be taken where what came before was not. The next batch tries a new segment again
 *
 * After a failed write nobody knows what of the batch is on disk, and a second one that succeeds proves nothing (the kernel may
 * have dropped the pages). That is why a segment is never written again after a failure: the header of the next one says how many
 * bytes of it count, and with that header what was in doubt is void.
 */
import { crc32 } from "node:zlib";
import { assert, type Clock, CodedError } from "#base";
import type { LedgerCounters } from "../ledger.ts";
import { batchHeaderBytes, fileHeaderBytes, formatVersion, mixCrc, putBatchHeader, putFileHeader, recordHeaderBytes } from "./batch.ts";
import { ByteWriter } from "./bytes.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { goneError, journalError } from "./errors.ts";
import { type LogLimits, sectorBytes, spareBuffers } from "./limits.ts";
import { nameOfSegment } from "./names.ts";
import { NextSegment } from "./next-segment.ts";
import type { Placement } from "./places.ts";

interface Operation {
  readonly start: number;
  readonly apply: (placement: Placement) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A record that may be lost in a crash, kept until a batch with it is safe. */
interface LazyRecord {
  readonly encode: ((writer: ByteWriter) => void) | undefined;
  readonly safe: () => void;
}

/** Records on their way to a file; used by checkpoints as well. */
export class Batch {
  readonly writer: ByteWriter;
  readonly operations: Operation[] = [];
  lazy: LazyRecord[] = [];
  /** Of the records, without headers before and zeros after them. */
  bytes = 0;
  records = 0;
  mix = 0;

  constructor(writer: ByteWriter) {
    this.writer = writer;
    writer.length = fileHeaderBytes + batchHeaderBytes; // room for both headers before the records
  }

  /** Adds a record and gives where its payload begins in the buffer. */
  add(encode: (writer: ByteWriter) => void, mostBytes: number): number {
    const { writer } = this;
    const start = writer.length + recordHeaderBytes;
    writer.reserve(recordHeaderBytes);
    writer.length = start;
    try {
      encode(writer);
      if (writer.length - start > mostBytes) throw new RecordTooLong(writer.length - start);
    } catch (error) {
      writer.length = start - recordHeaderBytes;
      throw error;
    }
    const crc = crc32(writer.buffer.subarray(start, writer.length));
    writer.buffer.writeUInt32LE(writer.length - start, start - recordHeaderBytes);
    writer.buffer.writeUInt32LE(crc, start - 4);
    this.mix = mixCrc(this.mix, crc);
    this.records += 1;
    this.bytes = writer.length - fileHeaderBytes - batchHeaderBytes;
    return start;
  }
}

export class RecordTooLong extends Error {
  readonly bytes: number;
  constructor(bytes: number) {
    super(`a record of ${bytes} bytes`);
    this.bytes = bytes;
  }
}

/** Where the log ends: what the next segment's header says of the one before. */
export interface LogEnd {
  /** Number of the last segment that counts, 0 for none, and how many bytes of it do. */
  readonly segment: number;
  readonly end: number;
  /** No segment has had a number above this. */
  readonly highest: number;
  /** Of the next batch. */
  readonly batch: number;
}

interface Segment {
  readonly number: number;
  readonly name: string;
  readonly file: DiskFile;
  end: number;
  /** How long the file is at least, until it is cut. */
  readonly room: number;
}

export interface LogWriterOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly salt: number;
  readonly end: LogEnd;
  readonly counters: () => LedgerCounters;
  /** After each batch that is safe and applied. */
  readonly afterBatch: (batch: { readonly bytes: number; readonly file: string; readonly end: number }) => void;
  /** A file is so long now; 0 when it is gone. */
  readonly onSize: (file: string, bytes: number) => void;
  /** After each batch that was refused. */
  readonly afterRefusal: (error: CodedError) => void;
  /** Runs a task soon, after what else arrived in this turn of the event loop. */
  readonly soon?: ((task: () => void) => void) | undefined;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #queue: (Batch | (() => void))[] = [];
  readonly #spare: ByteWriter[] = [];
  readonly #idle: (() => void)[] = [];
  #filling: Batch | undefined;
  #running = false;
  #over = false;
  /** Files were deleted: what is in them is lost, and a new segment would hide that. */
  #gone: CodedError | undefined;
  /** The last batch was refused. */
  #refusing = false;
  #lastRefusal: CodedError | undefined;
  #lazy: LazyRecord[] = [];
  #cancelLazy: (() => void) | undefined;
  #segment: Segment | undefined;
  /** Segments that were left and are being cut. */
  #closing: Promise<unknown> = Promise.resolve();
  readonly #next: NextSegment;
  #end: LogEnd;
  #batches = 0;
  #records = 0;
  #written: LedgerCounters;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#next = new NextSegment(options);
    this.#end = options.end;
    this.#written = options.counters();
  }

  /** Of the batch that was refused last: another object once one more is. */
  get lastRefusal(): CodedError | undefined {
    return this.#lastRefusal;
  }

  /** Why nothing can be written any more, if so. */
  get gone(): CodedError | undefined {
    return this.#gone;
  }

  /** Batches that became safe, the records in them, and the counters the last one wrote down. */
  get stats(): { readonly batches: number; readonly records: number; readonly written: LedgerCounters } {
    return { batches: this.#batches, records: this.#records, written: this.#written };
  }

  /** Resolves once the record is safe and `apply` has run; rejects when it is not written, and then `apply` has not run. */
  append(encode: (writer: ByteWriter) => void, apply: (placement: Placement) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const batch = this.#batch();
      const start = batch.add(encode, this.#options.limits.recordBytes);
      batch.operations.push({ start, apply, resolve, reject });
      this.#start();
    });
  }

  /** Writes a record with the next batch, or after settleDelayMs; a crash may lose it. */
  appendLazily(encode: (writer: ByteWriter) => void, safe: () => void): void {
    this.#lazy.push({ encode, safe });
    if (!this.#running) this.#flushLazily();
  }

  /**
   * Runs `task` once another batch is safe. A refused record may yet be found after a crash, until then: so what it names must
   * stay (the record then counts as one whose answer the crash has cut off).
   */
  whenVoid(task: () => void): void {
    this.#lazy.push({ encode: undefined, safe: task });
  }

  /** Writes a batch even when there is no record: its header has the counters. */
  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#batch().operations.push({ start: 0, apply: () => undefined, resolve, reject });
      this.#start();
    });
  }

  /**
   * Runs `task` when all that was appended before is safe or refused, and nothing is being written. What is appended later
   * goes into segments above the given number, which no segment has.
   */
  boundary<T>(task: (segment: number, batch: number) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#filling = undefined;
      this.#queue.push(() => {
        try {
          this.#closeSegment();
          this.#end = { ...this.#end, highest: this.#end.highest + 1 };
          resolve(task(this.#end.highest, this.#end.batch));
        } catch (error) {
          reject(error);
        }
      });
      this.#start();
    });
  }

  /** Writes nothing any more: the files are another process's. What waits is refused. */
  halt(): void {
    this.#over = true;
    this.#cancelLazy?.();
    this.#next.halt();
  }

  /** Waits until nothing is to be written, then closes the segment. Records that may be lost and could not be written are. */
  async close(): Promise<void> {
    this.#cancelLazy?.();
    while (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
    const halted = this.#over;
    this.halt();
    if (halted) return this.#segment?.file.close().catch(() => undefined);
    this.#closeSegment();
    await Promise.all([this.#closing, this.#next.close()]);
  }

  #batch(): Batch {
    if (this.#filling !== undefined && this.#filling.writer.length < this.#options.limits.batchBytes) return this.#filling;
    this.#filling = new Batch(this.#spare.pop() ?? new ByteWriter(Math.min(this.#options.limits.batchBytes, 2 ** 18)));
    this.#queue.push(this.#filling);
    return this.#filling;
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    (this.#options.soon ?? setImmediate)(() => void this.#run());
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (next === this.#filling) this.#filling = undefined;
      if (typeof next === "function") next();
      else await this.#commit(next);
    }
    this.#running = false;
    if (this.#lazy.length > 0) this.#flushLazily();
    for (const done of this.#idle.splice(0)) done();
  }

  #flushLazily(): void {
    if (this.#cancelLazy !== undefined || this.#over) return;
    const { settleDelayMs, refusedRetryMs } = this.#options.limits;
    this.#cancelLazy = this.#options.clock.after(this.#refusing ? refusedRetryMs : settleDelayMs, () => {
      this.#cancelLazy = undefined;
      this.flush().catch(() => undefined); // the end of the run sees to the next try
    });
  }

  async #commit(batch: Batch): Promise<void> {
    batch.lazy = this.#lazy;
    this.#lazy = [];
    for (const { encode } of batch.lazy) if (encode !== undefined) batch.add(encode, this.#options.limits.recordBytes);
    batch.writer.pad(sectorBytes);
    try {
      if (this.#gone !== undefined) throw this.#gone;
      if (this.#over) throw new CodedError("MF_JOURNAL_CLOSED", "the journal is no longer written: stop this gateway");
      await this.#write(batch);
    } catch (cause) {
      this.#lazy = [...batch.lazy, ...this.#lazy];
      this.#refusing = true;
      const error = journalError(cause, "write");
      this.#lastRefusal = error;
      for (const { reject } of [batch, ...this.#takeQueued()].flatMap(({ operations }) => operations)) reject(error);
      this.#options.afterRefusal(error);
      return;
    }
    const segment = this.#segment;
    assert(segment !== undefined, "a batch that is safe is in a segment");
    const length = batch.writer.length - fileHeaderBytes;
    const base = segment.end - length - fileHeaderBytes; // of the buffer, as if it began in the file
    this.#refusing = false;
    this.#batches += 1;
    this.#records += batch.records;
    for (const { start, apply, resolve } of batch.operations) {
      apply({ file: segment.name, offset: base + start });
      resolve();
    }
    for (const { safe } of batch.lazy) safe();
    this.#options.onSize(segment.name, Math.max(segment.end, segment.room));
    this.#options.afterBatch({ bytes: length, file: segment.name, end: segment.end });
    if (this.#spare.length < spareBuffers && batch.writer.buffer.length <= 2 * this.#options.limits.batchBytes)
      this.#spare.push(batch.writer);
  }

  /** Takes the batches that wait out of the queue; boundaries stay in it. */
  #takeQueued(): Batch[] {
    const waiting = this.#queue.splice(0);
    this.#filling = undefined;
    this.#queue.push(...waiting.filter((next) => typeof next === "function"));
    return waiting.filter((next) => next instanceof Batch);
  }

  async #write(batch: Batch): Promise<void> {
    const length = batch.writer.length - fileHeaderBytes;
    const segment = this.#segment;
    if (segment !== undefined && segment.end + length <= this.#options.limits.segmentBytes) {
      try {
        this.#seal(batch, segment.end);
        await segment.file.write(batch.writer.buffer.subarray(fileHeaderBytes, batch.writer.length), segment.end);
        if (!segment.file.isLinked()) this.#gone = goneError(`${segment.name} was removed`);
        if (this.#gone !== undefined) throw this.#gone;
        segment.end += length;
        this.#end = { ...this.#end, end: segment.end, batch: this.#end.batch + 1 };
        const half = this.#options.limits.segmentBytes / 2;
        if (segment.end > half && segment.end - length <= half) this.#next.make(); // once for each segment: the disk may be full
        return;
      } catch {
        this.#segment = undefined;
        await this.#cut(segment);
        if (this.#gone !== undefined) throw this.#gone;
      }
    }
    this.#closeSegment();
    await this.#writeNewSegment(batch);
  }

  /** The header and the first batch are one write, so that a segment that exists says at once where the one before ends. */
  async #writeNewSegment(batch: Batch): Promise<void> {
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
    this.#segment = { number, name, file, end: batch.writer.length, room: made === undefined ? 0 : this.#options.limits.segmentBytes };
    this.#end = { segment: number, end: batch.writer.length, highest: number, batch: firstBatch + 1 };
  }

  #seal(batch: Batch, offset: number): void {
    const { writer } = batch;
    const counters = this.#options.counters();
    const header = {
      bytes: batch.bytes,
      records: batch.records,
      mix: batch.mix,
      number: this.#end.batch,
      counters,
      timeMs: this.#options.clock.now(),
    };
    putBatchHeader(writer.buffer.subarray(fileHeaderBytes), header, this.#options.salt, offset);
    this.#written = counters;
  }

  #closeSegment(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    this.#options.onSize(segment.name, segment.end);
    this.#closing = Promise.all([this.#closing, this.#cut(segment)]);
  }

  /**
   * Cuts a segment at its last safe byte and closes it: behind that are zeros, or what is in doubt, and to cut it makes room on a full disk.
   * When that fails the next header still makes it void.
   */
  async #cut(segment: Segment): Promise<void> {
    await segment.file.truncate(segment.end).catch(() => undefined);
    await segment.file.close().catch(() => undefined);
  }
}
