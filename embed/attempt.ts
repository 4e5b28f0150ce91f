/**
 * One call: drives a machine from `deliver` to its end, in real time, or along a recording. What its effects mean is the gateway's
 * interpreter's business; here they meet the clock, the host's functions and the caller's signal.
 *
 *   start ─▶ step ⇄ call answered, timer due ─▶ done / failed
 *              └──▶ stop: the time is over, the caller has left, the host closes
 *
 * A stop stands in the recording as a `cancel` event without a step: its reason is the code and the sentence of the failure.
 */
import {
  type CallEffect,
  type DeliverEvent,
  type Event,
  type Headers,
  type LogEffect,
  machineErrors,
  type RecordedStep,
  type Recording,
  type StepOutcome,
} from "#abi";
import { type MemoryAccount, systemClock } from "#base";
import {
  type AttemptEnd,
  type CallAnswer,
  type Cancel,
  type EffectHost,
  type EffectRules,
  Effects,
  type Failure,
  peersFault,
  messageTooLong,
} from "#gateway/attempt";
import type { Machine } from "#monitors";
import { embedLimits } from "./limits.ts";

export type LaterEvent = Exclude<Event, DeliverEvent>;

/** Carries out a call; never rejects. `signal` aborts when nobody waits for it any more. */
export type Perform = (call: CallEffect, signal: AbortSignal) => Promise<CallAnswer>;

export interface AttemptTerms {
  readonly deliver: DeliverEvent;
  /** Of `deliver.headersJson`. */
  readonly headers: Headers;
  readonly rules: EffectRules;
  readonly start: (event: DeliverEvent) => Machine;
  readonly perform: Perform;
  /** Bodies of the call are taken from it until its end. */
  readonly memory: MemoryAccount;
  /** Events and steps are kept, for a recording. */
  readonly recorded: boolean;
}

export type Ended = Extract<AttemptEnd, { readonly kind: "done" | "failed" }>;

export function failed(code: string, message: string, { retry = false, status = 0 } = {}): Ended {
  return { kind: "failed", failure: { origin: "gateway", code, message, status, retry } };
}

/** The end as its caller sees it. A caller waits, so nothing is ever asleep. */
function endedOf(end: AttemptEnd): Ended {
  if (end.kind === "done" || end.kind === "failed") return end;
  if (end.kind === "asleep") return failed("MF_SLEEP_CALLER", "the flow waits durably, and its caller waits for the result");
  if (end.closing) return failed("MF_MONITOR_CLOSED", "the host was closed while the call was under way: load the image again");
  const text =
    end.code === "MF_MEMORY_BUSY"
      ? "bodies of the calls under way fill the host's memory: await some of them before making more"
      : "too many calls are under way: await some of them before making more";
  return failed(end.code, text, { retry: true, status: 503 });
}

const reasonForm = /^(MF_[A-Z0-9_]+): ([\s\S]*)$/;

/** The failure in a `cancel` event. */
export function stopped(reason: string): Failure {
  const [, code = "MF_CANCELLED", message = reason] = reasonForm.exec(reason) ?? [];
  const isLate = code === "MF_TIME_LIMIT";
  return { origin: "gateway", code, message, status: isLate ? 504 : 0, retry: isLate };
}

/** Failures of a host without room, or of a machine that was lost: nothing of the step can be compared. */
const unrun = new Set<string>(["MF_MONITOR_BUSY", "MF_MONITOR_CLOSED", "MF_MACHINE_LOST", "MF_MACHINE_ENDED", "MF_TIME_LIMIT"]);

function notRun({ failure }: RecordedStep): boolean {
  return failure !== undefined && unrun.has(failure.code);
}

export class Attempt implements EffectHost {
  readonly logs: LogEffect[] = [];
  readonly events: LaterEvent[] = [];
  readonly steps: StepOutcome[] = [];
  readonly effects: Effects;
  droppedLogs = 0;
  cpuMs = 0;
  /** The last error that the host's functions threw. */
  cause: unknown;
  readonly #terms: AttemptTerms;
  readonly #beganMs = performance.now();
  #machine: Machine | undefined;
  #heldBytes = 0;
  #deadline: Cancel | undefined;
  #retold = false;
  #over = false;
  #settle!: (end: Ended) => void;

  constructor(terms: AttemptTerms) {
    this.#terms = terms;
    const { deliver, headers, rules } = terms;
    this.effects = new Effects(rules, { key: deliver.key, headers, latin1Reply: false, callerWaits: true }, this);
  }

