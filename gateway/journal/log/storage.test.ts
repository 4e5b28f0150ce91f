/** Where bodies are, and what checkpoints keep and remove. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { statSync } from "node:fs";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { headerText } from "#abi";
import { DeadLetters } from "../dead-letters.ts";
import { newMessage } from "../testing/journal.case.ts";
import type { Completion, Lease, NewSend } from "../journal.ts";
import { realDisk } from "./disk.ts";
import { LogJournal } from "./log-journal.ts";
import { numberOfSegment } from "./names.ts";
import { openJournal, type OpenOptions } from "./open.ts";

const limits = {
  segmentBytes: 20_000,
  batchBytes: 4_000,
  blobBytes: 5_000,
  bodyMemoryBytes: 6_000,
  smallBodyBytes: 100,
  reserveBytes: 1_000,
};

async function inFolder(run: (dir: string, open: (options?: OpenOptions) => Promise<LogJournal>) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-storage-"));
  try {
    await run(dir, async (options) => openJournal(dir, { limits, ...options }));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function completion(sends: readonly NewSend[] = []): Completion {
  return { nowMs: Date.now(), sends, state: undefined, reply: undefined };
}

function bodyOf(n: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${n} `);
}

async function accept(journal: LogJournal, n: number, bytes = 20): Promise<Lease> {
  const accepted = await journal.accept(newMessage({ id: `m${n}`, body: bodyOf(n, bytes) }));
  if (accepted.status !== "leased") throw new Error(accepted.status);
  return accepted.lease;
}

async function blobs(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.startsWith("blob-"));
}

/** The files that a crash now would leave. Files being made in the background may vanish while they are copied. */
function copyAsCrashed(dir: string, to: string): Promise<void> {
  return cp(dir, to, { recursive: true, filter: (path) => !path.endsWith(".tmp") && !path.endsWith("/lock") });
}

const sizes = [10, 400, 4_999, 5_000, 2_500_000, 1_500];

async function segmentSizes(dir: string): Promise<number[]> {
  const names = (await readdir(dir)).filter((name) => name.startsWith("segment-")).sort();
  // A checkpoint may remove a segment after it was listed.
  return names.flatMap((name) => statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? []);
}

/** Accepts messages until the segments are as they should be; gives how many. */
async function fill(journal: LogJournal, dir: string, until: (sizes: readonly number[]) => boolean): Promise<number> {
  let count = 0;
  while (!until(await segmentSizes(dir))) await accept(journal, ++count, 200);
  return count;
}

test("a segment that follows a full one is made ahead, and gives its zeros back; after a crash they are no damage", () =>
  inFolder(async (dir, open) => {
    const journal = await open();
    await journal.recover();
    // The first that is made in time.
    const count = await fill(journal, dir, (sizes) => sizes.at(-1) === limits.segmentBytes || sizes.length === 50);
    equal((await segmentSizes(dir)).at(-1), limits.segmentBytes);
    const crashed = `${dir}-crashed`;
    await copyAsCrashed(dir, crashed);
    try {
      const { pending, remarks } = await openJournal(crashed, { limits }).recover();
      deepEqual([pending, remarks], [{ orders: count }, []]);
    } finally {
      await rm(crashed, { recursive: true, force: true });
    }
    await journal.close();
    ok((await segmentSizes(dir)).every((bytes) => bytes < limits.segmentBytes));
    equal(
      (await readdir(dir)).some((name) => name.endsWith(".tmp")),
      false,
    );
  }));

