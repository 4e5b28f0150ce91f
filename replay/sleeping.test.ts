/** Recordings of lives with sleeps: run again bit for bit, on other images, under a debugger, as flow tests; and as they are shown. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { decodeRecording, encodeRecording, type Recording } from "#abi";
import { toUtf8 } from "#base";
import { embeddedMonitor, type LoadedImage } from "#monitors";
import { debugBundle, debugMonitor, recordedTest, replayRecording } from "#replay";
import { effectRules } from "./driven.ts";
import { recordedOutcome } from "./recorded.ts";
import type { GivenSignal } from "./signals.ts";
import { answer, delivered, imageOf, record, startMs } from "./testing/record.ts";

const hour = 3_600_000;

const source = (more: string): string => `import { flow } from "mayfly";
export default flow(async (msg, { to, wait, sleep, state, approve, continueAs, log }) => {
  const { id } = msg.json();
  const stock = await to.stock.request({ id });
  to.mail.send({ pay: id });
  state.set("seen", (state.get("seen") ?? 0) + 1);
  const paid = await wait("payment", { key: id, timeout: "2d" });
  log.info("paid", { paid: paid?.json() ?? null, from: paid?.headers["x-bank"] });
  const late = await wait("never", { timeout: "1d" });
  await sleep("3h");
  const chosen = await approve("Bill " + id + "?", { options: ["yes", "no"] });
  ${more}
  to.billing.send({ id, chosen, late: late === undefined, seen: state.get("seen") }, { after: "1h" });
  continueAs({ id, again: true });
});`;

const own = source("");
const monitor = embeddedMonitor({ workers: 1 });
let image: LoadedImage;
let recording: Recording;
let folder: string;

const signal = (name: string, afterMs: number, body: unknown): GivenSignal => ({
  id: `${name}-1`,
  name,
  key: undefined,
  atMs: startMs + afterMs,
  headersJson: '{"content-type":"application/json","x-bank":"b"}',
  body: toUtf8(JSON.stringify(body)),
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-sleeping-"));
  await writeFile(join(folder, "package.json"), "{}");
  image = await monitor.load(await imageOf(own));
  const deliver = delivered(JSON.stringify({ id: "4711" }), { key: "k", stateJson: '{"seen":4}' });
  const signals = [signal("payment", hour, { amount: 12 }), signal("approval", 40 * hour, { option: "yes" })];
  const recorded = await record(monitor, image, deliver, () => answer({ left: 3 }), signals);
  const decoded = decodeRecording(encodeRecording(recorded));
  ok(decoded.ok, JSON.stringify(decoded));
  recording = decoded.value;
});
after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

test("the record has every transaction, and its outcome is that of the whole life", () => {
  deepEqual(
    recording.events.map(({ kind }) => kind),
    ["resolve", "resume", "signal", "resume", "signal", "resume", "wake", "resume", "signal"],
  );
  const { sends, sleeps, state, next, failure, asleep } = recordedOutcome(recording, effectRules(recording, undefined));
  equal(failure, undefined);
  equal(asleep, false);
  deepEqual(
    sends.map(({ outlet, dueMs }) => [outlet, dueMs]),
    [
      ["mail", undefined],
      ["billing", startMs + 41 * hour],
    ],
  );
  deepEqual(
    sleeps.map(({ waits, timersMs, sends: count }) => [waits.map(({ name, forMs }) => `${name} ${forMs}`), timersMs, count]),
    [
      [[`payment ${48 * hour}`], [], 1],
      [[`never ${24 * hour}`], [], 1],
      [[], [3 * hour], 1],
      [["approval undefined"], [], 1],
    ],
  );
  deepEqual([...state], [["seen", "5"]]);
  ok(next !== undefined);
});

test("run again on its own image it is identical bit for bit; a tampered signal or state differs", async () => {
  const replay = await replayRecording(monitor, image, recording);
  deepEqual([replay.identical, replay.compared, replay.differences], [true, "bits", []]);
  const events = recording.events.map((event) =>
    event.kind === "signal" && event.id === "payment-1" ? { ...event, body: toUtf8("[]") } : event,
  );
  equal((await replayRecording(monitor, image, { ...recording, events })).identical, false);
});

test("on another image the same life has the same outcome, and what differs is told", async () => {
  const same = await monitor.load(await imageOf(source("const unused = 1;")));
  const alike = await replayRecording(monitor, same, recording);
  deepEqual([alike.identical, alike.compared, alike.differences], [true, "outcome", []]);
  const longer = await monitor.load(await imageOf(own.replace('"3h"', '"4h"').replace('"2d"', '"1d"')));
  const other = await replayRecording(monitor, longer, recording);
  equal(other.identical, false);
  deepEqual(
    other.differences.map(({ path }) => path),
    ["sleeps[0].waits[0].forMs", "sleeps[2].timersMs[0]"],
  );
  const further = await monitor.load(await imageOf(source('await wait("receipt");')));
  const asleep = await replayRecording(monitor, further, recording);
  ok(asleep.differences.some(({ path, replayed }) => path === "asleep" && replayed === true));
});

test("under a debugger the flow has the machine's effects, over all its transactions", async () => {
  await writeFile(join(folder, "flow.ts"), own);
  const script = { ...(await debugBundle(join(folder, "flow.ts"), [])), outlets: null };
  const replay = await replayRecording(debugMonitor({ script, pauses: false }), image, recording);
  deepEqual([replay.identical, replay.differences], [true, []]);
});

test("as a flow test it has its signals and what came of them, in exact time", async () => {
  const { text } = await recordedTest(recording, { flow: "flow.ts", ran: { monitor, image } });
  const [given] = (parse(text) as { cases: Record<string, unknown>[] }).cases;
  deepEqual(given?.["signals"], [
    { name: "payment", key: "4711", id: "payment-1", after: "3600000ms", json: { amount: 12 }, headers: { "x-bank": "b" } },
    {
      name: "approval",
      key: "message-1/3",
      id: "approval-1",
      after: `${40 * hour}ms`,
      json: { option: "yes" },
      headers: { "x-bank": "b" },
    },
  ]);
  const { sends, continue: next } = given?.["expect"] as { sends: { outlet: string; after?: string }[]; continue: unknown };
  deepEqual(
    sends.map(({ outlet, after: delay }) => [outlet, delay]),
    [
      ["mail", undefined],
      ["billing", "3600000ms"],
    ],
  );
  deepEqual(next, { json: { id: "4711", again: true }, contentType: "application/json" });
  match(text, /^# Recorded/);
});

test("a life that ended from outside while it slept ends there on other images too", async () => {
  const error = { code: "MF_CANCELLED_BY_OPERATOR", message: "cancelled by an operator" };
  const flows = [
    `if ((await wait("x", { timeout: "2d" })) === undefined) to.out.send("late");`,
    `for (let n = 0; ; n++) { if (await wait("stop" + n, { timeout: "1d" })) break; to.out.send("on"); }`,
  ];
  for (const text of flows) {
    const flow = `import { flow } from "mayfly"; export default flow(async (msg, { to, wait }) => { ${text} });`;
    const asleep = await monitor.load(await imageOf(flow));
    const whole = await record(monitor, asleep, delivered(""), () => answer({}), [signal("stop3", 80 * hour, "")]);
    const resumed = whole.events.findIndex(({ kind }) => kind === "resume");
    const cancelled = { ...whole, events: whole.events.slice(0, resumed), steps: whole.steps.slice(0, resumed + 1) };
    const other = await monitor.load(await imageOf(`${flow}\nglobalThis.version = 2;`));
    const { differences, compared } = await replayRecording(monitor, other, cancelled, { error });
    deepEqual([compared, differences], ["outcome", []]);
  }
});

test("a flow whose caller waited is awake on other images too, and in its flow test", async () => {
  const flows = [
    { text: `to.out.send("on"); await sleep("15s"); return "rested";`, error: undefined },
    { text: `to.out.send("on"); await wait("x");`, error: { code: "MF_SLEEP_CALLER", message: "" } },
  ];
  for (const { text, error: expected } of flows) {
    const flow = `import { flow } from "mayfly"; export default flow(async (msg, { to, sleep, wait }) => { ${text} });`;
    const awake = await monitor.load(await imageOf(flow));
    const recorded = await record(monitor, awake, delivered(""), () => answer({}), [], true);
    const { failure, sleeps } = recordedOutcome(recorded, effectRules(recorded, undefined), expected);
    deepEqual([failure?.code, sleeps], [expected?.code, []]);
    const error = failure === undefined ? undefined : { code: failure.code, message: failure.message };
    const other = await monitor.load(await imageOf(`${flow}\nglobalThis.version = 2;`));
    const { differences, compared } = await replayRecording(monitor, other, recorded, { error });
    deepEqual([compared, differences], ["outcome", []]);
    const { remarks } = await recordedTest(recorded, { flow: "flow.ts", ran: { monitor, image: awake }, error });
    equal(remarks.length, 1, remarks.join("\n"));
  }
});
