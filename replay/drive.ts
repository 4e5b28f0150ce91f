/**
 * Runs one message through one machine, without a gateway: calls are answered by a function, and time is virtual. A flow that sleeps an hour
 * is done at once, and the same message and answers always give the same result. Effects mean what they mean in the gateway, with the same
 * limits: its interpreter reads them.
 */
import type { CallEffect, DeliverEvent, Event, FlowLimits, Headers, LogEffect, StepOutcome } from "#abi";
import { type CallAnswer, type Cancel, type EffectHost, type EffectRules, Effects, type Failure, messageTooLong } from "#gateway";
import type { LoadedImage, Machine } from "#monitors";

/** A machine as a run needs it. */
export type DrivenMachine = Omit<Machine, "events">;

/** Starts them: a monitor, or a debugger in its place. */
export interface MachineStarter {
  start(image: LoadedImage, event: DeliverEvent, limits?: FlowLimits): DrivenMachine;
}

import { replayLimits } from "./limits.ts";

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
  /** The attempt is given up at this machine time. */
  readonly cancel?: { readonly atMs: number; readonly failure: Failure } | undefined;
  readonly logged: (effect: LogEffect) => void;
  readonly stepped?: ((outcome: StepOutcome) => void) | undefined;
}

interface Pending {
  readonly dueMs: number;
  /** Breaks ties: first asked, first answered. */
  readonly order: number;
  readonly event: () => NextEvent;
}

/** One run under way. */
export class Drive implements EffectHost {
  readonly calls: CallEffect[] = [];
  readonly effects: Effects;
  cpuMs = 0;
  readonly #options: DriveOptions;
  readonly #pending = new Set<Pending>();
  #nowMs: number;
  #order = 0;

  constructor(options: DriveOptions) {
    const { deliver, headers, rules } = options;
    this.#options = options;
    this.#nowMs = deliver.timeMs;
    this.effects = new Effects(rules, { key: deliver.key, headers, latin1Reply: deliver.source === "http", callerWaits: false }, this);
  }

  get virtualMs(): number {
    return this.#nowMs - this.#options.deliver.timeMs;
  }

  /** Gives the failure, or undefined for a flow that is done. Never rejects for what the flow does. */
  async run(start: (event: DeliverEvent) => DrivenMachine): Promise<Failure | undefined> {
    const { deliver, rules, stepped } = this.#options;
    const tooLong = messageTooLong(deliver, rules.name);
    if (tooLong !== undefined) return tooLong;
    this.effects.began(deliver.timeMs);
    const machine = start(deliver);
    try {
      let outcome = await machine.first;
      for (;;) {
        this.cpuMs += outcome.cpuMs;
        stepped?.(outcome);
        const end = this.effects.outcome(outcome) ?? this.#timeIsUp();
        if (end?.kind === "failed") return end.failure;
        if (end?.kind === "unstarted") return unstarted(end.code);
        if (end?.kind === "done") return undefined;
        if (end?.kind === "asleep") return unstarted("MF_SLEEP_CALLER");
        const event = this.#next();
        this.effects.began(event.timeMs);
        outcome = await machine.step(event);
      }
    } finally {
      machine.end();
    }
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
      this.effects.answered(call.call, given.error === undefined ? undefined : { code: given.error.code, blame });
      return { kind: "resolve", timeMs: this.#nowMs, call: call.call, ...given };
    });
  }

  timer(timer: number, dueMs: number): Cancel {
    const wake = this.#options.wake?.(timer, dueMs);
    return this.#plan((wake?.atMs ?? dueMs) - this.#nowMs, wake?.order, () => {
      this.effects.woke(timer);
      return { kind: "wake", timeMs: this.#nowMs, timer };
    });
  }

  wait(): Cancel {
    return () => undefined;
  }

  #plan(delayMs: number, order: number | undefined, event: Pending["event"]): Cancel {
    const pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: order ?? replayLimits.events + this.#order++, event };
    this.#pending.add(pending);
    return () => this.#pending.delete(pending);
  }

  get #first(): Pending | undefined {
    let first: Pending | undefined;
    for (const entry of this.#pending)
      if (first === undefined || entry.dueMs < first.dueMs || (entry.dueMs === first.dueMs && entry.order < first.order)) first = entry;
    return first;
  }

  /** The attempt's end when the next event comes after it. */
  #timeIsUp(): ReturnType<Effects["outOfTime"]> | undefined {
    const { deliver, limits, cancel } = this.#options;
    const dueMs = this.#first?.dueMs ?? 0;
    if (cancel !== undefined && dueMs > cancel.atMs) return this.effects.stop({ kind: "failed", failure: cancel.failure });
    return dueMs - deliver.timeMs > limits.timeMs ? this.effects.outOfTime() : undefined;
  }

  /** The event that is due first. There is one: a flow that waits for nothing has ended. */
  #next(): NextEvent {
    const first = this.#first as Pending;
    this.#pending.delete(first);
    this.#nowMs = Math.max(this.#nowMs, first.dueMs);
    return first.event();
  }
}

function unstarted(code: string): Failure {
  return { origin: "gateway", code, message: "the monitor has no room for another machine, or is closing", status: 503, retry: true };
}
