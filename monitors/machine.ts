/**
 * The owner of one machine, whatever runs it.
 *
 *     ready ──▶ running ⇄ waiting          a step left calls or timers open; the next event takes it on
 *                  │         │
 *                  ▼         ▼
 *             done, failed  failed         its flow ended, it broke, its time is over, or nobody wants it any more
 *
 * A machine is a function of its image and its events, and the owner keeps the events. So whoever keeps a waiting machine may lose or evict
 * it: the next event runs it again from the first. The effects of the earlier events are known by then and not repeated.
 *
 * Steps are answered by a plain call, not by a promise: the embedded monitor answers tens of thousands a second.
 */
import { decodeEffects, type DeliverEvent, type Event, type FlowLimits, type MachineErrorCode, type StepOutcome } from "#abi";
import { assert, Queue } from "#base";
import { machineLimits } from "./limits.ts";
import type { Machine } from "./monitor.ts";
import { blamed, broken, outcomeOf, type StepEnd, type StepEnded } from "./outcome.ts";

export type NextEvent = Exclude<Event, DeliverEvent>;

/** A host's answer to a step. */
export interface StepResult extends StepEnded {
  /** The frame of the effects, the owner's own; undefined if the step has no effects. */
  readonly effects?: Uint8Array | undefined;
  /** The same, if the host has decoded it already. */
  readonly decoded?: ReturnType<typeof decodeEffects> | undefined;
  /** The worker ended while it ran the step, by the machine's fault as far as can be told. */
  readonly endedWorker?: boolean;
}

/** The result of a step that nothing ran to its end. */
export function noResult(status: StepEnd, code?: MachineErrorCode, detail = ""): StepResult {
  return { status, detail, cpuMs: 0, code };
}

/** Port to the pool that runs machines. `Seat` is its record of one machine: its place, and the facts a worker needs. */
export interface MachineHost<Seat> {
  /** Machines in the state `waiting`; their owners count. */
  waiting: number;
  /**
   * Runs the machine's newest event where the machine is kept, or all its events on a fresh one; the last one's result is wanted. Calls
   * `machine.answered` once, now or later.
   */
  run(machine: OwnedMachine<Seat>): void;
  /** Stops the step the machine is in, if that can be done without harm to others. It is answered in any case. */
  interrupt(machine: OwnedMachine<Seat>): void;
  /** A waiting machine's memory (monitor.ts); absent where no host can tell. */
  save?(machine: OwnedMachine<Seat>): Promise<Uint8Array | undefined>;
  /** Frees what is kept of the machine. May be called in any state, also when nothing is kept. */
  release(machine: OwnedMachine<Seat>): void;
  /** The machine takes no more events. Called once; a step may still run. */
  ended(machine: OwnedMachine<Seat>): void;
}

type State = "ready" | "running" | "waiting" | "done" | "failed";

const transitions: Readonly<Record<State, readonly State[]>> = {
  ready: ["running"],
  running: ["waiting", "done", "failed"],
  waiting: ["running", "failed"],
  done: [],
  failed: [],
};

type Settle = (outcome: StepOutcome) => void;

export interface Terms<Seat> {
  readonly seat: Seat;
  readonly limits: FlowLimits;
  /** Memory it has after its first `events`, as the host saved it. */
  readonly memory?: { readonly saved: Uint8Array; readonly events: number } | undefined;
}

export class OwnedMachine<Seat> implements Machine {
  readonly first: Promise<StepOutcome>;
  readonly seat: Seat;
  readonly limits: FlowLimits;
  /** All it was given, in order. Empty once it is over. */
  readonly events: Event[];
  /** Undefined once it is over, or its host could not read it: then it is run from its first event. */
  memory: Terms<Seat>["memory"];
  /** Its step was stopped to let others go first, and is not stopped again; or it has read too much for that. */
  stopped = false;
  readonly #host: MachineHost<Seat>;
  #startedMs = performance.now();
  /** Of its message's stored body, in pieces that its events name. */
  #readBytes = 0;
  #state: State = "ready";
  /** The answer to whatever else it is given, once it is over. */
  #over: MachineErrorCode | undefined;
  /** Resolves the step that runs. */
  #settle: Settle | undefined;
  #queue: Queue<{ readonly event: NextEvent; readonly settle: Settle }> | undefined;
  #losses = 0;
  #displacements = 0;

