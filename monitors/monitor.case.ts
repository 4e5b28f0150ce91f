/**
 * The conformance suite of every monitor: the same flows, the same events, the same effects, and the same answers to flows that
 * misbehave. A monitor's test file calls `monitorCase` with a way to make one.
 */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type DeliverEvent,
  type DoneEffect,
  type Effect,
  encodeEffects,
  type Event,
  type FailEffect,
  type FlowLimits,
  type LogEffect,
  type ResolveEvent,
  type SendEffect,
  type StepOutcome,
} from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import { buildImage, type Image, readImage } from "#image";
import type { LoadedImage, Monitor } from "./monitor.ts";

const started = Date.UTC(2026, 0, 2, 3, 4, 5);

export interface DeliverOptions {
  readonly body?: string | Uint8Array;
  readonly seed?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly state?: Readonly<Record<string, unknown>>;
  readonly key?: string;
}

export function deliver({ body = "", seed = new Uint8Array(32), headers = {}, state, key }: DeliverOptions = {}): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: started,
    seed,
    id: "message-1",
    source: "test",
    attempt: 1,
    key,
    headersJson: JSON.stringify(headers),
    stateJson: state === undefined ? undefined : JSON.stringify(state),
    body: typeof body === "string" ? toUtf8(body) : body,
  };
}

export function resolve(call: number, body: string, more: Partial<ResolveEvent> = {}): ResolveEvent {
  return {
    kind: "resolve",
    timeMs: started + 10,
    call,
    error: undefined,
    status: 200,
    headersJson: '{"content-type":"application/json"}',
    body: toUtf8(body),
    ...more,
  };
}

/** The flows of the suite. Each is a module; `H` stands for the usual head. */
const head = 'import { flow } from "mayfly"; export default flow(async (msg, { to, log, state, sleep }) => {';
const flows = {
  echo: `${head} log.info("got", { length: msg.bytes.length }); to.out.send(msg.bytes, { key: msg.key }); return msg.text(); });`,
  bytes: `${head} return msg.bytes; });`,
  enrich: `${head} const answer = await to.erp.request({ id: 7 }); to.out.send(answer.json()); return { answer: answer.json() }; });`,
  sleeper: `${head} const began = Date.now(); await sleep(1500); return { slept: Date.now() - began }; });`,
  counter: `let count = 0; ${head} count++; globalThis.left = (globalThis.left ?? 0) + 1; Object.prototype.polluted = 1; Array.prototype.map = () => "patched"; return { count, left: globalThis.left }; });`,
  pollution: `${head} return { polluted: {}.polluted ?? null, map: [1].map((x) => x + 1) }; });`,
  random: `${head} const bytes = crypto.getRandomValues(new Uint32Array(8)); return { math: [Math.random(), Math.random()], bytes: [...bytes], uuid: crypto.randomUUID() }; });`,
  slow: `${head} let n = 0; for (let i = 0; i < 3_000_000; i++) n += i % 7; return n; });`,
  loop: `${head} if (msg.text() === "spin") while (true); return "fine"; });`,
  called: `${head} const spin = msg.text() === "spin";
    if (!spin) return new Error("here").stack;
    for (;;)
      Math.abs(1);
  });`,
  tracing: `${head} Error.prepareStackTrace = () => { for (;;) Math.abs(1); }; for (;;) Math.abs(1); });`,
  regex: `${head} return /^(a+)+$/.test("a".repeat(40) + "!"); });`,
  native: `${head} const big = "[" + "1,".repeat(400000) + "1]"; for (;;) JSON.parse(big); });`,
  /** One call of the engine's own code, some 10¹¹ comparisons long: it polls for no interrupt, and takes no memory meanwhile. */
  nativeCall: `${head} return "a".repeat(1 << 20).indexOf("a".repeat(1 << 19) + "b"); });`,
  bomb: `${head} const all = []; for (;;) all.push(new Uint8Array(1 << 16)); });`,
  /** Memory that ran out, and nobody would know. */
  swallows: `${head} let all = []; try { for (;;) all.push(new Uint8Array(1 << 16)); } catch { all = []; } return "fine"; });`,
  recursion: `${head} const down = (n) => down(n + 1) + 1; return down(0); });`,
  throws: `${head} throw new Error("no such customer"); });`,
  rejects: `${head} Promise.reject(new Error("nobody looks")); await sleep(1); return 1; });`,
  stalls: `${head} await new Promise(() => {}); });`,
  cycle: `${head} const a = {}; a.a = a; return a; });`,
  bigLog: `${head} log.info("x".repeat(10_000_000)); return "logged"; });`,
  manySends: `${head} for (let i = 0; i < 1_000_000; i++) to.out.send("x"); });`,
  grow: `${head} const all = []; for (let i = 0; i < 60; i++) all.push(new Uint8Array(100_000).fill(i)); return all.length; });`,
  stateful: `${head} state.set("count", (state.get("count") ?? 0) + 1); state.delete("old"); return state.get("count"); });`,
  cancelled: `${head} try { await sleep(60_000); } catch (error) { log.warn("given up", { code: error.code }); throw error; } });`,
  asleep: `const big = Array.from({ length: 5000 }, (_, n) => ({ n })); ${head.replace("sleep })", "sleep, wait })")} class Box { #n = 7; take() { return this.#n++; } }
    const box = new Box(); const seen = new Map([["a", crypto.randomUUID()]]);
    for (const each of big) each.n += 1;
    const first = await wait("go", { key: "k", timeout: "2d" });
    log.info("woke", { first: first?.text() ?? null, box: box.take() });
    await sleep("3h");
    const second = await Promise.race([wait("go", { key: "k" }), wait("stop")]);
    to.out.send({ first: first?.text() ?? null, second: second?.text(), box: box.take(), uuid: seen.get("a"), next: crypto.randomUUID(), sum: big.reduce((sum, each) => sum + each.n, 0) });
  });`,
  many: `${head} let sum = 0; for (let i = 0; i < 5; i++) sum += (await to.erp.request({ i })).json().value; return sum; });`,
} as const;

