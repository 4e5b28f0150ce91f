/** Each part of `expect`, against results made for it: which differences are found, and how they are told. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { CallEffect } from "#abi";
import { toUtf8 } from "#base";
import type { RunResult } from "#replay";
import type { ContentSpec, ExpectSpec } from "./case.ts";
import { compare, jsonDifferences } from "./compare.ts";
import { outcomeOf } from "./typescript.ts";

const hour = 3_600_000;
const startMs = 1_000_000;

const plain: RunResult = {
  status: "done",
  reply: undefined,
  sends: [],
  discardedSends: 0,
  transactions: [{ beganMs: startMs, endedMs: startMs + 5, sends: 0, asleep: undefined, events: [] } as never],
  waits: undefined,
  next: undefined,
  unclaimed: [],
  calls: [],
  logs: [],
  state: undefined,
  failure: undefined,
  timings: { machineMs: 0, cpuMs: 0, steps: 1, virtualMs: 0 },
};

type Found = [path: string, expected: string | undefined, actual: string | undefined];

async function found(expect: ExpectSpec, result: Partial<RunResult>, folder = "/"): Promise<Found[]> {
  const differences = await compare(expect, { ...plain, ...result }, folder);
  return differences.map(({ path, expected, actual }) => [path, expected, actual]);
}

const json = (value: unknown): Uint8Array => toUtf8(JSON.stringify(value));
const replied = (body: Uint8Array, contentType = "text/plain", status = 200): Partial<RunResult> => ({
  reply: { status, contentType, headers: { "x-a": "1", "x-many": ["1", "2"] }, body },
});
const sent = (changes: object = {}): RunResult["sends"][number] =>
  ({
    outlet: "erp",
    key: undefined,
    contentType: "application/json",
    headers: {},
    body: json({ a: 1 }),
    transaction: 1,
    sentMs: startMs,
    dueMs: undefined,
    ...changes,
  }) as never;
const asked = (changes: Partial<CallEffect> = {}): CallEffect => ({
  kind: "call",
  call: 1,
  operation: "request",
  target: "erp",
  method: "GET",
  contentType: "",
  headersJson: '{"x-a":"1"}',
  timeoutMs: 0,
  body: new Uint8Array(0),
  ...changes,
});

test("a reply: status, type, headers and a body of each form", async () => {
  const reply = (spec: ContentSpec, body = json({ a: 1, b: 2 }), type = "application/json"): Promise<Found[]> =>
    found({ reply: spec }, replied(body, type));
  deepEqual(await reply({ status: 200, contentType: "application/json", headers: { "X-A": "1", "x-many": ["1", "2"] } }), []);
  deepEqual(await reply({ status: 201 }), [["reply.status", "201", "200"]]);
  deepEqual(await reply({ headers: { "x-a": "2", "x-none": "1" } }), [
    ["reply.headers.x-a", '"2"', '"1"'],
    ["reply.headers.x-none", '"1"', undefined],
  ]);
  deepEqual(await reply({ json: { a: 1, b: 2 } }), []);
  deepEqual(await reply({ json: { a: 1 } }), [["reply.json.b", undefined, "2"]]);
  deepEqual(await reply({ jsonLike: { a: 1 } }), []);
  deepEqual(await reply({ jsonLike: { a: 2 } }), [["reply.jsonLike.a", "2", "1"]]);
  deepEqual(await reply({ json: { a: 1 } }, toUtf8("{")), [["reply.json", '{"a":1}', "{ (not JSON)"]]);
  deepEqual(await reply({ jsonLike: 1 }, toUtf8("{")), [["reply.jsonLike", "1", "{ (not JSON)"]]);
  deepEqual(await reply({ text: "hi" }, toUtf8("hi")), []);
  deepEqual(await reply({ text: "hi" }, toUtf8("ho")), [["reply.text", '"hi"', '"ho"']]);
  deepEqual(await reply({ text: "one\ntwo\n" }, toUtf8("one\n2\n")), [["reply.text line 2", '"two"', '"2"']]);
  deepEqual(await reply({ text: "one" }, toUtf8("one\ntwo")), [["reply.text line 2", undefined, '"two"']]);
  deepEqual(await reply({ text: "one\ntwo" }, toUtf8("one")), [["reply.text line 2", '"two"', undefined]]);
  deepEqual(await reply({ base64: "AAE=" }, new Uint8Array([0, 1])), []);
  deepEqual(await reply({ base64: "AAE=" }, new Uint8Array([0, 2, 3])), [["reply.bytes", "2 bytes", "3 other bytes"]]);
  deepEqual(await reply({ base64: "AAE=" }, toUtf8("hi")), [["reply.bytes", "2 bytes", "2 other bytes"]]);
  deepEqual(await found({ reply: {} }, {}), [["reply", "{}", undefined]]);
  deepEqual(await found({ reply: null }, {}), []);
  deepEqual(await found({ reply: null }, replied(toUtf8("hi"))), [["reply", undefined, "hi"]]);
});

test("a body in a file is compared as JSON where its name says so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-compare-"));
  try {
    await writeFile(join(folder, "a.json"), '{ "a": 1 }');
    await writeFile(join(folder, "b.json"), "{");
    deepEqual(await found({ reply: { file: "a.json" } }, replied(json({ a: 1 })), folder), []);
    deepEqual(await found({ reply: { file: "a.json" } }, replied(json({ a: 2 })), folder), [["reply.json.a", "1", "2"]]);
    deepEqual(await found({ reply: { file: "b.json" } }, replied(json(1)), folder), [["reply.text", '"{"', '"1"']]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("sends and requests: in order, none left out, with their own fields", async () => {
  deepEqual(await found({ sends: [{ outlet: "erp", key: null, transaction: 1, after: "0s", json: { a: 1 } }] }, { sends: [sent()] }), []);
  deepEqual(await found({ sends: [{ outlet: "log", key: "k", transaction: 2 }] }, { sends: [sent()] }), [
    ["sends[0].outlet", '"log"', '"erp"'],
    ["sends[0].key", '"k"', "null"],
    ["sends[0].transaction", "2", "1"],
  ]);
  const late = sent({ dueMs: startMs + hour });
  deepEqual(await found({ sends: [{ after: "1h" }] }, { sends: [late] }), []);
  deepEqual(await found({ sends: [{ after: "2h" }] }, { sends: [late] }), [["sends[0].after", "2h", "1h"]]);
  deepEqual(await found({ sends: [{ after: "0s" }] }, { sends: [sent({ dueMs: startMs - hour })] }), []);
  deepEqual(await found({ sends: [{}, {}] }, { sends: [sent()] }), [["sends[1]", "{}", undefined]]);
  deepEqual(await found({ sends: [] }, { sends: [sent()] }), [["sends[0]", undefined, 'erp {"a":1}']]);
  deepEqual(await found({}, { sends: [sent()] }), []);
  const calls = [asked(), asked({ operation: "state", target: "k" }), asked({ operation: "fetch", target: "https://a/", method: "PUT" })];
  deepEqual(
    await found(
      {
        requests: [
          { outlet: "erp", method: "GET", headers: { "X-A": "1" } },
          { fetch: "https://a/", method: "PUT" },
        ],
      },
      { calls },
    ),
    [],
  );
  deepEqual(await found({ requests: [{ outlet: "erp" }] }, { calls }), [["requests[1]", undefined, "https://a/ "]]);
  deepEqual(await found({ requests: [{ fetch: "x" }, {}] }, { calls }), [["requests[0].fetch", '"x"', "nothing"]]);
});

test("logs are found in order among others, by level, text and some of their fields", async () => {
  const logs = ["one", "two", "three"].map((text, index) => ({
    kind: "log" as const,
    level: index === 1 ? ("warn" as const) : ("info" as const),
    text,
    fieldsJson: index === 0 ? '{"a":1,"b":2}' : undefined,
  }));
  deepEqual(await found({ logs: [{ text: "one", fields: { a: 1 } }, { level: "info" }] }, { logs }), []);
  deepEqual(await found({ logs: [{ text: "two" }, { text: "one" }] }, { logs }), [
    ["logs[1]", '{"text":"one"}', "no match among: info three"],
  ]);
  deepEqual(await found({ logs: [{ level: "error" }] }, { logs: logs.slice(0, 2) }), [
    ["logs[0]", '{"level":"error"}', 'no match among: info one {"a":1,"b":2} | warn two'],
  ]);
  deepEqual(await found({ logs: [{ fields: { a: 2 } }] }, { logs: logs.slice(0, 1) }), [
    ["logs[0]", '{"fields":{"a":2}}', 'no match among: info one {"a":1,"b":2}'],
  ]);
  deepEqual(await found({ logs: [{ text: "one" }, { text: "one" }] }, { logs: logs.slice(0, 1) }), [
    ["logs[1]", '{"text":"one"}', "no more logs"],
  ]);
});

test("a flow that is asleep: its waits and times from the beginning of the sleep", async () => {
  const since = startMs + 5;
  const waits = {
    waits: [
      { wait: 1, name: "payment", key: "4711", dueMs: since + 48 * hour, questionJson: undefined },
      { wait: 2, name: "approve", key: "", dueMs: undefined, questionJson: '{"question":"Pay?","options":["yes","no"]}' },
    ],
    timers: [{ timer: 1, dueMs: since + hour }],
  } as unknown as NonNullable<RunResult["waits"]>;
  const asleep = { status: "asleep" as const, waits };
  const whole = [
    { name: "payment", key: "4711", timeout: "2d" },
    { name: "approve", timeout: null, question: "Pay?", options: ["yes", "no"] },
  ];
  deepEqual(await found({ asleep: { waits: whole, timers: ["1h"] } }, asleep), []);
  deepEqual(await found({ asleep: {} }, asleep), []);
  deepEqual(
    await found(
      {
        asleep: {
          waits: [
            { name: "payment", timeout: "1d" },
            { name: "approve", timeout: "1d" },
          ],
          timers: ["2h"],
        },
      },
      asleep,
    ),
    [
      ["asleep.waits[0].timeout", '"1d"', '"2d"'],
      ["asleep.waits[1].timeout", '"1d"', "null"],
      ["asleep.timers[0]", '"2h"', '"1h"'],
    ],
  );
  deepEqual(await found({ asleep: { waits: [whole[0] as never] } }, asleep), [
    ["asleep.waits[1]", undefined, '{"name":"approve","key":"","timeout":null,"question":"Pay?","options":["yes","no"]}'],
  ]);
  deepEqual(await found({ asleep: {} }, {}), [["status", "asleep", "done"]]);
  const [[path, expected, actual] = []] = await found({}, asleep);
  deepEqual([path, expected, actual?.startsWith("asleep: waits for payment 4711")], ["status", "done", true]);
  const told = outcomeOf({ ...plain, ...asleep }).asleep;
  deepEqual(told, {
    waits: [
      { name: "payment", key: "4711", until: new Date(since + 48 * hour), question: undefined, options: undefined },
      { name: "approve", key: "", until: undefined, question: "Pay?", options: ["yes", "no"] },
    ],
    timers: [new Date(since + hour)],
  });
});

test("a flow that continues as another message, or must not", async () => {
  const next = { contentType: "application/json", headers: {}, body: json({ round: 2 }) } as unknown as NonNullable<RunResult["next"]>;
  deepEqual(await found({ continue: { json: { round: 2 } } }, { next }), []);
  deepEqual(await found({ continue: { json: { round: 3 } } }, { next }), [["continue.json.round", "3", "2"]]);
  deepEqual(await found({ continue: null }, {}), []);
  deepEqual(await found({ continue: null }, { next }), [["continue", undefined, '{"round":2}']]);
  deepEqual(await found({ continue: { text: "x" } }, {}), [["continue", '{"text":"x"}', undefined]]);
  deepEqual(await found({}, { next }), []);
  equal(outcomeOf({ ...plain, next }).continues?.text(), '{"round":2}');
  equal(outcomeOf(plain).continues, undefined);
});

test("a failure: expected in part, unexpected, and missing", async () => {
  const failure = { code: "MF_X", message: "no such order", stack: "a\nb", at: undefined, retry: true, status: 422 };
  const failed = { status: "failed" as const, failure };
  deepEqual(await found({ error: { code: "MF_X", message: "such", retry: true, status: 422 } }, failed), []);
  deepEqual(await found({ error: { code: "MF_Y", message: "other", retry: false, status: 500 } }, failed), [
    ["error.code", '"MF_Y"', '"MF_X" (no such order)'],
    ["error.retry", "false", "true"],
    ["error.status", "500", "422"],
    ["error.message", 'a text with "other"', '"no such order"'],
  ]);
  deepEqual(await found({ reply: { text: "hi" }, sends: [{}] }, failed), [["status", "done", "failed with MF_X: no such order"]]);
  deepEqual(await found({ error: {}, sends: [{}] }, failed), [["sends[0]", "{}", undefined]]);
  deepEqual(await found({ error: {} }, {}), [["status", "failed with an error", "done"]]);
  deepEqual(outcomeOf({ ...plain, ...failed }).error, {
    code: "MF_X",
    message: "no such order",
    retry: true,
    status: 422,
    stack: ["a", "b"],
  });
});

test("state is compared whole; what is long or too much is cut", async () => {
  deepEqual(await found({ state: { a: 1 } }, { state: { a: 1, b: 2 } }), [["state.b", undefined, "2"]]);
  deepEqual(await found({ state: { a: 1 } }, {}), [["state.a", "1", undefined]]);
  const [[, , long] = []] = await found({ state: {} }, { state: { a: "x".repeat(1000) } });
  equal(long, `"${"x".repeat(399)}… (1002 characters)`);
  const [[, , fits] = []] = await found({ state: {} }, { state: { a: "x".repeat(398) } });
  equal(fits, `"${"x".repeat(398)}"`);
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, index]));
  equal((await found({ state: {} }, { state: many })).length, 30);
});

test("differences of JSON are found where they are", () => {
  deepEqual(jsonDifferences({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, ""), []);
  deepEqual(jsonDifferences({ a: [1] }, { a: [1, 2] }, "x"), [{ path: "x.a[1]", expected: undefined, actual: "2" }]);
  deepEqual(jsonDifferences({ a: [1, 2] }, { a: [1] }, "x"), [{ path: "x.a[1]", expected: "2", actual: undefined }]);
  deepEqual(jsonDifferences({ a: 1 }, { a: 1, b: 2 }, "", true), []);
  deepEqual(jsonDifferences({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }] }, "", true), []);
  deepEqual(jsonDifferences({ "a b": 1 }, {}, ""), [{ path: '["a b"]', expected: "1", actual: undefined }]);
  deepEqual(jsonDifferences({ a: { "b-c": 1 } }, { a: {} }, ""), [{ path: "a.b-c", expected: "1", actual: undefined }]);
  for (const [expected, actual, told] of [
    [[], {}, "{}"],
    [{}, [], "[]"],
    [{}, null, "null"],
    [null, {}, "{}"],
    [1, "1", '"1"'],
  ] as const)
    deepEqual(jsonDifferences(expected, actual, "x"), [{ path: "x", expected: JSON.stringify(expected), actual: told }]);
});
