/**
 * Files of sleepers: what a checkpoint has taken out of the segments it covers, one `sleeper` record after the other, each read by its place.
 *
 *   header, one sector │ u32 length, u32 crc, payload │ u32 length, u32 crc, payload │ …
 *
 * A file is written once, before the checkpoint that names its places, and safe before that is. A sleeper that is gone leaves its bytes behind; a
 * file of which most is such has the rest taken out by the next checkpoint, as if it were a segment. A file that no sleeper is in goes.
 */
import { crc32 } from "node:zlib";
import type { Sequence } from "../journal.ts";
import { ByteWriter } from "../format/bytes.ts";
import { writeSleeper } from "../format/sleep-records.ts";
import { fileHeaderBytes, formatVersion, putFileHeader, recordHeaderBytes } from "./batch.ts";
import type { Bodies } from "./bodies.ts";
import type { CapturedSleepers, SleeperPlace } from "./captured-sleepers.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { isSegment, nameOfSleepers } from "./names.ts";
import type { RecordPlace } from "./places.ts";
import { sleepingIn } from "./sleeping-bodies.ts";

export interface SleeperFileOptions {
  readonly disk: Disk;
  readonly bodies: Bodies;
  readonly salt: number;
  readonly number: number;
  readonly nowMs: number;
  /** Written at a time. */
  readonly chunkBytes: number;
}

/** True for the place of a sleeper that no checkpoint has taken out of its segment yet. */
export function isLoose({ file }: RecordPlace): boolean {
  return isSegment(file);
}

/** Sleepers that a checkpoint has to write: those in segments, and what is left in files that are mostly dead. */
export function toMove(sleepers: CapturedSleepers, sizes: ReadonlyMap<string, number>): SleeperPlace[] {
  const live = new Map<string, number>();
  for (const { place } of sleepers.places()) if (!isLoose(place)) live.set(place.file, (live.get(place.file) ?? 0) + place.length);
  const dead = (file: string): boolean => (live.get(file) ?? 0) < ((sizes.get(file) ?? 0) - fileHeaderBytes) / 2;
  const moving: SleeperPlace[] = [];
  for (const each of sleepers.places()) if (isLoose(each.place) || dead(each.place.file)) moving.push(each);
  return moving.sort(byPlace);
}

function byPlace(one: SleeperPlace, other: SleeperPlace): number {
  if (one.place.file !== other.place.file) return one.place.file < other.place.file ? -1 : 1;
  return one.place.offset - other.place.offset;
}

export interface WrittenSleepers {
  readonly file: string;
  readonly bytes: number;
  readonly places: ReadonlyMap<Sequence, RecordPlace>;
}

/** Writes these sleepers into a new file, safely; `syncNames` must follow. Rejects as the disk does, or with MF_JOURNAL_CORRUPT. */
export async function writeSleepers(sleepers: readonly SleeperPlace[], options: SleeperFileOptions): Promise<WrittenSleepers> {
  const { disk, bodies, salt, number, nowMs, chunkBytes } = options;
  const name = nameOfSleepers(number);
  await disk.remove(name);
  const file = await disk.create(name);
  try {
    const writer = new ByteWriter(2 * chunkBytes);
    writer.length = fileHeaderBytes;
    const common = { previous: 0, previousEnd: 0, firstBatch: 0, createdMs: nowMs };
    putFileHeader(writer.buffer, { version: formatVersion, kind: "sleepers", salt, number, ...common });
    const places = new Map<Sequence, RecordPlace>();
    let at = 0;
    for (const { sequence, place } of sleepers) {
      const payload = await bodies.readRecord(place);
      const start = writer.length + recordHeaderBytes;
      writer.reserve(recordHeaderBytes);
      writer.length = start;
      const { lease, bodies: recorded } = sleepingIn(payload, place);
      const toWrite = (body: (typeof recorded)["body"]) => (body.form === "inline" ? body.bytes : body);
      const { body, recording, pages } = recorded;
      writeSleeper(writer, {
        lease,
        bodies: { body: toWrite(body), recording: toWrite(recording), pages: pages && toWrite(pages) },
      });
      const written = writer.buffer.subarray(start, writer.length);
      writer.buffer.writeUInt32LE(written.length, start - recordHeaderBytes);
      writer.buffer.writeUInt32LE(crc32(written), start - 4);
      places.set(sequence, { file: name, offset: at + start, length: written.length });
      if (writer.length >= chunkBytes) at = await flush(file, writer, at);
    }
    const bytes = await flush(file, writer, at);
    await file.sync();
    return { file: name, bytes, places };
  } catch (error) {
    await disk.remove(name).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/** Gives the new end of the file. */
async function flush(file: DiskFile, writer: ByteWriter, at: number): Promise<number> {
  await file.write(writer.buffer.subarray(0, writer.length), at);
  const end = at + writer.length;
  writer.length = 0;
  return end;
}
