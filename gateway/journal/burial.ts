/** Dead letters of messages and of sends, as a journal writes them. */
import type { Sleeper } from "../contract/sleep.ts";
import { encodeAsleep } from "./asleep-file.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import type { AttemptRecord, KeptSignal, Lease, OutboxEntry } from "./journal.ts";
import { isSleeping, keptAttempts } from "./ledger.ts";

/** A letter of a message, and what its file beside it holds. `signals`: those its last transaction was given. */
export function burialOf(
  lease: Lease,
  record: AttemptRecord,
  signals: readonly KeptSignal[],
): { readonly letter: NewDeadLetter; readonly asleep: Uint8Array | undefined } {
  const letter = letterOfMessage(lease, record);
  if (!isSleeping(lease) && signals.length === 0) return { letter, asleep: undefined };
  const asleep = encodeAsleep({ lease: isSleeping(lease) ? lease : undefined, signals });
  return { letter: { ...letter, ...(signals.length > 0 ? { signals: signals.length } : {}) }, asleep };
}

export function letterOfMessage(lease: Lease, record: AttemptRecord): NewDeadLetter {
  const { message, sleeper } = lease;
  return {
    kind: "message",
    ...(sleeper === undefined ? {} : { asleep: sleepOf(sleeper) }),
    flow: message.flow,
    messageId: message.id,
    source: message.source,
    headers: message.headers,
    contentType: message.contentType,
    key: message.key,
    correlationId: message.correlationId,
    receivedMs: message.receivedMs,
    buriedMs: record.endedMs,
    failure: record.failure,
    attempts: keptAttempts(lease.attempts, record),
  };
}

function sleepOf({ imageSha256, sinceMs, dueMs, transactions, waits, timers }: Sleeper): NonNullable<NewDeadLetter["asleep"]> {
  const shown = waits.map(({ name, key, dueMs: untilMs }) => ({ name, key, ...(untilMs === undefined ? {} : { untilMs }) }));
  return { imageSha256, sinceMs, dueMs, transactions, waits: shown, timers: timers.length };
}

export function letterOfSignal(signal: KeptSignal, record: AttemptRecord): NewDeadLetter {
  return {
    kind: "signal",
    flow: signal.flow,
    signal: signal.name,
    messageId: signal.id,
    source: signal.source,
    headers: signal.headers,
    contentType: signal.contentType,
    key: signal.key,
    correlationId: undefined,
    receivedMs: signal.receivedMs,
    buriedMs: record.endedMs,
    failure: record.failure,
    attempts: [record],
  };
}

export function letterOfSend(entry: OutboxEntry, record: AttemptRecord): NewDeadLetter {
  return {
    kind: "send",
    flow: entry.flow,
    outlet: entry.outlet,
    idempotencyKey: entry.idempotencyKey,
    messageId: entry.messageId,
    source: "outbox",
    headers: entry.headers,
    contentType: entry.contentType,
    key: entry.key,
    correlationId: entry.correlationId,
    receivedMs: entry.committedMs,
    buriedMs: record.endedMs,
    failure: record.failure,
    attempts: keptAttempts(entry.attempts, record),
  };
}
