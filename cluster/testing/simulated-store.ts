/** A store of several nodes in virtual time: slow, cut off, and sure of nothing it did not answer. */
import type { Clock, Prng } from "#base";
import type { Store, Take } from "../ownership/store.ts";

interface Watcher {
  readonly node: string;
  readonly take: Take;
}

interface Written {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

export class SimulatedStore {
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #values = new Map<string, { readonly value: Uint8Array; readonly revision: number }>();
  readonly #written: Written[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #cut = new Set<string>();
  readonly #lastMs = new Map<string, number>();
  #revision = 0;
  /** Longest delay of a request, an answer or a notice, in milliseconds. */
  mostDelayMs = 20;
  /** One answer of so many is lost; 0: none. */
  lostOneIn = 0;

  constructor(clock: Clock, random: Prng) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Its requests and their answers are lost, and it is told nothing; or that is over. */
  cut(node: string, isCut: boolean): void {
    if (isCut) this.#cut.add(node);
    else {
      this.#cut.delete(node);
      for (const watcher of this.#watchers) if (watcher.node === node) this.#tellAll(watcher);
    }
  }

  /** A process that ended is told nothing any more. */
  kill(node: string): void {
    for (const each of this.#watchers) if (each.node === node) this.#watchers.delete(each);
  }

  of(node: string, writeMs = 2_000): Store {
    return {
      watch: async (take) => {
        const watcher = { node, take };
        for (const [key, { value, revision }] of this.#values) take(key, value, revision);
        this.#watchers.add(watcher);
        return () => this.#watchers.delete(watcher);
      },
      put: (key, value, expected) =>
        new Promise((resolve, reject) => {
          const cancel = this.#clock.after(writeMs, () => reject(new Error("no answer")));
          this.#later(node, "up", () => {
            if (this.#cut.has(node)) return;
            const revision = this.#put(key, value, expected);
            if (revision === undefined) this.#tellPresent(node, key);
            this.#later("store", node, () => {
              if (this.#cut.has(node) || (this.lostOneIn > 0 && this.#random.below(this.lostOneIn) === 0)) return;
              cancel();
              resolve(revision);
            });
          });
        }),
    };
  }

  #put(key: string, value: Uint8Array, expected: number): number | undefined {
    if ((this.#values.get(key)?.revision ?? 0) !== expected) return undefined;
    const revision = ++this.#revision;
    this.#values.set(key, { value, revision });
    this.#written.push({ key, value, revision });
    for (const watcher of this.#watchers)
      this.#later("told", watcher.node, () => {
        if (!this.#cut.has(watcher.node) && this.#watchers.has(watcher)) watcher.take(key, value, revision);
      });
    return revision;
  }

  /** The servers lose their newest writes, and number the next ones from there. */
  loseWrites(count: number): void {
    this.#written.splice(-count);
    this.#values.clear();
    for (const { key, value, revision } of this.#written) this.#values.set(key, { value, revision });
    this.#revision = this.#written.at(-1)?.revision ?? 0;
  }

  #tellPresent(node: string, key: string): void {
    const { value, revision } = this.#values.get(key) ?? { value: new Uint8Array(0), revision: 0 };
    for (const watcher of this.#watchers)
      if (watcher.node === node)
        this.#later("told", node, () => {
          if (!this.#cut.has(node) && this.#watchers.has(watcher)) watcher.take(key, value, revision, true);
        });
  }

  #tellAll(watcher: Watcher): void {
    for (const [key, { value, revision }] of this.#values) this.#later("told", watcher.node, () => watcher.take(key, value, revision));
  }

  /** In order between the same two. */
  #later(from: string, to: string, task: () => void): void {
    const way = `${from} ${to}`;
    const nowMs = this.#clock.monotonicMs();
    const atMs = Math.max(nowMs + this.#random.below(this.mostDelayMs), this.#lastMs.get(way) ?? 0);
    this.#lastMs.set(way, atMs);
    this.#clock.after(atMs - nowMs, task);
  }
}
