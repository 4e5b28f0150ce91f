/**
 * One attempt at a message in the gateway: drives a machine from `deliver` to its end. What its effects mean stands in effects.ts; here
 * they meet the clock, the memory budget, the log and the outlets. Whoever gets the result commits the sends and the state.
 */
import { type CallEffect, type DeliverEvent, type Event, type LogEffect, machineErrors, type StepOutcome, type StoredWindow } from "#abi";
import type { Clock, MemoryAccount } from "#base";
import type { Logger } from "../../contract/connector.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import { type GatewayMemory, memoryBusy } from "../../contract/memory.ts";
import type { Failure } from "../../contract/message.ts";
import type { Flow, Runner, RunningMachine } from "../../contract/runner.ts";
import type { OpenWait, Sleeper } from "../../contract/sleep.ts";
import type { Tracing } from "../../contract/tracing.ts";
import { storedBodyOf } from "../../contract/stored-body.ts";
import { WindowEvent, withoutWindow } from "../../stored-bodies/window-event.ts";
import type { WitnessedCall } from "../../contract/witness.ts";
import type { KeptSignal, SignalNumber, StateSnapshot } from "../../journal/journal.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import { failureOf } from "../failures.ts";
import type { FlowMetrics } from "../metrics.ts";
import type { SeedPool } from "../seeds.ts";
import { inTime, type SignalDesk } from "../sleep/signals.ts";
import { pastOf, savedMemory, sleeperOf } from "../sleep/sleeper.ts";
import type { Witnesses } from "../witnesses.ts";
import { asleepBytesOf, type Work } from "../work.ts";
import { type CallAnswer, noBody } from "./answer.ts";
import { type AttemptEnd, type Cancel, type EffectHost, Effects } from "./effects.ts";
import { deliverHeadersJson } from "./headers.ts";
import { messageTooLong } from "./message-limit.ts";
import { AttemptNotes } from "./notes.ts";

/** The message a call is made for. */
export interface CallOrigin {
  readonly flow: Flow;
  readonly work: Work;
  /** When the attempt started, by the wall clock. */
  readonly startedMs: number;
}

/** Carries a call out; never rejects. `signal` aborts when nobody waits for it any more. */
export type PerformCall = (origin: CallOrigin, call: CallEffect, signal: AbortSignal) => Promise<CallAnswer>;

/** The result of an attempt. `cancelled`: nobody waits for it any more. */
export type AttemptResult = AttemptEnd | { readonly kind: "cancelled"; readonly failure: Failure };

export interface AttemptPorts {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly seeds: SeedPool;
  readonly logger: Logger;
  readonly metrics: FlowMetrics;
  readonly memory: GatewayMemory;
  readonly tracing: Tracing;
  readonly perform: PerformCall;
  /** A piece of the stored body with this id, for a machine that is run again. Throws as the disk does. */
  readonly readWindow: (id: string, window: StoredWindow) => Uint8Array;
  readonly signals: SignalDesk;
  /** Events, steps and calls are collected for messages that these want. */
  readonly witnesses: Pick<Witnesses, "wants">;
  finished(attempt: MessageAttempt, result: AttemptResult): void;
}

/** Bytes one attempt may send, ask and reply each, however little memory there is: other flows must not keep short messages from their end. */
const freeBytes = 65_536;

export class MessageAttempt implements Deadline, EffectHost {
  readonly work: Work;
  readonly flow: Flow;
  /** By the wall clock, for the record. */
  readonly startedMs: number;
  /** Lines for the record. */
  readonly logs: LogEffect[] = [];
  readonly effects: Effects;
  /** Undefined: there is no witness. */
  readonly notes: AttemptNotes | undefined;
  /** True once there is a result: the machine may still log. */
  over = false;
  stateVersion = 0;
  readonly #beganMs: number;
  readonly #ports: AttemptPorts;
  #machine: RunningMachine | undefined;
  /** Answers of calls, and signals: the machine's events are kept until its end, to run it again where its worker is lost. */
  #answerBytes = 0;
  #sendBytes = 0;
  #askedBytes = 0;
  /** Signals the machine was given. */
  #taken: KeptSignal[] | undefined;
  /** All the machine was given before it fell asleep in this attempt; and its memory then, where it is kept. */
  #events: readonly Event[] = [];
  #pages: Uint8Array | undefined;
  /** CPU time that it takes to run the machine again from its first event, as measured. */
  #replayMs = 0;

