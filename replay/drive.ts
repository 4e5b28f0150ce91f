/**
 * Runs the life of one message, without a gateway: calls are answered by a function, signals come as they are given, and time is virtual. A
 * flow that sleeps a year is done at once, and the same message, answers and signals always give the same result. Effects mean what they
 * mean in the gateway, with the same limits: its interpreter reads them.
 *
 *   deliver ──▶ awake ──asleep──▶ committed ──signal, time──▶ resume: awake again, the next transaction
 *                 └──▶ done, or failed: the transaction is void, those before it are not
 *
 * The machine stays where it is while it sleeps, or is made again from its events, as the gateway does it: that changes nothing.
 */
import { createHash } from "node:crypto";
import type { CallEffect, DeliverEvent, Event, FlowLimits, Headers, LogEffect, ResumeEvent, StepOutcome } from "#abi";
import {
  type CallAnswer,
  type Cancel,
  type EffectHost,
  type EffectRules,
  Effects,
  type Failure,
  messageTooLong,
  type NewSend,
  type NextMessage,
  type OpenWait,
  type Reply,
  type StateChange,
  positionHeader,
  type Waits,
} from "#gateway";
import type { LoadedImage, Machine } from "#monitors";
import { overState, type StateValues, stateAfter } from "#gateway/attempt";
import { jsonValue } from "./differences.ts";
import { replayLimits } from "./limits.ts";
import { type GivenSignal, type KnownWait, SignalBox } from "./signals.ts";

/** A machine as a run needs it. */
export type DrivenMachine = Omit<Machine, "events" | "save">;

/** Starts them: a monitor, or a debugger in its place. */
export interface MachineStarter {
  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits): DrivenMachine;
}

export type NextEvent = Exclude<Event, DeliverEvent>;

export interface TimedAnswer {
  readonly answer: CallAnswer;
  /** Virtual milliseconds until it is there. */
  readonly delayMs: number;
  /** Its place among events of the same time; behind those that have one unless given. */
  readonly order?: number | undefined;
}

export interface TimedWake {
  /** Machine time. */
  readonly atMs: number;
  readonly order: number;
}

export interface DriveOptions {
  readonly deliver: DeliverEvent;
  /** Of `deliver.headersJson`. */
  readonly headers: Headers;
  readonly limits: FlowLimits;
  readonly rules: EffectRules;
  /** Asked when the machine makes the call. */
  readonly answer: (call: CallEffect, nowMs: number) => TimedAnswer;
  /** When a timer wakes its machine; as it was set where this says nothing. */
  readonly wake?: ((timer: number, dueMs: number) => TimedWake | undefined) | undefined;
  /** When a wait's time is over; at its end where this says nothing. */
  readonly timeout?: ((wait: number, dueMs: number) => TimedWake | undefined) | undefined;
  readonly signals?: readonly GivenSignal[] | undefined;
  /** A message that is read in batches is read to its end; else the first batch is the end. */
  readonly batches?: boolean | undefined;
  /** Somebody waits for the reply: the machine can't sleep. */
  readonly callerWaits?: boolean | undefined;
  /** How long a signal is kept that comes before its wait. */
  readonly earlyMs?: number | undefined;
  /** Attempt and state of the transactions after the first; without one: the first attempt, and the state as it was committed. */
  readonly resumes?: readonly ResumeEvent[] | undefined;
  /** Makes the machine again from its events each time it wakes, in place of the one that sleeps. */
  readonly again?: ((events: readonly Event[]) => DrivenMachine) | undefined;
  /** The attempt is given up at this machine time, a sleep as well. */
  readonly cancel?: { readonly atMs: number; readonly failure: Failure } | undefined;
  readonly logged: (effect: LogEffect) => void;
  readonly stepped?: ((outcome: StepOutcome) => void) | undefined;
}

/** A send that was committed. */
export interface DrivenSend extends NewSend {
  /** From 1. */
  readonly transaction: number;
  /** Machine time of the step that sent it. */
  readonly sentMs: number;
}

/** From the message, or a wake, to a sleep or the end. */
export interface Transaction {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly steps: number;
  /** Events that woke it; none for the first. */
  readonly events: readonly NextEvent[];
  readonly sends: number;
  /** Undefined for the last of a life that has ended. */
  readonly asleep: Waits | undefined;
}

export type LifeEnd =
  | { readonly kind: "done"; readonly reply: Reply | undefined; readonly next: NextMessage | undefined }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** No signal is left, and nothing is due. */
  | ({ readonly kind: "asleep" } & Waits);

