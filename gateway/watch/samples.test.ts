/** Rates, percentiles and the past, from counters as they stand. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { bucketsMs, Durations } from "../delivery/metrics.ts";
import { type Counts, Meter, percentiles, Samples } from "./samples.ts";

function counts(received: number, durations: readonly number[] = [], pending = 0): Counts {
  const all = new Durations();
  for (const ms of durations) all.add(ms);
  return { received, done: received, failed: 0, pending, outbox: 0, durations: all.counts };
}

test("a rate is taken over the last five samples; the first sample only says where counting starts", () => {
  const samples = new Samples(10);
  samples.add(counts(1_000_000));
  deepEqual([samples.rates.received, samples.past(0).received], [0, []]);
  for (const count of [10, 30, 30]) samples.add(counts(1_000_000 + count));
  deepEqual(samples.past(5).received, [10, 20, 0]);
  equal(samples.rates.received, 10);
  for (let more = 0; more < 5; more += 1) samples.add(counts(1_000_030));
  equal(samples.rates.received, 0);
});

test("the past has a bound, and its newest sample is the last", () => {
  const samples = new Samples(3);
  for (let at = 0; at < 10; at += 1) samples.add(counts(at * at, [], at));
  deepEqual([samples.past(7).received, samples.past(7).pending, samples.past(7).endMs], [[13, 15, 17], [7, 8, 9], 7]);
});

test("a second without a message has no percentile, and a counter that begins again is no negative rate", () => {
  const samples = new Samples(3);
  samples.add(counts(5, [1, 1, 1]));
  samples.add(counts(5, [1, 1, 1]));
  deepEqual(samples.past(0).p50, [null]);
  equal(samples.percentiles, undefined);
  samples.add(counts(2, [1, 1]));
  deepEqual(samples.past(0).received, [0, 0]);
});

test("percentiles lie within the bucket of the value they stand for, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 40_000, noNaN: true }), { minLength: 1, maxLength: 200 }), (durations) => {
      const all = new Durations();
      for (const ms of durations) all.add(ms);
      const found = percentiles(all.counts);
      ok(found !== undefined);
      ok(found.p50 <= found.p95 && found.p95 <= found.p99);
      const sorted = [...durations].sort((a, b) => a - b);
      const exact = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
      const bucket = bucketsMs.findIndex((bound) => exact <= bound);
      const [lower, upper] = bucket < 0 ? [30_000, 30_000] : [bucketsMs[bucket - 1] ?? 0, bucketsMs[bucket] ?? 0];
      ok(found.p50 >= lower && found.p50 <= upper, `${found.p50} for ${exact}`);
    }),
  );
});

test("a meter gives the increase a second, and begins again with its counter", () => {
  const meter = new Meter();
  equal(meter.perSecond, 0);
  for (const count of [0, 4, 8, 12, 16, 20, 24]) meter.add(count);
  equal(meter.perSecond, 4);
  meter.add(1);
  equal(meter.perSecond, 0);
});
