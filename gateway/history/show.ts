/** Entries as they are shown. Nothing here trusts what it reads: a segment may be damaged in a way its CRCs do not tell. */
import {
  type DeliverEvent,
  type Effect,
  hardLimits,
  type Headers,
  type LogEffect,
  type PartRecord,
  type Recording,
  type WaitEffect,
} from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import { parentHeader, parentOf } from "../contract/lineage.ts";
import type {
  MessageSummary,
  Relative,
  ShownAttempt,
  ShownBody,
  ShownCall,
  ShownContinue,
  ShownDelivery,
  ShownError,
  ShownReply,
  ShownSend,
  ShownStep,
  ShownWait,
} from "./history.ts";
import {
  attemptedParts,
  attemptParts,
  attemptRecord,
  deliveredParts,
  EndedPart,
  endedParts,
  EntryKind,
  messageParts,
  messageRecord,
  statuses,
} from "./layout.ts";
import type { ReadEntry } from "./segment.ts";
import { valuePrefix } from "./settings.ts";

const most = hardLimits.frameBytes;

/** Facts of an entry about its message. */
export interface MessageFacts {
  readonly kind: "ended" | "attempted";
  readonly flow: string;
  readonly id: string;
  readonly key: string | null;
  readonly correlationId: string | null;
  readonly parent: Relative | undefined;
  readonly receivedMs: number;
  readonly source: string;
}

function errorOf(record: PartRecord, from: number): ShownError | null {
  const code = record.optionalText(from, most);
  if (code === undefined) return null;
  const stack = record.optionalText(from + 2, most);
  return { code, message: record.optionalText(from + 1, most) ?? "", ...(stack === undefined ? {} : { stack }) };
}

/** Undefined for a delivery, and for what is misshapen. */
export function messageFacts({ facts }: ReadEntry): MessageFacts | undefined {
  const record = facts[0];
  if (record === undefined || (record.kind !== EntryKind.ended && record.kind !== EntryKind.attempted)) return undefined;
  const isEnd = record.kind === EntryKind.ended;
  const fields = record.expect(isEnd ? endedParts : attemptedParts);
  const found: MessageFacts = {
    kind: isEnd ? "ended" : "attempted",
    flow: fields.text(EndedPart.flow, most),
    id: fields.text(EndedPart.id, most),
    key: fields.optionalText(EndedPart.key, most) ?? null,
    correlationId: fields.optionalText(EndedPart.correlationId, most) ?? null,
    parent: parentOf({ [parentHeader]: fields.optionalText(EndedPart.parent, most) ?? "" }),
    receivedMs: fields.number(EndedPart.receivedMs),
    source: fields.text(EndedPart.source, most),
  };
  return fields.valid ? found : undefined;
}

/** An entry that says how a message ended; undefined for any other. */
export function summaryOf(
  entry: ReadEntry,
): (MessageSummary & { readonly parent: Relative | undefined; readonly letter: string | null }) | undefined {
  const message = messageFacts(entry);
  const record = entry.facts[0];
  if (message?.kind !== "ended" || record === undefined) return undefined;
  const { flow, id, key, correlationId, parent, receivedMs, source } = message;
  const status = statuses[record.count(EndedPart.status, statuses.length - 1)] ?? "done";
  const endedMs = record.number(EndedPart.endedMs);
  const summary = {
    id,
    flow,
    status,
    receivedAt: receivedMs,
    durationMs: Math.max(endedMs - receivedMs, 0),
    attempts: record.count(EndedPart.attempts, 0xffff_ffff),
    source,
    key,
    correlationId,
    image: record.optionalText(EndedPart.image, most) ?? null,
    error: errorOf(record, EndedPart.code),
    parent,
    letter: record.optionalText(EndedPart.letter, most) ?? null,
  };
  return record.valid ? summary : undefined;
}

export function deliveryOf({ facts }: ReadEntry): (ShownDelivery & { readonly flow: string; readonly messageId: string }) | undefined {
  const record = facts[0];
  if (record?.kind !== EntryKind.delivered) return undefined;
  const fields = record.expect(deliveredParts);
  const status = fields.text(8, most);
  const startedMs = fields.number(6);
  const delivery = {
    flow: fields.text(0, most),
    messageId: fields.text(1, most),
    outlet: fields.text(2, most),
    idempotencyKey: fields.text(4, most),
    attempt: fields.count(5, 0xffff_ffff),
    at: startedMs,
    durationMs: Math.max(fields.number(7) - startedMs, 0),
    status: (["sent", "retry", "waiting", "dead"] as const).find((each) => each === status) ?? "dead",
    error: fields.absent(9) ? null : { code: fields.text(9, most), message: fields.optionalText(10, most) ?? "" },
    deadLetter: fields.optionalText(11, most) ?? null,
  };
  return delivery;
}

