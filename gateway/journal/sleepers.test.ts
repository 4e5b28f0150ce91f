import assert from "node:assert/strict";
import { test } from "node:test";
import type { Brand } from "#base";
import fc from "fast-check";
import type { FencingToken, Sequence } from "./journal.ts";
import { AsleepPack } from "./format/asleep-pack.ts";
import { writeAsleep } from "./format/asleep-record.ts";
import { ByteWriter } from "./format/bytes.ts";
import type { RecordPlace } from "./format/fields.ts";
import { decodeRecord } from "./format/records.ts";
import { PackedSlots } from "./packed-slots.ts";
import { Sleepers } from "./sleepers.ts";
import type { Slot } from "./slot.ts";
import { waitKey } from "./signals.ts";

/** As few as collide: dates and waits of a sleeper that falls asleep again lie next to its old ones. */
const sequences = [1, 2, 3] as Sequence[];
const dates = fc.integer({ min: 1, max: 6 });
const names = ["a", "b"];
const ids = ["m1", "m2"];
const flow = "f";
const token = 1 as Brand<number, "FencingToken"> satisfies FencingToken;

type Act =
  | {
      readonly kind: "put";
      readonly sequence: Sequence;
      readonly dueMs: number;
      readonly waits: readonly string[];
      readonly id: string;
      readonly packed: boolean;
    }
  | { readonly kind: "postpone"; readonly sequence: Sequence; readonly dueMs: number }
  | { readonly kind: "lease" | "release" | "remove" | "move"; readonly sequence: Sequence }
  | { readonly kind: "restart"; readonly together: number };

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
      packed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("postpone" as const), sequence, dueMs: dates }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("lease" as const, "release" as const, "remove" as const), sequence }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("move" as const), sequence }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), together: fc.integer({ min: 1, max: 3 }) }) },
);

interface Expected {
  readonly sleepsUntilMs: number;
  /** The same, or the date to which it was postponed. */
  dueMs: number;
  offset: number;
  readonly waits: readonly string[];
  readonly id: string;
  leased: boolean;
}

function slot(number: Sequence, dueMs: number, waits: readonly string[], id: string): Slot<RecordPlace> {
  const keys = waits.map((name) => waitKey(flow, name, "k"));
  const own = {
    id,
    imageSha256: "",
    headers: undefined,
    blobs: waits.length === 2 ? [`blob-${dueMs}`] : [],
    stored: { file: "f", offset: 0, length: 9 },
  };
  return { ...own, sequence: number, flow, dueMs, waits: keys, failed: undefined, postponedMs: undefined, token: undefined };
}

/** All that is there, as a checkpoint has it: packed, and nobody is leased. */
function restarted(before: Sleepers<RecordPlace>, after: Sleepers<RecordPlace>, together: number): Sleepers<RecordPlace> {
  let left = [...before.slots()].map((each) => ({ slot: each, place: each.stored, failed: each.failed, burying: undefined }));
  while (left.length > 0) {
    const writer = new ByteWriter(16);
    left = left.slice(writeAsleep(writer, left.slice(0, together), Number.POSITIVE_INFINITY));
    const record = decodeRecord(writer.buffer.subarray(0, writer.length));
    assert.ok(record?.kind === "asleep");
    after.putPack(record.slots.kept());
    writer.buffer.fill(0xff); // it is used again
  }
  return after;
}

/** In the order in which a checkpoint has them. */
function restart(sleepers: Sleepers<RecordPlace>, expected: Map<Sequence, Expected>): void {
  for (const { sequence: number } of sleepers.slots()) {
    const known = expected.get(number);
    assert.ok(known !== undefined);
    expected.delete(number);
    expected.set(number, { ...known, dueMs: known.sleepsUntilMs, leased: false });
  }
}

function apply(
  sleepers: Sleepers<RecordPlace>,
  expected: Map<Sequence, Expected>,
  given: Exclude<Act, { kind: "restart" }>,
  pack: AsleepPack,
): void {
  const known = expected.get(given.sequence);
  if (given.kind === "put") {
    const own = slot(given.sequence, given.dueMs, given.waits, given.id);
    if (given.packed) {
      pack.add(own);
      sleepers.putPack(pack, pack.length - 1);
    } else sleepers.put(own);
    expected.delete(given.sequence);
    const { dueMs, waits, id } = given;
    expected.set(given.sequence, { sleepsUntilMs: dueMs, dueMs, offset: 0, waits, id, leased: false });
  } else if (given.kind === "postpone") {
    sleepers.postpone(given.sequence, given.dueMs);
    if (known !== undefined) known.dueMs = given.dueMs;
  } else if (given.kind === "lease") {
    if (known === undefined || known.leased) return;
    sleepers.lease(given.sequence, token);
    known.leased = true;
  } else if (given.kind === "move") {
    const moved = sleepers.move(given.sequence, (from) => ({ ...from, file: `${from.file}'`, offset: from.offset + 1 }));
    assert.equal(moved, known !== undefined);
    if (known !== undefined) known.offset += 1;
  } else if (given.kind === "release") {
    sleepers.release(given.sequence);
    if (known !== undefined) known.leased = false;
  } else {
    sleepers.remove(given.sequence);
    expected.delete(given.sequence);
  }
}

function check(sleepers: Sleepers<RecordPlace>, expected: ReadonlyMap<Sequence, Expected>): void {
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
  for (const [number, { offset, waits }] of expected) {
    const found = sleepers.look(number);
    assert.deepEqual([found?.stored.offset, found?.stored.file.length, found?.waits.length], [offset, offset + 1, waits.length]);
    for (const name of names)
      assert.equal(
        sleepers.isAwaited(flow, name, "k"),
        [...expected.values()].some((each) => each.waits.includes(name)),
      );
  }
  assert.deepEqual(
    [...sleepers.marked()].map((each) => [each.sequence, ...each.blobs]).sort(),
    [...expected]
      .filter(([, { waits }]) => waits.length === 2)
      .map(([number, { dueMs: _, sleepsUntilMs }]) => [number, `blob-${sleepsUntilMs}`])
      .sort(),
  );
  const inOrder = [...expected.keys()].sort((a, b) => a - b);
  assert.deepEqual(
    sleepers.list(flow, undefined, 2).map((each) => each.sequence),
    inOrder.slice(0, 2),
  );
  assert.deepEqual(
    [...sleepers.slots()].map((each) => each.sequence).sort((a, b) => a - b),
    inOrder,
  );
  assert.deepEqual([sleepers.size, sleepers.sizeOf(flow), sleepers.byImage().get("") ?? 0], [expected.size, expected.size, expected.size]);
}

test("whoever sleeps is found by its date, its waits and its id, however often it has slept before, also after restarts", () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 40, maxLength: 120 }), fc.integer({ min: 1, max: 60 }), (acts, looksEvery) => {
      // With one hash for all texts too: nothing may be found by its hash alone.
      const fresh = (): Sleepers<RecordPlace> =>
        new Sleepers(looksEvery % 2 === 0 ? undefined : new PackedSlots({ of: () => 5, ofText: () => 5 }));
      let sleepers = fresh();
      const pack = AsleepPack.begin();
      const expected = new Map<Sequence, Expected>();
      for (const [index, given] of acts.entries()) {
        if (given.kind === "restart") {
          const before = sleepers;
          sleepers = restarted(before, fresh(), given.together);
          restart(sleepers, expected);
        } else apply(sleepers, expected, given, pack);
        if (index % looksEvery === 0) check(sleepers, expected); // a look takes out what holds no more, so it must not be too frequent
      }
      check(sleepers, expected);
    }),
    { numRuns: 500 },
  );
});
