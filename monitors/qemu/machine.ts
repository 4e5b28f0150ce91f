/**
 * One machine as its owner sees it. It waits inside the virtual machine that ran it last; its events are kept here, so that when it is
 * not there any more (its virtual machine died, or needed the memory) it is run again from its first event: same image, same events,
 * same machine.
 */
import {
  type decodeEffects,
  type DeliverEvent,
  encodeEvent,
  type Event,
  type FlowLimits,
  type MachineErrorCode,
  type StepOutcome,
} from "#abi";
import type { Machine } from "../monitor.ts";
import { blamed, broken, outcomeOf } from "../outcome.ts";
import type { Fleet } from "./pool.ts";
import type { FlowVm } from "./worker.ts";
import type { QemuImage } from "./qemu.ts";
import type { VmAnswer } from "./vm.ts";

/** Events that may wait while a step runs. */
const mostQueued = 1024;
/** How often a machine may end its virtual machine before it is given up. */
const mostLosses = 2;
/** How often it may lose it through no fault of its own. */
const mostDisplacements = 64;

export interface FleetAnswer extends VmAnswer {
  readonly decoded?: ReturnType<typeof decodeEffects> | undefined;
  /** Why no virtual machine ran it. */
  readonly code?: MachineErrorCode;
  /** Its virtual machine ended while it ran the step. */
  readonly endedVm?: boolean;
}

export class QemuMachine implements Machine {
  readonly first: Promise<StepOutcome>;
  readonly image: QemuImage;
  readonly limits: FlowLimits;
  /** Where it waits, and in which slot. */
  home: FlowVm | undefined;
  slot = -1;
  /** The step it is in was stopped once to let another flow have its virtual machine, and is not again. */
  stopped = false;
  readonly weight: number;
  readonly #fleet: Fleet;
  readonly #events: Uint8Array[] = [];
  readonly #startedMs = performance.now();
  #queue: Promise<unknown> | undefined;
  #queued = 0;
  #losses = 0;
  #displacements = 0;
  #over: MachineErrorCode | undefined;

  constructor(fleet: Fleet, image: QemuImage, event: DeliverEvent, limits: FlowLimits, weight = 1) {
    this.#fleet = fleet;
    this.image = image;
    this.limits = limits;
    this.weight = weight;
    this.first = this.#give(event);
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  step(event: Exclude<Event, DeliverEvent>): Promise<StepOutcome> {
    if (this.#queue === undefined) return this.#give(event);
    if (this.#queued >= mostQueued) return Promise.resolve(broken("MF_MACHINE_ENDED", "too many events are queued for it"));
    this.#queued++;
    const turn = this.#queue.then(() => {
      this.#queued--;
      return this.#give(event);
    });
    this.#queue = turn;
    return turn;
  }

  end(): void {
    this.#finish("MF_MACHINE_ENDED");
    this.#fleet.interrupt(this);
  }

  #finish(code: MachineErrorCode): void {
    if (this.#over === undefined) this.#fleet.machineEnded(this);
    this.#over ??= code;
    this.#fleet.waiting.delete(this);
    this.#events.length = 0;
  }

  #give(event: Event): Promise<StepOutcome> {
    if (this.#over !== undefined) return Promise.resolve(broken(this.#over));
    if (performance.now() - this.#startedMs > this.limits.timeMs && event.kind !== "cancel") {
      this.#finish("MF_TIME_LIMIT");
      return Promise.resolve(broken("MF_TIME_LIMIT"));
    }
    this.#fleet.waiting.delete(this);
    this.#events.push(encodeEvent(event));
    const turn = this.#run();
    this.#queue = turn;
    return turn;
  }

  /** True when a missing answer may be followed by another try. */
  #mayRepeat({ status, code, endedVm }: FleetAnswer): boolean {
    if (status !== "lost" || code !== undefined || this.#over !== undefined) return false;
    return endedVm === true ? this.#losses < mostLosses : ++this.#displacements < mostDisplacements;
  }

  /** Runs the newest event, on a machine that has seen all those before. */
  async #run(): Promise<StepOutcome> {
    let answer: FleetAnswer;
    do {
      const newest = this.#events.at(-1);
      if (this.#events.length > 1 && this.home !== undefined && newest !== undefined)
        answer = await this.#fleet.submit(this, "step", newest);
      else answer = await this.#fromFirst();
      if (answer.endedVm === true) this.#losses++;
    } while (this.#mayRepeat(answer));
    this.stopped = false;
    return this.#outcome(answer);
  }

  /** Starts the machine and takes it to its newest event. What it had as effects before is known already. */
  async #fromFirst(): Promise<FleetAnswer> {
    const events = [...this.#events];
    let answer = await this.#fleet.submit(this, "start", events[0] as Uint8Array);
    for (const frame of events.slice(1)) {
      if (this.home === undefined) break;
      answer = await this.#fleet.submit(this, "step", frame);
    }
    return answer;
  }

  #outcome(answer: FleetAnswer): StepOutcome {
    if (this.#over !== undefined) {
      this.#fleet.forget(this);
      return broken(this.#over, "", [], answer.cpuMs);
    }
    const outcome = blamed(outcomeOf(answer, answer.decoded, this.limits), this.#losses);
    if (outcome.status === "waiting") this.#fleet.waiting.add(this);
    else this.#finish("MF_MACHINE_ENDED");
    return outcome;
  }
}
