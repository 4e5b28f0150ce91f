/**
 * The worker threads and what is submitted to them.
 *
 *   submit → backlog (bounded) → a worker's slots (32, first in first out) → answer
 *
 * A step of a waiting machine goes to the worker that keeps it. A watchdog looks at what runs: when a step takes long, those queued
 * behind it are recalled for other workers, and a worker is added when none is free, up to `mostExtra`; after its CPU limit the step is
 * interrupted; and when that does not help, because it is deep in one native call, its worker is terminated and replaced. What
 * was queued on it runs elsewhere, what waited on it is replayed. Added workers leave when everything is idle.
 */
import { assert, Queue } from "#base";
import type { MonitorMemory } from "../monitor.ts";
import type { PageStore } from "./page-store.ts";
import { type Job, lostAnswer, PoolWorker, type WorkerOwner } from "./pool-worker.ts";
import { operation, type WorkerSetup } from "./slots.ts";

/** Steps that may wait for a slot before callers are told that the monitor is busy. */
const mostBacklog = 65_536;
/** How often the watchdog looks. */
const watchMs = 10;
/** What a step may take beyond its limit before its worker is terminated: the interpreter polls for interrupts far more often than this. */
const graceMs = 100;
/** Workers added at most while steps take long, and for how much of the workers' share there may be one. */
const mostExtra = 4;
const extraBytes = 6 * 2 ** 20;
/** Workers that may be lost in a row without one answer in between. */
const mostLossesInARow = 8;
/** How long the main thread looks for answers after it submitted a step, before it waits for the worker to ring. */
const awakeMs = 0.1;

export class Pool implements WorkerOwner {
  readonly workers: PoolWorker[] = [];
  replaced = 0;
  /** Machines that wait and were put off for want of memory. */
  putOff = 0;
  readonly #size: number;
  readonly #setup: Omit<WorkerSetup, "buffer">;
  readonly #store: PageStore;
  readonly #memory: MonitorMemory;
  readonly #backlog = new Queue<Job>();
  readonly #mostExtra: number;
  #replays = 0;
  readonly #replaysWaiting = new Queue<(over: () => void) => void>();
  #watchdog: NodeJS.Timeout | undefined;
  #lossesInARow = 0;
  #closed = false;
  /** Whether answers are looked for at every turn of the event loop, and until when. */
  #awake = false;
  #awakeUntilMs = 0;

  constructor(size: number, setup: Omit<WorkerSetup, "buffer">, store: PageStore, memory: MonitorMemory) {
    this.#memory = memory;
    this.#mostExtra = Math.min(mostExtra, Math.floor(memory.workers.mostBytes / extraBytes));
    this.#size = size;
    this.#setup = setup;
    this.#store = store;
    for (let i = 0; i < size; i++) this.workers.push(new PoolWorker(this, setup, memory));
  }

  get queued(): number {
    const queuedInSlots = this.workers.reduce((sum, { outstanding }) => sum + Math.max(0, outstanding.length - 1), 0);
    return this.#backlog.length + queuedInSlots;
  }

