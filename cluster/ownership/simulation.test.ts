/** Nodes in virtual time, with a store that is slow and cut off, and logs that have a fence. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { type Clock, prng, type Prng } from "#base";
import { type Partition, silentLogger } from "#gateway";
import { seed } from "../../base/testing/seed.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { SimulatedStore } from "../testing/simulated-store.ts";
import { ownershipLimits } from "./limits.ts";
import { Ownership } from "./ownership.ts";

const partitions = 12;

/** The clock of a process that can be stopped: what is due meanwhile is done when it goes on. */
class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #held: (() => void)[] = [];
  #isStopped = false;
  isDead = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  after(delayMs: number, task: () => void): () => void {
    let isCancelled = false;
    const run = (): void => {
      if (!isCancelled && !this.isDead) task();
    };
    this.#clock.after(delayMs, () => (this.#isStopped ? this.#held.push(run) : run()));
    return () => (isCancelled = true);
  }

  stop(isStopped: boolean): void {
    this.#isStopped = isStopped;
    if (!isStopped) for (const run of this.#held.splice(0)) run();
  }
}

interface Node {
  readonly name: string;
  readonly life: string;
  readonly clock: ProcessClock;
  readonly ownership: Ownership;
}

class World {
  readonly clock = new ManualClock();
  readonly random: Prng;
  readonly store: SimulatedStore;
  readonly nodes = new Map<string, Node>();
  /** The process whose writes the log of a partition takes: the last one that took it over. */
  readonly writer: (string | undefined)[] = Array.from({ length: partitions }, () => undefined);
  /** Partitions lost to others, gained, and gained while another process that runs held itself for the owner. */
  lost = 0;
  gained = 0;
  readonly overlaps: string[] = [];
  /** One gain of so many fails; 0: none. */
  failOneIn = 0;
  #lives = 0;

  constructor(from: number) {
    this.random = prng(from);
    this.store = new SimulatedStore(this.clock, this.random);
  }

  async start(name: string): Promise<Node> {
    const clock = new ProcessClock(this.clock);
    const life = `${name}.${this.#lives++}`;
    const ownership = new Ownership({
      ...{
        clock,
        node: name,
        life,
        partitions,
        version: "1",
        address: () => "http://here",
        logger: silentLogger,
        store: this.store.of(name),
      },
      gain: (partition, begin) => this.#gain(partition, name, life, begin),
      rest: () => new Promise((resolve) => this.clock.after(this.random.below(200), resolve)),
      lost: () => (this.lost += 1),
    });
    const node = { name, life, clock, ownership };
    this.nodes.set(name, node);
    await ownership.start();
    return node;
  }

  kill(name: string): void {
    const node = this.nodes.get(name);
    if (node === undefined) return;
    node.clock.isDead = true;
    this.store.kill(name);
    this.nodes.delete(name);
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms;
    await settled();
    while (this.clock.monotonicMs() < untilMs) {
      const nextMs = Math.min(this.clock.nextMs ?? untilMs, untilMs);
      this.clock.advance(Math.max(nextMs - this.clock.monotonicMs(), 0));
      await settled();
    }
  }

  /** Every partition is owned once, by the one its log takes writes of, and all agree on it. */
  check(expected: readonly string[], text: string): void {
    const owned = new Map([...this.nodes.values()].map(({ name, ownership }) => [name, ownership.owned]));
    const all = [...owned.values()].flat().sort((a, b) => a - b);
    deepEqual(
      all,
      Array.from({ length: partitions }, (_, at) => at),
      `${text}: every partition is owned once`,
    );
    const counts = expected.map((name) => owned.get(name)?.length ?? 0);
    ok(Math.max(...counts) - Math.min(...counts) <= 1, `${text}: shares ${counts.join()}`);
    for (const { name, life, ownership } of this.nodes.values())
      for (const partition of ownership.owned) {
        equal(this.writer[partition], life, `${text}: the log of partition ${partition}`);
        for (const other of this.nodes.values()) equal(other.ownership.ownerOf(partition), name, `${text}: ${other.name} on ${partition}`);
      }
  }

  #gain(partition: Partition, name: string, life: string, begin: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.clock.after(this.random.below(300), () => {
        if (this.failOneIn > 0 && this.random.below(this.failOneIn) === 0) return reject(new Error("a disk"));
        if (!begin()) return resolve();
        this.gained += 1;
        this.writer[partition] = life;
        for (const other of this.nodes.values())
          if (other.name !== name && other.ownership.isOwned(partition)) this.overlaps.push(`${other.name} ${partition}`);
        resolve();
      });
    });
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("nodes come and go in good order: shares stay balanced, and nothing is lost to a fence", async () => {
  for (let round = 0; round < 8; round++) {
    const world = new World(seed + round);
    await world.start("a");
    await world.pass(5_000);
    world.check(["a"], "one");
    for (const name of ["b", "c"]) await world.start(name);
    await world.pass(15_000);
    world.check(["a", "b", "c"], "three");
    const { ownership } = world.nodes.get("b") as Node;
    const stopping = ownership.stop();
    await world.pass(4_000);
    await stopping;
    world.nodes.delete("b");
    await world.pass(5_000);
    world.check(["a", "c"], "two");
    equal(world.lost, 0);
    deepEqual(world.overlaps, []);
    ok(world.gained <= partitions + 2 * (partitions / 3) + partitions / 3 + 2, `${world.gained} moves`);
  }
});

test("nodes that start together take about the same, without moves", async () => {
  const world = new World(seed);
  await Promise.all(["a", "b", "c"].map((name) => world.start(name)));
  await world.pass(6_000);
  world.check(["a", "b", "c"], "together");
  equal(world.gained, partitions);
});

