/** Sleepers and signals on disk: what the command line sees of them, and their files. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { completion, leased, newMessage, record } from "../testing/journal.case.ts";
import { newSignal, newSleeper, newWait } from "../testing/sleep.case.ts";
import { DeadLetters } from "../dead-letters.ts";
import type { Lease } from "../journal.ts";
import { fileHeaderBytes } from "./batch.ts";
import { Bodies } from "./bodies.ts";
import { estimatedBytes } from "./checkpoint.ts";
import { type Disk, realDisk } from "./disk.ts";
import { logLimits } from "./limits.ts";
import { LogJournal } from "./log-journal.ts";
import { checkJournal, compactJournal, exportJournal } from "./operations.ts";
import { openJournal } from "./open.ts";
import { readLog } from "./recovery.ts";

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-sleepers-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const blobs = async (dir: string): Promise<string[]> => (await readdir(dir)).filter((name) => name.startsWith("blob-"));

test("check counts sleepers and signals, export shows them", async (t) => {
  const dir = await folder(t);
  const journal = openJournal(dir);
  await journal.recover();
  const lease = leased(await journal.accept(newMessage({ key: "k" })));
  await journal.complete(lease, completion({ sleeper: newSleeper() }));
  await journal.keepSignal(newSignal());
  await journal.close();
  const { ok: isWhole, live } = await checkJournal(dir);
  deepEqual([isWhole, live.sleepers, live.signals, live.pending], [true, { orders: 1 }, 1, {}]);
  const lines: Record<string, unknown>[] = [];
  for await (const line of exportJournal(dir, ["sleepers", "signals"])) lines.push(JSON.parse(line) as Record<string, unknown>);
  const [sleeper, signal] = lines;
  deepEqual([lines.length, sleeper?.["kind"], sleeper?.["id"], sleeper?.["body"]], [2, "sleeper", "m1", { text: "hello" }]);
  deepEqual([sleeper?.["waits"], sleeper?.["recordingBytes"]], [[{ wait: 1, name: "paid", key: "k1" }], 14]);
  deepEqual([signal?.["kind"], signal?.["name"], signal?.["body"]], ["signal", "paid", { text: '{"amount":1}' }]);
});

test("a large body keeps its file over sleeps, and the file goes with the message", async (t) => {
  const dir = await folder(t);
  const journal = openJournal(dir);
  await journal.recover();
  const lease = leased(await journal.accept(newMessage({ body: Buffer.alloc(300_000) })));
  const before = await blobs(dir);
  await journal.complete(lease, completion({ sleeper: newSleeper() }));
  const woken = await journal.wake(lease.sequence);
  ok(woken);
  await journal.complete(woken, completion({ sleeper: newSleeper({ recording: Buffer.alloc(300_000, 1) }) }));
  deepEqual([before.length, (await blobs(dir)).length, (await blobs(dir)).includes(before[0] ?? "")], [1, 2, true]);
  await journal.close();
  const again = openJournal(dir);
  await again.recover();
  equal((await blobs(dir)).length, 2);
  const last = await again.wake(lease.sequence);
  ok(last);
  await again.complete(last, completion());
  await again.close();
  deepEqual(await blobs(dir), []);
});

/** A journal, and the files that it opens to read. */
async function observed(t: TestContext): Promise<{ readonly journal: LogJournal; readonly opened: string[] }> {
  const dir = await folder(t);
  const disk = realDisk(dir);
  const opened: string[] = [];
  const open: Disk["open"] = (name) => {
    opened.push(name);
    return disk.open(name);
  };
  const journal = new LogJournal({ disk: { ...disk, open }, deadLetters: new DeadLetters(join(dir, "dead")) });
  await journal.recover();
  return { journal, opened };
}

