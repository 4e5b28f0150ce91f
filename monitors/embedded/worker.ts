/** A worker thread as the main thread sees it: its slots and what is in them, the machines that wait there, and the images it was told of. */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { assert } from "#base";
import { encodeEvent, encodeEventInto, type Event, type MachineErrorCode } from "#abi";
import type { FairJob } from "../fair-queue.ts";
import { noResult, type OwnedMachine, type StepResult } from "../machine.ts";
import type { MonitorMemory } from "../monitor.ts";
import { Ahead } from "./ahead.ts";
import { embeddedLimits } from "./limits.ts";
import type { PageStore } from "./page-store.ts";
import { StepWatch } from "./step-watch.ts";
import {
  control,
  frameHeadBytes,
  kib,
  type FromWorker,
  nextSubmission,
  operation,
  Slots,
  slotsPerWorker,
  slotState,
  statuses,
  wasmPageBytes,
  word,
  type WorkerSetup,
} from "./wire.ts";
import { type TaughtImage, WorkerPort } from "./worker-port.ts";

/** Effects up to this long are copied byte by byte. */
const shortBytes = 256;

export interface Seat {
  readonly number: number;
  readonly image: TaughtImage;
  readonly line: Line;
  /** Keeps the waiting machine. */
  home: PoolWorker | undefined;
  /** CPU time that running the machine again from its first event takes, in milliseconds. */
  replayMs: number;
}

export type EmbeddedMachine = OwnedMachine<Seat>;

/** A step. */
export interface Job extends FairJob<PoolWorker> {
  readonly machine: EmbeddedMachine;
  /** `step`: the machine's newest event, where it waits. `start`: all its events so far; the result of the last one is wanted. */
  readonly operation: number;
}

export type Line = Job["line"];

interface Submission {
  readonly number: number;
  /** Undefined for a drop, or when it was recalled. */
  job: Job | undefined;
  /** CPU time of the thread when it was asked to let others go first. */
  askedCpuMs?: number | undefined;
}

export interface Taken {
  /** Undefined when nobody waits for it. */
  readonly job: Job | undefined;
  readonly result: StepResult;
  /** Bytes it keeps of the machine, 0 if it does not keep it. */
  readonly keptBytes: number;
  /** The step was stopped to let others go first: it must run again. */
  readonly stopped: boolean;
}

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

const takenBack: Taken = { job: undefined, result: noResult("lost"), keptBytes: 0, stopped: false };

/** Listener for a worker's answers and its end. */
export interface WorkerOwner {
  drain(worker: PoolWorker): void;
  lost(worker: PoolWorker): void;
}

/** Starts the thread. Throws when the system has none to give. */
export type StartThread = (workerData: WorkerSetup) => Worker;

export const startThread: StartThread = (workerData) =>
  new Worker(new URL("./thread.js", import.meta.url), {
    workerData,
    name: "mayfly-machine",
    execArgv: [], // the process may have been started with flags that no worker can be
    resourceLimits: { stackSizeMb: embeddedLimits.stackSizeMb },
  });

export class PoolWorker {
  readonly slots = new Slots();
  readonly outstanding: Submission[] = [];
  /** Machines that wait here and the bytes they take, the one that has waited longest first. */
  readonly machines = new Map<EmbeddedMachine, number>();
  readonly thread: Worker;
  answered = 0;
  #submitted = 0;
  readonly #port: WorkerPort;
  #heldBytes = 0;
  readonly #memory: MonitorMemory;
  readonly #drops: number[] = [];
  readonly watch: StepWatch = new StepWatch();
  /** Why the pool ends it. */
  ending: MachineErrorCode | undefined;
  /** Added while steps take long; leaves when it idles. */
  isExtra = false;
  /** The reason of its end, for the log. */
  failure = "";
  readonly startedMs: number = performance.now();
  /** The likely duration of the steps in its slots, in milliseconds; and of each line. */
  aheadMs = 0;
  readonly #ahead = new Ahead<Line>();
  readonly #owner: WorkerOwner;

  /** Throws when there is no thread to be had. */
  constructor(owner: WorkerOwner, setup: Omit<WorkerSetup, "buffer">, memory: MonitorMemory, start: StartThread) {
    this.#owner = owner;
    this.#memory = memory;
    this.thread = start({ ...setup, buffer: this.slots.buffer });
    this.#port = new WorkerPort(this.thread, memory.workers);
    this.thread.on("message", (message: 0 | FromWorker) => {
      if (message !== 0 && "saved" in message) return this.#saved(message.saved, message.memory);
      if (message !== 0) this.#port.received(message);
      this.#owner.drain(this);
    });
    // "exit" follows both and deals with it; an answer that can't be read was lost, and the worker does not know.
    this.thread.on("error", (error: unknown) => (this.failure = error instanceof Error ? error.message : String(error)));
    this.thread.on("messageerror", (error) => {
      this.failure = error.message;
      void this.thread.terminate();
    });
    this.thread.on("exit", () => this.#owner.lost(this));
  }

  /** The thread is gone, told or not. */
  get gone(): boolean {
    return this.thread.threadId < 0;
  }

  /** The likely duration of a line's steps in its slots, in milliseconds. */
  aheadOf(line: Line): number {
    return this.#ahead.of(line);
  }

  #addAhead({ line }: Job, ms: number): void {
    this.#ahead.add(line, ms);
    this.aheadMs = this.#ahead.isEmpty ? 0 : this.aheadMs + ms;
  }

