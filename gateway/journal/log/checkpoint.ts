/**
 * A checkpoint is everything that is live at the boundary between two segments, in one file of the same format. What is live is
 * captured at once, as references to values that never change; it is written while the journal goes on. The file counts once it is
 * renamed into place: before that the old one and all segments are still there, after it the segments below are superfluous.
 */
import type { Clock } from "#base";
import type { Sequence } from "../journal.ts";
import type { LedgerCounters } from "../ledger.ts";
import { batchHeaderBytes, fileHeaderBytes, formatVersion, putBatchHeader, putFileHeader } from "./batch.ts";
import { ByteWriter } from "../format/bytes.ts";
import { CapturedSleepers, type SleeperPlace } from "./captured-sleepers.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { journalError } from "./errors.ts";
import type { BodyToWrite } from "../format/fields.ts";
import type { LiveIndex } from "./live-index.ts";
import { type LogLimits, sectorBytes, slotBytes, slotsTogether } from "./limits.ts";
import { nameOfCheckpoint } from "./names.ts";
import type { Place, RecordPlace } from "./places.ts";
import { toMove, writeSleepers } from "./sleeper-files.ts";
import { writeBurying, writeCompletedId, writeEnd, writeState } from "../format/change-records.ts";
import { writeEntry, writeMessage } from "../format/message-records.ts";
import type { Fields } from "../format/record.ts";
import type { CapturedSlot } from "../format/asleep-pack.ts";
import { writeAsleep } from "../format/asleep-record.ts";
import { writeSignal } from "../format/sleep-records.ts";
import { BatchBuffer } from "./batch-buffer.ts";

export interface Captured {
  /** Segments below this one are in the checkpoint. */
  readonly segment: number;
  readonly firstBatch: number;
  readonly counters: LedgerCounters;
  readonly messages: readonly Omit<Fields<"pending">, "body">[];
  readonly entries: readonly Omit<Fields<"entry">, "body">[];
  readonly sleepers: CapturedSleepers;
  /** Burials that take signals along. */
  readonly burials: readonly Fields<"burying">[];
  readonly signals: readonly Omit<Fields<"signal">, "body">[];
  readonly ids: readonly Fields<"completedId">[];
  readonly states: readonly Fields<"state">[];
}

/** Live entries. Ids whose window has expired and versions of deleted state are left out. */
export function capture(index: LiveIndex, segment: number, firstBatch: number, nowMs: number): Captured {
  const messages: Captured["messages"][number][] = [];
  const entries: Captured["entries"][number][] = [];
  const ids: Captured["ids"][number][] = [];
  const states: Captured["states"][number][] = [];
  for (const [name, flow] of index.ledger.flows) {
    for (const [sequence, { lease }] of flow.pending)
      if (lease.durable) messages.push({ lease, burying: index.burying.get(sequence)?.record });
    for (const queue of flow.outbox.values()) {
      for (const [entry, dueMs, entered] of queue.entries())
        entries.push({ entry, dueMs, entered, burying: index.buryingSends.get(entry.number) });
    }
    for (const window of [flow.dedup, flow.signalDedup])
      for (const [dedupId, id, untilMs, reply] of window.entries())
        if (untilMs > nowMs) ids.push({ flow: name, dedupId, id, untilMs, reply });
    for (const [key, { version, values }] of flow.state)
      if (values.size > 0) states.push({ flow: name, key, version, values: [...values] });
  }
  const sleepers = new CapturedSleepers(index.ledger.sleepers.snapshot(), index.burying);
  const burials = [...index.burying]
    .filter(([, { consumed }]) => consumed.length > 0)
    .map(([sequence, burying]) => ({ flow: "", sequence, ...burying }));
  // The ids of signals are among the completed ones.
  const signals = [...index.ledger.signals.kept()].map((signal) => ({
    signal: { ...signal, dedup: undefined },
    burying: index.buryingSignals.get(signal.number),
  }));
  return { segment, firstBatch, counters: index.ledger.counters, messages, entries, sleepers, burials, signals, ids, states };
}

