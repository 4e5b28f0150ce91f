/**
 * One machine as its owner sees it. Its state lives with the worker that ran it last; its events are kept here, so that when that
 * worker is lost the machine is run again from its first event somewhere else: same image, same events, same machine.
 */
import {
  decodeEffects,
  type DeliverEvent,
  encodeEvent,
  type Event,
  type FlowLimits,
  machineErrors,
  type MachineErrorCode,
  type StepOutcome,
} from "#abi";
import type { Machine } from "../monitor.ts";
import type { Pool, PoolWorker, StepAnswer } from "./pool.ts";
import { operation } from "./slots.ts";
import type { EmbeddedImage } from "./embedded.ts";

/** Events that may wait while a step runs. */
const mostQueued = 1024;
/** How often a machine may lose its worker before it is held responsible. */
const mostLosses = 2;

export function broken(code: MachineErrorCode, detail = "", effects: StepOutcome["effects"] = [], cpuMs = 0): StepOutcome {
  const message = detail === "" ? machineErrors[code] : `${machineErrors[code]} (${detail})`;
  return { status: "broken", effects, failure: { code, message }, cpuMs };
}

type NextEvent = Exclude<Event, DeliverEvent>;

export class EmbeddedMachine implements Machine {
  readonly first: Promise<StepOutcome>;
  readonly number: number;
  readonly image: EmbeddedImage;
  readonly limits: FlowLimits;
  /** Where the waiting machine lies. */
  home: PoolWorker | undefined;
  readonly #pool: Pool;
  readonly #events: Uint8Array[] = [];
  readonly #startedMs = performance.now();
  #queue: Promise<unknown> | undefined;
  #queued = 0;
  #losses = 0;
  #over: MachineErrorCode | undefined;

  constructor(pool: Pool, image: EmbeddedImage, number: number, event: DeliverEvent, limits: FlowLimits) {
    this.#pool = pool;
    this.image = image;
    this.number = number;
    this.limits = limits;
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

  end(): void {
    if (this.#over === undefined) this.#finish("MF_MACHINE_ENDED");
    this.#pool.interrupt(this.number);
  }

  #finish(code: MachineErrorCode): void {
    this.#over = code;
    this.#events.length = 0;
    this.home?.drop(this);
    this.home = undefined;
  }

  #give(event: Event): Promise<StepOutcome> {
    if (this.#over !== undefined) return Promise.resolve(broken(this.#over));
    if (performance.now() - this.#startedMs > this.limits.timeMs && event.kind !== "cancel") {
      this.#finish("MF_TIME_LIMIT");
      return Promise.resolve(broken("MF_TIME_LIMIT"));
    }
    const frame = encodeEvent(event);
    this.#events.push(frame);
    const turn = this.#run(frame);
    this.#queue = turn;
    return turn;
  }

  /** Runs the newest event, on a machine that has seen all those before. */
  async #run(frame: Uint8Array): Promise<StepOutcome> {
    let answer: StepAnswer;
    do {
      if (this.#events.length === 1) answer = await this.#pool.submit(this, operation.start, frame);
      else if (this.home !== undefined) answer = await this.#pool.submit(this, operation.step, frame);
      else answer = await this.#replay();
    } while (answer.status === "lost" && this.#over === undefined && ++this.#losses < mostLosses);
    return this.#outcome(answer);
  }

  /** Takes a machine whose worker was lost to where it stood, then gives it the newest event. What it had as effects before is known already. */
  async #replay(): Promise<StepAnswer> {
    let answer: StepAnswer = { status: "lost", effects: undefined, detail: "", kept: undefined, cpuMs: 0 };
    for (const [index, frame] of this.#events.entries()) {
      answer = await this.#pool.submit(this, index === 0 ? operation.start : operation.step, frame);
      this.home = answer.kept;
      if (index < this.#events.length - 1 && answer.kept === undefined) break;
    }
    return answer;
  }

  #outcome(answer: StepAnswer): StepOutcome {
    const { status, cpuMs, detail } = answer;
    this.home = answer.kept;
    if (this.#over !== undefined) {
      const over = this.#over;
      this.#finish(over);
      return broken(over, "", [], cpuMs);
    }
    const decoded = answer.effects === undefined ? undefined : decodeEffects(answer.effects);
    const effects = decoded?.ok === true ? decoded.value : [];
    const breakWith = (code: MachineErrorCode, why = detail): StepOutcome => {
      this.#finish("MF_MACHINE_ENDED");
      return broken(
        code,
        why,
        effects.filter(({ kind }) => kind === "log"),
        cpuMs,
      );
    };
    switch (status) {
      case "complete": {
        if (decoded?.ok !== true) return breakWith("MF_MACHINE_LIED", decoded?.error ?? "");
        const last = effects.at(-1)?.kind;
        if (last !== "done" && last !== "fail") return { status: "waiting", effects, cpuMs };
        this.#finish("MF_MACHINE_ENDED");
        return { status: last === "done" ? "done" : "failed", effects, cpuMs };
      }
      case "interrupted":
        return breakWith("MF_CPU_LIMIT", `${this.limits.cpuMs} ms`);
      case "escaped":
      case "no-memory":
        return breakWith("MF_MEMORY_LIMIT", `${this.limits.memoryBytes / 1024 ** 2} MiB`);
      case "trapped":
        return breakWith("MF_MACHINE_TRAP");
      case "compromised":
        return breakWith("MF_MACHINE_LIED");
      case "lost":
        return breakWith(answer.code ?? "MF_MACHINE_LOST");
    }
  }
}
