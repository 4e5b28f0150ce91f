/** The record of a completion (`complete`): state, completed id and sends, all or nothing. */
import type { EntryNumber, OutboxEntry, Sequence, StateChange } from "../journal.ts";
import type { Commit } from "../ledger.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import {
  type BodyToWrite,
  readBody,
  readDedup,
  readHeaders,
  readReply,
  type RecordedBody,
  writeBody,
  writeDedup,
  writeHeaders,
  writeReply,
} from "./fields.ts";
import { type LogRecord, RecordKind } from "./record.ts";

/** Everything a completion changes. `bodies` are those of the entries; their offsets come back in the same order. */
export function writeCommit(writer: ByteWriter, commit: Commit, bodies: readonly BodyToWrite[]): number[] {
  const [first] = commit.entries;
  writer.u8(RecordKind.complete);
  writer.text(commit.flow);
  writer.number(commit.sequence);
  writer.number(commit.nowMs);
  const { state, completedId } = commit;
  writer.text(state?.key);
  if (state !== undefined) {
    writer.number(state.version);
    writer.u32(state.changes.length);
    for (const { name, valueJson } of state.changes) {
      writer.text(name);
      writer.text(valueJson);
    }
  }
  writeDedup(writer, completedId?.dedup);
  if (completedId !== undefined) {
    writer.text(completedId.id);
    writeReply(writer, completedId.reply);
  }
  writer.u32(commit.entries.length);
  if (first === undefined) return [];
  writer.text(first.messageId);
  writer.text(first.correlationId);
  return commit.entries.map((entry, index) => {
    writer.number(entry.number);
    writer.text(entry.outlet);
    writer.text(entry.idempotencyKey);
    writer.text(entry.key);
    writer.text(entry.contentType);
    writeHeaders(writer, entry.headers);
    return writeBody(writer, bodies[index] ?? entry.body);
  });
}

function readState(reader: ByteReader): Commit["state"] {
  const key = reader.optionalText();
  if (key === undefined) return undefined;
  const version = reader.count();
  const changes: StateChange[] = [];
  for (let left = reader.items(8); left > 0; left--) changes.push({ name: reader.text(), valueJson: reader.optionalText() });
  return { key, version, changes };
}

export function readCommit(reader: ByteReader): LogRecord {
  const flow = reader.text();
  const sequence = reader.count() as Sequence;
  const nowMs = reader.number();
  const state = readState(reader);
  const dedup = readDedup(reader);
  const completedId = dedup === undefined ? undefined : { dedup, id: reader.text(), reply: readReply(reader) };
  const entries: OutboxEntry[] = [];
  const bodies: RecordedBody[] = [];
  const count = reader.items(29); // an entry is at least its number, five lengths and a body's form
  const messageId = count === 0 ? "" : reader.text();
  const correlationId = count === 0 ? undefined : reader.optionalText();
  for (let left = count; left > 0 && reader.valid; left--) {
    entries.push({
      number: reader.count() as EntryNumber,
      flow,
      outlet: reader.text(),
      idempotencyKey: reader.text(),
      messageId,
      correlationId,
      key: reader.optionalText(),
      contentType: reader.text(),
      headers: readHeaders(reader),
      body: new Uint8Array(0),
      committedMs: nowMs,
      attempt: 1,
      attempts: [],
    });
    bodies.push(readBody(reader));
  }
  return {
    kind: "complete",
    commit: { flow, sequence, entries, state, completedId, nowMs, sleeping: undefined, consumed: [], next: undefined },
    bodies,
  };
}
