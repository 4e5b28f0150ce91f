/** The book of sleepers finds what was planted, and nothing in a good run. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { SleepBook } from "./sleep-book.ts";

const asked = (more: object = {}): string =>
  JSON.stringify({ lane: "asked", key: "k1", seq: 1, token: "t", dueMs: 1000, version: 2, ...more });
const ended = (more: object = {}): string =>
  JSON.stringify({ lane: "sleep", key: "k1", seq: 1, token: "t", dueMs: 1000, version: 2, by: null, atMs: 1000, ...more });

function bookOf(...texts: string[]): SleepBook {
  const book = new SleepBook();
  book.beginning("k1-1", 0);
  for (const text of texts) book.saw(text, 5000);
  return book;
}

test("a good run has no faults, and says what is still kept", () => {
  const book = bookOf(asked(), ended(), ended());
  book.sending("k1-1", "k1-1/late", 1200);
  book.acknowledged("k1-1", "k1-1/late", 1210);
  book.saw(asked({ seq: 2 }), 500);
  book.sending("k1-2", "k1-2/one", 500);
  book.acknowledged("k1-2", "k1-2/one", 510);
  book.acknowledged("k1-2", "k1-2/one", 2000); // a duplicate, later
  book.saw(ended({ seq: 2, by: "k1-2/one", atMs: 520 }), 600);
  deepEqual(book.faults, []);
  equal(book.expectsKept, 1);
});

test("each planted fault is found", () => {
  const lost = bookOf(asked(), ended());
  lost.sending("k1-1", "k1-1/a", 100);
  lost.acknowledged("k1-1", "k1-1/a", 900);
  const late = bookOf(asked(), ended({ by: "k1-1/a", atMs: 1500 }));
  late.sending("k1-1", "k1-1/a", 1400);
  const faults: [SleepBook, RegExp][] = [
    [lost, /acknowledged 100 ms before the end, and not given/],
    [late, /sent 400 ms after the end, and won/],
    [bookOf(asked(), ended({ atMs: 990 })), /over 10 ms too early/],
    [bookOf(asked(), ended({ by: "x" })), /woken by x, which nobody sent/],
    [bookOf(asked(), ended({ token: "u" })), /memory of another run/],
    [bookOf(asked(), ended({ version: 3 })), /woken in version 3, not 2/],
    [bookOf(asked(), asked({ token: "u" }), ended()), /committed twice/],
    [bookOf(asked(), ended(), ended({ by: "x" })), /ended twice/],
  ];
  for (const [book, expected] of faults) match(book.faults.join("\n"), expected);
});

test("a clock that is off is reckoned with; dates of a life in which it was set are not compared, but for its own", () => {
  const lost = (setMs: number): SleepBook => {
    const book = new SleepBook();
    book.stepped(setMs, 700);
    book.beginning("k1-1", 5000);
    book.saw(asked({ dueMs: 10_000 }), 5100);
    book.sending("k1-1", "k1-1/a", 5100);
    book.acknowledged("k1-1", "k1-1/a", 9200);
    book.saw(ended({ dueMs: 10_000, atMs: 10_000 }), 9500);
    return book;
  };
  match(lost(100).faults.join("\n"), /acknowledged 100 ms before the end/);
  deepEqual([lost(6000).faults, lost(4500).faults], [[], []]);
  const woken = (seenMs: number): SleepBook => {
    const book = new SleepBook();
    book.stepped(100, 700);
    book.beginning("k1-1", 5000);
    book.saw(asked({ dueMs: 10_000 }), 5100);
    book.saw(ended({ dueMs: 10_000, atMs: 10_000 }), seenMs);
    return book;
  };
  match(woken(9_200).faults.join("\n"), /its end was seen 100 ms before its time was over/);
  deepEqual(woken(9_290).faults, []);
  const early = new SleepBook();
  early.stepped(6000, -700);
  early.beginning("k1-1", 5000);
  early.saw(asked({ dueMs: 10_000 }), 5100);
  early.saw(ended({ dueMs: 10_000, atMs: 9_990 }), 9500);
  match(early.faults.join("\n"), /over 10 ms too early/);
});
