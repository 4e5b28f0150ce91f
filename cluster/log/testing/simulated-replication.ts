/** A partition's disk in a simulated log, over several lives of the process that has it: for the journal's simulation. */
import type { Clock, Prng } from "#base";
import type { Disk } from "#gateway";
import type { DeadLetterFs } from "../../../gateway/journal/dead-letters.ts";
import { type Faults, lettersOn, type SimulatedStore } from "../../../gateway/journal/testing/simulated-disk.ts";
import { ReplicatedDisk } from "../replicated-disk.ts";
import { SimulatedLog } from "./simulated-log.ts";

/** Time goes on only by waiting, and waiting takes no time. */
export function hastyClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    after: (delayMs, task) => {
      const immediate = setImmediate(() => {
        nowMs += delayMs;
        task();
      });
      return () => clearImmediate(immediate);
    },
  };
}

const forever = new Promise<never>(() => undefined);

export class SimulatedReplication implements SimulatedStore {
  readonly log: SimulatedLog;
  readonly ahead = 0;
  calls = 0;
  readonly #random: Prng;
  #life = 0;
  #crashAt = Infinity;
  #onCrash: () => void = () => undefined;

  constructor(random: Prng) {
    this.#random = random;
    this.log = new SimulatedLog(random);
  }

  get faults(): Faults {
    return this.log.faults;
  }

  crashAt(call: number, crashed: () => void): void {
    this.#crashAt = call;
    this.#onCrash = crashed;
  }

  restart(powerLost: boolean): void {
    this.#life += 1;
    this.#crashAt = Infinity;
    Object.assign(this.faults, { full: 0, broken: 0, readOnly: false });
    if (powerLost) this.log.losePower();
  }

  mount(): Disk & { readonly deadLetterFs: DeadLetterFs } {
    const life = this.#life;
    const log = this.log.connect(() => this.#step(life));
    const writer = Array.from({ length: 3 }, () => this.#random.uint32().toString(36).padStart(7, "0")).join("");
    const opened = ReplicatedDisk.open({ log, clock: hastyClock(), node: `life-${life}`, writer });
    opened.catch(() => undefined); // each call tells of it
    const disk: Disk = {
      growsFreely: true,
      list: async () => (await (await opened).list()).filter((name) => !name.includes("/")),
      freeBytes: async () => (await opened).freeBytes(),
      create: async (name) => (await opened).create(name),
      createSynced: async (name) => (await opened).createSynced(name),
      openSynced: async (name) => (await opened).openSynced(name),
      open: async (name) => (await opened).open(name),
      rename: async (from, to) => (await opened).rename(from, to),
      remove: async (name) => (await opened).remove(name),
      syncNames: async () => (await opened).syncNames(),
    };
    const read = async (path: string): Promise<Uint8Array> => {
      const file = await disk.open(path);
      const bytes = new Uint8Array(await file.size());
      await file.read(bytes, 0);
      await file.close();
      return bytes;
    };
    return { ...disk, deadLetterFs: lettersOn(disk, async () => (await opened).list(), read) };
  }

  async #step(life: number): Promise<void> {
    if (life !== this.#life) return forever;
    this.calls += 1;
    if (this.calls >= this.#crashAt) {
      this.#crashAt = Infinity;
      this.#life += 1;
      this.#onCrash();
      return forever;
    }
    const turns = this.#random.below(4);
    for (let turn = 0; turn < turns; turn++) await (turn === 2 ? new Promise((resolve) => setImmediate(resolve)) : undefined);
    if (life !== this.#life) return forever;
  }
}
