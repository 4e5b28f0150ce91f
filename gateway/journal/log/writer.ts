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
 */
import { CodedError } from "#base";
import type { LedgerCounters } from "../ledger.ts";
import { BatchBuffer } from "./batch-buffer.ts";
import { ByteWriter } from "../format/bytes.ts";
import { journalError } from "./errors.ts";
import { sectorBytes, spareBuffers } from "./limits.ts";
import type { Placement } from "./places.ts";
import { type SegmentOptions, Segments, type WrittenBatch } from "./segments.ts";

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

/** A batch and its callers. */
interface Batch {
  readonly buffer: BatchBuffer;
  readonly operations: Operation[];
  lazy: readonly LazyRecord[];
}

export interface LogWriterOptions extends SegmentOptions {
  /** After each batch that is safe and applied. */
  readonly afterBatch: (batch: WrittenBatch) => void;
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
  /** The last batch was refused. */
  #refusing = false;
  #lastRefusal: CodedError | undefined;
  #lazy: LazyRecord[] = [];
  #cancelLazy: (() => void) | undefined;
  readonly #segments: Segments;
  #batches = 0;
  #records = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#segments = new Segments(options);
  }

  /** Of the batch that was refused last: another object once one more is. */
  get lastRefusal(): CodedError | undefined {
    return this.#lastRefusal;
  }

  /** Why nothing can be written any more, if so. */
  get gone(): CodedError | undefined {
    return this.#segments.gone;
  }

  /** Batches that became safe, the records in them, and the counters the last one wrote down. */
  get stats(): { readonly batches: number; readonly records: number; readonly written: LedgerCounters } {
    return { batches: this.#batches, records: this.#records, written: this.#segments.written };
  }

  /** Resolves once the record is safe and `apply` has run; rejects when it is not written, and then `apply` has not run. */
  append(encode: (writer: ByteWriter) => void, apply: (placement: Placement) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const batch = this.#batch();
      const start = batch.buffer.add(encode, this.#options.limits.recordBytes);
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
          const { segment, batch } = this.#segments.boundary();
          resolve(task(segment, batch));
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
    this.#segments.halt();
  }

  /** Waits until everything is written, then closes the segment. Records that may be lost and could not be written are. */
  async close(): Promise<void> {
    this.#cancelLazy?.();
    while (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
    const halted = this.#over;
    this.halt();
    await (halted ? this.#segments.abandon() : this.#segments.close());
  }

  #batch(): Batch {
    const { batchBytes } = this.#options.limits;
    if (this.#filling !== undefined && this.#filling.buffer.writer.length < batchBytes) return this.#filling;
    const writer = this.#spare.pop() ?? new ByteWriter(Math.min(batchBytes, 2 ** 18));
    this.#filling = { buffer: new BatchBuffer(writer), operations: [], lazy: [] };
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
    const { buffer } = batch;
    batch.lazy = this.#lazy;
    this.#lazy = [];
    for (const { encode } of batch.lazy) if (encode !== undefined) buffer.add(encode, this.#options.limits.recordBytes);
    buffer.writer.pad(sectorBytes);
    let written: WrittenBatch;
    try {
      if (this.#over && this.gone === undefined)
        throw new CodedError("MF_JOURNAL_CLOSED", "the journal is no longer written: stop this gateway");
      written = await this.#segments.write(buffer);
    } catch (cause) {
      return this.#refuse(batch, journalError(cause, "write"));
    }
    this.#refusing = false;
    this.#batches += 1;
    this.#records += buffer.records;
    for (const { start, apply, resolve } of batch.operations) {
      apply({ file: written.file, offset: written.origin + start });
      resolve();
    }
    for (const { safe } of batch.lazy) safe();
    this.#options.afterBatch(written);
    if (this.#spare.length < spareBuffers && buffer.writer.buffer.length <= 2 * this.#options.limits.batchBytes)
      this.#spare.push(buffer.writer);
  }

  /** Refuses the batch and all that are queued by now; their lazy records are kept for a later one. */
  #refuse(batch: Batch, error: CodedError): void {
    this.#lazy = [...batch.lazy, ...this.#lazy];
    this.#refusing = true;
    this.#lastRefusal = error;
    for (const { reject } of [batch, ...this.#takeQueued()].flatMap(({ operations }) => operations)) reject(error);
    this.#options.afterRefusal(error);
  }

  /** Takes the batches that wait out of the queue; boundaries stay in it. */
  #takeQueued(): Batch[] {
    const waiting = this.#queue.splice(0);
    this.#filling = undefined;
    this.#queue.push(...waiting.filter((next) => typeof next === "function"));
    return waiting.filter((next) => typeof next !== "function");
  }
}
