import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CellMap } from "./cell-map.ts";

const change = fc.tuple(fc.constantFrom("set" as const, "delete" as const), fc.nat(9), fc.nat());

test("it is a map, in order and size, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [cells, map] = [new CellMap<number, number>(), new Map<number, number>()];
      for (const [what, key, value] of changes) {
        if (what === "set") {
          cells.set(key, value);
          map.set(key, value);
        } else equal(cells.delete(key), map.delete(key));
        equal(cells.size, map.size);
        equal(cells.has(key), map.has(key));
        equal(cells.get(key), map.get(key));
        deepEqual([...cells], [...map]);
        deepEqual([...cells.values()], [...map.values()]);
        deepEqual([...cells.keys()], [...map.keys()]);
      }
    }),
  );
});

test("entries may be deleted while it is gone through", () => {
  const cells = new CellMap<number, string>();
  for (const key of [1, 2, 3, 4]) cells.set(key, `value ${key}`);
  const seen: (readonly [number, string])[] = [];
  for (const [key, value] of cells) {
    seen.push([key, value]);
    cells.delete(key);
    cells.delete(key + 1);
  }
  deepEqual(seen, [
    [1, "value 1"],
    [3, "value 3"],
  ]);
  equal(cells.size, 0);
});
