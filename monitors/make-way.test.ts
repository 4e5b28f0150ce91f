import { equal } from "node:assert/strict";
import { test } from "node:test";
import { stepToStop } from "./make-way.ts";

test("the shortest long step of the flow that has most places makes way", () => {
  const [old, young, rare] = [
    { places: 3, ranMs: 90 },
    { places: 3, ranMs: 20 },
    { places: 1, ranMs: 1 },
  ];
  equal(stepToStop([old, young, rare], 0), young);
  equal(stepToStop([rare], 0), rare);
  equal(stepToStop([old, rare], 1), old);
  equal(stepToStop([old], 2), undefined);
  equal(stepToStop([rare], 1), undefined);
  equal(stepToStop([], 0), undefined);
});
