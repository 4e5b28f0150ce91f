/**
 * Partitions that move between nodes: given up, taken while their owner does not know, and left by a crash. Whatever moved when: no number
 * is given out twice, nothing that was acknowledged is missing or there twice, and a deposed node changes nothing.
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Prng, prng } from "#base";
import { seed } from "../../../base/testing/seed.ts";
import type { Partition } from "../../contract/cluster.ts";
import { DeadLetters } from "../dead-letters.ts";
import type { Lease, Sequence } from "../journal.ts";
import { LogJournal } from "../log/log-journal.ts";
import { FencedDisks } from "../testing/fenced-disks.ts";
import { completion, newMessage, newSend, record } from "../testing/journal.case.ts";
import { newSignal, newSleeper, newWait } from "../testing/sleep.case.ts";
import { SimulatedClock } from "../testing/simulated-clock.ts";
import { numbersOf, PartitionedJournal } from "./partitioned-journal.ts";

const partitions = 4;
const all = Array.from({ length: partitions }, (_, index) => index as Partition);
const flow = "orders";

interface Node {
  journal: PartitionedJournal;
  lost: Partition[];
}

/** The answers that callers were given. */
class Told {
  readonly numbers = new Set<number>();
  /** Accepted, and nothing told since. */
  readonly pending = new Set<Sequence>();
  readonly asleep = new Set<Sequence>();
  readonly signals = new Set<string>();
  /** By the text of their bodies. */
  readonly sends = new Set<string>();
  readonly counts = new Map<string, number>();
}

class World {
  readonly told = new Told();
  readonly nodes: readonly [Node, Node];
  readonly #disks: FencedDisks;
  readonly #letters: DeadLetters;
  readonly random: Prng;
  #names = 0;

  constructor(first: number, dir: string) {
    this.random = prng(first);
    this.#disks = new FencedDisks(first);
    this.#letters = new DeadLetters(join(dir, "dead"));
    this.nodes = [this.#newNode(), this.#newNode()];
  }

  #newNode(): Node {
    const lost: Partition[] = [];
    return { lost, journal: new PartitionedJournal({ partitions, onLost: (partition) => lost.push(partition) }) };
  }

  name(): string {
    return `n${(this.#names += 1)}`;
  }

  /** Takes over a partition, whoever has it. */
  async take(node: Node, partition: Partition): Promise<void> {
    await node.journal.lose(partition);
    const journal = new LogJournal({
      disk: await this.#disks.open(partition),
      deadLetters: this.#letters,
      clock: new SimulatedClock(1_000),
      limits: { checkpointBytes: 4_096, segmentBytes: 4_096, zeroBytes: 512, reserveBytes: 512, settleDelayMs: 0 },
      numbers: numbersOf(partition, partitions),
      salt: () => partition + 1,
    });
    await journal.recover();
    node.journal.gain(partition, journal);
  }

