/**
 * Keyed locks for journal calls in flight. The ledger changes only when bytes are safe, so a second call about the same message, send, id
 * or state waits until the first one ends and looks again, instead of building on something that may yet fail.
 *
 * Acquire in the same turn as the check: after an await somebody else may have the lock.
 *
 *   for (let busy = locks.busy(key); busy !== undefined; busy = locks.busy(key)) await busy;
 *   locks.acquire(key);
 */
import { assert } from "#base";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A key that is undefined has no lock: it is never busy. */
export class KeyedLocks<K> {
  readonly #waiting = new Map<K, Waiter[]>();

  /** Undefined when the key is free. Otherwise resolves on release, and rejects when the holder's call failed. */
  busy(key: K | undefined): Promise<void> | undefined {
    const waiting = key === undefined ? undefined : this.#waiting.get(key);
    return waiting === undefined ? undefined : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }

  acquire(key: K | undefined): void {
    if (key === undefined) return;
    assert(!this.#waiting.has(key), "a lock is acquired when it is free");
    this.#waiting.set(key, []);
  }

  release(key: K | undefined): void {
    for (const { resolve } of this.#take(key)) resolve();
  }

  /** Releases it, and fails the calls that wait for it. */
  fail(key: K | undefined, error: unknown): void {
    for (const { reject } of this.#take(key)) reject(error);
  }

  #take(key: K | undefined): readonly Waiter[] {
    if (key === undefined) return [];
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    return waiting;
  }
}
