/** Signals over the nodes of a cluster: whichever node takes one, and wherever its machine sleeps, it is given once. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { Effect } from "#abi";
import type { Partition } from "./contract/cluster.ts";
import type { TestNode } from "./testing/nodes.ts";
import { type Two, withTwo } from "./testing/two-nodes.ts";
import { type Rig, until } from "./testing/rig.ts";
import { done, type Script, text } from "./testing/scripted.ts";

const dayMs = 86_400_000;
const ended: string[] = [];

/** Waits for `paid` under the message's body as key, then ends with what it got. */
const waits =
  (node: string): Script =>
  (event, memory) => {
    if (event.kind === "deliver") {
      memory.set("key", text(event.body));
      const wait: Effect = {
        kind: "wait",
        wait: 1,
        name: "paid",
        key: text(event.body),
        dueMs: event.timeMs + dayMs,
        questionJson: undefined,
      };
      return [wait];
    }
    if (event.kind !== "signal") return [];
    ended.push(`${String(memory.get("key"))} ${text(event.body)} ${node}`);
    return [done()];
  };

const yaml = `flows: { orders: { image: orders.mfi, key: "header:k", from: [ { http: { path: /orders, mode: accept } } ] } }`;

async function put(rig: Rig, key: string): Promise<void> {
  equal((await fetch(`${rig.url}/orders`, { method: "POST", body: key, headers: { k: key } })).status, 202);
}

async function pay(rig: Rig, key: string, body: string, id: string): Promise<string> {
  const outcome = await rig.gateway.sleepers.signal({
    flow: "orders",
    name: "paid",
    key,
    id,
    source: "api",
    headers: {},
    contentType: "",
    body: Buffer.from(body),
  });
  return outcome.status;
}

const sleepers = ({ nodes }: Two): number => nodes.reduce((sum, { journal }) => sum + journal.sleeperCount("orders").sleepers, 0);
const signals = ({ nodes }: Two): number => nodes.reduce((sum, { journal }) => sum + journal.sleeperCount("orders").signals, 0);

/** A key whose messages are at one node and whose signals at the other. */
function crossed(from: TestNode, to: TestNode): string {
  for (let number = 0; ; number++) {
    const key = `k${number}`;
    const messages = from.journal.partitionOf({ flow: "orders", key, dedup: undefined });
    const kept = from.journal.partitionOfSignal({ flow: "orders", name: "paid", key });
    if (messages !== undefined && from.journal.takes(messages) && to.journal.takes(kept)) return key;
  }
}

async function halves({ nodes: [one, two], partitions }: Two): Promise<void> {
  for (let partition = 0; partition < partitions; partition += 2) {
    await one.release(partition as Partition);
    await two.take(partition as Partition);
  }
}

test("a signal that comes after its machine fell asleep at another node wakes it, once; its duplicate is known", async () => {
  ended.length = 0;
  await withTwo(yaml, [{ orders: waits("one") }, { orders: waits("two") }], async (place) => {
    await halves(place);
    const [one, two] = place.rigs;
    const key = crossed(...place.nodes);
    await put(two, key);
    await until(() => sleepers(place) === 1);
    equal(await pay(one, key, "10", "s1"), "kept");
    await until(() => ended.length === 1);
    deepEqual(ended, [`${key} 10 one`]);
    equal(await pay(two, key, "10", "s1"), "duplicate");
    await until(() => signals(place) + sleepers(place) === 0);
  });
});

test("a signal that was there first is sent to the node where its machine falls asleep", async () => {
  ended.length = 0;
  await withTwo(yaml, [{ orders: waits("one") }, { orders: waits("two") }], async (place) => {
    await halves(place);
    const [one, two] = place.rigs;
    const key = crossed(...place.nodes);
    equal(await pay(two, key, "10", "s1"), "kept");
    equal(place.nodes[1].journal.sleeperCount("orders").signals, 1);
    await put(one, key);
    await until(() => ended.length === 1);
    await until(() => signals(place) + sleepers(place) === 0);
    deepEqual(ended, [`${key} 10 one`]);
  });
});

test("a move that a lost node has cut is finished by the next owners", async () => {
  ended.length = 0;
  await withTwo(yaml, [{ orders: waits("one") }, { orders: waits("two") }], async (place) => {
    await halves(place);
    const [one, two] = place.rigs;
    const [from, to] = place.nodes;
    const key = crossed(from, to);
    await put(one, key);
    await until(() => sleepers(place) === 1);
    const ask = to.ask.bind(to);
    to.ask = async (partition, question) => ((question as { kind?: string }).kind === "bring" ? undefined : ask(partition, question)); // it never arrives
    equal(await pay(two, key, "10", "s1"), "kept");
    const home = to.journal.partitionOfSignal({ flow: "orders", name: "paid", key });
    await until(() => [...to.journal.keptSignals()].length === 0);
    equal(signals(place), 1, "reserved, and nobody's");
    await from.take(home);
    await until(() => ended.length === 1);
    await until(() => sleepers(place) === 0);
    deepEqual(from.journal.sleeperCount("orders"), { sleepers: 0, signals: 0 });
    deepEqual(ended, [`${key} 10 one`]);
  });
});
