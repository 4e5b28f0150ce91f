/** The part of the conformance suite of journals that is about sleepers and signals. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { fromUtf8, toUtf8 } from "#base";
import type { OpenWait, Sleeper } from "../../contract/sleep.ts";
import type { Completion, Journal, Lease, NewSignal, SignalHead, SignalKept, KeptSignal } from "../journal.ts";
import { retryLetters } from "../dead-letter-operations.ts";
import type { DeadLetters } from "../dead-letters.ts";
import { keptFor } from "./kept-signals.ts";
import { completion, type It, leased, newMessage, newSend, record, texts } from "./journal.case.ts";

const image = "ab".repeat(32);

export function newWait(name: string, key: string, dueMs?: number): OpenWait {
  return { wait: 1, name, key, dueMs, questionJson: undefined };
}

export function newSleeper(change: Partial<Sleeper> = {}): Sleeper {
  return {
    imageSha256: image,
    waits: [newWait("paid", "k1")],
    timers: [],
    sinceMs: 2_000,
    dueMs: 9_000,
    transactions: 1,
    recording: toUtf8("all its events"),
    ...change,
  };
}

export function newSignal(change: Partial<NewSignal> = {}): NewSignal {
  return {
    flow: "orders",
    name: "paid",
    key: "k1",
    id: "s1",
    source: "api",
    headers: { h: "1" },
    contentType: "application/json",
    body: toUtf8('{"amount":1}'),
    receivedMs: 3_000,
    keptUntilMs: 90_000,
    dedup: undefined,
    ...change,
  };
}

function kept(outcome: SignalKept): KeptSignal {
  if (outcome.status !== "kept") throw new Error(`expected a kept signal, got ${outcome.status}`);
  return outcome.signal;
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is not there");
  return value;
}

/** A message that falls asleep; gives the lease it had. */
async function asleep(journal: Journal, id: string, sleeper: Partial<Sleeper> = {}, change: Partial<Completion> = {}): Promise<Lease> {
  const lease = leased(await journal.accept(newMessage({ id, key: "k" })));
  deepEqual(await journal.complete(lease, completion({ sleeper: newSleeper(sleeper), ...change })), { status: "committed" });
  return lease;
}

/** All of a sleeper, bytes as numbers. */
function plain(sleeper: Sleeper | undefined): unknown {
  const { recording, pages, ...rest } = there(sleeper);
  return { ...(JSON.parse(JSON.stringify(rest)) as object), recording: [...recording], pages: pages && [...pages] };
}

