/** `npm run chaos -- --cluster`: faults drawn from a seed against nodes and servers, for minutes, under numbered messages. */
import { parseArgs } from "node:util";
import { prng } from "#base";
import { pause, TestCluster, until } from "./cluster.ts";
import { configured, judge, keys, Sender, settled } from "./probe.ts";

const names = ["a", "b", "c"];
/** The longest a key may wait, with a kill, a lease, an election and the retries of its sender. */
const patienceMs = 90_000;

interface Report {
  readonly seed: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly arrived: number;
  /** For each fault, the longest that a key was without an acknowledgement, in milliseconds, sorted. */
  readonly gapsMs: readonly number[];
  readonly refusals: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

/** One fault and its end. */
async function harm(cluster: TestCluster, random: ReturnType<typeof prng>): Promise<string> {
  const name = names[random.below(names.length)] as string;
  const server = random.below(3);
  switch (random.below(5)) {
    case 0:
    case 1:
      await cluster.node(name).end("SIGKILL");
      await pause(random.below(8_000));
      await cluster.start(name);
      return "kill -9 of a node";
    case 2:
      cluster.node(name).send("SIGSTOP");
      await pause(1_000 + random.below(9_000));
      cluster.node(name).send("SIGCONT");
      return "stop of a node";
    case 3:
      await cluster.node(name).end("SIGTERM");
      await cluster.start(name);
      return "restart of a node";
    default:
      await cluster.servers.kill(server);
      await pause(random.below(4_000));
      await cluster.servers.up(server);
      return "kill -9 of a server";
  }
}

/** Resolves with the exit status. */
export async function runClusterChaos(argv: readonly string[], say: (line: string) => void): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ args: [...argv], options: { cluster: flag, seed: text, minutes: text } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const cluster = await TestCluster.open(3, 12, configured);
  if (typeof cluster === "string") {
    say(`skipped: ${cluster}`);
    return 0;
  }
  say(`seed ${seed}, in ${cluster.folder}`);
  const report = await campaign(cluster, seed, Number(values.minutes ?? 5) * 60_000, say).finally(() => cluster.close(true));
  say(JSON.stringify(report, undefined, 1));
  return report.broken.length === 0 ? 0 : 1;
}

async function campaign(cluster: TestCluster, seed: number, forMs: number, say: (line: string) => void): Promise<Report> {
  const random = prng(seed);
  await cluster.start(...names);
  await settled(cluster, names.length);
  const senders = new Map(keys.map((key) => [key, new Sender(cluster, key, prng(seed ^ 0x5e))]));
  const each = [...senders.values()];
  const running = each.map((sender) => sender.run());
  const faults: Record<string, number> = {};
  const gapsMs: number[] = [];
  const broken: string[] = [];
  for (const endMs = Date.now() + forMs; Date.now() < endMs && broken.length === 0; ) {
    for (const sender of each) sender.longestMs = 0;
    const before = new Map(each.map((sender) => [sender, sender.acknowledged]));
    const what = await harm(cluster, random);
    faults[what] = (faults[what] ?? 0) + 1;
    const goesOn = (): boolean => each.every((sender) => sender.acknowledged > (before.get(sender) ?? 0) + 3);
    await until(goesOn, `every key goes on after ${what}`, patienceMs).catch((error: unknown) => broken.push(String(error)));
    gapsMs.push(Math.round(Math.max(...each.map(({ longestMs }) => longestMs))));
    say(
      `${what}: ${gapsMs.at(-1)} ms without an acknowledgement at most; ${each.reduce((sum, { acknowledged }) => sum + acknowledged, 0)} acknowledged`,
    );
    await pause(random.below(3_000));
  }
  for (const sender of each) sender.stopped = true;
  await Promise.all(running);
  await settled(cluster, names.length).catch((error: unknown) => broken.push(String(error)));
  await pause(5_000);
  const refusals: Record<string, number> = {};
  for (const sender of each) for (const [how, count] of sender.refusals) refusals[how] = (refusals[how] ?? 0) + count;
  return {
    ...{ seed, faults, refusals, gapsMs: gapsMs.sort((a, b) => a - b) },
    acknowledged: each.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    arrived: cluster.arrived.length,
    broken: [...broken, ...judge(cluster, senders), ...each.flatMap((sender) => sender.faults)],
  };
}
