/** Disks that are full, read-only, failing or damaged. What a crash does is in ../simulation.test.ts. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { CodedError, prng, toUtf8 } from "#base";
import { DeadLetters } from "../dead-letters.ts";
import { newMessage } from "../testing/journal.case.ts";
import type { Accepted, Completion, Lease, NewMessage, NewSend } from "../journal.ts";
import { fileHeaderBytes, putFileHeader } from "./batch.ts";
import type { LogLimits } from "./limits.ts";
import { LogJournal, type LogJournalOptions } from "./log-journal.ts";
import { openJournal } from "./open.ts";
import { SimulatedClock } from "../testing/simulated-clock.ts";
import { SimulatedDisk } from "../testing/simulated-disk.ts";

function completion(change: Partial<Completion> = {}): Completion {
  return { nowMs: 2_000, sends: [], state: undefined, reply: undefined, ...change };
}

function send(text: string): NewSend {
  return { outlet: "a", key: undefined, contentType: "text/plain", headers: {}, body: toUtf8(text) };
}

function leased(accepted: Accepted): Lease {
  if (accepted.status !== "leased") throw new Error(`expected a lease, got ${accepted.status}`);
  return accepted.lease;
}

interface Bench {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  open(options?: Partial<LogJournalOptions>): LogJournal;
}

function bench(limits: Partial<LogLimits> = {}, seed = 11): Bench {
  const disk = new SimulatedDisk(prng(seed));
  const clock = new SimulatedClock(1_000);
  const small = { reserveBytes: 100, ...limits };
  const open = (options: Partial<LogJournalOptions> = {}): LogJournal => {
    disk.restart(false);
    const mounted = disk.mount();
    return new LogJournal({
      disk: mounted,
      deadLetters: new DeadLetters("dead", mounted.deadLetterFs),
      clock,
      limits: small,
      salt: () => 5,
      ...options,
    });
  };
  return { disk, clock, open };
}

const faults = [
  { what: "full", fault: { full: 1 }, code: "MF_JOURNAL_FULL" },
  { what: "read-only", fault: { readOnly: true }, code: "MF_JOURNAL_IO" },
  { what: "failing", fault: { broken: 1 }, code: "MF_JOURNAL_IO" },
];

for (const { what, fault, code } of faults) {
  test(`a ${what} disk refuses every durable call and changes nothing; when it takes writes again they succeed`, async () => {
    const { disk, clock, open } = bench();
    const journal = open();
    await journal.recover();
    const lease = leased(await journal.accept(newMessage()));
    await journal.complete(leased(await journal.accept(newMessage({ id: "m2" }))), completion({ sends: [send("1"), send("2")] }));
    const [entry] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    ok(entry);
    const record = {
      attempt: 1,
      startedMs: 1,
      endedMs: 2,
      imageSha256: "",
      failure: { origin: "flow" as const, code: "X", message: "", status: 0, retry: true },
      logs: [],
    };
    Object.assign(disk.faults, fault);
    await rejects(journal.accept(newMessage({ id: "m3", dedup: { id: "d", windowMs: 1e6, count: 9 } })), { code });
    await rejects(journal.complete(lease, completion({ sends: [send("3")] })), { code });
    await rejects(journal.bury(lease, record), { code });
    await rejects(journal.drop(lease), { code });
    await rejects(journal.buryOutbox(entry, record), { code });
    await journal.deferOutbox(entry, record, 5); // may be lost, so it is not refused
    const [second, again] = await journal.leaseOutbox("orders", "a", 2, 5_000);
    deepEqual([again?.number, again?.attempt], [entry.number, 2]);
    if (second !== undefined) journal.releaseOutbox(second);
    if (again !== undefined) await journal.settleOutbox(again); // the same
    await rejects(journal.accept(newMessage({ id: "m4" })), { code }); // the batch that would have had its record
    equal(journal.stats().pending, 1);
    equal(journal.outboxDepth("orders", "a"), 1);
    Object.assign(disk.faults, { full: 0, broken: 0, readOnly: false });
    disk.faults.readOnly = true;
    const next = await journal.retryLater(lease, record, 5); // may be lost, so it is not refused
    disk.faults.readOnly = false;
    if (next === undefined) throw new Error("the lease is held");
    deepEqual(await journal.complete(next, completion({ sends: [send("3")] })), { status: "committed" });
    equal((await journal.accept(newMessage({ id: "m3", dedup: { id: "d", windowMs: 1e6, count: 9 } }))).status, "leased");
    clock.advance(10_000);
    await journal.close();
    const reopened = open();
    deepEqual((await reopened.recover()).pending, { orders: 1 });
    const texts = (await reopened.leaseOutbox("orders", "a", 9, 5_000)).map((each) => Buffer.from(each.body).toString());
    deepEqual(texts, ["2", "3"]); // "1" was settled while the disk refused, and its record was kept until it could be written
    await reopened.close();
  });
}

test("a journal on a full disk opens, says so, gives what it has, and takes messages once there is room", async () => {
  const { disk, open } = bench();
  const first = open();
  await first.recover();
  await first.accept(newMessage());
  await first.close();
  const journal = open();
  disk.faults.full = 1;
  const { remarks, pending } = await journal.recover();
  match(remarks.join("\n"), /refused until the disk accepts writes/);
  deepEqual(pending, { orders: 1 });
  equal((await journal.lease("orders", 5)).length, 1);
  await rejects(journal.accept(newMessage()), { code: "MF_JOURNAL_FULL" });
  disk.faults.full = 0;
  equal((await journal.accept(newMessage())).status, "leased");
  await journal.close();
});

test("a disk that is full now and then refuses a message together with all of its key that wait behind it: nothing overtakes", async () => {
  const random = prng(3);
  const seen = { whole: 0, cut: 0, none: 0 };
  for (let round = 0; round < 300; round++) {
    const { disk, open } = bench({ blobBytes: 1_000, batchBytes: 512 }, round);
    const journal = open();
    await journal.recover();
    disk.faults.full = 2;
    const burst = Array.from({ length: 12 }, (_, n) => {
      const body = new Uint8Array([10, 600, 5_000][random.below(3)] ?? 0); // gathers, fills a batch, is a file of its own
      return journal.accept(newMessage({ id: `m${n}`, key: "k", body }));
    });
    const taken = (await Promise.allSettled(burst)).map(({ status }) => status === "fulfilled");
    const count = taken.indexOf(false) === -1 ? taken.length : taken.indexOf(false);
    deepEqual(
      taken,
      Array.from({ length: 12 }, (_, n) => n < count),
    );
    seen[count === 12 ? "whole" : count === 0 ? "none" : "cut"] += 1;
    disk.faults.full = 0;
    await journal.close();
    const again = open();
    equal((await again.recover()).pending["orders"] ?? 0, count);
    await again.close();
  }
  ok(seen.cut > 50, JSON.stringify(seen));
});

test("a journal whose disk refused while it was being opened opens later, as if it had not been tried before", async () => {
  const { disk, open } = bench({ smallBodyBytes: 10, bodyMemoryBytes: 150 });
  const first = open();
  await first.recover();
  await first.accept(newMessage({ body: new Uint8Array(100) }));
  await first.close();
  let locks = 0;
  const journal = open({
    lock: async () => {
      if (disk.faults.full > 0) throw new CodedError("MF_JOURNAL_FULL", "no room for the lock");
      locks += 1;
      return { release: async () => void (locks -= 1) };
    },
  });
  disk.faults.full = 1;
  await rejects(journal.recover(), { code: "MF_JOURNAL_FULL" });
  disk.faults.full = 0;
  disk.faults.broken = 1;
  await rejects(journal.recover(), { code: "MF_JOURNAL_IO" });
  equal(locks, 0);
  disk.faults.broken = 0;
  deepEqual((await journal.recover()).pending, { orders: 1 });
  equal(locks, 1);
  const { calls } = disk;
  const [lease] = await journal.lease("orders", 5);
  equal(lease?.message.body.length, 100);
  equal(disk.calls, calls); // it fits the memory, in which nothing of the first try is counted
  await journal.close();
  equal(locks, 0);
});

test("a body that is damaged while the gateway runs is told with its entry, and holds up no other", async () => {
  const { disk, open } = bench({ smallBodyBytes: 10, bodyMemoryBytes: 0 });
  const first = open();
  await first.recover();
  for (const n of [1, 2, 3]) await first.accept(newMessage({ id: `m${n}`, body: toUtf8(`the body of message ${n}`) }));
  const sender = leased(await first.accept(newMessage({ id: "sender" })));
  await first.complete(sender, completion({ sends: [send("the body of send 1"), send("the body of send 2")] }));
  await first.close();
  const journal = open();
  await journal.recover();
  for (const what of ["message 2", "send 1"]) {
    const bytes = disk.bytesOf("segment-0000000000000001.mfj");
    bytes[bytes.indexOf(what)] = 0;
  }
  const leases = await journal.lease("orders", 5);
  const codes = leases.map(({ message, damage }) => [message.id, damage?.code, message.body.length]);
  const whole = "the body of message 1".length;
  deepEqual(codes, [
    ["m1", undefined, whole],
    ["m2", "MF_JOURNAL_CORRUPT", 0],
    ["m3", undefined, whole],
  ]);
  deepEqual(await journal.lease("orders", 5), [], "the damaged one is not given again");
  const entries = await journal.leaseOutbox("orders", "a", 5, 5_000);
  deepEqual(
    entries.map(({ damage }) => damage?.code),
    ["MF_JOURNAL_CORRUPT", undefined],
  );
  deepEqual(await journal.leaseOutbox("orders", "a", 5, 5_000), []);
  await journal.close();
});

/** A journal whose one segment has several batches, closed. */
async function written(here: Bench): Promise<string> {
  const journal = here.open();
  await journal.recover();
  for (let n = 1; n <= 5; n++) await journal.accept(newMessage({ id: `m${n}`, body: toUtf8(`body ${n}`) }));
  await journal.close();
  return "segment-0000000000000001.mfj";
}

