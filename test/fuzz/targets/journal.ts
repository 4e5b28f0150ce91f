/** A journal on disk: records as they are decoded, and whole folders of damaged files as a start reads them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equalBytes, isCoded } from "#base";
import { openJournal as openAt } from "#gateway";
import { BatchReader, fileHeaderBytes, recordHeaderBytes } from "../../../gateway/journal/log/batch.ts";
import { realDisk } from "../../../gateway/journal/log/disk.ts";
import { isSleepers } from "../../../gateway/journal/log/names.ts";
import { decodeRecord } from "../../../gateway/journal/format/records.ts";
import { faulty, type Target } from "../target.ts";

const flow = "orders";

/** A folder whose journal has messages, sends, sleepers and signals behind it: some in a checkpoint and a file of sleepers, some in a segment after them. */
async function writtenJournal(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-fuzz-journal-"));
  const journal = openAt(dir);
  await journal.recover();
  await messagesIn(journal, 0);
  await sleepIn(journal, 0);
  await journal.compact();
  await messagesIn(journal, 3);
  await sleepIn(journal, 3);
  await journal.close();
  return dir;
}

/** Three messages, of which the last stays pending. */
async function messagesIn(journal: ReturnType<typeof openAt>, from: number): Promise<void> {
  for (let n = from; n < from + 3; n++) {
    const accepted = await journal.accept({
      flow,
      id: `m${n}`,
      source: "fuzz",
      headers: { "x-n": String(n), "x-list": ["a", "b"] },
      contentType: "text/plain",
      body: Buffer.alloc(n * 50, "body "),
      key: n % 2 === 0 ? "k" : undefined,
      correlationId: undefined,
      receivedMs: 1_000 + n,
      expiresMs: undefined,
      dedup: { id: `d${n}`, windowMs: 1e15, count: 100 },
    } as never);
    if (accepted.status !== "leased" || n === from + 2) continue;
    const send = { outlet: "a", key: undefined, contentType: "", headers: {}, body: Buffer.from("sent") };
    await journal.complete(accepted.lease, { nowMs: 2_000, sends: [send], state: undefined, reply: undefined } as never);
  }
}

/** A sleeper, one that took a signal, and a signal nobody took. */
async function sleepIn(journal: ReturnType<typeof openAt>, from: number): Promise<void> {
  const wait = { wait: 1, name: "paid", key: "k", dueMs: 9_000, questionJson: '{"question":"?","options":["yes"]}' };
  const sleeper = {
    imageSha256: "ab".repeat(32),
    waits: [wait],
    timers: [{ timer: 1, dueMs: 5 }],
    sinceMs: 1,
    dueMs: 9_000,
    transactions: 1,
    recording: Buffer.from("rec"),
  };
  const end = { nowMs: 2_000, sends: [], state: undefined, reply: undefined, sleeper };
  for (const id of [`s${from}`, `s${from + 1}`]) {
    const message = { flow, id, source: "fuzz", headers: {}, contentType: "", body: Buffer.from("body"), receivedMs: 1_000 };
    const accepted = journal.adopt(message as never);
    if (accepted.status === "leased") await journal.complete(accepted.lease, end);
  }
  const signal = { flow, name: "paid", key: "k", source: "api", headers: {}, contentType: "", body: Buffer.from("{}") };
  const rest = { receivedMs: 1, keptUntilMs: 9_000, dedup: { id: `d${from}`, windowMs: 1e15, count: 10 } };
  const taken = await journal.keepSignal({ ...signal, ...rest, id: "g1" });
  await journal.keepSignal({ ...signal, ...rest, id: "g2", dedup: undefined });
  const waiter = journal.waiterFor(flow, "paid", "k");
  const lease = waiter === undefined ? undefined : await journal.wake(waiter);
  if (lease !== undefined && taken.status === "kept")
    await journal.complete(lease, { ...end, consumed: [taken.signal.number], sleeper: { ...sleeper, pages: Buffer.from("pages") } });
}

/** The newest segment is the last. */
async function filesOf(dir: string): Promise<string[]> {
  const names = (await readdir(dir)).filter((name) => /^(segment|checkpoint|sleepers)-/.test(name)).sort();
  return [...names.filter(isSleepers), ...names.filter((name) => !isSleepers(name))];
}

/** The records of a file, one after the other. */
async function recordsOf(dir: string, name: string): Promise<Uint8Array[]> {
  if (isSleepers(name)) return sleepersOf(await readFile(join(dir, name)));
  const file = await realDisk(dir).open(name);
  const reader = new BatchReader(file, await file.size(), Buffer.alloc(1 << 20));
  const salt = (await reader.header())?.salt ?? 0;
  const records: Uint8Array[] = [];
  for (let at = fileHeaderBytes; at < reader.size; ) {
    const { batch } = await reader.batchAt(at, salt);
    if (batch === undefined) break;
    records.push(...batch.payloads.map(({ bytes }) => Uint8Array.from(bytes)));
    at = batch.end;
  }
  await file.close();
  return records;
}

/** Those of a file of sleepers: u32 length, u32 crc, payload each. */
function sleepersOf(bytes: Buffer): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = fileHeaderBytes; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    records.push(bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes + length));
    at += recordHeaderBytes + length;
  }
  return records;
}

export async function openRecords(): Promise<Target> {
  const dir = await writtenJournal();
  const seeds = (await Promise.all((await filesOf(dir)).map((name) => recordsOf(dir, name)))).flat();
  await rm(dir, { recursive: true, force: true });
  return {
    name: "records",
    seeds,
    words: ["orders", "__proto__", '{"a":1}', "\uffff"],
    run: (input) => ({ signature: String(decodeRecord(input)?.kind) }),
  };
}

export async function openJournal(): Promise<Target> {
  const dir = await writtenJournal();
  const names = await filesOf(dir);
  const files = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name))] as const)));
  const changed = names.at(-1);
  const whole = files.get(changed ?? "");
  if (changed === undefined || whole === undefined) throw new Error("the journal wrote no file");
  const reset = async (input: Uint8Array): Promise<void> => {
    for (const name of await readdir(dir)) await rm(join(dir, name), { force: true });
    for (const [name, bytes] of files) await writeFile(join(dir, name), name === changed ? input : bytes);
  };
  return {
    name: "journal",
    seeds: [whole],
    words: [flow],
    run: async (input) => {
      await reset(input);
      const journal = openAt(dir);
      try {
        const { pending } = await journal.recover();
        const leases = await journal.lease(flow, 100);
        const signature = `${pending[flow] ?? 0} pending, ${leases.length} claimed`;
        return !equalBytes(input, whole) || leases.length === 2 ? { signature } : faulty(signature, "a whole journal lost messages");
      } catch (error) {
        if (!isCoded(error)) throw error;
        return { signature: error.code };
      } finally {
        await journal.close().catch(() => undefined);
      }
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}
