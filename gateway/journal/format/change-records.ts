/** Records of one small change each, and those of a checkpoint that have no body; their fields are read in `decodeRecord`. */
import type { ByteWriter } from "./bytes.ts";
import { writeReply } from "./fields.ts";
import { type Fields, RecordKind } from "./record.ts";

export function writeRetry(writer: ByteWriter, { flow, sequence, dueMs, record }: Fields<"retry">): void {
  writer.u8(RecordKind.retry);
  writer.text(flow);
  writer.number(sequence);
  writer.number(dueMs);
  writer.text(JSON.stringify(record));
}

/** That a dead letter of the message is about to be written: recovery writes it again, and the message is gone. */
export function writeBurying(writer: ByteWriter, { flow, sequence, record, consumed }: Fields<"burying">): void {
  writer.u8(consumed.length === 0 ? RecordKind.burying : RecordKind.buryTaking);
  writer.text(flow);
  writer.number(sequence);
  writer.text(JSON.stringify(record));
  if (consumed.length === 0) return;
  writer.u32(consumed.length);
  for (const number of consumed) writer.number(number);
}

export function writeFinish(writer: ByteWriter, { flow, sequence, letter }: Fields<"finish">): void {
  writer.u8(RecordKind.finish);
  writer.text(flow);
  writer.number(sequence);
  writer.text(letter);
}

export function writeSettle(writer: ByteWriter, { flow, outlet, number, letter }: Fields<"settle">): void {
  writer.u8(RecordKind.settle);
  writer.text(flow);
  writer.text(outlet);
  writer.number(number);
  writer.text(letter);
}

/** A deferred send, or (`burySend`) one whose dead letter is about to be written. */
export function writeSendAttempt(
  writer: ByteWriter,
  kind: "defer" | "burySend",
  { flow, outlet, number, dueMs, record }: Fields<"defer">,
): void {
  writer.u8(RecordKind[kind]);
  writer.text(flow);
  writer.text(outlet);
  writer.number(number);
  writer.number(dueMs);
  writer.text(JSON.stringify(record));
}

export function writeClosed(writer: ByteWriter): void {
  writer.u8(RecordKind.closed);
}

export function writeCompletedId(writer: ByteWriter, { flow, dedupId, id, untilMs, reply }: Fields<"completedId">): void {
  writer.u8(RecordKind.completedId);
  writer.text(flow);
  writer.text(dedupId);
  writer.text(id);
  writer.number(untilMs);
  writeReply(writer, reply);
}

export function writeState(writer: ByteWriter, { flow, key, version, values }: Fields<"state">): void {
  writer.u8(RecordKind.state);
  writer.text(flow);
  writer.text(key);
  writer.number(version);
  writer.u32(values.length);
  for (const [name, valueJson] of values) {
    writer.text(name);
    writer.text(valueJson);
  }
}

export function writeEnd(writer: ByteWriter, records: number): void {
  writer.u8(RecordKind.end);
  writer.number(records);
}
