/** Records of one whole thing with its body: a message (`accept`, `pending`) and a waiting send (`entry`). */
import type { Brand } from "#base";
import type { AttemptRecord, EntryNumber, FencingToken, Lease, NewMessage, OutboxEntry, Sequence } from "../journal.ts";
import { type ByteReader, type ByteWriter, writeOptionalNumber } from "./bytes.ts";
import {
  type BodyToWrite,
  readAttempts,
  readBody,
  readDedup,
  readHeaders,
  readOptionalAttempt,
  writeAttempts,
  writeBody,
  writeDedup,
  writeHeaders,
} from "./fields.ts";
import { type Fields, type LogRecord, RecordKind } from "./record.ts";

type ToWrite<K extends "accept" | "entry"> = Omit<Fields<K>, "body"> & { readonly body: BodyToWrite };

/** A message with all of its lease but the token, which no restart keeps. The same fields for `accept` and `pending`. */
export function writeMessage(writer: ByteWriter, kind: "accept" | "pending", { lease, burying, body }: ToWrite<"accept">): number {
  writer.u8(RecordKind[kind]);
  writeLease(writer, lease, burying);
  return writeBody(writer, body);
}

/** All of a lease but its token, its body and its sleeper. */
export function writeLease(
  writer: ByteWriter,
  { sequence, attempt, dueMs, attempts, message }: Lease,
  burying: AttemptRecord | undefined,
): void {
  writer.number(sequence);
  writer.number(attempt);
  writer.number(dueMs);
  writeAttempts(writer, attempts);
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
}

export function readMessage(reader: ByteReader, kind: "accept" | "pending"): LogRecord {
  return { kind, ...readLease(reader), body: readBody(reader) };
}

export function readLease(reader: ByteReader): { readonly lease: Lease; readonly burying: AttemptRecord | undefined } {
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
  const token = 0 as Brand<number, "FencingToken"> satisfies FencingToken;
  return { lease: { sequence, token, attempt, dueMs, durable: true, message, attempts }, burying };
}

/** `delayedEntry` has two more fields than `entry`, at its beginning. */
export function writeEntry(writer: ByteWriter, { entry, dueMs, entered, burying, body }: ToWrite<"entry">): number {
  writer.u8(entry.dueMs === undefined ? RecordKind.entry : RecordKind.delayedEntry);
  if (entry.dueMs !== undefined) {
    writer.number(entry.dueMs);
    writer.u8(entered ? 1 : 0);
  }
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

export function readEntry(reader: ByteReader, kind: "entry" | "delayedEntry"): LogRecord {
  const date = kind === "entry" ? {} : { dueMs: reader.number() };
  const entered = kind === "entry" || reader.u8() !== 0;
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
    ...date,
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
  return { kind: "entry", entry, dueMs, entered, burying, body: readBody(reader) };
}