/** How long a checkpoint would be, without making it: nearer too much than too little. */
export function estimatedBytes({ ledger, bodies, looseBytes }: LiveIndex): number {
  const head = 512; // of a record with its headers and names
  let bytes = fileHeaderBytes + sectorBytes + ledger.stateBytes + ledger.signals.bytes + looseBytes;
  bytes += ledger.sleepers.size * slotBytes + ledger.sleepers.textBytes;
  for (const flow of ledger.flows.values()) {
    for (const { lease } of flow.pending.values()) bytes += head + bodies.recordedBytesOf(lease.message.body);
    for (const queue of flow.outbox.values()) for (const [entry] of queue.entries()) bytes += head + bodies.recordedBytesOf(entry.body);
    for (const [, , , reply] of flow.dedup.entries()) bytes += head / 2 + (reply?.body.length ?? 0);
    bytes += (flow.state.size + flow.signalDedup.size) * (head / 2);
  }
  return bytes;
}

export interface CheckpointOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly salt: number;
  readonly index: LiveIndex;
  /** Sizes of the files of sleepers, by name. */
  readonly sleeperFiles: ReadonlyMap<string, number>;
}

export interface WrittenCheckpoint {
  readonly file: string;
  readonly bytes: number;
  /** Files that sleepers of this checkpoint are in, and their sizes. */
  readonly sleeperFiles: ReadonlyMap<string, number>;
}

/** Writes what was captured, safely. Rejects with MF_JOURNAL_FULL or MF_JOURNAL_IO and leaves nothing behind. */
export async function writeCheckpoint(captured: Captured, options: CheckpointOptions): Promise<WrittenCheckpoint> {
  const name = nameOfCheckpoint(captured.segment);
  const temporary = `${name}.tmp`;
  const { disk, index } = options;
  let file: DiskFile | undefined;
  let made: string | undefined;
  try {
    const moved = await moveSleepers(captured, options);
    made = moved.file;
    await disk.remove(temporary);
    file = await disk.create(temporary);
    const writer = new CheckpointWriter(file, name, captured, { ...options, moved: moved.places });
    const bytes = await writer.write();
    await file.sync();
    await file.close();
    made = undefined; // from now on a crash may bring up a checkpoint that names it
    await disk.rename(temporary, name);
    await disk.syncNames();
    writer.moveBodies();
    for (const { sequence, place } of moved.sleepers) index.move(sequence, place, moved.places.get(sequence) ?? place);
    return { file: name, bytes, sleeperFiles: moved.files };
  } catch (error) {
    await file?.close().catch(() => undefined);
    await disk.remove(temporary).catch(() => undefined);
    if (made !== undefined) await disk.remove(made).catch(() => undefined);
    throw journalError(error, "write a checkpoint");
  }
}

interface MovedSleepers {
  /** The file that was made for them, if one was. */
  readonly file: string | undefined;
  readonly sleepers: readonly SleeperPlace[];
  /** Where they are now. */
  readonly places: ReadonlyMap<Sequence, RecordPlace>;
  readonly files: ReadonlyMap<string, number>;
}

/** Takes sleepers out of the segments that the checkpoint covers. Its file has its name before the checkpoint has. */
async function moveSleepers({ sleepers, segment }: Captured, options: CheckpointOptions): Promise<MovedSleepers> {
  const { disk, clock, limits, salt, index, sleeperFiles } = options;
  const moving = toMove(sleepers, sleeperFiles);
  const common = { disk, bodies: index.bodies, salt, number: segment, nowMs: clock.now(), chunkBytes: limits.batchBytes };
  const written = moving.length === 0 ? undefined : await writeSleepers(moving, common);
  if (written !== undefined) {
    try {
      await disk.syncNames();
    } catch (error) {
      await disk.remove(written.file).catch(() => undefined);
      throw error;
    }
  }
  const places = written?.places ?? new Map<Sequence, RecordPlace>();
  const files = new Map<string, number>();
  if (written !== undefined) files.set(written.file, written.bytes);
  for (const { sequence, place } of sleepers.places())
    if (!files.has(place.file) && !places.has(sequence)) files.set(place.file, sleeperFiles.get(place.file) ?? 0);
  return { file: written?.file, sleepers: moving, places, files };
}

interface WriterOptions extends CheckpointOptions {
  /** Where sleepers are that were moved. */
  readonly moved: ReadonlyMap<Sequence, RecordPlace>;
}

class CheckpointWriter {
  readonly #file: DiskFile;
  readonly #name: string;
  readonly #captured: Captured;
  readonly #options: WriterOptions;
  readonly #moves: { readonly body: Uint8Array; readonly place: Place }[] = [];
  readonly #buffer: ByteWriter;
  #batch: BatchBuffer;
  #batchNumber = 1;
  #records = 0;
  #at = fileHeaderBytes;

