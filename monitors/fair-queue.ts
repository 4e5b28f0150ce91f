/**
 * Jobs of many flows, taken in turn: deficit round robin over the CPU time their steps take.
 *
 *     share ──▶ line: credit, and jobs in their order
 *                  jobs for one place only (the next step of a machine that waits there),
 *                  jobs that were stopped once to let others go first, jobs for any place (starts)
 *
 * A line with credit gives its jobs; each costs what a step of the line lately took, corrected once it has run. When no line that could give
 * one has credit left, all get as many rounds of it as the nearest needs. So a flow of 200 ms steps gives one and then waits until the
 * others have used as much. A debt is kept while others wait, and forgiven as soon as nobody does.
 */
import { assert, Queue } from "#base";
import { Losses } from "./losses.ts";

/** Owner of the job: one object for each flow. */
export interface Share {
  readonly name: string;
  /** CPU time in relation to the other flows', while all want more than there is. */
  readonly weight: number;
}

/** The jobs of a line that may be taken: each level has those of the levels before it. */
export const reach = {
  nothing: 0,
  /** Jobs for this place only. */
  placed: 1,
  /** And those for any place. */
  fresh: 2,
  /** And those that were stopped once. */
  all: 3,
} as const;
export type Reach = (typeof reach)[keyof typeof reach];

/** Credit of one round at weight 1, in milliseconds. */
const quantumMs = 1;
/** Estimate for the first step of a line, in milliseconds. */
const firstStepMs = 0.2;
/** The estimate rises to what a step took at once and falls slowly: a flow whose steps are long now and then counts as a flow of long steps. */
const falling = 0.8;

export class Line<Job extends { readonly stopped: boolean }, Place> {
  readonly share: Share;
  creditMs = 0;
  /** Steps given out and not yet answered. */
  underWay = 0;
  /** The estimated duration of a step. */
  stepMs = firstStepMs;
  /** While there are any, its steps run one at a time, with pauses. */
  readonly losses = new Losses();
  length = 0;
  /** The round its credit is of. */
  round = 0;
  readonly #anywhere = new Queue<Job>();
  readonly #stopped = new Queue<Job>();
  readonly #placed = new Map<Place, Queue<Job>>();

  constructor(share: Share) {
    this.share = share;
  }

  get quantumMs(): number {
    return quantumMs * this.share.weight;
  }

  /** False while its steps are held back because they ended workers. */
  get mayRun(): boolean {
    return !this.losses.any || (this.underWay === 0 && !this.losses.rests);
  }

