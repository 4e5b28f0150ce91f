/**
 * The conformance suite of journals: every implementation passes it unchanged. Give it `open`, which opens the journal in
 * `dir`, again after `close` for a durable one; `durable` adds the cases about what a reopened journal still knows.
 */
import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fromUtf8, toUtf8 } from "#base";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Failure } from "../../contract/message.ts";
import { DeadLetters } from "../dead-letters.ts";
import { dedupIdOf } from "../dedup-id.ts";
import { ownedCases } from "./owned.case.ts";
import { sleepCases } from "./sleep.case.ts";
import type { Accepted, AttemptRecord, Completion, Journal, Lease, NewMessage, NewSend } from "../journal.ts";

export interface JournalUnderTest {
  readonly name: string;
  readonly durable: boolean;
  /** Opens the journal in `dir`, which exists; `recover` is called by the suite. */
  open(dir: string, deadLetters: DeadLetters): Promise<Journal>;
}

const failure: Failure = { origin: "flow", code: "MF_TEST", message: "no luck", status: 0, retry: true };

export function record(attempt: number): AttemptRecord {
  return {
    attempt,
    startedMs: 10,
    endedMs: 20,
    imageSha256: "00",
    failure,
    logs: [{ kind: "log", level: "info", text: "tried", fieldsJson: undefined }],
  };
}

export function newMessage(change: Partial<NewMessage> = {}): NewMessage {
  return {
    flow: "orders",
    id: "m1",
    source: "test",
    headers: { a: "1" },
    contentType: "text/plain",
    body: toUtf8("hello"),
    key: undefined,
    correlationId: undefined,
    receivedMs: 1_000,
    expiresMs: undefined,
    dedup: undefined,
    ...change,
  };
}

export function newSend(outlet: string, text: string, key?: string): NewSend {
  return { outlet, key, contentType: "text/plain", headers: { h: "v" }, body: toUtf8(text) };
}

export function completion(change: Partial<Completion> = {}): Completion {
  return { nowMs: 2_000, sends: [], state: undefined, reply: undefined, ...change };
}

export function leased(accepted: Accepted): Lease {
  if (accepted.status !== "leased") throw new Error(`expected a lease, got ${accepted.status}`);
  return accepted.lease;
}

export async function texts(journal: Journal, outlet: string, nowMs = 5_000): Promise<string[]> {
  return (await journal.leaseOutbox("orders", outlet, 100, nowMs)).map((entry) => fromUtf8(entry.body));
}

export interface Place {
  readonly journal: Journal;
  readonly deadLetters: DeadLetters;
  /** Closes and opens again; only for durable journals. */
  reopen(): Promise<Place>;
}

