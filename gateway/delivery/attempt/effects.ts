/**
 * The meaning of a machine's effects, with every limit, and the only place where it stands. The gateway carries effects out for real
 * (attempt.ts), `mayfly run` and flow tests answer them from stubs in virtual time (replay/drive.ts): neither passes what the other
 * refuses. No clock, no I/O.
 *
 *   StepOutcome ──▶ Effects ──▶ host: log, call, timer       at once
 *                      ├──▶ sends, stateChanges              collected, for whoever commits
 *                      └──▶ end: done with a reply, asleep, or failed, once
 *
 * A machine that waits for nothing but durable waits and timers is asleep: its transaction is over, and what it sent and changed so far is
 * to be committed. A flow that only sleeps is asleep where that takes `durableMs` or longer; one whose caller waits for a reply never is.
 *
 * Effects are hostile: a machine may be compromised.
 */
import {
  type CallEffect,
  type ContinueEffect,
  type Effect,
  type FlowLimits,
  type Headers,
  isHeaderText,
  type LogEffect,
  machineErrors,
  type SendEffect,
  type StepFailure,
  type StepOutcome,
  type WaitEffect,
} from "#abi";
import { isHeaderValue } from "../../contract/http/headers.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Failure, FailureOrigin, Reply } from "../../contract/message.ts";
import { type OpenTimer, type OpenWait, questionOf, type Waits } from "../../contract/sleep.ts";
import type { NewSend, StateChange } from "../../journal/journal.ts";
import { failureOf } from "../failures.ts";
import { parseHeaders, sentHeaders } from "./headers.ts";

/** The flow's part of the rules. */
export interface EffectRules {
  readonly name: string;
  readonly limits: FlowLimits;
  /** Undefined: every name is one. */
  readonly outlets: readonly string[] | undefined;
  /** True: errors of the flow's program, such as a TypeError, may be tried again. */
  readonly retriesProgramErrors: boolean;
  /** Longest time of one sleep, in milliseconds. */
  readonly sleepMostMs: number;
}

/** The message's part. */
export interface EffectMessage {
  readonly key: string | undefined;
  /** Headers it came with: a machine may pass on its own message's stored body, and no other. */
  readonly headers: Headers;
  /** Headers of the reply can hold no character beyond Latin-1 (HTTP). */
  readonly latin1Reply: boolean;
  /** A caller waits for the reply: the machine can't be put to sleep. */
  readonly callerWaits: boolean;
}

/** Origin of a failed call, and the status a caller gets whose flow does not handle it. */
export interface Blame {
  readonly origin: FailureOrigin;
  readonly status: number;
  /** The peer was not reached: waiting helps, and uses up no attempt. */
  readonly unreached?: boolean;
}

/** The end of an attempt. */
export type AttemptEnd =
  | {
      readonly kind: "done";
      readonly reply: Reply | undefined;
      /** The message that takes its place. */
      readonly next?: NextMessage | undefined;
    }
  | ({ readonly kind: "asleep" } & Waits)
  | { readonly kind: "failed"; readonly failure: Failure }
  /** The monitor or the memory budget had no room, or is closing: not an attempt. */
  | { readonly kind: "unstarted"; readonly closing: boolean; readonly code: string };

/** The message that a flow continues as. */
export interface NextMessage {
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Its own message instead, to be read from here on: a batch is complete. */
  readonly position?: string | undefined;
}

/** Takes back what was started; called when nobody waits for it any more. */
export type Cancel = () => void;

export interface EffectHost {
  /** A line within limits.logBytes. */
  log(effect: LogEffect): void;
  /** A line beyond it. */
  logDropped(): void;
  /** Reserves memory for a body until the end of the attempt. Returns the end of the attempt if the memory is exhausted. */
  reserve(use: "send" | "call" | "reply", bytes: number): AttemptEnd | undefined;
  /** Starts a call. `Effects.answered` is called with its answer. */
  call(effect: CallEffect): Cancel;
  /** Starts a timer for a machine time in milliseconds. `Effects.woke` is called when it is due. */
  timer(timer: number, dueMs: number): Cancel;
  /**
   * A wait is open while its machine is awake: the host gives the signal or the timeout that ends it, after `Effects.signalled`. Where the
   * machine goes to sleep at once, it is cancelled before it could.
   */
  wait(wait: OpenWait): Cancel;
}

