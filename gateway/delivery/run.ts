/**
 * One attempt: drives a machine from `deliver` to its last effect and collects what it wants. Effects are looked at as hostile:
 * a machine may be compromised. Logs go out at once and calls are carried out while the machine waits; sends, state changes and
 * the reply are only collected here, and committed by whoever gets the result.
 */
import {
  type CallEffect,
  type DeliverEvent,
  type Effect,
  type FlowLimits,
  hardLimits,
  isHeaderText,
  type LogEffect,
  machineErrors,
  type StepFailure,
  type StepOutcome,
} from "#abi";
import type { Clock, MemoryAccount } from "#base";
import type { Logger } from "../contract/connector.ts";
import type { NewSend, StateChange, StateSnapshot } from "../journal/journal.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Reply } from "../contract/message.ts";
import { isHeaderValue } from "../contract/http/headers.ts";
import { type GatewayMemory, memoryBusy } from "../contract/memory.ts";
import type { Flow, Runner, RunningMachine } from "../contract/runner.ts";
import type { Blame, CallAnswer } from "./calls.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { deliverHeadersJson, parseHeaders, sentHeaders } from "./headers.ts";
import type { FlowMetrics } from "./metrics.ts";
import type { SeedPool } from "./seeds.ts";
import { callersFault, failureOf, type Work } from "./work.ts";

/** Carries a call out. `signal` aborts when nobody waits for it any more. */
export type PerformCall = (run: Run, call: CallEffect, signal: AbortSignal) => Promise<CallAnswer>;

export type RunResult =
  | { readonly kind: "done"; readonly reply: Reply | undefined }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** The runner or the memory budget had no room, or it is closing: not an attempt. */
  | { readonly kind: "unstarted"; readonly closing: boolean; readonly code: string }
  /** The caller left. */
  | { readonly kind: "cancelled"; readonly failure: Failure };

/** What a run needs of the flow's delivery. */
export interface RunHost {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly seeds: SeedPool;
  readonly logger: Logger;
  readonly metrics: FlowMetrics;
  readonly memory: GatewayMemory;
  readonly perform: PerformCall;
  finished(run: Run, result: RunResult): void;
}

type Timers = Map<number, () => void>;

/** The kernel's codes for a message and for an answer that are not what the flow reads them as. */
const unreadableMessage = "MF_MESSAGE_INVALID";
const unreadableAnswer = "MF_RESPONSE_INVALID";
const peersFault: Blame = { origin: "peer", status: 502 };

export class Run implements Deadline {
  readonly work: Work;
  readonly flow: Flow;
  /** By the wall clock, for the record. */
  readonly startedMs: number;
  readonly #beganMs: number;
  readonly #host: RunHost;
  /** True once there is a result: whatever the machine says afterwards is not heard, but for its logs. */
  over = false;
  #machine: RunningMachine | undefined;
  readonly sends: NewSend[] = [];
  readonly stateChanges: StateChange[] = [];
  stateVersion = 0;
  readonly logs: LogEffect[] = [];
  #sendBytes = 0;
  /** Answers of calls: the machine's events are kept until its end, to run it again where its worker is lost. */
  #answerBytes = 0;
  #heldSendBytes = 0;
  #askedBytes = 0;
  #logBytes = 0;
  #steps = 0;
  #calls = 0;
  /** Open calls by the machine's number; both maps are made on first use. */
  #openCalls: Map<number, AbortController> | undefined;
  #timers: Timers | undefined;
  /** Of failed calls, by the code the machine was given; made on first use. */
  #blames: Map<string, Blame> | undefined;
  /** Events given to the machine whose outcome is not there yet. */
  #stepping = 0;

  deadlineMs: number;
  before: Deadline | undefined = undefined;
  after: Deadline | undefined = undefined;

  constructor(host: RunHost, flow: Flow, work: Work) {
    this.#host = host;
    this.flow = flow;
    this.work = work;
    this.startedMs = host.clock.now();
    this.#beganMs = host.clock.monotonicMs();
    this.deadlineMs = this.#beganMs + flow.limits.timeMs;
  }

  /** Milliseconds since the start. */
  get elapsedMs(): number {
    return this.#host.clock.monotonicMs() - this.#beganMs;
  }

