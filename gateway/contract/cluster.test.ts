import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { partitionOf } from "./cluster.ts";

test("the partition of a key is fixed for ever", () => {
  const golden: readonly (readonly [string, string, number, number])[] = [
    ["orders", "", 64, 48],
    ["orders", "k-1", 64, 55],
    ["orders", "k-2", 64, 23],
    ["orders", "Käse 🧀", 64, 46],
    ["order", "sk-1", 64, 33],
    ["orders", "k-1", 7, 2],
    ["orders", "k-1", 1, 0],
  ];
  deepEqual(
    golden.map(([flow, key, partitions]) => partitionOf(flow, key, partitions)),
    golden.map(([, , , partition]) => partition),
  );
});

test("keys are spread evenly over partitions", () => {
  const counts = Array.from({ length: 64 }, () => 0);
  for (let key = 0; key < 64_000; key++) {
    const partition = partitionOf("orders", `customer-${key}`, 64);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  ok(Math.min(...counts) > 850 && Math.max(...counts) < 1150, counts.join(" "));
});