/** The kernel's codes for a message and for an answer that do not hold what the flow reads them as. */
const unreadableMessage = "MF_MESSAGE_INVALID";
const unreadableAnswer = "MF_RESPONSE_INVALID";
const peersFault: Blame = { origin: "peer", status: 502 };

const noBytes = new Uint8Array(0);

interface Open<T> {
  readonly what: T;
  readonly cancel: Cancel;
}

function sizeOf(open: ReadonlyMap<number, unknown> | undefined): number {
  return open === undefined ? 0 : open.size;
}

export class Effects {
  readonly sends: NewSend[] = [];
  readonly stateChanges: StateChange[] = [];
  /** Undefined while the attempt goes on. */
  end: AttemptEnd | undefined;
  steps = 0;
  readonly #rules: EffectRules;
  readonly #message: EffectMessage;
  readonly #host: EffectHost;
  #sendBytes = 0;
  #logBytes = 0;
  #calls = 0;
  #windows = 0;
  /** Open calls and timers by the machine's number; both maps are made on first use. */
  #openCalls: Map<number, Cancel> | undefined;
  #openTimers: Map<number, Open<OpenTimer>> | undefined;
  #openWaits: Map<number, Open<OpenWait>> | undefined;
  /** Of failed calls, by the code the machine was given; made on first use. */
  #blames: Map<string, Blame> | undefined;
  /** Events given to the machine whose outcome is not there yet. */
  #stepping = 0;
  /** Machine time of the newest event. */
  #nowMs = 0;

  constructor(rules: EffectRules, message: EffectMessage, host: EffectHost) {
    this.#rules = rules;
    this.#message = message;
    this.#host = host;
  }

  /** An event goes to the machine, at this machine time. */
  began(nowMs: number): void {
    this.#stepping += 1;
    this.#nowMs = nowMs;
  }

  /** Opens again what a machine waited for that was asleep. Called once, after its `resume` event. */
  resume({ waits, timers }: Waits): void {
    for (const wait of waits) this.#openWait(wait);
    for (const timer of timers) this.#openTimer(timer);
  }

