/** Lives over several transactions in virtual time: what wakes a machine, in which order, what is committed, and what is not. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { after, before, test } from "node:test";
import { defaultFlowLimits, type Event, type StepOutcome } from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import { embeddedMonitor, type LoadedImage } from "#monitors";
import { type GivenSignal } from "./signals.ts";
import { replayLimits } from "./limits.ts";
import { Drive, type DriveOptions, type LifeEnd } from "./drive.ts";
import { answer, delivered, imageOf, startMs } from "./testing/record.ts";

const hour = 3_600_000;
const day = 24 * hour;

const source = `import { flow } from "mayfly";
export default flow(async (msg, { to, wait, sleep, state, approve, continueAs, log }) => {
  const { id, plan } = msg.json();
  state.set("seen", (state.get("seen") ?? 0) + 1);
  to.out.send({ begun: id });
  const steps = {
    async pay() {
      const paid = await wait("payment", { key: id, timeout: "2d" });
      to.out.send({ paid: paid?.json() ?? null, attempt: msg.attempt, seen: state.get("seen") }, { after: "1h" });
      state.set("seen", state.get("seen") + 1);
    },
    async nap() { await sleep("3h"); to.out.send("rested"); },
    async both() {
      const [a, b] = await Promise.all([wait("one", { timeout: "1d" }), wait("two", { timeout: "1d" })]);
      to.out.send([a?.text() ?? null, b?.text() ?? null]);
    },
    async pair() {
      const [a, b] = await Promise.all([wait("one", { timeout: "2d" }), wait("one", { timeout: "2d" })]);
      to.out.send([a?.text() ?? null, b?.text() ?? null]);
    },
    async twice() { to.out.send([(await wait("one")).id, (await wait("one")).id]); },
    async ask() { to.out.send({ chosen: await approve("Pay?", { options: ["yes", "no"], timeout: "1d" }) ?? null }); },
    async awake() {
      const first = await Promise.race([to.slow.request({}), wait("one")]);
      to.out.send(first.text());
      await sleep("1s");
    },
    async fail() { await wait("one"); to.out.send("void"); state.set("seen", 100); throw new Error("after the wait"); },
    async on() { await sleep("1d"); continueAs({ id, turn: 2 }); },
    async forever() { await wait("never"); },
  };
  for (const step of plan) await steps[step]();
});`;

const monitor = embeddedMonitor({ workers: 1 });
let image: LoadedImage;
before(async () => {
  image = await monitor.load(await imageOf(source, "life"));
});
after(() => monitor.close());

function signal(name: string, afterMs: number, body: unknown = "", key: string | undefined = undefined): GivenSignal {
  const bytes = toUtf8(typeof body === "string" ? body : JSON.stringify(body));
  return { id: `${name}@${afterMs / hour}h`, name, key, atMs: startMs + afterMs, headersJson: "{}", body: bytes };
}

interface Life {
  readonly end: LifeEnd;
  readonly drive: Drive;
  readonly sent: readonly unknown[];
  readonly outcomes: readonly StepOutcome[];
}

async function live(plan: readonly string[], signals: readonly GivenSignal[], more: Partial<DriveOptions> = {}): Promise<Life> {
  const deliver = delivered(JSON.stringify({ id: "4711", plan }), { key: "k" });
  const outcomes: StepOutcome[] = [];
  const drive = new Drive({
    deliver,
    headers: {},
    limits: defaultFlowLimits,
    rules: { name: "life", limits: defaultFlowLimits, outlets: undefined, retriesProgramErrors: false, sleepMostMs: 30 * day },
    answer: () => answer("slow", 20_000, { "content-type": "text/plain" }),
    signals,
    logged: () => undefined,
    stepped: (outcome) => void outcomes.push(outcome),
    ...more,
  });
  const end = await drive.run((event) => monitor.start(image, event, defaultFlowLimits));
  const sent = drive.sends.map(({ body, transaction }) => [transaction, textOrJson(fromUtf8(body))]);
  return { end, drive, sent, outcomes };
}

function textOrJson(text: string): unknown {
  return /^[[{]/.test(text) ? (JSON.parse(text) as unknown) : text;
}

test("a wait ends with its signal: the sends before it are committed, the state and the attempt are new after it, time has jumped", async () => {
  const { end, drive, sent } = await live(
    ["pay"],
    [signal("payment", hour, { amount: 12 }, "4711"), signal("payment", 2 * hour, "", "4712")],
  );
  equal(end.kind, "done");
  deepEqual(sent, [
    [1, { begun: "4711" }],
    [2, { paid: { amount: 12 }, attempt: 1, seen: 1 }],
  ]);
  equal(drive.sends[1]?.dueMs, startMs + 2 * hour, "a delayed send is due an hour after the step that sent it");
  deepEqual(drive.state, { seen: 2 });
  equal(drive.virtualMs, hour);
  deepEqual(
    drive.unclaimed.map(({ key }) => key),
    ["4712"],
  );
});

test("a signal that is received when the time of its wait is over stays kept; one a millisecond earlier wins", async () => {
  const late = await live(["pay"], [signal("payment", 2 * day, { amount: 1 }, "4711")]);
  deepEqual(late.sent[1], [2, { paid: null, attempt: 1, seen: 1 }]);
  equal(late.drive.unclaimed.length, 1);
  const early = await live(["pay"], [signal("payment", 2 * day - 1, { amount: 1 }, "4711")]);
  deepEqual(early.sent[1], [2, { paid: { amount: 1 }, attempt: 1, seen: 1 }]);
});

test("a signal that comes before its wait is kept as long as `early` says", async () => {
  const given = [signal("payment", hour, { amount: 1 }, "4711")];
  const kept = await live(["nap", "pay"], given, { earlyMs: 2 * hour });
  deepEqual(kept.sent.at(-1), [3, { paid: { amount: 1 }, attempt: 1, seen: 1 }]);
  equal(kept.drive.virtualMs, 3 * hour, "its wait ends as soon as it begins");
  const refused = await live(["nap", "pay"], given, { earlyMs: 0 });
  deepEqual(refused.sent.at(-1), [3, { paid: null, attempt: 1, seen: 1 }]);
  equal(refused.drive.virtualMs, 3 * hour + 2 * day);
});

test("the oldest signal goes to the oldest wait, one to each; a wait without a signal waits on", async () => {
  const { sent, drive } = await live(["both"], [signal("two", 2 * hour, "b"), signal("one", hour, "a"), signal("one", hour, "again")]);
  deepEqual(sent.at(-1), [3, ["a", "b"]]);
  equal(drive.unclaimed.length, 1);
  const pair = await live(["pair"], [signal("one", hour, "x")]);
  deepEqual(pair.sent.at(-1), [3, ["x", null]], "of two waits for one signal the first has it");
  const twice = await live(["twice"], [signal("one", 2 * hour), signal("one", hour)]);
  deepEqual(twice.sent.at(-1), [3, ["one@1h", "one@2h"]]);
});

test("a machine that is awake gets its signal while it waits for a call, and sleeps for no short time", async () => {
  const first = await live(["awake"], [signal("one", 5_000, "signal")]);
  deepEqual(first.sent.at(-1), [1, "signal"]);
  equal(first.drive.transactions.length, 1, "a call is open, and a second is no sleep");
  const second = await live(["awake"], [signal("one", 25_000, "signal")]);
  deepEqual(second.sent[1], [1, "slow"]);
  equal(second.drive.transactions.length, 2, "no call is open, and the wait that lost is: that is a sleep");
});

test("a failure after a wait voids its transaction and no other", async () => {
  const { end, sent, drive } = await live(["fail"], [signal("one", hour)]);
  ok(end.kind === "failed" && end.failure.message === "after the wait");
  deepEqual(sent, [[1, { begun: "4711" }]]);
  equal(drive.discardedSends, 1);
  deepEqual(drive.state, { seen: 1 });
});

test("an approval is a wait that a signal with its option ends", async () => {
  const { end, drive, sent } = await live(["ask"], [signal("approval", hour, { option: "no" })]);
  equal(end.kind, "done");
  deepEqual(sent.at(-1), [2, { chosen: "no" }]);
  deepEqual(JSON.parse(drive.transactions[0]?.asleep?.waits[0]?.questionJson ?? ""), { question: "Pay?", options: ["yes", "no"] });
});

test("a flow that continues as another message, and one that nothing wakes", async () => {
  const on = await live(["on"], []);
  ok(on.end.kind === "done" && on.end.next !== undefined);
  deepEqual(JSON.parse(fromUtf8(on.end.next.body)), { id: "4711", turn: 2 });
  const forever = await live(["forever"], [signal("other", hour)]);
  ok(forever.end.kind === "asleep");
  deepEqual(
    forever.end.waits.map(({ name, key, dueMs }) => [name, key, dueMs]),
    [["never", "k", undefined]],
  );
  deepEqual(forever.sent, [[1, { begun: "4711" }]], "what was sent before the sleep has left");
});

test("the time of a transaction is bounded, and the time of a life is not", async () => {
  const slow = await live(["awake"], [], { limits: { ...defaultFlowLimits, timeMs: 10_000 } });
  ok(slow.end.kind === "failed" && slow.end.failure.code === "MF_TIME_LIMIT");
  const patient = await live(["nap", "nap", "nap"], [], { limits: { ...defaultFlowLimits, timeMs: 10_000 } });
  equal(patient.end.kind, "done");
});

test("a machine that is made again from its events at each wake has the same effects, step by step", async () => {
  const plan = ["pay", "nap", "both", "ask", "twice", "on"];
  const signals = [
    signal("payment", hour, { amount: 3 }, "4711"),
    signal("one", day, "x"),
    signal("approval", 2 * day, { option: "yes" }),
    signal("one", 3 * day, "y"),
    signal("one", 4 * day, "z"),
  ];
  const alive = await live(plan, signals);
  let made = 0;
  const again = (events: readonly Event[]): ReturnType<typeof monitor.resume> => {
    made += 1;
    return monitor.resume(image, { events }, defaultFlowLimits);
  };
  const remade = await live(plan, signals, { again });
  equal(made, alive.drive.transactions.length - 1);
  ok(made >= 6);
  const effects = ({ outcomes }: Life): unknown => outcomes.map((outcome) => [outcome.status, outcome.effects]);
  deepEqual(effects(remade), effects(alive));
  deepEqual(remade.drive.transactions, alive.drive.transactions);
});

test("a life without an end is given up: each transaction counts its own steps", async () => {
  const waits = ({ kind, timeMs }: Event): Promise<StepOutcome> => {
    const effects = kind === "resume" ? [] : [{ kind: "timer" as const, timer: 1, dueMs: timeMs + hour }];
    return Promise.resolve({ status: "waiting", cpuMs: 0, effects });
  };
  const drive = new Drive({
    deliver: delivered(""),
    headers: {},
    limits: defaultFlowLimits,
    rules: { name: "life", limits: defaultFlowLimits, outlets: undefined, retriesProgramErrors: false, sleepMostMs: 30 * day },
    answer: () => answer(""),
    logged: () => undefined,
  });
  const end = await drive.run(() => ({ first: waits(delivered("")), step: waits, end: () => undefined }));
  equal(end.kind === "failed" && end.failure.code, "MF_STEP_LIMIT");
  equal(drive.steps, replayLimits.events);
});