test("a damaged batch before the last one is corruption, with file and offset, and nothing is begun", async () => {
  const here = bench();
  const name = await written(here);
  const bytes = here.disk.bytesOf(name);
  const at = bytes.indexOf("body 3");
  bytes[at] = 0;
  const offset = Math.floor(at / 512) * 512;
  await rejects(here.open().recover(), { code: "MF_JOURNAL_CORRUPT", message: new RegExp(`${name} is damaged at byte ${offset}`) });
});

test("a damaged last batch is a torn end: it is cut, and said", async () => {
  const here = bench();
  const name = await written(here);
  const bytes = here.disk.bytesOf(name);
  bytes[bytes.length - 512 + 72] = 0; // the record of the clean stop
  const { remarks, pending } = await here.open().recover();
  match(remarks.join("\n"), new RegExp(`${name}: cut at byte ${bytes.length - 512} of ${bytes.length}`));
  deepEqual(pending, { orders: 5 });
});

test("a segment or a header that is gone is corruption", async () => {
  const here = bench({ segmentBytes: 2_048 });
  await written(here);
  here.disk.bytesOf("segment-0000000000000001.mfj").fill(0, 0, 512);
  await rejects(here.open().recover(), { code: "MF_JOURNAL_CORRUPT", message: /segment-0000000000000001.mfj is damaged at byte 0/ });
});

