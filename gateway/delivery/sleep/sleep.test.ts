/** From a flow's `wait` through a real machine to the journal in memory, and on from there. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type DeliverEvent, defaultFlowLimits, type Event, type StepOutcome } from "#abi";
import { fromUtf8, memoryBudget, toUtf8 } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor, type LoadedImage } from "#monitors";
import { decodeRecording } from "#abi";
import { type EffectHost, Effects } from "../attempt/effects.ts";
import { AttemptNotes } from "../attempt/notes.ts";
import { earliestDueMs, type OpenWait } from "../../contract/sleep.ts";
import type { KeptSignal } from "../../journal/journal.ts";
import { inTime } from "./signals.ts";
import { pastOf, sleeperOf } from "./sleeper.ts";

const source = `import { flow } from "mayfly";
export default flow(async (msg, { to, wait, sleep, state, log }) => {
  const order = msg.json();
  class Basket { constructor(lines) { this.lines = lines; } get count() { return this.lines.length; } }
  const basket = new Basket(order.lines);
  to.stock.send({ reserve: order.lines });
  const payment = await Promise.race([wait("payment", { key: order.id, timeout: "2d" }), wait("cancelled")]);
  if (payment === undefined) { to.stock.send({ release: basket.count }); return; }
  await sleep("3h");
  to.billing.send({ order: order.id, paid: payment.json().amount, lines: basket.count, attempt: msg.attempt, seen: state.get("seen") ?? null });
});`;

const monitor = embeddedMonitor({ workers: 1 });
let folder = "";
let image: LoadedImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-sleep-"));
  await writeFile(join(folder, "saga.ts"), source);
  image = await monitor.load((await buildImage(join(folder, "saga.ts"), { check: false })).image);
});
after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

const host: EffectHost = {
  log: () => undefined,
  logDropped: () => undefined,
  reserve: () => undefined,
  call: () => () => undefined,
  timer: () => () => undefined,
  wait: () => () => undefined,
};
const rules = { name: "saga", limits: defaultFlowLimits, outlets: undefined, retriesProgramErrors: false, sleepMostMs: 30 * 86_400_000 };
const message = { key: undefined, headers: {}, latin1Reply: false, callerWaits: false };
const startMs = Date.UTC(2026, 0, 2);
const deliver: DeliverEvent = {
  kind: "deliver",
  timeMs: startMs,
  seed: new Uint8Array(32),
  id: "m1",
  source: "http",
  attempt: 1,
  key: undefined,
  headersJson: "{}",
  stateJson: undefined,
  body: toUtf8('{"id":"4711","lines":[1,2]}'),
};
const shown = (effects: Effects): unknown[] => effects.sends.map(({ outlet, body }) => [outlet, JSON.parse(fromUtf8(body))]);
const machineOf = { flow: "saga", limits: defaultFlowLimits, sleepMostMs: rules.sleepMostMs };

/** As of now: an end that was absent does not stay so. */
const endOf = (effects: Effects): Effects["end"] => effects.end;

async function give(effects: Effects, event: Event, run: () => Promise<StepOutcome>): Promise<void> {
  effects.began(event.timeMs);
  effects.outcome(await run());
}

test("a wait ends its transaction; the machine goes on from its events, with all its memory, and sends what comes after", async () => {
  const first = new Effects(rules, message, host);
  const begun = monitor.start(image, deliver);
  await give(first, deliver, () => begun.first);
  ok(first.end?.kind === "asleep");
  deepEqual(shown(first), [["stock", { reserve: [1, 2] }]]);
  deepEqual(
    first.end.waits.map(({ name, key, dueMs }) => [name, key, dueMs]),
    [
      ["payment", "4711", startMs + 2 * 86_400_000],
      ["cancelled", "m1", undefined],
    ],
  );
  const events: Event[] = [...begun.events];
  begun.end();
  const sleeper = sleeperOf({ ...machineOf, imageSha256: image.sha256, events, steps: [], nowMs: startMs, transactions: 0 }, first.end);
  equal(sleeper.dueMs, startMs + 2 * 86_400_000);
  deepEqual(pastOf(sleeper).deliver, deliver);

  const second = new Effects(rules, message, host);
  const past = pastOf(sleeper);
  const resumed: Event = { kind: "resume", timeMs: startMs + 1000, attempt: 2, stateJson: undefined };
  const again = monitor.resume(image, { events: [past.deliver, ...past.events, resumed] });
  second.began(resumed.timeMs);
  second.resume(sleeper);
  const wait = sleeper.waits[0]?.wait ?? 0;
  second.signalled(wait);
  const paid: Event = { kind: "signal", timeMs: startMs + 1000, wait, id: "s1", headersJson: "{}", body: toUtf8('{"amount":12}') };
  second.began(paid.timeMs);
  second.outcome(await again.first);
  equal(endOf(second), undefined, "it has not slept before the signal was given");
  second.outcome(await again.step(paid));
  ok(second.end?.kind === "asleep");
  deepEqual(shown(second), []);
  deepEqual(
    second.end.timers.map(({ dueMs }) => dueMs),
    [startMs + 1000 + 3 * 3_600_000],
  );
  equal(second.end.waits.length, 1, "the wait that lost the race is still open");

  const third = new Effects(rules, message, host);
  const dueMs = startMs + 1000 + 3 * 3_600_000;
  const awake: Event = { kind: "resume", timeMs: dueMs, attempt: 1, stateJson: '{"seen":7}' };
  const last = monitor.resume(image, { events: [...again.events, awake] });
  again.end();
  third.began(dueMs);
  third.resume(second.end);
  third.woke(second.end.timers[0]?.timer ?? 0);
  third.began(dueMs);
  third.outcome(await last.first);
  third.outcome(await last.step({ kind: "wake", timeMs: dueMs, timer: second.end.timers[0]?.timer ?? 0 }));
  ok(third.end?.kind === "done", JSON.stringify(third.end));
  deepEqual(shown(third), [["billing", { order: "4711", paid: 12, lines: 2, attempt: 1, seen: 7 }]]);
});

