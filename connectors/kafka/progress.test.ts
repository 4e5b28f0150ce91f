import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PartitionProgress } from "./progress.ts";

test("the position moves past a record when all before it have ended too", () => {
  const progress = new PartitionProgress();
  for (const offset of [3n, 4n, 9n]) equal(progress.take(offset), true);
  equal(progress.end(4n), undefined);
  equal(progress.end(3n), 5n);
  equal(progress.take(9n), false);
  equal(progress.end(9n), 10n);
  equal(progress.end(9n), undefined);
});

test("in any order of ends, no open record is behind the position, and in the end all are", () => {
  const offsets = fc.uniqueArray(fc.bigInt({ min: 0n, max: 1_000n }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(offsets, fc.infiniteStream(fc.nat()), (taken, choices) => {
      const progress = new PartitionProgress();
      const sorted = [...taken].sort((a, b) => (a < b ? -1 : 1));
      for (const offset of sorted) progress.take(offset);
      const open = [...sorted];
      let position = 0n;
      while (open.length > 0) {
        const [ended] = open.splice(choices.next().value % open.length, 1) as [bigint];
        position = progress.end(ended) ?? position;
        deepEqual(
          open.filter((offset) => offset < position),
          [],
        );
      }
      equal(position, (sorted.at(-1) as bigint) + 1n);
    }),
  );
});
