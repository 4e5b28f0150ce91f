/**
 * The durable journal: a message is accepted and completed, each with its own fdatasync behind it, in groups. Beside it lmdb's own
 * group commit on the same disk, the journal in memory, and what a restart costs.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeadLetters, type Journal, MemoryJournal, openJournal } from "#gateway";
import { peerModule, peerVersions } from "./peers.ts";
import { type Row, sample, say } from "./rows.ts";

type LogJournal = Awaited<ReturnType<typeof openJournal>>;

const suite = "journal";
const body = new Uint8Array(1024).fill(97);
const mib = 2 ** 20;

export async function inFolder<T>(run: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(process.env["MAYFLY_BENCH_DIR"] ?? tmpdir(), "mayfly-journal-bench-"));
  try {
    return await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Runs `count` tasks, so many at once; gives how many a second. */
export async function rate(count: number, atOnce: number, task: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  const lane = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return (count / (performance.now() - started)) * 1000;
}

export async function accept(journal: Journal, index: number): ReturnType<Journal["accept"]> {
  return journal.accept({
    flow: "orders",
    id: `m${index}`,
    source: "http",
    headers: { "x-request": "1" },
    contentType: "application/json",
    body,
    key: undefined,
    correlationId: undefined,
    receivedMs: 1,
    expiresMs: undefined,
    dedup: undefined,
  });
}

/** Accepts and completes one message. */
export async function through(journal: Journal, index: number): Promise<void> {
  const accepted = await accept(journal, index);
  if (accepted.status !== "leased") throw new Error(`a new message is ${accepted.status}`);
  const completed = await journal.complete(accepted.lease, { nowMs: 2, sends: [], state: undefined, reply: undefined });
  if (completed.status !== "committed") throw new Error(`its completion is ${completed.status}`);
}

async function opened(dir: string): Promise<LogJournal> {
  const journal = openJournal(dir);
  await journal.recover();
  return journal;
}

async function throughput(atOnce: number, count: number): Promise<{ durable: number; memory: number }> {
  const durable = await inFolder(async (dir) => {
    const journal = await opened(dir);
    await rate(count / 10, atOnce, (index) => through(journal, index));
    const perSecond = await rate(count, atOnce, (index) => through(journal, index));
    await journal.close();
    return perSecond;
  });
  const memory = new MemoryJournal(new DeadLetters(join(tmpdir(), "mayfly-bench-no-letters")));
  await rate(count / 10, atOnce, (index) => through(memory, index));
  return { durable, memory: await rate(count, atOnce, (index) => through(memory, index)) };
}

interface Lmdb {
  open(options: object): { put(key: number, value: Uint8Array): Promise<boolean>; close(): Promise<void> };
}

/**
 * lmdb as it is meant to be used: many awaited puts, which it commits in groups. Without overlappingSync, or a put would be
 * answered before it is on the disk. Two puts are one message's accept and completion.
 */
async function lmdbRate(atOnce: number, count: number): Promise<number | undefined> {
  const lmdb = (await peerModule("lmdb")) as Lmdb | undefined;
  if (lmdb === undefined) return undefined;
  return inFolder(async (dir) => {
    const database = lmdb.open({ path: join(dir, "db"), encoding: "binary", compression: false, overlappingSync: false });
    await rate(count / 10, atOnce, (index) => database.put(index, body));
    const perSecond = await rate(count, atOnce, (index) => database.put(index, body));
    await database.close();
    return perSecond;
  });
}

