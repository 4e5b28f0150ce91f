/**
 * The steps of machines, each made once. A machine is a function of its events, so a tree over events has its effects: whoever has been here
 * needs no machine. What effects mean is read by the gateway's interpreter, once for each step as well.
 */
import type { CallEffect, Event, StepOutcome } from "#abi";
import { type AttemptEnd, type CallAnswer, type EffectHost, Effects, type NewSend, peersFault, type StateChange } from "#gateway";
import type { InlineMachine, InlineMachines } from "#monitors";
import type { KnownWait } from "#replay";
import { exploreLimits } from "./limits.ts";
import type { Deed, MessageStimulus, Served } from "./matter.ts";

/** The end of a timer or of a wait, by itself. */
export interface End {
  readonly kind: "wake" | "signal";
  readonly number: number;
  readonly dueMs: number;
}

/** A transaction up to a step, as the interpreter reads it. */
export interface Reading {
  readonly end: AttemptEnd | undefined;
  readonly sends: readonly NewSend[];
  readonly changes: readonly StateChange[];
  /** Made by this step. */
  readonly made: readonly CallEffect[];
  readonly openCalls: readonly CallEffect[];
  readonly timers: readonly { readonly timer: number; readonly dueMs: number }[];
  readonly waits: readonly KnownWait[];
  /** Of both, the first first. */
  readonly ends: readonly End[];
}

/** One answer that an open call may have next. */
export interface Offer {
  readonly token: string;
  readonly call: CallEffect;
  readonly name: string;
  readonly answer: CallAnswer;
  readonly isDisturbance: boolean;
}

export interface Step {
  readonly id: number;
  readonly parent: Step | undefined;
  /** More than one where a wake gives several at once. */
  readonly events: readonly Event[];
  readonly outcomes: readonly StepOutcome[];
  /** It begins a transaction. */
  readonly begins: boolean;
  readonly reading: Reading;
  readonly children: Map<string, Step>;
  /** Its requests, and its transaction's sends; made when the step is first taken. */
  requests?: readonly Deed[];
  sends?: readonly Deed[];
  /** Answers to its open calls, where they are always the same. */
  offers?: readonly Offer[];
}

export class Steps {
  /** Steps that a machine was run for. */
  made = 0;
  readonly #machines: InlineMachines;
  readonly #roots = new Map<string, Step>();
  /** Waiting machines by step, the oldest use first. */
  readonly #parked = new Map<Step, InlineMachine>();
  #parkedBytes = 0;

  constructor(machines: InlineMachines) {
    this.#machines = machines;
  }

  /** The step after `from`. `key` tells its events from all others there, contents included; they are asked for if the step is new. */
  give(
    { flow, message }: { readonly flow: Served; readonly message: MessageStimulus },
    from: Step | undefined,
    { key, begins, events }: { readonly key: string; readonly begins: boolean; readonly events: () => readonly Event[] },
  ): Step {
    const known = from === undefined ? this.#roots : from.children;
    const place = from === undefined ? `${flow.name}\0${key}` : key;
    const found = known.get(place);
    if (found !== undefined) return found;
    const given = events();
    const { outcomes, machine } = this.#run(flow, from === undefined ? undefined : this.#machineOf(flow, from), given);
    const draft = { id: ++this.made, parent: from, events: given, outcomes, begins, children: new Map<string, Step>() };
    const step: Step = { ...draft, reading: read(flow, message, draft) };
    known.set(place, step);
    if (machine !== undefined) this.#park(step, machine);
    return step;
  }

  #run(
    { image, limits }: Served,
    from: InlineMachine | undefined,
    events: readonly Event[],
  ): { readonly outcomes: readonly StepOutcome[]; readonly machine: InlineMachine | undefined } {
    const outcomes: StepOutcome[] = [];
    let machine = from;
    for (const event of events) {
      const next = this.#machines.step(image, machine, event, limits);
      outcomes.push(next.outcome);
      machine = next.machine;
      if (machine === undefined) break;
    }
    return { outcomes, machine };
  }

  /** The machine as it waits after the step: kept, or run again. */
  #machineOf(flow: Served, step: Step): InlineMachine {
    const kept = this.#parked.get(step);
    if (kept !== undefined) {
      this.#parked.delete(step);
      this.#parked.set(step, kept);
      return kept;
    }
    const { machine } = this.#run(flow, step.parent === undefined ? undefined : this.#machineOf(flow, step.parent), step.events);
    if (machine === undefined) throw new Error("a machine that waited does not wait when it is run again");
    this.#park(step, machine);
    return machine;
  }

  #park(step: Step, machine: InlineMachine): void {
    this.#parked.set(step, machine);
    this.#parkedBytes += machine.bytes;
    for (const [oldest, its] of this.#parked) {
      if (this.#parkedBytes <= exploreLimits.machineBytes || oldest === step) break;
      this.#parked.delete(oldest);
      this.#parkedBytes -= its.bytes;
    }
  }

  /** Effects of a machine that is given these events, without a trace of it: for what would have been. */
  outcomesOf({ image, limits }: Served, events: readonly Event[]): readonly StepOutcome[] {
    return this.#run({ image, limits } as Served, undefined, events).outcomes;
  }
}

