/** Ownership over real servers: nodes share partitions, one goes, the server restarts; the store refuses what it must. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { after, test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "#base";
import { silentLogger } from "#gateway";
import { NatsServers } from "../testing/nats-servers.ts";
import { Ownership } from "./ownership.ts";
import { openStreamStore } from "./stream-store.ts";

const partitions = 8;
const servers = await NatsServers.start({ count: 1 });
const skip = typeof servers === "string" ? servers : false;
const patienceMs = 60_000;

after(async () => {
  if (typeof servers !== "string") await servers.remove();
});

async function connected(): Promise<NatsConnection> {
  if (typeof servers === "string") throw new Error(servers);
  return await connect({ servers: `127.0.0.1:${servers.at(0).port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
}

async function until(check: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) if (check()) return;
  throw new Error(`waited in vain: ${what}`);
}

interface Node {
  readonly ownership: Ownership;
  readonly connection: NatsConnection;
  readonly lost: number[];
}

async function start(cluster: string, name: string): Promise<Node> {
  const connection = await connected();
  const store = await openStreamStore({ connection, cluster, replicas: 1, partitions, clock: systemClock });
  const lost: number[] = [];
  const ownership = new Ownership({
    ...{
      store,
      clock: systemClock,
      logger: silentLogger,
      node: name,
      life: `${name}-${process.hrtime.bigint()}`,
      partitions,
      version: "1",
      address: () => "http://here",
    },
    gain: async (_, begin) => void begin(),
    rest: async () => {},
    lost: (partition) => void lost.push(partition),
  });
  await ownership.start();
  return { ownership, connection, lost };
}

test("two nodes share; one stops and the other has all; a restarted server finds them as they were", { skip }, async () => {
  if (typeof servers === "string") throw new Error(servers);
  const [a, b] = [await start("two", "a"), await start("two", "b")];
  try {
    await until(() => a.ownership.owned.length === 4 && b.ownership.owned.length === 4, "shares of four");
    for (const partition of a.ownership.owned) await until(() => b.ownership.ownerOf(partition) === "a", "b knows it");
    await servers.at(0).down("SIGKILL");
    await until(() => a.ownership.owned.length === 0 && b.ownership.owned.length === 0, "both step down");
    await servers.up(0);
    await until(() => a.ownership.owned.length === 4 && b.ownership.owned.length === 4, "both go on");
    a.lost.length = 0;
    b.lost.length = 0;
    await a.ownership.stop();
    await until(() => b.ownership.owned.length === partitions, "b has all");
    deepEqual(
      b.ownership.nodes().map(({ name, partitions: count }) => [name, count]),
      [["b", partitions]],
    );
    deepEqual([a.lost, b.lost], [[], []]);
  } finally {
    await b.ownership.stop();
    await a.connection.close();
    await b.connection.close();
  }
});

test("the store refuses a write of another revision, and another number of partitions", { skip }, async () => {
  const connection = await connected();
  try {
    const options = { connection, cluster: "store", replicas: 1, partitions: 4, clock: systemClock };
    const store = await openStreamStore(options);
    const first = await store.put("part.1", Buffer.from("1"), 0);
    ok(first !== undefined);
    equal(await store.put("part.1", Buffer.from("2"), 0), undefined);
    ok(((await store.put("part.1", Buffer.from("2"), first)) ?? 0) > first);
    const seen: string[] = [];
    const end = await store.watch((key, value) => void seen.push(`${key}=${Buffer.from(value)}`));
    ok(seen.includes("part.1=2"));
    await store.put("part.2", Buffer.from("x"), 0);
    await until(() => seen.includes("part.2=x"), "a change is told");
    end();
    await rejects(openStreamStore({ ...options, partitions: 5 }), { code: "MF_CLUSTER_PARTITIONS" });
  } finally {
    await connection.close();
  }
});
