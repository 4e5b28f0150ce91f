/**
 * Facts that an attempt collects for witnesses: references to what it has anyway. What would be let go of without them, bodies of calls, log
 * lines and values, is bounded and counts towards the memory budget; an attempt with more is told without effects and bodies.
 */
import type { DeliverEvent, Event, LogEffect, RecordedStep, Recording, StepOutcome } from "#abi";
import type { MemoryAccount } from "#base";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Failure, Reply } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { WitnessedAttempt, WitnessedCall } from "../../contract/witness.ts";
import { noBody } from "./answer.ts";

type LaterEvent = Exclude<Event, DeliverEvent>;

/** The attempt, as its notes need it. */
interface Noted {
  readonly flow: Flow;
  readonly work: { readonly attempt: number };
  readonly startedMs: number;
  readonly logs: readonly LogEffect[];
}

/** Bytes that an outcome keeps from being freed: sends and the reply are accounted for elsewhere. */
function keptBytes({ effects }: StepOutcome): number {
  let bytes = 0;
  for (const effect of effects) {
    if (effect.kind === "call") bytes += effect.body.length + effect.headersJson.length;
    else if (effect.kind === "log") bytes += effect.text.length + (effect.fieldsJson?.length ?? 0);
    else if (effect.kind === "state") bytes += effect.valueJson?.length ?? 0;
  }
  return bytes;
}

const withoutEffects = (outcome: StepOutcome): StepOutcome => ({ ...outcome, effects: [] });
const withoutBody = (event: LaterEvent): LaterEvent => ("body" in event ? { ...event, body: noBody } : event);

const unknownStep: StepOutcome = { status: "waiting", effects: [], cpuMs: 0 };

export class AttemptNotes {
  deliver: DeliverEvent | undefined;
  readonly calls: WitnessedCall[] = [];
  readonly #account: MemoryAccount;
  #events: LaterEvent[] = [];
  #steps: StepOutcome[] = [];
  #bytes = 0;
  #takenBytes = 0;
  #leftOut = false;

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  /** The life of a machine that was asleep: its attempt is told with it. */
  continued({ deliver, events, steps }: Recording): void {
    this.deliver = deliver;
    for (const event of events) this.event(event);
    for (const step of steps) this.step(step as StepOutcome);
    if (this.#steps.length > this.#events.length) return;
    this.#leaveOut(); // answers were left out, and later ones stand at their events' places nevertheless
    while (this.#steps.length <= this.#events.length) this.#steps.push(unknownStep);
  }

  /** Answers to the first events, without a gap; none where they were too many to keep. */
  get wholeSteps(): readonly RecordedStep[] {
    return this.#leftOut ? [] : this.#steps.map((step) => ({ pages: 0, failure: undefined, ...step }) as RecordedStep);
  }

  event(event: LaterEvent): void {
    if (this.#events.length >= gatewayLimits.notedSteps) this.#leaveOut();
    else this.#events.push(this.#leftOut ? withoutBody(event) : event);
  }

  step(outcome: StepOutcome): void {
    if (this.#steps.length >= gatewayLimits.notedSteps) return this.#leaveOut();
    if (!this.#leftOut) this.#hold(keptBytes(outcome));
    this.#steps.push(this.#leftOut ? withoutEffects(outcome) : outcome);
  }

  /** Memory that was taken for them is free again. */
  release(): void {
    if (this.#takenBytes > 0) this.#account.give(this.#takenBytes);
    this.#takenBytes = 0;
  }

  /** The attempt as it ended. Steps and logs that come later, after a cancel, are not in it. */
  witnessed(
    { work, flow, startedMs, logs }: Noted,
    endedMs: number,
    failure: Failure | undefined,
    reply: Reply | undefined,
  ): WitnessedAttempt {
    const { deliver, calls } = this;
    const told = {
      attempt: work.attempt,
      flow,
      startedMs,
      endedMs,
      deliver,
      events: this.#events,
      steps: this.#steps,
      calls,
      logs,
      failure,
      reply,
    };
    return this.#leftOut ? { ...told, leftOut: true } : told;
  }

  /** A little is free; more is taken while at most half of the account is in use: messages come first. */
  #hold(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= gatewayLimits.notedFreeBytes) return;
    const missing = this.#bytes - this.#takenBytes;
    const { takenBytes, mostBytes } = this.#account;
    const fits = this.#bytes <= gatewayLimits.notedBytes && 2 * (takenBytes + missing) <= mostBytes;
    if (fits && this.#account.tryTake(missing)) this.#takenBytes += missing;
    else this.#leaveOut();
  }

  #leaveOut(): void {
    if (this.#leftOut) return;
    this.#leftOut = true;
    this.#steps = this.#steps.map(withoutEffects);
    this.#events = this.#events.map(withoutBody);
    this.release();
  }
}
