/** Names of an XML document that share the engine's hash: each costs a comparison with all others, so only so many are read. */
import { deepEqual, equal } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { nativeInNode } from "../node-natives.ts";
import * as faults from "./xml-faults.ts";

const letters = [..."abcdefghijklmnopqrstuvwxyz"].map((letter) => letter.charCodeAt(0));
/** QuickJS hashes a string with this factor, and keeps 28 bits. */
const [factor, mask] = [263n, (1n << 28n) - 1n];

/** All words of four letters. */
function* words(): Generator<readonly [string, bigint]> {
  for (let number = 0; number < 26 ** 4; number += 1) {
    const codes = [0, 1, 2, 3].map((place) => letters[Math.floor(number / 26 ** place) % 26] ?? 0);
    yield [String.fromCharCode(...codes), codes.reduce((hash, code) => (hash * factor + BigInt(code)) & mask, 0n)];
  }
}

/** Words of eight letters with one hash, whatever it begins with. */
function alike(count: number): string[] {
  const ends = new Map<bigint, string>();
  for (const [word, hash] of words()) ends.set(hash, word);
  const found: string[] = [];
  for (const [word, hash] of words()) {
    const end = ends.get((12_345n - hash * factor ** 4n) & mask);
    if (end !== undefined) found.push(word + end);
    if (found.length === count) break;
  }
  equal(found.length, count);
  return found;
}

const others = (count: number): string[] => Array.from({ length: count }, (_, at) => `other${((at * 2_654_435_761) >>> 0).toString(36)}`);
/** Of characters with 16 bits: a step of the first undoes 263 of the second. */
const wide = (count: number): string[] =>
  Array.from({ length: count }, (_, at) =>
    [Math.floor(at / 50), at % 50].map((step) => String.fromCharCode(0x5000 - step, 0x5000 + 263 * step)).join(""),
  );

describe("names that are alike to the engine", { timeout: 120_000 }, () => {
  let chosen: string[];
  before(() => {
    chosen = alike(60);
  });
  const ofXml = (names: readonly string[]): unknown => nativeInNode("xml", `<r>${names.map((name) => `<${name}/>`).join("")}</r>`, 0, "");

  test("too many of them are refused, as elements and as attributes; a few, and many others, are read", () => {
    for (const names of [chosen, wide(60)]) {
      const [kind, at] = ofXml([...others(1_024), ...names]) as number[];
      deepEqual([kind, Number(at) > 10_000], [faults.namesAlike, true]);
      const attributes = [...others(1_024), ...names].map((name) => ` ${name}="1"`).join("");
      equal((nativeInNode("xml", `<r${attributes}/>`, 0, "") as number[])[0], faults.namesAlike);
    }
    equal(Object.keys((ofXml([...others(1_024), ...chosen.slice(0, 30)]) as { r: object }).r).length, 1_054);
    equal(Object.keys((ofXml(chosen) as { r: object }).r).length, 60);
    equal(Object.keys((ofXml(others(40_000)) as { r: object }).r).length, 40_000);
    for (let time = 0; time < 100; time += 1) equal(Object.keys((ofXml(others(1_100)) as { r: object }).r).length, 1_100);
  });
});