  /** The outcome of an event. After the end only its logs count. */
  outcome(outcome: StepOutcome): AttemptEnd | undefined {
    this.#stepping -= 1;
    this.steps += 1;
    for (const effect of outcome.effects) {
      if (effect.kind === "log") this.log(effect);
      else if (this.end === undefined) this.#take(effect);
    }
    if (this.end !== undefined) return this.end;
    if (outcome.status === "broken") this.#broken(outcome.failure);
    else if (outcome.status !== "waiting") this.#lied(`the step's status is ${outcome.status}, but its last effect disagrees`);
    else if (this.steps > gatewayLimits.stepsPerMessage)
      this.#fail(
        "MF_STEP_LIMIT",
        `the flow took more than ${gatewayLimits.stepsPerMessage} steps: look for a timer or a call in an endless loop`,
      );
    else if (this.#stepping > 0) return undefined;
    else if (this.#isAsleep) this.#finish({ kind: "asleep", ...this.#waits });
    else if (this.#idle)
      this.#fail("MF_FLOW_STALLED", "the flow awaits a promise that nothing can settle: look for a promise that is never resolved", true);
    return this.end;
  }

  /** The event got no outcome: the monitor failed. */
  lost(error: unknown): AttemptEnd {
    this.#stepping -= 1;
    const why = error instanceof Error ? error.message : String(error);
    return this.end ?? this.#fail("MF_MACHINE_LOST", `the monitor failed: ${why}`, true);
  }

  /** The message's time is over. */
  outOfTime(): AttemptEnd {
    return this.stop({ kind: "failed", failure: failureOf("MF_TIME_LIMIT", machineErrors.MF_TIME_LIMIT, true, 504) });
  }

  /** Ends the attempt from outside. */
  stop(end: AttemptEnd): AttemptEnd {
    return this.end ?? this.#finish(end);
  }

  /** A call has its answer, which goes to the machine next. */
  answered(call: number, failed?: { readonly code: string; readonly blame: Blame | undefined }): void {
    this.#openCalls?.delete(call);
    if (failed?.blame !== undefined) (this.#blames ??= new Map<string, Blame>()).set(failed.code, failed.blame);
  }

  /** A timer is due, and goes to the machine next. */
  woke(timer: number): void {
    this.#openTimers?.get(timer)?.cancel();
    this.#openTimers?.delete(timer);
  }

  /** A wait has its signal, or its time is over; that goes to the machine next. */
  signalled(wait: number): void {
    this.#openWaits?.get(wait)?.cancel();
    this.#openWaits?.delete(wait);
  }

  log(effect: LogEffect): void {
    this.#logBytes += effect.text.length + (effect.fieldsJson?.length ?? 0);
    if (this.#logBytes > this.#rules.limits.logBytes) this.#host.logDropped();
    else this.#host.log(effect);
  }

  get #idle(): boolean {
    return sizeOf(this.#openCalls) + sizeOf(this.#openTimers) + sizeOf(this.#openWaits) === 0;
  }

  /** Nothing is open but what it can sleep on. */
  get #isAsleep(): boolean {
    if (sizeOf(this.#openCalls) > 0 || this.#message.callerWaits) return false;
    if (sizeOf(this.#openWaits) > 0) return true;
    const timers = this.#openTimers;
    if (timers === undefined || timers.size === 0) return false;
    for (const { what } of timers.values()) if (what.dueMs - this.#nowMs < gatewayLimits.durableMs) return false;
    return true;
  }

  get #waits(): Waits {
    const all = <T>(open: Map<number, Open<T>> | undefined): readonly T[] => [...(open?.values() ?? [])].map(({ what }) => what);
    return { waits: all(this.#openWaits), timers: all(this.#openTimers) };
  }

  #take(effect: Exclude<Effect, LogEffect>): void {
    switch (effect.kind) {
      case "send":
        return this.#send(effect);
      case "state":
        return this.#change(effect);
      case "call":
        return this.#call(effect);
      case "timer":
        return this.#timer(effect.timer, effect.dueMs);
      case "wait":
        return this.#wait(effect);
      case "done":
        return this.#done(effect.reply);
      case "continue":
        return this.#continue(effect);
      case "fail":
        this.#finish({ kind: "failed", failure: this.#failureOf(effect) });
    }
  }

  #send(effect: SendEffect): void {
    const { name, limits, outlets } = this.#rules;
    if (outlets?.includes(effect.outlet) === false) {
      this.#fail("MF_OUTLET_UNKNOWN", unknownOutlet(name, effect.outlet, outlets));
      return;
    }
    this.#sendBytes += effect.body.length;
    if (this.sends.length >= limits.sends)
      return this.#overLimit(`sent more than ${limits.sends} messages: split the message before it arrives, or raise limits.sends`);
    if (this.#sendBytes > gatewayLimits.sendBytesPerMessage)
      return this.#overLimit(`sent more than ${gatewayLimits.sendBytesPerMessage} bytes: split the message before it arrives`);
    const sent = sentHeaders(effect.headersJson, effect.body, this.#message.headers);
    if ("code" in sent) {
      this.#fail(sent.code, `a send to ${effect.outlet}: ${sent.problem}`);
      return;
    }
    if (!this.#reserve("send", effect.body.length)) return;
    const { outlet, key, contentType, body, dueMs } = effect;
    if (dueMs !== undefined && this.#isTooLong(dueMs)) return;
    const send = { outlet, key, contentType, headers: sent.headers, body };
    this.sends.push(dueMs === undefined ? send : { ...send, dueMs });
  }

  #change({ name, valueJson }: Effect & { kind: "state" }): void {
    if (this.#message.key === undefined)
      this.#fail(
        "MF_STATE_NO_KEY",
        `the message has no key to keep state under: set flows.${this.#rules.name}.key in mayfly.yaml (--key for \`mayfly run\`)`,
      );
    else if (valueJson !== undefined && !isJson(valueJson)) this.#lied(`the state ${JSON.stringify(name)} is not JSON`);
    else if (this.stateChanges.length >= gatewayLimits.callsPerMessage)
      this.#overLimit(`changed its state more than ${gatewayLimits.callsPerMessage} times: change it once, at the end`);
    else this.stateChanges.push({ name, valueJson });
  }

  #call(effect: CallEffect): void {
    const isWindow = effect.operation === "window";
    if (isWindow) this.#windows += 1;
    else this.#calls += 1;
    const open = (this.#openCalls ??= new Map<number, Cancel>());
    const { callsPerMessage, openCallsPerMachine, windowsPerMessage } = gatewayLimits;
    if (open.has(effect.call)) return this.#lied(`call ${effect.call} is already open`);
    if (this.#calls > callsPerMessage)
      return this.#overCalls(`made more than ${callsPerMessage} calls: split the message before it arrives`);
    if (this.#windows > windowsPerMessage)
      return this.#overCalls(`read its body in more than ${windowsPerMessage} pieces: read it in batches, with flow({ batch: 500 })`);
    if (open.size >= openCallsPerMachine)
      return this.#overCalls(`has more than ${openCallsPerMachine} calls open at once: await some before making more`);
    if (!this.#reserve("call", effect.body.length)) return;
    open.set(effect.call, this.#host.call(effect));
  }

  #timer(timer: number, dueMs: number): void {
    this.#openTimers?.get(timer)?.cancel();
    this.#openTimers?.delete(timer);
    if (dueMs < 0) return;
    const most = gatewayLimits.openTimersPerMachine;
    if (sizeOf(this.#openTimers) >= most)
      return this.#overCalls(`has more than ${most} timers open at once: await some before setting more`);
    if (this.#message.callerWaits || !this.#isTooLong(dueMs)) this.#openTimer({ timer, dueMs });
  }

  #openTimer(what: OpenTimer): void {
    const open = (this.#openTimers ??= new Map<number, Open<OpenTimer>>());
    open.set(what.timer, { what, cancel: this.#host.timer(what.timer, what.dueMs) });
  }

  #wait({ wait, name, key, dueMs, questionJson }: WaitEffect): void {
    this.#openWaits?.get(wait)?.cancel();
    this.#openWaits?.delete(wait);
    if (name === undefined) return;
    const most = gatewayLimits.openWaitsPerMachine;
    if (this.#message.callerWaits) {
      const text =
        "the flow waits durably while its caller waits for the reply: give its source `mode: accept`, or use another flow to wait";
      this.#fail("MF_SLEEP_CALLER", text);
    } else if (sizeOf(this.#openWaits) >= most) this.#overCalls(`has more than ${most} waits open at once: await some before opening more`);
    else if (this.#canAsk(questionJson) && (dueMs < 0 || !this.#isTooLong(dueMs)))
      this.#openWait({ wait, name, key, dueMs: dueMs < 0 ? undefined : dueMs, questionJson });
  }

  /** False, and the attempt has failed, when a question is for an outlet that the flow has not. */
  #canAsk(questionJson: string | undefined): boolean {
    const { name, outlets } = this.#rules;
    const outlet = questionOf(questionJson)?.to;
    if (outlet === undefined || outlets?.includes(outlet) !== false) return true;
    this.#fail("MF_OUTLET_UNKNOWN", unknownOutlet(name, outlet, outlets));
    return false;
  }

  #openWait(what: OpenWait): void {
    const open = (this.#openWaits ??= new Map<number, Open<OpenWait>>());
    open.set(what.wait, { what, cancel: this.#host.wait(what) });
  }

  /** True, and the attempt has failed, when a time is further away than machines may sleep. */
  #isTooLong(dueMs: number): boolean {
    const { name, sleepMostMs } = this.#rules;
    if (dueMs - this.#nowMs <= sleepMostMs) return false;
    const days = (ms: number): string => `${Math.round(ms / 8_640_000) / 10} days`;
    this.#fail(
      "MF_SLEEP_LIMIT",
      `the flow waits ${days(dueMs - this.#nowMs)}, more than the ${days(sleepMostMs)} allowed: wait less, or raise flows.${name}.sleep.max`,
    );
    return true;
  }

  #continue({ contentType, headersJson, body, position }: ContinueEffect): void {
    if (position !== undefined) return this.#nextBatch(position);
    const sent = sentHeaders(headersJson, body, this.#message.headers);
    if ("code" in sent) this.#fail(sent.code, `the message to continue as: ${sent.problem}`);
    else if (this.#message.callerWaits)
      this.#fail(
        "MF_SLEEP_CALLER",
        "the flow continues as another message while its caller waits for the reply: give its source `mode: accept`",
      );
    else if (this.#reserve("send", body.length))
      this.#finish({ kind: "done", reply: undefined, next: { contentType, headers: sent.headers, body } });
  }

  #nextBatch(position: string): void {
    if (this.#message.callerWaits)
      this.#fail(
        "MF_SLEEP_CALLER",
        "the flow has more than one batch to read while its caller waits for the reply: give its source `mode: accept`",
      );
    else if (!isHeaderText(position)) this.#lied("the position of a batch is no header");
    else this.#finish({ kind: "done", reply: undefined, next: { contentType: "", headers: {}, body: noBytes, position } });
  }

  #done(reply: (Effect & { kind: "done" })["reply"]): void {
    if (reply === undefined) {
      this.#finish({ kind: "done", reply: undefined });
      return;
    }
    const { status, contentType, body } = reply;
    const headers = parseHeaders(reply.headersJson, this.#message.latin1Reply ? isHeaderValue : isHeaderText);
    if (typeof headers === "string") this.#fail("MF_HEADER_INVALID", `the reply: ${headers}`);
    else if (status !== 0 && !(status >= 200 && status <= 599)) this.#lied(`a reply can't have the status ${status}`);
    else if (this.#reserve("reply", body.length))
      this.#finish({ kind: "done", reply: { status: status === 0 ? 200 : status, contentType, headers, body } });
  }

  /** A flow that passes on the failure of a call passes on the blame; one that gives a status speaks for itself. */
  #failureOf({ code, message, stack, status, flaw, retry }: Effect & { kind: "fail" }): Failure {
    const blame = status === 0 ? (this.#blames?.get(code) ?? (code === unreadableAnswer ? peersFault : undefined)) : undefined;
    return {
      origin: blame?.origin ?? (status === 400 && code === unreadableMessage ? "caller" : "flow"),
      code,
      message,
      stack,
      status: blame?.status ?? status,
      retry: retry || (flaw === true && this.#rules.retriesProgramErrors),
      unreached: blame?.unreached,
    };
  }

  #broken({ code, message, stack, workersLost }: StepFailure): void {
    if (code === "MF_MONITOR_BUSY" || code === "MF_MONITOR_CLOSED") {
      this.#finish({ kind: "unstarted", closing: code === "MF_MONITOR_CLOSED", code: "MF_MONITOR_BUSY" });
      return;
    }
    const failure = { ...failureOf(code, message, true, code === "MF_TIME_LIMIT" ? 504 : 0), stack };
    this.#finish({ kind: "failed", failure: workersLost === undefined ? failure : { ...failure, workersLost } });
  }

  #reserve(use: "send" | "call" | "reply", bytes: number): boolean {
    const end = this.#host.reserve(use, bytes);
    if (end !== undefined) this.#finish(end);
    return end === undefined;
  }

  #overLimit(what: string): void {
    this.#fail("MF_EFFECT_LIMIT", `the flow ${what}`);
  }

  #overCalls(what: string): void {
    this.#fail("MF_CALL_LIMIT", `the flow ${what}`);
  }

  #lied(what: string): void {
    this.#fail("MF_MACHINE_LIED", `${machineErrors.MF_MACHINE_LIED} (${what})`);
  }

  #fail(code: string, message: string, retry = false): AttemptEnd {
    return this.#finish({ kind: "failed", failure: failureOf(code, message, retry) });
  }

  #finish(end: AttemptEnd): AttemptEnd {
    this.end = end;
    if (this.#openCalls !== undefined) for (const cancel of this.#openCalls.values()) cancel();
    if (this.#openTimers !== undefined) for (const { cancel } of this.#openTimers.values()) cancel();
    if (this.#openWaits !== undefined) for (const { cancel } of this.#openWaits.values()) cancel();
    return end;
  }
}

/** The sentence for an outlet that mayfly.yaml does not give the flow. */
export function unknownOutlet(flow: string, outlet: string, known: readonly string[] = []): string {
  const defined = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  return `the flow ${flow} has no outlet ${JSON.stringify(outlet)} in mayfly.yaml (${defined}): add it under flows.${flow}.to`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