test("a node that ends is replaced within its lease and a moment, and the others keep theirs", async () => {
  const world = new World(seed);
  for (const name of ["a", "b", "c"]) await world.start(name);
  await world.pass(10_000);
  const before = new Map([...world.nodes.values()].map(({ name, ownership }) => [name, ownership.owned]));
  world.kill("a");
  const killedMs = world.clock.monotonicMs();
  while (
    world.nodes.get("b")?.ownership.owned.length !== partitions / 2 ||
    world.nodes.get("c")?.ownership.owned.length !== partitions / 2
  ) {
    await world.pass(100);
    ok(world.clock.monotonicMs() - killedMs < ownershipLimits.leaseMs + 3_000, "the partitions of a node that ended have no owner");
  }
  world.check(["b", "c"], "after the kill");
  for (const name of ["b", "c"]) for (const kept of before.get(name) ?? []) ok(world.nodes.get(name)?.ownership.isOwned(kept));
});

test("a node that can't write steps down before another takes over, and takes part again afterwards", async () => {
  const world = new World(seed);
  for (const name of ["a", "b"]) await world.start(name);
  await world.pass(10_000);
  world.store.cut("a", true);
  await world.pass(12_000);
  equal(world.nodes.get("a")?.ownership.owned.length, 0);
  equal(world.nodes.get("b")?.ownership.owned.length, partitions);
  deepEqual(world.overlaps, []);
  world.store.cut("a", false);
  await world.pass(15_000);
  world.check(["a", "b"], "healed");
});

test("a store that is away for all for longer than a lease: everybody has stopped, and everybody goes on", async () => {
  const world = new World(seed);
  for (const name of ["a", "b", "c"]) await world.start(name);
  await world.pass(10_000);
  for (const name of ["a", "b", "c"]) world.store.cut(name, true);
  await world.pass(20_000);
  for (const { ownership } of world.nodes.values()) equal(ownership.owned.length, 0);
  for (const name of ["a", "b", "c"]) world.store.cut(name, false);
  await world.pass(15_000);
  world.check(["a", "b", "c"], "after the outage");
  deepEqual(world.overlaps, []);
});

test("servers that lost their newest writes: nobody's writes are refused for ever, and each partition has an owner again", async () => {
  const names = ["a", "b", "c"];
  for (let round = 0; round < 24; round++) {
    const world = new World(seed + round);
    const { random } = world;
    for (const name of names) await world.start(name);
    await world.pass(10_000);
    for (let loss = 0; loss < 3; loss++) {
      const isDown = random.below(2) === 0;
      if (isDown) for (const name of names) world.store.cut(name, true);
      await world.pass(random.below(12_000));
      world.store.loseWrites(1 + random.below(random.below(2) === 0 ? 3 : 80));
      if (isDown) for (const name of names) world.store.cut(name, false);
      const again = names[random.below(3)] as string;
      world.kill(again);
      await world.pass(random.below(6_000));
      const starting = world.start(again);
      await world.pass(6_000);
      await starting;
    }
    await world.pass(60_000);
    world.check(names, `seed ${seed + round}`);
  }
});

test("a node that drains gives everything away, one after the other", async () => {
  const world = new World(seed);
  for (const name of ["a", "b"]) await world.start(name);
  await world.pass(10_000);
  world.nodes.get("a")?.ownership.drain();
  await world.pass(15_000);
  equal(world.nodes.get("b")?.ownership.owned.length, partitions);
  deepEqual(
    world.nodes
      .get("b")
      ?.ownership.nodes()
      .map(({ name, state, partitions: count }) => [name, state, count]),
    [
      ["a", "draining", 0],
      ["b", "up", partitions],
    ],
  );
  equal(world.lost, 0);
});

test("a second process of the same name is refused while the first one beats, and takes over when it does not", async () => {
  const world = new World(seed);
  const first = await world.start("a");
  await world.pass(5_000);
  const refused = rejects(world.start("a"), { code: "MF_CLUSTER_NODE_TAKEN" });
  await world.pass(5_000);
  await refused;
  world.nodes.set("a", first);
  world.kill("a");
  const again = world.start("a");
  await world.pass(8_000);
  await again;
  world.check(["a"], "again");
});

test("kills, stops for longer than a lease, cuts, lost answers and failing disks: in the end each partition has one owner", async () => {
  for (let round = 0; round < 12; round++) {
    const world = new World(seed + round);
    const { random } = world;
    const names = ["a", "b", "c", "d"];
    for (const name of names.slice(0, 3)) await world.start(name);
    world.store.lostOneIn = 20;
    world.failOneIn = 10;
    for (let act = 0; act < 25; act++) {
      const name = names[random.below(4)] as string;
      const node = world.nodes.get(name);
      switch (random.below(5)) {
        case 0:
          world.kill(name);
          break;
        case 1:
          if (node === undefined) void world.start(name).catch(() => world.nodes.delete(name));
          break;
        case 2:
          node?.clock.stop(true);
          break;
        case 3:
          node?.clock.stop(false);
          break;
        default:
          world.store.cut(name, random.below(2) === 0);
      }
      world.store.mostDelayMs = 1 + random.below(600);
      await world.pass(random.below(7_000));
    }
    world.store.lostOneIn = 0;
    world.failOneIn = 0;
    world.store.mostDelayMs = 20;
    for (const name of names) {
      world.store.cut(name, false);
      world.nodes.get(name)?.clock.stop(false);
      if (!world.nodes.has(name)) void world.start(name);
    }
    await world.pass(60_000);
    world.check(names, `seed ${seed + round}`);
  }
});
