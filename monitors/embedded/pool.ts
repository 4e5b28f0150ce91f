/**
 * The worker threads and what is submitted to them.
 *
 *   submit → fair queue over flows (bounded) → a worker's slots (32, first in first out) → answer
 *
 * A step of a waiting machine goes to the worker that keeps it. Of one flow a worker has no more in its slots than it is likely to run in
 * `embeddedLimits.aheadMs`, so that what others submit is never far behind. A watchdog looks at what runs:
 *
 *   - When a step takes long, others need not wait for it: see `Relief`.
 *   - After its CPU limit it is interrupted; and when that does not help, because it is deep in one native call, its worker is
 *     terminated and replaced. What was queued there runs elsewhere, what waited there is run again.
 *
 * A flow whose steps end workers runs one step at a time, with pauses: see `Line`. When there is no worker and none to be had, callers are
 * told that the monitor is busy.
 */
import { FairQueue, reach, type Reach, type Share } from "../fair-queue.ts";
import type { MonitorMemory } from "../monitor.ts";
import { type MachineHost, noResult, type StepResult } from "../machine.ts";
import { embeddedLimits } from "./limits.ts";
import type { PageStore } from "./page-store.ts";
import {
  type EmbeddedMachine,
  type Job,
  type Line,
  type PoolWorker,
  type Seat,
  type StartThread,
  startThread,
  type WorkerOwner,
} from "./worker.ts";
import { Relief } from "./relief.ts";
import { operation, type WorkerSetup } from "./wire.ts";
import { Workforce } from "./workforce.ts";

export interface PoolOptions {
  readonly size: number;
  readonly setup: Omit<WorkerSetup, "buffer">;
  readonly store: PageStore;
  readonly memory: MonitorMemory;
  /** True: idle workers don't keep the process from its end. */
  readonly background?: boolean;
  /** Takes a line when a worker ended by itself. */
  readonly log?: ((line: string) => void) | undefined;
  /** For tests: starts another thread in its place. */
  readonly start?: StartThread | undefined;
}

export class Pool implements WorkerOwner, MachineHost<Seat> {
  readonly workers: readonly PoolWorker[];
  replaced = 0;
  waiting = 0;
  readonly #spins: boolean;
  readonly #store: PageStore;
  readonly #memory: MonitorMemory;
  readonly #log: (line: string) => void;
  readonly #backlog = new FairQueue<Job, PoolWorker>();
  readonly #workforce: Workforce;
  readonly #relief: Relief;
  #watchdog: NodeJS.Timeout | undefined;
  #closed = false;
  /** Polling for answers at every turn of the event loop, and its deadline. */
  #awake = false;
  #awakeUntilMs = 0;

  constructor({ size, setup, store, memory, background = false, log = () => undefined, start = startThread }: PoolOptions) {
    this.#spins = setup.spin > 0;
    this.#store = store;
    this.#memory = memory;
    this.#log = log;
    this.#workforce = new Workforce({ size, setup, memory, background, log, start, owner: this, changed: () => this.#workersChanged() });
    this.workers = this.#workforce.workers;
    this.#relief = new Relief(this.#workforce, this.#backlog);
    this.#workforce.fill();
  }

  /** Resolves once a worker takes steps, or can't be started. */
  async started(): Promise<void> {
    const first = this.workers[0];
    if (first === undefined || first.ready) return;
    await new Promise<unknown>((done) => first.thread.once("message", done).once("exit", done));
  }

  get queued(): number {
    const queuedInSlots = this.workers.reduce((sum, { outstanding }) => sum + Math.max(0, outstanding.length - 1), 0);
    return this.#backlog.length + queuedInSlots;
  }

  line(share: Share): Line {
    return this.#backlog.line(share);
  }

