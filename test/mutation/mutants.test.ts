import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { mutantsOf } from "./mutants.ts";

const changed = (source: string): string[] =>
  mutantsOf(source).map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));

test("a file's mutants: one slip each", () => {
  deepEqual(changed("if (a <= b) c();"), ["if (a < b) c();", "if (a <= b) ;"]);
  deepEqual(changed("x = !a && 1;"), ["x = !a || 1;", "x = a && 1;", "x = !a && 2;"]);
  deepEqual(changed("async () => { await f(1 - n); }"), [
    "async () => { ; }",
    "async () => { f(1 - n); }",
    "async () => { await f(1 + n); }",
    "async () => { await f(2 - n); }",
  ]);
  deepEqual(changed("y = a ? true : b;"), ["y = a ? b : true;", "y = a ? false : b;"]);
  deepEqual(changed("n += 'a' + b;"), ["n -= 'a' + b;"]);
});

test("imports and what a class hands to the one above are left as they are", () => {
  deepEqual(changed('import x from "1";\nclass A extends B { constructor() { super(); } }'), []);
});