  constructor(file: DiskFile, name: string, captured: Captured, options: WriterOptions) {
    this.#file = file;
    this.#name = name;
    this.#captured = captured;
    this.#options = options;
    this.#buffer = new ByteWriter(options.limits.batchBytes);
    this.#batch = new BatchBuffer(this.#buffer);
  }

  async write(): Promise<number> {
    const { messages, entries, sleepers, burials, signals, ids, states } = this.#captured;
    for (const { lease, burying } of messages) {
      await this.#addWithBody(lease.message.body, (writer, body) => writeMessage(writer, "pending", { lease, burying, body }));
    }
    for (const { entry, dueMs, entered, burying } of entries) {
      await this.#addWithBody(entry.body, (writer, body) => writeEntry(writer, { entry, dueMs, entered, burying, body }));
    }
    await this.#addSleepers(sleepers);
    for (const { signal, burying } of signals) {
      await this.#addWithBody(signal.body, (writer, body) => writeSignal(writer, { signal, burying, body }));
    }
    for (const burying of burials) await this.#add((writer) => writeBurying(writer, burying));
    for (const id of ids) await this.#add((writer) => writeCompletedId(writer, id));
    for (const state of states) await this.#add((writer) => writeState(writer, state));
    await this.#add((writer) => writeEnd(writer, this.#records));
    await this.#flush();
    return this.#at;
  }

  /** From now on the bodies that are not in memory are read from here. */
  moveBodies(): void {
    for (const { body, place } of this.#moves) this.#options.index.bodies.move(body, place);
  }

  async #addSleepers(sleepers: CapturedSleepers): Promise<void> {
    const { limits, moved } = this.#options;
    const mostBytes = Math.min(limits.batchBytes, limits.recordBytes);
    let together: CapturedSlot[] = [];
    const add = (): Promise<void> =>
      this.#add((writer) => {
        together = together.slice(writeAsleep(writer, together, mostBytes));
      });
    for (const each of sleepers) {
      together.push({ ...each, place: moved.get(each.slot.sequence) ?? each.place });
      if (together.length === slotsTogether) await add();
    }
    while (together.length > 0) await add();
  }

  async #addWithBody(body: Uint8Array, encode: (writer: ByteWriter, body: BodyToWrite) => number): Promise<void> {
    const { bodies } = this.#options.index;
    const place = bodies.placeOf(body);
    const known = bodies.toWrite(body);
    const written = known ?? (await bodies.load(body));
    let offset = -1;
    await this.#add((writer) => {
      offset = encode(writer, written);
    });
    if (known !== undefined || place === undefined) return;
    this.#moves.push({ body, place: { ...place, file: this.#name, offset: this.#at + offset - fileHeaderBytes } });
    await this.#flushWhenFull();
  }

  async #add(encode: (writer: ByteWriter) => void): Promise<void> {
    await this.#flushWhenFull();
    this.#batch.add(encode, this.#options.limits.recordBytes);
    this.#records += 1;
  }

  async #flushWhenFull(): Promise<void> {
    if (this.#batch.writer.length >= this.#options.limits.batchBytes) await this.#flush();
  }

  async #flush(): Promise<void> {
    const { salt, clock } = this.#options;
    const { counters, segment, firstBatch } = this.#captured;
    const batch = this.#batch;
    const { writer } = batch;
    writer.pad(sectorBytes);
    const timeMs = clock.now();
    const header = { bytes: batch.bytes, records: batch.records, mix: batch.mix, number: this.#batchNumber, counters, timeMs };
    putBatchHeader(writer.buffer.subarray(fileHeaderBytes, fileHeaderBytes + batchHeaderBytes), header, salt, this.#at);
    const first = this.#batchNumber === 1;
    if (first) {
      const version = formatVersion;
      putFileHeader(writer.buffer, {
        version,
        kind: "checkpoint",
        salt,
        number: segment,
        previous: 0,
        previousEnd: 0,
        createdMs: timeMs,
        firstBatch,
      });
    }
    await this.#file.write(writer.buffer.subarray(first ? 0 : fileHeaderBytes, writer.length), first ? 0 : this.#at);
    this.#at += writer.length - fileHeaderBytes;
    this.#batchNumber += 1;
    this.#batch = new BatchBuffer(this.#buffer);
  }
}
