/**
 * What the journal writes: one record per change. A record's payload is its kind (u8) and then its fields in the order they
 * are written below, as bytes.ts lays them out. Bodies are last where a record has one, so that most of it is one copy.
 *
 *   log         accept · complete · retry · burying · finish · burySend · settle · defer · closed
 *   checkpoint  pending · entry · completedId · state · end
 */
import type { Brand } from "#base";
import type { Commit } from "../ledger.ts";
import type { AttemptRecord, EntryNumber, FencingToken, Lease, NewMessage, OutboxEntry, Sequence, StateChange } from "../journal.ts";
import type { Reply } from "../../contract/message.ts";
import { ByteReader, type ByteWriter, writeOptionalNumber } from "./bytes.ts";
import {
  type BodyToWrite,
  readAttempt,
  readAttempts,
  readBody,
  readDedup,
  readHeaders,
  readOptionalAttempt,
  readReply,
  type RecordedBody,
  writeAttempts,
  writeBody,
  writeDedup,
  writeHeaders,
  writeReply,
} from "./fields.ts";

export const RecordKind = {
  accept: 1,
  complete: 2,
  retry: 3,
  burying: 4,
  finish: 5,
  settle: 6,
  defer: 7,
  burySend: 8,
  closed: 9,
  pending: 32,
  entry: 33,
  completedId: 34,
  state: 35,
  end: 36,
} as const;

/** A record as it is read. `body` belongs where the message, entry or send has an empty one. */
export type LogRecord =
  | { readonly kind: "accept" | "pending"; readonly lease: Lease; readonly burying: AttemptRecord | undefined; readonly body: RecordedBody }
  | { readonly kind: "complete"; readonly commit: Commit; readonly bodies: readonly RecordedBody[] }
  | { readonly kind: "retry"; readonly flow: string; readonly sequence: Sequence; readonly dueMs: number; readonly record: AttemptRecord }
  | { readonly kind: "burying"; readonly flow: string; readonly sequence: Sequence; readonly record: AttemptRecord }
  /** A message that was buried (`letter`: its dead letter's id) or dropped. */
  | { readonly kind: "finish"; readonly flow: string; readonly sequence: Sequence; readonly letter: string | undefined }
  /** A send that its peer has, or that was buried. */
  | {
      readonly kind: "settle";
      readonly flow: string;
      readonly outlet: string;
      readonly number: EntryNumber;
      readonly letter: string | undefined;
    }
  | {
      readonly kind: "defer" | "burySend";
      readonly flow: string;
      readonly outlet: string;
      readonly number: EntryNumber;
      readonly dueMs: number;
      readonly record: AttemptRecord;
    }
  | { readonly kind: "closed" }
  | {
      readonly kind: "entry";
      readonly entry: OutboxEntry;
      readonly dueMs: number;
      readonly burying: AttemptRecord | undefined;
      readonly body: RecordedBody;
    }
  | {
      readonly kind: "completedId";
      readonly flow: string;
      readonly dedupId: string;
      readonly id: string;
      readonly untilMs: number;
      readonly reply: Reply | undefined;
    }
  | {
      readonly kind: "state";
      readonly flow: string;
      readonly key: string;
      readonly version: number;
      readonly values: readonly (readonly [string, string])[];
    }
  /** The last record of a checkpoint; without it the checkpoint is not whole. */
  | { readonly kind: "end"; readonly records: number };

/** A message with all of its lease but the token, which no restart keeps. The same fields for `accept` and `pending`. */
export function writeMessage(
  writer: ByteWriter,
  kind: "accept" | "pending",
  lease: Lease,
  burying: AttemptRecord | undefined,
  body: BodyToWrite,
): number {
  const { message } = lease;
  writer.u8(RecordKind[kind]);
  writer.number(lease.sequence);
  writer.number(lease.attempt);
  writer.number(lease.dueMs);
  writeAttempts(writer, lease.attempts);
  writer.text(burying === undefined ? undefined : JSON.stringify(burying));
  writer.text(message.flow);
  writer.text(message.id);
  writer.text(message.source);
  writer.text(message.contentType);
  writer.text(message.key);
  writer.text(message.correlationId);
  writer.number(message.receivedMs);
  writeOptionalNumber(writer, message.expiresMs);
  writeDedup(writer, message.dedup);
  writeHeaders(writer, message.headers);
  return writeBody(writer, body);
}