test("a list of sleepers reads no file of their bodies, a look at one reads them", async (t) => {
  const { journal, opened } = await observed(t);
  const large = Buffer.alloc(300_000);
  const lease = leased(await journal.accept(newMessage({ body: large })));
  await journal.complete(lease, completion({ sleeper: newSleeper({ recording: large, pages: large }) }));
  const blobsOpened = () => opened.filter((name) => name.startsWith("blob-")).length;
  const [info] = await journal.listSleepers("orders", undefined, 9);
  deepEqual([info?.id, info?.waits[0]?.key, blobsOpened()], ["m1", "k1", 0]);
  ok(await journal.readSleeper(lease.sequence));
  equal(blobsOpened(), 3);
  await journal.close();
});

test("of the signals for a wait only the one that is given is read", async (t) => {
  const { journal, opened } = await observed(t);
  for (const id of ["s1", "s2", "s3"]) await journal.keepSignal(newSignal({ id, body: Buffer.alloc(300_000, id) }));
  opened.length = 0;
  equal(
    journal.hasSignal("orders", "paid", "k1", ({ id }) => id === "s2"),
    true,
  );
  const signal = await journal.firstSignal("orders", "paid", "k1", ({ id }) => id === "s2");
  deepEqual([signal?.id, signal?.body.length, opened.length], ["s2", 300_000, 1]);
  await journal.close();
});

test("bodies of signals beyond the memory for bodies are read from the log or its checkpoint when they are given", async (t) => {
  const dir = await folder(t);
  const limits = { smallBodyBytes: 10, bodyMemoryBytes: 500 };
  let journal = openJournal(dir, { limits });
  await journal.recover();
  const bodyOf = (n: number): Buffer => Buffer.alloc(200, `${n} `);
  const numbered = (n: number) => newSignal({ id: `s${n}`, body: bodyOf(n) });
  for (const n of [0, 1, 2, 3]) await journal.keepSignal(numbered(n));
  const lease = leased(await journal.accept(newMessage()));
  await journal.complete(lease, completion({ kept: [4, 5, 6, 7].map(numbered) }));
  const check = async (gone: number): Promise<void> => {
    const inMemory = [...journal.keptSignals()].reduce((bytes, { body }) => bytes + body.length, 0);
    equal(inMemory, 400, "two of them fit");
    for (let n = gone; n < 8; n++) {
      const signal = await journal.firstSignal("orders", "paid", "k1", ({ id }) => id === `s${n}`);
      equal(Buffer.compare(signal?.body ?? new Uint8Array(0), bodyOf(n)), 0, `s${n}`);
    }
  };
  const reopen = async (): Promise<void> => {
    await journal.close();
    journal = openJournal(dir, { limits });
    await journal.recover();
  };
  await check(0);
  await reopen();
  await check(0);
  await journal.compact();
  await check(0);
  await reopen();
  await check(0);
  for (const { number } of [...journal.keptSignals()].slice(0, 3)) ok(await journal.burySignal(number, record(1)));
  await journal.keepSignal(numbered(8));
  await journal.keepSignal(numbered(9));
  await check(3); // what the buried ones had is free again
  await journal.compact();
  await reopen();
  await check(3);
  await journal.close();
});

test("salvage keeps sleepers, and names one whose file is gone", async (t) => {
  const dir = await folder(t);
  const journal = openJournal(dir);
  await journal.recover();
  await journal.complete(leased(await journal.accept(newMessage())), completion({ sleeper: newSleeper() }));
  const large = newSleeper({ recording: Buffer.alloc(300_000) });
  await journal.complete(leased(await journal.accept(newMessage({ id: "m2" }))), completion({ sleeper: large }));
  await journal.close();
  for (const name of await blobs(dir)) await rm(join(dir, name));
  await rejects(openJournal(dir).recover(), { code: "MF_JOURNAL_CORRUPT" });
  const { lost } = await compactJournal(dir, { salvage: true });
  deepEqual(lost, ["sleeping message m2 of orders"]);
  const { ok: isWhole, live } = await checkJournal(dir);
  deepEqual([isWhole, live.sleepers], [true, { orders: 1 }]);
});