export function journalCases(subject: JournalUnderTest): void {
  const place = async (dir: string): Promise<Place> => {
    const deadLetters = new DeadLetters(join(dir, "dead"));
    const journal = await subject.open(dir, deadLetters);
    await journal.recover();
    return {
      journal,
      deadLetters,
      reopen: async () => {
        await journal.close();
        return place(dir);
      },
    };
  };
  const it = (name: string, run: (place: Place) => Promise<void>, when = true): void => {
    test(`journal ${subject.name}: ${name}`, { skip: !when }, async () => {
      const dir = await mkdtemp(join(tmpdir(), "mayfly-journal-"));
      try {
        const here = await place(dir);
        await run(here);
        await here.journal.close();
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });
  };
  messageCases(it, subject.durable);
  dedupCases(it, subject.durable);
  stateCases(it, subject.durable);
  outboxCases(it, subject.durable);
  sleepCases(it, subject.durable);
  ownedCases(it, subject.durable);
}

export type It = (name: string, run: (place: Place) => Promise<void>, when?: boolean) => void;

function messageCases(it: It, durable: boolean): void {
  it("an accepted message is leased to its acceptor, whole, and to nobody else", async ({ journal }) => {
    const lease = leased(await journal.accept(newMessage({ key: "k", correlationId: "c" })));
    deepEqual(
      [lease.attempt, lease.durable, lease.message.headers, lease.message.key, lease.message.correlationId],
      [1, true, { a: "1" }, "k", "c"],
    );
    equal(fromUtf8(lease.message.body), "hello");
    deepEqual(await journal.lease("orders", 10), []);
    equal(journal.stats().pending, 1);
  });

  it("sequences grow in the order of accept calls, also when not awaited", async ({ journal }) => {
    const leases = (await Promise.all([1, 2, 3, 4].map((n) => journal.accept(newMessage({ id: `m${n}` }))))).map(leased);
    deepEqual(
      leases.map((lease) => lease.message.id),
      ["m1", "m2", "m3", "m4"],
    );
    ok(leases.every((lease, index) => index === 0 || lease.sequence > (leases[index - 1]?.sequence ?? 0)));
  });

  it("a released message is leased again, oldest first, same attempt, newer token", async ({ journal }) => {
    const first = leased(await journal.accept(newMessage({ id: "m1" })));
    const second = leased(await journal.accept(newMessage({ id: "m2" })));
    journal.release(second);
    journal.release(first);
    const leases = await journal.lease("orders", 10);
    deepEqual(
      leases.map((lease) => [lease.message.id, lease.attempt]),
      [
        ["m1", 1],
        ["m2", 1],
      ],
    );
    ok((leases[0]?.token ?? 0) > first.token);
    deepEqual(await journal.complete(first, completion()), { status: "stale" });
  });

  it("lease gives at most as many as asked for, and of that flow only", async ({ journal }) => {
    for (const id of ["m1", "m2", "m3"]) journal.release(leased(await journal.accept(newMessage({ id }))));
    journal.release(leased(await journal.accept(newMessage({ id: "other", flow: "bills" }))));
    equal((await journal.lease("orders", 2)).length, 2);
    equal((await journal.lease("orders", 2)).length, 1);
    equal((await journal.lease("bills", 2)).length, 1);
  });

  it("a completed message is gone, and completing it again is stale", async ({ journal }) => {
    const lease = leased(await journal.accept(newMessage()));
    deepEqual(await journal.complete(lease, completion()), { status: "committed" });
    deepEqual(await journal.complete(lease, completion({ sends: [newSend("out", "twice")] })), { status: "stale" });
    equal(journal.outboxDepth("orders", "out"), 0);
    equal(journal.stats().pending, 0);
  });

  it("retryLater counts the attempt, keeps its record, and fences the old lease", async ({ journal }) => {
    const first = leased(await journal.accept(newMessage()));
    const second = await journal.retryLater(first, record(1), 9_000);
    deepEqual([second?.attempt, second?.dueMs, second?.attempts.length, second?.attempts[0]?.failure.code], [2, 9_000, 1, "MF_TEST"]);
    deepEqual(await journal.complete(first, completion()), { status: "stale" });
    equal(await journal.retryLater(first, record(1), 9_000), undefined);
    equal(await journal.bury(first, record(1)), undefined);
    equal(await journal.drop(first), false);
    deepEqual(second === undefined ? "none" : await journal.complete(second, completion()), { status: "committed" });
  });

  it("a buried message is a dead letter with its bytes and every attempt", async ({ journal, deadLetters }) => {
    const body = Uint8Array.from({ length: 256 }, (_, index) => index);
    const first = leased(await journal.accept(newMessage({ body, key: "k", correlationId: "c" })));
    const second = await journal.retryLater(first, record(1), 0);
    const id = second === undefined ? undefined : await journal.bury(second, record(2));
    const found = id === undefined ? undefined : await deadLetters.read(id);
    deepEqual(found === undefined ? undefined : Uint8Array.from(found.body), body);
    deepEqual(
      [
        found?.letter.kind,
        found?.letter.messageId,
        found?.letter.key,
        found?.letter.headers,
        found?.letter.attempts.map((attempt) => attempt.attempt),
      ],
      ["message", "m1", "k", { a: "1" }, [1, 2]],
    );
    equal(found?.letter.attempts[0]?.logs[0]?.text, "tried");
    equal(journal.stats().pending, 0);
  });

  it("an adopted message is forgotten when released, and can be completed or buried", async ({ journal, deadLetters }) => {
    const adopted = leased(journal.adopt(newMessage()));
    equal(adopted.durable, false);
    journal.release(adopted);
    deepEqual(await journal.lease("orders", 10), []);
    deepEqual(await journal.complete(adopted, completion()), { status: "stale" });
    deepEqual(await journal.complete(leased(journal.adopt(newMessage())), completion({ sends: [newSend("out", "x")] })), {
      status: "committed",
    });
    deepEqual(await texts(journal, "out"), ["x"]);
    ok((await journal.bury(leased(journal.adopt(newMessage())), record(1))) !== undefined);
    equal(await deadLetters.count("orders"), 1);
  });

  it("a closed journal refuses", async ({ journal }) => {
    await journal.close();
    await rejects(async () => journal.accept(newMessage()), { code: "MF_JOURNAL_CLOSED" });
  });

  it(
    "what was pending is pending after reopening: same order, attempts kept, leases void; adopted ones are gone",
    async (before) => {
      const first = leased(await before.journal.accept(newMessage({ id: "m1", key: "k", body: toUtf8("first") })));
      await before.journal.accept(newMessage({ id: "m2", key: "k", contentType: "application/json" }));
      leased(before.journal.adopt(newMessage({ id: "m3" })));
      const done = leased(await before.journal.accept(newMessage({ id: "m4", key: "k" })));
      await before.journal.complete(done, completion());
      const retried = await before.journal.retryLater(first, record(1), 7_000);
      const { journal } = await before.reopen();
      const leases = await journal.lease("orders", 10);
      deepEqual(
        leases.map((lease) => [lease.message.id, lease.attempt, lease.dueMs, lease.attempts.length]),
        [
          ["m1", 2, 7_000, 1],
          ["m2", 1, 0, 0],
        ],
      );
      equal(fromUtf8(leases[0]?.message.body ?? new Uint8Array(0)), "first");
      equal(leases[1]?.message.contentType, "application/json");
      if (retried !== undefined) deepEqual(await journal.complete(retried, completion()), { status: "stale" });
      const fresh = leased(await journal.accept(newMessage({ id: "m5", key: "k" })));
      ok(fresh.sequence > (leases[1]?.sequence ?? 0) && fresh.sequence > done.sequence);
      await journal.close();
    },
    durable,
  );
}

function dedupCases(it: It, durable: boolean): void {
  const dedup = { id: "d1", windowMs: 1_000, count: 2 };

  it("an id that is worked on is running; a completed one is a duplicate, with its reply, until the window ends", async ({ journal }) => {
    const lease = leased(await journal.accept(newMessage({ dedup })));
    deepEqual(await journal.accept(newMessage({ id: "again", dedup })), { status: "running", sequence: lease.sequence });
    deepEqual(journal.adopt(newMessage({ id: "again", dedup })), { status: "running", sequence: lease.sequence });
    const reply = { status: 200, contentType: "text/plain", headers: {}, body: toUtf8("yes") };
    await journal.complete(lease, completion({ nowMs: 2_000, reply }));
    const again = await journal.accept(newMessage({ id: "again", dedup, receivedMs: 2_999 }));
    deepEqual(
      [
        again.status,
        again.status === "duplicate" ? again.id : "",
        again.status === "duplicate" ? fromUtf8(again.reply?.body ?? new Uint8Array(0)) : "",
      ],
      ["duplicate", "m1", "yes"],
    );
    equal((await journal.accept(newMessage({ dedup, receivedMs: 3_001 }))).status, "leased");
  });

  it("an id whose accept is under way is running already", async ({ journal }) => {
    const first = journal.accept(newMessage({ dedup }));
    const adopted = journal.adopt(newMessage({ id: "again", dedup }));
    const second = journal.accept(newMessage({ id: "again", dedup }));
    const { sequence } = leased(await first);
    deepEqual(
      [adopted, await second],
      [
        { status: "running", sequence },
        { status: "running", sequence },
      ],
    );
  });

  it("an id with another fingerprint is a mismatch, while it is worked on and when it is done, also when reopened", async ({
    journal,
    reopen,
  }) => {
    const of = (fingerprint: string): NewMessage["dedup"] => ({ ...dedup, id: dedupIdOf({ place: "p", scope: "", id: "k", fingerprint }) });
    const entering = journal.accept(newMessage({ dedup: of("1") }));
    const adopted = journal.adopt(newMessage({ dedup: of("2") }));
    const lease = leased(await entering);
    equal(adopted.status, "mismatch");
    equal((await journal.accept(newMessage({ dedup: of("2") }))).status, "mismatch");
    equal((await journal.accept(newMessage({ dedup: of("1") }))).status, "running");
    await journal.complete(lease, completion());
    const knows = async (one: Journal): Promise<void> => {
      equal((await one.accept(newMessage({ dedup: of("2") }))).status, "mismatch");
      equal(one.adopt(newMessage({ dedup: of("2") })).status, "mismatch");
      equal((await one.accept(newMessage({ dedup: of("1") }))).status, "duplicate");
    };
    await knows(journal);
    if (!durable) return;
    const again = (await reopen()).journal;
    await knows(again);
    await again.close();
  });

  it("an id is released by bury, by drop, and by releasing an adopted message; never by a retry", async ({ journal }) => {
    const adopted = leased(journal.adopt(newMessage({ dedup })));
    journal.release(adopted);
    const first = leased(await journal.accept(newMessage({ dedup })));
    const second = await journal.retryLater(first, record(1), 0);
    equal((await journal.accept(newMessage({ dedup }))).status, "running");
    if (second !== undefined) await journal.bury(second, record(2));
    const third = leased(await journal.accept(newMessage({ dedup })));
    equal(await journal.drop(third), true);
    equal((await journal.accept(newMessage({ dedup }))).status, "leased");
  });

  it("of more ids than the window counts the oldest are forgotten; flows have windows of their own", async ({ journal }) => {
    const message = (id: string, flow = "orders"): NewMessage => newMessage({ flow, key: "k", dedup: { ...dedup, id } });
    for (const id of ["d1", "d2", "d3"]) await journal.complete(leased(await journal.accept(message(id))), completion());
    equal((await journal.accept(message("d3"))).status, "duplicate");
    equal((await journal.accept(message("d1"))).status, "leased");
    equal((await journal.accept(message("d3", "bills"))).status, "leased");
  });

  it(
    "windows survive reopening; the running id of a pending message does too, that of an adopted one does not",
    async (before) => {
      await before.journal.complete(leased(await before.journal.accept(newMessage({ dedup }))), completion());
      await before.journal.complete(leased(before.journal.adopt(newMessage({ id: "b", dedup: { ...dedup, id: "broker" } }))), completion());
      const pending = leased(await before.journal.accept(newMessage({ dedup: { ...dedup, id: "d2" } })));
      before.journal.adopt(newMessage({ dedup: { ...dedup, id: "d3" } }));
      const { journal } = await before.reopen();
      equal((await journal.accept(newMessage({ dedup }))).status, "duplicate");
      equal(journal.adopt(newMessage({ dedup: { ...dedup, id: "broker" } })).status, "duplicate");
      deepEqual(await journal.accept(newMessage({ dedup: { ...dedup, id: "d2" } })), { status: "running", sequence: pending.sequence });
      equal((await journal.accept(newMessage({ dedup: { ...dedup, id: "d3" } }))).status, "leased");
      await journal.close();
    },
    durable,
  );
}

function stateCases(it: It, durable: boolean): void {
  const put = (version: number, name: string, valueJson: string | undefined): Partial<Completion> => ({
    state: { key: "k", version, changes: [{ name, valueJson }] },
  });
  const run = async (journal: Journal, change: Partial<Completion>): Promise<string> =>
    (await journal.complete(leased(await journal.accept(newMessage({ key: "k" }))), completion(change))).status;

  it("state is committed with its message and read with its version", async ({ journal }) => {
    deepEqual(await journal.readState("orders", "k"), { version: 0, json: undefined });
    equal(await run(journal, put(0, "count", "1")), "committed");
    const one = await journal.readState("orders", "k");
    deepEqual(JSON.parse(one.json ?? "null"), { count: 1 });
    equal(
      await run(journal, {
        state: {
          key: "k",
          version: one.version,
          changes: [
            { name: "count", valueJson: "2" },
            { name: 'a"b', valueJson: "[null]" },
          ],
        },
      }),
      "committed",
    );
    const two = await journal.readState("orders", "k");
    deepEqual(JSON.parse(two.json ?? "null"), { count: 2, 'a"b': [null] });
    notEqual(two.version, one.version);
    deepEqual(await journal.readState("orders", "other"), { version: 0, json: undefined });
    deepEqual(await journal.readState("bills", "k"), { version: 0, json: undefined });
  });

  it("a change on an older version is a conflict: nothing is done and the lease still holds", async ({ journal }) => {
    const lease = leased(await journal.accept(newMessage({ key: "k" })));
    equal(await run(journal, put(0, "a", "1")), "committed");
    const late = completion({ ...put(0, "a", "9"), sends: [newSend("out", "never")] });
    deepEqual(await journal.complete(lease, late), { status: "conflict" });
    equal(journal.outboxDepth("orders", "out"), 0);
    const { version } = await journal.readState("orders", "k");
    deepEqual(await journal.complete(lease, completion(put(version, "a", "2"))), { status: "committed" });
    equal((await journal.readState("orders", "k")).json, '{"a":2}');
  });

  it("deleting the last name leaves no state, but never an old version again", async ({ journal }) => {
    await run(journal, put(0, "a", "1"));
    const { version } = await journal.readState("orders", "k");
    await run(journal, put(version, "a", undefined));
    const after = await journal.readState("orders", "k");
    equal(after.json, undefined);
    equal(after.version > version, true);
    equal(await run(journal, put(0, "a", "3")), "conflict");
  });

  it("state over its limit is refused and the lease still holds", async ({ journal }) => {
    const lease = leased(await journal.accept(newMessage({ key: "k" })));
    const refused = await journal.complete(lease, completion(put(0, "big", JSON.stringify("x".repeat(2 ** 20)))));
    deepEqual([refused.status, refused.status === "refused" ? refused.code : ""], ["refused", "MF_STATE_LIMIT"]);
    deepEqual(await journal.complete(lease, completion()), { status: "committed" });
  });

  it(
    "state survives reopening with its version",
    async (before) => {
      await run(before.journal, put(0, "a", '{"deep":[1,2]}'));
      const was = await before.journal.readState("orders", "k");
      const { journal } = await before.reopen();
      deepEqual(await journal.readState("orders", "k"), was);
      await journal.close();
    },
    durable,
  );
}

function outboxCases(it: It, durable: boolean): void {
  const commit = async (journal: Journal, ...sends: NewSend[]): Promise<void> => {
    await journal.complete(leased(await journal.accept(newMessage())), completion({ sends }));
  };

  it("sends of a commit are leased once, in order, per outlet, with keys that are stable and all different", async ({ journal }) => {
    await commit(journal, newSend("a", "1"), newSend("b", "2"), newSend("a", "3"));
    await commit(journal, newSend("a", "4"));
    equal(journal.nextOutboxMs("orders", "a"), 0);
    const entries = await journal.leaseOutbox("orders", "a", 2, 5_000);
    deepEqual(
      entries.map((entry) => [fromUtf8(entry.body), entry.attempt, entry.messageId, entry.headers]),
      [
        ["1", 1, "m1", { h: "v" }],
        ["3", 1, "m1", { h: "v" }],
      ],
    );
    deepEqual(await texts(journal, "a"), ["4"]);
    deepEqual(await texts(journal, "b"), ["2"]);
    equal(new Set(entries.map((entry) => entry.idempotencyKey)).size, 2);
    equal(journal.outboxDepth("orders", "a"), 3);
    for (const entry of entries) await journal.settleOutbox(entry);
    equal(journal.outboxDepth("orders", "a"), 1);
    equal(journal.nextOutboxMs("orders", "a"), undefined);
  });

  it("a deferred entry comes again when due: same idempotency key, next attempt, history kept; its old lease is void", async ({
    journal,
  }) => {
    await commit(journal, newSend("a", "1"));
    const [entry] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    ok(entry);
    await journal.deferOutbox(entry, record(1), 8_000);
    equal(journal.nextOutboxMs("orders", "a"), 8_000);
    deepEqual(await texts(journal, "a", 7_999), []);
    const [again] = await journal.leaseOutbox("orders", "a", 1, 8_000);
    deepEqual([again?.idempotencyKey, again?.attempt, again?.attempts.length], [entry.idempotencyKey, 2, 1]);
    await journal.settleOutbox(entry);
    equal(journal.outboxDepth("orders", "a"), 1);
  });

  it("entries of one key come one at a time and in order; a stuck key blocks only itself", async ({ journal }) => {
    await commit(journal, newSend("a", "x1", "x"), newSend("a", "x2", "x"), newSend("a", "y1", "y"), newSend("a", "free"));
    const entries = await journal.leaseOutbox("orders", "a", 100, 5_000);
    deepEqual(
      entries.map((entry) => fromUtf8(entry.body)),
      ["x1", "y1", "free"],
    );
    const [x1, y1] = entries;
    ok(x1 && y1);
    await journal.deferOutbox(x1, record(1), 9_000);
    await journal.settleOutbox(y1);
    await commit(journal, newSend("a", "y2", "y"), newSend("a", "x3", "x"));
    deepEqual(await texts(journal, "a"), ["y2"]);
    const [x1again] = await journal.leaseOutbox("orders", "a", 100, 9_000);
    equal(fromUtf8(x1again?.body ?? new Uint8Array(0)), "x1");
    if (x1again !== undefined) await journal.settleOutbox(x1again);
    deepEqual(await texts(journal, "a"), ["x2"]);
  });

  it("a released entry is leased again with the same attempt", async ({ journal }) => {
    await commit(journal, newSend("a", "1", "k"), newSend("a", "2", "k"));
    const [entry] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    ok(entry);
    journal.releaseOutbox(entry);
    const [again] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    deepEqual([again?.number, again?.attempt], [entry.number, 1]);
  });

  it("a buried send is a dead letter with outlet, idempotency key and history, and lets its key go on", async ({
    journal,
    deadLetters,
  }) => {
    await commit(journal, newSend("a", "1", "k"), newSend("a", "2", "k"));
    const [entry] = await journal.leaseOutbox("orders", "a", 1, 5_000);
    ok(entry);
    const id = await journal.buryOutbox(entry, record(1));
    const found = id === undefined ? undefined : await deadLetters.read(id);
    deepEqual(
      [found?.letter.kind, found?.letter.outlet, found?.letter.idempotencyKey, fromUtf8(found?.body ?? new Uint8Array(0))],
      ["send", "a", entry.idempotencyKey, "1"],
    );
    deepEqual(await texts(journal, "a"), ["2"]);
  });

  it("a send for a later date is in nobody's way; then it joins the end of its key's line", async ({ journal, reopen }) => {
    const later = (text: string, dueMs: number, key?: string): NewSend => ({ ...newSend("a", text, key), dueMs });
    await commit(journal, later("d1", 8_000, "k"), newSend("a", "n1", "k"), later("d2", 7_000, "k"), later("past", 1_999, "p"));
    await commit(journal, newSend("a", "n2", "k"), later("free", 9_000));
    deepEqual([journal.nextOutboxDateMs("orders", "a"), journal.outboxDelayed("orders", "a"), journal.stats().delayed], [7_000, 3, 3]);
    const [n1, past] = await journal.leaseOutbox("orders", "a", 100, 50_000, 6_999);
    deepEqual([fromUtf8(n1?.body ?? new Uint8Array(0)), fromUtf8(past?.body ?? new Uint8Array(0))], ["n1", "past"]);
    equal(journal.nextOutboxMs("orders", "a"), undefined, "by the monotonic clock nothing of it is due, ever");
    deepEqual(await texts(journal, "a", 7_000), []); // d2 is behind n1 and n2 now
    equal(journal.outboxDelayed("orders", "a"), 2);
    if (n1 !== undefined && past !== undefined) await Promise.all([journal.settleOutbox(n1), journal.settleOutbox(past)]);
    const here = durable ? (await reopen()).journal : journal;
    deepEqual(
      [here.outboxDepth("orders", "a"), here.nextOutboxDateMs("orders", "a")],
      [4, durable ? here.nextOutboxDateMs("orders", "a") : 8_000],
    );
    const order: string[] = [];
    for (let round = 0; round < 5; round++) {
      for (const entry of await here.leaseOutbox("orders", "a", 100, 0, 9_000)) {
        order.push(fromUtf8(entry.body));
        await here.settleOutbox(entry);
      }
    }
    deepEqual(
      order.filter((text) => text !== "free"),
      ["n2", "d2", "d1"],
    );
    deepEqual([order.length, here.outboxDepth("orders", "a"), here.outboxDelayed("orders", "a")], [4, 0, 0]);
    if (durable) await here.close();
  });

  it("a delayed send that failed when its date was there is deferred as any other, also after reopening", async ({ journal, reopen }) => {
    await commit(journal, { ...newSend("a", "later", "k"), dueMs: 6_000 }, newSend("a", "now", "k"));
    const [now] = await journal.leaseOutbox("orders", "a", 9, 5_000);
    if (now !== undefined) await journal.settleOutbox(now);
    const [later] = await journal.leaseOutbox("orders", "a", 9, 6_000);
    ok(later);
    await commit(journal, newSend("a", "behind", "k"));
    await journal.deferOutbox(later, record(1), 9_000);
    const here = durable ? (await reopen()).journal : journal;
    deepEqual([await texts(here, "a", 8_999), here.outboxDelayed("orders", "a"), here.nextOutboxMs("orders", "a")], [[], 0, 9_000]);
    const [again] = await here.leaseOutbox("orders", "a", 9, 9_000);
    deepEqual([fromUtf8(again?.body ?? new Uint8Array(0)), again?.attempt, again?.dueMs], ["later", 2, 6_000]);
    if (again !== undefined) await here.settleOutbox(again);
    deepEqual(await texts(here, "a", 9_000), ["behind"]);
    if (durable) await here.close();
  });

  it("more delayed sends than the outlet may have are refused with the commit, which others are not", async ({ journal }) => {
    const dated = Array.from({ length: gatewayLimits.delayedPerOutlet }, () => ({ ...newSend("a", "x"), dueMs: 9_000 }));
    await commit(journal, ...dated);
    const lease = leased(await journal.accept(newMessage()));
    const refused = await journal.complete(lease, completion({ sends: [{ ...newSend("a", "y"), dueMs: 9_000 }] }));
    deepEqual([refused.status, refused.status === "refused" && refused.code], ["refused", "MF_DELAYED_LIMIT"]);
    const past = { ...newSend("a", "past"), dueMs: 2_000 };
    deepEqual(await journal.complete(lease, completion({ sends: [newSend("a", "now"), past, { ...newSend("b", "z"), dueMs: 9_000 }] })), {
      status: "committed",
    });
    deepEqual(await texts(journal, "a"), ["now", "past"]);
  });

  it(
    "unsettled sends survive reopening: order, keys, attempts and idempotency keys; settled and buried ones do not come back",
    async (before) => {
      await commit(before.journal, newSend("a", "1"), newSend("a", "2", "k"), newSend("a", "3", "k"), newSend("a", "4"), newSend("a", "5"));
      const entries = await before.journal.leaseOutbox("orders", "a", 100, 5_000);
      const [one, two, four, five] = entries;
      ok(one && two && four && five);
      await before.journal.settleOutbox(one);
      await before.journal.deferOutbox(two, record(1), 9_000);
      await before.journal.buryOutbox(four, record(1));
      const { journal } = await before.reopen();
      equal(journal.outboxDepth("orders", "a"), 3);
      const again = await journal.leaseOutbox("orders", "a", 100, 9_000);
      deepEqual(again.map((entry) => [fromUtf8(entry.body), entry.attempt]).sort(), [
        ["2", 2],
        ["5", 1],
      ]);
      equal(again.find((entry) => entry.number === five.number)?.idempotencyKey, five.idempotencyKey);
      equal(again.find((entry) => entry.number === two.number)?.attempts.length, 1);
      await journal.close();
    },
    durable,
  );
}