function readMessage(reader: ByteReader, kind: "accept" | "pending"): LogRecord {
  const sequence = reader.count() as Sequence;
  const attempt = reader.count();
  const dueMs = reader.number();
  const attempts = readAttempts(reader);
  const burying = readOptionalAttempt(reader);
  const message: NewMessage = {
    flow: reader.text(),
    id: reader.text(),
    source: reader.text(),
    contentType: reader.text(),
    key: reader.optionalText(),
    correlationId: reader.optionalText(),
    receivedMs: reader.number(),
    expiresMs: reader.optionalNumber(),
    dedup: readDedup(reader),
    headers: readHeaders(reader),
    body: new Uint8Array(0),
  };
  const body = readBody(reader);
  const token = 0 as Brand<number, "FencingToken"> satisfies FencingToken;
  return { kind, lease: { sequence, token, attempt, dueMs, durable: true, message, attempts }, burying, body };
}

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

function readCommit(reader: ByteReader): LogRecord {
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
  return { kind: "complete", commit: { flow, sequence, entries, state, completedId, nowMs }, bodies };
}

export function writeRetry(writer: ByteWriter, flow: string, sequence: Sequence, dueMs: number, record: AttemptRecord): void {
  writer.u8(RecordKind.retry);
  writer.text(flow);
  writer.number(sequence);
  writer.number(dueMs);
  writer.text(JSON.stringify(record));
}

/** That a dead letter of the message is about to be written: recovery writes it again, and the message is gone. */
export function writeBurying(writer: ByteWriter, flow: string, sequence: Sequence, record: AttemptRecord): void {
  writer.u8(RecordKind.burying);
  writer.text(flow);
  writer.number(sequence);
  writer.text(JSON.stringify(record));
}

export function writeFinish(writer: ByteWriter, flow: string, sequence: Sequence, letter: string | undefined): void {
  writer.u8(RecordKind.finish);
  writer.text(flow);
  writer.number(sequence);
  writer.text(letter);
}

export function writeSettle(writer: ByteWriter, entry: OutboxEntry, letter: string | undefined): void {
  writer.u8(RecordKind.settle);
  writer.text(entry.flow);
  writer.text(entry.outlet);
  writer.number(entry.number);
  writer.text(letter);
}

/** A deferred send, or (`burySend`) one whose dead letter is about to be written. */
export function writeSendAttempt(
  writer: ByteWriter,
  kind: "defer" | "burySend",
  entry: OutboxEntry,
  dueMs: number,
  record: AttemptRecord,
): void {
  writer.u8(RecordKind[kind]);
  writer.text(entry.flow);
  writer.text(entry.outlet);
  writer.number(entry.number);
  writer.number(dueMs);
  writer.text(JSON.stringify(record));
}

export function writeClosed(writer: ByteWriter): void {
  writer.u8(RecordKind.closed);
}

export function writeEntry(
  writer: ByteWriter,
  entry: OutboxEntry,
  dueMs: number,
  burying: AttemptRecord | undefined,
  body: BodyToWrite,
): number {
  writer.u8(RecordKind.entry);
  writer.number(entry.number);
  writer.number(dueMs);
  writer.number(entry.attempt);
  writer.number(entry.committedMs);
  writeAttempts(writer, entry.attempts);
  writer.text(burying === undefined ? undefined : JSON.stringify(burying));
  writer.text(entry.flow);
  writer.text(entry.outlet);
  writer.text(entry.idempotencyKey);
  writer.text(entry.messageId);
  writer.text(entry.correlationId);
  writer.text(entry.key);
  writer.text(entry.contentType);
  writeHeaders(writer, entry.headers);
  return writeBody(writer, body);
}