export type FlowName = keyof typeof flows;

/** Builds the suite's flows once for all monitors of a process. */
export async function buildCaseImages(): Promise<ReadonlyMap<FlowName, Image>> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-case-"));
  try {
    const images = new Map<FlowName, Image>();
    for (const name of Object.keys(flows) as FlowName[]) {
      const file = join(folder, `${name}.ts`);
      await writeFile(file, flows[name]);
      images.set(name, (await buildImage(file, { check: false })).image);
    }
    return images;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function effect<K extends Effect["kind"]>(outcome: StepOutcome, kind: K): Extract<Effect, { kind: K }> {
  const found = outcome.effects.find((one) => one.kind === kind);
  ok(
    found !== undefined,
    `no ${kind} among ${JSON.stringify(outcome.effects.map((one) => one.kind))}, ${JSON.stringify(outcome.failure ?? outcome.effects.at(-1))}`,
  );
  return found as Extract<Effect, { kind: K }>;
}

export function replyText(outcome: StepOutcome): string {
  equal(outcome.status, "done", JSON.stringify(outcome.failure ?? outcome.effects.at(-1)));
  return fromUtf8((effect(outcome, "done") as DoneEffect).reply?.body ?? new Uint8Array(0));
}

function replyJson(outcome: StepOutcome): unknown {
  return JSON.parse(replyText(outcome));
}

const tight: FlowLimits = { memoryBytes: 16 * 1024 ** 2, cpuMs: 200, timeMs: 60_000, sends: 10_000, logBytes: 64 * 1024 };

export interface Bench {
  readonly monitor: Monitor;
  readonly images: ReadonlyMap<FlowName, LoadedImage>;
  run(name: FlowName, options?: DeliverOptions, limits?: FlowLimits): Promise<StepOutcome>;
}

async function makeBench(make: () => Monitor, built: ReadonlyMap<FlowName, Image>): Promise<Bench> {
  const monitor = make();
  const images = new Map<FlowName, LoadedImage>();
  for (const [name, image] of built) images.set(name, await monitor.load(image));
  const run: Bench["run"] = (name, options, limits) => monitor.start(images.get(name) as LoadedImage, deliver(options), limits).first;
  return { monitor, images, run };
}

/** Defines the suite for one monitor. `reference` is another whose effects must be the same, byte for byte. */
export function monitorCase(title: string, make: () => Monitor, reference: () => Monitor): void {
  describe(title, () => {
    let built: ReadonlyMap<FlowName, Image>;
    let bench: Bench;
    before(async () => {
      built = await buildCaseImages();
      bench = await makeBench(make, built);
    });
    after(() => bench.monitor.close());

    everydayCases(() => bench);
    pristineCases(() => bench);
    hostileCases(() => bench);
    neighbourCases(() => bench);

    test("the same image and events give the same effects, byte for byte, as on the reference monitor", async () => {
      const other = await makeBench(reference, built);
      try {
        const seed = randomBytes(32);
        for (const name of [
          "echo",
          "random",
          "counter",
          "throws",
          "rejects",
          "stalls",
          "cycle",
          "bigLog",
          "recursion",
          "stateful",
        ] as const) {
          const options = { body: "héllo ✓", seed, key: "k", state: { count: 3 }, headers: { a: "b" } };
          const [here, there] = [await bench.run(name, options), await other.run(name, options)];
          equal(Buffer.from(encodeEffects(here.effects)).toString("hex"), Buffer.from(encodeEffects(there.effects)).toString("hex"), name);
        }
      } finally {
        await other.monitor.close();
      }
    });

    test("an image of another kernel is refused", async () => {
      const image = built.get("echo") as Image;
      await bench.monitor.load({ ...image, sha256: "0".repeat(64), manifest: { ...image.manifest, kernel: "1".repeat(64) } }).then(
        () => ok(false, "it was taken"),
        (error: { code?: string }) => equal(error.code, "MF_IMAGE_VERSION"),
      );
      equal(readImage(image.bytes).sha256, image.sha256);
    });

    test("a closed monitor runs nothing and keeps nothing", async () => {
      const own = await makeBench(make, new Map([["echo", built.get("echo") as Image]]));
      const machine = own.monitor.start(own.images.get("echo") as LoadedImage, deliver({ body: "x" }));
      await machine.first;
      await own.monitor.close();
      const late = await own.run("echo");
      equal(late.failure?.code, "MF_MONITOR_CLOSED");
      equal(own.monitor.stats().workers, 0);
    });
  });
}

function everydayCases(bench: () => Bench): void {
  test("a message gives logs, sends and a reply, in order", async () => {
    const outcome = await bench().run("echo", { body: "grüße", key: "k1" });
    equal(replyText(outcome), "grüße");
    deepEqual(
      outcome.effects.map(({ kind }) => kind),
      ["log", "send", "done"],
    );
    equal((effect(outcome, "log") as LogEffect).fieldsJson, '{"length":7}');
    const send = effect(outcome, "send") as SendEffect;
    deepEqual([send.outlet, send.key, fromUtf8(send.body)], ["out", "k1", "grüße"]);
  });

  test("bodies of every size cross whole", async () => {
    for (const size of [0, 1, 4096, 32 * 1024 - 1, 32 * 1024, 40_000, 1024 ** 2, 3 * 1024 ** 2]) {
      const body = randomBytes(size);
      const outcome = await bench().run("bytes", { body });
      equal(outcome.status, "done", `${size}: ${JSON.stringify(outcome.failure ?? outcome.effects.at(-1))}`);
      const reply = (effect(outcome, "done") as DoneEffect).reply?.body ?? new Uint8Array(0);
      equal(createHash("sha1").update(reply).digest("hex"), createHash("sha1").update(body).digest("hex"), `${size} bytes`);
    }
  });

  test("a call waits for its answer, however long other messages run meanwhile", async () => {
    const machine = bench().monitor.start(bench().images.get("enrich") as LoadedImage, deliver());
    const first = await machine.first;
    equal(first.status, "waiting");
    const call = effect(first, "call");
    deepEqual([call.operation, call.target, fromUtf8(call.body)], ["request", "erp", '{"id":7}']);
    for (let i = 0; i < 20; i++) await bench().run("counter");
    const outcome = await machine.step(resolve(call.call, '{"name":"Ada"}'));
    deepEqual(replyJson(outcome), { answer: { name: "Ada" } });
    equal((await machine.step(resolve(call.call, "{}"))).failure?.code, "MF_MACHINE_ENDED");
  });

  test("a call that failed rejects in the flow", async () => {
    const machine = bench().monitor.start(bench().images.get("enrich") as LoadedImage, deliver());
    const call = effect(await machine.first, "call");
    const outcome = await machine.step(
      resolve(call.call, "", { error: { code: "MF_OUTLET_TIMEOUT", message: "erp did not answer" }, status: 0 }),
    );
    equal(outcome.status, "failed");
    equal((effect(outcome, "fail") as FailEffect).code, "MF_OUTLET_TIMEOUT");
  });

  test("a timer wakes at the event's time", async () => {
    const machine = bench().monitor.start(bench().images.get("sleeper") as LoadedImage, deliver());
    const timer = effect(await machine.first, "timer");
    equal(timer.dueMs, started + 1500);
    deepEqual(replyJson(await machine.step({ kind: "wake", timeMs: started + 1502, timer: timer.timer })), { slept: 1502 });
  });

  test("a cancelled machine may log, and fails", async () => {
    const machine = bench().monitor.start(bench().images.get("cancelled") as LoadedImage, deliver());
    await machine.first;
    const outcome = await machine.step({ kind: "cancel", timeMs: started + 5, reason: "the caller left" });
    equal(outcome.status, "failed");
    equal((effect(outcome, "log") as LogEffect).text, "given up");
  });

  test("a machine that was asleep goes on from its events, or from its memory where that was saved: the same effects", async () => {
    const { monitor, images } = bench();
    const image = images.get("asleep") as LoadedImage;
    const at = (minutes: number): number => started + minutes * 60_000;
    const later: Exclude<Event, DeliverEvent>[][] = [
      [
        { kind: "resume", timeMs: at(5), attempt: 1, stateJson: undefined },
        { kind: "signal", timeMs: at(5), wait: 1, id: "s1", headersJson: "{}", body: toUtf8("one") },
      ],
      [
        { kind: "resume", timeMs: at(185), attempt: 1, stateJson: '{"n":1}' },
        { kind: "wake", timeMs: at(185), timer: 1 },
      ],
      [
        { kind: "resume", timeMs: at(999), attempt: 2, stateJson: undefined },
        { kind: "signal", timeMs: at(999), wait: 2, id: "s2", headersJson: "{}", body: toUtf8("two") },
      ],
    ];
    const lives: Uint8Array[][] = [];
    for (const how of ["alive", "events", "memory"] as const) {
      const effects: Uint8Array[] = [];
      const took = (outcome: StepOutcome): void => {
        equal(outcome.failure, undefined);
        effects.push(encodeEffects(outcome.effects));
      };
      let machine = monitor.start(image, deliver());
      took(await machine.first);
      for (const [resume, cause] of later) {
        ok(resume !== undefined && cause !== undefined);
        if (how === "alive") took(await machine.step(resume));
        else {
          const events = [...machine.events];
          const saved = how === "memory" ? await machine.save() : undefined;
          machine.end();
          const memory = saved === undefined ? undefined : { saved, events: events.length };
          machine = monitor.resume(image, { events: [...events, resume], memory });
          took(await machine.first);
        }
        took(await machine.step(cause));
      }
      lives.push(effects);
      equal(effects.length, 7);
    }
    const [alive, ...again] = lives;
    for (const life of again) deepEqual(life, alive);
  });

  test("memory that can't be read back is left out: the events are given again", async () => {
    const { monitor, images } = bench();
    const image = images.get("asleep") as LoadedImage;
    const machine = monitor.start(image, deliver());
    await machine.first;
    const events = [...machine.events];
    const saved = (await machine.save()) ?? new Uint8Array(64);
    machine.end();
    equal(await machine.save(), undefined, "nothing is kept of a machine that has ended");
    const resume: Event = { kind: "resume", timeMs: started + 1, attempt: 1, stateJson: undefined };
    for (const bad of [new Uint8Array(0), saved.subarray(0, saved.length >> 1), new Uint8Array(1000).fill(7)]) {
      const again = monitor.resume(image, { events: [...events, resume], memory: { saved: bad, events: events.length } });
      equal((await again.first).status, "waiting");
      const signal: Event = { kind: "signal", timeMs: started + 2, wait: 1, id: "s", headersJson: "{}", body: toUtf8("x") };
      const woke = await again.step(signal);
      equal(woke.effects.find(({ kind }) => kind === "log")?.kind, "log");
      again.end();
    }
  });

  test("keyed state comes with the message and goes as effects", async () => {
    const outcome = await bench().run("stateful", { key: "a", state: { count: 41, old: true } });
    equal(replyText(outcome), "42");
    deepEqual(
      outcome.effects.filter(({ kind }) => kind === "state"),
      [
        { kind: "state", name: "count", valueJson: "42" },
        { kind: "state", name: "old", valueJson: undefined },
      ],
    );
  });

  test("a machine that is ended takes no more events", async () => {
    const machine = bench().monitor.start(bench().images.get("sleeper") as LoadedImage, deliver());
    const timer = effect(await machine.first, "timer");
    machine.end();
    equal((await machine.step({ kind: "wake", timeMs: started + 1500, timer: timer.timer })).failure?.code, "MF_MACHINE_ENDED");
  });
}

function pristineCases(bench: () => Bench): void {
  test("no message sees what another left: globals, prototypes, patched built-ins, memory", async () => {
    for (let i = 0; i < 5; i++) {
      deepEqual(replyJson(await bench().run("counter")), { count: 1, left: 1 });
      deepEqual(replyJson(await bench().run("pollution")), { polluted: null, map: [2] });
      equal(replyText(await bench().run("grow")), "60");
    }
  });

  test("two machines of one image never draw the same random values; the same seed draws the same", async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const { math, bytes, uuid } = replyJson(await bench().run("random", { seed: randomBytes(32) })) as {
        math: number[];
        bytes: number[];
        uuid: string;
      };
      match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      for (const value of [...math, ...bytes, uuid]) {
        equal(seen.has(String(value)), false, `${value} was drawn before`);
        seen.add(String(value));
      }
    }
    const seed = randomBytes(32);
    equal(replyText(await bench().run("random", { seed })), replyText(await bench().run("random", { seed })));
    notEqual(replyText(await bench().run("random", { seed })), replyText(await bench().run("random", { seed: randomBytes(32) })));
  });
}