  /** The machine's time: the date it was started with, and steady from there on. */
  get #timeMs(): number {
    return this.#terms.deliver.timeMs + Math.floor(performance.now() - this.#beganMs);
  }

  /** Never rejects. Called once, instead of `retell`. */
  run(): Promise<Ended> {
    return new Promise((settle) => {
      this.#settle = settle;
      const { deliver, rules, start } = this.#terms;
      const tooLong = messageTooLong(deliver, rules.name);
      if (tooLong !== undefined) return this.#finish({ kind: "failed", failure: tooLong });
      this.effects.began(deliver.timeMs);
      try {
        this.#machine = start(deliver);
      } catch (error) {
        return this.#lost(error);
      }
      this.#deadline = systemClock.after(rules.limits.timeMs, this.#expired); // the wait for a worker counts
      this.#machine.first.then(this.#stepped, this.#lost);
    });
  }

  /**
   * Gives a fresh machine the recorded events, and nothing else. Steps that no machine ran then are not run now; `stepped` is told of each
   * other with its number. Never rejects. Called once, instead of `run`.
   */
  async retell(
    { events, steps }: Pick<Recording, "events" | "steps">,
    stepped: (index: number, outcome: StepOutcome) => void,
  ): Promise<Ended> {
    const { deliver, start } = this.#terms;
    this.#retold = true;
    let end: AttemptEnd | undefined;
    const machine = steps.length === 0 ? undefined : start(deliver);
    for (const [index, recorded] of steps.entries()) {
      const event = index === 0 ? deliver : events[index - 1];
      if (event === undefined || end !== undefined) break;
      this.#told(event);
      const ran = machine === undefined || notRun(recorded) ? undefined : index === 0 ? machine.first : machine.step(event as LaterEvent);
      const outcome = ran === undefined ? (recorded as StepOutcome) : await ran;
      if (ran !== undefined) stepped(index, outcome);
      this.#took(outcome);
      end = this.effects.outcome(outcome);
    }
    machine?.end();
    const last = events.at(-1);
    if (end === undefined) {
      const reason = last?.kind === "cancel" ? last.reason : "MF_CANCELLED: the recording ends before the call did";
      end = this.effects.stop({ kind: "failed", failure: stopped(reason) });
    }
    if (this.#heldBytes > 0) this.#terms.memory.give(this.#heldBytes);
    return endedOf(end);
  }

  #told(event: Event): void {
    this.effects.began(event.timeMs);
    if (event.kind === "resolve")
      this.effects.answered(event.call, event.error === undefined ? undefined : { code: event.error.code, blame: peersFault });
    else if (event.kind === "wake") this.effects.woke(event.timer);
  }

  /** Gives the call up. The machine ends, and functions that still work for it have their signal aborted. */
  stop(failure: Failure): void {
    if (this.#over) return;
    if (this.#terms.recorded) this.events.push({ kind: "cancel", timeMs: this.#timeMs, reason: `${failure.code}: ${failure.message}` });
    this.#finish(this.effects.stop({ kind: "failed", failure }));
  }

  readonly #stepped = (outcome: StepOutcome): void => {
    if (this.#over) return;
    this.#took(outcome);
    const end = this.effects.outcome(outcome);
    if (end !== undefined) this.#finish(end);
  };

  #took(outcome: StepOutcome): void {
    this.cpuMs += outcome.cpuMs;
    if (this.#terms.recorded) this.steps.push(outcome);
  }

  readonly #expired = (): void => this.stop(stopped(`MF_TIME_LIMIT: ${machineErrors.MF_TIME_LIMIT}`));

  readonly #lost = (error: unknown): void => {
    if (!this.#over) this.#finish(this.effects.lost(error));
  };

  #give(event: LaterEvent): void {
    if (this.#over || this.#machine === undefined) return;
    this.effects.began(event.timeMs);
    if (this.#terms.recorded) this.events.push(event);
    this.#machine.step(event).then(this.#stepped, this.#lost);
  }

  #finish(end: AttemptEnd): void {
    this.#over = true;
    this.#deadline?.();
    this.#machine?.end();
    if (this.#heldBytes > 0) this.#terms.memory.give(this.#heldBytes);
    this.#settle(endedOf(end));
  }

  log(effect: LogEffect): void {
    if (this.logs.length < embedLimits.logs) this.logs.push(effect);
    else this.droppedLogs += 1;
  }

  logDropped(): void {
    this.droppedLogs += 1;
  }

  reserve(_use: "send" | "call" | "reply", bytes: number): AttemptEnd | undefined {
    if (bytes === 0) return undefined;
    if (!this.#terms.memory.tryTake(bytes)) return { kind: "unstarted", closing: false, code: "MF_MEMORY_BUSY" };
    this.#heldBytes += bytes;
    return undefined;
  }

  call(effect: CallEffect): Cancel {
    if (this.#retold) return () => undefined;
    const controller = new AbortController();
    const performed = Promise.resolve().then(() => this.#terms.perform(effect, controller.signal)); // once the interpreter knows of it
    void performed.then(({ blame, ...answer }) => {
      if (this.#over) return;
      this.effects.answered(effect.call, answer.error === undefined ? undefined : { code: answer.error.code, blame });
      const full = this.reserve("call", answer.body.length);
      if (full !== undefined) return this.#finish(this.effects.stop(full));
      this.#give({ kind: "resolve", timeMs: this.#timeMs, call: effect.call, ...answer });
    });
    return () => controller.abort();
  }

  timer(timer: number, dueMs: number): Cancel {
    if (this.#retold) return () => undefined;
    return systemClock.after(dueMs - this.#timeMs, () => {
      this.effects.woke(timer);
      this.#give({ kind: "wake", timeMs: this.#timeMs, timer });
    });
  }

  /** A caller waits: the interpreter fails a durable wait before it asks for one. */
  wait(): Cancel {
    return () => undefined;
  }
}
