import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fromUtf8, toUtf8 } from "#base";
import { dropLetters, exportLetters, listLetters, type LetterSelection, retryLetters, showLetter } from "./dead-letter-operations.ts";
import { DeadLetters } from "./dead-letters.ts";
import { newMessage } from "./testing/journal.case.ts";
import type { AttemptRecord, Journal, Lease } from "./journal.ts";
import { openJournal } from "./log/open.ts";

interface Place {
  readonly dir: string;
  readonly journal: Journal;
  readonly letters: DeadLetters;
}

function record(code: string): AttemptRecord {
  return {
    attempt: 1,
    startedMs: 1,
    endedMs: 2,
    imageSha256: "",
    failure: { origin: "flow", code, message: "no luck", status: 0, retry: false },
    logs: [],
  };
}

/** Two letters of messages, of different flows and failures, and one of a send. */
async function withLetters(run: (place: Place) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-letters-"));
  const letters = new DeadLetters(join(dir, "dead"));
  const journal = openJournal(join(dir, "journal"), { deadLetters: letters });
  try {
    await journal.recover();
    const accept = async (change: Parameters<typeof newMessage>[0]): Promise<Lease> => {
      const accepted = await journal.accept(newMessage(change));
      if (accepted.status !== "leased") throw new Error(accepted.status);
      return accepted.lease;
    };
    await journal.bury(await accept({ id: "m1", body: toUtf8("one"), key: "k" }), record("MF_A"));
    await journal.bury(await accept({ id: "m2", flow: "bills", body: Uint8Array.of(255, 0), receivedMs: 2_000 }), record("MF_B"));
    const sends = [{ outlet: "a", key: "k", contentType: "text/plain", headers: { h: "v" }, body: toUtf8("sent") }];
    await journal.complete(await accept({ id: "m3", correlationId: "c" }), { nowMs: 3_000, sends, state: undefined, reply: undefined });
    const [entry] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    ok(entry);
    await journal.buryOutbox(entry, record("MF_A"));
    await run({ dir, journal, letters });
  } finally {
    await journal.close();
    await rm(dir, { recursive: true, force: true });
  }
}

async function ids(letters: DeadLetters, selection?: LetterSelection): Promise<string[]> {
  const found: string[] = [];
  for await (const letter of listLetters(letters, selection)) found.push(letter.messageId);
  return found.sort();
}

async function idOf(letters: DeadLetters, messageId: string): Promise<string> {
  for await (const letter of listLetters(letters)) if (letter.messageId === messageId) return letter.id;
  throw new Error(`no letter of ${messageId}`);
}

test("letters are chosen by id, flow, error and kind, or all", () =>
  withLetters(async ({ letters }) => {
    deepEqual(await ids(letters), ["m1", "m2", "m3"]);
    deepEqual(await ids(letters, { flow: "bills" }), ["m2"]);
    deepEqual(await ids(letters, { code: "MF_A" }), ["m1", "m3"]);
    deepEqual(await ids(letters, { code: "MF_A", kind: "send" }), ["m3"]);
    deepEqual(await ids(letters, { ids: [await idOf(letters, "m2"), "bills/none", "../../etc/x"] }), ["m2"]);
    equal(fromUtf8((await showLetter(letters, await idOf(letters, "m1")))?.body ?? new Uint8Array(0)), "one");
    const lines: Record<string, unknown>[] = [];
    for await (const line of exportLetters(letters, { flow: "bills" })) lines.push(JSON.parse(line) as Record<string, unknown>);
    deepEqual([lines.length, lines[0]?.["body"]], [1, { base64: "/wA=" }]);
  }));

test("a retried message is pending again with its bytes and key, and its letter is gone", () =>
  withLetters(async ({ journal, letters }) => {
    const report = await retryLetters(journal, letters, { flow: "orders", kind: "message" }, { nowMs: 9_000 });
    equal(report.retried.length, 1);
    const [lease] = await journal.lease("orders", 9);
    deepEqual(
      [lease?.message.id, fromUtf8(lease?.message.body ?? new Uint8Array(0)), lease?.message.key, lease?.attempt],
      ["m1", "one", "k", 1],
    );
    deepEqual(await ids(letters), ["m2", "m3"]);
  }));

test("a retried send is in its outbox again under its idempotency key; edited, under another one", () =>
  withLetters(async ({ journal, letters }) => {
    const id = await idOf(letters, "m3");
    const before = (await showLetter(letters, id))?.letter.idempotencyKey;
    const resent: string[] = [];
    await retryLetters(journal, letters, { ids: [id] }, { nowMs: 9_000, resent: (flow, outlet) => resent.push(`${flow}/${outlet}`) });
    deepEqual(resent, ["orders/a"]);
    const [entry] = await journal.leaseOutbox("orders", "a", 9, 9_000);
    deepEqual(
      [entry?.idempotencyKey, entry?.key, entry?.correlationId, entry?.headers, fromUtf8(entry?.body ?? new Uint8Array(0))],
      [before, "k", "c", { h: "v" }, "sent"],
    );
    ok(entry);
    await journal.buryOutbox(entry, record("MF_A"));
    await retryLetters(journal, letters, { ids: [await idOf(letters, "m3")] }, { nowMs: 9_500, edit: { body: toUtf8("edited") } });
    const [edited] = await journal.leaseOutbox("orders", "a", 9, 9_500);
    ok(edited);
    ok(edited.idempotencyKey.startsWith(`${before}/edited-`));
    equal(fromUtf8(edited.body), "edited");
  }));

test("a retry that was cut short after the journal had the message does not give it twice", () =>
  withLetters(async ({ journal, letters }) => {
    const all: LetterSelection = {};
    const stuck = Object.assign(Object.create(letters) as DeadLetters, {
      remove: async () => Promise.reject(new Error("killed")),
      list: letters.list.bind(letters),
      read: letters.read.bind(letters),
    });
    const cut = await retryLetters(journal, stuck, all, { nowMs: 9_000 });
    deepEqual([cut.retried.length, cut.failed.length], [0, 3]);
    const again = await retryLetters(journal, letters, all, { nowMs: 9_001 });
    deepEqual([again.retried.length, again.repeated.length, again.failed.length], [0, 3, 0]);
    equal((await journal.lease("orders", 9)).length + (await journal.lease("bills", 9)).length, 2);
    equal(journal.outboxDepth("orders", "a"), 1);
    deepEqual(await ids(letters), []);
  }));

test("dropped letters are gone; what is not there is reported", () =>
  withLetters(async ({ letters }) => {
    const report = await dropLetters(letters, { ids: [await idOf(letters, "m1"), "orders/none"] });
    deepEqual([report.dropped.length, report.failed.map(({ id, code }) => [id, code])], [1, [["orders/none", "MF_DEAD_LETTER_MISSING"]]]);
    equal((await dropLetters(letters, {})).dropped.length, 2);
  }));
