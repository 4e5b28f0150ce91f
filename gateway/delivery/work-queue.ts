/**
 * The order in which a flow's messages are begun: first in, first out, messages of one key one after the other, as many at once as the
 * flow may run, and nothing behind a dead letter that holds its key.
 */
import { Deque } from "./deque.ts";
import { Holds } from "./holds.ts";
import type { Work } from "./work.ts";

export class WorkQueue {
  readonly holds = new Holds();
  /** Sleepers that hold their keys. */
  readonly sleepers = new Holds();
  /** Attempts under way. */
  running = 0;
  /** Nothing is begun for now, but for a letter that somebody retries. */
  paused = false;
  readonly #concurrency: () => number;
  readonly #begin: (work: Work) => void;
  readonly #queue = new Deque<Work>();
  /** Messages that wait behind an older one of their key; a key is in here while any of its messages is pending. */
  readonly #lanes = new Map<string, Deque<Work>>();
  #closed = false;

  constructor(concurrency: () => number, begin: (work: Work) => void) {
    this.#concurrency = concurrency;
    this.#begin = begin;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Nothing is begun any more. */
  close(): void {
    this.#closed = true;
  }

  /** True when the turn of the message has come; otherwise it is `behind` now, and `next` gives it later. */
  takesTurn(work: Work): boolean {
    const { key } = work.message;
    if (key === undefined || work.isRetriedLetter || work.holdsKey) return true;
    const lane = this.#lanes.get(key);
    if (lane === undefined) {
      this.#lanes.set(key, new Deque());
      return true;
    }
    work.to("behind");
    lane.push(work);
    return false;
  }

  /** The next message of the key, whose older ones have ended; undefined when none is there, or a dead letter holds the key. */
  next(key: string): Work | undefined {
    if (this.holds.holdsKey(key) || this.sleepers.holdsKey(key)) return undefined;
    const lane = this.#lanes.get(key);
    for (let work = lane?.shift(); work !== undefined; work = lane?.shift()) if (work.state === "behind") return work;
    this.#lanes.delete(key);
    return undefined;
  }

  /** A message in the state `queued`. A letter that is retried waits for no place: what is held behind it may have taken them all. */
  push(work: Work): void {
    if (work.isRetriedLetter && !this.#closed) return this.#start(work);
    this.#queue.push(work);
    this.pump();
  }

  /** Begins messages while there are places. */
  pump(): void {
    while (!this.#closed && !this.paused && !this.holds.all && this.running < this.#concurrency()) {
      const work = this.#queue.shift();
      if (work === undefined) return;
      if (work.state === "queued") this.#start(work);
    }
  }

  #start(work: Work): void {
    work.to("running");
    this.running += 1;
    this.#begin(work);
  }

  /** A sleeper holds its key: what comes behind it waits for its end. */
  holdAsleep(sleeper: string, key: string): void {
    this.sleepers.add(sleeper, key);
    if (!this.#lanes.has(key)) this.#lanes.set(key, new Deque());
  }

  /** From now on nothing of the key is begun; without one, nothing at all. */
  hold(letter: string, key: string | undefined): void {
    this.holds.add(letter, key);
    if (key !== undefined && !this.#lanes.has(key)) this.#lanes.set(key, new Deque());
  }
}
