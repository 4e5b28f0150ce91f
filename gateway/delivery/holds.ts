/** Dead letters that hold what comes behind them: `onDead: hold` of a flow or an outlet. */

/** A letter without a key holds everything. */
type Key = string | undefined;

export class Holds {
  /** Keys by the id of the letter that holds them. */
  readonly #letters = new Map<string, Key>();
  readonly #counts = new Map<Key, number>();

  get size(): number {
    return this.#letters.size;
  }

  /** True while everything is held. */
  get all(): boolean {
    return this.#counts.has(undefined);
  }

  get letters(): Iterable<string> {
    return this.#letters.keys();
  }

  has(letter: string): boolean {
    return this.#letters.has(letter);
  }

  holds(key: Key): boolean {
    return this.#counts.size > 0 && (this.#counts.has(key) || this.all);
  }

  /** True while a letter of this very key holds it. */
  holdsKey(key: string): boolean {
    return this.#counts.has(key);
  }

  add(letter: string, key: Key): void {
    if (this.#letters.has(letter)) return;
    this.#letters.set(letter, key);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** True when there was such a letter. */
  delete(letter: string): boolean {
    if (!this.#letters.has(letter)) return false;
    const key = this.#letters.get(letter);
    this.#letters.delete(letter);
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
    return true;
  }

  keyOf(letter: string): Key {
    return this.#letters.get(letter);
  }
}
