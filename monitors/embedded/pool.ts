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
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { encodeEvent, encodeEventInto, type Event, type MachineErrorCode } from "#abi";
import { assert, Queue } from "#base";
import type { EmbeddedImage } from "./embedded.ts";
import type { EmbeddedMachine } from "./machine.ts";
import type { PageStore } from "./page-store.ts";
import {
  control,
  type FromWorker,
  nextSubmission,
  operation,
  Slots,
  slotsPerWorker,
  slotState,
  type Status,
  statuses,
  type ToWorker,
  wasmPageBytes,
  word,
  type WorkerSetup,
} from "./slots.ts";

/** Steps that may wait for a slot before callers are told that the monitor is busy. */
const mostBacklog = 65_536;
/** Images a worker knows at once; then it forgets them all and is told again what it needs. */
const mostImagesKnown = 4096;
/** V8's stack of a worker, in MiB: async recursion to the engine's limit needs more than half of it. */
const stackSizeMb = 8;
/** How often the watchdog looks, and after how many looks at the same step the ones behind it are recalled. */
const watchMs = 10;
const slowLooks = 2;
/** What a step may take beyond its limit before its worker is terminated: the interpreter polls for interrupts far more often than this. */
const graceMs = 100;
/** Workers added at most while steps take long. */
const mostExtra = 4;
/** Workers that may be lost in a row without one answer in between. */
const mostLossesInARow = 8;
/** How long the main thread looks for answers after it submitted a step, before it waits for the worker to ring. */
const awakeMs = 0.1;
/** Effects up to this long are copied byte by byte. */
const shortBytes = 256;

export interface StepAnswer {
  readonly status: Status;
  /** The effects' frame, the caller's own. */
  readonly effects: Uint8Array | undefined;
  readonly detail: string;
  /** The worker that keeps the waiting machine. */
  readonly kept: PoolWorker | undefined;
  readonly cpuMs: number;
  /** Why it was lost. */
  readonly code?: MachineErrorCode;
}

export interface Job {
  readonly machine: EmbeddedMachine;
  readonly operation: number;
  readonly event: Event;
  readonly answer: (answer: StepAnswer) => void;
}

interface Submission {
  readonly number: number;
  /** Undefined for a drop, or when it was recalled. */
  job: Job | undefined;
}

/** What a step gets that no worker finished. */
export const lostAnswer = (code: MachineErrorCode): StepAnswer => ({
  status: "lost",
  effects: undefined,
  detail: "",
  kept: undefined,
  cpuMs: 0,
  code,
});

/**
 * The first bytes of a slot as the caller's own; short ones byte by byte, which costs less than a view and a call. Not from Node's pool: a
 * send that waits for its outlet would hold 8 KiB of it.
 */
function copied(data: Buffer, length: number): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(length);
  if (length > shortBytes) data.copy(copy, 0, 0, length);
  else for (let at = 0; at < length; at++) copy[at] = data[at] as number;
  return copy;
}

export class PoolWorker {
  readonly slots = new Slots();
  readonly outstanding: Submission[] = [];
  readonly machines = new Set<EmbeddedMachine>();
  readonly thread: Worker;
  answered = 0;
  #submitted = 0;
  #chunksGiven = 0;
  readonly #images = new Set<number>();
  readonly #large = new Map<number, Uint8Array>();
  readonly #drops: number[] = [];
  // What the watchdog saw last.
  watchedRunning = 0;
  watchedLooks = 0;
  watchedCpuMs = 0;
  watchedSinceMs = 0;
  interruptedMs: number | undefined;
  /** Why the pool ends it. */
  ending: MachineErrorCode | undefined;
  readonly #pool: Pool;

