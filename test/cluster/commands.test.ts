/** `mayfly cluster` against two nodes on one server, and what a node says of itself. */
import { equal, match } from "node:assert/strict";
import { test } from "node:test";
import { capture } from "#cli";
import { installed } from "../../connectors/testing/brokers.ts";
import { TestCluster, until } from "./cluster.ts";
import { configured, settled, statusOf } from "./probe.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";

test("status, drain and check: any node shows the whole; a drained node keeps nothing", { skip, timeout: 120_000 }, async () => {
  const cluster = await TestCluster.open(1, 8, configured);
  if (typeof cluster === "string") throw new Error(cluster);
  const config = ["-c", `${cluster.folder}/mayfly.yaml`];
  try {
    const check = await capture(["cluster", "check", ...config]);
    equal(check.code, 0, check.out + check.err);
    match(check.out, /the servers can hold this cluster/);
    await cluster.start("a", "b");
    await settled(cluster, 2);
    const { code, out } = await capture(["cluster", "status", "--all", ...config]);
    equal(code, 0, out);
    match(out, /^cluster test: 2 nodes, 8 partitions\n/);
    match(out, new RegExp(`a \\*? +up +4 .*${cluster.node("a").url}`));
    const unknown = await capture(["cluster", "drain", "nobody", ...config]);
    equal(unknown.code, 2, unknown.err);
    match(unknown.err, /MF_CLUSTER_NODE_UNKNOWN/);
    const drained = await capture(["cluster", "drain", "b", ...config]);
    equal(drained.code, 0, drained.err);
    await until(async () => (await statusOf(cluster))?.partitions.every(({ owner }) => owner === "a"), "a has everything");
    equal((await statusOf(cluster))?.nodes.find(({ name }) => name === "b")?.state, "draining");
    const owned = async (name: string): Promise<string | undefined> =>
      /^mayfly_partitions_owned (\d+)$/m.exec(await (await fetch(`${cluster.node(name).url}/metrics`)).text())?.[1];
    await until(async () => (await owned("a")) === "8", "a has taken up what it owns");
    equal(await owned("b"), "0");
    equal(await cluster.node("b").end("SIGTERM"), "exit code 0");
    await until(async () => (await statusOf(cluster))?.nodes.length === 1, "b has left");
    equal(await cluster.node("a").end("SIGTERM"), "exit code 0");
  } finally {
    await cluster.close(false);
  }
});