  /** True if it must ring when it has an answer. */
  rings(wanted: boolean): void {
    Atomics.store(this.slots.control, control.bell, wanted ? 0 : 1);
  }

  /** Its step has been running for a while. */
  get slow(): boolean {
    return this.watch.slow;
  }

  /** It takes slots; before, it is being started. */
  get ready(): boolean {
    return Atomics.load(this.slots.control, control.ready) === 1;
  }

  get free(): boolean {
    return this.outstanding.length < slotsPerWorker && !this.#port.full;
  }

  /** Bytes of the machines that wait here. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const each of this.machines.values()) bytes += each;
    return bytes;
  }

  /** Fills the next slot. There must be a free one. */
  submit(job: Job, store: PageStore): void {
    const { machine } = job;
    const { image } = machine.seat;
    if (job.operation === operation.start) this.#port.teach(image, store);
    const number = this.#submitted;
    const header = this.slots.header(number);
    header[word.frames] = 0;
    const length = this.#putEvents(number, job);
    header[word.operation] = job.operation;
    header[word.machine] = machine.seat.number;
    header[word.image] = image.slot;
    header[word.length] = length;
    header[word.limitPages] = Math.floor(machine.limits.memoryBytes / wasmPageBytes);
    this.#publish({ number, job }, header);
    this.#addAhead(job, job.chargedMs);
  }