  /** `events` become the owner's: `deliver` first; the last one is run, on a fresh machine that is given all before it. */
  constructor(host: MachineHost<Seat>, events: Event[], { seat, limits, memory }: Terms<Seat>) {
    this.#host = host;
    this.seat = seat;
    this.limits = limits;
    assert(events[0]?.kind === "deliver", "a machine's first event is its message");
    this.events = events;
    this.memory = memory;
    this.first = new Promise((settle) => this.#run(settle));
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  step(event: NextEvent): Promise<StepOutcome> {
    return new Promise((settle) => {
      if (this.#settle === undefined) return this.#give(event, settle);
      this.#queue ??= new Queue();
      if (this.#queue.length >= machineLimits.queuedEvents) return settle(broken("MF_MACHINE_ENDED", "too many events are queued for it"));
      this.#queue.push({ event, settle });
    });
  }

  save(): Promise<Uint8Array | undefined> {
    return (this.#state === "waiting" ? this.#host.save?.(this) : undefined) ?? Promise.resolve(undefined);
  }

  end(): void {
    if (this.#over !== undefined) return;
    this.#finish("failed", "MF_MACHINE_ENDED");
    if (this.#settle !== undefined) this.#host.interrupt(this);
  }

  /** Gives up the memory of a waiting machine: its next event runs it again from the first. Does nothing in other states. */
  evict(): void {
    if (this.#state !== "waiting") return;
    if (this.#isLong) this.#finish("failed", "MF_MACHINE_EVICTED");
    else this.#host.release(this);
  }

  /** It has read too much to be given all of it again: its message is to begin anew. */
  get #isLong(): boolean {
    return this.#readBytes > machineLimits.readAgainBytes;
  }

  /** For the host: the result of the step that runs. */
  answered(result: StepResult): void {
    const settle = this.#settle;
    assert(settle !== undefined, "a step is answered once");
    if (result.endedWorker === true) this.#losses += 1;
    if (this.#over === undefined && this.#mayRepeat(result)) return this.#host.run(this);
    this.#settle = undefined;
    this.#displacements = 0;
    this.stopped = this.#isLong;
    const isEvicted = this.#isLong && (result.status === "displaced" || result.status === "missing");
    settle(this.#conclude(isEvicted ? { ...result, code: "MF_MACHINE_EVICTED" } : result));
    this.#goOn();
  }

  #to(state: State): void {
    assert(transitions[this.#state].includes(state), "a machine goes from state to state as drawn above");
    if (state === "waiting") this.#host.waiting += 1;
    if (this.#state === "waiting") this.#host.waiting -= 1;
    this.#state = state;
  }

  #give(event: NextEvent, settle: Settle): void {
    const piece = event.kind === "resolve" ? event.window : undefined;
    if (piece !== undefined) this.#readOn(piece.bytes);
    const late = event.kind !== "cancel" && piece === undefined && performance.now() - this.#startedMs > this.limits.timeMs;
    if (late && this.#over === undefined) this.#finish("failed", "MF_TIME_LIMIT");
    if (this.#over !== undefined) return settle(broken(this.#over));
    this.events.push(event);
    this.#run(settle);
  }

  /** It reads its message on, which is progress: its time begins anew. */
  #readOn(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#isLong) this.stopped = true;
    this.#startedMs = performance.now();
  }

  #run(settle: Settle): void {
    this.#to("running");
    this.#settle = settle;
    this.#host.run(this);
  }

  /** Gives the machine the events that came while the step ran. */
  #goOn(): void {
    while (this.#settle === undefined) {
      const next = this.#queue?.shift();
      if (next === undefined) return;
      this.#give(next.event, next.settle);
    }
  }

  /** True if the step has no result and may be tried again. */
  #mayRepeat({ status, endedWorker, code }: StepResult): boolean {
    if (this.#isLong) return false;
    if (status === "missing") this.memory = undefined;
    if (status === "displaced" || status === "missing") return ++this.#displacements < machineLimits.displacements;
    return status === "lost" && endedWorker === true && code === undefined && this.#losses < machineLimits.losses;
  }

  #conclude(result: StepResult): StepOutcome {
    if (this.#over !== undefined) {
      this.#host.release(this); // the step that ran on may have left something
      return broken(this.#over, "", [], result.cpuMs);
    }
    const decoded = result.decoded ?? (result.effects === undefined ? undefined : decodeEffects(result.effects));
    const outcome = blamed(outcomeOf(result, decoded, this.limits), this.#losses);
    if (outcome.status === "waiting") this.#to("waiting");
    else this.#finish(outcome.status === "done" ? "done" : "failed", "MF_MACHINE_ENDED");
    return outcome;
  }

  #finish(state: "done" | "failed", over: MachineErrorCode): void {
    this.#to(state);
    this.#over = over;
    this.events.length = 0;
    this.memory = undefined;
    this.#host.release(this);
    this.#host.ended(this);
  }
}
