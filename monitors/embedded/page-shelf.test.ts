/** Buffers of the shelf: as long as asked for, never two callers' at once, and no more free ones than it may keep. */
import { ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PageShelf } from "./page-shelf.ts";

const mostBytes = 1_048_576;
const step = fc.oneof(fc.record({ take: fc.integer({ min: 1, max: 400_000 }) }), fc.record({ give: fc.nat() }));

test("whatever is taken and given back", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const shelf = new PageShelf(mostBytes);
      const held: Uint8Array[] = [];
      for (const each of steps) {
        if ("take" in each) {
          const taken = shelf.take(each.take);
          ok(taken.length === each.take && held.every(({ buffer }) => buffer !== taken.buffer));
          held.push(taken);
        } else {
          const [given] = held.splice(each.give % Math.max(held.length, 1), 1);
          if (given !== undefined) shelf.give(given);
        }
        ok(shelf.freeBytes >= 0 && shelf.freeBytes <= mostBytes);
      }
    }),
  );
});

test("a buffer is used again, also for a length that differs a little", () => {
  const shelf = new PageShelf(mostBytes);
  const first = shelf.take(300_000);
  shelf.give(first);
  ok(shelf.take(310_000).buffer === first.buffer && shelf.freeBytes === 0);
});

test("lengths that nobody asks for any more do not fill it for ever", () => {
  const shelf = new PageShelf(mostBytes);
  const old = [shelf.take(400_000), shelf.take(400_000)];
  for (const each of old) shelf.give(each);
  const now = shelf.take(250_000);
  shelf.give(now);
  ok(shelf.take(250_000).buffer === now.buffer);
});
