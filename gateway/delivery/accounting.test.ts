/** Memory that a message holds while it is worked on is all given back, its end is counted once, and the limits of a flow are met exactly. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import type { Effect } from "#abi";
import { gatewayLimits } from "../contract/limits.ts";
import { type GatewayMemory } from "../contract/memory.ts";
import { gatewayMemory } from "../memory/budget.ts";
import type { Failure, Incoming } from "../contract/message.ts";
import { logOutlet } from "../../connectors/log/outlet.ts";
import type { OutletDefinition } from "../contract/outlet.ts";
import { directSource } from "../../connectors/direct/source.ts";
import type { Accept, SourceDefinition } from "../contract/source.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { broken, done, fail, request, type Script, send, utf8 } from "../testing/scripted.ts";

/** An outlet that answers every request with 1000 bytes. */
const answering: OutletDefinition = {
  ...(logOutlet as OutletDefinition),
  create: () => ({
    send: async () => undefined,
    request: async () => ({ status: 200, contentType: "", headers: {}, body: new Uint8Array(1000) }),
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "" }),
  }),
};

/** A source whose `accept` the test calls. */
function givenSource(): { readonly definition: SourceDefinition; readonly accept: () => Accept } {
  let accept: Accept | undefined;
  const definition = {
    ...directSource,
    create: () => ({
      start: async (given: Accept) => void (accept = given),
      stop: async () => undefined,
      health: () => ({ ready: true, detail: "" }),
    }),
  };
  return { definition, accept: () => accept as Accept };
}

interface Tried extends Rig {
  readonly memory: GatewayMemory;
  readonly accept: Accept;
}

async function withFlow(script: Script, run: (tried: Tried) => Promise<void>, more = ""): Promise<void> {
  const memory = gatewayMemory(2 ** 28);
  const { definition, accept } = givenSource();
  const yaml = `flows: { f: { image: f.mfi, from: [ { direct: {} } ], to: { out: { log: {} } }, retry: { attempts: 3, backoff: 1ms..2ms } ${more} } }`;
  const ports = { memory, connectors: { sources: [definition], outlets: [answering] } };
  await withGateway(yaml, { f: script }, (rig) => run({ ...rig, memory, accept: accept() }), { ports });
}

const incoming = (more: Partial<Incoming> = {}): Incoming => ({
  headers: {},
  contentType: "",
  body: utf8("x".repeat(500)),
  replyWanted: true,
  keeper: "source",
  ...more,
});

const asks = (event: { readonly kind: string }): readonly Effect[] => (event.kind === "deliver" ? [request(1, "out")] : [done("fine")]);

const taken = ({ messages, longMessages, answers, sends }: GatewayMemory): readonly number[] => [
  messages.takenBytes + longMessages.takenBytes,
  answers.takenBytes,
  sends.takenBytes,
];

test("a message's body and the answers it got count until its end", async () => {
  const seen: (readonly number[])[] = [];
  let memory: GatewayMemory | undefined;
  const script: Script = (event) => {
    if (memory !== undefined) seen.push(taken(memory));
    return asks(event);
  };
  await withFlow(script, async (tried) => {
    memory = tried.memory;
    equal((await tried.accept(incoming())).status, "done");
    const message = 500 + gatewayLimits.messageBytes;
    deepEqual(seen, [
      [message, 0, 0],
      [message, 1000, 0],
    ]);
    await until(() => taken(tried.memory).every((bytes) => bytes === 0));
  });
});

test("of a message that its source keeps nothing is lost with its end: the message it goes on as runs, a signal it took is gone", async () => {
  const waiting: Effect = { kind: "wait", wait: 1, name: "paid", key: "k", dueMs: -1, questionJson: undefined };
  const script: Script = (event, memory) => {
    if (event.kind === "signal") memory.set("paid", true);
    if (event.kind === "resolve") return memory.get("paid") === true ? [done()] : [fail("E_EARLY", "no", false)];
    if (event.kind !== "deliver") return [];
    const body = Buffer.from(event.body).toString();
    if (body === "last") return [done()];
    if (body === "first") return [{ kind: "continue", contentType: "", headersJson: "{}", body: utf8("last") }];
    return [waiting, request(1, "out")];
  };
  await withFlow(script, async ({ accept, gateway, journal, runner }) => {
    equal((await accept(incoming({ replyWanted: false, body: utf8("first") }))).status, "done");
    await until(() => runner.delivered.length === 2);
    await gateway.sleepers.signal({ flow: "f", name: "paid", key: "k", source: "t", headers: {}, contentType: "", body: utf8("") });
    equal((await accept(incoming({ replyWanted: false, body: utf8("takes") }))).status, "done");
    deepEqual([journal.stats().signals, journal.stats().pending], [0, 0]);
  });
});

