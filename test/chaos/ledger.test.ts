/** The judge is judged: each kind of break must show, and only as that. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { Ledger, type Verdict } from "./ledger.ts";
import { type Arrival, padOf, probeOf, readArrival } from "./message.ts";

const arrival = (seq: number, count = seq, lane = "amqp"): Arrival => ({ lane, key: "k1", seq, count, version: 1, pad: "" });

/** A lane on which 1…n were sent and acknowledged. */
function sent(count: number, traits = { ordered: true, lossy: false }): Ledger {
  const ledger = new Ledger();
  ledger.open("amqp", traits);
  for (let seq = 1; seq <= count; seq += 1) {
    ledger.attempted("amqp", "k1", seq);
    ledger.acknowledged("amqp", "k1", seq);
  }
  return ledger;
}

const kinds = (verdict: Verdict): Record<string, number> =>
  Object.fromEntries(
    (["missing", "unexplained", "unexpected", "outOfOrder", "miscounted"] as const)
      .map((kind) => [kind, verdict[kind].length] as const)
      .filter(([, count]) => count > 0),
  );

test("all that was sent arrived once, in order: nothing is broken", () => {
  const ledger = sent(3);
  for (const seq of [1, 2, 3]) ledger.arrived(arrival(seq), `m${seq}`, seq);
  const verdict = ledger.verdict();
  equal(verdict.broken, false);
  deepEqual([verdict.sent, verdict.received, verdict.duplicated, ledger.outstanding("amqp")], [3, 3, 0, 0]);
});

test("what does not arrive is missing, by its name; on an at-most-once lane it is forgotten", () => {
  const ledger = sent(3);
  for (const seq of [1, 3]) ledger.arrived(arrival(seq), `m${seq}`, seq);
  deepEqual(ledger.verdict().missing, ["amqp/k1/2"]);
  ok(ledger.verdict().broken);
  const lossy = sent(3, { ordered: true, lossy: true });
  lossy.arrived(arrival(1), "m1", 1);
  equal(lossy.verdict().broken, false);
  equal(lossy.verdict().lanes[0]?.forgotten, 2);
});

test("again under the same key is a duplicate, and one without a cut is a break", () => {
  const ledger = sent(1);
  ledger.cut(900);
  ledger.arrived(arrival(1), "m1", 1_000);
  ledger.arrived(arrival(1), "m1", 2_000);
  equal(ledger.verdict().duplicated, 1);
  equal(ledger.verdict().broken, false);
  const calm = sent(1);
  calm.arrived(arrival(1), "m1", 1_000);
  calm.arrived(arrival(1), "m1", 2_000);
  deepEqual(kinds(calm.verdict()), { unexplained: 1 });
});

test("again under another key means that it ran twice, cut or not", () => {
  const ledger = sent(1);
  ledger.cut(1_000);
  ledger.arrived(arrival(1), "m1", 1_000);
  ledger.arrived(arrival(1), "m1 again", 1_001);
  deepEqual(kinds(ledger.verdict()), { unexpected: 1 });
});

test("what was never sent is unexpected", () => {
  const ledger = sent(1);
  ledger.arrived(arrival(1), "m1", 1);
  ledger.arrived(arrival(2), "m2", 2);
  ledger.arrived(arrival(1, 1, "other"), "m3", 3);
  deepEqual(kinds(ledger.verdict()), { unexpected: 2 });
});

test("behind a later one of its key: out of order, or late where the source says so of itself", () => {
  const orders = [true, false].map((ordered) => {
    const ledger = sent(2, { ordered, lossy: false });
    for (const seq of [2, 1]) ledger.arrived(arrival(seq), `m${seq}`, seq);
    return [ledger.verdict().outOfOrder.length, ledger.verdict().lanes[0]?.late];
  });
  deepEqual(orders, [[1, 0], [0, 1]]); // biome-ignore format: two pairs
});

test("the counter goes up by exactly one for each message", () => {
  const twice = sent(2);
  twice.arrived(arrival(1, 1), "m1", 1);
  twice.arrived(arrival(2, 1), "m2", 2);
  deepEqual(kinds(twice.verdict()), { miscounted: 1 });
  const skipped = sent(2, { ordered: false, lossy: false });
  skipped.arrived(arrival(1, 3), "m1", 1);
  skipped.arrived(arrival(2, 1), "m2", 2);
  deepEqual(kinds(skipped.verdict()), { miscounted: 1 });
});

test("a truncated body is not one of ours", () => {
  const { body } = probeOf("run", "amqp", "k1", 13);
  const whole = { ...(JSON.parse(body) as object), count: 1, version: 1 };
  ok(body.length > 300_000);
  equal(readArrival(JSON.stringify(whole))?.pad, padOf("amqp", "k1", 13));
  equal(readArrival(JSON.stringify({ ...whole, pad: "x" })), undefined);
  for (const text of ["", "{", "null", "7", '"x"']) equal(readArrival(text), undefined);
});

test("two messages under one idempotency key are noticed", () => {
  const ledger = sent(2);
  ledger.arrived(arrival(1), "m1", 1);
  ledger.arrived(arrival(2), "m1", 2);
  deepEqual(kinds(ledger.verdict()), { unexpected: 1 });
});
