/** The part of the conformance suite of journals that is about bytes of owners of flows, and their bounds. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { toUtf8 } from "#base";
import type { Completed, Journal, Lease } from "../journal.ts";
import { completion, type It, leased, newMessage, newSend, record } from "./journal.case.ts";
import { newSignal, newSleeper } from "./sleep.case.ts";

const kib = 1024;
const wide = { owner: "acme", state: 1024 * kib, messages: 1024 * kib };
const bounds = { owner: "acme", state: 64 * kib, messages: 256 * kib };

const accepted = async (journal: Journal, id: string, bytes: number): Promise<Lease> =>
  leased(await journal.accept(newMessage({ flow: "acme--shop", id, key: "k", body: new Uint8Array(bytes) })));

const stateOf = (bytes: number, version: number, key = "k") => ({
  key,
  version,
  changes: [{ name: "n", valueJson: bytes === 0 ? undefined : `"${"x".repeat(bytes)}"` }],
});

function refusal(completed: Completed): string {
  return completed.status === "refused" ? `${completed.code}: ${completed.message}` : completed.status;
}

function near(bytes: number, expected: number): void {
  ok(Math.abs(bytes - expected) < 4 * kib, `${bytes} bytes, expected about ${expected}`);
}

export function ownedCases(it: It, durable: boolean): void {
  it("bytes of an owner are those of its flows: messages, sends, sleepers, signals and state, until they go", async (place) => {
    const { journal } = place;
    await journal.accept(newMessage({ body: new Uint8Array(100 * kib) }));
    const first = await accepted(journal, "m1", 20 * kib);
    near(journal.keptBy("acme").messages, 20 * kib);
    const sends = [{ ...newSend("erp", ""), body: new Uint8Array(30 * kib) }];
    equal((await journal.complete(first, completion({ sends, state: stateOf(10 * kib, 0), bounds: wide }))).status, "committed");
    const second = await accepted(journal, "m2", 5 * kib);
    const sleeper = newSleeper({ pages: new Uint8Array(300 * kib), waits: [] });
    equal((await journal.complete(second, completion({ sleeper, bounds: wide }))).status, "committed");
    await journal.keepSignal(newSignal({ flow: "acme--shop", body: new Uint8Array(8 * kib) }));
    near(journal.keptBy("acme").messages, 343 * kib);
    near(journal.keptBy("acme").state, 10 * kib);
    deepEqual([journal.keptBy("other"), journal.keptBy("orders")], Array(2).fill({ state: 0, messages: 0, deadLetters: 0 }));

    const { journal: after } = durable ? await place.reopen() : place;
    near(after.keptBy("acme").messages, 343 * kib);
    near(after.keptBy("acme").state, 10 * kib);
    const [entry] = await after.leaseOutbox("acme--shop", "erp", 1, 5_000);
    ok(entry !== undefined);
    await after.settleOutbox(entry);
    near(after.keptBy("acme").messages, 313 * kib);
    const sequence = await after.findSleeper("m2");
    const woken = sequence === undefined ? undefined : await after.wake(sequence);
    ok(woken !== undefined);
    equal((await after.complete(woken, completion({ bounds }))).status, "committed");
    near(after.keptBy("acme").messages, 8 * kib);
    for (const { number } of after.keptSignals()) await after.dropSignal(number);
    equal(after.keptBy("acme").messages, 0);
    const third = await accepted(after, "m3", 0);
    const { version } = await after.readState("acme--shop", "k");
    equal((await after.complete(third, completion({ state: stateOf(0, version), bounds }))).status, "committed");
    near(after.keptBy("acme").state, 0);
    if (durable) await after.close();
  });

  it("a completion over the bounds of its owner is refused and changes nothing; one that shrinks is not", async ({ journal }) => {
    const state = (bytes: number, version: number, key: string) => completion({ state: stateOf(bytes, version, key), bounds });
    equal((await journal.complete(await accepted(journal, "m1", 1), state(40 * kib, 0, "a"))).status, "committed");
    const second = await accepted(journal, "m2", 1);
    match(refusal(await journal.complete(second, state(40 * kib, 0, "b"))), /^MF_TENANT_FULL: the state/);
    equal((await journal.readState("acme--shop", "b")).json, undefined);
    equal((await journal.complete(second, state(10 * kib, 1, "a"))).status, "committed", "it shrinks");
    equal((await journal.complete(await accepted(journal, "m3", 1), state(40 * kib, 0, "b"))).status, "committed");

    const fourth = await accepted(journal, "m4", 1);
    const sends = Array.from({ length: 9 }, () => ({ ...newSend("erp", ""), body: new Uint8Array(32 * kib) }));
    match(refusal(await journal.complete(fourth, completion({ sends, bounds }))), /^MF_TENANT_FULL: the messages/);
    const pages = new Uint8Array(257 * kib);
    match(refusal(await journal.complete(fourth, completion({ sleeper: newSleeper({ pages }), bounds }))), /^MF_TENANT_FULL/);
    equal((await journal.complete(fourth, completion({ sends: sends.slice(0, 7), bounds }))).status, "committed");
    const fifth = await accepted(journal, "m5", 40 * kib); // whoever admits looks at the bound
    equal(
      (await journal.complete(fifth, completion({ sends: [newSend("erp", "short")], bounds }))).status,
      "committed",
      "less than it was",
    );
  });

  it("dead letters of an owner are counted, and go with the letter", async (place) => {
    const { journal, deadLetters } = place;
    const lease = leased(await journal.accept(newMessage({ flow: "acme--shop", id: "m1", body: toUtf8("x".repeat(50 * kib)) })));
    equal(journal.keptBy("acme").deadLetters, 0); // begins to count
    const id = (await journal.bury(lease, record(1))) ?? "";
    near(journal.keptBy("acme").deadLetters, 50 * kib);
    equal(journal.keptBy("acme").messages, 0);
    ok(await deadLetters.remove(id));
    equal(journal.keptBy("acme").deadLetters, 0);
  });
}
