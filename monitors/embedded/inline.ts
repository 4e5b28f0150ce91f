/**
 * Machines in the caller's own thread, one step after another, without messages between threads: for whoever runs very many short machines and
 * forks them. A machine that waits is a value, its written pages; stepping it leaves it as it was. Slow steps hold the caller up, until
 * `limits.cpuMs`.
 */
import { decodeEffects, encodeEvent, type Event, type FlowLimits, type StepOutcome } from "#abi";
import { assert } from "#base";
import { hasOwnKernel, type Image } from "#image";
import { outcomeOf } from "../outcome.ts";
import { trackedModules } from "./kernels.ts";
import { PageStore, type PageTable } from "./page-store.ts";
import { type Hibernated, WarmInstance } from "./warm.ts";
import { wasmPageBytes } from "./wire.ts";

/** An image whose machines can be made here. */
export interface InlineImage {
  readonly sha256: string;
  readonly name: string;
  readonly table: PageTable;
}

/** A machine that waits. */
export interface InlineMachine {
  readonly memory: Hibernated;
  /** Bytes it takes. */
  readonly bytes: number;
}

export interface InlineStep {
  readonly outcome: StepOutcome;
  /** Undefined for one that has ended. */
  readonly machine: InlineMachine | undefined;
}

export class InlineMachines {
  readonly #store = new PageStore();
  readonly #chunks: Uint8Array[] = [];
  #untilMs = Number.POSITIVE_INFINITY;
  #instance: WarmInstance;

  constructor() {
    this.#instance = this.#newInstance();
  }

  #newInstance(): WarmInstance {
    const { engine, native } = trackedModules();
    return new WarmInstance(engine, native, this.#chunks, () => (performance.now() > this.#untilMs ? 1 : 0));
  }

  load(image: Image): InlineImage {
    assert(hasOwnKernel(image), "images that are explored were built just now");
    const table = this.#store.add(image);
    for (const chunk of this.#store.chunks.slice(this.#chunks.length)) this.#chunks.push(new Uint8Array(chunk));
    return { sha256: image.sha256, name: image.manifest.name, table };
  }

  /** A fresh machine, or `from` as it waits, takes one event. Never throws for what the machine does. */
  step({ table }: InlineImage, from: InlineMachine | undefined, event: Event, limits: FlowLimits): InlineStep {
    const limitPages = Math.floor(limits.memoryBytes / wasmPageBytes);
    if (from === undefined) this.#instance.reset(table, limitPages);
    else this.#instance.resume(from.memory, limitPages);
    const startedMs = performance.now();
    this.#untilMs = startedMs + limits.cpuMs;
    const { status, effects, detail } = this.#instance.step(encodeEvent(event));
    const cpuMs = performance.now() - startedMs;
    this.#untilMs = Number.POSITIVE_INFINITY;
    // Bodies are views: the instance's memory is used again.
    const decoded = effects.length === 0 ? undefined : decodeEffects(effects.slice());
    const { memoryPages } = this.#instance.globals;
    const outcome = outcomeOf({ status, detail, cpuMs, memoryPages }, decoded, limits);
    const machine = outcome.status === "waiting" && !this.#instance.unfit ? this.#park() : undefined;
    if (this.#instance.unfit) this.#instance = this.#newInstance();
    return { outcome, machine };
  }

  #park(): InlineMachine {
    const memory = this.#instance.hibernate();
    return { memory, bytes: memory.pages.byteLength };
  }
}
