/**
 * The processes of one image and what is submitted to them.
 *
 *   submit → backlog (bounded) → a process's requests (16, first in first out) → answer
 *
 * A step of a waiting machine goes to the process that keeps it. The watchdog looks at what runs: behind a slow
 * step the starts are taken back and given to other processes; a step that goes on beyond its CPU limit, though the engine was asked to stop,
 * or beyond the message's time, is ended by ending its process. What was queued there runs elsewhere, what waited there is
 * replayed.
 */
import { assert, Queue } from "#base";
import type { Program } from "#compiler";
import type { FlowLimits } from "#abi";
import { Losses } from "../losses.ts";
import { type MachineHost, noResult, type StepResult } from "../machine.ts";
import { processLimits } from "./limits.ts";
import { Child, type ChildOwner, type Job, type Launch, type ProcessMachine, type Seat } from "./worker.ts";
import { operation } from "./wire.ts";

/** Shared by the pools of all images. */
export interface Household {
  readonly workers: number;
  /** False: a process runs one machine and is ended with it. */
  readonly reuse: boolean;
  /** True if there is room for one more process. If not, one is ended if possible, and then all pools are fed. */
  room(asker: ImagePool): boolean;
  /** False while steps that were stopped once keep all processes but one: that one is for the others. */
  roomForStopped(): boolean;
  /** So many more bytes are held for waiting machines, or fewer. */
  held(bytes: number): void;
  /** Puts off the machines that have waited longest while all hold more than they may. */
  evict(): void;
  /** Something was submitted or started: watch. */
  wake(): void;
  born(child: Child): void;
  lost(child: Child): void;
}

export class ImagePool implements ChildOwner, MachineHost<Seat> {
  readonly children: Child[] = [];
  /** Machines that are not over. */
  readonly machines = new Set<ProcessMachine>();
  waiting = 0;
  readonly launch: Launch;
  readonly program: Program | undefined;
  replaced = 0;
  /** CPU time in relation to other flows', while all want more than there is. */
  weight = 1;
  /** Called when nothing of the image runs or waits any more. */
  onEmpty: (() => void) | undefined;
  readonly #household: Household;
  readonly #backlog = new Queue<Job>();
  /** Starts that were stopped once to let another flow have a process. */
  readonly #stopped = new Queue<Job>();
  #failedStarts = 0;
  readonly #losses = new Losses();
  #closed = false;

  constructor(household: Household, launch: Launch, program: Program | undefined) {
    this.#household = household;
    this.launch = launch;
    this.program = program;
  }

  get queued(): number {
    const inside = this.children.reduce((sum, { outstanding }) => sum + Math.max(0, outstanding.length - 1), 0);
    return this.#backlog.length + this.#stopped.length + inside;
  }

  /** It could use another process, for something that was never stopped. */
  get starves(): boolean {
    return this.#backlog.length > 0 && this.children.length < this.#household.workers && !this.#losses.rests;
  }

  get busy(): boolean {
    return this.#backlog.length + this.#stopped.length > 0 || this.children.some(({ idle, greeted }) => !idle || !greeted);
  }

