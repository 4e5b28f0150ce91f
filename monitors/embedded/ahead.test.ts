import { test } from "node:test";
import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { Ahead } from "./ahead.ts";

test("sums of durations by line are those of a map, and a line whose steps have left is forgotten", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 9 }))), (steps) => {
      const lines = Array.from({ length: 5 }, () => ({}));
      const [ahead, open] = [new Ahead<object>(), new Map<object, number[]>()];
      for (const [index, tenths] of steps) {
        const line = lines[index] as object;
        const under = open.get(line) ?? [];
        const left = tenths % 2 === 0 ? under.shift() : undefined;
        if (left === undefined) under.push(tenths);
        open.set(line, under);
        ahead.add(line, (left === undefined ? tenths : -left) / 10);
        for (const each of lines) {
          const sum = (open.get(each) ?? []).reduce((all, one) => all + one / 10, 0);
          ok(Math.abs(ahead.of(each) - sum) < 1e-5);
        }
        equal(
          ahead.isEmpty,
          [...open.values()].every(({ length }) => length === 0),
        );
      }
    }),
  );
});
