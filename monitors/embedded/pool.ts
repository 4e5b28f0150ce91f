/**
 * The worker threads and what is submitted to them.
 *
 *   submit → fair queue over flows (bounded) → a worker's slots (32, first in first out) → answer
 *
 * A step of a waiting machine goes to the worker that keeps it. Of one flow a worker has no more in its slots than it is likely to run in
 * `mostAheadMs`, so that what others submit is never far behind. A watchdog looks at what runs: when a step takes long, those queued
 * behind it are recalled for other workers, and a worker is added when none is free, up to `mostExtra`; after its CPU limit the step is
 * interrupted; and when that does not help, because it is deep in one native call, its worker is terminated and replaced. What
 * was queued on it runs elsewhere, what waited on it is replayed. Added workers leave when everything is idle.
 *
 * A flow whose steps end workers runs one step at a time, with pauses: see `Line`. Workers that end before they are ready are replaced
 * after a pause; without any worker, callers are told that the monitor is busy.
 */
import { Queue } from "#base";
import { FairQueue, type Share } from "../fair-queue.ts";
import type { MonitorMemory } from "../monitor.ts";
import type { PageStore } from "./page-store.ts";
import { type Job, lostAnswer, PoolWorker, type StartThread, startThread, type StepAnswer, type WorkerOwner } from "./pool-worker.ts";
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
/** Slots of a worker are filled by one flow up to this estimate; the step that reaches it is the last. */
const mostAheadMs = 2;
/** Workers in a row that ended before they were ready: from this many on nothing waits for the next. */
const mostFailedStarts = 4;
/** Pauses before the next is started. */
const leastPauseMs = 10;
const mostPauseMs = 10_000;
/** How long the main thread looks for answers after it submitted a step, before it waits for the worker to ring. */
const awakeMs = 0.1;

type Line = Job["line"];

export interface PoolOptions {
  readonly size: number;
  readonly setup: Omit<WorkerSetup, "buffer">;
  readonly store: PageStore;
  readonly memory: MonitorMemory;
  /** Takes a line when a worker ended by itself. */
  readonly log?: ((line: string) => void) | undefined;
  /** For tests: starts another thread in its place. */
  readonly start?: StartThread | undefined;
}

export class Pool implements WorkerOwner {
  readonly workers: PoolWorker[] = [];
  replaced = 0;
  /** Machines that wait and were put off for want of memory. */
  putOff = 0;
  readonly #size: number;
  readonly #setup: Omit<WorkerSetup, "buffer">;
  readonly #store: PageStore;
  readonly #memory: MonitorMemory;
  readonly #log: (line: string) => void;
  readonly #start: StartThread;
  readonly #backlog = new FairQueue<Job, PoolWorker>();
  readonly #mostExtra: number;
  #replays = 0;
  readonly #replaysWaiting = new Queue<(over: () => void) => void>();
  #watchdog: NodeJS.Timeout | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #failedStarts = 0;
  #closed = false;
  /** Whether answers are looked for at every turn of the event loop, and until when. */
  #awake = false;
  #awakeUntilMs = 0;

  constructor({ size, setup, store, memory, log = () => undefined, start = startThread }: PoolOptions) {
    this.#memory = memory;
    this.#mostExtra = Math.min(mostExtra, Math.floor(memory.workers.mostBytes / extraBytes));
    this.#size = size;
    this.#setup = setup;
    this.#store = store;
    this.#log = log;
    this.#start = start;
    this.#fill();
  }

  get queued(): number {
    const queuedInSlots = this.workers.reduce((sum, { outstanding }) => sum + Math.max(0, outstanding.length - 1), 0);
    return this.#backlog.length + queuedInSlots;
  }

  line(share: Share): Line {
    return this.#backlog.line(share);
  }