interface Pending {
  readonly dueMs: number;
  /** Breaks ties: first asked, first answered. */
  readonly order: number;
  readonly event: () => NextEvent;
}

/** One life under way. */
export class Drive implements EffectHost {
  readonly calls: CallEffect[] = [];
  readonly transactions: Transaction[] = [];
  /** Committed, in order. */
  readonly sends: DrivenSend[] = [];
  readonly stateChanges: StateChange[] = [];
  /** Sends of a transaction that failed. */
  discardedSends = 0;
  cpuMs = 0;
  steps = 0;
  /** As committed. */
  state: StateValues | undefined;
  readonly #options: DriveOptions;
  readonly #pending = new Set<Pending>();
  readonly #box: SignalBox;
  readonly #events: Event[] = [];
  /** Of the transaction that runs. */
  #effects: Effects;
  #open: DrivenSend[] = [];
  #waits = new Map<number, KnownWait>();
  readonly #openedMs = new Map<number, number>();
  #beganMs: number;
  #wokenBy: NextEvent[] = [];
  /** Events of a wake that the machine was not given yet. */
  #due: NextEvent[] = [];
  #nowMs: number;
  #order = 0;

  constructor(options: DriveOptions) {
    const { deliver, signals = [], earlyMs = Number.POSITIVE_INFINITY } = options;
    this.#options = options;
    this.#nowMs = deliver.timeMs;
    this.#beganMs = deliver.timeMs;
    this.#box = new SignalBox(signals, earlyMs);
    const state = deliver.stateJson === undefined ? undefined : jsonValue(deliver.stateJson);
    this.state = typeof state === "object" && state !== null ? (state as StateValues) : undefined;
    this.#effects = this.#newEffects();
  }

  get virtualMs(): number {
    return this.#nowMs - this.#options.deliver.timeMs;
  }

  /** Signals that nothing has waited for. */
  get unclaimed(): readonly GivenSignal[] {
    return this.#box.unclaimed;
  }