  push(job: Job, place: Place | undefined): void {
    this.length += 1;
    if (place === undefined) return (job.stopped ? this.#stopped : this.#anywhere).push(job);
    const queue = this.#placed.get(place);
    if (queue === undefined) this.#placed.set(place, queueOf(job));
    else queue.push(job);
  }

  putBack(job: Job): void {
    this.length += 1;
    (job.stopped ? this.#stopped : this.#anywhere).unshift([job]);
  }

  get holdsStopped(): boolean {
    return this.#stopped.length > 0;
  }

  /** `place` undefined: any job that is bound to none. */
  has(place: Place | undefined, level: Reach): boolean {
    if (level >= reach.fresh && this.#anywhere.length > 0) return true;
    if (level >= reach.placed && place !== undefined && this.#placed.has(place)) return true;
    return level >= reach.all && this.#stopped.length > 0;
  }

  /** Machines that wait come first: they hold memory. */
  shift(place: Place | undefined, level: Reach): Job | undefined {
    const queue = place === undefined ? undefined : this.#placed.get(place);
    const job =
      queue?.shift() ??
      (level >= reach.all ? this.#stopped.shift() : undefined) ??
      (level >= reach.fresh ? this.#anywhere.shift() : undefined);
    if (place !== undefined && queue?.length === 0) this.#placed.delete(place);
    if (job !== undefined) this.length -= 1;
    return job;
  }

  /** Takes out jobs that are for one place only. */
  displace(place: Place, which: (job: Job) => boolean): Job[] {
    const queue = this.#placed.get(place);
    if (queue === undefined) return [];
    this.#placed.delete(place);
    const [jobs, others] = [[] as Job[], [] as Job[]];
    for (const job of allOf(queue)) (which(job) ? jobs : others).push(job);
    queue.unshift(others);
    if (others.length > 0) this.#placed.set(place, queue);
    this.length -= jobs.length;
    return jobs;
  }

  clear(): Job[] {
    const jobs = [...this.#placed.values(), this.#stopped, this.#anywhere].flatMap(allOf);
    this.#placed.clear();
    this.length = 0;
    return jobs;
  }
}

function queueOf<T>(item: T): Queue<T> {
  const queue = new Queue<T>();
  queue.push(item);
  return queue;
}

function allOf<T>(queue: Queue<T>): T[] {
  const items: T[] = [];
  while (queue.length > 0) items.push(queue.shift() as T);
  return items;
}

export interface FairJob<Place> {
  readonly line: Line<FairJob<Place>, Place>;
  /** It was stopped once to let others go first, and is not again. */
  stopped: boolean;
  /** The line's charge for it, in milliseconds. */
  chargedMs: number;
}

export class FairQueue<Job extends FairJob<Place>, Place> {
  readonly #lines = new WeakMap<Share, Line<Job, Place>>();
  /** Lines with jobs. */
  readonly #active: Line<Job, Place>[] = [];
  #cursor = 0;
  #round = 0;
  length = 0;

  line(share: Share): Line<Job, Place> {
    let line = this.#lines.get(share);
    if (line === undefined) {
      line = new Line(share);
      this.#lines.set(share, line);
    }
    return line;
  }

  /** `place`: the only one that can take it; undefined: any. */
  push(job: Job, place: Place | undefined): void {
    const line = this.#activate(job);
    line.push(job, place);
    this.length += 1;
  }

  /** Puts jobs that were given out, and not begun, before all others of their lines. */
  putBack(jobs: readonly Job[]): void {
    for (const job of [...jobs].reverse()) {
      this.#refund(job);
      this.#activate(job).putBack(job);
      this.length += 1;
    }
  }

  /** True when a line that passes `may` has a job for any place that was never stopped. */
  some(may: (line: Line<Job, Place>) => boolean): boolean {
    return this.#active.some((line) => line.has(undefined, reach.fresh) && may(line));
  }

  /** The next job for a place; `levelOf` says which of a line's jobs it may have. */
  take(place: Place | undefined, levelOf: (line: Line<Job, Place>) => Reach): Job | undefined {
    for (;;) {
      let rounds = Number.POSITIVE_INFINITY;
      for (let looked = 0; looked < this.#active.length; looked++) {
        const line = this.#active[this.#cursor] as Line<Job, Place>;
        const level = levelOf(line);
        if (line.has(place, level)) {
          if (line.creditMs > 0) return this.#takeFrom(line, place, level);
          rounds = Math.min(rounds, Math.floor(-line.creditMs / line.quantumMs) + 1);
        }
        this.#cursor = (this.#cursor + 1) % this.#active.length;
      }
      if (rounds === Number.POSITIVE_INFINITY) return undefined;
      this.#round += rounds;
      for (const line of this.#active) this.#catchUp(line);
    }
  }

  /** A job is given out without having waited: nobody waits, so that no debt is held against its line. */
  passes(job: Job): void {
    const line = this.#lineOf(job);
    line.round = this.#round;
    line.creditMs = line.quantumMs;
    this.#charge(job);
  }

  /** A job that was given out took so much CPU time. */
  settle(job: Job, usedMs: number): void {
    const line = this.#lineOf(job);
    line.stepMs = usedMs > line.stepMs ? usedMs : line.stepMs * falling + usedMs * (1 - falling);
    this.#refund(job, usedMs);
  }

  /** Takes out jobs that are for this place only: all of them when it is gone. */
  displace(place: Place, which: (job: Job) => boolean = () => true): Job[] {
    return this.#remove((line) => line.displace(place, which));
  }

  clear(): Job[] {
    return this.#remove((line) => line.clear());
  }

  #remove(from: (line: Line<Job, Place>) => Job[]): Job[] {
    const jobs = [...this.#active].flatMap((line) => {
      const removed = from(line);
      if (line.length === 0) this.#deactivate(line);
      return removed;
    });
    this.length -= jobs.length;
    return jobs;
  }

  #activate(job: Job): Line<Job, Place> {
    const line = this.#lineOf(job);
    if (line.length === 0) {
      this.#catchUp(line);
      this.#active.push(line);
    }
    return line;
  }

  #deactivate(line: Line<Job, Place>): void {
    const index = this.#active.indexOf(line);
    assert(index >= 0, "a line is taken out once");
    this.#active.splice(index, 1);
    if (this.#cursor > index) this.#cursor -= 1;
    if (this.#cursor >= this.#active.length) this.#cursor = 0;
  }

  /** Gives a line the rounds since its last; at most one of them can be saved up. */
  #catchUp(line: Line<Job, Place>): void {
    line.creditMs = Math.min(line.quantumMs, line.creditMs + (this.#round - line.round) * line.quantumMs);
    line.round = this.#round;
  }

  #takeFrom(line: Line<Job, Place>, place: Place | undefined, level: Reach): Job {
    const job = line.shift(place, level);
    assert(job !== undefined, "a line that has a job gives it");
    this.length -= 1;
    if (line.length === 0) this.#deactivate(line);
    this.#charge(job);
    return job;
  }

  #charge(job: Job): void {
    const line = this.#lineOf(job);
    line.underWay += 1;
    job.chargedMs = line.stepMs;
    line.creditMs -= line.stepMs;
  }

  #refund(job: Job, usedMs = 0): void {
    const line = this.#lineOf(job);
    line.underWay -= 1;
    line.creditMs = Math.min(line.quantumMs, line.creditMs + job.chargedMs - usedMs);
  }

  #lineOf(job: Job): Line<Job, Place> {
    return job.line as unknown as Line<Job, Place>;
  }
}
