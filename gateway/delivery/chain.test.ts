import { test } from "node:test";
import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { Chain, type Linked } from "./chain.ts";

interface Item extends Linked<Item> {
  readonly number: number;
}

const item = (number: number): Item => ({ number, older: undefined, newer: undefined });

test("a chain has what a set would have, in its order, and what was removed refers to nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(19)), (numbers) => {
      const items = Array.from({ length: 20 }, (_, number) => item(number));
      const [chain, set] = [new Chain<Item>(), new Set<Item>()];
      for (const number of numbers) {
        const each = items[number] as Item;
        if (set.delete(each)) {
          chain.remove(each);
          equal(each.older ?? each.newer, undefined);
        } else {
          set.add(each);
          chain.add(each);
        }
        equal(chain.size, set.size);
        deepEqual(
          chain.all().map((one) => one.number),
          [...set].map((one) => one.number),
        );
      }
    }),
  );
});

test("an item is added once, and only one of the chain is removed", () => {
  const chain = new Chain<Item>();
  const [first, second] = [item(1), item(2)];
  chain.add(first);
  throws(() => chain.add(first), /once/);
  throws(() => chain.remove(second), /of the chain/);
  chain.add(second);
  throws(() => chain.add(second), /once/);
});
