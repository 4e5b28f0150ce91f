/**
 * Reading the journal back: the newest checkpoint, then the chain of segments after it.
 *
 *   checkpoint-7      what segments 1 to 6 amount to
 *   segment-8   ◀──previous── segment-9   ◀──previous── segment-11
 *     counts up to 9's              up to 11's            up to its last whole batch
 *     previousEnd                   previousEnd
 *
 * The chain is found from its end: each header names the segment before it. Segment 10 here is one that could not be made (a full
 * disk): nobody names it, nothing in it was ever acknowledged, and it is removed. In all segments but the last every byte counts,
 * so a batch that can't be read is corruption. In the last one it is the torn end, unless a later batch follows (batch.ts).
 */
import type { Disk, DiskFile } from "./disk.ts";
import { BatchReader, fileHeaderBytes, type FileHeader, formatVersion, type ReadBatch } from "./batch.ts";
import type { Bodies } from "./bodies.ts";
import { corruptError, journalError, versionError } from "./errors.ts";
import type { NumberSeries } from "../ledger.ts";
import { LiveIndex } from "./live-index.ts";
import { type LogLimits, numbersAhead } from "./limits.ts";
import {
  isBlob,
  isSleepers,
  isTemporary,
  nameOfCheckpoint,
  nameOfReserve,
  nameOfSegment,
  numberOfCheckpoint,
  numberOfSegment,
} from "./names.ts";
import type { Placement } from "./places.ts";
import type { LogRecord } from "../format/record.ts";
import { decodeRecord } from "../format/records.ts";
import type { LogEnd } from "./segments.ts";
import { ownerOf } from "../owned-bytes.ts";
import { placesOf } from "./captured-sleepers.ts";
import { isLoose } from "./sleeper-files.ts";
import { type Upgrade, upgrades } from "./upgrades.ts";

/** A place where something is wrong. */
export interface Problem {
  readonly file: string;
  readonly offset: number;
  readonly code: "MF_JOURNAL_CORRUPT" | "MF_JOURNAL_VERSION";
  readonly message: string;
}

export interface FileReport {
  readonly file: string;
  readonly bytes: number;
  readonly batches: number;
  readonly records: number;
}

export interface CoveredSegment {
  readonly file: string;
  readonly bytes: number;
  readonly createdMs: number;
}

export interface ReadLog {
  readonly index: LiveIndex;
  readonly end: LogEnd;
  /** Undefined when there is no file yet that has one. */
  readonly salt: number | undefined;
  /** Of the newest checkpoint; 0 for none. */
  readonly checkpoint: number;
  readonly checkpointBytes: number;
  /** Bytes of the segments that were read. */
  readonly loggedBytes: number;
  readonly remarks: readonly string[];
  readonly problems: readonly Problem[];
  readonly files: readonly FileReport[];
  /** Sizes of all files that stay, by name. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Segments that were read, oldest first. */
  readonly chain: readonly { readonly file: string; readonly createdMs: number }[];
  /** Segments the checkpoint has made superfluous, oldest first: history, kept as long as retention says. */
  readonly covered: readonly CoveredSegment[];
  /** Sizes of the files that sleepers are in, segments left out, by name. */
  readonly sleeperFiles: ReadonlyMap<string, number>;
  /** Files that nothing refers to. */
  readonly obsolete: readonly string[];
}

export interface ReadOptions {
  readonly disk: Disk;
  readonly bodies: Bodies;
  readonly limits: LogLimits;
  /** Goes on after a problem and lists it, instead of throwing at the first. */
  readonly salvage?: boolean | undefined;
  /** Syncs what the log ends with before it is believed: after a crash of the process alone it may be in the page cache only. */
  readonly sync?: boolean | undefined;
  readonly upgrades?: ReadonlyMap<number, Upgrade> | undefined;
  /** Absent: every number. */
  readonly numbers?: NumberSeries | undefined;
  /** Sees every record before it is applied. */
  readonly onRecord?: ((record: LogRecord, placement: Placement, timeMs: number) => void) | undefined;
}

interface SegmentFound {
  readonly number: number;
  readonly name: string;
  readonly header: FileHeader | undefined;
}

export async function readLog(options: ReadOptions): Promise<ReadLog> {
  return new LogReader(options).read();
}

/** Batches of one file, and what is expected of them. */
interface BatchesOfFile {
  readonly reader: BatchReader;
  readonly name: string;
  readonly header: FileHeader;
  /** Offset in bytes. */
  readonly limit: number;
  readonly expected: (batch: ReadBatch) => boolean;
  /** True: the file may end in a torn batch. */
  readonly torn?: boolean;
}