function readEntry(reader: ByteReader): LogRecord {
  const number = reader.count() as EntryNumber;
  const dueMs = reader.number();
  const attempt = reader.count();
  const committedMs = reader.number();
  const attempts = readAttempts(reader);
  const burying = readOptionalAttempt(reader);
  const entry: OutboxEntry = {
    number,
    attempt,
    committedMs,
    attempts,
    flow: reader.text(),
    outlet: reader.text(),
    idempotencyKey: reader.text(),
    messageId: reader.text(),
    correlationId: reader.optionalText(),
    key: reader.optionalText(),
    contentType: reader.text(),
    headers: readHeaders(reader),
    body: new Uint8Array(0),
  };
  return { kind: "entry", entry, dueMs, burying, body: readBody(reader) };
}

export function writeCompletedId(
  writer: ByteWriter,
  flow: string,
  dedupId: string,
  id: string,
  untilMs: number,
  reply: Reply | undefined,
): void {
  writer.u8(RecordKind.completedId);
  writer.text(flow);
  writer.text(dedupId);
  writer.text(id);
  writer.number(untilMs);
  writeReply(writer, reply);
}

export function writeState(
  writer: ByteWriter,
  flow: string,
  key: string,
  version: number,
  values: readonly (readonly [string, string])[],
): void {
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

function readFields(reader: ByteReader): LogRecord | undefined {
  switch (reader.u8()) {
    case RecordKind.accept:
      return readMessage(reader, "accept");
    case RecordKind.pending:
      return readMessage(reader, "pending");
    case RecordKind.complete:
      return readCommit(reader);
    case RecordKind.retry:
      return {
        kind: "retry",
        flow: reader.text(),
        sequence: reader.count() as Sequence,
        dueMs: reader.number(),
        record: readAttempt(reader),
      };
    case RecordKind.burying:
      return { kind: "burying", flow: reader.text(), sequence: reader.count() as Sequence, record: readAttempt(reader) };
    case RecordKind.finish:
      return { kind: "finish", flow: reader.text(), sequence: reader.count() as Sequence, letter: reader.optionalText() };
    case RecordKind.settle:
      return {
        kind: "settle",
        flow: reader.text(),
        outlet: reader.text(),
        number: reader.count() as EntryNumber,
        letter: reader.optionalText(),
      };
    case RecordKind.defer:
      return { kind: "defer", ...readSendAttempt(reader) };
    case RecordKind.burySend:
      return { kind: "burySend", ...readSendAttempt(reader) };
    case RecordKind.closed:
      return { kind: "closed" };
    case RecordKind.entry:
      return readEntry(reader);
    case RecordKind.completedId:
      return {
        kind: "completedId",
        flow: reader.text(),
        dedupId: reader.text(),
        id: reader.text(),
        untilMs: reader.number(),
        reply: readReply(reader),
      };
    case RecordKind.state:
      return { kind: "state", flow: reader.text(), key: reader.text(), version: reader.count(), values: readValues(reader) };
    case RecordKind.end:
      return { kind: "end", records: reader.count() };
    default:
      return undefined;
  }
}

function readSendAttempt(reader: ByteReader): { flow: string; outlet: string; number: EntryNumber; dueMs: number; record: AttemptRecord } {
  return {
    flow: reader.text(),
    outlet: reader.text(),
    number: reader.count() as EntryNumber,
    dueMs: reader.number(),
    record: readAttempt(reader),
  };
}

function readValues(reader: ByteReader): (readonly [string, string])[] {
  const values: (readonly [string, string])[] = [];
  for (let left = reader.items(8); left > 0; left--) values.push([reader.text(), reader.text()]);
  return values;
}

/** Reads one payload; total on hostile bytes, undefined when it is none. Bodies are views into `payload`. */
export function decodeRecord(payload: Uint8Array): LogRecord | undefined {
  const reader = new ByteReader(payload);
  const record = readFields(reader);
  return record !== undefined && reader.done ? record : undefined;
}
