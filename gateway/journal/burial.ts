/** Dead letters of messages and of sends, as a journal writes them. */
import type { NewDeadLetter } from "./dead-letters.ts";
import type { AttemptRecord, KeptSignal, Lease, OutboxEntry } from "./journal.ts";
import { keptAttempts } from "./ledger.ts";

export function letterOfMessage(lease: Lease, record: AttemptRecord): NewDeadLetter {
  const { message } = lease;
  return {
    kind: "message",
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
