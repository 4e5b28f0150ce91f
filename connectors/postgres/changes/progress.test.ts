/** The position against a model that knows everything, over sessions that end at any moment. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { changeLimits } from "../limits.ts";
import { Progress, type Transaction } from "./progress.ts";

interface Running {
  readonly at: number;
  readonly transaction: Transaction;
  readonly message: number;
}

test("the position never passes what has not ended, what has ended does not come again, and all comes", () => {
  const counts = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 12 });
  const steps = fc.array(fc.tuple(fc.constantFrom("send", "send", "end", "end", "end", "lose", "keep", "idle"), fc.nat()), {
    maxLength: 120,
  });
  fc.assert(
    fc.property(counts, steps, (sizes, choices) => {
      const progress = new Progress();
      const endOf = (at: number): bigint => BigInt(at + 1) * 10n;
      const ended = new Set<string>();
      let kept = 0n; // by the server
      let next = 0; // transaction that it sends
      let running: Running[] = [];
      const check = (): void => {
        for (const [at, size] of sizes.entries())
          for (let message = 0; message < size; message += 1)
            if (progress.position >= endOf(at))
              ok(ended.has(`${at}.${message}`), `position ${progress.position}, ${at}.${message} has not ended`);
      };
      const send = (): void => {
        const size = sizes[next];
        if (size === undefined) return;
        const transaction = progress.open(`transaction ${next}`);
        for (let message = 0; message < size; message += 1) {
          transaction.count += 1;
          equal(transaction.has(message), ended.has(`${next}.${message}`));
          if (!transaction.has(message)) running.push({ at: next, transaction, message });
        }
        progress.close(transaction, endOf(next));
        next += 1;
      };
      const end = (choice: number): void => {
        const [one] = running.splice(choice % Math.max(1, running.length), 1);
        if (one === undefined) return;
        ended.add(`${one.at}.${one.message}`);
        progress.ended(one.transaction, one.message);
      };
      const step = (what: string, choice: number): void => {
        if (what === "send") send();
        else if (what === "end") end(choice);
        else if (what === "idle") progress.idle(next === 0 ? 5n : endOf(next - 1) + BigInt(choice % 10));
        else if (what === "keep") progress.kept((kept = progress.position));
        else {
          running = [];
          next = sizes.findIndex((_, at) => endOf(at) > kept);
          if (next < 0) next = sizes.length;
          progress.begin(kept);
        }
      };
      progress.begin(0n);
      for (const [what, choice] of choices) {
        step(what, choice);
        check();
      }
      while (next < sizes.length) send();
      while (running.length > 0) end(0);
      ok(progress.position >= endOf(sizes.length - 1), "all has ended");
    }),
    { numRuns: 3_000 },
  );
});

test("a place within a transaction is taken up by the next life, if the server sends it", () => {
  const first = new Progress();
  first.begin(0n);
  const open = first.open("long");
  for (let message = 0; message < 5; message += 1) open.count += 1;
  equal(first.place, undefined);
  for (const message of [0, 1, 3]) first.ended(open, message);
  deepEqual(first.place, { transaction: "long", low: 2 });
  const next = new Progress();
  next.restore({ transaction: "long", low: 2 });
  next.begin(0n);
  equal(next.open("other").has(1), false);
  const again = next.open("long");
  deepEqual([0, 1, 2, 3].map((message) => again.has(message)), [true, true, false, false]); // biome-ignore format: one check
});

test("behind a message that does not end only so much is taken", () => {
  const progress = new Progress();
  progress.begin(0n);
  for (let at = 0; at <= changeLimits.endedTransactions; at += 1) {
    equal(progress.isFull, false);
    const transaction = progress.open(`${at}`);
    transaction.count = 1;
    progress.close(transaction, BigInt(at + 1));
    if (at > 0) progress.ended(transaction, 0);
  }
  equal(progress.isFull, true);
  equal(progress.position, 0n);
});
