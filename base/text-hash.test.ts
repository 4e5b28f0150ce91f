/** The hash of a text in slices is that of the whole, wherever they end: in an escape, in a surrogate pair or in the bytes of a character. */
import { equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, toUtf8 } from "#base";
import { textOfValue } from "./json-pointer.ts";
import { TextHash } from "./text-hash.ts";

function check(literal: Uint8Array): void {
  const expected = createHash("sha256")
    .update(textOfValue(literal) ?? "")
    .digest("hex");
  for (let most = 1; most <= 9; most++) {
    const hash = new TextHash(literal);
    while (hash.slice(most));
    equal(hash.slice(most), false, "there is no more");
    equal(hash.digest(), expected, `${Buffer.from(literal).toString("latin1")} in slices of ${most}`);
  }
}

test("a string is the text it stands for", () => {
  const pieces = [
    "a",
    "é",
    "€",
    "😀",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "\\ud800",
    "\\udbff",
    "\\udc00",
    "\\udfff",
    "\\\\",
    '\\"',
    "\\n",
    "\\u0061",
    "\ufeff",
  ].map(toUtf8);
  const broken = [Uint8Array.of(0xff), Uint8Array.of(0xc3), Uint8Array.of(0xf0, 0x9f)];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces, ...broken), { maxLength: 20 }), (some) =>
      check(concatBytes([toUtf8('"'), ...some, toUtf8('"')])),
    ),
    { numRuns: 2000 },
  );
});

test("anything else is taken as it is written", () => {
  for (const text of ["1", "true", '["n","é",{"a":""}]']) check(toUtf8(text));
});
