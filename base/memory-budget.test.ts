import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MemoryAccount, memoryBudget } from "./memory-budget.ts";

const wait = { timeoutMs: 5_000 };

test("an account gives out its share, and no more than what is left of all", () => {
  const all = memoryBudget(100);
  const intake = all.part("intake", 0.5);
  const requests = intake.part("requests", 0.5);
  const answers = all.part("answers");
  ok(requests.tryTake(25));
  ok(!requests.tryTake(1), "its own share");
  ok(intake.tryTake(25));
  ok(!intake.tryTake(1), "the share above");
  ok(answers.tryTake(50));
  ok(!answers.tryTake(1), "all");
  requests.give(25);
  deepEqual([requests.takenBytes, intake.takenBytes, all.takenBytes, answers.roomBytes], [0, 25, 75, 25]);
  deepEqual([requests.largestBytes, answers.largestBytes], [25, 100]);
});

test("who waits gets its turn in order, and a large one is not overtaken by small ones of its account", async () => {
  const all = memoryBudget(100);
  const answers = all.part("answers");
  const others = all.part("others");
  answers.force(100);
  const order: string[] = [];
  const large = answers.take(80, wait).then((taken) => order.push(`large ${taken}`));
  const small = answers.take(5, wait).then((taken) => order.push(`small ${taken}`));
  const other = others.take(5, wait).then((taken) => order.push(`other ${taken}`));
  answers.give(10);
  await other;
  deepEqual(order, ["other true"], "another account is not held up");
  answers.give(85);
  await large;
  await small;
  deepEqual(order, ["other true", "large true", "small true"]);
  equal(all.takenBytes, 95);
});

test("waiting ends with its time or its signal, and takes nothing then", async () => {
  const all = memoryBudget(10);
  all.force(10);
  equal(await all.take(1, { timeoutMs: 1 }), false);
  const controller = new AbortController();
  const waiting = all.take(1, { timeoutMs: 5_000, signal: controller.signal });
  controller.abort();
  equal(await waiting, false);
  equal(await all.take(11, wait), false, "what can never be granted is not waited for");
  all.give(10);
  await Promise.resolve();
  equal(all.takenBytes, 0);
});

test("bytes given back can be taken for another use before anybody who waits", async () => {
  const all = memoryBudget(10);
  const [requests, messages] = [all.part("requests"), all.part("messages")];
  requests.force(10);
  const waiting = requests.take(10, wait);
  requests.give(10);
  ok(messages.tryTake(10));
  messages.give(10);
  equal(await waiting, true);
});

test("what is beyond the budget keeps everybody else out until it is given back", () => {
  const all = memoryBudget(10);
  const sends = all.part("sends");
  sends.force(30);
  equal(all.roomBytes, -20);
  ok(!all.tryTake(1));
  sends.give(25);
  ok(all.tryTake(5));
  deepEqual(all.refusals.count, 1);
});

test("a reserve has room however full the rest is, and no more than its share", () => {
  const all = memoryBudget(100);
  const [intake, rest] = [all.reserve("intake", 0.4), all.reserve("rest", 0.6)];
  rest.force(90);
  ok(intake.part("requests").tryTake(40));
  ok(!intake.tryTake(1));
  ok(!rest.tryTake(1));
  deepEqual([all.takenBytes, intake.largestBytes], [130, 40]);
});

test("holders that stalled are evicted, the one without progress for longest first; those who go on are not", () => {
  let nowMs = 0;
  const all = memoryBudget(100, { now: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined });
  const uploads = all.part("uploads");
  const evicted: string[] = [];
  const hold = (name: string, bytes: number): (() => void) => {
    uploads.force(bytes);
    const holder = {
      evict: (): void => {
        evicted.push(name);
        uploads.give(bytes);
      },
    };
    uploads.progressed(holder);
    return () => uploads.progressed(holder);
  };
  hold("first", 40);
  const second = hold("second", 30);
  hold("third", 30);
  ok(!uploads.tryTake(10), "nobody has stalled yet");
  nowMs = 5_000;
  second();
  ok(uploads.tryTake(50));
  deepEqual(evicted, ["first", "third"]);
  ok(!uploads.tryTake(50), "the second one goes on");
  ok(!uploads.tryTake(101));
  deepEqual(evicted, ["first", "third"], "nobody is evicted for what can't be granted");
});

test("a holder has stalled after a second without progress, also one of a part", () => {
  let nowMs = 0;
  const all = memoryBudget(10, { now: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined });
  const part = all.part("answers").part("uploads");
  part.force(10);
  part.progressed({ evict: () => part.give(10) });
  nowMs = 999;
  ok(!all.tryTake(1));
  nowMs = 1_000;
  ok(all.tryTake(1));
  deepEqual(
    all.parts.map(({ use, parts }) => [use, parts.map((each) => each.use)]),
    [["answers", ["uploads"]]],
  );
});

test("who comes with an aborted signal does not wait, nor does one too many", async () => {
  const all = memoryBudget(10, { now: Date.now, monotonicMs: () => 0, after: () => () => undefined });
  all.force(10);
  const aborted = AbortSignal.abort();
  equal(await all.take(1, { timeoutMs: 5_000, signal: aborted }), false);
  const waiting = Array.from({ length: 16_384 }, () => all.take(0.0001, wait));
  equal(await all.take(0.0001, wait), false, "the line is full");
  all.give(10);
  ok((await Promise.all(waiting)).every(Boolean));
});

test("bytes that count as many are told when they are given back, and when they are refused", () => {
  const told: number[] = [];
  const all = memoryBudget(262_144, undefined, (bytes) => told.push(bytes));
  all.force(262_144);
  ok(!all.tryTake(262_143));
  ok(!all.tryTake(262_144));
  all.give(262_143);
  all.give(1);
  all.force(262_144);
  all.give(262_144);
  deepEqual(told, [262_144, 262_144]);
});

test("whatever is taken and given, the books balance and no account goes beyond its share", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(60), fc.boolean()), { maxLength: 200 }), (steps) => {
      const all = memoryBudget(200);
      const intake = all.part("intake", 0.5);
      const accounts: readonly MemoryAccount[] = [all, intake, intake.part("a", 0.5), all.part("b")];
      const taken: [MemoryAccount, number][] = [];
      for (const [index, bytes, take] of steps) {
        const account = accounts[index] as MemoryAccount;
        if (take && account.tryTake(bytes)) taken.push([account, bytes]);
        else if (!take) {
          const [last, most] = taken.pop() ?? [account, 0];
          last.give(most);
        }
        for (const each of accounts) ok(each.takenBytes >= 0 && each.takenBytes <= each.mostBytes);
        equal(
          all.takenBytes,
          taken.reduce((sum, [, most]) => sum + most, 0),
        );
      }
    }),
  );
});

test("many bytes given back are told, but for those of other threads", () => {
  const told: number[] = [];
  const all = memoryBudget(10_000_000, undefined, (bytes) => told.push(bytes));
  const [here, elsewhere] = [all.reserve("answers", 0.5), all.reserveElsewhere("waiting", 0.5)];
  for (const account of [here, elsewhere])
    for (const bytes of [1_000_000, 100]) {
      account.force(bytes);
      account.give(bytes);
    }
  deepEqual(told, [1_000_000]);
});
