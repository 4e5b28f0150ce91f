/**
 * The record of a checkpoint that says who sleeps (`asleep`): many slots at once, and where the rest of each is. Names that many have stand
 * once, at the beginning.
 *
 *   u32 names, texts │ u32 slots │ of each: sequence, u32 flow, u32 image, u32 file: numbers of names, offset, u32 length, dueMs, id
 *   │ u32 waits, each without its flow │ u32 blobs │ u8 1 headers, 2 failed attempts, 4 burying │ these
 */
import type { AttemptRecord, Sequence } from "../journal.ts";
import type { FailedAttempts, Slot } from "../sleepers.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { readAttempt, readAttempts, readHeaders, type RecordPlace, writeAttempts, writeHeaders } from "./fields.ts";
import { type Fields, RecordKind } from "./record.ts";

/** A slot as it was at a segment's end. */
export interface CapturedSlot {
  readonly slot: Slot<RecordPlace>;
  readonly place: RecordPlace;
  readonly failed: FailedAttempts | undefined;
  readonly burying: AttemptRecord | undefined;
}

/** Writes slots while the record is no longer than `mostBytes`, but one at least; gives how many. */
export function writeAsleep(writer: ByteWriter, slots: readonly CapturedSlot[], mostBytes: number): number {
  const start = writer.length;
  const names = new Map<string, number>();
  const numberOf = (name: string): void => void (names.has(name) || names.set(name, names.size));
  for (const { slot, place } of slots) {
    numberOf(slot.flow);
    numberOf(slot.imageSha256);
    numberOf(place.file);
  }
  writer.u8(RecordKind.asleep);
  writer.u32(names.size);
  for (const name of names.keys()) writer.text(name);
  const countAt = writer.length;
  writer.u32(0);
  let count = 0;
  for (const each of slots) {
    const before = writer.length;
    writeSlot(writer, each, names);
    if (count > 0 && writer.length - start > mostBytes) {
      writer.length = before;
      break;
    }
    count += 1;
  }
  writer.buffer.writeUInt32LE(count, countAt);
  return count;
}

function writeSlot(writer: ByteWriter, { slot, place, failed, burying }: CapturedSlot, names: ReadonlyMap<string, number>): void {
  writer.number(slot.sequence);
  writer.u32(names.get(slot.flow) ?? 0);
  writer.u32(names.get(slot.imageSha256) ?? 0);
  writer.u32(names.get(place.file) ?? 0);
  writer.number(place.offset);
  writer.u32(place.length);
  writer.number(slot.dueMs);
  writer.text(slot.id);
  writer.u32(slot.waits.length);
  for (const wait of slot.waits) writer.text(wait.slice(slot.flow.length + 1));
  writer.u32(slot.blobs.length);
  for (const blob of slot.blobs) writer.text(blob);
  writer.u8((slot.headers === undefined ? 0 : 1) + (failed === undefined ? 0 : 2) + (burying === undefined ? 0 : 4));
  if (slot.headers !== undefined) writeHeaders(writer, slot.headers);
  if (failed !== undefined) {
    writer.number(failed.attempt);
    writer.number(failed.dueMs);
    writeAttempts(writer, failed.attempts);
  }
  if (burying !== undefined) writer.text(JSON.stringify(burying));
}

export function readAsleep(reader: ByteReader): Fields<"asleep"> {
  const names: string[] = [];
  for (let left = reader.items(4); left > 0; left--) names.push(reader.text());
  const name = (): string => {
    const found = names[reader.u32()];
    if (found === undefined) reader.valid = false;
    return found ?? "";
  };
  const slots: { readonly slot: Slot<RecordPlace>; readonly burying: AttemptRecord | undefined }[] = [];
  // A slot is at least three numbers of eight bytes, seven of four, and its flags.
  for (let left = reader.items(53); left > 0 && reader.valid; left--) slots.push(readSlot(reader, name));
  return { slots };
}

function readSlot(reader: ByteReader, name: () => string): Fields<"asleep">["slots"][number] {
  const sequence = reader.count() as Sequence;
  const flow = name();
  const imageSha256 = name();
  const stored: RecordPlace = { file: name(), offset: reader.count(), length: reader.u32() };
  const dueMs = reader.number();
  const id = reader.text();
  const waits: string[] = [];
  for (let left = reader.items(4); left > 0; left--) waits.push(`${flow}\0${reader.text()}`);
  const blobs: string[] = [];
  for (let left = reader.items(4); left > 0; left--) blobs.push(reader.text());
  const flags = reader.u8();
  if (flags > 7) reader.valid = false;
  const headers = (flags & 1) === 0 ? undefined : readHeaders(reader);
  const failed = (flags & 2) === 0 ? undefined : { attempt: reader.count(), dueMs: reader.number(), attempts: readAttempts(reader) };
  const burying = (flags & 4) === 0 ? undefined : readAttempt(reader);
  const rest = { postponedMs: undefined, token: undefined };
  return { slot: { sequence, flow, id, imageSha256, dueMs, waits, headers, blobs, stored, failed, ...rest }, burying };
}
