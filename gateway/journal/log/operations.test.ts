import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { toUtf8 } from "#base";
import { newMessage } from "../testing/journal.case.ts";
import type { Lease } from "../journal.ts";
import { openJournal } from "./open.ts";
import { checkJournal, compactJournal, exportJournal, type ExportPart } from "./operations.ts";

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-operations-"));
  try {
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Five pending messages, the last with a large body, and one completed with a send and state. */
async function filled(dir: string): Promise<void> {
  const journal = openJournal(dir, { limits: { blobBytes: 5_000 } });
  await journal.recover();
  const leases: Lease[] = [];
  for (let n = 1; n <= 6; n++) {
    const body = n === 5 ? Buffer.alloc(6_000, 0xff) : toUtf8(`body ${n}`);
    const accepted = await journal.accept(newMessage({ id: `m${n}`, body, dedup: { id: `d${n}`, windowMs: 1e15, count: 9 } }));
    if (accepted.status === "leased") leases.push(accepted.lease);
  }
  const sends = [{ outlet: "a", key: undefined, contentType: "", headers: {}, body: toUtf8("sent") }];
  const state = { key: "k", version: 0, changes: [{ name: "n", valueJson: "[1]" }] };
  ok(leases[5]);
  await journal.complete(leases[5], { nowMs: 2_000, sends, state, reply: undefined });
  await journal.close();
}

async function lines(dir: string, parts?: readonly ExportPart[]): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for await (const line of exportJournal(dir, parts)) all.push(JSON.parse(line) as Record<string, unknown>);
  return all;
}

const segment = "segment-0000000000000001.mfj";

test("check reports a good journal, also while it is open", () =>
  inFolder(async (dir) => {
    await filled(dir);
    const report = await checkJournal(dir);
    deepEqual(
      [report.ok, report.problems, report.live.pending, report.live.outbox[0]?.entries, report.live.dedupIds, report.live.stateKeys],
      [true, [], { orders: 5 }, 1, 6, 1],
    );
    equal(report.files[0]?.file, segment);
    const journal = openJournal(dir);
    await journal.recover();
    equal((await checkJournal(dir)).ok, true);
    await rejects(compactJournal(dir), { code: "MF_JOURNAL_LOCKED" });
    await journal.close();
    await rejects(checkJournal(join(dir, "elsewhere")), { code: "MF_JOURNAL_MISSING" });
  }));

test("export gives everything that is live, and what happened", () =>
  inFolder(async (dir) => {
    await filled(dir);
    const all = await lines(dir);
    deepEqual(
      all.map((line) => line["kind"]),
      ["pending", "pending", "pending", "pending", "pending", "outbox", "state", "dedup"],
    );
    deepEqual([all[0]?.["id"], all[0]?.["body"], all[0]?.["headers"]], ["m1", { text: "body 1" }, { a: "1" }]);
    deepEqual(all[4]?.["body"], { base64: Buffer.alloc(6_000, 0xff).toString("base64") });
    deepEqual([all[5]?.["outlet"], all[5]?.["body"]], ["a", { text: "sent" }]);
    deepEqual(all[6]?.["values"], { n: [1] });
    const history = await lines(dir, ["history"]);
    deepEqual(
      history.map((line) => (line["record"] as { kind: string }).kind),
      [...Array.from({ length: 6 }, () => "accept"), "complete", "closed"],
    );
  }));

test("compact leaves one checkpoint with what is live", () =>
  inFolder(async (dir) => {
    await filled(dir);
    const before = await lines(dir);
    const report = await compactJournal(dir);
    ok(report.removedFiles >= 1 && report.checkpointBytes > 0);
    deepEqual(await lines(dir), before);
    equal((await checkJournal(dir)).ok, true);
    ok(!(await readdir(dir)).includes(segment));
  }));

test("of a damaged journal check names the place, and salvage keeps the rest and moves the damaged files aside", () =>
  inFolder(async (dir) => {
    await filled(dir);
    const bytes = await readFile(join(dir, segment));
    const at = bytes.indexOf("body 3");
    bytes[at] = 0;
    await writeFile(join(dir, segment), bytes);
    await rm(join(dir, (await readdir(dir)).find((name) => name.startsWith("blob-")) ?? ""));
    const report = await checkJournal(dir);
    equal(report.ok, false);
    deepEqual(report.problems.map(({ file, offset, code }) => [file, offset, code])[0], [
      segment,
      Math.floor(at / 512) * 512,
      "MF_JOURNAL_CORRUPT",
    ]);
    match(report.problems[1]?.message ?? "", /the body's file is missing/);
    deepEqual(report.live.pending, { orders: 4 }); // m3 is lost, and m5 is there without its body
    const salvaged = await compactJournal(dir, { salvage: true });
    deepEqual([salvaged.problems.length, salvaged.lost], [2, ["message m5 of orders"]]);
    ok(salvaged.movedTo !== undefined && (await readdir(salvaged.movedTo)).includes(segment));
    equal((await checkJournal(dir)).ok, true);
    const journal = openJournal(dir);
    await journal.recover();
    deepEqual(
      (await journal.lease("orders", 9)).map((lease) => lease.message.id),
      ["m1", "m2", "m4"],
    );
    equal(journal.outboxDepth("orders", "a"), 1);
    await journal.close();
    equal((await compactJournal(dir, { salvage: true })).movedTo, undefined); // nothing is damaged any more
  }));
