/**
 * The worker threads and what is submitted to them.
 *
 *   submit → fair queue over flows (bounded) → a worker's slots (32, first in first out) → answer
 *
 * A step of a waiting machine goes to the worker that keeps it. Of one flow a worker has no more in its slots than it is likely to run in
 * `mostAheadMs`, so that what others submit is never far behind. A watchdog looks at what runs. When a step takes long:
 *
 *   - Those queued behind it are recalled. A machine that waits there is run again elsewhere, once that costs less than it has waited.
 *   - When no worker is free one is added, up to `mostExtra`. A flow holds at most `mostHeld` workers, so that one is left for others.
 *   - When none can be added, or it takes long, the step that has run for the shortest time is stopped, for one that is likely to take
 *     less than that. It runs again later, beside others of its kind on all workers but one, and is not stopped again.
 *   - After its CPU limit it is interrupted; and when that does not help, because it is deep in one native call, its worker is
 *     terminated and replaced. What was queued there runs elsewhere, what waited there is run again.
 *
 * Stopping and running again is safe since a machine is a function of its events. Added workers leave when everything is idle.
 *
 * A flow whose steps end workers runs one step at a time, with pauses: see `Line`. Workers that end before they are ready are replaced
 * after a pause; without any worker, callers are told that the monitor is busy.
 */
import { FairQueue, reach, type Reach, type Share } from "../fair-queue.ts";
import type { MonitorMemory } from "../monitor.ts";
import type { PageStore } from "./page-store.ts";
import { type Job, lostAnswer, PoolWorker, type StartThread, startThread, type StepAnswer, type WorkerOwner } from "./pool-worker.ts";
import { operation, type WorkerSetup } from "./slots.ts";