test("a checkpoint writes sleepers with many long waits in records that are short enough", async (t) => {
  const dir = await folder(t);
  const limits = { recordBytes: 10_000 };
  const journal = openJournal(dir, { limits });
  await journal.recover();
  const waits = Array.from({ length: 8 }, (_, n) => newWait("paid", `${n}`.padEnd(500, "k")));
  for (let n = 1; n <= 5; n++)
    await journal.complete(leased(await journal.accept(newMessage({ id: `m${n}` }))), completion({ sleeper: newSleeper({ waits }) }));
  await journal.compact();
  const read = await readLog({ disk: realDisk(dir), bodies: new Bodies(realDisk(dir), logLimits), limits: logLimits });
  ok(estimatedBytes(read.index) > read.checkpointBytes, "the estimate is nearer too much");
  await journal.close();
  const again = openJournal(dir, { limits });
  deepEqual((await again.recover()).sleepers, { orders: 5 });
  const infos = await again.listSleepers("orders", undefined, 9);
  deepEqual(
    infos.map((info) => [info.id, info.waits]),
    [1, 2, 3, 4, 5].map((n) => [`m${n}`, waits]),
  );
  ok(again.isAwaited("orders", "paid", waits[7]?.key ?? ""));
  await again.close();
});

test("a completion whose sleeper is longer than a record may be is refused, and the message stays", async (t) => {
  const journal = openJournal(await folder(t), { limits: { recordBytes: 2_000 } });
  await journal.recover();
  const lease = leased(await journal.accept(newMessage()));
  const refused = await journal.complete(lease, completion({ sleeper: newSleeper({ recording: Buffer.alloc(5_000) }) }));
  deepEqual([refused.status, refused.status === "refused" ? refused.code : ""], ["refused", "MF_JOURNAL_RECORD_LIMIT"]);
  deepEqual([journal.stats().sleepers, journal.stats().pending], [0, 1]);
  deepEqual(await journal.complete(lease, completion({ sleeper: newSleeper() })), { status: "committed" });
  await journal.close();
});

/** A journal with so many sleepers, in a file of their own. */
async function asleepInFile(dir: string, count: number): Promise<LogJournal> {
  const journal = openJournal(dir);
  await journal.recover();
  for (let n = 1; n <= count; n++)
    await journal.complete(leased(await journal.accept(newMessage({ id: `m${n}` }))), completion({ sleeper: newSleeper({ dueMs: n }) }));
  await journal.compact();
  return journal;
}

const sleeperFiles = async (dir: string): Promise<string[]> => (await readdir(dir)).filter((name) => name.startsWith("sleepers-"));

test("a checkpoint takes sleepers out of their segments, once; a file that is mostly dead is left, an empty one goes", async (t) => {
  const dir = await folder(t);
  const journal = await asleepInFile(dir, 8);
  const [first = ""] = await sleeperFiles(dir);
  await journal.compact();
  deepEqual(await sleeperFiles(dir), [first], "nothing has changed, nothing is copied");
  const end = async (most: number): Promise<void> => {
    for (const sequence of journal.dueSleepers("orders", 99, most)) {
      const lease = await journal.wake(sequence);
      ok(lease);
      await journal.complete(lease, completion());
    }
  };
  await end(3);
  await journal.compact();
  deepEqual(await sleeperFiles(dir), [first], "more than half of it is live");
  await end(3);
  await journal.compact();
  const [second = "", ...more] = await sleeperFiles(dir);
  ok(second > first && more.length === 0);
  await journal.close();
  const again = openJournal(dir);
  deepEqual((await again.recover()).sleepers, { orders: 2 });
  deepEqual(
    (await again.listSleepers("orders", undefined, 9)).map(({ id }) => id),
    ["m7", "m8"],
  );
  for (const sequence of again.dueSleepers("orders", 99, 9)) equal(await again.drop((await again.wake(sequence)) as Lease), true);
  await again.compact();
  deepEqual(await sleeperFiles(dir), []);
  await again.close();
});