test("signals, and machines that fall asleep, count while they are written, and a signal while its machine is awake", async () => {
  const signal = { flow: "f", name: "paid", key: "k", source: "t", headers: {}, contentType: "", body: new Uint8Array(100_000) };
  let seen: (readonly number[])[] = [];
  let memory: GatewayMemory | undefined;
  const look = (): void => void (memory !== undefined && seen.push(taken(memory)));
  const script: Script = (event) => {
    if (event.kind === "signal") look();
    if (event.kind === "deliver") return [{ kind: "wait", wait: 1, name: "paid", key: "k", dueMs: -1, questionJson: undefined }];
    return event.kind === "resume" ? [] : [done()];
  };
  await withFlow(script, async (tried) => {
    const { gateway, journal, accept } = tried;
    memory = tried.memory;
    const [complete, keepSignal] = [journal.complete.bind(journal), journal.keepSignal.bind(journal)];
    journal.complete = (...given) => (look(), complete(...given));
    journal.keepSignal = (...given) => (look(), keepSignal(...given));
    await accept(incoming({ replyWanted: false }));
    const [, , recordedBytes = 0] = seen[0] ?? [];
    ok(recordedBytes > 500, `${recordedBytes}`);
    memory.messages.force(memory.messages.roomBytes);
    const refused = await gateway.sleepers.signal(signal);
    ok(refused.status === "refused" && refused.code === "MF_MEMORY_BUSY" && !refused.final);
    memory.messages.give(memory.messages.takenBytes);
    seen = [];
    await gateway.sleepers.signal(signal);
    await until(() => seen.length === 3);
    deepEqual(seen[0], [signal.body.length + gatewayLimits.messageBytes, 0, 0]);
    equal(seen[1]?.[1], signal.body.length);
    await until(() => taken(tried.memory).every((bytes) => bytes === 0));
  });
});

test("however much long messages hold, there is room for short ones", async () => {
  const size = 100_000;
  await withFlow(
    () => [done()],
    async ({ accept, memory }) => {
      let held = 0;
      while (memory.longMessages.tryTake(size)) held += size;
      ok(held > memory.intake.mostBytes * 0.7 && memory.messages.roomBytes > memory.intake.mostBytes * 0.2);
      const long = incoming({ body: new Uint8Array(size) });
      const outcome = await accept(long);
      ok(outcome.status === "refused" && outcome.code === "MF_MEMORY_BUSY");
      equal((await accept(incoming())).status, "done");
      memory.longMessages.give(held);
      equal((await accept(long)).status, "done");
      deepEqual(taken(memory), [0, 0, 0]);
    },
  );
});

test("memory is reserved while a machine is read from the journal; the first is read alone, and one is woken however little there is", async () => {
  const script: Script = ({ kind, ...event }) =>
    kind === "deliver" && "id" in event
      ? [{ kind: "wait", wait: 1, name: "paid", key: String(event.id), dueMs: -1, questionJson: undefined }]
      : kind === "resume"
        ? []
        : [done()];
  await withFlow(script, async ({ gateway, journal, accept, memory: { messages } }) => {
    const give = (key: string): unknown =>
      gateway.sleepers.signal({ flow: "f", name: "paid", key, source: "t", headers: {}, contentType: "", body: utf8("") });
    const longBytes = 5_000_000;
    const sizes = { a: longBytes, b: 5, c: 5, d: 5, e: 5 };
    for (const [id, bytes] of Object.entries(sizes)) await accept(incoming({ id, replyWanted: false, body: new Uint8Array(bytes) }));
    const wake = journal.wake.bind(journal);
    let open = (): void => undefined;
    let waking: number[] = [];
    const gate = (): void => {
      const opened = new Promise<void>((resolve) => (open = resolve));
      waking = [];
      journal.wake = async (sequence) => {
        waking.push(messages.takenBytes);
        await opened;
        return wake(sequence);
      };
    };
    gate();
    for (const id of ["a", "b", "c"]) await give(id);
    equal(waking.length, 1);
    open();
    await until(() => journal.stats().sleepers === 2);
    await until(() => messages.takenBytes === 0);
    gate();
    await give("d");
    ok((waking[0] ?? 0) > longBytes, String(waking));
    open();
    await until(() => journal.stats().sleepers === 1 && messages.takenBytes === 0);
    messages.force(messages.roomBytes - longBytes / 5);
    await give("e");
    await until(() => journal.stats().sleepers === 0);
  });
});