  /** The machine's time: the date it was started with, and from there on steady, so that its timers and measurements are right. */
  get #timeMs(): number {
    return this.startedMs + Math.floor(this.elapsedMs);
  }

  get limits(): FlowLimits {
    return this.flow.limits;
  }

  start(state: StateSnapshot | undefined): void {
    const { message } = this.work;
    const host = this.#host;
    this.stateVersion = state?.version ?? 0;
    host.deadlines.add(this);
    this.#stepping = 1;
    const event: DeliverEvent = {
      kind: "deliver",
      timeMs: this.startedMs,
      seed: host.seeds.next(),
      id: message.id,
      source: message.source,
      attempt: this.work.attempt,
      key: message.key,
      headersJson: deliverHeadersJson(message, this.flow.config.values),
      stateJson: state?.json,
      body: message.body,
    };
    if (!fitsTheDoor(event)) {
      const text = `the message is too long for a machine (headers at most ${hardLimits.headersBytes} bytes, in all at most ${hardLimits.frameBytes}): send less, or set flows.${this.flow.name}.claimCheck`;
      return this.#finish({ kind: "failed", failure: callersFault("MF_MESSAGE_LIMIT", text, 413) });
    }
    try {
      this.#machine = host.runner.start(this.flow.image, event, this.flow.limits, this.flow.share);
    } catch (error) {
      this.#rejected(error);
      return;
    }
    this.#machine.first.then(this.#stepped, this.#rejected);
  }

  /** The message's time is over. */
  expired(): void {
    this.stop({ kind: "failed", failure: failureOf("MF_TIME_LIMIT", machineErrors.MF_TIME_LIMIT, true, 504) }, machineErrors.MF_TIME_LIMIT);
  }

  /** Gives the message up: the machine may still log for a moment, then it is ended. */
  stop(result: RunResult, reason: string): void {
    if (this.over) return;
    const machine = this.#machine;
    this.#finish(result);
    if (machine === undefined) return;
    const cancelGrace = this.#host.clock.after(gatewayLimits.cancelGraceMs, () => machine.end());
    const end = (outcome?: StepOutcome): void => {
      cancelGrace();
      if (outcome !== undefined) for (const effect of outcome.effects) if (effect.kind === "log") this.#log(effect);
      machine.end();
    };
    machine.step({ kind: "cancel", timeMs: this.#timeMs, reason }).then(end, () => end());
  }

  readonly #stepped = (outcome: StepOutcome): void => {
    this.#stepping -= 1;
    this.#host.metrics.cpuMs += outcome.cpuMs;
    this.#steps += 1;
    for (const effect of outcome.effects) {
      if (effect.kind === "log") this.#log(effect);
      else if (!this.over) this.#take(effect);
    }
    if (this.over) return;
    if (outcome.status === "broken") this.#broken(outcome.failure);
    else if (outcome.status !== "waiting") this.#lied(`the step's status is ${outcome.status}, but its last effect disagrees`);
    else if (this.#steps > gatewayLimits.stepsPerMessage)
      this.#fail(
        "MF_STEP_LIMIT",
        `the flow took more than ${gatewayLimits.stepsPerMessage} steps: look for a timer or a call in an endless loop`,
        false,
      );
    else if (this.#stepping === 0 && this.#idle)
      this.#fail("MF_FLOW_STUCK", "the flow awaits a promise that nothing can settle: look for a promise that is never resolved", true);
  };

  readonly #rejected = (error: unknown): void => {
    this.#stepping -= 1;
    if (!this.over) this.#fail("MF_MACHINE_LOST", `the runner failed: ${error instanceof Error ? error.message : String(error)}`, true);
  };

  get #idle(): boolean {
    return (this.#openCalls?.size ?? 0) === 0 && (this.#timers?.size ?? 0) === 0;
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
      case "done":
        return this.#done(effect.reply);
      case "fail":
        return this.#finish({
          kind: "failed",
          failure: this.#failureOf(effect),
        });
    }
  }

  /** A flow that passes on the failure of a call passes on the blame; one that gives a status speaks for itself. */
  #failureOf({ code, message, stack, status, flaw, ...effect }: Effect & { kind: "fail" }): Failure {
    const blame = status === 0 ? (this.#blames?.get(code) ?? (code === unreadableAnswer ? peersFault : undefined)) : undefined;
    const origin = blame?.origin ?? (status === 400 && code === unreadableMessage ? "caller" : "flow");
    const retry = effect.retry || (flaw === true && this.flow.config.retry.programErrors);
    return { origin, code, message, stack: this.#inSource(stack), status: blame?.status ?? status, retry, unreached: blame?.unreached };
  }

  #inSource(stack: string | undefined): string | undefined {
    return stack === undefined ? undefined : (this.flow.places?.stack(stack) ?? stack);
  }

  #send(effect: Effect & { kind: "send" }): void {
    if (!Object.hasOwn(this.flow.config.to, effect.outlet)) {
      const known = Object.keys(this.flow.config.to);
      return this.#fail(
        "MF_OUTLET_UNKNOWN",
        `the flow sent to the outlet ${JSON.stringify(effect.outlet)}, which mayfly.yaml does not define (${known.length === 0 ? "it defines none" : `it defines ${known.join(", ")}`}): add it under flows.${this.flow.name}.to`,
        false,
      );
    }
    this.#sendBytes += effect.body.length;
    if (this.sends.length >= this.limits.sends)
      return this.#fail(
        "MF_EFFECT_LIMIT",
        `the flow sent more than ${this.limits.sends} messages: split the message before it arrives, or raise limits.sends`,
        false,
      );
    if (this.#sendBytes > gatewayLimits.sendBytesPerMessage)
      return this.#fail(
        "MF_EFFECT_LIMIT",
        `the flow sent more than ${gatewayLimits.sendBytesPerMessage} bytes: split the message before it arrives`,
        false,
      );
    const sent = sentHeaders(effect.headersJson, effect.body, this.work.message.headers);
    if ("code" in sent) return this.#fail(sent.code, `a send to ${effect.outlet}: ${sent.problem}`, false);
    if (!this.#takeMemory(this.#host.memory.sends, effect.body.length, this.#heldSendBytes)) return;
    this.#heldSendBytes += effect.body.length;
    this.sends.push({
      outlet: effect.outlet,
      key: effect.key,
      contentType: effect.contentType,
      headers: sent.headers,
      body: effect.body,
    });
  }

  #change(effect: Effect & { kind: "state" }): void {
    if (this.work.message.key === undefined)
      return this.#fail(
        "MF_STATE_NO_KEY",
        `the message has no key to keep state under: set flows.${this.flow.name}.key in mayfly.yaml`,
        false,
      );
    if (effect.valueJson !== undefined && !isJson(effect.valueJson))
      return this.#lied(`the state ${JSON.stringify(effect.name)} is not JSON`);
    if (this.stateChanges.length >= gatewayLimits.callsPerMessage)
      return this.#fail(
        "MF_EFFECT_LIMIT",
        `the flow changed its state more than ${gatewayLimits.callsPerMessage} times: change it once, at the end`,
        false,
      );
    this.stateChanges.push({ name: effect.name, valueJson: effect.valueJson });
  }

  #call(effect: CallEffect): void {
    this.#calls += 1;
    const open = (this.#openCalls ??= new Map<number, AbortController>());
    if (open.has(effect.call)) return this.#lied(`call ${effect.call} is already open`);
    if (this.#calls > gatewayLimits.callsPerMessage)
      return this.#fail(
        "MF_CALL_LIMIT",
        `the flow made more than ${gatewayLimits.callsPerMessage} calls: split the message before it arrives`,
        false,
      );
    if (open.size >= gatewayLimits.openCallsPerMachine)
      return this.#fail(
        "MF_CALL_LIMIT",
        `the flow has more than ${gatewayLimits.openCallsPerMachine} calls open at once: await some before making more`,
        false,
      );
    const { sends } = this.#host.memory;
    const bytes = effect.body.length;
    if (!this.#takeMemory(sends, bytes, this.#askedBytes)) return;
    this.#askedBytes += bytes;
    const controller = new AbortController();
    open.set(effect.call, controller);
    void this.#host.perform(this, effect, controller.signal).then(({ blame, ...answer }) => {
      open.delete(effect.call);
      if (answer.error !== undefined && blame !== undefined) (this.#blames ??= new Map<string, Blame>()).set(answer.error.code, blame);
      sends.give(bytes);
      this.#askedBytes -= bytes;
      this.#holdAnswer(answer.body.length);
      this.#give({ kind: "resolve", timeMs: this.#timeMs, call: effect.call, ...answer });
    });
  }

  /** Memory for what the flow wants to send; false: the run is over. Without room for it now the message comes again later. */
  #takeMemory(account: MemoryAccount, bytes: number, heldBytes: number): boolean {
    // A little is free: what other flows hold must not keep short messages from their end.
    if (heldBytes + bytes <= freeBytes) account.force(bytes);
    else if (!account.tryTake(bytes)) return this.#noMemory(account, bytes);
    return true;
  }

  #noMemory(account: MemoryAccount, bytes: number): false {
    const mostBytes = account.largestBytes;
    if (bytes > mostBytes)
      this.#fail(
        "MF_EFFECT_LIMIT",
        `the flow sent ${bytes} bytes at once, more than the ${mostBytes} allowed: send less, or raise \`memory\``,
        false,
      );
    else {
      this.#finish({ kind: "unstarted", closing: false, code: memoryBusy });
      this.#machine?.end();
    }
    return false;
  }

  #holdAnswer(bytes: number): void {
    if (this.over || bytes === 0) return;
    this.#answerBytes += bytes;
    this.#host.memory.answers.force(bytes);
  }

  /** The flow's sends are safe in the journal, or will never leave. */
  releaseSends(): void {
    if (this.#heldSendBytes > 0) this.#host.memory.sends.give(this.#heldSendBytes);
    this.#heldSendBytes = 0;
  }

  #timer(timer: number, dueMs: number): void {
    const timers: Timers = (this.#timers ??= new Map());
    timers.get(timer)?.();
    timers.delete(timer);
    if (dueMs < 0) return;
    if (timers.size >= gatewayLimits.openTimersPerMachine)
      return this.#fail(
        "MF_CALL_LIMIT",
        `the flow has more than ${gatewayLimits.openTimersPerMachine} timers open at once: await some before setting more`,
        false,
      );
    timers.set(
      timer,
      this.#host.clock.after(dueMs - this.#timeMs, () => {
        timers.delete(timer);
        this.#give({ kind: "wake", timeMs: this.#timeMs, timer });
      }),
    );
  }

  #give(event: Parameters<RunningMachine["step"]>[0]): void {
    if (this.over || this.#machine === undefined) return;
    this.#stepping += 1;
    try {
      this.#machine.step(event).then(this.#stepped, this.#rejected);
    } catch (error) {
      this.#rejected(error);
    }
  }

  #done(reply: (Effect & { kind: "done" })["reply"]): void {
    if (reply === undefined) return this.#finish({ kind: "done", reply: undefined });
    const headers = parseHeaders(reply.headersJson, this.work.incoming.latin1Reply === true ? isHeaderValue : isHeaderText);
    if (typeof headers === "string") return this.#fail("MF_HEADER_INVALID", `the reply: ${headers}`, false);
    const { status, contentType, body } = reply;
    if (status !== 0 && !(status >= 200 && status <= 599)) return this.#lied(`a reply can't have the status ${status}`);
    if (!this.#takeMemory(this.#host.memory.replies, body.length, 0)) return;
    this.work.replyBytes = body.length;
    this.#finish({ kind: "done", reply: { status: status === 0 ? 200 : status, contentType, headers, body } });
  }

  #broken({ code, message, stack, workersLost }: StepFailure): void {
    if (code === "MF_MONITOR_BUSY" || code === "MF_MONITOR_CLOSED")
      this.#finish({ kind: "unstarted", closing: code === "MF_MONITOR_CLOSED", code: "MF_MONITOR_BUSY" });
    else {
      const failure = { ...failureOf(code, message, true, code === "MF_TIME_LIMIT" ? 504 : 0), stack: this.#inSource(stack) };
      this.#finish({ kind: "failed", failure: workersLost === undefined ? failure : { ...failure, workersLost } });
    }
  }

  #lied(what: string): void {
    this.#fail("MF_MACHINE_LIED", `${machineErrors.MF_MACHINE_LIED} (${what})`, false);
  }

  #fail(code: string, message: string, retry: boolean): void {
    this.#finish({ kind: "failed", failure: failureOf(code, message, retry) });
    this.#machine?.end();
  }

  #finish(result: RunResult): void {
    this.over = true;
    this.#host.deadlines.remove(this);
    if (this.#openCalls !== undefined) for (const controller of this.#openCalls.values()) controller.abort();
    if (this.#timers !== undefined) for (const cancel of this.#timers.values()) cancel();
    if (this.#answerBytes > 0) this.#host.memory.answers.give(this.#answerBytes);
    if (result.kind !== "done") this.releaseSends();
    this.#host.finished(this, result);
  }

  #log(given: LogEffect): void {
    this.#logBytes += given.text.length + (given.fieldsJson?.length ?? 0);
    if (this.#logBytes > this.limits.logBytes) {
      this.#host.metrics.logsDropped += 1;
      return;
    }
    const effect = this.flow.places?.log(given) ?? given;
    if (this.logs.length < gatewayLimits.logsPerAttempt) this.logs.push(effect);
    const { logger } = this.#host;
    const fields = effect.fieldsJson === undefined ? undefined : logFields(effect.fieldsJson);
    logger[effect.level](fields === undefined ? { message: this.work.message.id } : { message: this.work.message.id, fields }, effect.text);
  }
}

/** Bytes one attempt may send, ask and reply each, however little memory there is. */
const freeBytes = 65_536;
const frameMarginBytes = 65_536; // for what frames a message: record headers, id, source, key

/** Whether the event can be encoded; exact only where it is close, since a text's bytes are at most three times its length. */
function fitsTheDoor({ headersJson, stateJson = "", body }: DeliverEvent): boolean {
  const headersBytes = headersJson.length * 3 <= hardLimits.headersBytes ? headersJson.length * 3 : Buffer.byteLength(headersJson);
  return (
    headersBytes <= hardLimits.headersBytes && headersBytes + stateJson.length * 3 + body.length + frameMarginBytes <= hardLimits.frameBytes
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Fields of a log line for the logger; text that is not JSON is shown as it is. */
function logFields(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