/** All events of the machine up to the step, in order. */
export function eventsOf(step: Step): Event[] {
  const events: Event[] = [];
  for (let at: Step | undefined = step; at !== undefined; at = at.parent) events.unshift(...at.events);
  return events;
}

type Draft = Omit<Step, "reading" | "requests" | "sends" | "offers">;

/** Reads the step's transaction from its beginning: the interpreter goes forward only. */
function read({ effects: rules, callerWaits }: Served, message: MessageStimulus, last: Draft): Reading {
  const chain: Draft[] = [last];
  for (let at: Draft = last; !at.begins && at.parent !== undefined; at = at.parent) chain.unshift(at.parent);
  const host = new Host();
  const { key, headers, source } = message;
  const effects = new Effects(rules, { key, headers, latin1Reply: source === "http", callerWaits }, host);
  for (const step of chain) {
    host.nowMs = step.events[0]?.timeMs ?? 0;
    host.made = [];
    for (const event of step.events) {
      effects.began(event.timeMs);
      const before = event.kind === "resume" ? step.parent?.reading : undefined;
      if (before?.end?.kind === "asleep") {
        host.openedMs = new Map(before.waits.map(({ wait, openedMs }) => [wait, openedMs]));
        effects.resume(before.end);
      } else if (event.kind === "resolve") {
        host.calls.delete(event.call);
        effects.answered(event.call, event.error === undefined ? undefined : { code: event.error.code, blame: peersFault });
      } else if (event.kind === "wake") effects.woke(event.timer);
      else if (event.kind === "signal") effects.signalled(event.wait);
    }
    for (const outcome of step.outcomes) effects.outcome(outcome);
  }
  const { end } = effects;
  const asleep = end?.kind === "asleep" ? end : undefined;
  const timers = asleep?.timers ?? [...host.timers].map(([timer, dueMs]) => ({ timer, dueMs }));
  const waits = asleep?.waits.map((wait) => ({ ...wait, openedMs: host.openedMs.get(wait.wait) ?? host.nowMs })) ?? [
    ...host.waits.values(),
  ];
  return {
    end,
    sends: effects.sends,
    changes: effects.stateChanges,
    made: host.made,
    openCalls: [...host.calls.values()],
    timers,
    waits,
    ends: endsOf(timers, waits),
  };
}

function endsOf(timers: Reading["timers"], waits: Reading["waits"]): End[] {
  const ends = [
    ...timers.map(({ timer, dueMs }): End => ({ kind: "wake", number: timer, dueMs })),
    ...waits.flatMap(({ wait, dueMs }): End[] => (dueMs === undefined ? [] : [{ kind: "signal", number: wait, dueMs }])),
  ];
  return ends.sort((a, b) => a.dueMs - b.dueMs);
}

class Host implements EffectHost {
  nowMs = 0;
  made: CallEffect[] = [];
  openedMs = new Map<number, number>();
  readonly calls = new Map<number, CallEffect>();
  readonly timers = new Map<number, number>();
  readonly waits = new Map<number, KnownWait>();

  log(): void {}

  logDropped(): void {}

  reserve(): undefined {
    return undefined;
  }

  call(call: CallEffect): () => void {
    this.made.push(call);
    this.calls.set(call.call, call);
    return () => this.calls.delete(call.call);
  }

  timer(timer: number, dueMs: number): () => void {
    this.timers.set(timer, dueMs);
    return () => this.timers.delete(timer);
  }

  wait(wait: Omit<KnownWait, "openedMs">): () => void {
    const openedMs = this.openedMs.get(wait.wait) ?? this.nowMs;
    this.openedMs.set(wait.wait, openedMs);
    this.waits.set(wait.wait, { ...wait, openedMs });
    return () => this.waits.delete(wait.wait);
  }
}