test("a flow whose caller waits can't wait durably, and a wait beyond the longest sleep is refused", async () => {
  const waiting = new Effects(rules, { ...message, callerWaits: true }, host);
  await give(waiting, deliver, () => monitor.start(image, deliver).first);
  ok(waiting.end?.kind === "failed" && waiting.end.failure.code === "MF_SLEEP_CALLER");
  const short = new Effects({ ...rules, sleepMostMs: 86_400_000 }, message, host);
  await give(short, deliver, () => monitor.start(image, deliver).first);
  ok(short.end?.kind === "failed" && short.end.failure.code === "MF_SLEEP_LIMIT", JSON.stringify(short.end));
});

test("a recording that can't be read back says so", () => {
  equal(decodeRecording(new Uint8Array(3)).ok, false);
  const sleeper = { imageSha256: "", waits: [], timers: [], sinceMs: 0, dueMs: 0, transactions: 1, recording: new Uint8Array(3) };
  let code = "";
  try {
    pastOf(sleeper);
  } catch (error) {
    code = (error as { code: string }).code;
  }
  equal(code, "MF_SLEEPER_DAMAGED");
});

test("a signal is in time before the end of its wait, not at it", () => {
  const until = (dueMs: number | undefined, receivedMs: number): boolean => inTime({ dueMs } as OpenWait, { receivedMs } as KeptSignal);
  deepEqual([until(10, 9), until(10, 10), until(10, 11), until(undefined, 11)], [true, false, false, true]);
});

test("a sleeper is due when the first of its waits and timers ends, at the latest date only where none ends by itself", () => {
  const endless: OpenWait = { wait: 1, name: "n", key: "k", dueMs: undefined, questionJson: undefined };
  equal(earliestDueMs({ waits: [endless], timers: [] }, 10), 10);
  equal(earliestDueMs({ waits: [endless, { ...endless, dueMs: 40 }], timers: [{ timer: 1, dueMs: 30 }] }, 10), 30);
});

test("the notes of a machine whose past answers were left out have each new answer at its event's place", () => {
  const notes = new AttemptNotes(memoryBudget(1000).part("notes"));
  const [wake, resume] = [
    { kind: "wake", timeMs: startMs, timer: 1 },
    { kind: "resume", timeMs: startMs, attempt: 1, stateJson: undefined },
  ] as const;
  notes.continued({
    imageSha256: "",
    flow: "f",
    limits: defaultFlowLimits,
    deliver,
    events: [resume, wake],
    steps: [],
    redaction: undefined,
  });
  notes.event(resume);
  notes.step({ status: "done", effects: [{ kind: "done", reply: undefined }], cpuMs: 7 });
  const noted = { flow: {}, work: { attempt: 1 }, startedMs: startMs, logs: [] } as unknown as Parameters<typeof notes.witnessed>[0];
  const { events, steps, leftOut } = notes.witnessed(noted, startMs, undefined, undefined);
  deepEqual([events.length, steps.map(({ cpuMs }) => cpuMs), leftOut, notes.wholeSteps], [3, [0, 0, 0, 7], true, []]);
});

test("a sleeper keeps its events, and answers as far as they fit; with too many bytes of events it is refused before they are encoded", () => {
  const large = new Uint8Array(17 * 2 ** 20);
  const answer: StepOutcome = {
    status: "waiting",
    effects: [{ kind: "send", outlet: "out", key: undefined, contentType: "", headersJson: "{}", body: large }],
    cpuMs: 0,
  };
  const steps = [{ ...answer, pages: 0, failure: undefined }];
  const machine = { ...machineOf, imageSha256: image.sha256, events: [deliver], steps, nowMs: startMs, transactions: 0 };
  const past = pastOf(sleeperOf(machine, { waits: [], timers: [] }));
  deepEqual([past.deliver, past.steps], [deliver, []]);
  const small = [{ ...answer, effects: [], pages: 0, failure: undefined }];
  equal(pastOf(sleeperOf({ ...machine, steps: small }, { waits: [], timers: [] })).steps.length, 1);
  const signal: Event = { kind: "signal", timeMs: startMs, wait: 1, id: "s", headersJson: "{}", body: large };
  for (const signals of [1, 20]) {
    const events = [deliver, ...Array.from({ length: signals }, () => signal)];
    throws(() => sleeperOf({ ...machine, events }, { waits: [], timers: [] }), { code: "MF_SLEEPER_TOO_LARGE" });
  }
});