/** Bytes as JSON can hold them: text when they are UTF-8, otherwise base64. */
function shownBytes(body: Uint8Array): ShownBody {
  const text = fromUtf8(body);
  return Buffer.compare(toUtf8(text), body) === 0 ? { text } : { base64: Buffer.from(body).toString("base64") };
}

function parsed(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    return undefined;
  }
}

function headersOf(json: string): Headers {
  const value = parsed(json);
  if (typeof value !== "object" || value === null) return {};
  const texts = Object.entries(value).filter(
    ([, each]) => typeof each === "string" || (Array.isArray(each) && each.every((one) => typeof one === "string")),
  );
  return Object.fromEntries(texts) as Headers;
}

function stateOf(json: string | undefined): Readonly<Record<string, unknown>> | null {
  const value = parsed(json);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}

/** The message as its machine got it. */
export interface ShownMessage {
  readonly headers: Headers;
  readonly contentType: string;
  readonly body: ShownBody;
  readonly state: Readonly<Record<string, unknown>> | null;
}

function shownHeaders(all: Headers): Headers {
  const hidden = (name: string): boolean => name === "content-type" || name === parentHeader || name.startsWith(valuePrefix);
  return Object.fromEntries(Object.entries(all).filter(([name]) => !hidden(name)));
}

const contentTypeOf = (headers: Headers): string => (typeof headers["content-type"] === "string" ? headers["content-type"] : "");

export function messageOf({ headersJson, body, stateJson }: DeliverEvent, omitted: number | undefined): ShownMessage {
  const all = headersOf(headersJson);
  return {
    headers: shownHeaders(all),
    contentType: contentTypeOf(all),
    body: omitted === undefined ? shownBytes(body) : { omitted },
    state: stateOf(stateJson),
  };
}

/** A message that no machine got, as its entry has it. */
export function unstartedMessage({ facts }: ReadEntry): ShownMessage {
  const record = facts.find(({ kind }) => kind === messageRecord)?.expect(messageParts);
  if (record === undefined) return { headers: {}, contentType: "", body: { omitted: 0 }, state: null };
  const omitted = record.number(3);
  return {
    headers: shownHeaders(headersOf(record.text(0, most))),
    contentType: record.text(1, most),
    body: omitted > 0 ? { omitted } : shownBytes(record.bytes(2)),
    state: null,
  };
}

/** Lengths of bodies that were left out, in the order in which they are asked for. */
class Bodies {
  readonly #omitted: readonly number[] | undefined;
  #at = 0;

  constructor(omitted: readonly number[] | undefined) {
    this.#omitted = omitted;
  }

  show(body: Uint8Array): ShownBody {
    return this.#omitted === undefined ? shownBytes(body) : { omitted: this.#omitted[this.#at++] ?? 0 };
  }
}

interface AttemptFacts {
  readonly attempt: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly error: ShownError | null;
  readonly logs: readonly LogEffect[] | undefined;
  readonly omitted: readonly number[] | undefined;
}

export function attemptFacts({ facts }: ReadEntry): AttemptFacts | undefined {
  const record = facts.find(({ kind }) => kind === attemptRecord)?.expect(attemptParts);
  if (record === undefined) return undefined;
  const logs = parsed(record.optionalText(6, most));
  const omitted = parsed(record.optionalText(7, most));
  return {
    attempt: record.count(0, 0xffff_ffff),
    startedMs: record.number(1),
    endedMs: record.number(2),
    error: errorOf(record, 3),
    logs: Array.isArray(logs) ? (logs as LogEffect[]) : undefined,
    omitted: Array.isArray(omitted) ? (omitted as number[]) : undefined,
  };
}

/** Everything the effects of an attempt say, for people. */
class Shown {
  readonly calls: ShownCall[] = [];
  readonly logs: LogEffect[] = [];
  readonly sends: ShownSend[] = [];
  readonly state: Record<string, unknown> = {};
  readonly waits: { readonly effect: WaitEffect; readonly at: number }[] = [];
  reply: ShownReply | null = null;
  continues: ShownContinue | null = null;

