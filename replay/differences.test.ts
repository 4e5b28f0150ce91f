import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { toUtf8 } from "#base";
import { bodyValue, Differences } from "./differences.ts";
import { replayLimits } from "./limits.ts";

/** JSON without -0, which JSON can't hold, and small enough to collide. */
const small = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);

function compared(recorded: unknown, replayed: unknown): Differences {
  const to = new Differences();
  to.json(recorded, replayed, "v");
  return to;
}

/** The value at a path of differences; undefined where nothing is. */
function valueAt(root: unknown, path: string): unknown {
  let value = root;
  for (const [, name, text, index] of path.slice(1).matchAll(/\.([A-Za-z_$][\w$-]*)|\[("(?:[^"\\]|\\.)*")\]|\[(\d+)\]/g)) {
    const key = name ?? (text === undefined ? (index as string) : (JSON.parse(text) as string));
    value = typeof value === "object" && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}

test("values are told apart exactly when they differ, each difference at a path where both have what it says", () => {
  fc.assert(
    fc.property(small, small, (recorded, replayed) => {
      const { count, found } = compared(recorded, replayed);
      equal(count === 0, isDeepStrictEqual(recorded, replayed));
      for (const difference of found) {
        const [before, after] = [valueAt(recorded, difference.path), valueAt(replayed, difference.path)];
        ok(!isDeepStrictEqual(before, after), difference.path);
        equal("recorded" in difference, before !== undefined);
        equal("replayed" in difference, after !== undefined);
      }
    }),
  );
});

test("a value has no difference from itself, and one changed member is one difference", () => {
  fc.assert(fc.property(small, (value) => equal(compared(value, structuredClone(value)).count, 0)));
  fc.assert(
    fc.property(fc.dictionary(fc.string(), small, { minKeys: 1 }), (members) => {
      const recorded = JSON.parse(JSON.stringify(members)) as Record<string, unknown>;
      const name = Object.keys(recorded)[0] as string;
      const { found } = compared({ ...recorded, [name]: "before" }, { ...recorded, [name]: 7 });
      deepEqual(
        found.map(({ recorded: before, replayed: after }) => [before, after]),
        [["before", 7]],
      );
    }),
  );
});

test("bodies: JSON by structure however it is written, text by its first line that differs, bytes by their hash", () => {
  const bodies = (recorded: string | Uint8Array, replayed: string | Uint8Array): Differences["found"] => {
    const to = new Differences();
    const bytes = (of: string | Uint8Array): Uint8Array => (typeof of === "string" ? toUtf8(of) : of);
    to.bodies(bytes(recorded), bytes(replayed), "body");
    return to.found;
  };
  deepEqual(bodies('{"a":1,"b":[1,2]}', '{ "b": [1, 3], "a": 1 }'), [{ path: "body.b[1]", recorded: 2, replayed: 3 }]);
  deepEqual(bodies('{"a":1}', '{ "a": 1 }'), []);
  deepEqual(bodies("a\nb\nc", "a\nx\nc"), [{ path: "body line 2", recorded: "b", replayed: "x" }]);
  deepEqual(bodies("a", "a\nb"), [{ path: "body line 2", replayed: "b" }]);
  const [bytes] = bodies(Uint8Array.of(0xff, 1), Uint8Array.of(0xff, 2, 3));
  deepEqual([(bytes?.recorded as { bytes: number }).bytes, (bytes?.replayed as { bytes: number }).bytes], [2, 3]);
});

test("bounds: long lists of differences are counted, long values cut, long bodies compared by their hash", () => {
  const many = Array.from({ length: replayLimits.differences + 50 }, (_, index) => index);
  const { found, count } = compared(
    many,
    many.map((value) => value + 1),
  );
  deepEqual([found.length, count], [replayLimits.differences, many.length]);
  const [text] = compared("x".repeat(1e5), "y").found;
  ok(String(text?.recorded).length < replayLimits.textCharacters + 40);
  const [list] = compared(["z".repeat(1e5)], 1).found;
  ok(String(list?.recorded).length < replayLimits.jsonCharacters + 40);
  equal(bodyValue(toUtf8(`"${"x".repeat(replayLimits.parsedBytes)}"`)).kind, "bytes");
});
