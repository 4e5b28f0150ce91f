/**
 * A heap of numbers from which nothing is taken out at once: what does not hold any more is passed over when it comes to the top, and when
 * most of it is such it is made anew. `holds` tells whether a number stands there rightly, with that date.
 */
import { DueHeap } from "./due-heap.ts";

export type Holds = (number: number, dueMs: number) => boolean;

export class LazyHeap {
  #heap = new DueHeap();
  /** Numbers that were added and not removed. */
  live = 0;

  add(number: number, dueMs: number, holds: Holds): void {
    this.#heap.add(number, dueMs);
    if (this.#heap.size > 2 * this.live + 16) this.#clean(holds);
  }

  /** The date of the first that holds. */
  firstMs(holds: Holds): number | undefined {
    return this.#first(holds) === undefined ? undefined : this.#heap.firstMs;
  }

  first(holds: Holds): number | undefined {
    return this.#first(holds);
  }

  /** The first ones with a date up to `dueMs`. */
  upTo(dueMs: number, most: number, holds: Holds): number[] {
    const found: { readonly number: number; readonly dueMs: number }[] = [];
    while (found.length < most) {
      const number = this.#first(holds);
      const firstMs = this.#heap.firstMs;
      if (number === undefined || firstMs === undefined || firstMs > dueMs) break;
      this.#heap.take();
      if (found.at(-1)?.number !== number) found.push({ number, dueMs: firstMs });
    }
    for (const each of found) this.#heap.add(each.number, each.dueMs);
    return found.map(({ number }) => number);
  }

  #first(holds: Holds): number | undefined {
    for (;;) {
      const number = this.#heap.firstNumber;
      const dueMs = this.#heap.firstMs;
      if (number === undefined || dueMs === undefined || holds(number, dueMs)) return number;
      this.#heap.take();
    }
  }

  #clean(holds: Holds): void {
    const clean = new DueHeap();
    let last = Number.NaN;
    for (let dueMs = this.#heap.firstMs; dueMs !== undefined; dueMs = this.#heap.firstMs) {
      const number = this.#heap.take() ?? 0;
      if (number === last || !holds(number, dueMs)) continue;
      clean.add(number, dueMs);
      last = number;
    }
    this.#heap = clean;
  }
}
