/**
 * Three NATS servers and three nodes: numbered messages of several keys over HTTP, each sent until it is acknowledged, while nodes are killed
 * and stopped for longer than their lease and a server is restarted. Each is counted once in its key's state, whoever had it.
 */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import { seed } from "../../base/testing/seed.ts";
import { installed } from "../../connectors/testing/brokers.ts";
import { pause, TestCluster, until } from "./cluster.ts";
import { configured, judge, keys, Sender, settled, statusOf } from "./probe.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";
test("nodes are killed and stopped, a server restarts: nothing is missing, late or counted twice", {
  skip,
  timeout: 240_000,
}, async () => {
  const cluster = await TestCluster.open(3, 12, configured);
  if (typeof cluster === "string") throw new Error(cluster);
  let isGood = false;
  try {
    await cluster.start("a", "b", "c");
    await settled(cluster, 3);
    const random = prng(seed);
    const senders = new Map(keys.map((key) => [key, new Sender(cluster, key, random)]));
    const running = [...senders.values()].map((sender) => sender.run());
    const progressed = async (what: string): Promise<void> => {
      const before = new Map([...senders].map(([key, { acknowledged }]) => [key, acknowledged]));
      await until(
        () => [...senders].every(([key, { acknowledged }]) => acknowledged > (before.get(key) ?? 0) + 5),
        `every key goes on ${what}`,
      );
    };
    await progressed("at first");
    await cluster.node("b").end("SIGKILL");
    await progressed("after a kill");
    await cluster.start("b");
    await cluster.servers.at(1).down(); // in order: Debian's 2.9 may come back with holes after a kill, see CLUSTER.md
    await progressed("without a server");
    await cluster.servers.up(1);
    cluster.node("c").send("SIGSTOP");
    await pause(7_000);
    cluster.node("c").send("SIGCONT");
    await progressed("after a stop");
    equal(await cluster.node("a").end("SIGTERM"), "exit code 0");
    await progressed("after a node has left");
    for (const sender of senders.values()) sender.stopped = true;
    await Promise.all(running);
    await settled(cluster, 2);
    await until(
      () =>
        [...senders].every(([key, { acknowledged }]) => cluster.arrived.filter(({ body }) => body["key"] === key).length >= acknowledged),
      "all has arrived",
    );
    deepEqual([...judge(cluster, senders), ...[...senders.values()].flatMap(({ faults }) => faults)], []);
    deepEqual(
      (await statusOf(cluster))?.nodes.map(({ name }) => name),
      ["b", "c"],
    );
    isGood = true;
  } finally {
    if (!isGood) console.error(`the logs are in ${cluster.folder}; ${JSON.stringify(await statusOf(cluster))}`);
    await cluster.close(!isGood);
  }
});
