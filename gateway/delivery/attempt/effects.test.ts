/** Every rule of the interpreter, without a machine, a clock or a gateway. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { type CallEffect, defaultFlowLimits, type Effect, type FlowLimits, type LogEffect, type StepOutcome } from "#abi";
import { gatewayLimits } from "../../contract/limits.ts";
import type { OpenWait } from "../../contract/sleep.ts";
import { broken, done, fail, log, request, send, utf8 } from "../../testing/scripted.ts";
import { type AttemptEnd, type Cancel, type EffectHost, type EffectMessage, type EffectRules, Effects } from "./effects.ts";

class Host implements EffectHost {
  readonly logs: string[] = [];
  dropped = 0;
  readonly reserved: string[] = [];
  room: AttemptEnd | undefined;
  readonly calls: number[] = [];
  readonly timers: [number, number][] = [];
  readonly waits: number[] = [];
  readonly cancelled: string[] = [];

  log({ text }: LogEffect): void {
    this.logs.push(text);
  }
  logDropped(): void {
    this.dropped += 1;
  }
  reserve(use: string, bytes: number): AttemptEnd | undefined {
    this.reserved.push(`${use} ${bytes}`);
    return this.room;
  }
  call({ call }: CallEffect): Cancel {
    this.calls.push(call);
    return () => this.cancelled.push(`call ${call}`);
  }
  timer(timer: number, dueMs: number): Cancel {
    this.timers.push([timer, dueMs]);
    return () => this.cancelled.push(`timer ${timer}`);
  }
  wait({ wait }: OpenWait): Cancel {
    this.waits.push(wait);
    return () => this.cancelled.push(`wait ${wait}`);
  }
}

interface Given {
  readonly rules?: Partial<EffectRules>;
  readonly limits?: Partial<FlowLimits>;
  readonly message?: Partial<EffectMessage>;
}

function begin({ rules, limits, message }: Given = {}): { host: Host; effects: Effects } {
  const host = new Host();
  const flow = {
    name: "f",
    limits: { ...defaultFlowLimits, ...limits },
    outlets: ["a", "b"],
    retriesProgramErrors: false,
    sleepMostMs: 1e9,
    ...rules,
  };
  const effects = new Effects(flow, { key: "k", headers: {}, latin1Reply: false, callerWaits: false, ...message }, host);
  effects.began(1000);
  return { host, effects };
}

function step(...given: readonly Effect[]): StepOutcome {
  const last = given.at(-1)?.kind;
  return { status: last === "done" ? "done" : last === "fail" ? "failed" : "waiting", effects: given, cpuMs: 1 };
}

function failureOf(end: AttemptEnd | undefined): string {
  ok(end?.kind === "failed", JSON.stringify(end));
  return `${end.failure.code}: ${end.failure.message}`;
}

const timer = (number: number, dueMs: number): Effect => ({ kind: "timer", timer: number, dueMs });
const state = (name: string, valueJson: string | undefined): Effect => ({ kind: "state", name, valueJson });
const many = (count: number, make: (index: number) => Effect): Effect[] => Array.from({ length: count }, (_, index) => make(index));

test("a flow that is done gives its reply, with 200 where it named no status, and its sends in order", () => {
  const { host, effects } = begin();
  const end = effects.outcome(step(send("a", "1", "x"), send("b", "22"), state("n", "1"), done("hi", 0)));
  deepEqual(end, { kind: "done", reply: { status: 200, contentType: "text/plain", headers: {}, body: utf8("hi") } });
  deepEqual(
    effects.sends.map(({ outlet, key, body }) => [outlet, key, body.length]),
    [
      ["a", "x", 1],
      ["b", undefined, 2],
    ],
  );
  deepEqual(effects.stateChanges, [{ name: "n", valueJson: "1" }]);
  deepEqual(host.reserved, ["send 1", "send 2", "reply 2"]);
});

test("nothing counts after the end but logs", () => {
  const { host, effects } = begin();
  effects.outcome(step(done(), send("a", "late"), log("in the same step")));
  effects.began(1000);
  const end = effects.outcome(step(send("a", "later"), log("in another"), fail("MINE")));
  equal(end?.kind, "done");
  deepEqual([effects.sends.length, host.logs], [0, ["in the same step", "in another"]]);
});

test("log lines beyond limits.logBytes are dropped, one by one", () => {
  const { host, effects } = begin({ limits: { logBytes: 10 } });
  effects.outcome(step(log("12345"), log("12345"), log("1"), done()));
  deepEqual([host.logs.length, host.dropped], [2, 1]);
});

const refused: Readonly<Record<string, readonly [Given, readonly Effect[], RegExp]>> = {
  "a send to an outlet it does not have": [
    {},
    [send("c", "x")],
    /^MF_OUTLET_UNKNOWN: the flow f has no outlet "c" .*it has a, b.*flows\.f\.to/,
  ],
  "one send too many": [
    { limits: { sends: 2 } },
    [send("a", ""), send("a", ""), send("a", "")],
    /^MF_EFFECT_LIMIT: .*more than 2 messages/,
  ],
  "more bytes than it may send": [
    {},
    [
      { ...send("a", ""), body: new Uint8Array(gatewayLimits.sendBytesPerMessage) } as Effect,
      { ...send("a", ""), body: new Uint8Array(1) } as Effect,
    ],
    /^MF_EFFECT_LIMIT: .*more than 67108864 bytes/,
  ],
  "malformed headers": [{}, [{ ...send("a", "x"), headersJson: '{"a b":"c"}' } as Effect], /^MF_HEADER_INVALID: a send to a: /],
  "another message's stored body": [
    {},
    [{ ...send("a", ""), headersJson: '{"mayfly-claim":"x"}' } as Effect],
    /^MF_CLAIM_FORBIDDEN: a send/,
  ],
  "state without a key": [{ message: { key: undefined } }, [state("n", "1")], /^MF_STATE_NO_KEY: .*flows\.f\.key.*--key/],
  "state that is not JSON": [{}, [state("n", "{")], /^MF_MACHINE_LIED: .*the state "n" is not JSON/],
  "a change of the state too many": [
    {},
    many(gatewayLimits.callsPerMessage + 1, (n) => state(`${n}`, undefined)),
    /^MF_EFFECT_LIMIT: .*its state more than 10000 times/,
  ],
  "a call number twice": [{}, [request(1, "a"), request(1, "a")], /^MF_MACHINE_LIED: .*call 1 is already open/],
  "a call too many at once": [
    {},
    many(gatewayLimits.openCallsPerMachine + 1, (n) => request(n, "a")),
    /^MF_CALL_LIMIT: the flow has more than 256 calls open/,
  ],
  "a timer too many at once": [
    {},
    many(gatewayLimits.openTimersPerMachine + 1, (n) => timer(n, 5)),
    /^MF_CALL_LIMIT: the flow has more than 512 timers open/,
  ],
  "a reply with a header that HTTP can't carry": [
    { message: { latin1Reply: true } },
    [{ kind: "done", reply: { status: 200, contentType: "", headersJson: '{"x":"€"}', body: utf8("") } }],
    /^MF_HEADER_INVALID: the reply: /,
  ],
  "a reply with a status there is not": [{}, [done("x", 199)], /^MF_MACHINE_LIED: .*status 199/],
};
for (const [name, [given, effects, expected]] of Object.entries(refused))
  test(`refused: ${name}`, () => match(failureOf(begin(given).effects.outcome(step(...effects))), expected));

test("what is just within a limit passes", () => {
  const { host, effects } = begin({ limits: { sends: 2 } });
  const allowed = [
    ...many(2, () => ({ ...send("a", ""), body: new Uint8Array(gatewayLimits.sendBytesPerMessage / 2) }) as Effect),
    ...many(gatewayLimits.callsPerMessage, (n) => state(`${n}`, undefined)),
    ...many(gatewayLimits.openCallsPerMachine, (n) => request(n, "a")),
    ...many(gatewayLimits.openTimersPerMachine, (n) => timer(n, 5)),
  ];
  equal(effects.outcome(step(...allowed)), undefined);
  deepEqual([effects.sends.length, host.calls.length, host.timers.length], [2, 256, 512]);
});

test("over all its steps a flow makes no more than 10,000 calls", () => {
  const { effects } = begin();
  let end: AttemptEnd | undefined;
  let calls = 0;
  for (; end === undefined; calls += 1) {
    end = effects.outcome(step(request(calls, "a")));
    effects.answered(calls);
    effects.began(1000);
  }
  equal(calls, gatewayLimits.callsPerMessage + 1);
  match(failureOf(end), /^MF_CALL_LIMIT: the flow made more than 10000 calls/);
});

test("a flow that steps without end is ended", () => {
  const { effects } = begin();
  let end: AttemptEnd | undefined;
  while (end === undefined) {
    end = effects.outcome(step(timer(1, 5)));
    effects.began(1000);
  }
  match(failureOf(end), /^MF_STEP_LIMIT: .*more than 100000 steps/);
  equal(effects.steps, gatewayLimits.stepsPerMessage + 1);
});

test("a flow stalls once nothing is open and no event is on its way", () => {
  const { effects } = begin();
  equal(effects.outcome(step(request(1, "a"), timer(1, 5))), undefined);
  effects.answered(1);
  effects.began(1000);
  effects.woke(1);
  effects.began(1000);
  equal(effects.outcome(step()), undefined, "the timer's event is on its way");
  match(failureOf(effects.outcome(step())), /^MF_FLOW_STALLED/);
});

test("a timer that is set again replaces itself, and one below 0 is taken back", () => {
  const { host, effects } = begin();
  effects.outcome(step(timer(1, 5), timer(1, 9), timer(2, 7), timer(1, -1)));
  deepEqual(host.timers, [
    [1, 5],
    [1, 9],
    [2, 7],
  ]);
  deepEqual(host.cancelled, ["timer 1", "timer 1"]);
});

test("the end takes back what is open", () => {
  const { host, effects } = begin();
  effects.outcome(step(request(1, "a"), request(2, "a"), timer(3, 5)));
  effects.answered(1);
  match(failureOf(effects.outOfTime()), /^MF_TIME_LIMIT/);
  deepEqual(host.cancelled, ["call 2", "timer 3"]);
  equal(effects.stop({ kind: "done", reply: undefined }).kind, "failed", "the first end counts");
});

test("without room the attempt ends as the host says, and nothing of it is collected", () => {
  for (const effect of [send("a", "x"), request(1, "a", "x"), done("x")]) {
    const { host, effects } = begin();
    host.room = { kind: "unstarted", closing: false, code: "MF_MEMORY_BUSY" };
    deepEqual(effects.outcome(step(effect)), host.room);
    deepEqual([effects.sends.length, host.calls.length], [0, 0]);
  }
});

test("a step whose status and last effect differ is a lie", () => {
  match(failureOf(begin().effects.outcome({ status: "done", effects: [], cpuMs: 0 })), /^MF_MACHINE_LIED: .*status is done/);
  match(failureOf(begin().effects.outcome({ status: "failed", effects: [send("a", "")], cpuMs: 0 })), /^MF_MACHINE_LIED/);
});

test("a machine that broke: a busy monitor is no attempt, time has its status, workers are counted", () => {
  const endOf = (outcome: StepOutcome): AttemptEnd | undefined => begin().effects.outcome(outcome);
  deepEqual(endOf(broken("MF_MONITOR_BUSY")), { kind: "unstarted", closing: false, code: "MF_MONITOR_BUSY" });
  deepEqual(endOf(broken("MF_MONITOR_CLOSED")), { kind: "unstarted", closing: true, code: "MF_MONITOR_BUSY" });
  const trap = endOf({ status: "broken", effects: [], cpuMs: 0, failure: { code: "MF_TIME_LIMIT", message: "late", workersLost: 1 } });
  ok(trap?.kind === "failed");
  deepEqual([trap.failure.status, trap.failure.retry, trap.failure.workersLost], [504, true, 1]);
  match(failureOf(begin().effects.lost(new Error("gone"))), /^MF_MACHINE_LOST: .*gone/);
});

test("a failure passes the blame of the call it comes from, unless the flow gives a status", () => {
  const failed = (effect: Effect, given: Given = {}): unknown[] => {
    const { effects } = begin(given);
    effects.outcome(step(request(1, "a")));
    effects.answered(1, { code: "MF_GONE", blame: { origin: "peer", status: 503, unreached: true } });
    effects.began(1000);
    const end = effects.outcome(step(effect));
    ok(end?.kind === "failed");
    const { origin, status, retry, unreached } = end.failure;
    return [origin, status, retry, unreached];
  };
  deepEqual(failed(fail("MF_GONE")), ["peer", 503, true, true]);
  deepEqual(failed(fail("MF_GONE", "no", true, 409)), ["flow", 409, true, undefined]);
  deepEqual(failed(fail("OTHER")), ["flow", 0, true, undefined]);
  deepEqual(failed(fail("MF_RESPONSE_INVALID")), ["peer", 502, true, undefined]);
  deepEqual(failed(fail("MF_MESSAGE_INVALID", "no", false, 400)), ["caller", 400, false, undefined]);
});

test("an error of the flow's program is tried again only where the flow says so", () => {
  const flaw = { ...fail("TypeError", "no", false), flaw: true } as Effect;
  for (const retriesProgramErrors of [false, true]) {
    const end = begin({ rules: { retriesProgramErrors } }).effects.outcome(step(flaw));
    equal(end?.kind === "failed" && end.failure.retry, retriesProgramErrors);
  }
});

test("without a mayfly.yaml every outlet is there", () => {
  equal(begin({ rules: { outlets: undefined } }).effects.outcome(step(send("any", "x"), done()))?.kind, "done");
});

test("a question for an outlet that the flow has not fails; for one that it has, or for nobody, it is a wait", () => {
  const ask = (to: string | undefined, rules: Partial<EffectRules> = {}): string => {
    const questionJson = JSON.stringify({ question: "Pay?", options: ["yes"], to });
    const wait: Effect = { kind: "wait", wait: 1, name: "approval", key: "m/1", dueMs: -1, questionJson };
    const end = begin({ rules }).effects.outcome(step(wait));
    return end?.kind === "failed" ? end.failure.code : (end?.kind ?? "goes on");
  };
  equal(ask("a"), "asleep");
  equal(ask(undefined), "asleep");
  equal(ask("nobody"), "MF_OUTLET_UNKNOWN");
  equal(ask("nobody", { outlets: undefined }), "asleep");
});

test("what a machine slept on is opened again, also beyond today's longest sleep", () => {
  const { host, effects } = begin({ rules: { sleepMostMs: 5000 } });
  effects.resume({ waits: [], timers: [{ timer: 1, dueMs: 1_000_000 }] });
  deepEqual([effects.end, host.timers], [undefined, [[1, 1_000_000]]]);
  match(failureOf(effects.outcome(step(timer(2, 1_000_000)))), /^MF_SLEEP_LIMIT/);
});
