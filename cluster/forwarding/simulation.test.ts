/** Three nodes in virtual time: owners change, nodes end and are cut off, messages of the network are lost. Each message has one outcome. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng, type Prng } from "#base";
import type { ForwardedMessage, Outcome, Partition } from "#gateway";
import { seed } from "../../base/testing/seed.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { SimulatedNetwork } from "../testing/simulated-network.ts";
import { type Forwarding, openForwarding } from "./mod.ts";

const partitions = 4;
const names = ["a", "b", "c"] as const;

interface Ran {
  readonly node: string;
  readonly id: string;
}

class Nodes {
  readonly clock = new ManualClock();
  readonly random: Prng;
  readonly network: SimulatedNetwork;
  /** In the order in which they were run. */
  readonly ran: Ran[] = [];
  readonly owners: (string | undefined)[] = Array.from({ length: partitions }, () => "b");
  readonly open = new Map<string, Forwarding>();
  /** How long a node works on a message. */
  workMs = 30;
  #lives = 0;

  constructor(from: number) {
    this.random = prng(from);
    this.network = new SimulatedNetwork(this.clock, this.random);
    for (const name of names) this.start(name);
  }

  start(node: string): void {
    const { clock, network } = this;
    const forwarding = openForwarding({
      ...{ clock, node, cluster: "test", life: `life${this.#lives++}`, wire: network.wire(node) },
      ownerOf: (partition) => this.owners[partition],
    });
    this.open.set(node, forwarding);
    forwarding.serve({
      message: (flow, message) => this.#run(node, Number(flow), message),
      signal: () => Promise.resolve({ status: "duplicate", id: "" }),
      ask: (question) => Promise.resolve({ node, question }),
    });
  }

  /** The process ends: nothing that it was working on is answered. */
  kill(node: string): void {
    this.network.kill(node);
    this.open.delete(node);
    for (const [index, owner] of this.owners.entries()) if (owner === node) this.owners[index] = undefined;
  }

  send(from: string, partition: number, id: string, more: Partial<ForwardedMessage> = {}): Promise<Outcome> {
    const body = new Uint8Array(this.random.below(3) === 0 ? 9_000 : 10); // in parts, or in one
    const message = { id, headers: {}, contentType: "", body, replyWanted: false, keeper: "source", ...more } as const;
    const forwarding = this.open.get(from);
    if (forwarding === undefined) throw new Error(`${from} is not there`);
    return forwarding.message({ partition: partition as Partition, flow: String(partition), message, origin: { source: "s", place: "p" } });
  }

  /** Moves the clock, and lets what became of it happen in between. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms;
    await settled();
    while (this.clock.monotonicMs() < untilMs) {
      const nextMs = Math.min(this.clock.nextMs ?? untilMs, untilMs);
      this.clock.advance(Math.max(nextMs - this.clock.monotonicMs(), 0));
      await settled();
    }
  }

  #run(node: string, partition: number, { id = "" }: ForwardedMessage): Promise<Outcome> {
    if (this.owners[partition] !== node)
      return Promise.resolve({ status: "refused", id, code: "MF_PARTITION_AWAY", message: "", retryAfterMs: 0 });
    this.ran.push({ node, id });
    return new Promise((resolve) => {
      this.clock.after(this.random.below(this.workMs), () => resolve({ status: "done", id, reply: undefined }));
    });
  }
}

/** All promises that can go on have gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An outcome for each id, as they come. */
class Outcomes {
  readonly each = new Map<string, Outcome[]>();

  watch(id: string, outcome: Promise<Outcome>): void {
    this.each.set(id, []);
    void outcome.then((told) => this.each.get(id)?.push(told));
  }

  get done(): string[] {
    return [...this.each].filter(([, [first]]) => first?.status === "done").map(([id]) => id);
  }

  checkOne(): void {
    for (const [id, told] of this.each) equal(told.length, 1, `message ${id} has ${told.length} outcomes`);
  }
}

const runs = 30;

test("owners change while nothing is lost: what a broker keeps is all done, once, in the order of its partition", async () => {
  for (let round = 0; round < runs; round++) {
    const nodes = new Nodes(seed + round);
    const outcomes = new Outcomes();
    for (let number = 0; number < 120; number++) {
      const partition = nodes.random.below(partitions);
      const id = `${partition}/${number}`;
      outcomes.watch(id, nodes.send("a", partition, id));
      if (nodes.random.below(8) === 0) nodes.owners[nodes.random.below(partitions)] = names[nodes.random.below(3)];
      if (nodes.random.below(12) === 0) nodes.owners[nodes.random.below(partitions)] = undefined;
      await nodes.pass(nodes.random.below(20));
    }
    for (const partition of nodes.owners.keys()) nodes.owners[partition] ??= "c";
    await nodes.pass(3_000);
    outcomes.checkOne();
    equal(outcomes.done.length, 120, `seed ${seed + round}`);
    for (let partition = 0; partition < partitions; partition++) {
      const ran = nodes.ran.filter(({ id }) => id.startsWith(`${partition}/`)).map(({ id }) => id);
      const sent = [...outcomes.each.keys()].filter((id) => id.startsWith(`${partition}/`));
      deepEqual(ran, sent, `seed ${seed + round}`);
    }
  }
});

