/** Stands in for a worker's thread: a test takes its turns, so that what happens in which order is up to the test. */
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";
import { type Effect, encodeEffects } from "#abi";
import { assert } from "#base";
import { control, nextSubmission, operation, Slots, slotState, statuses, type Status, word, type WorkerSetup } from "../wire.ts";

export interface Answer {
  readonly status?: Status;
  readonly effects?: readonly Effect[];
  /** Bytes it keeps of the machine. */
  readonly keptBytes?: number;
  readonly cpuMs?: number;
}

export class ScriptedThread extends EventEmitter {
  threadId = 1;
  readonly slots: Slots;
  #served = 0;

  constructor({ buffer }: WorkerSetup) {
    super();
    this.slots = new Slots(buffer);
  }

  /** In the form the pool accepts. */
  get worker(): Worker {
    return this as unknown as Worker;
  }

  ready(): void {
    Atomics.store(this.slots.control, control.ready, 1);
    this.#ring();
  }

  /** Takes the next slot: the number of the machine whose step begins, or undefined when it was passed over or no slot is left. */
  begin(): number | undefined {
    if (Atomics.load(this.slots.control, control.submitted) === this.#served) return undefined;
    assert(Atomics.load(this.slots.control, control.running) === 0, "a worker runs one step at a time");
    const header = this.slots.header(this.#served);
    const begun = Atomics.compareExchange(header, word.state, slotState.queued, slotState.running) === slotState.queued;
    if (!begun || header[word.operation] === operation.drop) {
      this.#finish();
      return undefined;
    }
    Atomics.add(this.slots.control, control.begun, 1);
    Atomics.store(this.slots.control, control.running, this.#served + 1);
    return header[word.machine];
  }

  /** Ends the step that runs. */
  end({ status = "complete", effects = [{ kind: "done", reply: undefined }], keptBytes = 0, cpuMs = 0 }: Answer = {}): void {
    assert(Atomics.exchange(this.slots.control, control.running, 0) === this.#served + 1, "a step ends once");
    const header = this.slots.header(this.#served);
    const frame = encodeEffects(effects);
    this.slots.data(this.#served).set(frame);
    header[word.length] = frame.length;
    header[word.status] = statuses.indexOf(status);
    header[word.detailLength] = 0;
    header[word.keptBytes] = keptBytes;
    header[word.cpuMicros] = cpuMs * 1000;
    this.#finish();
  }

  #finish(): void {
    Atomics.store(this.slots.header(this.#served), word.state, slotState.done);
    this.#served = nextSubmission(this.#served);
    if (Atomics.exchange(this.slots.control, control.bell, 1) === 0) this.#ring();
  }

  #ring(): void {
    this.emit("message", 0);
  }

  /** The step that runs is asked to stop. */
  get isInterrupted(): boolean {
    return Atomics.load(this.slots.control, control.interrupt) === this.#served + 1;
  }

  postMessage(): void {
    // Images and long frames; a scripted step reads neither.
  }

  /** It keeps no process alive in the first place. */
  ref(): void {}

  terminate(): Promise<number> {
    this.threadId = -1;
    this.emit("exit", 1);
    return Promise.resolve(1);
  }
}
