/**
 * The workers of a pool: as many as usual, and a few more while steps take long. When all is idle those leave but for one, since
 * starting it takes long when it is wanted again; and that one when no step has taken long for a while. What waits there is put off.
 *
 * One that ends before it is ready is replaced after a pause, each time twice as long; without any worker, nothing waits for the next.
 */
import type { MonitorMemory } from "../monitor.ts";
import { embeddedLimits } from "./limits.ts";
import { PoolWorker, type StartThread, type WorkerOwner } from "./worker.ts";
import type { WorkerSetup } from "./wire.ts";

export interface WorkforceOptions {
  /** Workers there usually are. */
  readonly size: number;
  readonly setup: Omit<WorkerSetup, "buffer">;
  readonly memory: MonitorMemory;
  /** True: idle workers don't keep the process from its end. The watchdog does, while steps are under way. */
  readonly background: boolean;
  readonly log: (line: string) => void;
  readonly start: StartThread;
  readonly owner: WorkerOwner;
  /** Called when there is no worker any more, and when one may have come after a pause. */
  readonly changed: () => void;
}

export class Workforce {
  readonly workers: PoolWorker[] = [];
  readonly #options: WorkforceOptions;
  /** Workers there are at most. */
  readonly #most: number;
  /** Workers that steps of one flow may keep from others. */
  readonly mostHeld: number;
  #restTimer: NodeJS.Timeout | undefined;
  #leaveTimer: NodeJS.Timeout | undefined;
  #failedStarts = 0;
  #closed = false;

  constructor(options: WorkforceOptions) {
    const { size, memory } = options;
    this.#options = options;
    this.#most =
      size + Math.min(embeddedLimits.extraWorkers, Math.max(1, Math.floor(memory.workers.mostBytes / embeddedLimits.extraBytes)));
    this.mostHeld = Math.min(size + 1, this.#most - 1);
  }

  get mayGrow(): boolean {
    return this.workers.length < this.#most;
  }

  /** As many as there usually are. */
  get isUsual(): boolean {
    return this.workers.length === this.#options.size;
  }

  /** There is no worker, and there will hardly be one soon. */
  get gone(): boolean {
    return this.workers.length === 0 && this.#failedStarts >= embeddedLimits.failedStarts;
  }

  /** A worker does what it is for. */
  works(): void {
    this.#failedStarts = 0;
  }

  /** Starts workers up to the usual number. */
  fill(): void {
    while (!this.#closed && this.#restTimer === undefined && this.workers.filter(({ isExtra }) => !isExtra).length < this.#options.size)
      this.#start(false);
  }

  /** Starts one more for a while. */
  add(): void {
    this.#start(true);
    this.prolong();
  }

  /** A step takes long: the added workers stay on. */
  prolong(): void {
    clearTimeout(this.#leaveTimer);
    if (!this.#closed && this.workers.some(({ isExtra }) => isExtra))
      this.#leaveTimer = setTimeout(() => this.#leave(), embeddedLimits.stayMs).unref();
  }

  #leave(): void {
    for (const { isExtra, machines } of this.workers) if (isExtra) for (const machine of [...machines.keys()]) machine.evict();
    this.shrink(0);
    this.prolong(); // those that still have to forget what was put off
  }

  #start(isExtra: boolean): void {
    const { owner, setup, memory, background, start } = this.#options;
    try {
      const worker = new PoolWorker(owner, setup, memory, start);
      worker.isExtra = isExtra;
      if (background) worker.thread.once("message", () => worker.thread.unref()); // it is ready
      this.workers.push(worker);
    } catch (error) {
      this.#rest(error instanceof Error ? error.message : String(error));
    }
  }

  /** A worker can't be started, or ended before it was ready: the next comes later, each time twice as late. */
  #rest(why: string): void {
    const pauseMs = Math.min(embeddedLimits.pauseMostMs, embeddedLimits.pauseLeastMs * 2 ** this.#failedStarts++);
    this.#options.log(`embedded: a worker can't be started, next try in ${pauseMs} ms: ${why}`);
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#restTimer = undefined;
      this.fill();
      this.#options.changed();
    }, pauseMs);
    this.#restTimer.unref();
    if (this.gone) this.#options.changed();
  }

  /** Takes out a worker that is gone. */
  remove(worker: PoolWorker): void {
    this.workers.splice(this.workers.indexOf(worker), 1);
  }

  /** Starts another in place of one that was removed: at once, unless it never got ready. */
  replace(worker: PoolWorker): void {
    if (worker.ready) this.fill();
    else this.#rest(worker.failure || "it ended");
  }

  /** Lets the added workers go that have nothing, but for some. */
  shrink(kept: number): void {
    for (const worker of this.workers.filter(({ isExtra }) => isExtra).slice(kept)) {
      if (worker.outstanding.length > 0 || worker.machines.size > 0) continue;
      this.remove(worker);
      worker.ended();
      void worker.thread.terminate();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restTimer);
    clearTimeout(this.#leaveTimer);
    await Promise.all(
      [...this.workers].map(({ thread }) => {
        thread.ref(); // whoever awaits its end must live to see it
        return thread.terminate();
      }),
    );
  }
}
