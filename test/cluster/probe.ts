/** Numbered messages of several keys into a cluster, and the verdict on what came out. */
import { prng } from "#base";
import type { ClusterStatus } from "#gateway";
import { capture } from "#cli";
import { pause, type TestCluster, until } from "./cluster.ts";

export const keys = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

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

export function configured(sink: string): { readonly flows: object; readonly files: Readonly<Record<string, string>> } {
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
export class Sender {
  readonly #cluster: TestCluster;
  readonly #key: string;
  readonly #random: ReturnType<typeof prng>;
  acknowledged = 0;
  /** Longest time between two acknowledgements since it was set to 0. */
  longestMs = 0;
  #lastMs = performance.now();
  readonly faults: string[] = [];
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
      if (count !== seq) this.faults.push(`${this.#key}/${seq} was counted as ${count}`);
      this.acknowledged = seq;
      const nowMs = performance.now();
      this.longestMs = Math.max(this.longestMs, nowMs - this.#lastMs);
      this.#lastMs = nowMs;
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

/** Faults: missing, out of order per key, counted twice; what came twice and not under one idempotency key; ticks of cron from two nodes. */
export function judge(cluster: TestCluster, senders: ReadonlyMap<string, Sender>): string[] {
  const faults = [...senders].flatMap(([key, sender]) => judgeKey(cluster, key, sender.acknowledged));
  const ticks = new Map<string, string>();
  for (const { body } of cluster.arrived.filter(({ body: { tick: time } }) => time !== undefined)) {
    const [time, id] = [String(body["tick"]), String(body["id"])];
    if ((ticks.get(time) ?? id) !== id) faults.push(`the tick of ${time} came from two nodes`);
    ticks.set(time, id);
  }
  if (ticks.size <= 5) faults.push(`cron ran ${ticks.size} times`);
  return faults;
}

function judgeKey(cluster: TestCluster, key: string, acknowledged: number): string[] {
  const faults: string[] = [];
  const first = new Map<number, string>();
  let highest = 0;
  for (const { body, idempotencyKey } of cluster.arrived.filter((each) => each.body["key"] === key)) {
    const seq = Number(body["seq"]);
    if (body["count"] !== seq) faults.push(`${key}/${seq} was counted as ${String(body["count"])}`);
    const known = first.get(seq);
    if (known !== undefined && idempotencyKey !== known) faults.push(`${key}/${seq} ran twice`);
    if (known !== undefined) continue;
    if (seq !== highest + 1) faults.push(`${key}/${seq} came after ${highest}`);
    highest = seq;
    first.set(seq, idempotencyKey);
  }
  if (highest < acknowledged) faults.push(`${key}: ${acknowledged} acknowledged, ${highest} arrived`);
  return faults;
}

export async function statusOf(cluster: TestCluster): Promise<ClusterStatus | undefined> {
  const { out } = await capture(["cluster", "status", "--json", "-c", `${cluster.folder}/mayfly.yaml`]);
  try {
    return JSON.parse(out) as ClusterStatus;
  } catch {
    return undefined;
  }
}

/** Every partition has an owner, and as many nodes are up. */
export async function settled(cluster: TestCluster, nodes: number): Promise<void> {
  await until(async () => {
    const status = await statusOf(cluster);
    const up = status?.nodes.filter(({ state }) => state === "up") ?? [];
    const shares = up.map(({ partitions }) => partitions);
    const isWhole = status?.partitions.every(({ owner, isKnown }) => owner !== undefined && isKnown) === true;
    return isWhole && up.length === nodes && Math.max(...shares) - Math.min(...shares) <= 1;
  }, `${nodes} nodes share the partitions`);
}
