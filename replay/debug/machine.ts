/**
 * A machine in this process, on V8, for a debugger: the flow's bundle above the kernel's own runtime. It takes events and gives effects as
 * every machine does, so whatever drives machines drives this one. One runs at a time, and nothing bounds its CPU time or its memory.
 */
import type { DeliverEvent, Event, StepOutcome } from "#abi";
import type { LoadedImage } from "#monitors";
import type { DrivenMachine, MachineStarter } from "../drive.ts";
import { Door } from "./natives.ts";
import { bootRealm, type DebugScript, type Runtime } from "./realm.ts";

class DebugMachine implements DrivenMachine {
  readonly first: Promise<StepOutcome>;
  readonly #door = new Door();
  readonly #runtime: Runtime;
  #ended = false;

  constructor(script: DebugScript, event: DeliverEvent, pauses: boolean) {
    this.#door.timeMs = event.timeMs;
    this.#runtime = bootRealm(this.#door, script, pauses);
    process.on("unhandledRejection", this.#rejected);
    process.on("rejectionHandled", this.#handled);
    this.first = this.step(event);
  }

  readonly #rejected = (reason: unknown, promise: unknown): void => this.#runtime.rejection(promise, reason, false);
  readonly #handled = (promise: unknown): void => this.#runtime.rejection(promise, undefined, true);

  async step(event: Event): Promise<StepOutcome> {
    const started = performance.now();
    this.#door.open(event);
    this.#runtime.step();
    // Every job of the flow's promises, and whatever Node says of rejected ones, comes before this.
    await new Promise<void>((done) => setImmediate(done));
    this.#runtime.settle();
    const effects = this.#door.effects();
    const last = effects.at(-1)?.kind;
    const cpuMs = performance.now() - started;
    const isDone = last === "done" || last === "continue";
    return { status: isDone ? "done" : last === "fail" ? "failed" : "waiting", effects, cpuMs };
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    process.off("unhandledRejection", this.#rejected);
    process.off("rejectionHandled", this.#handled);
  }
}

export interface DebugOptions {
  readonly script: DebugScript;
  /** SHA-256 of the image that the same source makes. */
  readonly image: LoadedImage;
  /** A debugger stops in front of the flow's handler. */
  readonly pauses: boolean;
}

/** Runs the flow of one script, in place of a monitor. */
export function debugMonitor({ script, pauses }: Omit<DebugOptions, "image">): MachineStarter & { readonly name: "debug" } {
  return { name: "debug", start: (_image, event) => new DebugMachine(script, event, pauses) };
}