  /** `at`: machine time of the step; `committedAt`: when its transaction ended. */
  add(effect: Effect, { at, committedAt }: { readonly at: number; readonly committedAt: number }, bodies: Bodies): void {
    switch (effect.kind) {
      case "log":
        this.logs.push(effect);
        return;
      case "send": {
        const { outlet, key = null, contentType, headersJson, body, dueMs: dueAt = null } = effect;
        this.sends.push({ outlet, key, contentType, headers: headersOf(headersJson), body: bodies.show(body), committedAt, dueAt });
        return;
      }
      case "call": {
        if (effect.operation === "window") return; // its own message
        const { call, operation, target, method, contentType, headersJson, body } = effect;
        const asked = {
          call,
          operation,
          target,
          method,
          contentType,
          headers: headersOf(headersJson),
          body: bodies.show(body),
          askedAt: at,
        };
        this.calls.push({ ...asked, answeredAt: null, answer: null, error: null });
        return;
      }
      case "state":
        Object.defineProperty(this.state, effect.name, { value: parsed(effect.valueJson) ?? null, enumerable: true, configurable: true });
        return;
      case "wait":
        if (effect.name !== undefined) this.waits.push({ effect, at });
        return;
      case "continue": {
        const { contentType, headersJson, body } = effect;
        this.continues = { contentType, headers: headersOf(headersJson), body: bodies.show(body) };
        return;
      }
      case "done":
        if (effect.reply !== undefined) {
          const { status, contentType, headersJson, body } = effect.reply;
          this.reply = { status: status === 0 ? 200 : status, contentType, headers: headersOf(headersJson), body: bodies.show(body) };
        }
    }
  }
}

/** Answers by the number of their call; a number may be used again once it was answered. */
function withAnswers(calls: readonly ShownCall[], { events }: Recording, bodies: readonly (ShownBody | undefined)[]): ShownCall[] {
  const taken = new Set<number>();
  return calls.map((call) => {
    const index = events.findIndex((event, at) => event.kind === "resolve" && event.call === call.call && !taken.has(at));
    const event = events[index];
    if (event?.kind !== "resolve") return call;
    taken.add(index);
    const answer =
      event.error === undefined
        ? { status: event.status, headers: headersOf(event.headersJson), body: bodies[index] ?? { omitted: 0 } }
        : null;
    return { ...call, answeredAt: event.timeMs, answer, error: event.error ?? null };
  });
}

/** Waits with what ended them; a machine gives no number twice. */
function endedWaits({ waits }: Shown, { events }: Recording, bodies: readonly (ShownBody | undefined)[]): ShownWait[] {
  return waits.map(({ effect, at }): ShownWait => {
    const { wait, name = "", key, dueMs, questionJson } = effect;
    const index = events.findIndex((event) => event.kind === "signal" && event.wait === wait);
    const end = events[index];
    const signal =
      end?.kind !== "signal" || end.id === undefined
        ? null
        : { id: end.id, headers: headersOf(end.headersJson), body: bodies[index] ?? { omitted: 0 } };
    const until = dueMs < 0 ? null : dueMs;
    return { name, key, at, until, endedAt: end?.timeMs ?? null, signal, question: parsed(questionJson) ?? null };
  });
}

/** When the transaction of each step ended: with the last event before the next `resume`, or with the attempt. */
function commitTimes({ deliver, events }: Recording, endedMs: number): number[] {
  const all = [deliver, ...events];
  const times = all.map(() => endedMs);
  for (let index = all.length - 1; index > 0; index--) {
    if (all[index]?.kind === "resume") times[index - 1] = all[index - 1]?.timeMs ?? endedMs;
    else times[index - 1] = times[index] ?? endedMs;
  }
  return times;
}

export function shownAttempt(facts: AttemptFacts, recording: Recording): ShownAttempt {
  const { deliver, events, steps } = recording;
  const bodies = new Bodies(facts.omitted);
  bodies.show(deliver.body); // shown with the message; its place comes first
  const answers = events.map((event) => ("body" in event ? bodies.show(event.body) : undefined));
  const shown = new Shown();
  const all = [deliver, ...events];
  const commits = commitTimes(recording, facts.endedMs);
  for (const [index, { effects }] of steps.entries()) {
    const times = { at: all[index]?.timeMs ?? 0, committedAt: commits[index] ?? facts.endedMs };
    for (const effect of effects) shown.add(effect, times, bodies);
  }
  return {
    attempt: facts.attempt,
    startedAt: facts.startedMs,
    durationMs: Math.max(facts.endedMs - facts.startedMs, 0),
    image: recording.imageSha256,
    seed: Buffer.from(deliver.seed).toString("hex"),
    steps: all.map((event, index): ShownStep => {
      const step = steps[index];
      return { event: event.kind, at: event.timeMs, status: step?.status ?? null, cpuMs: step?.cpuMs ?? 0, pages: step?.pages ?? 0 };
    }),
    calls: withAnswers(shown.calls, recording, answers),
    waits: endedWaits(shown, recording, answers),
    logs: facts.logs ?? shown.logs,
    sends: shown.sends,
    state: shown.state,
    reply: shown.reply,
    continues: shown.continues,
    error: facts.error,
  };
}

/** An attempt in which no machine was started. */
export function unstartedAttempt({ attempt, startedMs, endedMs, error }: AttemptFacts): ShownAttempt {
  const nothing = { image: "", seed: "", steps: [], calls: [], waits: [], logs: [], sends: [], state: {}, reply: null, continues: null };
  return { attempt, startedAt: startedMs, durationMs: Math.max(endedMs - startedMs, 0), ...nothing, error };
}
