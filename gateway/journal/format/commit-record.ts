/**
 * The record of a completion: state, completed id, sends, the signals it took and the message as it sleeps on, all or nothing. `complete` is
 * that of version 1; `transaction` has after the same fields
 *
 *   u32 sends for a later date, each u32 index and its date │ u32 signals, their numbers │ u8 asleep, a sleeping message (sleep-records.ts) │ u8 next, the message that takes its place
 *   │ u32 signals that are kept from now on, each as in a record of its own, with its body
 */
import type { EntryNumber, KeptSignal, OutboxEntry, Sequence, SignalNumber, StateChange } from "../journal.ts";
import type { Commit } from "../ledger.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import {
  type BodyToWrite,
  readBody,
  readDedup,
  readHeaders,
  readReply,
  type RecordedBody,
  type SleepingBodies,
  writeBody,
  writeDedup,
  writeHeaders,
  writeReply,
} from "./fields.ts";
import { readLease, writeLease } from "./message-records.ts";
import { type LogRecord, RecordKind } from "./record.ts";
import { readSignal, readSleeping, writeKept, writeSleeping } from "./sleep-records.ts";

/** Bodies of a commit, to be written. */
export interface CommitBodies {
  readonly entries: readonly BodyToWrite[];
  readonly sleeping: SleepingBodies<BodyToWrite> | undefined;
  readonly next: BodyToWrite | undefined;
}

/** Everything a completion changes. Gives the offsets of the entries' bodies, then of the kept signals', in their order. */
export function writeCommit(writer: ByteWriter, commit: Commit, bodies: CommitBodies): number[] {
  const { sleeping, consumed, next } = commit;
  const delayed = commit.entries.flatMap(({ dueMs }, index) => (dueMs === undefined ? [] : [{ index, dueMs }]));
  if (sleeping === undefined && commit.kept.length === 0 && consumed.length === 0 && next === undefined && delayed.length === 0) {
    writer.u8(RecordKind.complete);
    return writeCompletion(writer, commit, bodies.entries);
  }
  writer.u8(RecordKind.transaction);
  const offsets = writeCompletion(writer, commit, bodies.entries);
  writer.u32(delayed.length);
  for (const { index, dueMs } of delayed) {
    writer.u32(index);
    writer.number(dueMs);
  }
  writer.u32(consumed.length);
  for (const number of consumed) writer.number(number);
  writer.u8(sleeping === undefined ? 0 : 1);
  if (sleeping !== undefined && bodies.sleeping !== undefined) writeSleeping(writer, sleeping, bodies.sleeping);
  writer.u8(next === undefined ? 0 : 1);
  if (next !== undefined) {
    writeLease(writer, next, undefined);
    writeBody(writer, bodies.next ?? next.message.body);
  }
  writer.u32(commit.kept.length);
  for (const signal of commit.kept) offsets.push(writeKept(writer, { signal, burying: undefined, body: signal.body }));
  return offsets;
}

function writeCompletion(writer: ByteWriter, commit: Commit, bodies: readonly BodyToWrite[]): number[] {
  const [first] = commit.entries;
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

/** Gives the entries their dates. */
function readDates(reader: ByteReader, entries: OutboxEntry[]): void {
  for (let left = reader.items(12); left > 0; left--) {
    const index = reader.u32();
    const dueMs = reader.number();
    const entry = entries[index];
    if (entry === undefined) reader.valid = false;
    else entries[index] = { ...entry, dueMs };
  }
}

function readKept(reader: ByteReader): { readonly kept: readonly KeptSignal[]; readonly keptBodies: readonly RecordedBody[] } {
  const kept: KeptSignal[] = [];
  const keptBodies: RecordedBody[] = [];
  for (let left = reader.items(48); left > 0 && reader.valid; left--) {
    const { signal, body } = readSignal(reader);
    if (body.form === "blob") reader.valid = false; // none has a file before a record of its own
    kept.push(signal);
    keptBodies.push(body);
  }
  return { kept, keptBodies };
}

export function readCommit(reader: ByteReader, kind: "complete" | "transaction"): LogRecord {
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
  if (kind === "transaction") readDates(reader, entries);
  const consumed: SignalNumber[] = [];
  if (kind === "transaction") for (let left = reader.items(8); left > 0; left--) consumed.push(reader.count() as SignalNumber);
  const sleeping = kind === "transaction" && reader.u8() !== 0 ? readSleeping(reader) : undefined;
  const next = kind === "transaction" && reader.u8() !== 0 ? { ...readLease(reader), body: readBody(reader) } : undefined;
  const asleep = sleeping?.lease;
  const { kept, keptBodies } = kind === "transaction" ? readKept(reader) : { kept: [], keptBodies: [] };
  const commit: Commit = { flow, sequence, entries, state, completedId, nowMs, sleeping: asleep, consumed, next: next?.lease, kept };
  return { kind, commit, bodies, sleeping, nextBody: next?.body, keptBodies };
}
