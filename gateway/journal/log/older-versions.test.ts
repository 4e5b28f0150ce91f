/**
 * Journals that older code wrote are read as they are, and go on in this version. testing/journal-VERSION.txt has their files, a line a sector:
 * version 1 as of commit 282af947, and 2 as of 9c182b3a, before ids of signals were marked.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fromUtf8 } from "#base";
import { completion, newMessage } from "../testing/journal.case.ts";
import { newSignal, newSleeper } from "../testing/sleep.case.ts";
import type { Accepted, OutboxEntry, SignalKept } from "../journal.ts";
import { fileHeaderBytes, getFileHeader } from "./batch.ts";
import { sectorBytes } from "./limits.ts";
import type { LogJournal } from "./log-journal.ts";
import { numberOfSegment } from "./names.ts";
import { openJournal } from "./open.ts";
import { checkJournal } from "./operations.ts";

function goldenOf(version: number): URL {
  const beside = new URL(`../testing/journal-${version}.txt`, import.meta.url);
  return existsSync(beside) ? beside : new URL(`../../../../gateway/journal/testing/journal-${version}.txt`, import.meta.url);
}

/** The journal in a folder of its own. */
async function unpacked(t: TestContext, version: number): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-older-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  let file: Buffer = Buffer.alloc(0);
  let name = "";
  let at = 0;
  const write = async (): Promise<void> => {
    if (name === "") return;
    await writeFile(join(dir, name), file);
    if (numberOfSegment(name) !== undefined) equal(getFileHeader(file.subarray(0, fileHeaderBytes))?.version, version);
  };
  for (const line of (await readFile(goldenOf(version), "utf8")).split("\n")) {
    if (line.startsWith("  ")) {
      file.write(line.trim(), at, "hex");
      at += sectorBytes;
      continue;
    }
    await write();
    const [next = "", bytes = "0"] = line.split(" ");
    [name, file, at] = [next, Buffer.alloc(Number(bytes)), 0];
  }
  return dir;
}

const dedup = (id: string) => ({ id, windowMs: 1e15, count: 100 });
const shownSend = ({ body, attempt, attempts, key, dueMs }: OutboxEntry) => [fromUtf8(body), attempt, attempts.length, key, dueMs];

/** Both versions have these. */
async function checkMessages(journal: LogJournal): Promise<void> {
  const again: Accepted = await journal.accept(newMessage({ dedup: dedup("d1") }));
  ok(again.status === "duplicate" && again.id === "m1" && again.reply?.status === 201 && fromUtf8(again.reply.body) === "done");
  deepEqual(await journal.readState("orders", "s"), { version: 1, json: '{"a":1}' });
  const leases = await journal.lease("orders", 9);
  const ofMessages = leases.filter(({ message }) => message.id.startsWith("m"));
  deepEqual(
    ofMessages.map(({ message, attempt, attempts, dueMs }) => [message.id, attempt, attempts.length, dueMs, message.correlationId]),
    [
      ["m2", 2, 1, 5_000, "c"],
      ["m3", 1, 0, 0, undefined],
    ],
  );
  deepEqual(
    ofMessages.map(({ message }) => [fromUtf8(message.body), message.headers]),
    [
      ["body of m2", { "x-a": "1" }],
      ["large ".repeat(20), { "x-a": "1" }],
    ],
  );
  for (const lease of leases) journal.release(lease);
}

async function checkSends(journal: LogJournal, expected: unknown[]): Promise<void> {
  const entries = await journal.leaseOutbox("orders", "out", 9, 1e9);
  deepEqual(entries.map(shownSend).sort(), expected);
  for (const entry of entries) journal.releaseOutbox(entry);
}

test("a journal of version 1 is read as it is, and goes on in this version", async (t) => {
  const dir = await unpacked(t, 1);
  equal((await checkJournal(dir)).ok, true);
  for (const round of ["read", "read again after a checkpoint"]) {
    const journal = openJournal(dir);
    deepEqual((await journal.recover()).remarks, [], round);
    await checkMessages(journal);
    await checkSends(journal, [
      ["x", 2, 1, "k", undefined],
      ["z", 1, 0, undefined, undefined],
    ]);
    equal(journal.stats().stateKeys, 1);
    await journal.compact();
    await journal.close();
  }
  const journal = openJournal(dir);
  await journal.recover();
  const [lease] = await journal.lease("orders", 1);
  ok(lease);
  await journal.complete(lease, completion({ sleeper: newSleeper() }));
  await journal.close();
  const newer = openJournal(dir);
  deepEqual((await newer.recover()).sleepers, { orders: 1 });
  await newer.close();
});

/** Sleepers and signals of version 2. */
async function checkSleep(journal: LogJournal): Promise<void> {
  deepEqual(journal.dueSleepers("orders", 1e9, 9).length, 3);
  const looks = [];
  for (const { sequence } of await journal.listSleepers("orders", undefined, 9)) looks.push(await journal.readSleeper(sequence));
  deepEqual(
    looks.map((look) => [
      look?.message.id,
      fromUtf8(look?.message.body ?? Buffer.alloc(0)),
      look?.sleeper?.transactions,
      look?.sleeper?.waits.map(({ name, key }) => `${name} ${key}`),
      look?.sleeper?.timers.length,
      look?.sleeper?.pages && fromUtf8(look.sleeper.pages),
      look?.attempt,
      look?.attempts.length,
    ]),
    [
      ["z1", "body of z1", 1, ["paid k1"], 1, undefined, 1, 0],
      ["z2", "body of z2", 1, [], 0, "its pages", 2, 1],
      ["z3", "body of z3", 2, ["paid k1"], 1, undefined, 1, 0],
    ],
  );
  const ids = [...journal.keptSignals()].map(({ number, name, key, keptUntilMs }) => [number > 0, name, key, keptUntilMs]);
  deepEqual(ids, [
    [true, "paid", "k1", 9e15],
    [true, "paid", "k2", 9e15],
    [true, "paid", "k1", 9e15],
  ]);
  for (const id of ["s1", "s4"]) {
    const signal = await journal.firstSignal("orders", "paid", "k1", (head) => head.id === id);
    deepEqual([fromUtf8(signal?.body ?? Buffer.alloc(0)), signal?.headers], [`body of ${id}`, { h: "1" }]);
  }
  const large = "long".repeat(200);
  const duplicates: SignalKept[] = [];
  for (const [id, key] of [
    ["s1", "k1"],
    ["s2", "k1"],
    ["s3", "k1"],
    [large, "k2"],
  ] as const)
    duplicates.push(await journal.keepSignal(newSignal({ id: "again", key, dedup: dedup(id) })));
  deepEqual(
    duplicates,
    ["s1", "s2", "s3", large].map((id) => ({ status: "duplicate", id })),
  );
  const [next] = (await journal.lease("orders", 9)).filter(({ message }) => message.id === "z4");
  equal(next && fromUtf8(next.message.body), "begins anew");
  if (next !== undefined) journal.release(next);
}

test("a journal of version 2 with sleepers and signals is read as it was before ids of signals were marked", async (t) => {
  const dir = await unpacked(t, 2);
  equal((await checkJournal(dir)).ok, true);
  for (const round of ["read", "read again after a checkpoint"]) {
    const journal = openJournal(dir);
    deepEqual((await journal.recover()).remarks, [], round);
    await checkMessages(journal);
    await checkSends(journal, [
      ["later", 1, 0, undefined, 7_000],
      ["x", 2, 1, "k", undefined],
      ["z", 1, 0, undefined, undefined],
    ]);
    await checkSleep(journal);
    await journal.compact();
    await journal.close();
  }
});
