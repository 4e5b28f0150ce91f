/** Functions and drafts as the page reads them. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { ShownFunction, TenantUsage as ApiUsage, Trial as ApiTrial } from "#gateway";
import type { FunctionLogLine } from "../../gateway/functions/logs.ts";
import { type DeployedFunction, joinedLines, type LogLine, sharesOf, type TenantUsage, type Trial } from "./functions.ts";
import { firstDraft, placeIn, readDraft } from "./writing.ts";

type Reads<Page, Api extends Page> = Api;
/** As in model.test.ts: this compiles only while the gateway's answers fit the page's shapes. */
export type Read = [
  Reads<DeployedFunction, ShownFunction>,
  Reads<TenantUsage, ApiUsage>,
  Reads<LogLine, FunctionLogLine>,
  Reads<Trial, Omit<ApiTrial, "error"> & Pick<Trial, "error">>,
];

const line = (number: number): LogLine => ({ line: number, at: 0, level: "info", text: String(number), fields: {} });

test("log lines are joined without a line twice, and bounded", () => {
  const joined = joinedLines([line(1), line(2)], [line(2), line(3), line(4)], 3);
  deepEqual(
    joined.map((each) => each.line),
    [2, 3, 4],
  );
});

test("shares need bounds; a draft survives damage; places are those of the flow", () => {
  const usage: TenantUsage = {
    tenant: "acme",
    day: "2026-11-30",
    received: 0,
    done: 0,
    dead: 0,
    cpuMs: 0,
    functions: 0,
    quotas: { functions: 1, cpuMs: null, kept: null },
    kept: null,
    full: null,
  };
  deepEqual(sharesOf(usage), []);
  const kept = { state: 1, messages: 2, deadLetters: 3, history: 4, images: 5 };
  const shares = sharesOf({ ...usage, kept, quotas: { ...usage.quotas, kept: { ...kept, state: 10 } } });
  deepEqual([shares.length, shares[0]], [5, { name: "State", used: 1, bound: 10 }]);
  for (const damaged of [null, "", "3", "null", "{"]) deepEqual(readDraft(damaged), firstDraft);
  deepEqual(readDraft('{"name":"a","code":3,"other":"x"}'), { ...firstDraft, name: "a" });
  deepEqual(placeIn("hello.ts:3:5 - error TS2339", "hello"), { line: 3, column: 5 });
  deepEqual(placeIn("see hello.ts(12,1)", "hello"), { line: 12, column: 1 });
  equal(placeIn("other.ts:3:5", "hello"), undefined);
});