  constructor(pool: Pool, setup: Omit<WorkerSetup, "buffer">) {
    this.#pool = pool;
    const workerData: WorkerSetup = { ...setup, buffer: this.slots.buffer };
    this.thread = new Worker(new URL("./worker.js", import.meta.url), {
      workerData,
      name: "mayfly-machine",
      execArgv: [], // the process may have been started with flags that no worker can be
      resourceLimits: { stackSizeMb },
    });
    this.thread.on("message", (message: 0 | FromWorker) => {
      if (message !== 0) this.#large.set(message.submission, message.effects);
      this.#pool.drain(this);
    });
    this.thread.on("error", () => undefined); // "exit" follows and deals with it
    this.thread.on("exit", () => this.#pool.lost(this));
  }

  /** Its step has been running for a while. */
  get slow(): boolean {
    return this.watchedLooks >= slowLooks;
  }

  get free(): boolean {
    return this.outstanding.length < slotsPerWorker;
  }

  #post(message: ToWorker): void {
    this.thread.postMessage(message);
  }

  #teach(image: EmbeddedImage, store: PageStore): void {
    if (this.#images.has(image.slot)) return;
    for (; this.#chunksGiven < store.chunks.length; this.#chunksGiven++)
      this.#post({ kind: "chunk", buffer: store.chunks[this.#chunksGiven] as SharedArrayBuffer });
    if (this.#images.size >= mostImagesKnown) {
      this.#images.clear();
      this.#post({ kind: "forget" });
    }
    const { entries, stackPointer, memoryPages } = image.table;
    this.#post({ kind: "image", slot: image.slot, entries, stackPointer, memoryPages });
    this.#images.add(image.slot);
  }

  /** Fills the next slot. There must be a free one. */
  submit(job: Job, store: PageStore): void {
    const { machine, event } = job;
    if (job.operation === operation.start) this.#teach(machine.image, store);
    const number = this.#submitted;
    const header = this.slots.header(number);
    let length = encodeEventInto(this.slots.data(number), event);
    if (length < 0) {
      const frame = encodeEvent(event);
      const data = this.slots.data(number);
      length = frame.length <= data.length ? frame.length : -1;
      if (length >= 0) data.set(frame);
      else this.#post({ kind: "frame", submission: number, frame });
    }
    header[word.operation] = job.operation;
    header[word.machine] = machine.number;
    header[word.image] = machine.image.slot;
    header[word.length] = length;
    header[word.limitPages] = Math.floor(machine.limits.memoryBytes / wasmPageBytes);
    this.#publish({ number, job }, header);
  }

  #publish(submission: Submission, header: Int32Array): void {
    this.outstanding.push(submission);
    Atomics.store(header, word.state, slotState.queued);
    this.#submitted = nextSubmission(this.#submitted);
    Atomics.store(this.slots.control, control.submitted, this.#submitted);
    Atomics.notify(this.slots.control, control.submitted);
  }

  /** Forgets a waiting machine. */
  drop(machine: EmbeddedMachine): void {
    this.machines.delete(machine);
    this.#drops.push(machine.number);
    this.dropPending();
  }

  #dropNow(machine: number): void {
    const header = this.slots.header(this.#submitted);
    header[word.operation] = operation.drop;
    header[word.machine] = machine;
    this.#publish({ number: this.#submitted, job: undefined }, header);
  }

  dropPending(): void {
    while (this.free && this.#drops.length > 0) this.#dropNow(this.#drops.pop() as number);
  }

  /** The next answer, when there is one. */
  take(): { readonly job: Job | undefined; readonly answer: StepAnswer } | undefined {
    const submission = this.outstanding[0];
    if (submission === undefined) return undefined;
    const header = this.slots.header(submission.number);
    const state = Atomics.load(header, word.state);
    if (state !== slotState.done && state !== slotState.recalled) return undefined;
    const length = header[word.length] as number;
    const large = this.#large.get(submission.number);
    if (state === slotState.done && submission.job !== undefined && length < 0 && large === undefined) return undefined; // still on the port
    this.outstanding.shift();
    this.#large.delete(submission.number);
    Atomics.store(header, word.state, slotState.free);
    if (state === slotState.recalled || submission.job === undefined) return { job: undefined, answer: lostAnswer("MF_MACHINE_LOST") };
    const data = this.slots.data(submission.number);
    const effects = large ?? copied(data, length); // the slot is filled again
    const detailLength = header[word.detailLength] as number;
    const detail = detailLength === 0 ? "" : data.toString("utf8", length, length + detailLength);
    const status = statuses[header[word.status] as number] ?? "lost";
    const kept = header[word.kept] === 1 ? this : undefined;
    this.answered++;
    return { job: submission.job, answer: { status, effects, detail, kept, cpuMs: (header[word.cpuMicros] as number) / 1000 } };
  }

  /** The submission in a step now. */
  running(): Submission | undefined {
    const number = Atomics.load(this.slots.control, control.running) - 1;
    return number < 0 ? undefined : this.outstanding.find((submission) => submission.number === number);
  }

  /** Takes back the starts that have not begun. */
  recall(): Job[] {
    const jobs: Job[] = [];
    for (const submission of this.outstanding) {
      if (submission.job?.operation !== operation.start) continue;
      const header = this.slots.header(submission.number);
      if (Atomics.compareExchange(header, word.state, slotState.queued, slotState.recalled) !== slotState.queued) continue;
      jobs.push(submission.job);
      submission.job = undefined;
    }
    return jobs;
  }

  interrupt(number: number): void {
    Atomics.store(this.slots.control, control.interrupt, number + 1);
  }

  /** CPU time of the thread since it began, in milliseconds; the wall clock where the system does not tell. */
  cpuMs(): number {
    const thread = Atomics.load(this.slots.control, control.thread);
    if (thread > 0) {
      try {
        return Number(readFileSync(`/proc/self/task/${thread}/schedstat`, "latin1").split(" ")[0]) / 1e6;
      } catch {
        // Gone, or not told here.
      }
    }
    return performance.now();
  }
}

export class Pool {
  readonly workers: PoolWorker[] = [];
  replaced = 0;
  readonly #size: number;
  readonly #setup: Omit<WorkerSetup, "buffer">;
  readonly #store: PageStore;
  readonly #backlog = new Queue<Job>();
  #watchdog: NodeJS.Timeout | undefined;
  #lossesInARow = 0;
  #closed = false;
  /** Whether answers are looked for at every turn of the event loop, and until when. */
  #awake = false;
  #awakeUntilMs = 0;

  constructor(size: number, setup: Omit<WorkerSetup, "buffer">, store: PageStore) {
    this.#size = size;
    this.#setup = setup;
    this.#store = store;
    for (let i = 0; i < size; i++) this.workers.push(new PoolWorker(this, setup));
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
    for (const { slots } of this.workers) Atomics.store(slots.control, control.bell, 1);
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
    if (!this.#awake) Atomics.store(worker.slots.control, control.bell, 0);
    this.#takeAll(worker);
  }

  #takeAll(worker: PoolWorker): void {
    for (let next = worker.take(); next !== undefined; next = worker.take()) {
      this.#lossesInARow = 0;
      const { job, answer } = next;
      if (job === undefined) continue;
      if (answer.kept === undefined) worker.machines.delete(job.machine);
      else worker.machines.add(job.machine);
      job.answer(answer);
    }
    worker.dropPending();
    this.#feed();
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
    if (stuck && this.#backlog.length > 0 && this.workers.length < this.#size + mostExtra)
      this.workers.push(new PoolWorker(this, this.#setup));
  }

  /** Lets the added workers go that keep nothing. */
  #shrink(): void {
    for (const worker of this.workers.slice(this.#size)) {
      if (worker.outstanding.length > 0 || worker.machines.size > 0) continue;
      this.workers.splice(this.workers.indexOf(worker), 1);
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
    for (const machine of worker.machines) if (machine.home === worker) machine.home = undefined;
    worker.machines.clear();
    if (this.#closed) this.workers.splice(index, 1);
    else {
      this.replaced++;
      this.#lossesInARow++;
      assert(this.#lossesInARow <= mostLossesInARow, "workers keep dying before they answer");
      this.workers[index] = new PoolWorker(this, this.#setup);
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
