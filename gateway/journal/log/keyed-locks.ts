/**
 * What a call is under way for. The ledger changes only when bytes are safe, so a second call about the same message, send, id
 * or state waits for the first one's end and looks again, instead of building on something that may yet fail.
 */
export class Marks<K> {
  readonly #waiting = new Map<K, { resolve: () => void; reject: (error: unknown) => void }[]>();

  /** Resolves when the mark is gone, rejects when what it stood for failed; undefined when there is none. */
  wait(key: K): Promise<void> | undefined {
    const waiting = this.#waiting.get(key);
    return waiting === undefined ? undefined : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }

  has(key: K): boolean {
    return this.#waiting.has(key);
  }

  take(key: K): void {
    this.#waiting.set(key, []);
  }

  free(key: K): void {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    for (const { resolve } of waiting ?? []) resolve();
  }

  /** Frees it for those that come, and has those that wait fail as well. */
  fail(key: K, error: unknown): void {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    for (const { reject } of waiting ?? []) reject(error);
  }
}
