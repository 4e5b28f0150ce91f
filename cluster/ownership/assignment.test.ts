import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assign } from "./assignment.ts";

const names: fc.Arbitrary<string[]> = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f", "g"), { minLength: 1 });
const present = (most: number): fc.Arbitrary<(string | undefined)[]> =>
  fc.array(fc.option(fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "gone"), { nil: undefined }), { maxLength: most });

function counts(owners: readonly (string | undefined)[], nodes: readonly string[]): number[] {
  return nodes.map((node) => owners.filter((each) => each === node).length);
}

test("every partition has a node, and shares differ by one at most", () => {
  fc.assert(
    fc.property(names, present(100), (nodes, owners) => {
      const target = assign(nodes, owners);
      ok(target.every((each) => each !== undefined && nodes.includes(each)));
      const shares = counts(target, nodes);
      ok(Math.max(...shares) - Math.min(...shares) <= 1);
    }),
  );
});

test("no balanced assignment moves less", () => {
  fc.assert(
    fc.property(names, present(60), (nodes, owners) => {
      const target = assign(nodes, owners);
      const kept = target.filter((each, at) => each === owners[at]).length;
      const least = Math.floor(owners.length / nodes.length);
      const more = owners.length % nodes.length;
      // At best each node keeps its share, and those with the most of all keep one more.
      const now = counts(owners, nodes).sort((a, b) => b - a);
      const best = now.reduce((sum, count, at) => sum + Math.min(count, at < more ? least + 1 : least), 0);
      equal(kept, best);
    }),
  );
});

test("nodes in another order give the same, and a balanced assignment stays", () => {
  fc.assert(
    fc.property(names, present(60), (nodes, owners) => {
      const target = assign(nodes, owners);
      deepEqual(assign([...nodes].reverse(), owners), target);
      deepEqual(assign(nodes, target), target);
    }),
  );
});

test("without nodes nobody has anything; a node that drains has nothing", () => {
  deepEqual(assign([], ["a", undefined]), [undefined, undefined]);
  deepEqual(assign(["b"], ["a", "a", "b"]), ["b", "b", "b"]);
});
