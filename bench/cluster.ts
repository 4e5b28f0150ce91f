/**
 * The journal of a partition on NATS JetStream, one server and three, beside the one on this computer's disk: messages accepted and completed,
 * how long one waits, single fenced publishes, and what a take-over costs. All servers run on this computer, beside the node.
 */
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { openReplicatedDisk, replicatedLimits } from "../cluster/log/mod.ts";
import { DeadLetters, LogJournal, openJournal } from "#gateway";
import { NatsServers } from "../cluster/testing/nats-servers.ts";
import { inFolder, rate, through } from "./journal.ts";
import { percentiles, type Row, say } from "./rows.ts";

const suite = "cluster";
const aims = { 1: 0.6, 3: 0.4 } as const;
const waitAimMs = 25;

interface Measured {
  readonly perSecond: ReadonlyMap<number, number>;
  readonly p50: number;
  readonly p99: number;
}

const together = [1, 64, 1_000] as const;

async function measure(journal: LogJournal, quick: boolean): Promise<Measured> {
  const perSecond = new Map<number, number>();
  let index = 0;
  const waits: number[] = [];
  for (const atOnce of together) {
    const count = (atOnce === 1 ? 1_000 : 20_000) * (quick ? 1 : 3);
    await rate(count / 4, atOnce, () => through(journal, index++));
    const each = async (): Promise<void> => {
      const started = performance.now();
      await through(journal, index++);
      if (atOnce === 64) waits.push(performance.now() - started);
    };
    perSecond.set(atOnce, await rate(count, atOnce, each));
  }
  return { perSecond, ...percentiles(waits) };
}

async function local(quick: boolean): Promise<Measured> {
  return inFolder(async (dir) => {
    const journal = openJournal(dir);
    await journal.recover();
    const measured = await measure(journal, quick);
    await journal.close();
    return measured;
  });
}

async function opened(
  connection: NatsConnection,
  replicas: number,
  dir: string,
): Promise<{ journal: LogJournal; close: () => Promise<void> }> {
  const disk = await openReplicatedDisk({ connection, cluster: "bench", partition: 0, replicas, node: "bench" });
  const journal = new LogJournal({ disk, deadLetters: new DeadLetters(join(dir, "dead")), limits: replicatedLimits(disk) });
  await journal.recover();
  return {
    journal,
    close: async () => {
      await journal.close();
      await disk.close();
    },
  };
}

/** Fenced publishes of 1 KiB, one after the other, on a stream of its own. */
async function publishes(connection: NatsConnection, replicas: number, count: number): Promise<number> {
  const manager = await jetstream(connection).jetstreamManager();
  await manager.streams.add({ name: "BENCH", subjects: ["bench.>"], num_replicas: replicas });
  const js = jetstream(connection);
  const data = new Uint8Array(1_024);
  const each = (index: number): Promise<unknown> => js.publish("bench.a", data, { expect: { lastSequence: index } });
  const perSecond = await rate(count, 1, each);
  await manager.streams.delete("BENCH");
  return perSecond;
}

async function onServers(count: 1 | 3, beside: Measured, quick: boolean): Promise<Row[]> {
  const servers = await NatsServers.start({ count });
  const kind = `R${count}`;
  if (typeof servers === "string") return [{ suite, name: kind, value: Number.NaN, unit: "1/s", skipped: servers }];
  const connection = await connect({ servers: servers.url.replaceAll("nats://", "").split(",") });
  try {
    return await inFolder(async (dir) => {
      const first = await opened(connection, count, dir);
      const measured = await measure(first.journal, quick);
      const rows = together.map((atOnce): Row => {
        const value = measured.perSecond.get(atOnce) ?? Number.NaN;
        const there = beside.perSecond.get(atOnce) ?? Number.NaN;
        const name = `${kind}: messages, accept and complete, ${atOnce} at once`;
        const row: Row = { suite, name, value, unit: "1/s", beside: { name: "local disk", value: there }, ratio: value / there };
        return atOnce === 64 ? { ...row, aim: `≥ ${aims[count]} ×`, met: value / there >= aims[count] } : row;
      });
      const { p50, p99 } = measured;
      rows.push({
        suite,
        name: `${kind}: accept and complete, 64 at once, p50`,
        value: p50,
        unit: "ms",
        beside: { name: "local disk", value: beside.p50 },
      });
      rows.push({
        suite,
        name: `${kind}: accept and complete, 64 at once, p99`,
        value: p99,
        unit: "ms",
        aim: `≤ ${waitAimMs} ms`,
        met: p99 <= waitAimMs,
      });
      rows.push({
        suite,
        name: `${kind}: fenced publishes of 1 KiB, one at a time`,
        value: await publishes(connection, count, quick ? 1_000 : 5_000),
        unit: "1/s",
      });
      const { diskBytes } = first.journal.stats();
      const started = performance.now();
      const second = await opened(connection, count, dir);
      rows.push({
        suite,
        name: `${kind}: take-over of a journal of ${(diskBytes / 2 ** 20).toFixed(0)} MiB`,
        value: (performance.now() - started) / 1_000,
        unit: "s",
      });
      await second.close();
      await first.close().catch(() => undefined);
      return rows;
    });
  } finally {
    await connection.close();
    await servers.remove();
  }
}

export async function clusterRows(quick: boolean): Promise<Row[]> {
  say("cluster: the journal on this computer's disk");
  const beside = await local(quick);
  const rows: Row[] = [];
  for (const count of [1, 3] as const) {
    say(`cluster: the journal on ${count} servers`);
    rows.push(...(await onServers(count, beside, quick)));
  }
  return rows;
}
