/**
 * A Map for entries that come and go: each value lies in a cell, which is emptied when the entry is deleted.
 *
 * A Map makes a new table every few dozen entries, and V8's old table refers to the new one. Once a table lies in the old generation, each
 * that follows it survives collections of the young one, with the entries it had then. So what a deleted entry held would be kept until all
 * of the old generation is collected; here an empty cell is.
 */

interface Cell<V> {
  value: V | undefined;
}

export class CellMap<K, V> implements Iterable<readonly [K, V]> {
  readonly #cells = new Map<K, Cell<V>>();

  get size(): number {
    return this.#cells.size;
  }

  has(key: K): boolean {
    return this.#cells.has(key);
  }

  get(key: K): V | undefined {
    return this.#cells.get(key)?.value;
  }

  /** A key that is there keeps its place in the order. */
  set(key: K, value: V): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { value });
    else cell.value = value;
  }

  delete(key: K): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    return this.#cells.delete(key);
  }

  keys(): IterableIterator<K> {
    return this.#cells.keys();
  }

  /** In the order in which keys were set; entries may be deleted meanwhile, as with a Map. */
  *values(): IterableIterator<V> {
    for (const cell of this.#cells.values()) yield cell.value as V;
  }

  *[Symbol.iterator](): IterableIterator<readonly [K, V]> {
    for (const [key, cell] of this.#cells) yield [key, cell.value as V];
  }
}