test("a journal of a newer version is refused, one of an older version is read through its upgrade", async () => {
  const here = bench();
  const name = await written(here);
  const bytes = here.disk.bytesOf(name);
  const stamp = (version: number): void =>
    putFileHeader(bytes.subarray(0, fileHeaderBytes), {
      version,
      kind: "segment",
      salt: 5,
      number: 1,
      previous: 0,
      previousEnd: 0,
      createdMs: 1_000,
      firstBatch: 1,
    });
  stamp(3);
  await rejects(here.open().recover(), { code: "MF_JOURNAL_VERSION", message: /version 3, and this Mayfly supports versions up to 2/ });
  stamp(0);
  await rejects(here.open().recover(), { code: "MF_JOURNAL_VERSION" });
  let upgraded = 0;
  const upgrades = new Map([
    [
      0,
      (payload: Uint8Array): Uint8Array => {
        upgraded += 1;
        return payload;
      },
    ],
  ]);
  const journal = here.open({ upgrades });
  deepEqual((await journal.recover()).pending, { orders: 5 });
  equal(upgraded, 6); // five messages and the clean stop
  await journal.compact();
  await journal.close();
  const plain = here.open(); // the checkpoint is of this version, so that the upgrade is needed no longer
  deepEqual((await plain.recover()).pending, { orders: 5 });
  await plain.close();
});