  /** The bytes of the frame in the slot; −1 when it went over the port. */
  #putEvents(number: number, { operation: what, machine: { events, memory } }: Job): number {
    const event = events.at(-1);
    assert(event !== undefined, "a machine that is not over has an event");
    if (what === operation.start && memory !== undefined)
      return this.#port.postFrames(number, events.slice(memory.events).map(encodeEvent), new Uint8Array(memory.saved));
    if (what === operation.start && events.length > 1) return this.#putFrames(number, events);
    const data = this.slots.data(number);
    const length = encodeEventInto(data, event);
    if (length >= 0) return length;
    const frame = encodeEvent(event);
    if (frame.length > data.length) return this.#port.postFrames(number, [frame]);
    data.set(frame);
    return frame.length;
  }

  #putFrames(number: number, events: readonly Event[]): number {
    const data = this.slots.data(number);
    let at = 0;
    for (const event of events) {
      const length = at + frameHeadBytes > data.length ? -1 : encodeEventInto(data.subarray(at + frameHeadBytes), event);
      if (length < 0) return this.#port.postFrames(number, events.map(encodeEvent));
      data.writeUInt32LE(length, at);
      at += frameHeadBytes + length;
    }
    this.slots.header(number)[word.frames] = events.length;
    return at;
  }

  #publish(submission: Submission, header: Int32Array): void {
    this.outstanding.push(submission);
    Atomics.store(header, word.state, slotState.queued);
    this.#submitted = nextSubmission(this.#submitted);
    Atomics.store(this.slots.control, control.submitted, this.#submitted);
    Atomics.notify(this.slots.control, control.submitted);
  }

  /** The machine waits here, or does no more: then `bytes` is 0. */
  keeps(machine: EmbeddedMachine, bytes: number): void {
    const before = this.machines.get(machine);
    if (before !== undefined) {
      this.#memory.waiting.give(before);
      this.machines.delete(machine);
      machine.seat.home = undefined;
    }
    if (bytes === 0) return;
    this.machines.set(machine, bytes);
    machine.seat.home = this;
    this.#memory.waiting.force(bytes);
  }

  readonly #saves = new Map<number, (memory: Uint8Array | undefined) => void>();

  /** The memory of a machine that waits here; undefined where there is no room to ask. */
  save(machine: EmbeddedMachine): Promise<Uint8Array | undefined> | undefined {
    const { number } = machine.seat;
    if (!this.free || this.gone || !this.machines.has(machine) || this.#saves.has(number)) return undefined;
    const header = this.slots.header(this.#submitted);
    header[word.operation] = operation.save;
    header[word.machine] = number;
    this.#publish({ number: this.#submitted, job: undefined }, header);
    return new Promise((resolve) => this.#saves.set(number, resolve));
  }

  #saved(machine: number, memory: Uint8Array | undefined): void {
    this.#saves.get(machine)?.(memory);
    this.#saves.delete(machine);
    this.#owner.drain(this);
  }

  /** It is gone, and what it held with it. */
  ended(): void {
    for (const machine of [...this.#saves.keys()]) this.#saves.get(machine)?.(undefined);
    this.#saves.clear();
    for (const machine of [...this.machines.keys()]) this.keeps(machine, 0);
    this.#port.ended();
    this.#holds(0);
  }

  #holds(bytes: number): void {
    if (bytes === this.#heldBytes) return;
    if (bytes > this.#heldBytes) this.#memory.workers.force(bytes - this.#heldBytes);
    else this.#memory.workers.give(this.#heldBytes - bytes);
    this.#heldBytes = bytes;
  }

  /** Forgets a waiting machine. */
  drop(machine: EmbeddedMachine): void {
    this.keeps(machine, 0);
    this.#drops.push(machine.seat.number);
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
  take(): Taken | undefined {
    const submission = this.outstanding[0];
    if (submission === undefined) return undefined;
    const header = this.slots.header(submission.number);
    if (Atomics.load(header, word.state) !== slotState.done) return undefined;
    const length = header[word.length] as number;
    const large = this.#port.effects(submission.number);
    if (submission.job !== undefined && length < 0 && large === undefined) return undefined; // still on the port
    this.outstanding.shift();
    this.watch.reset();
    this.#port.done(submission.number);
    this.#holds((this.slots.control[control.heldPages] as number) * wasmPageBytes);
    Atomics.store(header, word.state, slotState.free);
    if (submission.job === undefined) return takenBack;
    if (large !== undefined) this.#taken(large.length);
    const data = this.slots.data(submission.number);
    const effects = large ?? copied(data, length); // the slot is filled again
    const detailLength = header[word.detailLength] as number;
    const detail = detailLength === 0 ? "" : data.toString("utf8", length, length + detailLength);
    const status = statuses[header[word.status] as number] ?? "lost";
    const keptBytes = header[word.keptBytes] as number;
    this.answered++;
    this.#addAhead(submission.job, -submission.job.chargedMs);
    const cpuMs = (header[word.cpuMicros] as number) / 1000;
    const result = { status, effects, detail, cpuMs, memoryPages: header[word.memoryPages] as number };
    return { job: submission.job, result, keptBytes, stopped: submission.askedCpuMs !== undefined && status === "interrupted" };
  }

  #taken(bytes: number): void {
    Atomics.add(this.slots.control, control.takenKib, kib(bytes));
    Atomics.notify(this.slots.control, control.takenKib);
  }

  /** The submission in a step now. */
  running(): Submission | undefined {
    const number = Atomics.load(this.slots.control, control.running) - 1;
    return number < 0 ? undefined : this.outstanding.find((submission) => submission.number === number);
  }

  /** Takes back those of the steps that have not begun. */
  recall(which: (job: Job) => boolean): Job[] {
    const jobs: Job[] = [];
    for (const submission of this.outstanding) {
      if (submission.job === undefined || !which(submission.job)) continue;
      const header = this.slots.header(submission.number);
      if (Atomics.compareExchange(header, word.state, slotState.queued, slotState.recalled) !== slotState.queued) continue;
      jobs.push(submission.job);
      this.#addAhead(submission.job, -submission.job.chargedMs);
      submission.job = undefined;
    }
    return jobs;
  }

  interrupt(number: number): void {
    Atomics.store(this.slots.control, control.interrupt, number + 1);
  }

  /** Stops the step that runs, which will be run again, to let others go first. */
  stop(): void {
    const running = this.running();
    if (running === undefined) return;
    running.askedCpuMs = this.cpuMs();
    this.interrupt(running.number);
  }

  /** The step that runs was asked to let others go first: it is about to (`asked`), or it is deep in one native call (`deaf`). */
  get stopping(): "asked" | "deaf" | undefined {
    const asked = this.running()?.askedCpuMs;
    if (asked === undefined) return undefined;
    return this.cpuMs() - asked < embeddedLimits.graceMs ? "asked" : "deaf";
  }

  /** Has a step that can't be stopped again. */
  get runsStopped(): boolean {
    return this.outstanding.some(({ job }) => job?.stopped === true);
  }

  /** Looks at the step that runs, and stops it at its limit. */
  look(): void {
    const running = this.running();
    const limitMs = running?.job?.machine.limits.cpuMs;
    const due = this.watch.look({
      running: running === undefined || limitMs === undefined ? 0 : running.number + 1,
      begun: Atomics.load(this.slots.control, control.begun),
      limitMs: limitMs ?? 0,
      cpuMs: () => this.cpuMs(),
    });
    if (due === "interrupt" && running !== undefined) {
      running.askedCpuMs = undefined;
      this.interrupt(running.number);
    }
    if (due !== "terminate" || this.ending !== undefined) return;
    this.ending = "MF_CPU_LIMIT";
    void this.thread.terminate();
  }

  /** The result of the step that ran when it ended. */
  epitaph(): StepResult {
    const status = this.ending === "MF_CPU_LIMIT" ? "interrupted" : "lost";
    return { ...noResult(status, this.ending, this.failure), cpuMs: this.watch.elapsedMs, endedWorker: true };
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