  /** Never throws. */
  run(machine: EmbeddedMachine): void {
    if (this.#closed) return machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
    const { home, line } = machine.seat;
    const what = home === undefined ? operation.start : operation.step;
    const job: Job = { machine, line, operation: what, chargedMs: 0, stopped: machine.stopped };
    if (this.#backlog.length === 0 && !job.stopped) {
      const worker = home ?? this.#leastBusy();
      if (worker !== undefined && this.#reach(worker, job.line) >= (home === undefined ? reach.fresh : reach.placed)) {
        this.#backlog.passes(job);
        return this.#hand(worker, job);
      }
    }
    if (this.#backlog.length >= embeddedLimits.backlog || this.#workforce.gone)
      return machine.answered(noResult("lost", "MF_MONITOR_BUSY"));
    this.#backlog.push(job, home);
    if (this.#backlog.length > 1 || job.stopped) this.#feed();
    this.#watchSoon();
  }

  save(machine: EmbeddedMachine): Promise<Uint8Array | undefined> {
    return machine.seat.home?.save(machine) ?? Promise.resolve(undefined);
  }

  release(machine: EmbeddedMachine): void {
    machine.seat.home?.drop(machine);
  }

  ended(): void {
    // Its worker was told to forget it; nothing else is known of it here.
  }

  #workersChanged(): void {
    if (this.#workforce.gone) for (const { machine } of this.#backlog.clear()) machine.answered(noResult("lost", "MF_MONITOR_BUSY"));
    this.#feed();
  }

  /** The job was charged for. */
  #hand(worker: PoolWorker, job: Job): void {
    try {
      worker.submit(job, this.#store);
    } catch (error) {
      // The port or the codec refused it: nothing of it is in a slot.
      const detail = error instanceof Error ? error.message : String(error);
      this.#log(`embedded: a step could not be sent to its worker: ${detail}`);
      this.#settle(job, noResult("lost", "MF_MACHINE_LOST", detail));
      return;
    }
    if (this.#spins) this.#stayAwake();
    this.#watchSoon();
  }

  /** For a job that was given out. */
  #settle(job: Job, result: StepResult): void {
    const { machine, operation: what } = job;
    const { cpuMs } = result;
    this.#backlog.settle(job, cpuMs);
    machine.seat.replayMs = what === operation.start ? cpuMs : machine.seat.replayMs + cpuMs;
    machine.answered(result);
  }

  #watchSoon(): void {
    this.#watchdog ??= setInterval(() => this.#watch(), embeddedLimits.watchMs);
  }

  /** The jobs of a line that a worker may have: there is room in the slots, and no more of one flow than runs in a moment. */
  #reach(worker: PoolWorker, line: Line): Reach {
    if (!this.#isOpen(worker) || worker.aheadOf(line) >= embeddedLimits.aheadMs || !line.mayRun) return reach.nothing;
    if (worker.isExtra && (!this.#relief.isWanted || this.#relief.crowds(line))) return reach.placed;
    return line.holdsStopped && !this.#relief.mayRunStopped ? reach.fresh : reach.all;
  }

  #isOpen(worker: PoolWorker): boolean {
    return worker.free && !worker.slow && worker.ending === undefined && worker.ready;
  }

  /** The free worker with the least to do; the one that is first keeps its caches warm when the load is light. */
  #leastBusy(): PoolWorker | undefined {
    let best: PoolWorker | undefined;
    for (const worker of this.workers) {
      if (!this.#isOpen(worker) || (worker.isExtra && !this.#relief.isWanted)) continue;
      if (best === undefined || worker.aheadMs < best.aheadMs) best = worker;
    }
    return best;
  }

  /** Hands out what waits: a job to each worker in turn, until none can take any. */
  #feed(): void {
    for (let took = true; took && this.#backlog.length > 0; ) {
      took = false;
      for (const worker of this.workers) {
        if (!this.#isOpen(worker)) continue;
        const job = this.#backlog.take(worker, (line) => this.#reach(worker, line));
        if (job === undefined) continue;
        took = true;
        if (job.machine.over) this.#settle(job, noResult("lost", "MF_MACHINE_ENDED"));
        else this.#hand(worker, job);
      }
    }
  }

  /**
   * Looks for answers at every turn of the event loop for a while, so that no worker rings and this thread does not go to sleep
   * just before one is there: a wake-up takes longer than most steps.
   */
  #stayAwake(): void {
    this.#awakeUntilMs = performance.now() + embeddedLimits.awakeMs;
    if (this.#awake) return;
    this.#awake = true;
    for (const worker of this.workers) worker.rings(false);
    setImmediate(this.#look);
  }

  readonly #look = (): void => {
    let expected = false;
    for (const worker of this.workers) {
      this.#takeAll(worker);
      if (worker.outstanding.length > 0) expected = true;
    }
    if (expected && performance.now() < this.#awakeUntilMs) {
      setImmediate(this.#look);
      return;
    }
    this.#awake = false;
    for (const worker of [...this.workers]) this.drain(worker);
  };

  /** Takes every answer a worker has; for the next one it rings. */
  drain(worker: PoolWorker): void {
    if (!this.#awake) worker.rings(true);
    this.#takeAll(worker);
  }

  #takeAll(worker: PoolWorker): void {
    if (worker.outstanding.length > 0) this.#workforce.works();
    for (let next = worker.take(); next !== undefined; next = worker.take()) {
      const { job, result, keptBytes, stopped } = next;
      if (job === undefined) continue;
      if (stopped && !job.machine.over) {
        this.#stopped(worker, job, result);
        continue;
      }
      if (keptBytes > 0 || worker.machines.size > 0) worker.keeps(job.machine, keptBytes);
      if (job.line.losses.any) job.line.losses.recovered();
      this.#settle(job, result);
    }
    if (this.#memory.waiting.roomBytes < 0) this.#evict();
    worker.dropPending();
    this.#feed();
  }

  /** It made way, and is run again from the machine's first event. */
  #stopped(worker: PoolWorker, job: Job, { cpuMs }: StepResult): void {
    worker.keeps(job.machine, 0);
    job.machine.stopped = true;
    if (job.operation === operation.step) return this.#settle(job, { ...noResult("displaced"), cpuMs });
    job.stopped = true;
    this.#backlog.settle(job, cpuMs);
    this.#backlog.push(job, undefined);
  }

  /** Puts off the machines that have waited longest, at the worker that keeps most, until the rest fits its share again. */
  #evict(): void {
    const { waiting } = this.#memory;
    for (const worker of [...this.workers].sort((a, b) => b.waitingBytes - a.waitingBytes)) {
      for (const machine of [...worker.machines.keys()]) {
        if (waiting.roomBytes >= 0) return;
        machine.evict();
      }
    }
  }

  interrupt(machine: EmbeddedMachine): void {
    for (const worker of this.workers) {
      const running = worker.running();
      if (running?.job?.machine === machine) worker.interrupt(running.number);
    }
  }

  #watch(): void {
    for (const worker of [...this.workers]) this.#watchWorker(worker);
    this.#relief.makeWay();
    this.#feed();
    // Looked at after feeding: what has just been handed out must be watched as well.
    if (this.#backlog.length > 0 || this.workers.some(({ outstanding }) => outstanding.length > 0)) return;
    this.#workforce.shrink(1);
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  /** A bell or an end that was not told is found here too. */
  #watchWorker(worker: PoolWorker): void {
    this.#takeAll(worker);
    if (worker.gone) return this.lost(worker);
    worker.look();
    if (worker.slow) this.#relief.relieve(worker);
  }

  /** A worker is gone: ended by us, or by an unexpected fault. */
  lost(worker: PoolWorker): void {
    if (!this.workers.includes(worker)) return;
    const running = worker.running();
    this.drain(worker); // what it had answered still counts
    this.#workforce.remove(worker);
    worker.ended();
    const bound = this.#backlog.displace(worker);
    const inSlots = worker.outstanding.splice(0).flatMap(({ job, number }) => (job === undefined ? [] : [{ job, number }]));
    if (this.#closed) {
      for (const { job } of inSlots) job.machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
      return;
    }
    const guilty = inSlots.find(({ number }) => number === running?.number)?.job;
    this.#blame(worker, guilty);
    const others = inSlots.flatMap(({ job }) => (job === guilty ? [] : [job]));
    this.#backlog.putBack(others.filter((job) => job.operation === operation.start));
    for (const job of others) if (job.operation !== operation.start) this.#settle(job, noResult("displaced"));
    for (const { machine } of bound) machine.answered(noResult("displaced"));
    if (guilty !== undefined) this.#settle(guilty, worker.epitaph());
    this.#feed();
  }

  /** Holds the flow responsible whose step ran, and replaces the worker. */
  #blame(worker: PoolWorker, guilty: Job | undefined): void {
    this.replaced++;
    guilty?.line.losses.lost();
    if (worker.ending === undefined)
      this.#log(`embedded: a worker crashed while running ${guilty?.line.share.name ?? "nothing"}: ${worker.failure || "no reason given"}`);
    this.#workforce.replace(worker);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    for (const { machine } of this.#backlog.clear()) machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
    await this.#workforce.close();
  }
}
