import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { fromHex, prng, toHex } from "#base";

test("hexadecimal text and bytes are each other's inverse", () => {
  deepEqual(fromHex(toHex(Uint8Array.of(0, 15, 255))), Uint8Array.of(0, 15, 255));
  equal(fromHex("abc"), undefined);
  equal(fromHex("zz"), undefined);
});

test("a generator repeats itself from the same seed, and only then", () => {
  const draw = (seed: number): number[] => Array.from({ length: 8 }, prng(seed).uint32);
  deepEqual(draw(1), draw(1));
  equal(JSON.stringify(draw(1)) === JSON.stringify(draw(2)), false);
});
