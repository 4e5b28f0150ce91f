/**
 * One machine as its owner sees it. Its state lives with the worker that ran it last; its events are kept here, so that when that
 * worker is lost the machine is run again from its first event somewhere else: same image, same events, same machine.
 */
import { decodeEffects, type DeliverEvent, type Event, type FlowLimits, type MachineErrorCode, type StepOutcome } from "#abi";
import type { Share } from "../fair-queue.ts";
import type { Machine } from "../monitor.ts";
import { blamed, broken, outcomeOf } from "../outcome.ts";
import type { Line, StepAnswer } from "./job.ts";
import type { Pool } from "./pool.ts";
import type { PoolWorker } from "./worker.ts";
import { operation } from "./wire.ts";
import type { EmbeddedImage } from "./embedded.ts";

/** Events that may wait while a step runs. */
const mostQueued = 1024;
/** How often a machine may end its worker before it is given up. */
const mostLosses = 2;
/** How often a step may be displaced through no fault of the machine's own. */
const mostDisplacements = 64;

type NextEvent = Exclude<Event, DeliverEvent>;

type Settle = (outcome: StepOutcome) => void;

/** On what terms a machine runs. */
export interface Terms {
  readonly limits: FlowLimits;
  readonly share: Share;
}

export class EmbeddedMachine implements Machine {
  readonly first: Promise<StepOutcome>;
  readonly number: number;
  readonly image: EmbeddedImage;
  readonly limits: FlowLimits;
  /** Where the waiting machine lies. */
  home: PoolWorker | undefined;
  /** All it was given, in order; the first from the start. Empty once it is over. */
  readonly events: Event[];
  /** CPU time that running it again from its first event takes, in milliseconds. */
  replayMs = 0;
  readonly #pool: Pool;
  readonly #startedMs = performance.now();
  #busy = false;
  #queue: { readonly event: Event; readonly settle: Settle }[] | undefined;
  #losses = 0;
  #displacements = 0;
  #stopped = false;
  readonly #line: Line;
  #over: MachineErrorCode | undefined;
  #isPutOff = false;

  constructor(pool: Pool, image: EmbeddedImage, number: number, event: DeliverEvent, { limits, share }: Terms) {
    this.#pool = pool;
    this.image = image;
    this.number = number;
    this.limits = limits;
    this.#line = pool.line(share);
    this.events = [event];
    this.#busy = true;
    this.first = new Promise((settle) => this.#run(settle));
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  step(event: NextEvent): Promise<StepOutcome> {
    return new Promise((settle) => {
      if (!this.#busy) return this.#give(event, settle);
      this.#queue ??= [];
      if (this.#queue.length >= mostQueued) return settle(broken("MF_MACHINE_ENDED", "too many events are waiting for it"));
      this.#queue.push({ event, settle });
    });
  }

  /** The worker it waits at lets go of it: its next event runs it again from its first. False while it is in a step. */
  evict(): boolean {
    if (this.#busy || this.home === undefined) return false;
    this.home.drop(this);
    this.home = undefined;
    this.#putOff();
    return true;
  }

  /** It waits, and nobody keeps it. */
  #putOff(): void {
    this.#isPutOff = true;
    this.#pool.putOff++;
  }

  #takenUp(): void {
    if (!this.#isPutOff) return;
    this.#isPutOff = false;
    this.#pool.putOff--;
  }

  end(): void {
    if (this.#over === undefined) this.#finish("MF_MACHINE_ENDED");
    this.#pool.interrupt(this.number);
  }

  #finish(code: MachineErrorCode): void {
    this.#over = code;
    this.events.length = 0;
    this.#takenUp();
    this.home?.drop(this);
    this.home = undefined;
  }

  #give(event: Event, settle: Settle): void {
    if (this.#over !== undefined) return settle(broken(this.#over));
    if (event.kind !== "deliver" && event.kind !== "cancel" && performance.now() - this.#startedMs > this.limits.timeMs) {
      this.#finish("MF_TIME_LIMIT");
      return settle(broken("MF_TIME_LIMIT"));
    }
    this.#busy = true;
    this.#takenUp();
    this.events.push(event);
    this.#run(settle);
  }

  /** Gives the machine what came meanwhile: when it is over, all of it is told so. */
  #goOn(): void {
    while (!this.#busy) {
      const next = this.#queue?.shift();
      if (next === undefined) return;
      this.#give(next.event, next.settle);
    }
  }

  /** Runs the newest event where the machine waits, or else all its events; the effects of those before are known already. */
  #run(settle: Settle): void {
    const what = this.home === undefined ? operation.start : operation.step;
    const answer = (found: StepAnswer): void => {
      this.home = found.kept;
      this.replayMs = what === operation.start ? found.cpuMs : this.replayMs + found.cpuMs;
      if (found.endedWorker === true) this.#losses++;
      if (this.#over === undefined && this.#mayRepeat(found)) return this.#run(settle);
      this.#displacements = 0;
      this.#stopped = false;
      this.#busy = false;
      settle(this.#outcome(found));
      this.#goOn();
    };
    this.#pool.submit({ machine: this, line: this.#line, operation: what, answer, chargedMs: 0, stopped: this.#stopped });
  }

  /** True when a missing answer may be followed by another try. */
  #mayRepeat(found: StepAnswer): boolean {
    if (found.stopped === true) this.#stopped = true;
    if (found.status === "displaced") return ++this.#displacements < mostDisplacements;
    return found.status === "lost" && found.endedWorker === true && this.#losses < mostLosses;
  }

  #outcome(answer: StepAnswer): StepOutcome {
    if (this.#over !== undefined) {
      const over = this.#over;
      this.#finish(over);
      return broken(over, "", [], answer.cpuMs);
    }
    const decoded = answer.effects === undefined ? undefined : decodeEffects(answer.effects);
    const outcome = blamed(outcomeOf(answer, decoded, this.limits), this.#losses);
    if (outcome.status !== "waiting") this.#finish("MF_MACHINE_ENDED");
    else if (this.home === undefined) this.#putOff();
    return outcome;
  }
}