test("a message that was set aside is a dead letter without a run, and holds memory until it is one", async () => {
  const failure: Failure = { origin: "peer", code: "MF_MESSAGE_SET_ASIDE", message: "twice", status: 0, retry: false };
  await withFlow(asks, async ({ accept, memory, runner, deadLetters, url }) => {
    const outcome = accept(incoming({ replyWanted: false, setAside: failure }));
    equal(memory.messages.takenBytes, 500 + gatewayLimits.messageBytes);
    const { id, ...told } = await outcome;
    deepEqual(told, { status: "dead", failure, kept: true });
    ok(id?.startsWith("mf-"));
    deepEqual([runner.delivered.length, await deadLetters.count("f"), memory.messages.takenBytes], [0, 1, 0]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    match(metrics, /mayfly_flow_dead_total\{flow="f"\} 1/);
    match(metrics, /mayfly_flow_failures_total\{flow="f",code="MF_MESSAGE_SET_ASIDE"\} 1/);
  });
});

test("failed attempts count by code, and what the flow may not do has one attempt only", async () => {
  const failing: Readonly<Record<string, readonly Effect[]>> = {
    MF_MINE: [fail("MF_MINE")],
    MF_OUTLET_UNKNOWN: [{ ...request(1, "x"), kind: "send", outlet: "x", key: undefined } as Effect, done()],
  };
  let code = "MF_MINE";
  await withFlow(
    () => failing[code] ?? [],
    async ({ accept, url, deadLetters, runner, memory }) => {
      for (const [name, attempts] of [
        ["MF_MINE", 3],
        ["MF_OUTLET_UNKNOWN", 1],
      ] as const) {
        code = name;
        const before = runner.delivered.length;
        equal((await accept(incoming({ replyWanted: false }))).status, "dead");
        equal(runner.delivered.length - before, attempts, name);
        match(
          await (await fetch(`${url}/metrics`)).text(),
          new RegExp(`mayfly_flow_failures_total\\{flow="f",code="${name}"\\} ${attempts}`),
        );
      }
      equal(await deadLetters.count("f"), 2);
      deepEqual(taken(memory), [0, 0, 0]);
    },
  );
});

test("who sends a message again while it runs gets its outcome: a duplicate of what is done, and otherwise the same failure", async () => {
  for (const [effects, statuses] of [
    [[done("fine")], ["done", "duplicate", "duplicate"]],
    [[fail("MF_MINE", "no", false)], ["dead", "dead", "dead"]],
  ] as const) {
    await withFlow(
      () => effects,
      async ({ accept, runner, memory }) => {
        const outcomes = await Promise.all(["7", "7", "7"].map((id) => accept(incoming({ id, replyWanted: false }))));
        deepEqual(
          outcomes.map(({ status }) => status),
          statuses,
        );
        ok(outcomes.every((outcome) => "id" in outcome && outcome.id === outcomes[0]?.id));
        equal(runner.delivered.length, 1);
        equal(memory.messages.takenBytes, 0);
      },
      ", dedup: { window: 1m }",
    );
  }
});

/** Effects of the first step by what there may be at most of them, and the code where there is one more. */
const bounded: Readonly<Record<string, { readonly most: number; readonly code: string; readonly effect: (n: number) => Effect }>> = {
  "calls open at once": { most: 256, code: "MF_CALL_LIMIT", effect: (n) => request(n, "out") },
  "timers open at once": {
    most: 512,
    code: "MF_CALL_LIMIT",
    effect: (timer) => ({ kind: "timer", timer, dueMs: Number.MAX_SAFE_INTEGER }),
  },
  sends: { most: 100, code: "MF_EFFECT_LIMIT", effect: () => send("out", "x") },
  "changes of its state": {
    most: 10_000,
    code: "MF_EFFECT_LIMIT",
    effect: (n) => ({ kind: "state", name: `${n % 10}`, valueJson: "1" }),
  },
};
for (const [name, { most, code, effect }] of Object.entries(bounded)) {
  test(`a flow has as many ${name} as it may, and fails with one more`, async () => {
    let count = most;
    const script: Script = (event) => {
      if (event.kind !== "deliver") return [done("fine")];
      const effects = Array.from({ length: count }, (_, n) => effect(n));
      return name.startsWith("calls") ? effects : [...effects, name.startsWith("timers") ? request(0, "out") : done("fine")];
    };
    await withFlow(
      script,
      async ({ accept, memory }) => {
        equal((await accept(incoming({ key: "k" }))).status, "done");
        count = most + 1;
        const outcome = await accept(incoming({ key: "k" }));
        ok(outcome.status === "dead", outcome.status);
        equal(outcome.failure.code, code);
        await until(() => memory.messages.takenBytes === 0 && memory.answers.takenBytes === 0);
      },
      ", limits: { sends: 100 }",
    );
  });
}

test("a message that the monitor has no room for is refused where its caller waits, and else comes again, without an attempt", async () => {
  let busy = true;
  await withFlow(
    () => (busy ? broken("MF_MONITOR_BUSY") : [done("fine")]),
    async ({ accept, runner, url, memory }) => {
      const refused = await accept(incoming());
      ok(refused.status === "refused", refused.status);
      equal(refused.code, "MF_MONITOR_BUSY");
      const later = accept(incoming({ replyWanted: false }));
      await until(() => runner.delivered.length === 3);
      busy = false;
      equal((await later).status, "done");
      deepEqual(new Set(runner.delivered.map(({ attempt }) => attempt)), new Set([1]));
      match(await (await fetch(`${url}/metrics`)).text(), /code="MF_MONITOR_BUSY"/);
      deepEqual(taken(memory), [0, 0, 0]);
    },
  );
});

test("long bodies whose key is searched for count as waiting until then, and no longer", async () => {
  await withFlow(
    () => [done("fine")],
    async ({ accept, memory }) => {
      const body = (n: number): Uint8Array => utf8(JSON.stringify({ k: n, more: "x".repeat(20_000) }));
      for (let n = 0; n < 5; n++) equal((await accept(incoming({ body: body(n) }))).status, "done");
      const together = await Promise.all([0, 1, 2, 3].map((n) => accept(incoming({ body: body(n) }))));
      deepEqual(
        together.map(({ status }) => status),
        ["done", "done", "refused", "refused"],
      );
      equal(memory.messages.takenBytes, 0);
    },
    ", key: 'json:/k', queue: 2",
  );
});

test("a caller who is refused because a dead letter holds the key leaves no memory taken", async () => {
  await withFlow(
    () => [fail("MF_BAD", "no", false)],
    async ({ accept, memory, deadLetters }) => {
      equal((await accept(incoming({ key: "k", replyWanted: false }))).status, "dead");
      equal(await deadLetters.count("f"), 1);
      const outcome = await accept(incoming({ key: "k" }));
      equal(outcome.status === "refused" && outcome.code, "MF_FLOW_HELD");
      deepEqual(taken(memory), [0, 0, 0]);
    },
    ", onDead: hold",
  );
});

test("a message whose key can't be read is not accepted, and those behind it are", async () => {
  const body = utf8(`{"a":"${"y".repeat(20_000)}"}`);
  const unreadable = Object.defineProperty(body.slice(), "subarray", {
    value: () => {
      throw new Error("not to be read");
    },
  });
  await withFlow(
    () => [done("done")],
    async ({ accept, memory, url }) => {
      const [failing, behind] = [unreadable, body].map((given) => accept(incoming({ body: given, contentType: "application/json" })));
      await rejects(failing as Promise<unknown>, /not to be read/);
      equal((await behind)?.status, "done");
      equal(memory.messages.takenBytes, 0);
      match(await (await fetch(`${url}/metrics`)).text(), /^mayfly_flow_pending\{flow="f"\} 0$/m);
    },
    ', key: "json:/a"',
  );
});