export function sleepCases(it: It, durable: boolean): void {
  it("a message that falls asleep is not pending; woken, it brings its sleeper and counts attempts anew", async ({ journal }) => {
    const first = leased(await journal.accept(newMessage({ key: "k", correlationId: "c" })));
    const second = there(await journal.retryLater(first, record(1), 0));
    const pages = Uint8Array.of(1, 2, 3);
    const sleeper = newSleeper({ pages, timers: [{ timer: 4, dueMs: 9_000 }] });
    const sends = [newSend("out", "before the sleep")];
    deepEqual(await journal.complete(second, completion({ sleeper, sends })), { status: "committed" });
    deepEqual([journal.stats().pending, journal.stats().pendingBytes, journal.stats().sleepers], [0, 0, 1]);
    deepEqual(await journal.lease("orders", 10), []);
    deepEqual(await texts(journal, "out"), ["before the sleep"]);
    deepEqual(await journal.complete(second, completion()), { status: "stale" });
    deepEqual(journal.sleeperCount("orders"), { sleepers: 1, signals: 0 });
    deepEqual([...journal.sleepersByImage()], [[image, 1]]);

    const woken = there(await journal.wake(first.sequence));
    equal(await journal.wake(first.sequence), undefined);
    ok(woken.token > second.token && woken.durable);
    deepEqual([woken.attempt, woken.attempts.length, woken.message.id, woken.message.correlationId], [1, 0, "m1", "c"]);
    equal(fromUtf8(woken.message.body), "hello");
    deepEqual(plain(woken.sleeper), plain(sleeper));
    deepEqual(await journal.complete(woken, completion({ sends: [newSend("out", "after it")] })), { status: "committed" });
    deepEqual(await texts(journal, "out"), ["after it"]);
    equal(await journal.wake(first.sequence), undefined);
    deepEqual([journal.stats().sleepers, journal.sleepersByImage().size], [0, 0]);
  });

  it("a late result of before a sleep, of before a retry and of after a release is stale", async ({ journal }) => {
    const before = await asleep(journal, "m1");
    const woken = there(await journal.wake(before.sequence));
    deepEqual(await journal.complete(before, completion()), { status: "stale" });
    const next = there(await journal.retryLater(woken, record(1), 5_000));
    deepEqual([next.attempt, next.attempts.length, next.sleeper?.transactions], [2, 1, 1]);
    deepEqual(await journal.complete(woken, completion({ sends: [newSend("out", "x")] })), { status: "stale" });
    equal(await journal.drop(woken), false);
    equal(await journal.bury(woken, record(1)), undefined);
    journal.release(next);
    deepEqual(await journal.complete(next, completion()), { status: "stale" });
    const again = there(await journal.wake(before.sequence));
    deepEqual([again.attempt, again.attempts.length], [2, 1]);
    equal(journal.outboxDepth("orders", "out"), 0);
  });

  it("sends of each transaction have keys of their own, the same for ever", async ({ journal }) => {
    const sends = [newSend("out", "first"), newSend("out", "second")];
    const { sequence } = await asleep(journal, "m1", {}, { sends });
    await journal.complete(there(await journal.wake(sequence)), completion({ sends, sleeper: newSleeper({ transactions: 2 }) }));
    await journal.complete(there(await journal.wake(sequence)), completion({ sends }));
    const entries = await journal.leaseOutbox("orders", "out", 10, 9_000);
    const keys = entries.map(({ idempotencyKey }) => idempotencyKey);
    deepEqual(
      keys,
      ["0", "1", "1/0", "1/1", "2/0", "2/1"].map((place) => `orders/m1/${sequence}/${place}`),
    );
  });

  it("a released sleeper is asleep as it was: due, and waiting", async ({ journal }) => {
    const { sequence } = await asleep(journal, "m1");
    const woken = there(await journal.wake(sequence));
    deepEqual(
      [journal.dueSleepers("orders", 9_000, 10).length, journal.nextSleeperMs("orders"), journal.waiterFor("orders", "paid", "k1")],
      [0, undefined, undefined],
    );
    journal.release(woken);
    deepEqual(journal.dueSleepers("orders", 9_000, 10), [sequence]);
    deepEqual([journal.nextSleeperMs("orders"), journal.waiterFor("orders", "paid", "k1")], [9_000, sequence]);
  });

  it("a conflict of state leaves it leased with its signal and its sleep", async ({ journal }) => {
    const { sequence } = await asleep(journal, "m1");
    const signal = kept(await journal.keepSignal(newSignal()));
    const woken = there(await journal.wake(sequence));
    const state = { key: "k", version: 0, changes: [{ name: "a", valueJson: "1" }] };
    deepEqual(await journal.complete(leased(await journal.accept(newMessage({ id: "m2", key: "k" }))), completion({ state })), {
      status: "committed",
    });
    const late = completion({ state, consumed: [signal.number], sleeper: newSleeper({ dueMs: 50_000 }) });
    deepEqual(await journal.complete(woken, late), { status: "conflict" });
    deepEqual([(await keptFor(journal, "orders", "paid", "k1")).length, journal.sleeperCount("orders").sleepers], [1, 1]);
    equal(await journal.wake(sequence), undefined);
    const { version } = await journal.readState("orders", "k");
    deepEqual(await journal.complete(woken, { ...late, state: { ...state, version } }), { status: "committed" });
    deepEqual([(await keptFor(journal, "orders", "paid", "k1")).length, journal.nextSleeperMs("orders")], [0, 50_000]);
  });

  it("a signal is kept for its wait, oldest first, and goes with the commit that took it", async ({ journal }) => {
    const { sequence } = await asleep(journal, "m1");
    const one = kept(await journal.keepSignal(newSignal({ id: "s1" })));
    const two = kept(await journal.keepSignal(newSignal({ id: "s2", receivedMs: 2_000 })));
    kept(await journal.keepSignal(newSignal({ id: "s3", key: "k2" })));
    deepEqual(
      (await keptFor(journal, "orders", "paid", "k1")).map(({ id, headers, body }) => [id, headers, fromUtf8(body)]),
      [
        ["s1", { h: "1" }, '{"amount":1}'],
        ["s2", { h: "1" }, '{"amount":1}'],
      ],
    );
    deepEqual([...journal.keptSignals()].map(({ number, key }) => [number, key]).slice(0, 2), [
      [one.number, "k1"],
      [two.number, "k1"],
    ]);
    deepEqual([journal.stats().signals, journal.sleeperCount("orders").signals], [3, 3]);
    const woken = there(await journal.wake(sequence));
    equal((await keptFor(journal, "orders", "paid", "k1")).length, 2, "a woken machine has not taken it yet");
    await journal.complete(woken, completion({ consumed: [one.number] }));
    deepEqual(
      (await keptFor(journal, "orders", "paid", "k1")).map(({ id }) => id),
      ["s2"],
    );
    equal(await journal.burySignal(one.number, record(1)), undefined);
  });

  it("the oldest signal that fits is given, and is known to be there by its head", async ({ journal }) => {
    for (const [index, receivedMs] of [7_000, 4_000, 5_000].entries()) await journal.keepSignal(newSignal({ id: `s${index}`, receivedMs }));
    await journal.keepSignal(newSignal({ id: "other", key: "k2", receivedMs: 1_000 }));
    const before = (dueMs: number) => (head: SignalHead) => head.receivedMs < dueMs;
    const first = async (dueMs: number) => (await journal.firstSignal("orders", "paid", "k1", before(dueMs)))?.id;
    deepEqual([await first(9_000), await first(6_000), await first(4_000)], ["s0", "s1", undefined]);
    const has = (dueMs: number, name = "paid") => journal.hasSignal("orders", name, "k1", before(dueMs));
    deepEqual([has(9_000), has(4_001), has(4_000), has(9_000, "sent")], [true, true, false, false]);
  });

  it("a wait is awaited while its sleeper is asleep or awake, until it sleeps on or ends", async ({ journal }) => {
    const { sequence } = await asleep(journal, "m1");
    const awaited = () => [journal.isAwaited("orders", "paid", "k1"), journal.isAwaited("orders", "paid", "k2")];
    deepEqual([awaited(), journal.isAwaited("bills", "paid", "k1")], [[true, false], false]);
    const woken = there(await journal.wake(sequence));
    deepEqual([awaited(), journal.waiterFor("orders", "paid", "k1")], [[true, false], undefined]);
    await journal.complete(woken, completion({ sleeper: newSleeper({ waits: [newWait("paid", "k2")] }) }));
    deepEqual(awaited(), [false, true]);
    equal(await journal.drop(there(await journal.wake(sequence))), true);
    deepEqual(awaited(), [false, false]);
  });

  it("signals of one id are duplicates, of another name, key or flow they are not, nor of a message's id", async ({ journal }) => {
    const dedup = { id: "d1", windowMs: 1_000, count: 10 };
    const twice = await Promise.all([journal.keepSignal(newSignal({ dedup })), journal.keepSignal(newSignal({ id: "again", dedup }))]);
    deepEqual([twice[0]?.status, twice[1]], ["kept", { status: "duplicate", id: "s1" }]);
    for (const other of [{ name: "sent" }, { key: "k2" }, { flow: "bills" }, { dedup: { ...dedup, id: "d2" } }])
      equal((await journal.keepSignal(newSignal({ dedup, ...other }))).status, "kept", JSON.stringify(other));
    equal((await journal.accept(newMessage({ dedup }))).status, "leased");
    equal((await journal.keepSignal(newSignal({ dedup, receivedMs: 4_001 }))).status, "kept", "the window has ended");
  });

  it("ids of signals and of messages are remembered apart: many of the ones do not push out the others", async (before) => {
    const dedup = (n: number) => ({ id: `d${n}`, windowMs: 1e9, count: 2 });
    const message = (n: number) => before.journal.accept(newMessage({ id: `m${n}`, dedup: dedup(n) }));
    for (const n of [1, 2]) await before.journal.complete(leased(await message(n)), completion());
    for (const n of [1, 2, 3]) kept(await before.journal.keepSignal(newSignal({ id: `s${n}`, dedup: dedup(n) })));
    const { journal } = durable ? await before.reopen() : before;
    equal((await journal.accept(newMessage({ dedup: dedup(1) }))).status, "duplicate");
    for (const n of [3, 4, 5]) await journal.complete(leased(await journal.accept(newMessage({ dedup: dedup(n) }))), completion());
    const statuses = [];
    for (const n of [2, 3, 1]) statuses.push((await journal.keepSignal(newSignal({ dedup: dedup(n) }))).status);
    deepEqual(statuses, ["duplicate", "duplicate", "kept"]);
    if (durable) await journal.close();
  });

  it("a buried signal is a dead letter, and gone", async ({ journal, deadLetters }) => {
    const signal = kept(await journal.keepSignal(newSignal()));
    const ids = await Promise.all([journal.burySignal(signal.number, record(1)), journal.burySignal(signal.number, record(1))]);
    equal(ids[1], undefined);
    const id = there(ids[0]);
    const found = there(await deadLetters.read(id));
    const { letter } = found;
    deepEqual(
      [letter.kind, letter.flow, letter.signal, letter.key, letter.messageId, letter.failure.code, fromUtf8(found.body)],
      ["signal", "orders", "paid", "k1", "s1", "MF_TEST", '{"amount":1}'],
    );
    deepEqual([await keptFor(journal, "orders", "paid", "k1"), journal.stats().signals], [[], 0]);
    equal(await journal.burySignal(signal.number, record(1)), undefined);
  });

  it("of those that wait for the same the oldest message is first, the woken left out", async ({ journal }) => {
    const first = leased(await journal.accept(newMessage({ id: "m1" })));
    const second = await asleep(journal, "m2");
    const other = await asleep(journal, "m3", { waits: [newWait("sent", "k1"), newWait("paid", "k2")] });
    equal(journal.waiterFor("orders", "paid", "k1"), second.sequence);
    await journal.complete(first, completion({ sleeper: newSleeper() }));
    equal(journal.waiterFor("orders", "paid", "k1"), first.sequence);
    const woken = there(await journal.wake(first.sequence));
    equal(journal.waiterFor("orders", "paid", "k1"), second.sequence);
    await journal.complete(woken, completion({ sleeper: newSleeper({ waits: [newWait("paid", "k9")] }) }));
    deepEqual(
      [
        ["paid", "k1"],
        ["paid", "k9"],
        ["sent", "k1"],
        ["paid", "k2"],
        ["sent", "k2"],
      ].map(([name = "", key = ""]) => journal.waiterFor("orders", name, key)),
      [second.sequence, first.sequence, other.sequence, other.sequence, undefined],
    );
    equal(journal.waiterFor("bills", "paid", "k1"), undefined);
  });

  it("due sleepers come the longest due first, at most as many as asked for", async ({ journal }) => {
    const dues = [9_000, 7_000, 8_000, 7_000];
    const leases = [];
    for (const [index, dueMs] of dues.entries()) leases.push(await asleep(journal, `m${index}`, { dueMs }));
    const sequences = leases.map(({ sequence }) => sequence);
    equal(journal.nextSleeperMs("orders"), 7_000);
    deepEqual(journal.dueSleepers("orders", 6_999, 10), []);
    const due = (nowMs: number, most: number): number[] =>
      journal.dueSleepers("orders", nowMs, most).map((sequence) => sequences.indexOf(sequence));
    deepEqual(
      [due(7_000, 10), due(8_000, 10), due(9_000, 3)],
      [
        [1, 3],
        [1, 3, 2],
        [1, 3, 2],
      ],
    );
    deepEqual([journal.dueSleepers("bills", 9_000, 10), journal.nextSleeperMs("bills")], [[], undefined]);
    await journal.wake(there(sequences[1]));
    deepEqual([due(8_000, 10), journal.nextSleeperMs("orders")], [[3, 2], 7_000]);
  });

  it("sleepers are listed in order, found by id and looked at without a lease", async ({ journal }) => {
    const leases = [];
    for (const id of ["m1", "m2", "m3"]) leases.push(await asleep(journal, id));
    const [one, two, three] = leases.map(({ sequence }) => sequence);
    await journal.wake(there(two));
    const infos = await journal.listSleepers("orders", one, 10);
    deepEqual(
      infos.map(({ id, awake, dueMs, transactions, waits }) => [id, awake, dueMs, transactions, waits[0]?.name]),
      [
        ["m2", true, 9_000, 1, "paid"],
        ["m3", false, 9_000, 1, "paid"],
      ],
    );
    deepEqual([(await journal.listSleepers(undefined, undefined, 2)).length, await journal.listSleepers("bills", undefined, 2)], [2, []]);
    deepEqual([await journal.findSleeper("m3"), await journal.findSleeper("m3", "orders")], [three, three]);
    deepEqual([await journal.findSleeper("m3", "bills"), await journal.findSleeper("m9")], [undefined, undefined]);
    const look = there(await journal.readSleeper(there(three)));
    deepEqual([look.message.id, fromUtf8(look.sleeper?.recording ?? new Uint8Array(0))], ["m3", "all its events"]);
    deepEqual(await journal.complete(look, completion()), { status: "stale" });
    ok(await journal.wake(there(three)));
  });

  it("the id of a message that fell asleep counts as completed, with its reply", async ({ journal }) => {
    const dedup = { id: "d1", windowMs: 1_000, count: 10 };
    const lease = leased(await journal.accept(newMessage({ dedup })));
    const reply = { status: 202, contentType: "text/plain", headers: {}, body: toUtf8("later") };
    await journal.complete(lease, completion({ reply, sleeper: newSleeper() }));
    const again = await journal.accept(newMessage({ id: "again", dedup }));
    ok(again.status === "duplicate" && again.id === "m1" && fromUtf8(again.reply?.body ?? new Uint8Array(0)) === "later");
    const woken = there(await journal.wake(lease.sequence));
    await journal.complete(woken, completion({ nowMs: 2_500 }));
    equal((await journal.accept(newMessage({ dedup, receivedMs: 3_001 }))).status, "leased", "the window began with the first commit");
  });

  it("an adopted message that falls asleep is the journal's", async ({ journal }) => {
    const adopted = leased(journal.adopt(newMessage()));
    deepEqual(await journal.complete(adopted, completion({ sleeper: newSleeper() })), { status: "committed" });
    const woken = there(await journal.wake(adopted.sequence));
    deepEqual([woken.durable, fromUtf8(woken.message.body)], [true, "hello"]);
  });

  it("a dropped sleeper is gone, a buried one is a dead letter", async ({ journal, deadLetters }) => {
    const one = await asleep(journal, "m1");
    const two = await asleep(journal, "m2");
    equal(await journal.drop(there(await journal.wake(one.sequence))), true);
    const id = there(await journal.bury(there(await journal.wake(two.sequence)), record(1)));
    const { letter, body } = there(await deadLetters.read(id));
    deepEqual([letter.kind, letter.messageId, fromUtf8(body)], ["message", "m2", "hello"]);
    deepEqual([journal.stats().sleepers, await journal.wake(one.sequence), await journal.wake(two.sequence)], [0, undefined, undefined]);
  });

  it("the letter of one that slept keeps its sleep and its signals; a retry puts all back, once", async ({ journal, deadLetters }) => {
    const one = await asleep(
      journal,
      "m1",
      { pages: Uint8Array.of(7), timers: [{ timer: 2, dueMs: 8_000 }] },
      { sends: [newSend("out", "x")] },
    );
    const signal = kept(await journal.keepSignal(newSignal()));
    const woken = there(await journal.wake(one.sequence));
    const id = there(await journal.bury(woken, record(1), [signal.number]));
    deepEqual([journal.stats().sleepers, journal.stats().signals, await keptFor(journal, "orders", "paid", "k1")], [0, 0, []]);
    const { letter } = there(await deadLetters.read(id));
    const { transactions, waits, timers, dueMs } = there(letter.asleep);
    deepEqual([transactions, waits, timers, dueMs, letter.signals], [1, [{ name: "paid", key: "k1" }], 1, 9_000, 1]);

    const edited = await retryLetters(journal, deadLetters, { ids: [id] }, { nowMs: 20_000, edit: { body: toUtf8("other") } });
    deepEqual([edited.failed[0]?.code, journal.stats().sleepers, journal.stats().signals], ["MF_DEAD_LETTER_ASLEEP", 0, 0]);
    const told: unknown[] = [];
    const hooks = {
      nowMs: 20_000,
      slept: (flow: string, sleeper: Sleeper) => told.push([flow, sleeper.dueMs]),
      signalled: (again: KeptSignal) => told.push(again.id),
    };
    const stuck = Object.assign(Object.create(deadLetters) as DeadLetters, {
      read: deadLetters.read.bind(deadLetters),
      asleep: deadLetters.asleep.bind(deadLetters),
      remove: () => Promise.reject(new Error("killed")),
    });
    const cut = await retryLetters(journal, stuck, { ids: [id] }, hooks);
    deepEqual([cut.failed.length, told], [1, [["orders", 9_000]]]);
    const again = await retryLetters(journal, deadLetters, { ids: [id] }, hooks);
    deepEqual([again.repeated, again.failed, told.length, await deadLetters.count("orders")], [[id], [], 1, 0]);
    deepEqual([journal.stats().sleepers, journal.stats().signals, journal.stats().pending], [1, 1, 0]);

    const [given] = await keptFor(journal, "orders", "paid", "k1");
    deepEqual([given?.receivedMs, fromUtf8(there(given).body), there(given).keptUntilMs > 20_000], [3_000, '{"amount":1}', true]);
    const sequence = there(journal.waiterFor("orders", "paid", "k1"));
    deepEqual(journal.dueSleepers("orders", 20_000, 10), [sequence]);
    const back = there(await journal.wake(sequence));
    deepEqual([back.attempt, back.attempts.length, back.message.id, fromUtf8(back.message.body)], [1, 0, "m1", "hello"]);
    deepEqual(plain(back.sleeper), plain(woken.sleeper));
    deepEqual(await texts(journal, "out"), ["x"]);
  });

  for (const enters of ["accepted", "adopted"]) {
    it(`the letter of a first transaction, ${enters}, keeps the signals it was given; a retry begins from the start, with them`, async (before) => {
      const message = newMessage();
      const lease = leased(enters === "adopted" ? before.journal.adopt(message) : await before.journal.accept(message));
      const signals = [kept(await before.journal.keepSignal(newSignal())), kept(await before.journal.keepSignal(newSignal({ id: "s2" })))];
      const numbers = signals.map(({ number }) => number);
      const id = there(await before.journal.bury(lease, record(1), numbers));
      equal(before.journal.stats().signals, 0);
      const { journal, deadLetters } = durable ? await before.reopen() : before;
      const { signals: inLetter, asleep: slept } = there(await deadLetters.letter(id));
      deepEqual([journal.stats().signals, inLetter, slept], [0, 2, undefined]);
      deepEqual((await retryLetters(journal, deadLetters, { ids: [id] }, { nowMs: 5_000 })).retried, [id]);
      deepEqual([(await keptFor(journal, "orders", "paid", "k1")).length, (await journal.lease("orders", 9)).length], [2, 1]);
      if (durable) await journal.close();
    });
  }

  it("the letter of a signal is kept again for its wait, as if it came now", async ({ journal, deadLetters }) => {
    const dedup = { id: "d1", windowMs: 1e9, count: 10 };
    const signal = kept(await journal.keepSignal(newSignal({ dedup })));
    const id = there(await journal.burySignal(signal.number, record(1)));
    deepEqual((await retryLetters(journal, deadLetters, { ids: [id] }, { nowMs: 50_000 })).retried, [id]);
    const [again] = await keptFor(journal, "orders", "paid", "k1");
    deepEqual([again?.id, again?.receivedMs, again?.source, await deadLetters.count("orders")], ["s1", 50_000, "api", 0]);
  });

  it("a postponed sleeper is due later, until it sleeps anew", async ({ journal }) => {
    const { sequence } = await asleep(journal, "m1", { dueMs: 5_000 });
    journal.postpone(sequence, 8_000);
    deepEqual([journal.dueSleepers("orders", 7_999, 10), journal.nextSleeperMs("orders")], [[], 8_000]);
    const woken = there(await journal.wake(sequence));
    journal.release(woken);
    equal(journal.nextSleeperMs("orders"), 8_000);
    const again = there(await journal.wake(sequence));
    equal(again.sleeper?.dueMs, 5_000);
    await journal.complete(again, completion({ sleeper: newSleeper({ dueMs: 6_000 }) }));
    equal(journal.nextSleeperMs("orders"), 6_000);
  });

  it("what takes the place of a completed message is pending, with the bodies and numbers of its own", async ({ journal, reopen }) => {
    const { sequence } = await asleep(journal, "m1");
    const woken = there(await journal.wake(sequence));
    const body = Buffer.alloc(300_000, "n");
    await journal.complete(woken, completion({ next: newMessage({ id: "m1", body }), sends: [newSend("out", "x")] }));
    const there2 = durable ? (await reopen()).journal : journal;
    const [next] = await there2.lease("orders", 10);
    deepEqual([next?.message.id, Buffer.compare(there(next).message.body, body), there2.stats().sleepers], ["m1", 0, 0]);
    ok(there(next).sequence > sequence);
    deepEqual([await there2.complete(there(next), completion()), await texts(there2, "out")], [{ status: "committed" }, ["x"]]);
    if (durable) await there2.close();
  });

  durableCases(it, durable);
}

