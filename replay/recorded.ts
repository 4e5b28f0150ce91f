/** A recording, read: its answers by the calls they were given to, its wake-ups by timer, and its outcome by the gateway's interpreter. */
import type { CallEffect, Headers, LogEffect, Recording, ResolveEvent, ResumeEvent, StepOutcome, WaitEffect } from "#abi";
import { CodedError, equalBytes } from "#base";
import {
  type EffectHost,
  type EffectRules,
  Effects,
  type Failure,
  gatewayLimits,
  type NewSend,
  peersFault,
  type StateChange,
  storedBodyOf,
  type Waits,
  WindowEvent,
} from "#gateway";
import { overState, stateAfter, type StateValues } from "#gateway/attempt";
import { jsonValue } from "./differences.ts";
import type { LifeEnd, TimedAnswer, TimedWake } from "./drive.ts";
import { type Outcome, outcomeOf, type Ran } from "./outcome.ts";
import type { GivenSignal } from "./signals.ts";

/** Failure as the message's record shows it. */
export interface RecordedError {
  readonly code: string;
  readonly message: string;
}

/** Throws MF_REPLAY_NO_BODIES for a recording that lacks what a machine needs to run. */
export function checkWhole({ redaction, deliver, events }: Recording): void {
  const piece = events.find((event) => event.kind === "resolve" && lacksBytes(event));
  if (piece !== undefined)
    throw new CodedError(
      "MF_REPLAY_BODY",
      `the message ${deliver.id} was read in pieces of a stored body, which its recording names and does not hold: give the same body with --body FILE, whose SHA-256 is ${storedBodyOf(jsonHeaders(deliver))?.sha256 ?? "not known"}`,
    );
  if (redaction === undefined || redaction.bodies === "all") return;
  throw new CodedError(
    "MF_REPLAY_NO_BODIES",
    `the message ${deliver.id} was recorded without bodies (history.bodies leaves them out, or it was too long), and a machine can't run without them: set history.bodies to all to replay later messages`,
  );
}

/** True for a piece of a stored body whose bytes are not at hand. */
function lacksBytes(event: ResolveEvent): boolean {
  return event.window !== undefined && !(event instanceof WindowEvent);
}

/** Headers of the message. */
export function headersOf({ deliver }: Recording): Headers {
  return jsonHeaders(deliver);
}

function jsonHeaders(deliver: Recording["deliver"]): Headers {
  const headers = jsonValue(deliver.headersJson);
  return typeof headers === "object" && headers !== null ? (headers as Headers) : {};
}

export interface RecordedCall {
  readonly call: CallEffect;
  readonly askedMs: number;
  /** Undefined: the record has no answer. */
  answer: { readonly event: ResolveEvent; readonly order: number } | undefined;
}

/** Answers of a recording. Each is given once. */
export class RecordedAnswers {
  readonly #calls = new Map<string, RecordedCall[]>();
  readonly #wakes = new Map<string, TimedWake>();
  readonly #timeouts = new Map<string, TimedWake>();
  /** Received when they were given, but in time where they won. */
  readonly signals: readonly GivenSignal[];
  readonly resumes: readonly ResumeEvent[];
  /** In the order they were made. */
  readonly all: readonly RecordedCall[];
  /** The record's cancel, if it has one. */
  readonly cancelledMs: number | undefined;

