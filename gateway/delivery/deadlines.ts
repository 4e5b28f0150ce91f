/**
 * Wall-time limits without a timer each: a list of what is under way, ordered by deadline, and one timer for its head.
 * Messages of one flow have the same limit, so adding is at the tail and removing is unlinking; both cost nothing to speak of.
 */
import type { Clock } from "#base";

export interface Deadline {
  deadlineMs: number;
  before: Deadline | undefined;
  after: Deadline | undefined;
  /** The time is over; it is off the list already. */
  expired(): void;
}

const coarseMs = 10; // a deadline is found at most this late

export class Deadlines {
  readonly #clock: Clock;
  #first: Deadline | undefined;
  #last: Deadline | undefined;
  #armed: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(item: Deadline): void {
    let before = this.#last;
    while (before !== undefined && before.deadlineMs > item.deadlineMs) before = before.before; // only after a limit was lowered
    const after = before === undefined ? this.#first : before.after;
    item.before = before;
    item.after = after;
    if (before === undefined) this.#first = item;
    else before.after = item;
    if (after === undefined) this.#last = item;
    else after.before = item;
    if (this.#armed === undefined || after !== undefined) this.#arm();
  }

  remove(item: Deadline): void {
    if (item.before === undefined) {
      if (this.#first !== item) return; // not on the list
      this.#first = item.after;
    } else item.before.after = item.after;
    if (item.after === undefined) this.#last = item.before;
    else item.after.before = item.before;
    item.before = undefined;
    item.after = undefined;
  }

  /** Nothing is under way any more: takes the timer back. */
  close(): void {
    this.#armed?.();
    this.#armed = undefined;
  }

  #arm(): void {
    const first = this.#first;
    if (first === undefined) return;
    this.#armed?.();
    this.#armed = this.#clock.after(Math.max(first.deadlineMs - this.#clock.monotonicMs(), coarseMs), () => this.#check());
  }

  #check(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#armed = undefined;
    for (let item = this.#first; item !== undefined && item.deadlineMs <= nowMs; item = this.#first) {
      this.remove(item);
      item.expired();
    }
    if (this.#armed === undefined) this.#arm();
  }
}