const isRoot = process.getuid?.() === 0;

/** Accepts once the journal has found that there is room again. */
async function accepted(journal: LogJournal, message: NewMessage): Promise<Accepted> {
  for (;;) {
    try {
      return await journal.accept(message);
    } catch (error) {
      equal((error as { code?: string }).code, "MF_JOURNAL_FULL");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Runs with a folder on a disk of its own; without root it is skipped. */
async function withSmallDisk(t: TestContext, size: string, run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-full-"));
  let mounted = false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir], { stdio: "pipe" });
    mounted = true;
    await run(dir);
  } catch (error) {
    if (mounted) throw error;
    t.skip(`cannot mount a tmpfs: ${String(error)}`);
  } finally {
    if (mounted) execFileSync("umount", ["-l", dir], { stdio: "pipe" });
    await rm(dir, { recursive: true, force: true });
  }
}

test("a real disk that fills up: there is room for the sends of all that was accepted, and when they are gone, for new messages", async (t) => {
  await withSmallDisk(t, "12m", async (dir) => {
    const limits = { reserveBytes: 500_000, checkpointRetryMs: 50 };
    const journal = openJournal(join(dir, "journal"), { limits });
    await journal.recover();
    for (let round = 0; round < 3; round += 1) {
      const leases = [leased(await accepted(journal, newMessage({ id: `first${round}`, body: Buffer.alloc(30_000, round) })))];
      for (let refused = false; !refused; ) {
        const message = newMessage({ id: `m${round}.${leases.length}`, body: Buffer.alloc(30_000, leases.length % 256) });
        await journal.accept(message).then(
          (found) => leases.push(leased(found)),
          (error: unknown) => {
            equal((error as CodedError).code, "MF_JOURNAL_FULL");
            refused = true;
          },
        );
      }
      ok(leases.length > 5, `${leases.length} were accepted in round ${round}`);
      equal(journal.trouble?.code, undefined); // a shorter message would still fit
      for (const { message, ...lease } of leases) {
        const sends = [{ ...send(""), body: message.body }];
        deepEqual(await journal.complete({ ...lease, message }, completion({ sends })), { status: "committed" });
      }
      await writeFile(join(dir, "ballast"), Buffer.alloc(12_000_000)).catch(() => undefined); // somebody else takes all that is left
      const entries = await journal.leaseOutbox("orders", "a", 10_000, 5_000);
      equal(entries.length, leases.length);
      const failure = { code: "X", message: "", status: 0, retry: true, origin: "peer" as const };
      for (const entry of entries)
        await journal.deferOutbox(entry, { attempt: 1, startedMs: 1, endedMs: 2, imageSha256: "", failure, logs: [] }, 6_000);
      const again = await journal.leaseOutbox("orders", "a", 10_000, 7_000);
      equal(again.length, leases.length);
      for (const entry of again) await journal.settleOutbox(entry);
      await rm(join(dir, "ballast"));
    }
    equal(journal.stats().outbox, 0);
    await journal.close();
  });
});

