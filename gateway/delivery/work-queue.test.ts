/** Order and places, without a gateway: messages of one key take turns, and what is held is not begun. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Incoming } from "../contract/message.ts";
import type { NewMessage } from "../journal/journal.ts";
import { Work } from "./work.ts";
import { WorkQueue } from "./work-queue.ts";

function workOf(id: string, key?: string): Work {
  const message = { id, key, body: new Uint8Array(0) } as unknown as NewMessage;
  return new Work({} as Incoming, message, undefined, 0);
}

/** A queue whose messages are begun into `begun`, and end when told. */
class World {
  readonly begun: string[] = [];
  readonly queue: WorkQueue;

  constructor(concurrency: number) {
    this.queue = new WorkQueue(
      () => concurrency,
      ({ message }) => this.begun.push(message.id),
    );
  }

  enter(work: Work): void {
    if (!this.queue.takesTurn(work)) return;
    work.to("queued");
    this.queue.push(work);
  }

  end(work: Work): void {
    this.queue.running -= 1;
    work.to("ended");
    const next = work.message.key === undefined ? undefined : this.queue.next(work.message.key);
    if (next !== undefined) {
      next.to("queued");
      this.queue.push(next);
    }
    this.queue.pump();
  }
}

test("as many run as may, first in, first out", () => {
  const world = new World(2);
  const works = ["1", "2", "3", "4"].map((id) => workOf(id));
  for (const work of works) world.enter(work);
  deepEqual([world.begun, world.queue.length], [["1", "2"], 2]);
  world.end(works[1] as Work);
  deepEqual(world.begun, ["1", "2", "3"]);
});

test("messages of one key are begun in the order they came, one after the other, whatever ends when", () => {
  const one = fc.record({ key: fc.constantFrom("a", "b", undefined), ends: fc.nat() });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (given, concurrency) => {
      const world = new World(concurrency);
      const works = given.map(({ key }, index) => workOf(`${index}`, key));
      for (const work of works) world.enter(work);
      for (let turn = 0; ; turn += 1) {
        const running = works.filter(({ state }) => state === "running");
        if (running.length === 0) break;
        for (const key of ["a", "b"]) equal(running.filter(({ message }) => message.key === key).length <= 1, true);
        world.end(running[(given[turn]?.ends ?? 0) % running.length] as Work);
      }
      equal(world.begun.length, works.length);
      for (const key of ["a", "b"]) {
        const ids = works.filter(({ message }) => message.key === key).map(({ message }) => message.id);
        deepEqual(
          world.begun.filter((id) => ids.includes(id)),
          ids,
        );
      }
    }),
  );
});

test("a held key keeps its messages, and nothing else", () => {
  const world = new World(9);
  world.queue.hold("letter", "a");
  world.enter(workOf("1", "a"));
  world.enter(workOf("2", "b"));
  deepEqual(world.begun, ["2"]);
  equal(world.queue.next("a"), undefined, "it is held still");
  world.queue.holds.delete("letter");
  equal(world.queue.next("a")?.message.id, "1");
});

test("a letter without a key holds everything but letters that are retried", () => {
  const world = new World(1);
  world.queue.hold("letter", undefined);
  world.enter(workOf("1"));
  const letter = workOf("2", "a");
  letter.isRetriedLetter = true;
  world.enter(letter);
  deepEqual(world.begun, ["2"]);
  world.queue.holds.delete("letter");
  world.end(letter);
  deepEqual(world.begun, ["2", "1"]);
});

test("a message that ended while it waited is passed over", () => {
  const world = new World(1);
  const [first, gone, last] = [workOf("1", "a"), workOf("2", "a"), workOf("3", "a")] as const;
  for (const work of [first, gone, last]) world.enter(work);
  gone.to("ended");
  world.end(first);
  deepEqual(world.begun, ["1", "3"]);
});

test("nothing is begun once it is closed", () => {
  const world = new World(1);
  world.queue.close();
  world.enter(workOf("1"));
  world.queue.pump();
  deepEqual(world.begun, []);
});

test("a message's state changes only as it may", () => {
  const work = workOf("1");
  throws(() => work.to("running"), /from new to running/);
  work.to("queued");
  work.to("running");
  throws(() => work.to("resting"), /from running to resting/);
  work.to("settling");
  work.to("ended");
  throws(() => work.to("queued"), /from ended to queued/);
});