function durableCases(it: It, durable: boolean): void {
  it(
    "who sleeps is asleep after reopening, a woken one too: sleep, sends, state and consumed signals are one commit",
    async (before) => {
      const state = { key: "k", version: 0, changes: [{ name: "a", valueJson: "1" }] };
      const one = await asleep(before.journal, "m1", { pages: Uint8Array.of(9) }, { sends: [newSend("out", "x")], state });
      const two = await asleep(before.journal, "m2", { dueMs: 4_000 });
      const gone = await asleep(before.journal, "m3");
      await before.journal.complete(there(await before.journal.wake(gone.sequence)), completion());
      const taken = kept(await before.journal.keepSignal(newSignal({ id: "s1" })));
      await before.journal.keepSignal(newSignal({ id: "s2" }));
      const woken = there(await before.journal.wake(two.sequence));
      await before.journal.complete(
        woken,
        completion({ consumed: [taken.number], sleeper: newSleeper({ transactions: 2, dueMs: 6_000 }) }),
      );
      const failing = there(await before.journal.wake(one.sequence));
      await before.journal.retryLater(failing, record(1), 5_000);
      const { journal } = await before.reopen();
      const { sleepers, signals, pending } = journal.stats();
      deepEqual([sleepers, signals, pending], [2, 1, 0]);
      deepEqual(journal.dueSleepers("orders", 99_000, 9), [two.sequence, one.sequence]);
      const [again, other] = [there(await journal.wake(one.sequence)), there(await journal.wake(two.sequence))];
      deepEqual([again.attempt, again.attempts.length, [...there(again.sleeper?.pages)], again.sleeper?.transactions], [2, 1, [9], 1]);
      deepEqual([other.attempt, other.sleeper?.transactions, fromUtf8(other.message.body)], [1, 2, "hello"]);
      deepEqual(
        (await keptFor(journal, "orders", "paid", "k1")).map(({ id }) => id),
        ["s2"],
      );
      deepEqual([await texts(journal, "out"), (await journal.readState("orders", "k")).json], [["x"], '{"a":1}']);
      deepEqual(await journal.complete(failing, completion()), { status: "stale" });
      equal(await journal.findSleeper("m1"), one.sequence);
      await journal.close();
    },
    durable,
  );

  it(
    "duplicates of signals and of who fell asleep are known after reopening",
    async (before) => {
      const dedup = { id: "d1", windowMs: 1_000, count: 10 };
      await before.journal.keepSignal(newSignal({ dedup }));
      const lease = leased(await before.journal.accept(newMessage({ dedup })));
      await before.journal.complete(lease, completion({ sleeper: newSleeper() }));
      const { journal } = await before.reopen();
      deepEqual(await journal.keepSignal(newSignal({ id: "again", dedup })), { status: "duplicate", id: "s1" });
      equal((await journal.accept(newMessage({ dedup }))).status, "duplicate");
      equal(journal.stats().signals, 1);
      await journal.close();
    },
    durable,
  );

  it(
    "large bodies of sleepers and signals come back whole after reopening, and go with them",
    async (before) => {
      const body = Buffer.alloc(300_000, "b");
      const recording = Buffer.alloc(400_000, "r");
      const pages = Buffer.alloc(500_000, "p");
      const lease = leased(await before.journal.accept(newMessage({ body })));
      await before.journal.complete(lease, completion({ sleeper: newSleeper({ recording, pages }) }));
      const adopted = leased(before.journal.adopt(newMessage({ id: "m2", body })));
      await before.journal.complete(adopted, completion({ sleeper: newSleeper({ waits: [] }) }));
      const first = there(await before.journal.wake(lease.sequence));
      deepEqual([first.message.body.length, first.sleeper?.recording.length, first.sleeper?.pages?.length], [300_000, 400_000, 500_000]);
      await before.journal.complete(first, completion({ sleeper: newSleeper({ recording, pages: undefined, transactions: 2 }) }));
      const signal = kept(await before.journal.keepSignal(newSignal({ body })));
      const { journal } = await before.reopen();
      const woken = there(await journal.wake(lease.sequence));
      deepEqual([Buffer.compare(woken.message.body, body), Buffer.compare(woken.sleeper?.recording ?? body, recording)], [0, 0]);
      deepEqual([woken.sleeper?.pages, (await journal.readSleeper(adopted.sequence))?.message.body.length], [undefined, 300_000]);
      const [given] = await keptFor(journal, "orders", "paid", "k1");
      equal(Buffer.compare(there(given).body, body), 0);
      await journal.complete(woken, completion({ consumed: [signal.number] }));
      equal(await journal.drop(there(await journal.wake(adopted.sequence))), true);
      ok(journal.stats().diskBytes > 0);
      await journal.close();
    },
    durable,
  );
}