/** Steps that may wait for a slot before callers are told that the monitor is busy. */
const mostBacklog = 65_536;
/** How often the watchdog looks. */
const watchMs = 10;
/** Workers added at most while steps take long, one at least, and for how much of the workers' share there may be one. */
const mostExtra = 4;
const extraBytes = 6 * 2 ** 20;
/** Slots of a worker are filled by one flow up to this estimate; the step that reaches it is the last. */
const mostAheadMs = 2;
/** Work that is thrown away rather than to wait for a worker that is being started. */
const mostWasteMs = 250;
/** How long others wait for a worker that is being started before a step makes way nevertheless. */
const mostStartMs = 50;
/** Work ahead of a worker from which on those that were added help it. */
const helpedMs = 10;
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
  readonly #mostWorkers: number;
  /** Workers that steps of one flow may keep from others. */
  readonly #mostHeld: number;
  #watchdog: NodeJS.Timeout | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #failedStarts = 0;
  #closed = false;
  /** Whether answers are looked for at every turn of the event loop, and until when. */
  #awake = false;
  #awakeUntilMs = 0;

  constructor({ size, setup, store, memory, log = () => undefined, start = startThread }: PoolOptions) {
    this.#memory = memory;
    this.#size = size;
    this.#mostWorkers = size + Math.min(mostExtra, Math.max(1, Math.floor(memory.workers.mostBytes / extraBytes)));
    this.#mostHeld = Math.min(size + 1, this.#mostWorkers - 1);
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
    if (this.#backlog.length === 0 && !job.stopped) {
      const worker = home ?? this.#leastBusy();
      if (worker !== undefined && this.#reach(worker, job.line) >= (home === undefined ? reach.fresh : reach.placed)) {
        this.#backlog.passes(job);
        return this.#hand(worker, job);
      }
    }
    if (this.#backlog.length >= mostBacklog || this.#workerless) return job.answer(lostAnswer("MF_MONITOR_BUSY"));
    this.#backlog.push(job, home);
    if (this.#backlog.length > 1 || job.stopped) this.#feed();
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

  /** The jobs of a line that a worker may have: there is room in the slots, and no more of one flow than runs in a moment. */
  #reach(worker: PoolWorker, line: Line): Reach {
    if (!this.#isOpen(worker) || worker.aheadOf(line) >= mostAheadMs || !line.mayRun) return reach.nothing;
    if (worker.isExtra && (!this.#needsHelp() || this.#crowds(line))) return reach.placed;
    return line.holdsStopped && !this.#mayRunStopped() ? reach.fresh : reach.all;
  }

  /** Workers beyond the usual number take the CPU from the others, unless those have long steps. */
  #needsHelp(): boolean {
    for (const { isExtra, slow, ready, aheadMs } of this.workers) if (!isExtra && ready && !slow && aheadMs < helpedMs) return false;
    return true;
  }

  #isOpen(worker: PoolWorker): boolean {
    return worker.free && !worker.slow && worker.ending === undefined && worker.ready;
  }

  /** A flow that holds as many workers as it may gets no others of those that were added. */
  #crowds(line: Line): boolean {
    let held = 0;
    for (const { slow, outstanding } of this.workers) {
      const job = outstanding[0]?.job; // the step it is in
      if (job?.line === line && (slow || job.chargedMs >= mostAheadMs)) held++;
    }
    return held >= this.#mostHeld;
  }

  /** The free worker with the least to do; the one that is first keeps its caches warm when the load is light. */
  #leastBusy(): PoolWorker | undefined {
    let best: PoolWorker | undefined;
    for (const worker of this.workers) {
      if (!this.#isOpen(worker)) continue;
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
        if (job.machine.over) this.#settle(job, lostAnswer("MF_MACHINE_ENDED"));
        else this.#hand(worker, job);
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
      if (next.stopped && !job.machine.over) {
        this.#stopped(worker, job, answer);
        continue;
      }
      if (answer.kept !== undefined || worker.machines.size > 0) worker.keeps(job.machine, answer.keptBytes);
      if (job.line.losses > 0) job.line.recovers();
      this.#settle(job, answer);
    }
    if (this.#memory.waiting.roomBytes < 0) this.#evict();
    worker.dropPending();
    this.#feed();
  }

  /** It made way, and is run again from the machine's first event. */
  #stopped(worker: PoolWorker, job: Job, { cpuMs }: StepAnswer): void {
    worker.keeps(job.machine, 0);
    if (job.operation === operation.step) return this.#settle(job, { ...displaced, cpuMs, stopped: true });
    job.stopped = true;
    this.#backlog.settle(job, cpuMs);
    this.#backlog.push(job, undefined);
  }

  /** Steps that can't be stopped again leave one worker to others. */
  #mayRunStopped(): boolean {
    const ready = this.workers.filter((worker) => worker.ready);
    const most = ready.length === 1 && this.workers.length === 1 ? 1 : ready.length - 1;
    return ready.filter(({ runsStopped }) => runsStopped).length < most;
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
    this.#makeWay();
    this.#feed();
    // Looked at after feeding: what has just been handed out must be watched as well.
    if (this.#backlog.length > 0 || this.workers.some(({ outstanding }) => outstanding.length > 0)) return;
    this.#shrink();
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
  }

  /** Takes from a slow worker what it has not begun, and machines that had better not wait for it. */
  #relieve(worker: PoolWorker): void {
    const { elapsedMs } = worker.watch;
    const moves = ({ line, machine }: Job): boolean => machine.replayMs < elapsedMs && line.mayRun && !this.#crowds(line);
    const recalled = worker.outstanding.length > 1 ? worker.recall((job) => job.operation === operation.start || moves(job)) : [];
    this.#backlog.putBack(recalled.filter((job) => job.operation === operation.start));
    for (const job of recalled) if (job.operation !== operation.start) this.#move(worker, job, () => this.#settle(job, displaced));
    for (const job of this.#backlog.displace(worker, moves)) this.#move(worker, job, () => job.answer(displaced));
  }

  #move(worker: PoolWorker, { machine }: Job, answer: () => void): void {
    if (worker.machines.has(machine)) worker.drop(machine);
    answer();
  }

  /** When no worker is free: adds one, or stops the step that is cheapest to run again for one that is likely to be shorter. */
  #makeWay(): void {
    const able = this.workers.filter(({ ready, ending }) => ready && ending === undefined);
    if (able.length === 0 || able.some(({ slow }) => !slow)) return;
    const coming = this.workers.find(({ ready }) => !ready);
    const wanted = this.#backlog.length > 0 || this.workers.length === this.#size;
    if (wanted && coming === undefined && this.workers.length < this.#mostWorkers) this.#add(true);
    if (this.#backlog.length === 0 || able.some(({ stopping }) => stopping === "asked")) return;
    const [youngest] = able
      .filter((worker) => worker.stopping === undefined && worker.running()?.job?.stopped === false)
      .sort((a, b) => a.watch.elapsedMs - b.watch.elapsedMs);
    const victim = youngest?.running()?.job?.line;
    if (youngest === undefined || victim === undefined) return;
    const { elapsedMs } = youngest.watch;
    const isBetter = (line: Line): boolean => line !== victim && line.stepMs < elapsedMs && line.mayRun && !this.#crowds(line);
    if (!this.#backlog.some(isBetter)) return;
    if (coming === undefined || elapsedMs < mostWasteMs || performance.now() - coming.startedMs > mostStartMs) youngest.stop();
  }

  /** Lets the added workers go that keep nothing, but for one: starting it takes long when it is wanted. */
  #shrink(): void {
    for (const worker of this.workers.filter(({ isExtra }) => isExtra).slice(1)) {
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
    worker.look();
    if (worker.slow) this.#relieve(worker);
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
  return {
    ...lostAnswer(worker.ending ?? "MF_MACHINE_LOST", worker.failure),
    status,
    cpuMs: worker.watch.elapsedMs,
    endedWorker: true,
  };
}