  run(machine: ProcessMachine): void {
    if (this.#closed) return machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
    this.machines.add(machine);
    const { home } = machine.seat;
    // To where the machine is kept, however much is queued there: there are no more such steps than machines that wait.
    if (home !== undefined && !home.closed) home.submit({ machine, operation: operation.step });
    else {
      if (this.#backlog.length >= processLimits.backlog) return machine.answered(noResult("lost", "MF_MONITOR_BUSY"));
      (machine.stopped ? this.#stopped : this.#backlog).push({ machine, operation: operation.start });
      this.feed();
    }
    this.#household.wake();
  }

  interrupt(): void {
    // The step goes on to its end or its CPU limit: to stop it, its process and whatever waits there would have to go.
  }

  release(machine: ProcessMachine): void {
    machine.seat.home?.drop(machine);
  }

  ended(machine: ProcessMachine): void {
    if (this.machines.delete(machine) && this.machines.size === 0) this.onEmpty?.();
  }

  /** Starts another process when there is room. */
  start(): Child | undefined {
    if (this.#closed || this.#losses.rests || !this.#household.room(this)) return undefined;
    const child = new Child(this, this.launch);
    this.children.push(child);
    this.#household.born(child);
    this.#household.wake();
    return child;
  }

  /** The process with the fewest requests; the one that is first keeps its caches warm when the load is light. */
  #leastBusy(): Child | undefined {
    let best: Child | undefined;
    let quick = 0;
    for (const child of this.children) {
      if (child.slow) continue;
      quick++;
      if (child.free && (best === undefined || child.outstanding.length < best.outstanding.length)) best = child;
    }
    if (!this.#household.reuse) return best ?? this.start();
    const most = quick === 0 ? this.#household.workers + processLimits.extraProcesses : this.#household.workers;
    if ((best === undefined || best.outstanding.length >= processLimits.busyRequests) && this.children.length < most)
      best = this.start() ?? best;
    return best;
  }

  /** Hands out what waits. */
  feed(): void {
    for (let queue = this.#next(); queue !== undefined; queue = this.#next()) {
      const job = queue.peek() as Job;
      if (job.machine.over) {
        queue.shift();
        job.machine.answered(noResult("lost", "MF_MACHINE_ENDED"));
        continue;
      }
      const child = this.#leastBusy();
      if (child === undefined) return;
      child.submit(job);
      queue.shift();
      if (this.#household.reuse) continue;
      child.leaving = true;
      // The next one starts while this one works.
      if (this.children.every(({ leaving }) => leaving) && this.children.length < processLimits.processesAhead) this.start();
    }
  }

  /** The queue whose turn it is. */
  #next(): Queue<Job> | undefined {
    if (this.#stopped.length > 0 && this.#household.roomForStopped()) return this.#stopped;
    return this.#backlog.length > 0 ? this.#backlog : undefined;
  }

  /** Puts starts that were handed out before all others. */
  #putBack(jobs: readonly Job[]): void {
    this.#stopped.unshift(jobs.filter(({ machine }) => machine.stopped));
    this.#backlog.unshift(jobs.filter(({ machine }) => !machine.stopped));
  }

  held(bytes: number): void {
    this.#household.held(bytes);
  }

  drained(child: Child): void {
    this.#household.evict();
    if (child.greeted) this.#failedStarts = 0;
    if (this.#losses.any && child.answered > 0) this.#losses.recovered();
    const done = child.idle && (this.#household.reuse || child.machines.size === 0);
    if (child.leaving && done && !child.closed) this.retire(child);
    this.feed();
  }

  /** `priority`: of its processes, for the system. */
  watch(priority: number): void {
    for (const child of [...this.children]) {
      child.prioritise(priority);
      this.#watchChild(child);
    }
    this.feed();
    this.#shrink();
  }

  #watchChild(child: Child): void {
    if (!child.greeted) {
      if (performance.now() - child.startedMs > processLimits.startMs) child.kill();
      return;
    }
    const running = child.outstanding[0];
    if (running === undefined) {
      child.watchedNumber = -1;
      return;
    }
    if (running.number !== child.watchedNumber) {
      child.watchedNumber = running.number;
      child.watchedCpuMs = child.cpuMs();
      child.watchedSinceMs = performance.now();
      return;
    }
    const usedMs = child.cpuMs() - child.watchedCpuMs;
    const elapsedMs = performance.now() - child.watchedSinceMs;
    child.slow ||= usedMs > processLimits.slowCpuMs || elapsedMs > processLimits.slowWallMs;
    if (child.slow) this.#putBack(child.recall());
    if (child.ending === undefined) this.#enforce(child, running.limits, usedMs, elapsedMs);
  }

  #enforce(child: Child, limits: FlowLimits, usedMs: number, elapsedMs: number): void {
    if (usedMs > limits.cpuMs + processLimits.graceMs) child.ending = "MF_CPU_LIMIT";
    else if (elapsedMs > limits.timeMs + processLimits.graceMs) child.ending = "MF_TIME_LIMIT";
    else return;
    child.endingNumber = child.watchedNumber;
    child.kill();
  }

  /** Lets the added processes go that keep nothing. */
  #shrink(): void {
    if (!this.#household.reuse) return;
    for (const child of this.children.slice(this.#household.workers)) if (child.idle && child.machines.size === 0) this.retire(child);
  }

  /** Ends an idle process. What waits in it will be replayed. */
  retire(child: Child): void {
    assert(child.idle, "only an idle process is retired");
    child.kill();
  }

  lost(child: Child): void {
    const index = this.children.indexOf(child);
    assert(index >= 0, "a process is lost once");
    this.children.splice(index, 1);
    for (const { seat } of child.machines) if (seat.home === child) seat.home = undefined;
    child.machines.clear();
    const [running, ...others] = child.outstanding.splice(0);
    const behind = new Set(others.flatMap(({ job }) => (job === undefined || job === running?.job ? [] : [job])));
    const guilty = running !== undefined && !child.makesWay;
    if (guilty) this.replaced++;
    if (this.#closed) {
      for (const job of [running?.job, ...behind]) job?.machine.answered(noResult("lost", "MF_MONITOR_CLOSED"));
      return this.#household.lost(child);
    }
    if (guilty && child.greeted) this.#losses.lost();
    else if (!child.greeted && ++this.#failedStarts > processLimits.failedStarts) this.#giveUp();
    this.#putBack([...behind].filter((job) => job.operation === operation.start));
    for (const { operation: what, machine } of behind) if (what === operation.step) machine.answered(noResult("displaced"));
    running?.job?.machine.answered(child.epitaph(running.number));
    this.feed();
    this.#household.lost(child);
  }

  /** Processes end before they greet: what waits for them would wait for ever. */
  #giveUp(): void {
    this.#failedStarts = 0;
    this.#refuse(noResult("lost", "MF_MACHINE_LOST", "its processes end before they answer"));
  }

  #refuse(result: StepResult): void {
    for (const queue of [this.#stopped, this.#backlog])
      for (let job = queue.shift(); job !== undefined; job = queue.shift()) job.machine.answered(result);
  }

  /** Ends every process. */
  close(): void {
    this.#closed = true;
    this.#refuse(noResult("lost", "MF_MONITOR_CLOSED"));
    for (const child of this.children) child.kill();
  }
}
