/**
 * One machine as its owner sees it. While it waits, the process that ran it last keeps it; its events are kept here, so that when
 * that process is lost, or had no room, the machine is run again from its first event: same image, same events, same machine.
 */
import { decodeEffects, type DeliverEvent, encodeEvent, type Event, type FlowLimits, type MachineErrorCode, type StepOutcome } from "#abi";
import type { Machine } from "../monitor.ts";
import { blamed, broken, outcomeOf } from "../outcome.ts";
import type { Child, StepAnswer } from "./worker.ts";
import type { ImagePool } from "./pool.ts";
import { noBerth, operation } from "./wire.ts";

/** Events that may wait while a step runs. */
const mostQueued = 1024;
/** How often a machine may end the process it runs in before it is given up. */
const mostLosses = 2;
/** How often it may be lost through no fault of its own. */
const mostDisplacements = 64;

type NextEvent = Exclude<Event, DeliverEvent>;

export class ProcessMachine implements Machine {
  readonly first: Promise<StepOutcome>;
  readonly limits: FlowLimits;
  /** The process that keeps the waiting machine, and where in it. */
  home: Child | undefined;
  berth = noBerth;
  /** Pages it takes there, about. */
  heldPages = 0;
  /** The step it is in was stopped once to let another flow have its process, and is not again. */
  stopped = false;
  /** Between a step that left calls or timers open and the next. */
  waiting = false;
  readonly #pool: ImagePool;
  readonly #events: Uint8Array[] = [];
  readonly #startedMs = performance.now();
  #queue: Promise<unknown> | undefined;
  #queued = 0;
  #losses = 0;
  #displacements = 0;
  #over: MachineErrorCode | undefined;

  constructor(pool: ImagePool, event: DeliverEvent, limits: FlowLimits) {
    this.#pool = pool;
    this.limits = limits;
    pool.adopt(this);
    this.first = this.#give(event);
  }

  step(event: NextEvent): Promise<StepOutcome> {
    if (this.#queue === undefined) return this.#give(event);
    if (this.#queued >= mostQueued) return Promise.resolve(broken("MF_MACHINE_ENDED", "too many events are waiting for it"));
    this.#queued++;
    const turn = this.#queue.then(() => {
      this.#queued--;
      return this.#give(event);
    });
    this.#queue = turn;
    return turn;
  }

  /** A step that runs now goes on to its end or its CPU limit: to stop it, its process and what waits there would have to go. */
  end(): void {
    if (this.#over === undefined) this.#finish("MF_MACHINE_ENDED");
  }

  /** The process where it waits lets go of it: its next event runs it again from its first. */
  evict(): void {
    if (!this.waiting || this.home === undefined) return;
    this.home.drop(this);
    this.home = undefined;
  }

  #finish(code: MachineErrorCode): void {
    this.#over = code;
    this.#events.length = 0;
    this.waiting = false;
    this.home?.drop(this);
    this.home = undefined;
    this.#pool.release(this);
  }

  #give(event: Event): Promise<StepOutcome> {
    if (this.#over !== undefined) return Promise.resolve(broken(this.#over));
    if (performance.now() - this.#startedMs > this.limits.timeMs && event.kind !== "cancel") {
      this.#finish("MF_TIME_LIMIT");
      return Promise.resolve(broken("MF_TIME_LIMIT"));
    }
    const frame = encodeEvent(event);
    this.#events.push(frame);
    this.waiting = false;
    const turn = this.#run(frame);
    this.#queue = turn;
    return turn;
  }

  /** True when a missing answer may be followed by another try. */
  #mayRepeat(answer: StepAnswer): boolean {
    if (this.#over !== undefined) return false;
    if (answer.status === "displaced" || answer.status === "missing") return ++this.#displacements < mostDisplacements;
    return answer.status === "lost" && answer.code === undefined && this.#losses < mostLosses;
  }

  /** Runs the newest event, on the machine where it is kept, or on one that is taken there by all events before; their effects are known already. */
  async #run(frame: Uint8Array): Promise<StepOutcome> {
    let answer: StepAnswer;
    do {
      const kept = this.home !== undefined && !this.home.closed;
      answer = await (kept
        ? this.#pool.submit(this, operation.step, [frame])
        : this.#pool.submit(this, operation.start, [...this.#events]));
      this.home = answer.kept;
      if (answer.endedProcess === true) this.#losses++;
    } while (this.#mayRepeat(answer));
    this.stopped = false;
    return this.#outcome(answer);
  }

  #outcome(answer: StepAnswer): StepOutcome {
    if (this.#over !== undefined) {
      this.#finish(this.#over);
      return broken(this.#over, "", [], answer.cpuMs);
    }
    const outcome = blamed(outcomeOf(answer, decodeEffects(answer.frame), this.limits), this.#losses);
    this.waiting = outcome.status === "waiting";
    if (!this.waiting) this.#finish("MF_MACHINE_ENDED");
    return outcome;
  }
}