async function recovery(bytes: number): Promise<Row[]> {
  return inFolder(async (dir) => {
    // No checkpoints, so that all of it is read back: the worst there is.
    const journal = openJournal(dir, { limits: { checkpointBytes: Number.MAX_SAFE_INTEGER } });
    await journal.recover();
    let index = 0;
    while (journal.stats().diskBytes < bytes) await rate(20_000, 1_000, () => through(journal, index++));
    const held = 10_000; // and so many are still to be done
    await rate(held, 1_000, () => accept(journal, index++));
    await journal.close();
    const gigabytes = journal.stats().diskBytes / 1e9;
    const again = openJournal(dir, { limits: { checkpointBytes: Number.MAX_SAFE_INTEGER } });
    const started = performance.now();
    const { pending } = await again.recover();
    const seconds = (performance.now() - started) / 1000;
    if (pending["orders"] !== held) throw new Error(`${pending["orders"]} messages came back of ${held}`);
    const checkpointing = performance.now();
    const { checkpointBytes } = await again.compact();
    const checkpointMs = performance.now() - checkpointing;
    await again.close();
    const third = openJournal(dir);
    const restarted = performance.now();
    await third.recover();
    const restartMs = performance.now() - restarted;
    await third.close();
    const name = `recovery of ${gigabytes.toFixed(2)} GB, ${(index / 1000).toFixed(0)} thousand messages, no checkpoint`;
    return [
      { suite, name, value: seconds, unit: "s", aim: "≤ 10 s", met: seconds <= 10 },
      { suite, name: `checkpoint of what is live in it (${(checkpointBytes / mib).toFixed(0)} MiB)`, value: checkpointMs, unit: "ms" },
      { suite, name: "recovery after it", value: restartMs, unit: "ms" },
    ];
  });
}

async function memory(count: number): Promise<Row[]> {
  return inFolder(async (dir) => {
    const journal = await opened(dir);
    const settled = (): number => {
      globalThis.gc?.();
      return process.memoryUsage().rss / mib;
    };
    await rate(count / 10, 1_000, (index) => through(journal, index));
    const before = settled();
    let most = before;
    const perSecond = await rate(count, 1_000, async (index) => {
      await through(journal, index);
      if (index % 50_000 === 0) most = Math.max(most, process.memoryUsage().rss / mib);
    });
    const after = settled();
    const { diskBytes } = journal.stats();
    await journal.close();
    const of = `over ${count.toLocaleString("en")} messages`;
    return [
      { suite, name: `memory ${of}: growth`, value: after - before, unit: "MiB", aim: "≤ 32 MiB", met: after - before <= 32 },
      { suite, name: `memory ${of}: most`, value: most, unit: "MiB" },
      { suite, name: `disk after them, checkpoints on`, value: diskBytes / mib, unit: "MiB" },
      { suite, name: `messages/s ${of}, checkpoints on`, value: perSecond, unit: "1/s" },
    ];
  });
}

export async function journalRows(quick: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const atOnce of [1, 64, 1_000]) {
    const count = atOnce === 1 ? (quick ? 1_000 : 5_000) : quick ? 20_000 : 200_000;
    say(`journal: ${atOnce} messages at once`);
    const { durable, memory: inMemory } = await throughput(atOnce, count);
    const name = `durable messages, accept and complete, ${atOnce} at once`;
    rows.push({ suite, name, value: durable, unit: "1/s", beside: { name: "in memory", value: inMemory }, ratio: durable / inMemory });
    const puts = await lmdbRate(atOnce, 2 * count);
    if (puts === undefined)
      rows.push({ suite, name: `lmdb puts, ${atOnce} at once`, value: Number.NaN, unit: "1/s", skipped: "lmdb can't be installed here" });
    else {
      const beside = { name: `lmdb ${peerVersions.lmdb} puts`, value: puts };
      rows.push({
        suite,
        name: `durable records, ${atOnce} at once`,
        value: 2 * durable,
        unit: "1/s",
        beside,
        ratio: (2 * durable) / puts,
      });
    }
  }
  say("journal: how long one waits");
  await inFolder(async (dir) => {
    const journal = await opened(dir);
    const waits: number[] = [];
    await rate(quick ? 5_000 : 50_000, 64, async (index) => {
      const started = performance.now();
      await accept(journal, index);
      waits.push(performance.now() - started);
    });
    const { p50, p99 } = sample(waits);
    await journal.close();
    rows.push(
      { suite, name: "accept, 64 at once, p50", value: p50, unit: "ms" },
      { suite, name: "accept, 64 at once, p99", value: p99, unit: "ms" },
    );
  });
  say("journal: recovery");
  rows.push(...(await recovery(quick ? 100e6 : 1e9)));
  say("journal: memory");
  rows.push(...(await memory(quick ? 50_000 : 1_000_000)));
  return rows;
}
