/**
 * The journal's records: one per change. A record's payload is its kind (u8) and then its fields, in the order in which its
 * writer writes them, as bytes.ts lays them out. Bodies are last where a record has one, so that most of it is one copy.
 *
 *   log         accept · complete · transaction · retry · burying · buryTaking · finish · burySend · settle · defer · signal · burySignal · endSignal · closed
 *   checkpoint  pending · entry · delayedEntry · completedId · state · asleep · signal · buryTaking · end
 *   sleepers    sleeper
 *
 * Writers: message-records.ts, commit-record.ts, sleep-records.ts, change-records.ts. Readers beside them, and decodeRecord (records.ts) for small ones.
 */
import type { AttemptRecord, EntryNumber, KeptSignal, Lease, OutboxEntry, Sequence, SignalNumber } from "../journal.ts";
import type { Reply } from "../../contract/message.ts";
import type { Commit } from "../ledger.ts";
import type { AsleepPack } from "./asleep-pack.ts";
import type { RecordedBody, RecordedSleeping } from "./fields.ts";

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
  transaction: 10,
  signal: 11,
  burySignal: 12,
  endSignal: 13,
  buryTaking: 14,
  pending: 32,
  entry: 33,
  completedId: 34,
  state: 35,
  end: 36,
  sleeper: 37,
  delayedEntry: 38,
  asleep: 39,
} as const;

/** A record as it is read. `body` belongs where the message, entry or send has an empty one. */
export type LogRecord =
  | { readonly kind: "accept" | "pending"; readonly lease: Lease; readonly burying: AttemptRecord | undefined; readonly body: RecordedBody }
  /** `transaction`: a completion that has a part version 1 did not know. */
  | {
      readonly kind: "complete" | "transaction";
      readonly commit: Commit;
      readonly bodies: readonly RecordedBody[];
      readonly sleeping: RecordedSleeping | undefined;
      readonly nextBody: RecordedBody | undefined;
      readonly keptBodies: readonly RecordedBody[];
    }
  | ({ readonly kind: "sleeper" } & RecordedSleeping)
  | {
      /** Its slots are views. */
      readonly kind: "asleep";
      readonly slots: AsleepPack;
    }
  | {
      readonly kind: "signal";
      readonly signal: KeptSignal;
      readonly burying: AttemptRecord | undefined;
      readonly body: RecordedBody;
    }
  | { readonly kind: "burySignal"; readonly number: SignalNumber; readonly record: AttemptRecord }
  /** A signal that was buried; those that a machine took go with its commit. */
  | { readonly kind: "endSignal"; readonly number: SignalNumber; readonly letter: string | undefined }
  | { readonly kind: "retry"; readonly flow: string; readonly sequence: Sequence; readonly dueMs: number; readonly record: AttemptRecord }
  /** With the signals that its last transaction was given; in a record of its own kind if there are some. */
  | {
      readonly kind: "burying";
      readonly flow: string;
      readonly sequence: Sequence;
      readonly record: AttemptRecord;
      readonly consumed: readonly SignalNumber[];
    }
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
      /** Of a kind of its own with `dueMs` in the entry, a date. `entered`: it is in its key's line, where others wait behind it. */
      readonly kind: "entry";
      readonly entry: OutboxEntry;
      readonly dueMs: number;
      readonly entered: boolean;
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

/** The fields of a record of kind `K`. */
export type Fields<K extends LogRecord["kind"]> = FieldsOf<LogRecord, K>;
type FieldsOf<R, K> = R extends { readonly kind: infer Kinds } ? (K extends Kinds ? Omit<R, "kind"> : never) : never;
