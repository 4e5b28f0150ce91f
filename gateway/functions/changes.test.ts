/** Changes of a record: each gives the record itself where nothing changes. */
import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { test } from "node:test";
import { withAlias } from "./changes.ts";
import type { FunctionRecord } from "./records.ts";

const version = { version: 1, image: "0".repeat(64), fragment: "", at: 1, by: "ci" };
const record: FunctionRecord = { revision: 5, live: 1, canary: null, aliases: {}, versions: [version], paths: [], resident: false };

test("an alias is set, moved and taken away; names of every object are aliases like others", () => {
  for (const alias of ["stable", "constructor", "toString", "valueOf"]) {
    equal(withAlias(record, alias, undefined, 9), record, alias);
    const named = withAlias(record, alias, "1", 9);
    notEqual(named.revision, record.revision);
    deepEqual(Object.entries(named.aliases), [[alias, 1]]);
    equal(withAlias(named, alias, "1", 9), named);
    deepEqual(withAlias(named, alias, undefined, 9).aliases, {});
  }
  throws(() => withAlias(record, "__proto__", "1", 9), { code: "MF_FUNCTION_NAME" });
  throws(() => withAlias(record, "stable", "2", 9), { code: "MF_FUNCTION_VERSION" });
});