function hostileCases(bench: () => Bench): void {
  for (const name of ["loop", "tracing", "regex", "native", "nativeCall"] as const) {
    test(`a flow that computes without end is stopped: ${name}`, async () => {
      const outcome = await bench().run(name, { body: "spin" }, { ...tight, memoryBytes: 64 * 1024 ** 2 });
      equal(outcome.status, "broken", JSON.stringify(outcome.effects.at(-1)));
      equal(outcome.failure?.code, "MF_CPU_LIMIT");
      // A call that the engine itself never ends tells nobody where it is, unless the monitor stops it.
      if (name === "loop" || name === "regex")
        match(outcome.failure?.stack ?? "", new RegExp(`^ {4}at .*\\(${name}\\.js:\\d+:\\d+\\)$`, "m"));
      equal(replyText(await bench().run("echo", { body: "next" })), "next");
    });
  }

  test("the line of the last call is told of a step that is stopped", async () => {
    const lineOf = (stack: string): number => Number(/\(called\.js:(\d+):\d+\)/.exec(stack)?.[1]);
    const { failure } = await bench().run("called", { body: "spin" }, tight);
    equal(lineOf(failure?.stack ?? ""), lineOf(replyText(await bench().run("called"))) + 2);
  });

  test("one that comes right behind a step that took long is stopped as well", async () => {
    for (let i = 0; i < 3; i++) {
      equal((await bench().run("slow", {}, { ...tight, cpuMs: 20_000 })).status, "done");
      equal((await bench().run("loop", { body: "spin" }, tight)).failure?.code, "MF_CPU_LIMIT");
    }
  });

  test("an allocation bomb ends at the memory limit", async () => {
    const outcome = await bench().run("bomb", {}, { ...tight, cpuMs: 5000 });
    const { code, stack } = outcome.status === "broken" ? outcome.failure : (effect(outcome, "fail") as FailEffect);
    equal(code, "MF_MEMORY_LIMIT");
    match(stack ?? "", /^ {4}at .*\(bomb\.js:\d+:\d+\)$/m);
    equal(replyText(await bench().run("echo", { body: "next" })), "next");
  });

  test("memory that ran out is told, also when the flow caught that", async () => {
    const outcome = await bench().run("swallows", {}, { ...tight, cpuMs: 5000 });
    const code = outcome.status === "broken" ? outcome.failure.code : (effect(outcome, "fail") as FailEffect).code;
    equal(code, "MF_MEMORY_LIMIT");
  });

  const failures: readonly (readonly [FlowName, string])[] = [
    ["recursion", "MF_STACK_OVERFLOW"],
    ["throws", "MF_FLOW_THREW"],
    ["rejects", "MF_UNHANDLED_REJECTION"],
    ["stalls", "MF_FLOW_STALLED"],
    ["cycle", "MF_REPLY_UNSERIALISABLE"],
    ["manySends", "MF_EFFECT_LIMIT"],
  ];
  for (const [name, code] of failures) {
    test(`a flow that ${name} fails with ${code}`, async () => {
      const outcome = await bench().run(name, {}, { ...tight, cpuMs: 20_000 });
      equal(outcome.status, "failed", JSON.stringify(outcome.failure));
      equal((effect(outcome, "fail") as FailEffect).code, code);
    });
  }

  test("a log of ten megabytes is cut, and says so", async () => {
    const outcome = await bench().run("bigLog", {}, { ...tight, memoryBytes: 64 * 1024 ** 2, cpuMs: 20_000 });
    equal(replyText(outcome), "logged");
    ok((effect(outcome, "log") as LogEffect).text.length < 20_000);
  });

  test("a message that outlives its time is over", async () => {
    const machine = bench().monitor.start(bench().images.get("sleeper") as LoadedImage, deliver(), { ...tight, timeMs: 1 });
    const timer = effect(await machine.first, "timer");
    await new Promise((done) => setTimeout(done, 20));
    equal((await machine.step({ kind: "wake", timeMs: started + 1500, timer: timer.timer })).failure?.code, "MF_TIME_LIMIT");
  });
}