  /** Takes a step to a worker. Never throws; answers once, later or, when it can't be taken, at once. */
  submit(job: Job): void {
    if (this.#closed) return job.answer(lostAnswer("MF_MONITOR_CLOSED"));
    const worker = job.operation === operation.step ? job.machine.home : this.#leastBusy();
    if (worker !== undefined && worker.free && (job.operation === operation.step || this.#backlog.length === 0)) {
      this.#hand(worker, job);
      return;
    }
    if (job.operation === operation.step && worker === undefined) return job.answer(lostAnswer("MF_MACHINE_LOST"));
    if (this.#backlog.length >= mostBacklog) return job.answer(lostAnswer("MF_MONITOR_BUSY"));
    this.#backlog.push(job);
  }

  #hand(worker: PoolWorker, job: Job): void {
    worker.submit(job, this.#store);
    if (this.#setup.spin > 0) this.#stayAwake();
    this.#watchdog ??= setInterval(() => this.#watch(), watchMs);
  }

  /** The free worker with the fewest steps; the one that is first keeps its caches warm when the load is light. */
  #leastBusy(): PoolWorker | undefined {
    let best: PoolWorker | undefined;
    for (const worker of this.workers) {
      if (!worker.free || worker.slow || worker.ending !== undefined) continue;
      if (best === undefined || worker.outstanding.length < best.outstanding.length) best = worker;
    }
    return best;
  }

  /** Hands out what waits. */
  #feed(): void {
    for (let job = this.#backlog.peek(); job !== undefined; job = this.#backlog.peek()) {
      const worker = job.operation === operation.step ? job.machine.home : this.#leastBusy();
      if (worker === undefined && job.operation === operation.step) job.answer(lostAnswer("MF_MACHINE_LOST"));
      else if (worker === undefined || !worker.free) return;
      else this.#hand(worker, job);
      this.#backlog.shift();
    }
  }

  /**
   * Looks for answers at every turn of the event loop for a while, so that no worker rings and this thread does not go to sleep
   * just before one is there: a wake-up takes longer than most steps.
   */
  #stayAwake(): void {
    this.#awakeUntilMs = performance.now() + awakeMs;
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
    for (let next = worker.take(); next !== undefined; next = worker.take()) {
      this.#lossesInARow = 0;
      const { job, answer } = next;
      if (job === undefined) continue;
      if (answer.kept !== undefined || worker.machines.size > 0) worker.keeps(job.machine, answer.keptBytes);
      job.answer(answer);
    }
    if (this.#memory.waiting.roomBytes < 0) this.#evict();
    worker.dropPending();
    this.#feed();
  }

  /**
   * Runs `begin`, which calls `over` at its end, when a worker's worth of replays or less is under way: between the steps of one its
   * machine is kept, whatever the room.
   */
  replay(begin: (over: () => void) => void): void {
    if (this.#replays >= this.#size) return void this.#replaysWaiting.push(begin);
    this.#replays++;
    begin(() => {
      this.#replays--;
      const next = this.#replaysWaiting.shift();
      if (next !== undefined) this.replay(next);
    });
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

  /** Interrupts the step of a machine, when it is in one. */
  interrupt(machine: number): void {
    for (const worker of this.workers) {
      const running = worker.running();
      if (running?.job?.machine.number === machine) worker.interrupt(running.number);
    }
  }

  #watch(): void {
    for (const worker of [...this.workers]) this.#watchWorker(worker);
    this.#feed();
    // Looked at after feeding: what has just been handed out must be watched as well.
    if (this.#backlog.length > 0 || this.workers.some(({ outstanding }) => outstanding.length > 0)) return;
    this.#shrink();
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  /** Takes from a slow worker what it has not begun, and sees to it that there is another for that. */
  #relieve(worker: PoolWorker): void {
    if (worker.outstanding.length > 1) this.#backlog.unshift(worker.recall());
    const stuck = this.workers.every(({ slow, ending }) => slow || ending !== undefined);
    if (stuck && this.#backlog.length > 0 && this.workers.length < this.#size + this.#mostExtra)
      this.workers.push(new PoolWorker(this, this.#setup, this.#memory));
  }

  /** Lets the added workers go that keep nothing. */
  #shrink(): void {
    for (const worker of this.workers.slice(this.#size)) {
      if (worker.outstanding.length > 0 || worker.machines.size > 0) continue;
      this.workers.splice(this.workers.indexOf(worker), 1);
      worker.ended();
      void worker.thread.terminate();
    }
  }

  #watchWorker(worker: PoolWorker): void {
    const running = worker.running();
    const number = running === undefined ? 0 : running.number + 1;
    if (running?.job === undefined || number !== worker.watchedRunning) {
      worker.watchedRunning = number;
      worker.watchedLooks = 0;
      worker.interruptedMs = undefined;
      return;
    }
    if (worker.watchedLooks++ === 0) {
      worker.watchedCpuMs = worker.cpuMs();
      worker.watchedSinceMs = performance.now();
      return;
    }
    if (worker.slow) this.#relieve(worker);
    const usedMs = worker.cpuMs() - worker.watchedCpuMs;
    if (usedMs <= running.job.machine.limits.cpuMs) return;
    if (worker.interruptedMs === undefined) {
      worker.interruptedMs = usedMs;
      worker.interrupt(running.number);
    } else if (usedMs > worker.interruptedMs + graceMs && worker.ending === undefined) {
      worker.ending = "MF_CPU_LIMIT";
      void worker.thread.terminate();
    }
  }

  /** A worker is gone: by our own hand, or by a fault nobody foresaw. */
  lost(worker: PoolWorker): void {
    const index = this.workers.indexOf(worker);
    if (index < 0) return;
    const running = worker.running();
    this.drain(worker); // what it had answered still counts
    for (const machine of worker.machines.keys()) if (machine.home === worker) machine.home = undefined;
    worker.ended();
    if (this.#closed) this.workers.splice(index, 1);
    else {
      this.replaced++;
      this.#lossesInARow++;
      assert(this.#lossesInARow <= mostLossesInARow, "workers keep dying before they answer");
      this.workers[index] = new PoolWorker(this, this.#setup, this.#memory);
    }
    const requeued: Job[] = [];
    for (const { job, number } of worker.outstanding) {
      if (job === undefined) continue;
      if (this.#closed) job.answer(lostAnswer("MF_MONITOR_CLOSED"));
      else if (number === running?.number)
        job.answer(
          worker.ending === "MF_CPU_LIMIT" ? { ...lostAnswer("MF_CPU_LIMIT"), status: "interrupted" } : lostAnswer("MF_MACHINE_LOST"),
        );
      else if (job.operation === operation.start) requeued.push(job);
      else job.answer({ ...lostAnswer("MF_MACHINE_LOST") });
    }
    worker.outstanding.length = 0;
    this.#backlog.unshift(requeued);
    this.#feed();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    for (let job = this.#backlog.shift(); job !== undefined; job = this.#backlog.shift()) job.answer(lostAnswer("MF_MONITOR_CLOSED"));
    await Promise.all([...this.workers].map(({ thread }) => thread.terminate()));
  }
}