test("a checkpoint that fails once its file of sleepers is written takes that file away", async (t) => {
  const dir = await folder(t);
  const disk = realDisk(dir);
  const failing = async (): Promise<void> => {
    if ((await sleeperFiles(dir)).length === 1) throw new Error("no names");
    return disk.syncNames();
  };
  const journal = new LogJournal({ disk: { ...disk, syncNames: failing }, deadLetters: new DeadLetters(join(dir, "dead")) });
  await journal.recover();
  await journal.complete(leased(await journal.accept(newMessage())), completion({ sleeper: newSleeper() }));
  await rejects(journal.compact(), { code: "MF_JOURNAL_IO" });
  deepEqual(await sleeperFiles(dir), []);
  await journal.close();
});

test("a damaged sleeper says so with its place when it is woken and to check, and salvage keeps the others", async (t) => {
  const dir = await folder(t);
  await (await asleepInFile(dir, 3)).close();
  const [name = ""] = await sleeperFiles(dir);
  const bytes = await readFile(join(dir, name));
  bytes[fileHeaderBytes + 40] = (bytes[fileHeaderBytes + 40] ?? 0) ^ 1;
  await writeFile(join(dir, name), bytes);
  const journal = openJournal(dir);
  await journal.recover();
  const [one, two] = journal.dueSleepers("orders", 99, 9);
  ok(one !== undefined && two !== undefined);
  await rejects(journal.wake(one), { code: "MF_JOURNAL_CORRUPT", message: new RegExp(`${name} is damaged at byte 520`) });
  deepEqual(journal.dueSleepers("orders", 99, 1), [one], "it sleeps on");
  ok(await journal.wake(two));
  await journal.close();
  const { ok: isWhole, problems } = await checkJournal(dir);
  deepEqual([isWhole, problems.map(({ file, offset }) => [file, offset])], [false, [[name, 520]]]);
  const salvaged = await compactJournal(dir, { salvage: true });
  deepEqual([salvaged.lost, salvaged.problems], [["sleeping message m1 of orders"], problems]);
  const after = await checkJournal(dir);
  deepEqual([after.ok, after.live.sleepers], [true, { orders: 2 }]);
});

test("salvage sets a file of sleepers aside when nobody whole is left in it, and says which was damaged", async (t) => {
  const dir = await folder(t);
  await (await asleepInFile(dir, 2)).close();
  const [name = ""] = await sleeperFiles(dir);
  const bytes = await readFile(join(dir, name));
  bytes.fill(1, fileHeaderBytes + 40);
  await writeFile(join(dir, name), bytes);
  const { problems, lost, movedTo, removedFiles } = await compactJournal(dir, { salvage: true });
  deepEqual([problems.map(({ file, offset }) => [file, offset])[0], problems.length, lost.length], [[name, 520], 2, 2]);
  deepEqual([await sleeperFiles(dir), (await sleeperFiles(movedTo ?? "")).length], [[], 1]);
  equal(removedFiles, (await readdir(movedTo ?? "")).length);
  deepEqual(
    [(await checkJournal(dir)).ok, await compactJournal(dir, { salvage: true }).then((report) => report.movedTo)],
    [true, undefined],
  );
});

test("a start refuses a journal whose file of sleepers is missing or cut short", async (t) => {
  const dir = await folder(t);
  await (await asleepInFile(dir, 3)).close();
  const [name = ""] = await sleeperFiles(dir);
  const bytes = await readFile(join(dir, name));
  await writeFile(join(dir, name), bytes.subarray(0, bytes.length - 1));
  await rejects(openJournal(dir).recover(), { code: "MF_JOURNAL_CORRUPT", message: /cut short/ });
  await rm(join(dir, name));
  await rejects(openJournal(dir).recover(), { code: "MF_JOURNAL_CORRUPT", message: /missing/ });
  deepEqual((await compactJournal(dir, { salvage: true })).lost.length, 3);
});
