/** A clock that moves only when told to; tasks run in the order they are due. Its wall clock can be set, as an operator would. */
import type { Clock } from "#base";

interface Task {
  readonly dueMs: number;
  readonly number: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #setByMs = 0;
  #made = 0;
  readonly #tasks = new Set<Task>();

  constructor(nowMs = 1_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs + this.#setByMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Sets the wall clock forward, or back by a negative number; nothing that has a duration may notice. */
  jump(byMs: number): void {
    this.#setByMs += byMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const task: Task = { dueMs: this.#nowMs + Math.max(delayMs, 0), number: this.#made++, run };
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }

  /** Tasks that wait. */
  get waiting(): number {
    return this.#tasks.size;
  }

  /** When the next task is due, by the monotonic clock; undefined when none waits. */
  get nextMs(): number | undefined {
    return this.#first()?.dueMs;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let task = this.#first(); task !== undefined && task.dueMs <= untilMs; task = this.#first()) {
      this.#tasks.delete(task);
      this.#nowMs = Math.max(this.#nowMs, task.dueMs);
      task.run();
    }
    this.#nowMs = untilMs;
  }

  #first(): Task | undefined {
    let first: Task | undefined;
    for (const task of this.#tasks)
      if (first === undefined || task.dueMs < first.dueMs || (task.dueMs === first.dueMs && task.number < first.number)) first = task;
    return first;
  }
}