test("files that are deleted while the journal is open: the next message is refused, and every one after it", async () => {
  const deletions: Readonly<Record<string, (dir: string) => Promise<void>>> = {
    "the folder": (dir) => rm(dir, { recursive: true }),
    "the folder, which is made again": async (dir) => {
      await rm(dir, { recursive: true });
      await mkdir(dir);
    },
    "the segment": async (dir) => {
      for (const name of await readdir(dir)) if (name.startsWith("segment-")) await rm(join(dir, name));
    },
  };
  for (const [what, remove] of Object.entries(deletions)) {
    const dir = join(await mkdtemp(join(tmpdir(), "mayfly-gone-")), "journal");
    const journal = openJournal(dir);
    await journal.recover();
    const lease = leased(await journal.accept(newMessage()));
    await remove(dir);
    for (let n = 0; n < 3; n += 1) await rejects(journal.accept(newMessage({ id: `after${n}` })), { code: "MF_JOURNAL_GONE" }, what);
    await rejects(journal.complete(lease, completion()), { code: "MF_JOURNAL_GONE" }, what);
    equal(journal.trouble?.code, "MF_JOURNAL_GONE", what);
    equal(journal.stats().pending, 1);
    await journal.close();
    await rm(join(dir, ".."), { recursive: true, force: true });
  }
});

test("a real disk that is full: nothing acknowledged is lost, and space of done messages is used again", {
  skip: !isRoot && "needs root to mount a tmpfs",
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-full-"));
  try {
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", dir], { stdio: "pipe" });
    } catch (error) {
      t.skip(`cannot mount a tmpfs: ${String(error)}`);
      return;
    }
    const ballast = join(dir, "ballast");
    await writeFile(ballast, Buffer.alloc(1_000_000));
    const folder = join(dir, "journal");
    const limits = { reserveBytes: 500_000, checkpointRetryMs: 100 };
    const journal = openJournal(folder, { limits });
    await journal.recover();
    const kept = new Map<string, Lease>();
    let refused = 0;
    for (let n = 0; refused < 3; n++) {
      const message = newMessage({ id: `m${n}`, body: Buffer.alloc(20_000, n % 256) });
      try {
        kept.set(message.id, leased(await journal.accept(message)));
      } catch (error) {
        equal((error as { code?: string }).code, "MF_JOURNAL_FULL");
        refused += 1;
      }
    }
    ok(kept.size > 10);
    await rm(ballast);
    equal((await accepted(journal, newMessage({ id: "after" }))).status, "leased");
    for (const lease of [...kept.values()].slice(5)) deepEqual(await journal.complete(lease, completion()), { status: "committed" });
    // Each of these would fill what is left a few times over, were the done ones not swept away.
    let turns = 0;
    for (let tries = 0; turns < 100 && tries < 1_000; tries++) {
      try {
        const lease = leased(await journal.accept(newMessage({ id: `again${turns}`, body: Buffer.alloc(50_000, 1) })));
        while ((await journal.complete(lease, completion()).catch(() => undefined)) === undefined)
          await new Promise((resolve) => setTimeout(resolve, 20));
        turns += 1;
      } catch (error) {
        equal((error as { code?: string }).code, "MF_JOURNAL_FULL");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    equal(turns, 100);
    await journal.close();
    const again = openJournal(folder);
    await again.recover();
    const ids = (await again.lease("orders", 1_000)).map((lease) => lease.message.id);
    deepEqual(ids, [...[...kept.keys()].slice(0, 5), "after"]);
    await again.close();
  } finally {
    try {
      execFileSync("umount", ["-l", dir], { stdio: "pipe" });
    } catch {
      // it was never mounted
    }
    await rm(dir, { recursive: true, force: true });
  }
});

test("a message that can't be encoded is refused alone: those before and behind it in its batch are kept", async () => {
  const { open } = bench();
  const journal = open();
  await journal.recover();
  const results = await Promise.allSettled([
    journal.accept(newMessage({ id: "before" })),
    journal.accept(newMessage({ id: "odd", headers: { size: 1 } as never })),
    journal.accept(newMessage({ id: "behind" })),
  ]);
  deepEqual(
    results.map((result) => (result.status === "fulfilled" ? result.value.status : (result.reason as CodedError).code)),
    ["leased", "MF_JOURNAL_RECORD", "leased"],
  );
  equal(journal.trouble, undefined);
  await journal.close();
  const again = open();
  await again.recover();
  deepEqual(
    (await again.lease("orders", 9)).map(({ message }) => message.id),
    ["before", "behind"],
  );
  await again.close();
});