test("where there is little room, no segment is made ahead", () =>
  inFolder(async (dir) => {
    const disk = { ...realDisk(dir), freeBytes: () => Promise.resolve(3 * limits.segmentBytes) };
    const journal = new LogJournal({ limits, disk, deadLetters: new DeadLetters(join(dir, "dead")) });
    await journal.recover();
    for (let count = 1; !(await readdir(dir)).some((name) => (numberOfSegment(name) ?? 0) >= 5); ) {
      const lease = await accept(journal, count, 200).catch(() => undefined); // while the room is measured again
      if (lease === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      else {
        count += 1;
        await journal.complete(lease, { nowMs: 1, sends: [], state: undefined, reply: undefined });
      }
      ok((await segmentSizes(dir)).every((bytes) => bytes < limits.segmentBytes));
    }
    await journal.close();
  }));

test("bodies of every size come back as they were: from memory, from the log, from a checkpoint, from files of their own", () =>
  inFolder(async (dir, open) => {
    const send = (n: number): NewSend => ({
      outlet: "a",
      key: undefined,
      contentType: "",
      headers: {},
      body: bodyOf(n, sizes[n % sizes.length] ?? 1),
    });
    const check = async (journal: LogJournal): Promise<void> => {
      const leases = await journal.lease("orders", 100);
      deepEqual(
        leases.map((lease) => lease.message.id),
        sizes.map((_, n) => `m${n}`),
      );
      for (const [n, lease] of leases.entries()) ok(bodyOf(n, sizes[n] ?? 0).equals(lease.message.body), `message ${n}`);
      const entries = await journal.leaseOutbox("orders", "a", 100, Date.now());
      equal(entries.length, 2 * sizes.length);
      for (const [n, entry] of entries.entries()) ok(bodyOf(n, sizes[n % sizes.length] ?? 0).equals(entry.body), `send ${n}`);
      for (const lease of leases) journal.release(lease);
      for (const entry of entries) journal.releaseOutbox(entry);
    };
    const first = await open();
    await first.recover();
    for (const [n, bytes] of sizes.entries()) first.release(await accept(first, n, bytes));
    await first.complete(await accept(first, 100), completion(Array.from({ length: 2 * sizes.length }, (_, n) => send(n))));
    await check(first);
    await Promise.all([first.compact(), check(first)]); // read while what they are in is replaced
    await check(first);
    await first.close();
    const second = await open();
    await second.recover();
    await check(second);
    await second.compact();
    await check(second);
    equal((await blobs(dir)).length, 2 + 4);
    for (const lease of await second.lease("orders", 100)) await second.complete(lease, completion());
    for (const entry of await second.leaseOutbox("orders", "a", 100, Date.now())) await second.settleOutbox(entry);
    await second.close();
    equal((await readdir(dir)).filter((name) => name.endsWith(".tmp")).length, 0);
    deepEqual(await blobs(dir), []);
  }));

test("what comes behind a large body of its key is taken after it, and found after it; other keys do not wait", () =>
  inFolder(async (dir, open) => {
    const first = await open();
    await first.recover();
    const taken: string[] = [];
    const take = async (id: string, key: string | undefined, bytes: number): Promise<void> => {
      const accepted = await first.accept(newMessage({ id, key, body: bodyOf(1, bytes) }));
      taken.push(`${id} ${accepted.status}`);
    };
    const large = 3_000_000;
    await Promise.all([
      take("a1", "a", large),
      take("a2", "a", 10),
      take("b1", "b", 10),
      take("none", undefined, 10),
      take("a3", "a", large),
      take("a4", "a", 10),
    ]);
    deepEqual(
      taken.filter((each) => each.startsWith("a")),
      ["a1 leased", "a2 leased", "a3 leased", "a4 leased"],
    );
    deepEqual(taken.slice(0, 2).sort(), ["b1 leased", "none leased"]);
    await first.close();
    const second = await open();
    await second.recover();
    deepEqual(
      (await second.lease("orders", 100)).map((lease) => lease.message.id).filter((id) => id.startsWith("a")),
      ["a1", "a2", "a3", "a4"],
    );
    await second.close();
    deepEqual((await blobs(dir)).length, 2);
  }));

test("a blob that a crash has left behind goes, one that is missing is corruption", () =>
  inFolder(async (dir, open) => {
    const first = await open();
    await first.recover();
    await accept(first, 1, 10_000);
    await first.close();
    await writeFile(join(dir, "blob-m99.mfb"), "left");
    const second = await open();
    await second.recover();
    const [name, ...others] = await blobs(dir);
    deepEqual(others, []);
    ok(name !== undefined && name !== "blob-m99.mfb");
    await second.close();
    await rm(join(dir, name));
    await rejects((await open()).recover(), { code: "MF_JOURNAL_CORRUPT", message: /the body's file is missing/ });
  }));

test("the journal stays small however many messages go through it, and tells how large it is", () =>
  inFolder(async (dir, open) => {
    const journal = await open({ limits: { ...limits, checkpointBytes: 100_000 } });
    await journal.recover();
    const kept = await accept(journal, 0, 300);
    let most = 0;
    for (let n = 1; n <= 100; n++) {
      await Promise.all(Array.from({ length: 20 }, async () => journal.complete(await accept(journal, n, 300), completion())));
      most = Math.max(most, journal.stats().diskBytes);
    }
    ok(most < 400_000, `${most} bytes`);
    await journal.compact();
    const differs = async (): Promise<number> => {
      const files = (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isFile() && entry.name !== "lock");
      return (
        files.reduce((sum, file) => sum + (statSync(join(dir, file.name), { throwIfNoEntry: false })?.size ?? 0), 0) -
        journal.stats().diskBytes
      );
    };
    for (let tries = 0; (await differs()) !== 0 && tries < 200; tries++) await new Promise((done) => setTimeout(done, 10)); // files are made and cut in the background
    equal(await differs(), 0);
    await journal.complete(kept, completion());
    equal(journal.stats().pending, 0);
    await journal.close();
  }));

test("retention keeps what is done for a while, by bytes and by age", () =>
  inFolder(async (dir, open) => {
    const segments = async (): Promise<number> => (await readdir(dir)).filter((name) => name.startsWith("segment-")).length;
    const journal = await open({ retention: { ageMs: 3_600_000, bytes: 45_000 } });
    await journal.recover();
    for (let n = 0; n < 200; n++) await journal.complete(await accept(journal, n, 300), completion());
    const before = await segments();
    await journal.compact();
    const kept = await segments();
    ok(kept >= 2 && kept < before, `${kept} of ${before}`);
    await journal.close();
    const later = await open({
      retention: { ageMs: 0, bytes: 1e9 },
      clock: { now: () => Date.now() + 10_000, monotonicMs: () => 0, after: () => () => undefined },
    });
    await later.recover();
    await later.compact();
    ok((await segments()) <= 1);
    await later.close();
  }));

test("state over all keys is bounded", () =>
  inFolder(async (_dir, open) => {
    const journal = await open({ limits: { ...limits, stateBytes: 1_000 } });
    await journal.recover();
    const put = async (n: number, valueJson: string | undefined, version: number): Promise<string> =>
      (
        await journal.complete(await accept(journal, n), {
          ...completion(),
          state: { key: `k${n}`, version, changes: [{ name: "a", valueJson }] },
        })
      ).status;
    equal(await put(1, JSON.stringify("x".repeat(900)), 0), "committed");
    equal(await put(2, JSON.stringify("x".repeat(200)), 0), "refused");
    equal(await put(1, undefined, 1), "committed");
    equal(await put(2, JSON.stringify("x".repeat(200)), 0), "committed");
    await journal.close();
  }));

test("what is live is told by its headers; a settled send may come back after a crash, but not once the journal was synced", () =>
  inFolder(async (dir, open) => {
    const journal = await open({ limits: { ...limits, settleDelayMs: 1e9 } });
    await journal.recover();
    const live = (of: LogJournal): (string | undefined)[] => [...of.liveHeaders()].map((headers) => headerText(headers["x-name"])).sort();
    const named = async (name: string): Promise<Lease> => {
      const accepted = await journal.accept(newMessage({ id: name, headers: { "x-name": name } }));
      if (accepted.status !== "leased") throw new Error(accepted.status);
      return accepted.lease;
    };
    const afterCrash = async (): Promise<(string | undefined)[]> => {
      const copy = `${dir}-copy`;
      try {
        await copyAsCrashed(dir, copy);
        const next = openJournal(copy, { limits });
        await next.recover();
        const found = live(next);
        await next.close();
        return found;
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    };
    const [first] = [await named("first"), await named("second")];
    await journal.complete(
      first,
      completion([{ outlet: "a", key: undefined, contentType: "", headers: { "x-name": "send" }, body: bodyOf(1, 9) }]),
    );
    deepEqual(live(journal), ["second", "send"]);
    const [entry] = await journal.leaseOutbox("orders", "a", 1, Date.now());
    ok(entry !== undefined);
    await journal.settleOutbox(entry);
    deepEqual(live(journal), ["second"]);
    deepEqual(await afterCrash(), ["second", "send"]);
    await journal.sync();
    deepEqual(await afterCrash(), ["second"]);
    await journal.close();
  }));
