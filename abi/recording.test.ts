import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeRecording,
  defaultFlowLimits,
  encodeEvent,
  encodeRecording,
  encodeRecordingInto,
  type Recording,
  recordingVersion,
} from "#abi";
import { toHex, toUtf8 } from "#base";
import { bytes, recordings } from "./testing/arbitraries.ts";

test("recordings come out as they went in", () => {
  fc.assert(
    fc.property(recordings, (recording) => {
      const decoded = decodeRecording(encodeRecording(recording));
      ok(decoded.ok, decoded.ok ? "" : decoded.error);
      deepEqual(JSON.stringify(decoded.value), JSON.stringify(recording));
      deepEqual(decoded.value.deliver, recording.deliver);
    }),
  );
});

test("a recording written into a buffer has the same bytes as one on its own, or is refused when it might not fit", () => {
  fc.assert(
    fc.property(recordings, fc.nat(5000), fc.nat(20), (recording, room, start) => {
      const alone = encodeRecording(recording);
      const target = Buffer.alloc(room);
      const end = encodeRecordingInto(target, start, recording);
      if (end < 0) ok(start + 3 * alone.length >= room);
      else deepEqual(new Uint8Array(target.subarray(start, end)), alone);
    }),
  );
});

test("the decoder never throws: changed, cut, padded and random bytes are refused or read", () => {
  const mutations = fc.tuple(recordings, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat(), bytes);
  fc.assert(
    fc.property(mutations, ([recording, changes, cut, tail]) => {
      const whole = encodeRecording(recording);
      for (const [at, value] of changes) whole[at % whole.length] = value;
      for (const hostile of [whole, whole.subarray(0, cut % (whole.length + 1)), Buffer.concat([whole, tail]), tail]) {
        const decoded = decodeRecording(hostile);
        if (decoded.ok) equal(decoded.value.deliver.kind, "deliver");
        else equal(typeof decoded.error, "string");
      }
    }),
    { numRuns: 1000 },
  );
});

const whole: Recording = {
  imageSha256: "ab".repeat(32),
  flow: "orders",
  limits: defaultFlowLimits,
  deliver: {
    kind: "deliver",
    timeMs: 1_764_426_600_000,
    seed: Uint8Array.from({ length: 32 }, (_, index) => index),
    id: "4711",
    source: "http",
    attempt: 2,
    key: "customer-9",
    headersJson: '{"content-type":"application/json","authorization":"[redacted]"}',
    stateJson: '{"count":3}',
    body: toUtf8('{"order":4711}'),
  },
  events: [
    { kind: "resolve", timeMs: 1_764_426_600_005, call: 1, error: undefined, status: 200, headersJson: "{}", body: toUtf8("42") },
    {
      kind: "resolve",
      timeMs: 1_764_426_600_006,
      call: 2,
      error: { code: "MF_FETCH_TIMEOUT", message: "no answer" },
      status: 0,
      headersJson: "{}",
      body: new Uint8Array(0),
    },
    { kind: "wake", timeMs: 1_764_426_600_010, timer: 1 },
    { kind: "cancel", timeMs: 1_764_426_600_011, reason: "the caller left" },
  ],
  steps: [
    {
      status: "waiting",
      effects: [
        { kind: "log", level: "info", text: "priced", fieldsJson: '{"price":42}' },
        {
          kind: "call",
          call: 1,
          operation: "request",
          target: "prices",
          method: "POST",
          contentType: "text/plain",
          headersJson: "{}",
          timeoutMs: 100,
          body: toUtf8("4711"),
        },
        { kind: "timer", timer: 1, dueMs: 1_764_426_600_010 },
      ],
      failure: undefined,
      cpuMs: 0.25,
      pages: 3,
    },
    {
      status: "done",
      effects: [
        { kind: "state", name: "count", valueJson: "4" },
        { kind: "send", outlet: "billing", key: "customer-9", contentType: "text/plain", headersJson: "{}", body: toUtf8("42") },
        { kind: "done", reply: { status: 201, contentType: "text/plain", headersJson: "{}", body: toUtf8("ok") } },
      ],
      failure: undefined,
      cpuMs: 0.5,
      pages: 4,
    },
    {
      status: "broken",
      effects: [],
      failure: { code: "MF_CPU_LIMIT", message: "too long", stack: "at f", workersLost: 1 },
      cpuMs: 500,
      pages: 0,
    },
  ],
  redaction: { headers: ["authorization"], paths: ["/card/number"], bodies: "all" },
};

