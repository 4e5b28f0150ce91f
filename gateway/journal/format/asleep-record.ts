/**
 * The record of a checkpoint that says who sleeps (`asleep`): many slots at once, and where the rest of each is. Names that many have stand
 * once, at the beginning.
 *
 *   u32 names, texts │ u32 slots │ of each: sequence, u32 flow, u32 image, u32 file: numbers of names, offset, u32 length, dueMs, id
 *   │ u32 waits, each without its flow │ u32 blobs │ u8 1 headers, 2 failed attempts, 4 burying │ these
 */
import type { AttemptRecord } from "../journal.ts";
import { AsleepPack, type CapturedSlot, passSlot, writeSlot } from "./asleep-pack.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { type Fields, RecordKind } from "./record.ts";

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
    writeSlot(writer, each, (name) => names.get(name) ?? 0);
    if (count > 0 && writer.length - start > mostBytes) {
      writer.length = before;
      break;
    }
    count += 1;
  }
  writer.buffer.writeUInt32LE(count, countAt);
  return count;
}

export function readAsleep(reader: ByteReader): Fields<"asleep"> {
  const names: string[] = [];
  for (let left = reader.items(4); left > 0; left--) names.push(reader.text());
  // A slot is at least three numbers of eight bytes, seven of four, and its flags.
  const starts = new Uint32Array(reader.items(53) + 1);
  const marked: number[] = [];
  const burying: [at: number, record: AttemptRecord][] = [];
  for (let at = 0; at + 1 < starts.length && reader.valid; at++) {
    starts[at] = reader.at;
    const more = passSlot(reader, names.length);
    if (more?.isMarked === true) marked.push(at);
    if (more?.burying !== undefined) burying.push([at, more.burying]);
    starts[at + 1] = reader.at;
  }
  return { slots: new AsleepPack(reader.all, names, starts, { marked, burying }) };
}
