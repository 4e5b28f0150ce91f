/** A secret that is hidden is in no byte of the folder, wherever it came from and however it was written; everything else stays as it was. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { encodeRecording, type Recordable, type StepOutcome } from "#abi";
import { toUtf8 } from "#base";
import { recordings } from "../../abi/testing/arbitraries.ts";
import type { HistoryRules } from "../contract/config.ts";
import { Batches } from "./batches.ts";
import { attemptedEntry, endedEntry } from "./facts.ts";
import { openHistory } from "./mod.ts";
import { Redactor } from "./redact.ts";
import { attemptMade, endMade, failed, type Made, messageMade, rules } from "./testing/messages.ts";
import { HistoryWriter } from "./writer.ts";

const secret = "hunter2-SECRET";

const hiding: HistoryRules = { ...rules, redact: { headers: ["X-Api-Key"], paths: ["/card/number", "/items/*/iban", "/a~1b"] } };

/** Names of hidden headers in any case, and JSON that has the secret at a hidden place, also with escapes, doubled names and broken ends. */
const hiddenNames = fc.constantFrom("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "mayfly-value-token");
const anyCase = fc.tuple(hiddenNames, fc.boolean()).map(([name, upper]) => (upper ? name.toUpperCase() : name));
const escaped = (text: string): string => text.replace(/[a-z]/g, (unit) => `\\u00${unit.charCodeAt(0).toString(16)}`);
const hiddenJson = fc.constantFrom(
  `{"card":{"number":"${secret}"}}`,
  `{ "card" : { "number" : [ "${secret}" ] , "x": 1 } }`,
  `{"${escaped("card")}":{"${escaped("number")}":"${secret}"}}`,
  `{"items":[{"iban":"x"},{"iban":"${secret}"}]}`,
  `{"a/b":{"deep":"${secret}"}}`,
  `{"card":{"number":"${secret}"},"card":{"number":"other"}}`,
  `{"card":{"number":"${secret}"},"card":{"x":1}}`,
  `{"card":{"number":"${secret}"}`,
  `\ufeff{"card":{"number":"${secret}"}}`,
);

const made = fc.record({ name: anyCase, json: hiddenJson, list: fc.boolean(), place: fc.nat(15) });

/** A message with the secret at one of its places. */
function messageWith({
  name,
  json,
  list,
  place,
}: {
  readonly name: string;
  readonly json: string;
  readonly list: boolean;
  readonly place: number;
}): Made {
  const at = <T>(index: number, hidden: T, plain: T): T => (place === index ? hidden : plain);
  const headersJson = JSON.stringify({ [name]: list ? ["one", secret] : secret, other: "stays" });
  const outcome: StepOutcome = {
    status: "done",
    cpuMs: 1,
    effects: [
      { kind: "log", level: "info", text: "line", fieldsJson: at(0, json, "{}") },
      {
        kind: "send",
        outlet: "o",
        key: undefined,
        contentType: "",
        headersJson: at(1, headersJson, "{}"),
        body: toUtf8(at(2, json, "plain")),
      },
      {
        kind: "call",
        call: 1,
        operation: "request",
        target: "o",
        method: "",
        contentType: "",
        headersJson: at(3, headersJson, "{}"),
        timeoutMs: 0,
        body: toUtf8(at(4, json, "plain")),
      },
      { kind: "state", name: "s", valueJson: at(5, json, "1") },
      { kind: "wait", wait: 1, name: "approval", key: "k", dueMs: -1, questionJson: at(12, json, undefined) },
      place === 13 || place === 14
        ? { kind: "continue", contentType: "", headersJson: at(13, headersJson, "{}"), body: toUtf8(at(14, json, "plain")) }
        : {
            kind: "done",
            reply: { status: 200, contentType: "", headersJson: at(6, headersJson, "{}"), body: toUtf8(at(7, json, "plain")) },
          },
    ],
  };
  const resolve = {
    kind: "resolve",
    timeMs: 1,
    call: 1,
    error: undefined,
    status: 200,
    headersJson: "{}",
    body: toUtf8(at(8, json, "plain")),
  } as const;
  const resume = { kind: "resume", timeMs: 2, attempt: 1, stateJson: at(15, `{"s":${json}}`, "{}") } as const;
  const signal = {
    kind: "signal",
    timeMs: 2,
    wait: 1,
    id: "s",
    headersJson: at(10, headersJson, "{}"),
    body: toUtf8(at(11, json, "plain")),
  } as const;
  const headers = place === 9 ? { [name.toLowerCase()]: secret } : {};
  return { id: `m${place}`, body: at(2, json, "plain"), headers, outcome, events: [resolve, resume, signal] };
}

test("a hidden secret is in no byte of the folder", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-redact-"));
  try {
    let folder = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(made, { minLength: 1, maxLength: 5 }), async (all) => {
        const place = join(dir, String(folder++));
        const writer = new HistoryWriter(place, { keepMs: 1e15, sizeBytes: 2 ** 26 }, { now: Date.now });
        writer.open();
        const batches = new Batches({
          after: () => () => undefined,
          hand: (bytes, length, n) => void writer.append(Buffer.from(bytes, 0, length), n),
        });
        const redactor = new Redactor(hiding);
        for (const each of all.map(messageWith)) {
          batches.add(endedEntry(messageMade(each), endMade(each), redactor));
          batches.add(attemptedEntry(messageMade(each), attemptMade(each), redactor));
          const unstarted = { ...endMade({ ...each, failure: failed }), last: undefined };
          batches.add(endedEntry(messageMade({ ...each, id: "unstarted" }), unstarted, redactor));
        }
        batches.flush();
        writer.close();
        for (const name of readdirSync(place)) equal(readFileSync(join(place, name)).includes(secret), false, name);
        const reader = openHistory(place);
        for (const each of all.map(messageWith)) ok(await reader.show(each.id));
        await reader.close();
      }),
      { numRuns: 150 },
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("without anything to hide a recording stays the same object; what is hidden is named, and nothing else changes", () => {
  const redactor = new Redactor(hiding);
  const plain = messageWith({ name: "other", json: '{"card":{"owner":"x"}}', list: false, place: 2 });
  const whole = recordableOf(plain);
  deepEqual(redactor.recording(whole).recording.redaction, undefined);
  equal(new Redactor(rules).recording(whole).recording, whole);
  const hidden = redactor.recording(
    recordableOf(messageWith({ name: "Cookie", json: `{"card":{"number":"${secret}"},"x":1}`, list: true, place: 2 })),
  );
  deepEqual(hidden.recording.redaction, { headers: [], paths: ["/card/number"], bodies: "all" });
  equal(Buffer.from(hidden.recording.deliver.body).toString(), '{"card":{"number":"[redacted]"},"x":1}');
});

test("without pointers, headers are hidden all the same: the way of a configuration that says nothing", () => {
  const redactor = new Redactor({ ...hiding, redact: { headers: ["x-api-key"], paths: [] } });
  fc.assert(
    fc.property(
      made.filter(({ place }) => [1, 3, 6, 9, 10, 13].includes(place)),
      (each) => {
        const { recording } = redactor.recording(recordableOf(messageWith(each)));
        equal(Buffer.from(encodeRecording(recording)).includes(secret), false);
        deepEqual(recording.redaction?.headers, [each.name.toLowerCase()]);
      },
    ),
  );
});

test("headers are recorded where the configuration asks for it, secrets of flows never", () => {
  const open = new Redactor({ ...rules, redact: { headers: ["!authorization", "!cookie"], paths: [] } });
  const json = JSON.stringify({ authorization: "a", cookie: "c", "set-cookie": "s", "mayfly-value-key": "v" });
  deepEqual(JSON.parse(open.headers(json)), {
    authorization: "a",
    cookie: "c",
    "set-cookie": "[redacted]",
    "mayfly-value-key": "[redacted]",
  });
});

test("any recording can be redacted, and its other parts stay as they are", () => {
  const redactor = new Redactor(hiding);
  fc.assert(
    fc.property(recordings, (recording) => {
      const { recording: shown } = redactor.recording({ ...recording, redaction: undefined });
      deepEqual(
        [shown.imageSha256, shown.deliver.id, shown.events.length],
        [recording.imageSha256, recording.deliver.id, recording.events.length],
      );
      deepEqual(
        shown.steps.map(({ status, effects }) => [status, effects.length]),
        recording.steps.map(({ status, effects }) => [status, effects.length]),
      );
      const { recording: bare } = redactor.recording(recording, "none");
      equal(bare.deliver.body.length, 0);
      equal(bare.deliver.headersJson, "{}");
    }),
  );
});

function recordableOf(message: Made): Recordable {
  const { deliver, events, steps, flow } = attemptMade(message);
  ok(deliver);
  return { imageSha256: flow.image.sha256, flow: flow.name, limits: flow.limits, deliver, events, steps, redaction: undefined };
}
