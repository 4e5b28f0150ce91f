/**
 * A list linked through its items, oldest first. Adding and removing allocate nothing, and an item that was removed refers to no other.
 *
 * Not a Set: one whose members come and go makes a new table every few dozen of them, and V8's old table refers to the new one. Once a table
 * lies in the old generation, each that follows it survives collections of the young one, with all that its members hold.
 */
import { assert } from "#base";

export interface Linked<T> {
  older: T | undefined;
  newer: T | undefined;
}

export class Chain<T extends Linked<T>> {
  #oldest: T | undefined;
  #newest: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** An item that is in no chain. */
  add(item: T): void {
    assert(item.older === undefined && item !== this.#oldest, "an item is in one chain, once");
    item.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.newer = item;
    this.#newest = item;
    this.#size += 1;
  }

  /** An item of this chain. */
  remove(item: T): void {
    const { older, newer } = item;
    assert(older !== undefined || this.#oldest === item, "only an item of the chain is removed");
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    item.older = undefined;
    item.newer = undefined;
    this.#size -= 1;
  }

  /** A copy: items may be removed while it is gone through. */
  all(): T[] {
    const items: T[] = [];
    for (let item = this.#oldest; item !== undefined; item = item.newer) items.push(item);
    return items;
  }
}