/** Written once for each version and kept: later versions of Mayfly read it. In dist/ the sources are one folder up. */
const goldenOf = (version: number | string): URL => {
  const beside = new URL(`./testing/recording-${version}.hex`, import.meta.url);
  return existsSync(beside) ? beside : new URL(`../../abi/testing/recording-${version}.hex`, import.meta.url);
};

test("each version's golden file reads as it was written", () => {
  const current = toHex(encodeRecording(whole));
  if (process.env["UPDATE"] === "1") writeFileSync(goldenOf(recordingVersion), `${current.replace(/.{120}/g, "$&\n")}\n`);
  for (let version = 1; version <= recordingVersion; version++) {
    const golden = Buffer.from(readFileSync(goldenOf(version), "utf8").replace(/\s/g, ""), "hex");
    const decoded = decodeRecording(new Uint8Array(golden));
    ok(decoded.ok, decoded.ok ? "" : decoded.error);
    equal(JSON.stringify(decoded.value), JSON.stringify(whole));
    if (version === recordingVersion)
      equal(
        golden.toString("hex"),
        current,
        "the wire form has changed: raise recordingVersion, or run UPDATE=1 npm test -- abi/recording",
      );
  }
});

test("pieces of a stored body and the position of a batch have a golden file of their own: a recording of version 1 may have them", () => {
  const window = { sha256: "ab".repeat(32), offset: 262_144, bytes: 1000 };
  const piece = {
    kind: "resolve",
    timeMs: 7,
    call: 1,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: new Uint8Array(0),
    window,
  } as const;
  const next = { kind: "continue", contentType: "", headersJson: "{}", body: new Uint8Array(0), position: '{"offset":5}' } as const;
  const read = {
    kind: "call",
    call: 1,
    operation: "window",
    target: "262144",
    method: "",
    contentType: "",
    headersJson: "{}",
    timeoutMs: 0,
  } as const;
  const plain = { failure: undefined, cpuMs: 1, pages: 0 };
  const batch: Recording = {
    ...whole,
    events: [piece],
    steps: [
      { ...plain, status: "waiting", effects: [{ ...read, body: new Uint8Array(0) }] },
      { ...plain, status: "done", effects: [next] },
    ],
  };
  const current = toHex(encodeRecording(batch));
  const golden = goldenOf("1-windows");
  if (process.env["UPDATE"] === "1") writeFileSync(golden, `${current.replace(/.{120}/g, "$&\n")}\n`);
  const bytes = Buffer.from(readFileSync(golden, "utf8").replace(/\s/g, ""), "hex");
  equal(bytes.toString("hex"), current);
  const decoded = decodeRecording(new Uint8Array(bytes));
  ok(decoded.ok);
  equal(toHex(encodeRecording(decoded.value)), current);
  const [event] = decoded.value.events;
  equal(JSON.stringify(event), JSON.stringify(piece));
});

test("what is no recording, or one of another version, says so", () => {
  const bytesOf = encodeRecording(whole);
  const other = bytesOf.slice();
  other[3] = 9;
  const told = (hostile: Uint8Array): string => {
    const decoded = decodeRecording(hostile);
    return decoded.ok ? "" : decoded.error;
  };
  equal(told(encodeEvent(whole.deliver)), "recording: wrong magic");
  ok(told(other).includes("version 9"));
  ok(told(bytesOf.subarray(0, 100)).startsWith("frame"));
  equal(told(encodeRecording({ ...whole, events: [] })), "recording: more steps than events");
  const done = whole.steps[1] as (typeof whole.steps)[number];
  const doubled = { ...done, effects: [...done.effects, ...done.effects] };
  equal(told(encodeRecording({ ...whole, steps: [doubled] })), "recording: effect: done is not the last");
  const redaction = whole.redaction ?? { headers: [], paths: [], bodies: "all" };
  equal(told(encodeRecording({ ...whole, redaction })), "");
  for (const wrong of [{ headers: "x" }, { paths: [1] }, { bodies: "some" }])
    equal(told(encodeRecording({ ...whole, redaction: { ...redaction, ...wrong } as never })), "recording: redaction: misshapen");
});