test("nodes end, start again and are cut off, and messages are lost: one outcome each, and what is done has run", async () => {
  for (let round = 0; round < runs; round++) {
    const nodes = new Nodes(seed + round);
    const outcomes = new Outcomes();
    nodes.network.loses = () => nodes.random.below(200) === 0;
    for (let number = 0; number < 150; number++) {
      const partition = nodes.random.below(partitions);
      const id = `${partition}/${number}`;
      const callers = nodes.random.below(2) === 0;
      outcomes.watch(id, nodes.send("a", partition, id, { replyWanted: callers }));
      const node = names[1 + nodes.random.below(2)] as string;
      const act = nodes.random.below(30);
      if (act === 0) nodes.kill(node);
      else if (act === 1) nodes.network.cut(node, true);
      else if (act === 2) nodes.network.cut(node, false);
      else if (act < 6) nodes.owners[nodes.random.below(partitions)] = names[nodes.random.below(3)];
      for (const each of names) if (!nodes.open.has(each) && nodes.random.below(5) === 0) nodes.start(each);
      await nodes.pass(nodes.random.below(200));
    }
    for (const each of names) nodes.network.cut(each, false);
    await nodes.pass(60_000);
    outcomes.checkOne();
    const ran = new Set(nodes.ran.map(({ id }) => id));
    for (const id of outcomes.done) ok(ran.has(id), `${id} is done and has not run (seed ${seed + round})`);
    equal(nodes.clock.waiting, 0, "a timer is left behind");
  }
});

test("a caller's message that may have run is not run again, and one that was not is sent to the next owner", async () => {
  const nodes = new Nodes(1);
  nodes.workMs = 1_000;
  const outcomes = new Outcomes();
  outcomes.watch("run", nodes.send("a", 0, "run", { replyWanted: true }));
  await nodes.pass(30);
  nodes.kill("b");
  nodes.owners[0] = "c";
  await nodes.pass(10_000);
  deepEqual(
    nodes.ran.map(({ node }) => node),
    ["b"],
  );
  const [told] = outcomes.each.get("run") ?? [];
  equal(told?.status === "refused" ? told.code : told?.status, "MF_PARTITION_AWAY");
  nodes.owners[0] = "b"; // which is not there: nobody gets it
  outcomes.watch("next", nodes.send("a", 0, "next", { replyWanted: true }));
  await nodes.pass(10);
  nodes.owners[0] = "c";
  await nodes.pass(10_000);
  equal(outcomes.each.get("next")?.[0]?.status, "done");
});

test("a caller is refused when a partition stays without an owner, and waits no longer than its patience", async () => {
  const nodes = new Nodes(2);
  nodes.owners[1] = undefined;
  const outcomes = new Outcomes();
  outcomes.watch("caller", nodes.send("a", 1, "caller", { replyWanted: true }));
  outcomes.watch("broker", nodes.send("a", 1, "broker"));
  await nodes.pass(2_200);
  equal(outcomes.each.get("caller")?.[0]?.status, "refused");
  equal(outcomes.each.get("broker")?.length, 0);
  nodes.owners[1] = "a"; // it is this node's own by now
  await nodes.pass(1_000);
  equal(outcomes.each.get("broker")?.[0]?.status, "done");
  deepEqual(nodes.ran, [{ node: "a", id: "broker" }]);
});

test("a node that is asked something answers, and one that is not there does not", async () => {
  const nodes = new Nodes(3);
  const told: unknown[] = [];
  for (const node of ["b", "nobody"])
    void nodes.open
      .get("a")
      ?.ask(node, { what: 1 })
      .then((answer) => told.push(answer));
  await nodes.pass(1_000);
  ok(told.some((each) => each === undefined));
  ok(told.some((each) => JSON.stringify(each) === '{"node":"b","question":{"what":1}}'));
});

test("a node that stops taking refuses what comes, and answers what it works on", async () => {
  const nodes = new Nodes(4);
  nodes.workMs = 2_000;
  const outcomes = new Outcomes();
  outcomes.watch("before", nodes.send("a", 0, "before"));
  await nodes.pass(100);
  nodes.open.get("b")?.stopTaking();
  outcomes.watch("after", nodes.send("a", 0, "after"));
  await nodes.pass(3_000);
  equal(outcomes.each.get("before")?.[0]?.status, "done");
  ok(!nodes.ran.some(({ id }) => id === "after"));
});