  #newEffects(): Effects {
    const { deliver, headers, rules, callerWaits = false } = this.#options;
    return new Effects(rules, { key: deliver.key, headers, latin1Reply: deliver.source === "http", callerWaits }, this);
  }

  /** Never rejects for what the flow does. */
  async run(start: (event: DeliverEvent) => DrivenMachine): Promise<LifeEnd> {
    const { deliver, rules, stepped, again } = this.#options;
    const tooLong = messageTooLong(deliver, rules.name);
    if (tooLong !== undefined) return { kind: "failed", failure: tooLong };
    this.#effects.began(deliver.timeMs);
    this.#events.push(deliver);
    let machine = start(deliver);
    try {
      let outcome = await machine.first;
      for (;;) {
        this.cpuMs += outcome.cpuMs;
        this.steps += 1;
        stepped?.(outcome);
        const end = this.#took(outcome) ?? this.#timeIsUp();
        if (end?.kind === "failed") return this.#failed(end.failure);
        if (end?.kind === "unstarted") return this.#failed(unstarted(end.code));
        if (end?.kind === "done") {
          const refused = this.#commit(undefined);
          const position = this.#options.batches === true ? end.next?.position : undefined;
          if (refused !== undefined || position === undefined) return refused ?? { kind: "done", reply: end.reply, next: end.next };
          if (this.steps >= replayLimits.events) return this.#failed(endless());
          machine.end();
          machine = start(this.#nextBatch(position));
          outcome = await machine.first;
          continue;
        }
        if (this.steps >= replayLimits.events) return this.#failed(endless());
        if (end?.kind === "asleep") {
          const refused = this.#commit(end);
          if (refused !== undefined) return refused;
          const resume = this.#wake(end);
          if (resume === undefined) return end;
          if (resume.kind === "failed") return resume;
          this.#events.push(resume);
          if (again === undefined) outcome = await machine.step(resume);
          else {
            machine.end();
            machine = again([...this.#events]);
            outcome = await machine.first;
          }
          continue;
        }
        const event = this.#next();
        this.#events.push(event);
        outcome = await machine.step(event);
      }
    } finally {
      machine.end();
    }
  }

  #took(outcome: StepOutcome): Effects["end"] {
    const end = this.#effects.outcome(outcome);
    for (const send of this.#effects.sends.slice(this.#open.length))
      this.#open.push({ ...send, transaction: this.transactions.length + 1, sentMs: this.#nowMs });
    return end;
  }

  #failed(failure: Failure): LifeEnd {
    this.discardedSends = this.#open.length;
    this.#close(undefined, 0);
    return { kind: "failed", failure };
  }

  #close(asleep: Waits | undefined, sends: number): void {
    const { steps } = this.#effects;
    this.transactions.push({ beganMs: this.#beganMs, endedMs: this.#nowMs, steps, events: this.#wokenBy, sends, asleep });
  }

  /** Keeps what the transaction did; gives the life's end where the journal refuses it. */
  #commit(asleep: Waits | undefined): LifeEnd | undefined {
    const { stateChanges } = this.#effects;
    const refusal = overState(this.#options.deliver.key, this.state, stateChanges);
    if (refusal !== undefined) return this.#failed(refusal);
    this.state = stateAfter(this.state, stateChanges);
    this.stateChanges.push(...stateChanges);
    this.sends.push(...this.#open);
    this.#close(asleep, this.#open.length);
    this.#open = [];
    return undefined;
  }

  /** Begins the next batch: the same message, in a machine of its own. */
  #nextBatch(position: string): DeliverEvent {
    const { deliver, headers } = this.#options;
    const headersJson = JSON.stringify({ ...headers, [positionHeader]: position });
    const stateJson = this.state === undefined ? deliver.stateJson : JSON.stringify(this.state);
    const seed = createHash("sha256").update(deliver.seed).update(String(this.transactions.length)).digest();
    const next = { ...deliver, timeMs: this.#nowMs, headersJson, stateJson, seed: new Uint8Array(seed) };
    this.#beganMs = this.#nowMs;
    this.#wokenBy = [];
    this.#events.splice(0, this.#events.length, next);
    this.#effects = this.#newEffects();
    this.#effects.began(this.#nowMs);
    return next;
  }

  /** Begins the next transaction. Returns its first event; undefined if nothing wakes the machine; the life's end if it is given up first. */
  #wake(asleep: Waits): ResumeEvent | (LifeEnd & { readonly kind: "failed" }) | undefined {
    const ends = this.#ends(asleep);
    const waits = asleep.waits.map((wait) => this.#known(wait));
    const times = [...ends.map(({ atMs }) => atMs), ...waits.flatMap((wait) => this.#box.for(wait)?.atMs ?? [])];
    const nextMs = Math.min(...times); // Infinity if nothing wakes it
    const { cancel } = this.#options;
    if (cancel !== undefined && nextMs > cancel.atMs) return { kind: "failed", failure: cancel.failure };
    if (times.length === 0) return undefined;
    const recorded = this.#options.resumes?.[this.transactions.length - 1];
    this.#nowMs = Math.max(this.#nowMs, nextMs);
    this.#beganMs = this.#nowMs;
    this.#effects = this.#newEffects();
    this.#effects.began(this.#nowMs);
    this.#effects.resume(asleep);
    const claimed = this.#box.claim(waits, this.#nowMs);
    const taken = new Set(claimed.map(({ wait }) => wait.wait));
    this.#due = claimed.map(({ wait, signal }) => this.#signal(wait.wait, signal));
    for (const { atMs, kind, number } of ends)
      if (atMs <= this.#nowMs && !(kind === "wait" && taken.has(number)))
        this.#due.push(kind === "timer" ? this.#woke(number) : this.#signal(number, undefined));
    for (const event of this.#due) this.#effects.began(event.timeMs);
    this.#wokenBy = this.#due;
    this.#due = [...this.#due];
    const { state } = this;
    const stateJson = recorded === undefined ? (state === undefined ? undefined : JSON.stringify(state)) : recorded.stateJson;
    return { kind: "resume", timeMs: this.#nowMs, attempt: recorded?.attempt ?? 1, stateJson };
  }

  /** When timers and waits end by themselves, in this order. */
  #ends({
    waits,
    timers,
  }: Waits): { readonly atMs: number; readonly order: number; readonly kind: "timer" | "wait"; readonly number: number }[] {
    const { wake, timeout } = this.#options;
    const ends = [
      ...timers.map(({ timer, dueMs }) => ({ kind: "timer" as const, number: timer, atMs: dueMs, order: 0, ...wake?.(timer, dueMs) })),
      ...waits.flatMap(({ wait, dueMs }) =>
        dueMs === undefined ? [] : [{ kind: "wait" as const, number: wait, atMs: dueMs, order: 0, ...timeout?.(wait, dueMs) }],
      ),
    ];
    return ends.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  }

  #known(wait: OpenWait): KnownWait {
    const openedMs = this.#openedMs.get(wait.wait) ?? this.#nowMs;
    this.#openedMs.set(wait.wait, openedMs);
    return { ...wait, openedMs };
  }

  #signal(wait: number, signal: GivenSignal | undefined): NextEvent {
    this.#effects.signalled(wait);
    const { id, headersJson = "{}", body = noBody } = signal ?? {};
    return { kind: "signal", timeMs: this.#nowMs, wait, id, headersJson, body };
  }

  #woke(timer: number): NextEvent {
    this.#effects.woke(timer);
    return { kind: "wake", timeMs: this.#nowMs, timer };
  }

  log(effect: LogEffect): void {
    this.#options.logged(effect);
  }

  logDropped(): void {}

  /** The memory budget is the gateway's. */
  reserve(): undefined {
    return undefined;
  }

  call(call: CallEffect): Cancel {
    this.calls.push(call);
    const { answer, delayMs, order } = this.#options.answer(call, this.#nowMs);
    return this.#plan(delayMs, order, () => {
      const { blame, ...given } = answer;
      this.#effects.answered(call.call, given.error === undefined ? undefined : { code: given.error.code, blame });
      return { kind: "resolve", timeMs: this.#nowMs, call: call.call, ...given };
    });
  }

  timer(timer: number, dueMs: number): Cancel {
    const wake = this.#options.wake?.(timer, dueMs);
    return this.#plan((wake?.atMs ?? dueMs) - this.#nowMs, wake?.order, () => this.#woke(timer));
  }

  wait(wait: OpenWait): Cancel {
    const { wait: number, dueMs } = wait;
    this.#waits.set(number, this.#known(wait));
    const end = dueMs === undefined ? undefined : (this.#options.timeout?.(number, dueMs) ?? { atMs: dueMs, order: undefined });
    const timeout = end === undefined ? undefined : this.#plan(end.atMs - this.#nowMs, end.order, () => this.#signal(number, undefined));
    return () => {
      timeout?.();
      this.#waits.delete(number);
    };
  }

  #plan(delayMs: number, order: number | undefined, event: Pending["event"]): Cancel {
    const pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: order ?? replayLimits.events + this.#order++, event };
    this.#pending.add(pending);
    return () => this.#pending.delete(pending);
  }

  get #first(): Pending | undefined {
    let first: Pending | undefined;
    const isFirst = (dueMs: number, order: number): boolean =>
      first === undefined || dueMs < first.dueMs || (dueMs === first.dueMs && order < first.order);
    for (const entry of this.#pending) if (isFirst(entry.dueMs, entry.order)) first = entry;
    for (const wait of this.#waits.values()) {
      const signal = this.#box.for(wait);
      if (signal === undefined) continue;
      const dueMs = Math.max(signal.atMs, this.#nowMs);
      const order = signal.order ?? -1;
      if (isFirst(dueMs, order)) first = { dueMs, order, event: () => this.#signalNow(wait, signal) };
    }
    return first;
  }

  #signalNow({ wait }: KnownWait, signal: GivenSignal): NextEvent {
    this.#box.take(signal);
    return this.#signal(wait, signal);
  }

  /** The attempt's end when the next event comes after it. */
  #timeIsUp(): ReturnType<Effects["outOfTime"]> | undefined {
    if (this.#due.length > 0) return undefined;
    const { limits, cancel } = this.#options;
    const dueMs = this.#first?.dueMs ?? 0;
    if (cancel !== undefined && dueMs > cancel.atMs) return this.#effects.stop({ kind: "failed", failure: cancel.failure });
    return dueMs - this.#beganMs > limits.timeMs ? this.#effects.outOfTime() : undefined;
  }

  /** The event that is due first. There is one: a flow that waits for nothing has ended. */
  #next(): NextEvent {
    const due = this.#due.shift();
    if (due !== undefined) return due;
    const first = this.#first as Pending;
    this.#pending.delete(first);
    this.#nowMs = Math.max(this.#nowMs, first.dueMs);
    const event = first.event();
    this.#effects.began(event.timeMs);
    return event;
  }
}

const noBody = new Uint8Array(0);

function unstarted(code: string): Failure {
  return { origin: "gateway", code, message: "the monitor has no room for another machine, or is closing", status: 503, retry: true };
}

/** Each transaction counts its own steps: a life of ever more transactions would have no end. */
function endless(): Failure {
  const message = `the flow took ${replayLimits.events} steps over its transactions and has not ended: look for a wait or a timer in an endless loop`;
  return { origin: "gateway", code: "MF_STEP_LIMIT", message, status: 0, retry: false };
}
