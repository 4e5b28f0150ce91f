/** Entries as they are written: facts about a message, an attempt or a delivery, and the attempt's recording. */
import { encodeRecordingInto, type Headers, type LogEffect, type Part, type Recordable, writeFrameHeader, writeRecord } from "#abi";
import { parentHeader } from "../contract/lineage.ts";
import type { Failure } from "../contract/message.ts";
import type { WitnessedAttempt, WitnessedDelivery, WitnessedEnd, WitnessedMessage } from "../contract/witness.ts";
import { attemptRecord, EntryKind, entryHeaderBytes, entryMagic, factsForm, messageRecord, statuses } from "./layout.ts";
import { historyLimits } from "./limits.ts";
import type { Redactor } from "./redact.ts";

const frameHeader = 8;

/** One record of an entry's facts. */
interface Fact {
  readonly kind: number;
  readonly parts: readonly Part[];
}

/** An entry that is ready to be written. */
export interface Entry {
  readonly facts: readonly Fact[];
  readonly recording: Recordable | undefined;
}

function messageParts({ flow, id, key, correlationId, headers, receivedMs, source }: WitnessedMessage): Part[] {
  const parent = headers[parentHeader];
  return [flow, id, key, correlationId, typeof parent === "string" ? parent : undefined, receivedMs, source];
}

/** Logs as they are shown, where that is in another form than the machine gave them. */
function logsJson({ logs, steps }: WitnessedAttempt, redactor: Redactor): string | undefined {
  if (logs.length === 0) return undefined;
  let at = 0;
  for (const { effects } of steps) for (const effect of effects) if (effect.kind === "log" && effect === logs[at]) at += 1;
  if (at === logs.length) return undefined;
  const fields = ({ fieldsJson }: LogEffect): string | undefined => (fieldsJson === undefined ? undefined : redactor.fields(fieldsJson));
  return JSON.stringify(logs.map((log) => ({ ...log, fieldsJson: redactor.bodies === "all" ? fields(log) : undefined })));
}

function failureParts(failure: Failure | undefined): readonly Part[] {
  return failure === undefined ? [undefined, undefined, undefined] : [failure.code, failure.message, failure.stack];
}

function attemptFact(attempt: WitnessedAttempt, redactor: Redactor, omitted: readonly number[] | undefined): Fact {
  const { startedMs, endedMs, failure } = attempt;
  const omittedJson = omitted === undefined ? undefined : JSON.stringify(omitted);
  const logs = logsJson(attempt, redactor);
  return { kind: attemptRecord, parts: [attempt.attempt, startedMs, endedMs, ...failureParts(failure), logs, omittedJson] };
}

function recordable({ flow, deliver, events, steps }: WitnessedAttempt): Recordable | undefined {
  if (deliver === undefined) return undefined;
  return { imageSha256: flow.image.sha256, flow: flow.name, limits: flow.limits, deliver, events, steps, redaction: undefined };
}

/** Bytes of the bodies an attempt has: an entry of about this length. */
function bodyBytes({ deliver, events, steps }: Recordable): number {
  let bytes = deliver.body.length + (deliver.stateJson?.length ?? 0);
  for (const event of events) {
    if ("body" in event) bytes += event.body.length;
    else if (event.kind === "resume") bytes += event.stateJson?.length ?? 0;
  }
  for (const { effects } of steps)
    for (const effect of effects) {
      if ("body" in effect) bytes += effect.body.length;
      else if (effect.kind === "done") bytes += effect.reply?.body.length ?? 0;
      else if (effect.kind === "log") bytes += effect.text.length + (effect.fieldsJson?.length ?? 0);
      else if (effect.kind === "state") bytes += effect.valueJson?.length ?? 0;
    }
  return bytes;
}

/** A message's own headers and body, where no machine got them. */
function messageFact({ headers, contentType, body }: WitnessedMessage, redactor: Redactor): Fact {
  const json = redactor.bodies === "none" ? "{}" : redactor.headers(JSON.stringify(headers satisfies Headers));
  const kept = body.length <= historyLimits.entryBytes ? redactor.body(body) : new Uint8Array(0);
  return { kind: messageRecord, parts: [json, contentType, kept, kept.length === 0 ? body.length : 0] };
}

function withAttempt(first: Fact, message: WitnessedMessage, attempt: WitnessedAttempt | undefined, redactor: Redactor): Entry {
  if (attempt === undefined) return { facts: [first, messageFact(message, redactor)], recording: undefined };
  const whole = recordable(attempt);
  if (whole === undefined)
    return { facts: [first, attemptFact(attempt, redactor, undefined), messageFact(message, redactor)], recording: undefined };
  const tooLong = redactor.bodies === "all" && (attempt.leftOut === true || bodyBytes(whole) > historyLimits.entryBytes);
  const { recording, omitted } = redactor.recording(whole, tooLong ? "headers" : redactor.bodies);
  return { facts: [first, attemptFact(attempt, redactor, omitted)], recording };
}

export function endedEntry(message: WitnessedMessage, end: WitnessedEnd, redactor: Redactor): Entry {
  const { status, endedMs, attempts, last, failure, letter } = end;
  const image = last?.deliver === undefined ? undefined : last.flow.image.sha256;
  const parts = messageParts(message);
  parts.push(statuses.indexOf(status), endedMs, attempts, image, ...failureParts(failure), letter);
  return withAttempt({ kind: EntryKind.ended, parts }, message, last, redactor);
}

export function attemptedEntry(message: WitnessedMessage, attempt: WitnessedAttempt, redactor: Redactor): Entry {
  return withAttempt({ kind: EntryKind.attempted, parts: messageParts(message) }, message, attempt, redactor);
}

export function deliveredEntry(delivery: WitnessedDelivery): Entry {
  const { flow, messageId, outlet, connector, idempotencyKey, attempt, startedMs, endedMs, status, failure, letter } = delivery;
  const parts = [
    flow,
    messageId,
    outlet,
    connector,
    idempotencyKey,
    attempt,
    startedMs,
    endedMs,
    status,
    failure?.code,
    failure?.message,
    letter,
  ];
  return { facts: [{ kind: EntryKind.delivered, parts }], recording: undefined };
}

/** Writes an entry at an offset, but for its CRC. The offset behind it, or −1 when it might not fit. */
export function writeEntry(target: Buffer, start: number, { facts, recording }: Entry): number {
  const frame = start + entryHeaderBytes;
  let at = frame + frameHeader;
  if (at > target.length) return -1;
  for (const { kind, parts } of facts) {
    at = writeRecord(target, at, kind, parts);
    if (at < 0) return -1;
  }
  writeFrameHeader(target, frame, at, factsForm.magic);
  if (recording !== undefined) at = encodeRecordingInto(target, at, recording);
  if (at < 0) return -1;
  target.writeUInt32LE(entryMagic, start);
  target.writeUInt32LE(at - frame, start + 4);
  return at;
}
