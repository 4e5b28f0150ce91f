/** A quick part of every suite; `npm run conformance` runs them whole. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { failed, passed } from "./case.ts";
import { compare, readExpectations } from "./expectations.ts";
import { suites } from "./suites.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const data = process.env["MAYFLY_CONFORMANCE"] ?? join(root, "..", "shared", "data");
const skip = existsSync(join(data, "conformance")) ? false : `no suites at ${data}; set MAYFLY_CONFORMANCE to their folder`;
const expectations = readExpectations(join(root, "test", "conformance", "expectations.json"));

for (const suite of suites)
  test(`${suite.name}: nothing fails that is not known to`, { skip, timeout: 300_000 }, async () => {
    const results = await suite.run({ data, quick: true });
    const { unexpected } = compare(results, expectations[suite.name] ?? [], false);
    deepEqual(
      unexpected.map(({ name, detail }) => `${name}: ${detail}`),
      [],
    );
    ok(results.some((each) => each.passed) || results.length === 0, "nothing passes: the suite was not run");
  });

test("a list of known failures only shrinks: more are unexpected, fewer ask for a shorter list", () => {
  const known = [{ cases: "a.js › ", failures: 1, reason: "because" }];
  const [bad, good] = [failed("a.js › one", "wrong"), passed("a.js › one")];
  deepEqual(compare([bad], known, true), { passed: 0, total: 1, known: 1, unexpected: [], mended: [] });
  const more = compare([bad, failed("a.js › two", "wrong"), failed("b.js", "wrong")], known, true);
  deepEqual(
    more.unexpected.map(({ name }) => name),
    ["b.js", "a.js › two"],
  );
  equal(compare([good], known, true).mended[0]?.failures, 0);
  deepEqual(compare([good], known, false).mended, []);
});