  /** Ends a node without a word: its journals are never closed. */
  crash(node: Node): void {
    Object.assign(node, this.#newNode());
  }

  fresh(number: number, of: Partition): void {
    equal(number % partitions, of);
    ok(!this.told.numbers.has(number), `number ${number} was given out twice`);
    this.told.numbers.add(number);
  }

  ownerOf(partition: Partition): Node | undefined {
    return this.nodes.find(({ journal }) => journal.takes(partition));
  }
}

async function work(world: World, node: Node): Promise<void> {
  const { random, told } = world;
  const { journal } = node;
  const key = `k${random.below(6)}`;
  const partition = journal.partitionOf({ flow, key, dedup: undefined });
  ok(partition !== undefined);
  if (!journal.takes(partition)) {
    await rejects(journal.accept(newMessage({ key })), { code: "MF_PARTITION_AWAY" });
    return;
  }
  const accepted = await journal.accept(newMessage({ id: world.name(), key, expiresMs: undefined })).catch((error: { code?: string }) => {
    equal(error.code, "MF_PARTITION_AWAY");
  });
  if (accepted?.status !== "leased") return;
  const { lease } = accepted;
  world.fresh(lease.sequence, partition);
  told.pending.add(lease.sequence);
  if (random.below(3) > 0) await finish(world, node, lease, key);
}

async function finish(world: World, node: Node, lease: Lease, key: string): Promise<void> {
  const { random, told } = world;
  const { journal } = node;
  const state = await journal.readState(flow, key);
  const count = (JSON.parse(state.json ?? '{"n":0}') as { n: number }).n;
  const text = world.name();
  const sleeps = random.below(4) === 0;
  const done = await journal.complete(
    lease,
    completion({
      sends: [newSend("out", text, key)],
      state: { key, version: state.version, changes: [{ name: "n", valueJson: String(count + 1) }] },
      sleeper: sleeps ? newSleeper({ waits: [newWait("paid", key)] }) : undefined,
    }),
  );
  if (done.status === "conflict") return journal.release(lease); // another message of its key came first
  if (done.status !== "committed") return void equal(done.status, "stale");
  told.pending.delete(lease.sequence);
  told.sends.add(text);
  told.counts.set(key, (told.counts.get(key) ?? 0) + 1);
  if (sleeps) told.asleep.add(lease.sequence);
}

/** A signal, and whoever sleeps and waits for it. */
async function signal(world: World, node: Node): Promise<void> {
  const { told, random } = world;
  const { journal } = node;
  const key = `k${random.below(6)}`;
  if (journal.takes(journal.partitionOfSignal({ flow, name: "paid", key }))) {
    const id = world.name();
    const kept = await journal.keepSignal(newSignal({ id, key })).catch(() => undefined);
    if (kept?.status === "kept") told.signals.add(id);
  }
  const waiter = journal.waiterFor(flow, "paid", key);
  const first = await journal.firstSignal(flow, "paid", key, () => true);
  if (waiter === undefined || first === undefined) return;
  const lease = await journal.wake(waiter);
  if (lease === undefined) return;
  const done = await journal.complete(lease, completion({ consumed: [first.number] }));
  if (done.status !== "committed") {
    journal.release(lease);
    return;
  }
  ok(told.signals.delete(first.id), `signal ${first.id} was taken twice`);
  told.asleep.delete(waiter);
}

async function move(world: World): Promise<void> {
  const { random, nodes } = world;
  const to = nodes[random.below(2)] as Node;
  const partition = all[random.below(partitions)] as Partition;
  if (random.below(8) === 0) world.crash(nodes[random.below(2)] as Node);
  if (random.below(2) === 0) for (const node of nodes) await node.journal.lose(partition); // given up in order
  await world.take(to, partition);
  await to.journal.settleMoves();
}

async function check(world: World): Promise<void> {
  const { told, nodes } = world;
  const [{ journal }, other] = nodes;
  for (const partition of all) await world.take(nodes[0], partition);
  for (const partition of all) await other.journal.lose(partition);
  await journal.settleMoves();
  const leases = await journal.lease(flow, 10_000);
  const sleepers = await journal.listSleepers(flow, undefined, 10_000);
  const isSuperset = (kept: Iterable<unknown>, said: Iterable<unknown>, what: string): void => {
    const there = [...kept];
    equal(new Set(there).size, there.length, `${what} twice`);
    for (const each of said) ok(there.includes(each), `${what} ${String(each)} is missing`);
  };
  isSuperset(
    [...leases.map(({ sequence }) => sequence), ...sleepers.map(({ sequence }) => sequence)],
    [...told.pending, ...told.asleep],
    "message",
  );
  const sends: string[] = [];
  for (;;) {
    const entries = await journal.leaseOutbox(flow, "out", 1_000, 9_000);
    if (entries.length === 0) break;
    for (const entry of entries) {
      sends.push(Buffer.from(entry.body).toString());
      await journal.settleOutbox(entry);
    }
  }
  isSuperset(sends, told.sends, "send");
  for (const [key, count] of told.counts)
    ok((JSON.parse((await journal.readState(flow, key)).json ?? "{}") as { n: number }).n >= count, `a count of ${key} is lost`);
  const ids = new Set<string>();
  for (const { name, key, number } of journal.keptSignals()) {
    const found = await journal.firstSignal(flow, name, key, (head) => head.number === number);
    ok(found !== undefined && !ids.has(found.id), "a signal is there twice");
    ids.add(found.id);
  }
  for (const id of told.signals) ok(ids.has(id), `signal ${id} is missing`);
}

for (let schedule = 0; schedule < 20; schedule++) {
  test(`partitions move between nodes, schedule ${schedule}`, async () => {
    const dir = await mkdtemp(join(tmpdir(), "mayfly-moves-"));
    try {
      const world = new World(seed + schedule * 1_000, dir);
      for (let step = 0; step < 150; step++) {
        const node = world.nodes[world.random.below(2)] as Node;
        const kinds = Array.from({ length: 1 + world.random.below(4) }, () => world.random.below(10));
        const under = kinds.map((kind) => (kind < 6 ? signal(world, node) : work(world, node)));
        if (world.random.below(4) === 0) under.push(move(world));
        await Promise.all(under);
      }
      await check(world);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
}

test("a deposed node is answered as a stale lease is, and its loss is told once, in that turn", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-moves-"));
  try {
    const world = new World(seed, dir);
    const [one, two] = world.nodes;
    for (const partition of all) await world.take(one, partition);
    const accepted = await one.journal.accept(newMessage({ key: "k1" }));
    ok(accepted.status === "leased");
    const { lease } = accepted;
    const partition = one.journal.partitionOfNumber(lease.sequence);
    await world.take(two, partition);
    deepEqual(one.lost, []);
    deepEqual(await one.journal.complete(lease, completion({ sends: [newSend("out", "never")] })), { status: "stale" });
    deepEqual(one.lost, [partition]);
    equal(await one.journal.retryLater(lease, record(1), 0), undefined);
    equal(await one.journal.bury(lease, record(1)), undefined);
    equal(await one.journal.drop(lease), false);
    await rejects(one.journal.accept(newMessage({ key: "k1" })), { code: "MF_PARTITION_AWAY" });
    equal(two.journal.outboxDepth(flow, "out"), 0);
    deepEqual(
      (await two.journal.lease(flow, 10)).map(({ sequence }) => sequence),
      [lease.sequence],
    );
    equal(one.journal.stats().pending, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a partition that rests gives nothing out, takes nothing by itself, and finishes what is under way", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-moves-"));
  try {
    const world = new World(seed, dir);
    const [{ journal }] = world.nodes;
    for (const partition of all) await world.take(world.nodes[0], partition);
    const home = journal.home();
    ok(home !== undefined);
    const accepted = await journal.accept(newMessage());
    const waiting = await journal.accept(newMessage({ id: "m2" }));
    ok(accepted.status === "leased" && waiting.status === "leased");
    equal(journal.partitionOfNumber(accepted.lease.sequence), home);
    journal.release(waiting.lease);
    journal.rest(home);
    ok(journal.home() !== home && !journal.takes(home));
    deepEqual(await journal.lease(flow, 10), []);
    deepEqual(await journal.complete(accepted.lease, completion({ sends: [newSend("out", "later")] })), { status: "committed" });
    equal(journal.nextOutboxMs(flow, "out"), undefined);
    deepEqual(await journal.leaseOutbox(flow, "out", 10, 9_000), []);
    journal.resume(home);
    equal((await journal.leaseOutbox(flow, "out", 10, 9_000)).length, 1);
    equal((await journal.lease(flow, 10)).length, 1);
    await journal.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
