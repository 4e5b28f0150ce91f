/** The sweep against everything that may happen while it looks: what is needed stays, also after a crash at any moment; all else goes. */
import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeadLetter } from "../journal/dead-letters.ts";
import { silentLogger } from "../logger.ts";
import type { Headers } from "../contract/message.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { storedBodyHeader } from "../contract/stored-body.ts";
import { BodyStore } from "./store.ts";
import { Sweeper } from "./sweep.ts";

type Operation = "stage" | "accept" | "refuse" | "bury" | "retry" | "retried" | "forget" | "drop" | "settle";
const operations: readonly Operation[] = ["stage", "accept", "refuse", "bury", "retry", "retried", "forget", "drop", "settle"];

/** The gateway as far as bodies go: who names which, in memory and on disk. Each operation is one that the gateway may make at any time. */
class World {
  readonly store = new BodyStore("/nowhere");
  readonly files = new Set<string>();
  readonly ledger = new Set<string>();
  /** Contents that a recovery would find in the journal. */
  readonly log = new Set<string>();
  /** Stored body by letter. */
  readonly letters = new Map<string, string>();
  readonly staged = new Map<string, () => void>();
  readonly retrying = new Map<string, () => void>();
  /** Live at any time since the sweep began. */
  touched = new Set<string>();
  #made = 0;

  get live(): Set<string> {
    return new Set([...this.staged.keys(), ...this.retrying.keys(), ...this.ledger, ...this.letters.values()]);
  }

  do(operation: Operation, choice: number): void {
    const pick = <T>(all: Iterable<T>): T | undefined => {
      const list = [...all];
      return list[choice % Math.max(list.length, 1)];
    };
    const write = (id: string): void => void (this.ledger.add(id), this.log.add(id));
    if (operation === "stage") {
      const id = String(++this.#made);
      this.staged.set(id, this.store.hold(id));
      this.files.add(id);
    } else if (operation === "accept" || operation === "refuse") {
      const [id, release] = pick(this.staged) ?? [];
      if (id === undefined) return;
      if (operation === "accept") write(id);
      this.staged.delete(id);
      release?.();
    } else if (operation === "bury") {
      const id = pick(this.ledger);
      if (id === undefined) return;
      this.letters.set(`letter ${++this.#made}`, id);
      this.ledger.delete(id);
      this.log.delete(id);
    } else if (operation === "retry") {
      const [letter, id = ""] = pick(this.letters) ?? [];
      if (letter === undefined || this.ledger.has(id) || this.retrying.has(id)) return;
      this.retrying.set(id, this.store.hold(id));
      write(id);
      this.letters.delete(letter);
    } else if (operation === "retried") {
      const [id, release] = pick(this.retrying) ?? [];
      if (id !== undefined) this.retrying.delete(id);
      release?.();
    } else if (operation === "drop") {
      const letter = pick(this.letters.keys());
      if (letter !== undefined) this.letters.delete(letter);
    } else {
      const id = pick(this.ledger);
      if (id === undefined) return;
      this.ledger.delete(id);
      if (operation === "forget") this.log.delete(id); // else settled: told to the disk with the next sync
    }
    for (const id of this.live) this.touched.add(id);
  }
}

function sweeperOf(world: World, between: () => void, wrong: string[]): Sweeper {
  const { store } = world;
  const bodyStore = {
    get held(): Iterable<string> {
      return store.held;
    },
    get onHold(): typeof store.onHold {
      return store.onHold;
    },
    set onHold(told: typeof store.onHold) {
      store.onHold = told;
    },
    onFree: (): void => undefined,
    ids: async () => {
      between();
      return [...world.files];
    },
    remove: async (id: string) => {
      if (world.live.has(id)) wrong.push(`${id} is needed`);
      if (world.log.has(id)) wrong.push(`${id} would be needed after a crash`);
      world.files.delete(id);
      between();
    },
    removeUnfinished: async () => undefined,
  };
  const journal = {
    *liveHeaders(): Iterable<Headers> {
      for (const id of world.ledger) yield { [storedBodyHeader]: id };
      yield {};
    },
    sync: async () => {
      between();
      for (const id of [...world.log]) if (!world.ledger.has(id)) world.log.delete(id);
    },
  };
  const deadLetters = {
    async *ids(): AsyncIterable<string> {
      for (const letter of [...world.letters.keys()]) {
        between();
        yield letter;
      }
    },
    letter: async (letter: string) => {
      const id = world.letters.get(letter);
      between();
      return id === undefined ? undefined : ({ headers: { [storedBodyHeader]: id } } as unknown as DeadLetter);
    },
  };
  return new Sweeper({ bodyStore, journal, deadLetters, clock: new ManualClock(), logger: silentLogger });
}

const step = fc.tuple(fc.constantFrom(...operations), fc.nat(1000));

test("whatever happens before and during a sweep: what is needed now or after a crash stays, and what nobody has needed since it began goes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 30 }),
      async (before, during) => {
        const world = new World();
        for (const [operation, choice] of before) world.do(operation, choice);
        const wrong: string[] = [];
        const between = (): void => {
          for (const [operation, choice] of during.shift() ?? []) world.do(operation, choice);
        };
        const sweeper = sweeperOf(world, between, wrong);
        for (let sweep = 0; sweep < 3; sweep += 1) {
          world.touched = new Set(world.live);
          const free = [...world.files].filter((id) => !world.touched.has(id));
          await sweeper.sweep();
          deepEqual(wrong, []);
          for (const id of free) ok(!world.files.has(id), `${id} was left`);
          for (const id of world.live) ok(world.files.has(id), `${id} is gone`);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test("without a journal that can be synced nothing is removed", async () => {
  const world = new World();
  world.do("stage", 0);
  world.do("refuse", 0);
  const sweeper = sweeperOf(world, () => {
    throw new Error("the lock is lost");
  }, []);
  await sweeper.sweep().catch(() => undefined);
  deepEqual([...world.files], ["1"]);
});
