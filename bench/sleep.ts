/** Sleepers in the journal: how fast they are put to sleep and woken, what each costs, and how long a start with many takes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Journal, openJournal } from "#gateway";
import { type Row, say } from "./rows.ts";

const flow = "orders";
const image = "ab".repeat(32);
/** As many calls are under way at once. */
const together = 1_000;
const nowMs = Date.UTC(2026, 0, 1);

/** A median flow: some headers, a body of half a kilobyte, a recording of 2 KiB, one wait. */
async function putToSleep(journal: Journal, n: number, body: Uint8Array, recording: Uint8Array): Promise<void> {
  const headers = { "content-type": "application/json", "user-agent": "bench", "x-request-id": `r${n}` };
  const message = { flow, id: `mf-${n}`, source: "http", headers, contentType: "application/json", body, key: undefined };
  const adopted = journal.adopt({ ...message, correlationId: undefined, receivedMs: nowMs, expiresMs: undefined, dedup: undefined });
  if (adopted.status !== "leased") throw new Error(adopted.status);
  const dueMs = nowMs + 86_400_000 + (n % 1_000_000);
  const waits = [{ wait: 1, name: "paid", key: `order-${n}`, dueMs, questionJson: undefined }];
  const sleeper = { imageSha256: image, waits, timers: [], sinceMs: nowMs, dueMs, transactions: 1, recording };
  const completed = await journal.complete(adopted.lease, { nowMs, sends: [], state: undefined, reply: undefined, sleeper });
  if (completed.status !== "committed") throw new Error(completed.status);
}

async function eachOf(count: number, work: (n: number) => Promise<void>): Promise<number> {
  const started = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) await work(n);
  };
  await Promise.all(Array.from({ length: together }, worker));
  return (count / (performance.now() - started)) * 1000;
}

function usedBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** By signal: kept, matched, woken, and ended in one commit with it. Returns the time until it was woken, in milliseconds. */
async function signalled(journal: Journal, n: number): Promise<number> {
  const started = performance.now();
  const signal = {
    flow,
    name: "paid",
    key: `order-${n}`,
    id: `s${n}`,
    source: "api",
    headers: {},
    contentType: "",
    body: Buffer.from("{}"),
  };
  const kept = await journal.keepSignal({ ...signal, receivedMs: nowMs, keptUntilMs: nowMs + 1e6, dedup: undefined });
  const sequence = journal.waiterFor(flow, "paid", `order-${n}`);
  const lease = sequence === undefined ? undefined : await journal.wake(sequence);
  if (lease === undefined || kept.status !== "kept") throw new Error("nobody waits");
  const wokenMs = performance.now() - started;
  await journal.complete(lease, { nowMs, sends: [], state: undefined, reply: undefined, consumed: [kept.signal.number] });
  return wokenMs;
}

export async function sleepRows(quick: boolean): Promise<Row[]> {
  const count = quick ? 100_000 : 1_000_000;
  const dir = await mkdtemp(join(tmpdir(), "mayfly-sleepers-"));
  const rows: Row[] = [];
  try {
    const body = Buffer.alloc(512, "order ");
    const recording = Buffer.alloc(2_048, "event ");
    const before = usedBytes();
    const journal = openJournal(dir);
    await journal.recover();
    say(`putting ${count} to sleep`);
    rows.push({
      suite: "sleep",
      name: "put to sleep",
      value: await eachOf(count, (n) => putToSleep(journal, n, body, recording)),
      unit: "/s",
    });
    await journal.compact();
    rows.push({ suite: "sleep", name: "memory of a sleeper", value: (usedBytes() - before) / count, unit: "bytes" });
    rows.push({ suite: "sleep", name: "disk of a sleeper", value: journal.stats().diskBytes / count, unit: "bytes" });
    const woken = Math.min(count, 20_000);
    rows.push({
      suite: "sleep",
      name: "signalled, woken and ended",
      value: await eachOf(woken, async (n) => void (await signalled(journal, n))),
      unit: "/s",
    });
    const alone: number[] = [];
    for (let n = woken; n < woken + 500; n++) alone.push(await signalled(journal, n));
    alone.sort((a, b) => a - b);
    rows.push({
      suite: "sleep",
      name: "signal to woken, one at a time, p99",
      value: alone[Math.floor(alone.length * 0.99)] ?? Number.NaN,
      unit: "ms",
    });
    const dueStarted = performance.now();
    for (let n = 0; n < 1_000; n++) {
      journal.dueSleepers(flow, nowMs, 100);
      journal.nextSleeperMs(flow);
    }
    rows.push({ suite: "sleep", name: "looking for who is due", value: performance.now() - dueStarted, unit: "µs" });
    await journal.close();
    const again = openJournal(dir);
    const started = performance.now();
    const { sleepers } = await again.recover();
    rows.push({ suite: "sleep", name: `start with ${sleepers[flow] ?? 0}`, value: (performance.now() - started) / 1000, unit: "s" });
    const checkpoint = performance.now();
    await again.compact();
    rows.push({ suite: "sleep", name: "checkpoint with as many", value: (performance.now() - checkpoint) / 1000, unit: "s" });
    await again.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return rows;
}
