/** Stopped flows and outlets, known at nodes of a cluster that were not there, or take over. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { Partition } from "./contract/cluster.ts";
import { stoppedOf } from "./switches.ts";
import { switchesAnswer } from "./switches-elsewhere.ts";
import type { TestNode } from "./testing/nodes.ts";
import { type Rig, until, withGateway } from "./testing/rig.ts";
import { type Two, withTwo } from "./testing/two-nodes.ts";

const yaml = `flows:
  orders:
    image: orders.mfi
    from: [ { http: { path: /orders } } ]
    to: { erp: { http: { url: "http://127.0.0.1:9/" } } }`;
const scripts: Parameters<typeof withTwo>[1] = [{ orders: () => undefined }, { orders: () => undefined }];

/** State of the flow and of its outlet, as this node has them. */
async function shown(rig: Rig): Promise<readonly [string, boolean]> {
  const { flows } = (await (await rig.admin("/api/queue?flow=orders")).json()) as {
    readonly flows: readonly { readonly state: string; readonly outlets: readonly { readonly paused: boolean }[] }[];
  };
  return [flows[0]?.state ?? "", flows[0]?.outlets[0]?.paused ?? false];
}

const stopped = ["paused", true] as const;
const post = async (rig: Rig, path: string): Promise<void> =>
  equal((await rig.admin(`/api/flows/orders/${path}`, { method: "POST" })).status, 200);
const own = ({ nodes: [one] }: Two): Partition => one.journal.partitionOfFlow("orders");

async function becomes(rig: Rig, expected: readonly [string, boolean]): Promise<void> {
  await until(async () => JSON.stringify(await shown(rig)) === JSON.stringify(expected));
}

/** Runs something while a node hears nothing of others, as one that is not there yet. */
async function deaf(node: TestNode, run: () => Promise<void>): Promise<void> {
  const { host } = node;
  node.host = undefined;
  try {
    await run();
  } finally {
    node.host = host;
  }
}

async function move(from: TestNode, to: TestNode, partition: Partition): Promise<void> {
  await from.release(partition);
  await to.take(partition);
}

test("a node that was away when a flow was stopped stops it when it takes over, and one that starts asks the owner", async () => {
  await withTwo(yaml, scripts, async (two) => {
    const {
      rigs: [first, second],
      nodes: [one, other],
    } = two;
    await deaf(other, async () => {
      await post(first, "pause");
      await post(first, "outlets/erp/pause");
    });
    await deaf(one, async () => deepEqual(await shown(second), ["running", false])); // a queue is that of all nodes who hear
    await move(one, other, own(two));
    await deaf(one, () => becomes(second, stopped));
    const third = two.shared.node("three");
    await withGateway(yaml, scripts[0], (rig) => deaf(one, () => deaf(other, () => becomes(rig, stopped))), {
      ports: { journal: third.journal, cluster: third, deadLetters: two.shared.deadLetters },
      drain: "500ms",
    });
  });
});

test("a new owner tells the others what was stopped, and starts nothing", async () => {
  await withTwo(yaml, scripts, async (two) => {
    const {
      rigs: [first, second],
      nodes: [one, other],
    } = two;
    const partition = own(two);
    await one.release(partition);
    await deaf(other, () => post(first, "pause")); // nobody keeps it
    await one.take(partition);
    await deaf(one, () => becomes(second, ["paused", false]));
    await post(second, "resume");
    await move(one, other, partition);
    await deaf(one, () => becomes(second, ["running", false]));
    await deaf(other, () => becomes(first, ["running", false]));
  });
});

test("what was stopped while nobody owned the flow's partition is in the journal once somebody does", async () => {
  await withTwo(yaml, scripts, async (two) => {
    const {
      rigs: [first],
      nodes: [one, other],
    } = two;
    const partition = own(two);
    await one.release(partition);
    await post(first, "pause");
    await one.take(partition);
    const third = two.shared.node("three");
    const ports = { ports: { journal: third.journal, cluster: third, deadLetters: two.shared.deadLetters }, drain: "500ms" };
    const taken = async (rig: Rig): Promise<void> => {
      deepEqual(await shown(rig), ["running", false]); // nobody told it
      await third.take(partition);
      deepEqual(await shown(rig), ["paused", false]);
    };
    await deaf(one, () => deaf(other, () => withGateway(yaml, scripts[0], taken, ports)));
  });
});

test("words that are no switches stop nothing", async () => {
  for (const value of [undefined, null, "x", {}, { state: "on", outlets: [] }, { state: "paused" }, { state: "paused", outlets: [1] }])
    equal(stoppedOf(value), undefined);
  for (const question of [
    undefined,
    {},
    { kind: "switches" },
    { kind: "switches", ask: "owner", flow: "none" },
    { kind: "switches", ask: "stop", flow: "none" },
  ])
    equal(await switchesAnswer(question, new Map()), undefined);
});
