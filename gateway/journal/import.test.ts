/** From one computer's files into partitions and back: nothing is lost, and what can't be moved is told before anything is written. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Partition } from "../contract/cluster.ts";
import { importJournal } from "./import.ts";
import type { Journal } from "./journal.ts";
import { type LogJournal, openJournal } from "./log/mod.ts";
import { numbersOf, PartitionedJournal } from "./partitions/partitioned-journal.ts";
import { comparable, dayMs, exported, fill, message, nowMs, reply } from "./testing/filled-journal.ts";

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), "mayfly-import-"))));
after(() => rm(folder, { recursive: true, force: true }));

async function* these(lines: readonly string[]): AsyncIterable<string> {
  yield* lines;
}

const partitions = 4;

async function partitioned(name: string): Promise<{ journal: PartitionedJournal; journals: LogJournal[] }> {
  const journal = new PartitionedJournal({ partitions });
  const journals = Array.from({ length: partitions }, (_, partition) =>
    openJournal(join(folder, `${name}-${partition}`), { numbers: numbersOf(partition as Partition, partitions) }),
  );
  for (const [partition, each] of journals.entries()) {
    await each.recover();
    journal.gain(partition as Partition, each);
  }
  return { journal, journals };
}

test("one computer's journal goes into partitions and back, and is what it was", async () => {
  const home = openJournal(join(folder, "home"));
  await home.recover();
  await fill(home);
  await home.close();
  const lines = await exported(join(folder, "home"));
  const { journal, journals } = await partitioned("away");
  const report = await importJournal({ journal, rememberers: journals }, () => these(lines), nowMs);
  deepEqual(report, { pending: 7, outbox: 7, sleepers: 1, signals: 1, state: 1, dedup: 1 });
  const again = { id: '["http /","POST","7"]\0fingerprint', windowMs: dayMs, count: 100 };
  const known = await journal.accept(message("again", { key: "k9", dedup: again }));
  ok(known.status === "duplicate", "the partition of its key knows the id");
  deepEqual({ ...known.reply, body: [...(known.reply?.body ?? [])] }, { ...reply, body: [0, 255] });
  await journal.close();
  const away = (await Promise.all(Array.from({ length: partitions }, (_, index) => exported(join(folder, `away-${index}`))))).flat();
  const back = openJournal(join(folder, "back"));
  await back.recover();
  await importJournal({ journal: back, rememberers: [back] }, () => these(away), nowMs);
  deepEqual(
    (await back.readState("orders", "k1")).json,
    '{"n0":{"at":0},"n1":{"at":1},"n2":12345678901234567890}',
    "numbers that a parser would round",
  );
  const leases = await back.leaseOutbox("orders", "erp", 10, nowMs, nowMs);
  deepEqual(
    leases.map(({ key, body }) => [key, Buffer.from(body).toString()]),
    [["k1", "erp 0"]],
    "sends of a key in their order, and what is for tomorrow waits",
  );
  await back.close();
  deepEqual(comparable(await exported(join(folder, "back"))), comparable(lines));
});

test("messages of a key keep their order, and their failed attempts", async () => {
  const { journal, journals } = await partitioned("order");
  const lines = await exported(join(folder, "home"));
  await importJournal({ journal, rememberers: journals }, () => these(lines), nowMs);
  const leases = [...(await journal.lease("orders", 100))].sort((a, b) => a.sequence - b.sequence);
  deepEqual(
    leases.filter(({ message: { key } }) => key === "k1").map(({ message: { id } }) => id),
    ["pending 0", "pending 2", "pending 4"],
  );
  const again = leases.find(({ message: { id } }) => id === "failed");
  deepEqual([again?.attempt, again?.attempts.map(({ failure }) => failure.code), again?.dueMs], [2, ["MF_FLOW_THREW"], 0]);
  await journal.close();
});

test("a journal that is not empty, and lines that can't be taken in, are refused before anything is written", async () => {
  const lines = await exported(join(folder, "home"));
  const full = openJournal(join(folder, "back"));
  await full.recover();
  const refused = (journal: Journal, given: readonly string[], words: RegExp): Promise<void> =>
    rejects(
      importJournal({ journal, rememberers: [] }, () => these(given), nowMs),
      { code: "MF_JOURNAL_IMPORT", message: words },
    );
  await refused(full, lines, /not empty \(7 messages, 7 sends/);
  await full.close();
  const empty = openJournal(join(folder, "empty"));
  await empty.recover();
  const pending = lines.find((line) => line.includes('"pending"')) ?? "";
  const without = (name: string): string => JSON.stringify({ ...(JSON.parse(pending) as object), [name]: undefined });
  for (const [bad, words] of [
    ["{", /^line 2 .*no JSON/],
    ["[]", /no kind/],
    ['{"kind":"other","flow":"f"}', /kind is "other"/],
    [without("flow"), /names no flow/],
    [without("id"), /id is missing/],
    [without("body"), /body is missing/],
    [without("headers"), /headers is missing/],
    [pending.replace('"text"', '"missing"'), /could not be read when it was exported/],
    [(lines.find((line) => line.includes('"sleeper"')) ?? "").replace('"recording"', '"recordings"'), /no recording/],
    [pending.replace('"x-id"', '"mayfly-claim":"a","x-id"'), /claimCheck/],
  ] as const)
    await refused(empty, [pending, bad], words);
  match(JSON.stringify(empty.stats()), /"pending":0/);
  equal((await importJournal({ journal: empty, rememberers: [empty] }, () => these(['{"kind":"history"}', ""]), nowMs)).pending, 0);
  await empty.close();
});
