import assert from "node:assert/strict";
import { test } from "node:test";
import type { Brand } from "#base";
import fc from "fast-check";
import type { FencingToken, Sequence } from "./journal.ts";
import { type Slot, Sleepers } from "./sleepers.ts";
import { waitKey } from "./signals.ts";

/** As few as collide: dates and waits of a sleeper that falls asleep again lie next to its old ones. */
const sequences = [1, 2, 3] as Sequence[];
const dates = fc.integer({ min: 1, max: 6 });
const names = ["a", "b"];
const ids = ["m1", "m2"];
const flow = "f";
const token = 1 as Brand<number, "FencingToken"> satisfies FencingToken;

type Act =
  | { readonly kind: "put"; readonly sequence: Sequence; readonly dueMs: number; readonly waits: readonly string[]; readonly id: string }
  | { readonly kind: "postpone"; readonly sequence: Sequence; readonly dueMs: number }
  | { readonly kind: "lease" | "release" | "remove"; readonly sequence: Sequence };

const sequence = fc.constantFrom(...sequences);
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      sequence,
      dueMs: dates,
      waits: fc.subarray(names),
      id: fc.constantFrom(...ids),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("postpone" as const), sequence, dueMs: dates }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("lease" as const, "release" as const, "remove" as const), sequence }) },
);

interface Expected {
  dueMs: number;
  readonly waits: readonly string[];
  readonly id: string;
  leased: boolean;
}

function slot(number: Sequence, dueMs: number, waits: readonly string[], id: string): Slot<undefined> {
  const keys = waits.map((name) => waitKey(flow, name, "k"));
  const own = { id, imageSha256: "", headers: undefined, blobs: [], stored: undefined };
  return { ...own, sequence: number, flow, dueMs, waits: keys, failed: undefined, postponedMs: undefined, token: undefined };
}

function apply(sleepers: Sleepers<undefined>, expected: Map<Sequence, Expected>, given: Act): void {
  const known = expected.get(given.sequence);
  if (given.kind === "put") {
    sleepers.put(slot(given.sequence, given.dueMs, given.waits, given.id));
    expected.delete(given.sequence);
    expected.set(given.sequence, { dueMs: given.dueMs, waits: given.waits, id: given.id, leased: false });
  } else if (given.kind === "postpone") {
    sleepers.postpone(given.sequence, given.dueMs);
    if (known !== undefined) known.dueMs = given.dueMs;
  } else if (given.kind === "lease") {
    if (known === undefined || known.leased) return;
    sleepers.lease(given.sequence, token);
    known.leased = true;
  } else if (given.kind === "release") {
    sleepers.release(given.sequence);
    if (known !== undefined) known.leased = false;
  } else {
    sleepers.remove(given.sequence);
    expected.delete(given.sequence);
  }
}

function check(sleepers: Sleepers<undefined>, expected: ReadonlyMap<Sequence, Expected>): void {
  const asleep = [...expected].filter(([, { leased }]) => !leased).sort(([a, x], [b, y]) => x.dueMs - y.dueMs || a - b);
  assert.equal(sleepers.nextMs(flow), asleep[0]?.[1].dueMs);
  const due = asleep.filter(([, { dueMs }]) => dueMs <= 4).map(([number]) => number);
  assert.deepEqual(sleepers.due(flow, 4, 2), due.slice(0, 2));
  assert.deepEqual(sleepers.due(flow, 4, 10), due);
  for (const name of names) {
    const waiting = asleep.filter(([, { waits }]) => waits.includes(name)).map(([number]) => number);
    assert.equal(sleepers.waiterFor(flow, name, "k"), waiting.length === 0 ? undefined : Math.min(...waiting));
  }
  for (const id of ids) {
    const [first] = [...expected].find(([, known]) => known.id === id) ?? [];
    assert.deepEqual([sleepers.find(id, flow), sleepers.find(id, undefined), sleepers.find(id, "g")], [first, first, undefined]);
  }
  assert.equal(sleepers.sizeOf(flow), expected.size);
}

test("whoever sleeps is found by its date, its waits and its id, however often it has slept before", () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 40, maxLength: 120 }), fc.integer({ min: 1, max: 60 }), (acts, looksEvery) => {
      const sleepers = new Sleepers<undefined>();
      const expected = new Map<Sequence, Expected>();
      for (const [index, given] of acts.entries()) {
        apply(sleepers, expected, given);
        if (index % looksEvery === 0) check(sleepers, expected); // a look takes out what holds no more, so it must not be too frequent
      }
      check(sleepers, expected);
    }),
    { numRuns: 500 },
  );
});
