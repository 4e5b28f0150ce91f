import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HashChains } from "./hash-chains.ts";
import { SeededHash } from "./seeded-hash.ts";

/** Few hashes, some of which share a chain in a small table only. */
const hash = fc.constantFrom(0, 1, 16, 17, 1 << 20, -1, -17);
const act = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("add" as const), hash }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("find" as const), hash }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("take" as const), hash, odd: fc.boolean() }) },
);

test("chains have what was added and not taken, as a plain list has", () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 1, maxLength: 300 }), (acts) => {
      const chains = new HashChains();
      let expected: { readonly hash: number; readonly value: number }[] = [];
      for (const [value, given] of acts.entries()) {
        const known = expected.filter((each) => each.hash === given.hash).map((each) => each.value);
        if (given.kind === "add") {
          chains.add(given.hash, value);
          expected.push({ hash: given.hash, value });
        } else if (given.kind === "find") {
          for (const each of known)
            assert.equal(
              chains.find(given.hash, (found) => found === each),
              each,
            );
          assert.equal(
            chains.find(given.hash, (found) => !known.includes(found)),
            undefined,
          );
        } else {
          const fits = (found: number): boolean => (found % 2 === 1) === given.odd;
          const taken = chains.take(given.hash, fits).sort((a, b) => a - b);
          assert.deepEqual(taken, known.filter(fits));
          expected = expected.filter((each) => each.hash !== given.hash || !fits(each.value));
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("a seeded hash depends on every byte, the salt and the key, and not on where the bytes stand", () => {
  const hashes = new SeededHash();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(8), fc.integer(), (bytes, before, salt) => {
      const elsewhere = Uint8Array.of(...Array.from({ length: before }, () => 7), ...bytes, 9, 9);
      const of = (text: Uint8Array): number => hashes.of(text, 0, text.length, salt);
      assert.equal(hashes.of(elsewhere, before, before + bytes.length, salt), of(bytes));
      assert.ok(Number.isInteger(of(bytes)) && (of(bytes) | 0) === of(bytes));
    }),
  );
  // Of a million pairs of different texts few may have one hash; a text that lost a byte on the way would have many.
  const texts = Array.from({ length: 1_000 }, (_, index) => [`k${index}`, `${index}k`, "\0".repeat(index)]).flat();
  const distinct = new Set(texts.map((text) => hashes.ofText(text, 0)));
  assert.ok(distinct.size >= new Set(texts).size - 3, `${distinct.size} hashes`);
  assert.ok([1, 2, 3, 4].some((salt) => hashes.ofText("a", salt) !== hashes.ofText("a", 0)));
  assert.ok([1, 2, 3, 4].some(() => new SeededHash().ofText("a", 0) !== hashes.ofText("a", 0)));
});