  constructor({ deliver, events, steps }: Recording) {
    const open = new Map<number, RecordedCall>();
    const timers = new Map<number, number>();
    const waits = new Map<number, WaitEffect>();
    const all: RecordedCall[] = [];
    const signals: GivenSignal[] = [];
    this.all = all;
    this.signals = signals;
    this.resumes = events.filter((event) => event.kind === "resume");
    for (const [index, event] of [deliver, ...events].entries()) {
      if (event.kind === "resolve") {
        const asked = open.get(event.call);
        if (asked !== undefined) asked.answer = { event, order: index };
        open.delete(event.call);
      } else if (event.kind === "wake") {
        const key = `${event.timer} ${timers.get(event.timer) ?? ""}`;
        if (!this.#wakes.has(key)) this.#wakes.set(key, { atMs: event.timeMs, order: index });
      } else if (event.kind === "cancel") this.cancelledMs ??= event.timeMs;
      else if (event.kind === "signal") {
        const { name = "", key, dueMs = -1 } = waits.get(event.wait) ?? {};
        const { id, headersJson, body, timeMs } = event;
        const place = `${event.wait} ${dueMs}`;
        if (id !== undefined)
          signals.push({ id, name, key, headersJson, body, atMs: dueMs < 0 ? timeMs : Math.min(timeMs, dueMs - 1), order: index });
        else if (!this.#timeouts.has(place)) this.#timeouts.set(place, { atMs: timeMs, order: index });
      }
      for (const effect of steps[index]?.effects ?? []) {
        if (effect.kind === "timer") timers.set(effect.timer, effect.dueMs);
        if (effect.kind === "wait") waits.set(effect.wait, effect);
        if (effect.kind !== "call") continue;
        const asked: RecordedCall = { call: effect, askedMs: event.timeMs, answer: undefined };
        open.set(effect.call, asked);
        all.push(asked);
        const place = placeOf(effect);
        const known = this.#calls.get(place);
        if (known === undefined) this.#calls.set(place, [asked]);
        else known.push(asked);
      }
    }
  }

  /** The answer to the same call, or else to the first to the same place that was not given yet; undefined when no record answers. */
  answer(call: CallEffect): TimedAnswer | undefined {
    const known = this.#calls.get(placeOf(call));
    if (known === undefined || known.length === 0) return undefined;
    const same = known.findIndex(({ call: { method, body } }) => method === call.method && equalBytes(body, call.body));
    const [asked] = known.splice(Math.max(same, 0), 1) as [RecordedCall];
    if (asked.answer === undefined) return { answer: noAnswer, delayMs: Number.POSITIVE_INFINITY };
    if (lacksBytes(asked.answer.event)) return undefined;
    const { event, order } = asked.answer;
    const { error, status, headersJson, body } = event;
    return {
      answer: { error, status, headersJson, body, ...(error === undefined ? {} : { blame: peersFault }) },
      delayMs: event.timeMs - asked.askedMs,
      order,
    };
  }

  wake(timer: number, dueMs: number): TimedWake | undefined {
    return this.#wakes.get(`${timer} ${dueMs}`);
  }

  timeout(wait: number, dueMs: number): TimedWake | undefined {
    return this.#timeouts.get(`${wait} ${dueMs}`);
  }
}

const noAnswer = { error: undefined, status: 200, headersJson: "{}", body: new Uint8Array(0) };

function placeOf({ operation, target }: CallEffect): string {
  return `${operation} ${target}`;
}

/** True for an attempt that was kept from sleep, since its caller waited: it failed for that, or a timer found it awake that it would have slept on. */
export function callerWaited({ deliver, events, steps }: Recording, error: RecordedError | undefined): boolean {
  if (error?.code === "MF_SLEEP_CALLER") return true;
  const calls = new Set<number>();
  const timers = new Map<number, number>();
  let beforeMs = deliver.timeMs;
  for (const [index, { effects }] of steps.entries()) {
    const event = index === 0 ? deliver : events[index - 1];
    if (event === undefined) return false;
    if (event.kind === "wake" && calls.size === 0 && (timers.get(event.timer) ?? 0) - beforeMs >= gatewayLimits.durableMs) return true;
    if (event.kind === "resolve") calls.delete(event.call);
    for (const effect of effects)
      if (effect.kind === "call") calls.add(effect.call);
      else if (effect.kind === "timer") timers.set(effect.timer, effect.dueMs);
    beforeMs = event.timeMs;
  }
  return false;
}

/** Failure of an attempt that ended from outside: its time was over, its caller left, the gateway stopped. */
export function endedFromOutside({ events }: Recording, error: RecordedError | undefined): Failure {
  const cancel = events.find(({ kind }) => kind === "cancel");
  const reason = cancel?.kind === "cancel" ? cancel.reason : "the record ends before the flow did";
  const { code, message } = error ?? { code: "MF_CANCELLED", message: reason };
  return { origin: "gateway", code, message, status: 0, retry: false };
}

const idle: Omit<EffectHost, "log"> = {
  logDropped: () => undefined,
  reserve: () => undefined,
  call: () => () => undefined,
  timer: () => () => undefined,
  wait: () => () => undefined,
};

/** A recording as the interpreter reads it, transaction by transaction. */
class Retold implements Ran {
  readonly sends: NewSend[] = [];
  readonly stateChanges: StateChange[] = [];
  readonly transactions: { readonly endedMs: number; readonly sends: number; readonly asleep: Waits | undefined }[] = [];
  readonly calls: CallEffect[] = [];
  readonly #key: string | undefined;
  #state: StateValues | undefined;

  constructor(recording: Recording) {
    this.#key = recording.deliver.key;
    this.#state = stateOf(recording);
  }

  /** Gives the failure of a commit that the journal refuses. */
  commit({ sends, stateChanges }: Effects, endedMs: number, asleep: Waits | undefined): Failure | undefined {
    const refusal = overState(this.#key, this.#state, stateChanges);
    if (refusal !== undefined) return refusal;
    this.#state = stateAfter(this.#state, stateChanges);
    this.sends.push(...sends);
    this.stateChanges.push(...stateChanges);
    this.transactions.push({ endedMs, sends: sends.length, asleep });
    return undefined;
  }
}

/**
 * The outcome of the recorded attempt. `error`: as the message's record shows it. Outlets are those of then, whatever mayfly.yaml has now: a
 * send to one that it lacked is known by the error.
 */
export function recordedOutcome(recording: Recording, now: EffectRules, error?: RecordedError): Outcome {
  const rules = { ...now, outlets: undefined };
  const { deliver, events, steps } = recording;
  const logs: LogEffect[] = [];
  const retold = new Retold(recording);
  const host: EffectHost = {
    ...idle,
    log: (effect) => void logs.push(effect),
    call: (call) => {
      retold.calls.push(call);
      return () => undefined;
    },
  };
  const message = {
    key: deliver.key,
    headers: headersOf(recording),
    latin1Reply: deliver.source === "http",
    callerWaits: callerWaited(recording, error),
  };
  let effects = new Effects(rules, message, host);
  effects.began(deliver.timeMs);
  let end: LifeEnd | undefined;
  for (const [index, step] of steps.entries()) {
    const event = index === 0 ? deliver : (events[index - 1] ?? deliver);
    if (event.kind === "resume") {
      const asleep = effects.end;
      effects = new Effects(rules, message, host);
      effects.began(event.timeMs);
      if (asleep?.kind === "asleep") effects.resume(asleep);
      end = undefined;
    } else if (event.kind === "resolve")
      effects.answered(event.call, event.error === undefined ? undefined : { code: event.error.code, blame: peersFault });
    else if (event.kind === "wake") effects.woke(event.timer);
    else if (event.kind === "signal") effects.signalled(event.wait);
    else if (event.kind === "cancel") effects.stop({ kind: "failed", failure: endedFromOutside(recording, error) });
    // A machine that was given more has not slept before.
    const next = steps[index + 1] === undefined ? undefined : events[index];
    if (next !== undefined && next.kind !== "resume") effects.began(next.timeMs);
    effects.outcome(step as StepOutcome);
    if (effects.end?.kind !== "asleep" || end !== undefined) continue;
    const refusal = retold.commit(effects, event.timeMs, effects.end);
    end = refusal === undefined ? effects.end : { kind: "failed", failure: refusal };
  }
  end ??= lastEnd(effects, retold, recording, error);
  const isOutside = error !== undefined && end.kind !== "failed";
  return outcomeOf(retold, isOutside ? { kind: "failed", failure: endedFromOutside(recording, error) } : end, logs);
}

/** The end of the last transaction, where that is no sleep. */
function lastEnd(effects: Effects, retold: Retold, recording: Recording, error: RecordedError | undefined): LifeEnd {
  const { end } = effects;
  if (end?.kind === "failed") return end;
  if (end?.kind !== "done" || error !== undefined) return { kind: "failed", failure: endedFromOutside(recording, error) };
  const { timeMs } = recording.events.at(-1) ?? recording.deliver;
  const refusal = retold.commit(effects, timeMs, undefined);
  return refusal === undefined ? { ...end, next: end.next } : { kind: "failed", failure: refusal };
}

/** State under the message's key when it came. */
export function stateOf({ deliver }: Recording): Readonly<Record<string, unknown>> | undefined {
  const state = deliver.stateJson === undefined ? undefined : jsonValue(deliver.stateJson);
  return typeof state === "object" && state !== null ? (state as Record<string, unknown>) : undefined;
}
