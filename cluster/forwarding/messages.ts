/**
 * Messages, signals and their outcomes as the content of calls. Decoding never throws; it returns undefined for a malformed one.
 *
 *   message   partition u32 · round u32 · flow · origin: source, place · flags u8 · id? · idScope? · headers · contentType · body · key? ·
 *             correlationId? · parent? (flow, id, how) · setAside? (JSON)
 *   signal    partition u32 · flow · name · key · id? · idScope? · source · headers · contentType · body
 *   outcome   status u8 · then by status, as `Outcome` lists it
 */
import { ByteReader, ByteWriter, type Failure, type Outcome, readHeaders, readReply, writeHeaders, writeReply } from "#gateway";
import type { ForwardedMessage, ForwardedOrigin, IncomingSignal, ParentMessage, Partition, SignalOutcome } from "#gateway";

export interface Delivery {
  readonly partition: Partition;
  readonly flow: string;
  readonly message: ForwardedMessage;
  readonly origin: ForwardedOrigin;
}

export interface SignalDelivery {
  readonly partition: Partition;
  readonly signal: IncomingSignal;
}

const flags = { replyWanted: 1, latin1Reply: 2, sameRequest: 4, redelivered: 8, keeperJournal: 16 } as const;
const allFlags = 31;
const hows: readonly ParentMessage["how"][] = ["send", "resubmit", "retry", "continue"];
const headBytes = 1024;

function written(writer: ByteWriter): Uint8Array {
  return writer.buffer.subarray(0, writer.length);
}

/** The writer starts with room for a head and the body. */
function writerFor(body: Uint8Array): ByteWriter {
  return new ByteWriter(headBytes + body.length);
}

/** A body outlives the buffer it came in. */
function ownBytes(reader: ByteReader): Uint8Array {
  return new Uint8Array(reader.bytes());
}

/** `round`: of the sender's messages to the partition, see turned-back.ts. */
export function encodeDelivery({ partition, flow, message, origin }: Delivery, round: number): Uint8Array {
  const writer = writerFor(message.body);
  writer.u32(partition);
  writer.u32(round);
  writer.text(flow);
  writer.text(origin.source);
  writer.text(origin.place);
  writer.u8(flagsOf(message));
  writer.text(message.id);
  writer.text(message.idScope);
  writeHeaders(writer, message.headers);
  writer.text(message.contentType);
  writer.bytes(message.body);
  writer.text(message.key);
  writer.text(message.correlationId);
  writeParent(writer, message.parent);
  writer.text(message.setAside === undefined ? undefined : JSON.stringify(message.setAside));
  return written(writer);
}

function flagsOf({ replyWanted, latin1Reply, sameRequest, redelivered, keeper }: ForwardedMessage): number {
  return (
    (replyWanted ? flags.replyWanted : 0) |
    (latin1Reply === true ? flags.latin1Reply : 0) |
    (sameRequest === true ? flags.sameRequest : 0) |
    (redelivered === true ? flags.redelivered : 0) |
    (keeper === "journal" ? flags.keeperJournal : 0)
  );
}

export function decodeDelivery(content: Uint8Array): (Delivery & { readonly round: number }) | undefined {
  const reader = new ByteReader(content);
  const partition = reader.u32() as Partition;
  const round = reader.u32();
  const flow = reader.text();
  const origin = { source: reader.text(), place: reader.text() };
  const bits = reader.u8();
  if (bits > allFlags) return undefined;
  const message: ForwardedMessage = {
    replyWanted: (bits & flags.replyWanted) !== 0,
    latin1Reply: (bits & flags.latin1Reply) !== 0,
    sameRequest: (bits & flags.sameRequest) !== 0,
    redelivered: (bits & flags.redelivered) !== 0,
    keeper: (bits & flags.keeperJournal) === 0 ? "source" : "journal",
    id: reader.optionalText(),
    idScope: reader.optionalText(),
    headers: readHeaders(reader),
    contentType: reader.text(),
    body: ownBytes(reader),
    key: reader.optionalText(),
    correlationId: reader.optionalText(),
    parent: readParent(reader),
    setAside: readFailure(reader),
  };
  return reader.done ? { partition, round, flow, message, origin } : undefined;
}

function writeParent(writer: ByteWriter, parent: ParentMessage | undefined): void {
  writer.text(parent?.flow);
  if (parent === undefined) return;
  writer.text(parent.id);
  writer.u8(hows.indexOf(parent.how));
}

function readParent(reader: ByteReader): ParentMessage | undefined {
  const flow = reader.optionalText();
  if (flow === undefined) return undefined;
  const id = reader.text();
  const how = hows[reader.u8()];
  if (how === undefined) reader.valid = false;
  return { flow, id, how: how ?? "send" };
}

