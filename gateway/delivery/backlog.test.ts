/** The backlog takes up what the journal has as the queue and memory have room for it, and never hangs or spins. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { CodedError, memoryBudget, prng } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { Journal, Lease } from "../journal/journal.ts";
import { silentLogger } from "../logger.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { Backlog } from "./backlog.ts";
import { Persistence } from "./persistence.ts";

class World {
  readonly entered: Lease[] = [];
  readonly asked: number[] = [];
  /** Bodies the journal still has. */
  readonly kept: Uint8Array[];
  places: number;
  isIdle = false;
  readonly clock = new ManualClock(0);
  readonly memory = memoryBudget(1e6);
  readonly backlog: Backlog;

  constructor(bodies: number, places: number, bytes = 10) {
    this.kept = Array.from({ length: bodies }, () => new Uint8Array(bytes));
    this.places = places;
    const lease = async (_flow: string, most: number): Promise<Lease[]> => {
      this.asked.push(most);
      return this.kept
        .splice(0, most)
        .map((body) => ({ message: { body }, damage: (body as { damage?: CodedError }).damage }) as unknown as Lease);
    };
    this.backlog = new Backlog({
      flow: "f",
      journal: { lease } as unknown as Journal,
      persistence: new Persistence(this.clock, prng(1), silentLogger),
      clock: this.clock,
      messages: this.memory,
      room: () => this.places - this.entered.length,
      idle: () => this.isIdle,
      enter: (given) => {
        this.entered.push(given);
        this.memory.force(given.message.body.length + gatewayLimits.messageBytes);
      },
    });
  }
}

test("all of it, when there is room", async () => {
  const world = new World(37, 100);
  await world.backlog.take();
  deepEqual([world.entered.length, world.backlog.waiting], [37, false]);
});

test("a damaged message stays in the journal, and the others are taken up", async () => {
  const world = new World(3, 100);
  const damage = new CodedError("MF_JOURNAL_CORRUPT", "damaged");
  Object.assign(world.kept[1] as Uint8Array, { damage });
  await world.backlog.take();
  deepEqual([world.entered.length, world.backlog.waiting], [2, false]);
});

test("a full queue takes no more than its free places, and the journal is not asked without one", async () => {
  const world = new World(37, 5);
  await world.backlog.take();
  deepEqual([world.entered.length, world.backlog.waiting], [5, true]);
  const asked = world.asked.length;
  await world.backlog.take();
  equal(world.asked.length, asked, "the journal is not asked for nothing");
});

test("without memory it looks again later, until it is stopped", async () => {
  const world = new World(3, 100);
  world.memory.force(1e6);
  await world.backlog.take();
  deepEqual([world.entered.length, world.asked.length, world.clock.waiting], [0, 0, 1]);
  world.memory.give(1e6);
  world.clock.advance(gatewayLimits.retryAfterMs);
  await new Promise((resolve) => setImmediate(resolve));
  equal(world.entered.length, 3);
  world.memory.force(1e6);
  world.backlog.more();
  await world.backlog.take();
  world.backlog.stop();
  equal(world.clock.waiting, 0);
  await world.backlog.take();
  world.backlog.later();
  equal(world.clock.waiting, 0);
});

test("two takings at once are one", async () => {
  const world = new World(37, 100);
  await Promise.all([world.backlog.take(), world.backlog.take()]);
  equal(world.entered.length, 37);
  equal(world.asked.reduce((sum, most) => sum + most, 0) >= 37, true);
});

test("one message enters however little memory there is when the flow has none in hand", async () => {
  const world = new World(3, 100);
  world.memory.force(1e6);
  world.isIdle = true;
  const taking = world.backlog.take();
  world.isIdle = false;
  await taking;
  deepEqual([world.entered.length, world.asked, world.clock.waiting], [1, [1], 1]);
});
