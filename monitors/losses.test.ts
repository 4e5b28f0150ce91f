/** Pauses of a flow whose messages end workers; the clock is the test's. */
import { deepEqual, equal } from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { lossLimits } from "./limits.ts";
import { Losses } from "./losses.ts";

let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
  mock.method(performance, "now", () => nowMs);
});
afterEach(() => mock.restoreAll());

/** Milliseconds until the flow rests no more. */
function pause(losses: Losses): number {
  const sinceMs = nowMs;
  while (losses.rests) nowMs += 1;
  return nowMs - sinceMs;
}

test("the first loss costs no pause, each further one twice as long a pause, up to a bound", () => {
  const losses = new Losses();
  equal(losses.any, false);
  const pauses = Array.from({ length: 8 }, () => {
    losses.lost();
    return pause(losses);
  });
  const { pauseLeastMs: least, pauseMostMs: most } = lossLimits;
  deepEqual(pauses, [0, least, 2 * least, 4 * least, 8 * least, 16 * least, most, most]);
});

test("losses are forgotten slowly: one good step between two losses does not keep the pauses short", () => {
  const losses = new Losses();
  const pauses = Array.from({ length: 5 }, () => {
    losses.lost();
    const pauseMs = pause(losses);
    losses.recovered();
    return pauseMs;
  });
  equal((pauses.at(-1) ?? 0) > 4 * lossLimits.pauseLeastMs, true, pauses.join(" "));
  let steps = 0;
  for (; losses.any; steps++) losses.recovered();
  equal(steps > 10 && steps < 30, true, String(steps));
});