  /** Takes a step to a worker. Never throws; answers once, later or, when it can't be taken, at once. */
  submit(job: Job): void {
    if (this.#closed) return job.answer(lostAnswer("MF_MONITOR_CLOSED"));
    const home = job.operation === operation.step ? job.machine.home : undefined;
    if (job.operation === operation.step && home === undefined) return job.answer(displaced);
    if (this.#backlog.length === 0) {
      const worker = home ?? this.#leastBusy();
      if (worker !== undefined && this.#mayTake(worker, job.line)) {
        this.#backlog.passes(job);
        return this.#hand(worker, job);
      }
    }
    if (this.#backlog.length >= mostBacklog || this.#workerless) return job.answer(lostAnswer("MF_MONITOR_BUSY"));
    this.#backlog.push(job, home);
    if (this.#backlog.length > 1) this.#feed();
    this.#watchSoon();
  }

  get #workerless(): boolean {
    return this.workers.length === 0 && this.#failedStarts >= mostFailedStarts;
  }

  /** The job was charged for. */
  #hand(worker: PoolWorker, job: Job): void {
    try {
      worker.submit(job, this.#store);
    } catch (error) {
      // The port or the codec refused it: nothing of it is in a slot.
      const detail = error instanceof Error ? error.message : String(error);
      this.#log(`embedded: a step could not be given to its worker: ${detail}`);
      this.#settle(job, lostAnswer("MF_MACHINE_LOST", detail));
      return;
    }
    if (this.#setup.spin > 0) this.#stayAwake();
    this.#watchSoon();
  }

  #settle(job: Job, answer: StepAnswer): void {
    this.#backlog.settle(job, answer.cpuMs);
    job.answer(answer);
  }

  #watchSoon(): void {
    this.#watchdog ??= setInterval(() => this.#watch(), watchMs);
  }

  /** Room in the slots, and no more of one flow than runs in a moment. Steps that must go to a slow worker wait in its slots. */
  #mayTake(worker: PoolWorker, line: Line): boolean {
    if (!worker.free || worker.aheadOf(line) >= mostAheadMs || !line.mayRun) return false;
    return worker.isExtra ? !this.#crowds(line) : true;
  }