function isFailure(value: unknown): value is Failure {
  const { origin, code, message, stack, status, retry } = (value ?? {}) as Partial<Failure>;
  const texts = typeof origin === "string" && typeof code === "string" && typeof message === "string";
  return texts && typeof status === "number" && typeof retry === "boolean" && (stack === undefined || typeof stack === "string");
}

function readFailure(reader: ByteReader): Failure | undefined {
  const text = reader.optionalText();
  if (text === undefined || !reader.valid) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (isFailure(value)) return value;
  } catch {
    // no JSON
  }
  reader.valid = false;
  return undefined;
}

const statuses = ["accepted", "done", "duplicate", "dead", "refused"] as const;

export function encodeOutcome(outcome: Outcome): Uint8Array {
  const writer = new ByteWriter(headBytes);
  writer.u8(statuses.indexOf(outcome.status));
  writer.text(outcome.id);
  switch (outcome.status) {
    case "accepted":
      writer.u8(outcome.waiting === true ? 1 : 0);
      break;
    case "done":
    case "duplicate":
      writeReply(writer, outcome.reply);
      break;
    case "dead":
      writer.text(JSON.stringify(outcome.failure));
      writer.u8(outcome.kept ? 1 : 0);
      break;
    case "refused":
      writer.text(outcome.code);
      writer.text(outcome.message);
      writer.number(outcome.retryAfterMs);
  }
  return written(writer);
}

export function decodeOutcome(content: Uint8Array): Outcome | undefined {
  const reader = new ByteReader(content);
  const status = statuses[reader.u8()];
  const id = reader.optionalText();
  if (status === undefined || (id === undefined && status !== "refused")) return undefined;
  const outcome = outcomeOf(status, id ?? "", id, reader);
  return reader.done ? outcome : undefined;
}

function outcomeOf(status: Outcome["status"], id: string, refusedId: string | undefined, reader: ByteReader): Outcome | undefined {
  if (status === "accepted") return reader.u8() === 1 ? { status, id, waiting: true } : { status, id };
  if (status === "done" || status === "duplicate") return { status, id, reply: readReply(reader) };
  if (status === "refused") return { status, id: refusedId, code: reader.text(), message: reader.text(), retryAfterMs: reader.count() };
  const failure = readFailure(reader);
  const kept = reader.u8() === 1;
  return failure === undefined ? undefined : { status, id, failure, kept };
}

export function encodeSignal({ partition, signal }: SignalDelivery): Uint8Array {
  const writer = writerFor(signal.body);
  writer.u32(partition);
  writer.text(signal.flow);
  writer.text(signal.name);
  writer.text(signal.key);
  writer.text(signal.id);
  writer.text(signal.idScope);
  writer.text(signal.source);
  writeHeaders(writer, signal.headers);
  writer.text(signal.contentType);
  writer.bytes(signal.body);
  return written(writer);
}

export function decodeSignal(content: Uint8Array): SignalDelivery | undefined {
  const reader = new ByteReader(content);
  const partition = reader.u32() as Partition;
  const signal: IncomingSignal = {
    flow: reader.text(),
    name: reader.text(),
    key: reader.text(),
    id: reader.optionalText(),
    idScope: reader.optionalText(),
    source: reader.text(),
    headers: readHeaders(reader),
    contentType: reader.text(),
    body: ownBytes(reader),
  };
  return reader.done ? { partition, signal } : undefined;
}

const signalStatuses = ["kept", "duplicate", "refused"] as const;

export function encodeSignalOutcome(outcome: SignalOutcome): Uint8Array {
  const writer = new ByteWriter(headBytes);
  writer.u8(signalStatuses.indexOf(outcome.status));
  if (outcome.status === "refused") {
    writer.text(outcome.code);
    writer.text(outcome.message);
    writer.u8(outcome.final ? 1 : 0);
    writer.number(outcome.retryAfterMs);
  } else {
    writer.text(outcome.id);
    if (outcome.status === "kept") writer.u8(outcome.waiting ? 1 : 0);
  }
  return written(writer);
}

export function decodeSignalOutcome(content: Uint8Array): SignalOutcome | undefined {
  const reader = new ByteReader(content);
  const status = signalStatuses[reader.u8()];
  let outcome: SignalOutcome | undefined;
  if (status === "refused")
    outcome = { status, code: reader.text(), message: reader.text(), final: reader.u8() === 1, retryAfterMs: reader.count() };
  else if (status === "duplicate") outcome = { status, id: reader.text() };
  else if (status === "kept") outcome = { status, id: reader.text(), waiting: reader.u8() === 1 };
  return reader.done ? outcome : undefined;
}
