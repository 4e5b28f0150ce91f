/** Reads records of every kind. */
import type { EntryNumber, Sequence, SignalNumber } from "../journal.ts";
import { readAsleep } from "./asleep-record.ts";
import { ByteReader } from "./bytes.ts";
import { readCommit } from "./commit-record.ts";
import { readAttempt, readReply } from "./fields.ts";
import { readEntry, readMessage } from "./message-records.ts";
import { type Fields, type LogRecord, RecordKind } from "./record.ts";
import { readSignal, readSleeping } from "./sleep-records.ts";

function readFields(reader: ByteReader): LogRecord | undefined {
  switch (reader.u8()) {
    case RecordKind.accept:
      return readMessage(reader, "accept");
    case RecordKind.pending:
      return readMessage(reader, "pending");
    case RecordKind.complete:
      return readCommit(reader, "complete");
    case RecordKind.transaction:
      return readCommit(reader, "transaction");
    case RecordKind.retry:
      return {
        kind: "retry",
        flow: reader.text(),
        sequence: reader.count() as Sequence,
        dueMs: reader.number(),
        record: readAttempt(reader),
      };
    case RecordKind.burying:
      return { kind: "burying", ...readBurying(reader), consumed: [] };
    case RecordKind.buryTaking: {
      const burying = readBurying(reader);
      const consumed: SignalNumber[] = [];
      for (let left = reader.items(8); left > 0; left--) consumed.push(reader.count() as SignalNumber);
      return { kind: "burying", ...burying, consumed };
    }
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
      return readEntry(reader, "entry");
    case RecordKind.delayedEntry:
      return readEntry(reader, "delayedEntry");
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
    case RecordKind.asleep:
      return { kind: "asleep", ...readAsleep(reader) };
    case RecordKind.sleeper:
      return { kind: "sleeper", ...readSleeping(reader) };
    case RecordKind.signal:
      return readSignal(reader);
    case RecordKind.burySignal:
      return { kind: "burySignal", number: reader.count() as SignalNumber, record: readAttempt(reader) };
    case RecordKind.endSignal:
      return { kind: "endSignal", number: reader.count() as SignalNumber, letter: reader.optionalText() };
    case RecordKind.end:
      return { kind: "end", records: reader.count() };
    default:
      return undefined;
  }
}

function readBurying(reader: ByteReader): Omit<Fields<"burying">, "consumed"> {
  return { flow: reader.text(), sequence: reader.count() as Sequence, record: readAttempt(reader) };
}

function readSendAttempt(reader: ByteReader): Fields<"defer"> {
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

/** Reads one payload. Never throws; undefined when the bytes are malformed. Bodies are views into `payload`. */
export function decodeRecord(payload: Uint8Array): LogRecord | undefined {
  const reader = new ByteReader(payload);
  const record = readFields(reader);
  return record !== undefined && reader.done ? record : undefined;
}