  deadlineMs: number;
  before: Deadline | undefined = undefined;
  after: Deadline | undefined = undefined;

  constructor(ports: AttemptPorts, flow: Flow, work: Work) {
    this.#ports = ports;
    this.flow = flow;
    this.work = work;
    this.notes = ports.witnesses.wants(work.message) ? new AttemptNotes(ports.memory.sends) : undefined;
    const { key, headers } = work.message;
    this.effects = new Effects(
      flow,
      { key, headers, latin1Reply: work.incoming.latin1Reply === true, callerWaits: work.incoming.replyWanted },
      this,
    );
    this.startedMs = Math.max(ports.clock.now(), work.lease?.sleeper?.sinceMs ?? 0);
    this.#beganMs = ports.clock.monotonicMs();
    this.deadlineMs = this.#beganMs + flow.limits.timeMs;
  }

  get #clock(): Clock {
    return this.#ports.clock;
  }

  /** Milliseconds since the start. */
  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#beganMs;
  }

  /** The machine's time: the date it was started with, and steady from there on, so that its timers and measurements are right. */
  get #timeMs(): number {
    return this.startedMs + Math.floor(this.elapsedMs);
  }

  start(state: StateSnapshot | undefined): void {
    const { runner, deadlines } = this.#ports;
    const { image, limits, share, name } = this.flow;
    this.stateVersion = state?.version ?? 0;
    deadlines.add(this);
    const event = this.#deliver(state);
    const tooLong = messageTooLong(event, name);
    if (tooLong !== undefined) return this.#finish({ kind: "failed", failure: tooLong });
    this.effects.began(event.timeMs);
    if (this.notes !== undefined) this.notes.deliver = event;
    try {
      this.#machine = runner.start(image, event, limits, share);
    } catch (error) {
      this.#lost(error);
      return;
    }
    this.#machine.first.then(this.#stepped, this.#lost);
  }

  /**
   * Goes on with a machine that was asleep: `signals` are for its waits, and what is due by now has ended. `wakeMs`: what ends by then is
   * due as well, because an operator said so.
   */
  resume(
    sleeper: Sleeper,
    state: StateSnapshot | undefined,
    signals: readonly { readonly wait: OpenWait; readonly signal: KeptSignal }[],
    wakeMs = 0,
  ): void {
    const { runner, deadlines } = this.#ports;
    const { image, limits, share } = this.flow;
    this.stateVersion = state?.version ?? 0;
    this.#taken = signals.map(({ signal }) => signal);
    try {
      const past = pastOf(sleeper);
      this.deadlineMs += (1 + past.events.length) * limits.cpuMs; // at most, to run it again up to here
      if (sleeper.pages !== undefined) this.#replayMs = gatewayLimits.replayCheapMs;
      this.notes?.continued(past);
      const timeMs = this.#timeMs;
      this.effects.began(timeMs);
      const resumed: Event = { kind: "resume", timeMs, attempt: this.work.attempt, stateJson: state?.json };
      this.notes?.event(resumed);
      this.#machine = runner.resume(
        image,
        { events: [past.deliver, ...past.events.map(this.#withWindow), resumed], memory: savedMemory(sleeper, past) },
        limits,
        share,
      );
    } catch (error) {
      deadlines.add(this);
      this.#lost(error);
      return;
    }
    deadlines.add(this);
    this.#machine.first.then(this.#goesOn, this.#lost);
    this.effects.resume(sleeper);
    for (const { wait, signal } of signals) this.#signal(wait.wait, signal);
    const dueMs = Math.max(this.#timeMs, wakeMs);
    for (const end of endsUntil(sleeper, dueMs, signals)) {
      if ("timer" in end) this.#wake(end.timer);
      else this.#timeout(end.wait);
    }
  }

  readonly #withWindow = <E extends Event>(event: E): E | WindowEvent =>
    event.kind === "resolve" && event.window !== undefined ? new WindowEvent(event, this.#readWindow) : event;

  /** The gateway is closing before the machine was started. */
  closed(): void {
    if (!this.over) this.#finish(this.effects.stop({ kind: "unstarted", closing: true, code: "MF_STOPPING" }));
  }

  /** The machine can't be run. */
  fail(failure: Failure): void {
    if (!this.over) this.#finish(this.effects.stop({ kind: "failed", failure }));
  }

  #deliver(state: StateSnapshot | undefined): DeliverEvent {
    const { message, attempt } = this.work;
    return {
      kind: "deliver",
      timeMs: this.startedMs,
      seed: this.#ports.seeds.next(),
      id: message.id,
      source: message.source,
      attempt,
      key: message.key,
      headersJson: deliverHeadersJson(message, this.flow.config.values),
      stateJson: state?.json,
      body: message.body,
    };
  }

  /** The message's time is over. */
  expired(): void {
    if (this.over) return;
    this.#finish(this.effects.outOfTime());
    this.#cancelMachine(machineErrors.MF_TIME_LIMIT);
  }

  /** Gives the message up: the machine may still log for a moment, then it is ended. */
  cancel(failure: Failure, reason: string): void {
    if (this.over) return;
    this.effects.stop({ kind: "failed", failure });
    this.#finish({ kind: "cancelled", failure });
    this.#cancelMachine(reason);
  }

  #cancelMachine(reason: string): void {
    const machine = this.#machine;
    if (machine === undefined) return;
    const cancelGrace = this.#clock.after(gatewayLimits.cancelGraceMs, () => machine.end());
    const end = (outcome?: StepOutcome): void => {
      cancelGrace();
      if (outcome !== undefined) for (const effect of outcome.effects) if (effect.kind === "log") this.effects.log(effect);
      machine.end();
    };
    machine.step({ kind: "cancel", timeMs: this.#timeMs, reason }).then(end, () => end());
  }

  /**
   * The machine as the journal keeps it; its memory is taken until `releaseSends`. Only for one whose attempt has ended as `asleep`. Throws
   * MF_SLEEPER_TOO_LARGE.
   */
  sleeper(end: AttemptResult & { readonly kind: "asleep" }): Sleeper {
    const { flow, work } = this;
    const before = work.lease?.sleeper;
    const sleeper = sleeperOf(
      {
        flow: flow.name,
        imageSha256: flow.image.sha256,
        limits: flow.limits,
        events: this.#events,
        steps: this.notes?.wholeSteps ?? [],
        nowMs: this.#timeMs,
        sleepMostMs: flow.sleepMostMs,
        transactions: before?.transactions ?? 0,
        pages: this.#pages,
      },
      end,
    );
    const bytes = asleepBytesOf(sleeper);
    this.#ports.memory.sends.force(bytes);
    this.#sendBytes += bytes;
    return sleeper;
  }

  /** Numbers of the signals that the machine was given. */
  get consumed(): readonly SignalNumber[] {
    return this.#taken?.map(({ number }) => number) ?? [];
  }

  /** The journal has forgotten its signals. */
  signalsConsumed(): void {
    const { consumed } = this;
    if (consumed.length > 0) this.#ports.signals.consumed(consumed);
    this.#taken = undefined;
  }

  /** The attempt is not committed: its signals are for others again. */
  returnSignals(): void {
    if (this.#taken !== undefined && this.#taken.length > 0) this.#ports.signals.returned(this.#taken);
    this.#taken = undefined;
  }

  /** A machine that was asleep is where it was: its time begins. */
  readonly #goesOn = (outcome: StepOutcome): void => {
    const { deadlines, clock } = this.#ports;
    if (!this.over) {
      deadlines.remove(this);
      this.deadlineMs = clock.monotonicMs() + this.flow.limits.timeMs;
      deadlines.add(this);
    }
    this.#stepped(outcome);
  };

  readonly #stepped = (outcome: StepOutcome): void => {
    const { metrics } = this.#ports;
    metrics.cpuMs += outcome.cpuMs;
    this.#replayMs += outcome.cpuMs;
    if (outcome.status !== "broken" && outcome.pages !== undefined && outcome.pages > metrics.mostPages) metrics.mostPages = outcome.pages;
    if (!this.over) this.notes?.step(outcome);
    const end = this.effects.outcome(outcome);
    if (end === undefined || this.over) return;
    if (end.kind === "asleep") return void this.#fallAsleep(end);
    if (outcome.status === "waiting") this.#machine?.end();
    this.#finish(end);
  };

  async #fallAsleep(end: AttemptEnd): Promise<void> {
    const machine = this.#machine;
    this.#events = (machine?.events ?? []).map(withoutWindow);
    if (this.#replayMs >= gatewayLimits.replayCheapMs) this.#pages = await machine?.save();
    machine?.end();
    if (!this.over) this.#finish(end);
  }

  readonly #lost = (error: unknown): void => {
    const end = this.effects.lost(error);
    if (this.over) return;
    this.#machine?.end();
    this.#finish(end);
  };

  /** `answered`: called when the machine has answered the event, or never will. */
  #give(event: Parameters<RunningMachine["step"]>[0], answered?: () => void): void {
    if (this.over || this.#machine === undefined) return answered?.();
    this.effects.began(event.timeMs);
    this.notes?.event(withoutWindow(event));
    try {
      const step = this.#machine.step(event);
      if (answered !== undefined) step.then(answered, answered);
      step.then(this.#stepped, this.#lost);
    } catch (error) {
      answered?.();
      this.#lost(error);
    }
  }

  /** A flow that reads its body on makes progress: its time begins anew, and the piece is in memory while the step runs. */
  #giveWindow(event: WindowEvent): void {
    if (this.over) return;
    const { deadlines, clock, memory } = this.#ports;
    deadlines.remove(this);
    this.deadlineMs = clock.monotonicMs() + this.flow.limits.timeMs;
    deadlines.add(this);
    memory.answers.force(event.window.bytes);
    const released = (): void => {
      event.release();
      memory.answers.give(event.window.bytes);
    };
    this.#give(event, released);
  }

  readonly #readWindow = (window: StoredWindow): Uint8Array =>
    this.#ports.readWindow(storedBodyOf(this.work.message.headers)?.id ?? "", window);

  #finish(result: AttemptResult): void {
    const { memory, deadlines } = this.#ports;
    this.over = true;
    deadlines.remove(this);
    if (this.#answerBytes > 0) memory.answers.give(this.#answerBytes);
    this.notes?.release();
    if (result.kind !== "done" && result.kind !== "asleep") this.releaseSends();
    this.#ports.finished(this, this.#inSource(result));
  }

  #inSource(result: AttemptResult): AttemptResult {
    if (result.kind !== "failed" || result.failure.stack === undefined || this.flow.places === undefined) return result;
    return { ...result, failure: { ...result.failure, stack: this.flow.places.stack(result.failure.stack) } };
  }

  /** The commit of the attempt is safe in the journal, or never will be. */
  releaseSends(): void {
    if (this.#sendBytes > 0) this.#ports.memory.sends.give(this.#sendBytes);
    this.#sendBytes = 0;
  }

  call(effect: CallEffect): Cancel {
    const { sends } = this.#ports.memory;
    const bytes = effect.body.length;
    const controller = new AbortController();
    const startedMs = this.notes === undefined ? 0 : this.#clock.now();
    void this.#ports.perform(this, effect, controller.signal).then(({ blame, ...answer }) => {
      this.effects.answered(effect.call, answer.error === undefined ? undefined : { code: answer.error.code, blame });
      if (!this.over && this.notes !== undefined && effect.operation !== "window") {
        const { call, operation, target } = effect as CallEffect & { readonly operation: WitnessedCall["operation"] };
        const endedMs = this.#clock.now();
        this.notes.calls.push({ call, operation, target, startedMs, endedMs, code: answer.error?.code, status: answer.status });
      }
      sends.give(bytes);
      this.#askedBytes -= bytes;
      const event = { kind: "resolve", timeMs: this.#timeMs, call: effect.call, ...answer } as const;
      if (answer.window !== undefined) return this.#giveWindow(new WindowEvent(event, this.#readWindow, answer.body));
      this.#holdAnswer(answer.body.length);
      this.#give(event);
    });
    return () => controller.abort();
  }

  timer(timer: number, dueMs: number): Cancel {
    return this.#clock.after(dueMs - this.#timeMs, () => this.#wake(timer));
  }

  #wake(timer: number): void {
    this.effects.woke(timer);
    this.#give({ kind: "wake", timeMs: this.#timeMs, timer });
  }

  wait(wait: OpenWait): Cancel {
    const { dueMs } = wait;
    const timeout = dueMs === undefined ? undefined : this.#clock.after(dueMs - this.#timeMs, () => this.#timeout(wait.wait));
    const asked = this.#ports.signals.ask(wait, (signal) => {
      if (this.over || !inTime(wait, signal)) return this.#ports.signals.returned([signal]);
      (this.#taken ??= []).push(signal);
      this.#signal(wait.wait, signal);
    });
    return () => {
      timeout?.();
      asked();
    };
  }

  #signal(wait: number, { id, headers, contentType, body }: KeptSignal): void {
    this.effects.signalled(wait);
    const headersJson = deliverHeadersJson({ headers, contentType, correlationId: undefined });
    this.#holdAnswer(body.length);
    this.#give({ kind: "signal", timeMs: this.#timeMs, wait, id, headersJson, body });
  }

  #timeout(wait: number): void {
    this.effects.signalled(wait);
    this.#give({ kind: "signal", timeMs: this.#timeMs, wait, id: undefined, headersJson: "{}", body: noBody });
  }

  #holdAnswer(bytes: number): void {
    if (this.over || bytes === 0) return;
    this.#answerBytes += bytes;
    this.#ports.memory.answers.force(bytes);
  }

  reserve(use: "send" | "call" | "reply", bytes: number): AttemptEnd | undefined {
    const { sends, replies } = this.#ports.memory;
    const account = use === "reply" ? replies : sends;
    const heldBytes = use === "send" ? this.#sendBytes : use === "call" ? this.#askedBytes : 0;
    if (heldBytes + bytes <= freeBytes) account.force(bytes);
    else if (!account.tryTake(bytes)) return noRoom(account, bytes);
    if (use === "send") this.#sendBytes += bytes;
    else if (use === "call") this.#askedBytes += bytes;
    else this.work.replyBytes = bytes;
    return undefined;
  }

  logDropped(): void {
    this.#ports.metrics.logsDropped += 1;
  }

  log(given: LogEffect): void {
    const effect = this.flow.places?.log(given) ?? given;
    if (this.logs.length < gatewayLimits.logsPerAttempt) this.logs.push(effect);
    const { logger, tracing } = this.#ports;
    const { id, headers } = this.work.message;
    const fields = effect.fieldsJson === undefined ? undefined : logFields(effect.fieldsJson);
    const place = { message: id, ...tracing.logFields(headers) };
    logger[effect.level](fields === undefined ? place : { ...place, fields }, effect.text);
  }
}

/** Timers and waits that have ended by a time, but for waits that have a signal; in the order of their ends. */
function endsUntil(
  { waits, timers }: Sleeper,
  dueMs: number,
  signals: readonly { readonly wait: OpenWait }[],
): readonly ({ readonly timer: number; readonly dueMs: number } | OpenWait)[] {
  const open = waits.filter(({ wait }) => !signals.some((signal) => signal.wait.wait === wait));
  return [...timers, ...open]
    .filter((each) => each.dueMs !== undefined && each.dueMs <= dueMs)
    .sort((a, b) => (a.dueMs ?? 0) - (b.dueMs ?? 0));
}

/** Without room now the message comes again later; without room ever the flow sent too much. */
function noRoom(account: MemoryAccount, bytes: number): AttemptEnd {
  const mostBytes = account.largestBytes;
  if (bytes <= mostBytes) return { kind: "unstarted", closing: false, code: memoryBusy };
  const text = `the flow sent ${bytes} bytes at once, more than the ${mostBytes} allowed: send less, or raise \`memory\``;
  return { kind: "failed", failure: failureOf("MF_EFFECT_LIMIT", text, false) };
}

/** Fields of a log line for the logger; text that is not JSON is shown as it is. */
function logFields(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
