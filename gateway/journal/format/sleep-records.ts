/** Records of sleepers and signals: a sleeping message (inside the record of its commit, and `sleeper` of a checkpoint) and a kept signal. */
import type { OpenTimer, OpenWait } from "../../contract/sleep.ts";
import type { KeptSignal, SignalNumber } from "../journal.ts";
import type { SleepingLease } from "../slot.ts";
import { type ByteReader, type ByteWriter, writeOptionalNumber } from "./bytes.ts";
import {
  type BodyToWrite,
  readBody,
  readDedup,
  readHeaders,
  readOptionalAttempt,
  type RecordedSleeping,
  type SleepingBodies,
  writeBody,
  writeDedup,
  writeHeaders,
} from "./fields.ts";
import { readLease, writeLease } from "./message-records.ts";
import { type Fields, RecordKind } from "./record.ts";

const nothing = new Uint8Array(0);

export function writeSleeping(writer: ByteWriter, lease: SleepingLease, bodies: SleepingBodies<BodyToWrite>): void {
  writeLease(writer, lease, undefined);
  const { imageSha256, sinceMs, dueMs, transactions, waits, timers } = lease.sleeper;
  writer.text(imageSha256);
  writer.number(sinceMs);
  writer.number(dueMs);
  writer.number(transactions);
  writer.u32(waits.length);
  for (const wait of waits) {
    writer.number(wait.wait);
    writer.text(wait.name);
    writer.text(wait.key);
    writeOptionalNumber(writer, wait.dueMs);
    writer.text(wait.questionJson);
  }
  writer.u32(timers.length);
  for (const timer of timers) {
    writer.number(timer.timer);
    writer.number(timer.dueMs);
  }
  writeBody(writer, bodies.body);
  writeBody(writer, bodies.recording);
  writer.u8(bodies.pages === undefined ? 0 : 1);
  if (bodies.pages !== undefined) writeBody(writer, bodies.pages);
}

export function readSleeping(reader: ByteReader): RecordedSleeping {
  const { lease } = readLease(reader);
  const imageSha256 = reader.text();
  const sinceMs = reader.number();
  const dueMs = reader.number();
  const transactions = reader.count();
  const waits: OpenWait[] = [];
  for (let left = reader.items(21); left > 0 && reader.valid; left--) {
    waits.push({
      wait: reader.count(),
      name: reader.text(),
      key: reader.text(),
      dueMs: reader.optionalNumber(),
      questionJson: reader.optionalText(),
    });
  }
  const timers: OpenTimer[] = [];
  for (let left = reader.items(16); left > 0; left--) timers.push({ timer: reader.count(), dueMs: reader.number() });
  const body = readBody(reader);
  const recording = readBody(reader);
  const pages = reader.u8() === 0 ? undefined : readBody(reader);
  const sleeper = { imageSha256, sinceMs, dueMs, transactions, waits, timers, recording: nothing };
  return { lease: { ...lease, sleeper }, bodies: { body, recording, pages } };
}

export function writeSleeper(
  writer: ByteWriter,
  { lease, bodies }: Omit<RecordedSleeping, "bodies"> & { readonly bodies: SleepingBodies<BodyToWrite> },
): void {
  writer.u8(RecordKind.sleeper);
  writeSleeping(writer, lease, bodies);
}

/** Gives the offset of an inline body. */
export function writeSignal(
  writer: ByteWriter,
  { signal, burying, body }: Omit<Fields<"signal">, "body"> & { readonly body: BodyToWrite },
): number {
  writer.u8(RecordKind.signal);
  return writeKept(writer, { signal, burying, body });
}

/** The fields of a signal, without the kind of a record. */
export function writeKept(
  writer: ByteWriter,
  { signal, burying, body }: Omit<Fields<"signal">, "body"> & { readonly body: BodyToWrite },
): number {
  writer.number(signal.number);
  writer.text(signal.flow);
  writer.text(signal.name);
  writer.text(signal.key);
  writer.text(signal.id);
  writer.text(signal.source);
  writer.text(signal.contentType);
  writer.number(signal.receivedMs);
  writer.number(signal.keptUntilMs);
  writeDedup(writer, signal.dedup);
  writer.text(burying === undefined ? undefined : JSON.stringify(burying));
  writeHeaders(writer, signal.headers);
  return writeBody(writer, body);
}

export function readSignal(reader: ByteReader): Fields<"signal"> & { readonly kind: "signal" } {
  const number = reader.count() as SignalNumber;
  const names = { flow: reader.text(), name: reader.text(), key: reader.text(), id: reader.text(), source: reader.text() };
  const contentType = reader.text();
  const receivedMs = reader.number();
  const keptUntilMs = reader.number();
  const dedup = readDedup(reader);
  const burying = readOptionalAttempt(reader);
  const headers = readHeaders(reader);
  const signal: KeptSignal = { number, ...names, contentType, receivedMs, keptUntilMs, dedup, headers, body: nothing };
  return { kind: "signal", signal, burying, body: readBody(reader) };
}

/** That a dead letter of the signal is about to be written. */
export function writeBurySignal(writer: ByteWriter, { number, record }: Fields<"burySignal">): void {
  writer.u8(RecordKind.burySignal);
  writer.number(number);
  writer.text(JSON.stringify(record));
}

export function writeEndSignal(writer: ByteWriter, { number, letter }: Fields<"endSignal">): void {
  writer.u8(RecordKind.endSignal);
  writer.number(number);
  writer.text(letter);
}