  /** A flow that keeps as many workers busy as there usually are, and one more, gets no others of those that were added. */
  #crowds(line: Line): boolean {
    let slow = 0;
    for (const worker of this.workers) if (worker.slow && worker.running()?.job?.line === line) slow++;
    return slow > this.#size;
  }

  /** The free worker with the least to do; the one that is first keeps its caches warm when the load is light. */
  #leastBusy(): PoolWorker | undefined {
    let best: PoolWorker | undefined;
    for (const worker of this.workers) {
      if (!worker.free || worker.slow || worker.ending !== undefined || !worker.ready) continue;
      if (best === undefined || worker.aheadMs < best.aheadMs) best = worker;
    }
    return best;
  }

  /** Hands out what waits: a job to each worker in turn, until none can take any. */
  #feed(): void {
    for (let took = true; took && this.#backlog.length > 0; ) {
      took = false;
      for (const worker of this.workers) {
        if (!worker.free || worker.ending !== undefined || !worker.ready) continue;
        const job = this.#backlog.take(worker, (line) => this.#mayTake(worker, line), worker.slow);
        if (job === undefined) continue;
        took = true;
        this.#hand(worker, job);
      }
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
    if (worker.outstanding.length > 0) this.#failedStarts = 0;
    for (let next = worker.take(); next !== undefined; next = worker.take()) {
      const { job, answer } = next;
      if (job === undefined) continue;
      if (answer.kept !== undefined || worker.machines.size > 0) worker.keeps(job.machine, answer.keptBytes);
      if (job.line.losses > 0) job.line.recovers();
      this.#settle(job, answer);
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
    if (worker.outstanding.length > 1) this.#backlog.putBack(worker.recall());
    const stuck = this.workers.every(({ slow, ending }) => slow || ending !== undefined);
    if (!stuck || this.workers.length >= this.#size + this.#mostExtra) return;
    if (this.#backlog.some((line) => line.mayRun && !this.#crowds(line))) this.#add(true);
  }

  /** Lets the added workers go that keep nothing. */
  #shrink(): void {
    for (const worker of this.workers.filter(({ isExtra }) => isExtra)) {
      if (worker.outstanding.length > 0 || worker.machines.size > 0) continue;
      this.workers.splice(this.workers.indexOf(worker), 1);
      worker.ended();
      void worker.thread.terminate();
    }
  }

  /** A bell or an end that was not told is found here too. */
  #watchWorker(worker: PoolWorker): void {
    this.#takeAll(worker);
    if (worker.gone) return this.lost(worker);
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

  /** Has as many workers as there usually are. */
  #fill(): void {
    while (!this.#closed && this.#restTimer === undefined && this.workers.filter(({ isExtra }) => !isExtra).length < this.#size)
      this.#add(false);
  }

  #add(isExtra: boolean): void {
    try {
      const worker = new PoolWorker(this, this.#setup, this.#memory, this.#start);
      worker.isExtra = isExtra;
      this.workers.push(worker);
    } catch (error) {
      this.#rest(error instanceof Error ? error.message : String(error));
    }
  }

  /** A worker can't be started, or ended before it was ready: the next comes later, each time twice as late. */
  #rest(why: string): void {
    const pauseMs = Math.min(mostPauseMs, leastPauseMs * 2 ** this.#failedStarts++);
    this.#log(`embedded: a worker can't be started, the next is in ${pauseMs} ms: ${why}`);
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#restTimer = undefined;
      this.#fill();
      this.#feed();
    }, pauseMs);
    this.#restTimer.unref();
    if (this.#workerless) for (const job of this.#backlog.clear()) job.answer(lostAnswer("MF_MONITOR_BUSY"));
  }

  /** A worker is gone: by our own hand, or by a fault nobody foresaw. */
  lost(worker: PoolWorker): void {
    const index = this.workers.indexOf(worker);
    if (index < 0) return;
    const running = worker.running();
    this.drain(worker); // what it had answered still counts
    this.workers.splice(index, 1);
    for (const machine of worker.machines.keys()) if (machine.home === worker) machine.home = undefined;
    worker.ended();
    const bound = this.#backlog.displace(worker);
    const inSlots = worker.outstanding.splice(0).flatMap(({ job, number }) => (job === undefined ? [] : [{ job, number }]));
    if (this.#closed) {
      for (const { job } of inSlots) job.answer(lostAnswer("MF_MONITOR_CLOSED"));
      return;
    }
    const guilty = inSlots.find(({ number }) => number === running?.number)?.job;
    this.#blame(worker, guilty);
    const others = inSlots.flatMap(({ job }) => (job === guilty ? [] : [job]));
    this.#backlog.putBack(others.filter((job) => job.operation === operation.start));
    for (const job of others) if (job.operation !== operation.start) this.#settle(job, displaced);
    for (const job of bound) job.answer(displaced);
    if (guilty !== undefined) this.#settle(guilty, endedAnswer(worker));
    this.#feed();
  }

  /** Holds the flow responsible whose step ran, and replaces the worker: at once, unless it never got ready. */
  #blame(worker: PoolWorker, guilty: Job | undefined): void {
    this.replaced++;
    guilty?.line.lost();
    if (worker.ending === undefined)
      this.#log(
        `embedded: a worker ended while it ran ${guilty?.line.share.name ?? "nothing"}: ${worker.failure || "it does not say why"}`,
      );
    if (!worker.ready) this.#rest(worker.failure || "it ended");
    else this.#fill();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#restTimer);
    for (const job of this.#backlog.clear()) job.answer(lostAnswer("MF_MONITOR_CLOSED"));
    await Promise.all([...this.workers].map(({ thread }) => thread.terminate()));
  }
}

/** For the step of a machine whose worker is gone: it is run again from its first event elsewhere. */
const displaced: StepAnswer = { ...lostAnswer("MF_MACHINE_LOST"), status: "displaced" };

/** For the step that ran when its worker ended. */
function endedAnswer(worker: PoolWorker): StepAnswer {
  const status = worker.ending === "MF_CPU_LIMIT" ? "interrupted" : "lost";
  const cpuMs = Math.max(0, worker.watchedSinceMs === 0 ? 0 : performance.now() - worker.watchedSinceMs);
  return { ...lostAnswer(worker.ending ?? "MF_MACHINE_LOST", worker.failure), status, cpuMs, endedWorker: true };
}