function neighbourCases(bench: () => Bench): void {
  test("hundreds of machines wait side by side and none takes another's answer", async () => {
    const machines = Array.from({ length: 300 }, (_, index) => ({
      index,
      machine: bench().monitor.start(bench().images.get("many") as LoadedImage, deliver({ seed: randomBytes(32) })),
    }));
    await Promise.all(
      machines.map(async ({ index, machine }) => {
        let outcome = await machine.first;
        for (let round = 0; round < 5; round++)
          outcome = await machine.step(resolve(effect(outcome, "call").call, `{"value":${index + round}}`));
        equal(replyText(outcome), String(5 * index + 10));
      }),
    );
    equal(bench().monitor.stats().waiting, 0);
  });

  test("machines that are ended in a step leave the others what they are", async () => {
    await Promise.all(
      Array.from({ length: 150 }, async (_, index) => {
        const machine = bench().monitor.start(bench().images.get("many") as LoadedImage, deliver());
        let outcome = await machine.first;
        for (let round = 0; round < 5; round++) {
          const step = machine.step(resolve(effect(outcome, "call").call, `{"value":${index + round}}`));
          if (index % 3 === 0 && index % 5 === round) {
            machine.end();
            equal((await step).failure?.code, "MF_MACHINE_ENDED");
            return;
          }
          outcome = await step;
        }
        equal(replyText(outcome), String(5 * index + 10));
      }),
    );
    equal(bench().monitor.stats().waiting, 0);
  });

  test("machines that wait, run or queue survive neighbours that must be killed", async () => {
    const waiting = Array.from({ length: 20 }, () => bench().monitor.start(bench().images.get("enrich") as LoadedImage, deliver()));
    const calls = await Promise.all(waiting.map(async (machine) => effect(await machine.first, "call").call));
    const killers = Array.from({ length: 4 }, () => bench().run("native", {}, { ...tight, memoryBytes: 64 * 1024 ** 2 }));
    const others = Array.from({ length: 200 }, (_, index) => bench().run("echo", { body: String(index) }));
    for (const [index, outcome] of (await Promise.all(others)).entries()) equal(replyText(outcome), String(index));
    for (const outcome of await Promise.all(killers)) equal(outcome.failure?.code, "MF_CPU_LIMIT");
    for (const [index, machine] of waiting.entries())
      deepEqual(replyJson(await machine.step(resolve(calls[index] as number, String(index)))), { answer: index });
  });
}