class LogReader {
  readonly #options: ReadOptions;
  readonly #index: LiveIndex;
  readonly #window: Buffer;
  readonly #sizes = new Map<string, number>();
  readonly #remarks: string[] = [];
  readonly #problems: Problem[] = [];
  readonly #files: FileReport[] = [];
  readonly #covered: CoveredSegment[] = [];
  readonly #obsolete: string[] = [];
  #salt: number | undefined;
  #nextBatch = 1;
  #loggedBytes = 0;
  /** Records of the checkpoint that is being read, and whether its end was seen. */
  #checkpointRecords = 0;
  #checkpointWhole = false;

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#index = new LiveIndex(options.bodies, options.numbers);
    this.#window = Buffer.allocUnsafeSlow(options.limits.readBytes);
  }

  async read(): Promise<ReadLog> {
    const names = (await this.#list()).sort();
    const checkpoints = names.map(numberOfCheckpoint).filter((number) => number !== undefined);
    const checkpoint = checkpoints.at(-1) ?? 0;
    for (const name of names) if (isTemporary(name)) this.#obsolete.push(name);
    for (const number of checkpoints) if (number !== checkpoint) this.#obsolete.push(nameOfCheckpoint(number));
    const found = await this.#segments(names);
    const highest = Math.max(checkpoint, ...found.map((segment) => segment.number), 0);
    if (checkpoint > 0) await this.#readCheckpoint(checkpoint);
    const chain = await this.#chain(found, checkpoint);
    for (const segment of found) {
      if (segment.number < checkpoint)
        this.#covered.push({ file: segment.name, bytes: this.#sizes.get(segment.name) ?? 0, createdMs: segment.header?.createdMs ?? 0 });
      else if (!chain.includes(segment)) this.#obsolete.push(segment.name);
    }
    let end = 0;
    for (const [index, segment] of chain.entries()) end = await this.#readSegment(segment, chain[index + 1]);
    // Numbers given to adopted messages and leases may be in no record.
    const { counters, numbers } = this.#index.ledger;
    const { sequence, token, entry } = counters;
    const ahead = numbersAhead * numbers.step;
    if (names.length > 0 && !this.#index.closed) this.#index.ledger.skipTo({ sequence: sequence + ahead, token: token + ahead, entry });
    this.#sweepBlobs(names);
    const sleeperFiles = this.#sweepSleepers(names);
    if (this.#options.sync === true) await this.#sync(chain.at(-1));
    for (const name of this.#obsolete) this.#sizes.delete(name);
    return {
      index: this.#index,
      end: { segment: chain.at(-1)?.number ?? 0, end, highest, batch: this.#nextBatch },
      salt: this.#salt,
      checkpoint,
      checkpointBytes: this.#sizes.get(nameOfCheckpoint(checkpoint)) ?? 0,
      loggedBytes: this.#loggedBytes,
      remarks: this.#remarks,
      problems: this.#problems,
      files: this.#files,
      sizes: this.#sizes,
      chain: chain.map(({ name, header }) => ({ file: name, createdMs: header?.createdMs ?? 0 })),
      covered: this.#covered,
      sleeperFiles,
      obsolete: this.#obsolete,
    };
  }

  async #list(): Promise<string[]> {
    try {
      return await this.#options.disk.list();
    } catch (error) {
      throw journalError(error, "list its folder");
    }
  }

  async #segments(names: readonly string[]): Promise<SegmentFound[]> {
    const found: SegmentFound[] = [];
    for (const name of names) {
      const number = numberOfSegment(name);
      const known =
        number !== undefined || numberOfCheckpoint(name) !== undefined || isBlob(name) || isSleepers(name) || name === nameOfReserve;
      if (!known) continue;
      await this.#withFile(name, async (reader) => {
        this.#sizes.set(name, reader.size);
        if (isBlob(name) || isSleepers(name) || name === nameOfReserve) return;
        const header = await reader.header();
        if (header !== undefined) this.#salt ??= header.salt;
        if (number === undefined) return;
        const right = header !== undefined && header.number === number && header.kind === "segment";
        found.push({ number, name, header: right ? header : undefined });
      });
    }
    return found;
  }

  /** The segments that count, in order. */
  async #chain(found: readonly SegmentFound[], checkpoint: number): Promise<SegmentFound[]> {
    const byNumber = new Map(found.map((segment) => [segment.number, segment]));
    const chain: SegmentFound[] = [];
    const candidates = found.filter((segment) => segment.number >= checkpoint);
    let next = candidates.filter((segment) => segment.header !== undefined).at(-1);
    for (const { name, header, number } of candidates) {
      if (header === undefined && number > (next?.number ?? 0)) await this.#unbegun(name);
    }
    while (next !== undefined) {
      chain.unshift(next);
      const previous: number = next.header?.previous ?? 0;
      if (previous < Math.max(checkpoint, 1)) break;
      const before = byNumber.get(previous);
      if (before?.header === undefined) {
        this.#problem(nameOfSegment(previous), 0, before === undefined ? "the segment is missing" : "its header is damaged");
        break;
      }
      next = before;
    }
    return chain;
  }

  /** A newest segment without a header is one whose first write was torn; unless it has batches beyond the first. */
  async #unbegun(name: string): Promise<void> {
    await this.#withFile(name, async (reader) => {
      const salt = this.#salt;
      if (salt !== undefined && (await reader.laterBatch(fileHeaderBytes + 1, salt, 0)) !== undefined) {
        this.#problem(name, 0, "its header is damaged, and batches follow");
      }
      this.#remarks.push(`${name}: a segment that was never begun, removed`);
    });
  }

  async #readCheckpoint(number: number): Promise<void> {
    const name = nameOfCheckpoint(number);
    await this.#withFile(name, async (reader) => {
      const header = await reader.header();
      if (header === undefined || header.kind !== "checkpoint") return this.#problem(name, 0, "its header is damaged");
      if (!this.#knows(name, header)) return;
      let batch = 1;
      await this.#readBatches({ reader, name, header, limit: reader.size, expected: (read) => read.header.number === batch++ });
      if (!this.#checkpointWhole) this.#problem(name, reader.size, "its last record is missing");
      this.#nextBatch = header.firstBatch;
    });
  }

  /** Applies a segment's batches; gives the end of the last one. */
  async #readSegment(segment: SegmentFound, successor: SegmentFound | undefined): Promise<number> {
    const { header, name } = segment;
    if (header === undefined || !this.#knows(name, header)) return 0;
    return this.#withFile(name, async (reader) => {
      if (header.firstBatch !== this.#nextBatch) {
        this.#problem(name, 0, `it begins with batch ${header.firstBatch}, expected was ${this.#nextBatch}`);
        this.#nextBatch = header.firstBatch;
      }
      const limit = successor?.header?.previousEnd ?? reader.size;
      if (limit > reader.size) this.#problem(name, reader.size, `it was ${limit} bytes long`);
      const end = await this.#readBatches({
        reader,
        name,
        header,
        limit: Math.min(limit, reader.size),
        expected: (read) => {
          if (read.header.number !== this.#nextBatch && this.#options.salvage !== true) return false;
          this.#nextBatch = read.header.number + 1;
          return true;
        },
        torn: successor === undefined,
      });
      this.#loggedBytes += end;
      return end;
    });
  }

  /** Reads batches up to a limit, and gives the end of the last good one. */
  async #readBatches({ reader, name, header, limit, expected, torn = false }: BatchesOfFile): Promise<number> {
    let at = fileHeaderBytes;
    let end = at;
    let batches = 0;
    let records = 0;
    while (at < limit) {
      const step = await reader.batchAt(at, header.salt);
      const batch = step.batch;
      const why =
        batch === undefined
          ? step.reason
          : batch.end > limit
            ? "the batch reaches beyond what counts"
            : expected(batch)
              ? this.#applyBatch(name, header, batch)
              : "a batch has the wrong number";
      if (why === undefined && batch !== undefined) {
        batches += 1;
        records += batch.payloads.length;
        at = end = batch.end;
        continue;
      }
      if (torn && batch === undefined && (await reader.isZero(at))) break; // room that was made ahead (next-segment.ts)
      const later = await reader.laterBatch(at + 1, header.salt, torn ? this.#nextBatch : 0);
      if (torn && later === undefined) {
        this.#remarks.push(`${name}: cut at byte ${at} of ${reader.size}, ${why ?? "torn"} (written but never acknowledged)`);
        break;
      }
      this.#problem(name, at, why ?? "damaged");
      if (later === undefined || later >= limit) break;
      at = later;
    }
    this.#files.push({ file: name, bytes: reader.size, batches, records });
    return torn ? end : Math.max(at, end);
  }

  /** Undefined when all went well, else what is wrong. */
  #applyBatch(name: string, header: FileHeader, batch: ReadBatch): string | undefined {
    const upgrade = (this.#options.upgrades ?? upgrades).get(header.version);
    const records: { record: LogRecord; offset: number; length: number }[] = [];
    for (const { bytes, offset } of batch.payloads) {
      const record = decodeRecord(header.version === formatVersion || upgrade === undefined ? bytes : upgrade(bytes));
      if (record === undefined) return `the record at byte ${offset} can't be read`;
      records.push({ record, offset, length: bytes.length });
    }
    this.#index.closed = false; // also by a batch without records, which is what a start writes
    for (const { record, offset, length } of records) {
      const placement = { file: name, offset, length };
      this.#options.onRecord?.(record, placement, batch.header.timeMs);
      this.#index.apply(record, placement);
      if (header.kind === "checkpoint") {
        if (record.kind === "end") this.#checkpointWhole = record.records === this.#checkpointRecords;
        this.#checkpointRecords += 1;
      }
    }
    this.#index.ledger.skipTo(batch.header.counters);
    return undefined;
  }

  #knows(name: string, header: FileHeader): boolean {
    if (header.version === formatVersion || (this.#options.upgrades ?? upgrades).has(header.version)) return true;
    const error = versionError(name, header.version, formatVersion);
    if (this.#options.salvage !== true) throw error;
    this.#problems.push({ file: name, offset: 4, code: "MF_JOURNAL_VERSION", message: error.message });
    return false;
  }

  #problem(file: string, offset: number, why: string): void {
    const error = corruptError(file, offset, why);
    if (this.#options.salvage !== true) throw error;
    this.#problems.push({ file, offset, code: "MF_JOURNAL_CORRUPT", message: error.message });
  }

  /** Blobs that nothing names are left over from a crash; one that is named and missing is a loss. */
  #sweepBlobs(names: readonly string[]): void {
    const named = new Set<string>();
    for (const flow of this.#index.ledger.flows.values()) {
      for (const { lease } of flow.pending.values()) this.#nameBlob(lease.message.body, named);
      for (const queue of flow.outbox.values()) for (const [entry] of queue.entries()) this.#nameBlob(entry.body, named);
    }
    for (const { blobs } of this.#index.ledger.sleepers.marked()) for (const blob of blobs) named.add(blob);
    for (const { body } of this.#index.ledger.signals.kept()) this.#nameBlob(body, named);
    this.#countSleepers();
    for (const name of named) if (this.#sizes.get(name) === undefined) this.#problem(name, 0, "the body's file is missing");
    for (const name of names) if (isBlob(name) && !named.has(name)) this.#obsolete.push(name);
  }

  /** Those of owners of flows: what they cost is known once the sizes of files are. */
  #countSleepers(): void {
    const { sleepers, owned } = this.#index.ledger;
    if (![...sleepers.byFlow()].some(([flow]) => ownerOf(flow) !== undefined)) return;
    for (const { sequence, flow, stored, blobs } of sleepers.slots())
      owned.asleep(
        sequence,
        flow,
        blobs.reduce((bytes, blob) => bytes + (this.#sizes.get(blob) ?? 0), stored.length),
      );
  }

  /** Files of sleepers that no sleeper is in are of no use; one that is missing or short is a loss. */
  #sweepSleepers(names: readonly string[]): ReadonlyMap<string, number> {
    const ends = new Map<string, number>();
    for (const { place } of placesOf(this.#index.ledger.sleepers.snapshot()))
      if (!isLoose(place)) ends.set(place.file, Math.max(ends.get(place.file) ?? 0, place.offset + place.length));
    const sizes = new Map<string, number>();
    for (const [file, end] of ends) {
      const size = this.#sizes.get(file);
      if (size === undefined) this.#problem(file, 0, "the file of sleepers is missing");
      else if (size < end) this.#problem(file, size, "the file of sleepers is cut short");
      sizes.set(file, size ?? 0);
    }
    for (const name of names) if (isSleepers(name) && !ends.has(name)) this.#obsolete.push(name);
    return sizes;
  }

  #nameBlob(body: Uint8Array, named: Set<string>): void {
    const place = this.#index.bodies.placeOf(body);
    if (place?.blob === true) named.add(place.file);
  }

  async #sync(last: SegmentFound | undefined): Promise<void> {
    try {
      if (last !== undefined) {
        const file = await this.#options.disk.open(last.name);
        try {
          await file.sync();
        } finally {
          await file.close();
        }
      }
      await this.#options.disk.syncNames();
    } catch (error) {
      throw journalError(error, "sync what it ends with");
    }
  }

  async #withFile<T>(name: string, use: (reader: BatchReader, file: DiskFile) => Promise<T>): Promise<T> {
    try {
      const file = await this.#options.disk.open(name);
      try {
        return await use(new BatchReader(file, await file.size(), this.#window), file);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw journalError(error, `read ${name}`);
    }
  }
}
