/**
 * Three NATS servers and three nodes: numbered messages of several keys over HTTP, each sent until it is acknowledged, while nodes are killed
 * and stopped for longer than their lease and a server is killed. Each is counted once in its key's state, whoever had it.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng } from "#base";
import type { ClusterStatus } from "#gateway";
import { capture } from "#cli";
import { seed } from "../../base/testing/seed.ts";
import { installed } from "../../connectors/testing/brokers.ts";
import { pause, TestCluster, until } from "./cluster.ts";

const skip = installed("nats-server") ? false : "no nats-server to start";
const keys = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/** Counts in the key's state, and sends on what it counted. */
const orders = `import { flow } from "mayfly";
export default flow<"out">(async (msg, { to, state }) => {
  const { key, seq } = msg.json<{ key: string; seq: number }>();
  const count = (state.get<number>("count") ?? 0) + 1;
  state.set("count", count);
  to.out.send({ key, seq, count }, { key });
  return { count };
});
`;
const tick = `import { flow } from "mayfly";
export default flow<"out">((msg, { to }) => {
  to.out.send({ tick: msg.headers["mayfly-scheduled-time"] ?? "", id: msg.id });
});
`;

function configured(sink: string): { readonly flows: object; readonly files: Readonly<Record<string, string>> } {
  const patient = { retry: { attempts: 1_000, backoff: "50ms..500ms", age: "1h" } };
  const out = { http: { url: `${sink}/`, timeout: "2s" }, ...patient };
  return {
    flows: {
      orders: {
        ...{ flow: "flows/orders.ts", key: "json:/key", dedup: { window: "1h", count: 100_000 }, to: { out }, ...patient },
        from: [{ http: { path: "/orders", mode: "reply" } }],
      },
      tick: { flow: "flows/tick.ts", from: [{ cron: { schedule: "* * * * * *" } }], to: { out }, ...patient },
    },
    files: { "orders.ts": orders, "tick.ts": tick },
  };
}

/** Sends the messages of one key, one after the other, each until it is acknowledged, to a node that is up. */
class Sender {
  readonly #cluster: TestCluster;
  readonly #key: string;
  readonly #random;
  acknowledged = 0;
  /** Answers other than 200, by status and code. */
  readonly refusals = new Map<string, number>();
  stopped = false;

  constructor(cluster: TestCluster, key: string, random: ReturnType<typeof prng>) {
    this.#cluster = cluster;
    this.#key = key;
    this.#random = random;
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      const seq = this.acknowledged + 1;
      const count = await this.#send(seq);
      if (count === undefined) continue;
      // A duplicate has the recorded reply: the count is the same.
      equal(count, seq, `${this.#key}/${seq} was counted as ${count}`);
      this.acknowledged = seq;
    }
  }

  async #send(seq: number): Promise<number | undefined> {
    const up = this.#cluster.up;
    const node = up[this.#random.below(up.length)];
    if (node === undefined) return void (await pause(50));
    try {
      const answer = await fetch(`${node.url}/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": `${this.#key}-${seq}` },
        body: JSON.stringify({ key: this.#key, seq }),
        signal: AbortSignal.timeout(5_000),
      });
      const body = (await answer.json()) as { readonly count?: number; readonly code?: string };
      if (answer.status === 200) return body.count;
      this.#refuse(`${answer.status} ${body.code}`);
    } catch (error) {
      this.#refuse(`no answer: ${(error as Error).name}`);
    }
    await pause(50);
    return undefined;
  }

  #refuse(how: string): void {
    this.refusals.set(how, (this.refusals.get(how) ?? 0) + 1);
  }
}

/** 0 missing, 0 out of order per key, each counted once; what came twice came under one idempotency key. */
function judge(cluster: TestCluster, senders: ReadonlyMap<string, Sender>): void {
  for (const [key, sender] of senders) {
    const arrived = cluster.arrived.filter(({ body }) => body["key"] === key);
    const first = new Map<number, string>();
    let highest = 0;
    for (const { body, idempotencyKey } of arrived) {
      const seq = Number(body["seq"]);
      equal(body["count"], seq, `${key}/${seq} was counted as ${String(body["count"])}`);
      const known = first.get(seq);
      if (known === undefined) {
        equal(seq, highest + 1, `${key}/${seq} came after ${highest}`);
        highest = seq;
        first.set(seq, idempotencyKey);
      } else equal(idempotencyKey, known, `${key}/${seq} ran twice`);
    }
    ok(highest >= sender.acknowledged, `${key}: ${sender.acknowledged} acknowledged, ${highest} arrived`);
  }
  const ticks = new Map<string, string>();
  for (const { body } of cluster.arrived.filter(({ body: { tick: time } }) => time !== undefined)) {
    const [time, id] = [String(body["tick"]), String(body["id"])];
    equal(ticks.get(time) ?? id, id, `the tick of ${time} came from two nodes`);
    ticks.set(time, id);
  }
  ok(ticks.size > 5, "cron runs");
}

async function statusOf(cluster: TestCluster): Promise<ClusterStatus | undefined> {
  const { out } = await capture(["cluster", "status", "--json", "-c", `${cluster.folder}/mayfly.yaml`]);
  try {
    return JSON.parse(out) as ClusterStatus;
  } catch {
    return undefined;
  }
}

/** Every partition has an owner, and as many nodes are up. */
async function settled(cluster: TestCluster, nodes: number): Promise<void> {
  await until(async () => {
    const status = await statusOf(cluster);
    const up = status?.nodes.filter(({ state }) => state === "up") ?? [];
    const shares = up.map(({ partitions }) => partitions);
    const isWhole = status?.partitions.every(({ owner, isKnown }) => owner !== undefined && isKnown) === true;
    return isWhole && up.length === nodes && Math.max(...shares) - Math.min(...shares) <= 1;
  }, `${nodes} nodes share the partitions`);
}

test("nodes are killed and stopped, a server is killed: nothing is missing, late or counted twice", {
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
    await cluster.servers.kill(1);
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
    judge(cluster, senders);
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
