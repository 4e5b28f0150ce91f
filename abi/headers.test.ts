import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { appendHeader, type HeadersDraft, headerList, headerPairs, headerText, isHeaderText } from "./headers.ts";

test("pairs make headers, and headers the same pairs again, names in the order of their first", () => {
  const name = fc.constantFrom("a", "b", "set-cookie", "constructor", "toString", "length");
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string())), (pairs) => {
      const headers: HeadersDraft = {};
      for (const [each, value] of pairs) appendHeader(headers, each, value);
      const names = [...new Set(pairs.map(([each]) => each))];
      deepEqual(
        [...headerPairs(headers)],
        names.flatMap((each) => pairs.filter((pair) => pair[0] === each)),
      );
      for (const each of names) {
        const values = pairs.filter((pair) => pair[0] === each).map((pair) => pair[1]);
        deepEqual(headerList(headers[each]), values);
        equal(headerText(headers[each]), values.join(", "));
        equal(typeof headers[each] === "string", values.length === 1);
      }
    }),
  );
  deepEqual([headerList(undefined), headerText(undefined)], [[], undefined]);
});

test("a header's text has no control characters but the tab, and whole characters only", () => {
  for (const good of ["", "a\tb", "ü", "日本", "\u{1f600}", "\u0085"]) equal(isHeaderText(good), true, good);
  for (const bad of ["\r", "\n", "a\0", "\u007f", "\ud83d", "\ude00", "\ude00\ud83d", "a\ud83db"]) equal(isHeaderText(bad), false, bad);
});
