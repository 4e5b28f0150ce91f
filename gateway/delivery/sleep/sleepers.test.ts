/** Sleeping messages through a whole gateway, under a clock of our own: when they wake, by what, and what becomes of them. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import type { Effect, Event } from "#abi";
import { CodedError, prng } from "#base";
import { connectors } from "#connectors";
import { logOutlet } from "../../../connectors/log/outlet.ts";
import type { Outlet, OutletDefinition } from "../../contract/outlet.ts";
import type { Witness, WitnessedEnd } from "../../contract/witness.ts";
import type { DeadLetter } from "../../journal/dead-letters.ts";
import { failureOf } from "../failures.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { type Rig, until, withGateway } from "../../testing/rig.ts";
import { done, fail, request, type Script, send, text, utf8 } from "../../testing/scripted.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const wait = (number: number, name: string, key: string, dueMs = -1): Effect => ({
  kind: "wait",
  wait: number,
  name,
  key,
  dueMs,
  questionJson: undefined,
});
const timer = (number: number, dueMs: number): Effect => ({ kind: "timer", timer: number, dueMs });
const shown = (event: Event): string => (event.kind === "signal" ? (event.id === undefined ? "timeout" : text(event.body)) : event.kind);

interface World extends Pick<Rig, "gateway" | "journal" | "deadLetters" | "runner" | "logs"> {
  readonly clock: ManualClock;
  /** Bodies that the peer got. */
  readonly got: readonly string[];
  put(body: string, key?: string): Promise<string>;
  signal(key: string, body: string, more?: { readonly name?: string; readonly id?: string }): Promise<string>;
  /** Lets time pass, in small steps, until something is so. */
  pass(ms: number): Promise<void>;
}

async function withWorld(
  script: Script,
  run: (world: World) => Promise<void>,
  yaml = "",
  witnesses: readonly Witness[] = [],
): Promise<void> {
  const clock = new ManualClock(Date.UTC(2026, 5, 1, 10));
  const got: string[] = [];
  const outlet: Outlet = {
    send: async ({ body }) => void got.push(text(body)),
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "" }),
  };
  const definition: OutletDefinition = { ...(logOutlet as OutletDefinition), create: () => outlet };
  let ticking: NodeJS.Timeout | undefined;
  const test = async ({ gateway, ...rig }: Rig): Promise<void> => {
    const world: World = {
      ...rig,
      gateway,
      clock,
      got,
      put: async (body, key) => {
        const outcome = await gateway.inject("f", { body: utf8(body), key, wait: false });
        equal(outcome.status, "accepted");
        return outcome.id ?? "";
      },
      signal: async (key, body, { name = "paid", id } = {}) => {
        const outcome = await gateway.sleepers.signal({
          flow: "f",
          name,
          key,
          id,
          source: "test",
          headers: {},
          contentType: "",
          body: utf8(body),
        });
        return outcome.status === "kept"
          ? `kept${outcome.waiting ? ", waiting" : ""}`
          : outcome.status === "refused"
            ? outcome.code
            : outcome.status;
      },
      pass: async (ms) => {
        for (let left = ms; left > 0; left -= Math.max(ms / 20, 1)) {
          clock.advance(Math.max(ms / 20, 1));
          for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        }
      },
    };
    await run(world).finally(() => (ticking = setInterval(() => clock.advance(20), 1)));
  };
  const ports = { random: prng(1), connectors: { ...connectors, outlets: [definition] }, witnesses };
  const config = `flows: { f: { image: f.mfi, from: [{ cron: { every: 365d } }], to: { out: { log: {} } }${yaml.includes("retry:") ? "" : ", retry: { attempts: 2, backoff: 1s..1s }"} ${yaml} } }`;
  await withGateway(config, { f: script }, test, { clock, ports }).finally(() => clearInterval(ticking));
}

/** Waits for `paid` under the message's body as key, a day at most; then sends what it was given. */
const saga: Script = (event, memory) => {
  if (event.kind === "deliver") {
    memory.set("order", text(event.body));
    return [send("out", `reserve ${text(event.body)}`), wait(1, "paid", text(event.body), event.timeMs + dayMs)];
  }
  if (event.kind === "resume") return [];
  return [send("out", `${shown(event)} for ${memory.get("order")}`), done()];
};

const letters = async ({ deadLetters }: World): Promise<DeadLetter[]> => {
  const found: DeadLetter[] = [];
  for await (const letter of deadLetters.list()) found.push(letter);
  return found;
};

const asleep = async ({ gateway }: World): Promise<readonly string[]> =>
  (await gateway.sleepers.list({ most: 100 })).sleepers.map(({ id }) => id);

test("what is sent before a wait leaves while the machine sleeps; its signal wakes it, once", async () => {
  await withWorld(saga, async (world) => {
    const id = await world.put("4711");
    await until(() => world.got.length === 1);
    deepEqual(world.got, ["reserve 4711"]);
    await until(async () => (await asleep(world)).includes(id));
    equal(world.runner.running, 0, "no machine is kept");
    equal(await world.signal("4712", "no"), "kept");
    equal(await world.signal("4711", "12 euro", { id: "s1" }), "kept, waiting");
    await until(() => world.got.length === 2);
    equal(world.got[1], "12 euro for 4711");
    equal(await world.signal("4711", "12 euro", { id: "s1" }), "duplicate");
    deepEqual(await asleep(world), []);
    equal(world.journal.stats().signals, 1, "the one for another key");
  });
});

test("a signal that comes before its wait is kept for it; one that nobody takes becomes a dead letter", async () => {
  await withWorld(saga, async (world) => {
    equal(await world.signal("4711", "early"), "kept");
    equal(await world.signal("lost", "never"), "kept");
    await world.put("4711");
    await until(() => world.got.length === 2);
    deepEqual(world.got, ["reserve 4711", "early for 4711"]);
    await world.pass(minuteMs);
    equal(world.journal.stats().signals, 1);
    await world.pass(1.1 * dayMs);
    const letter = await until(async () => (await letters(world)).find(({ kind }) => kind === "signal"));
    deepEqual([letter.signal, letter.key, letter.failure.code], ["paid", "lost", "MF_SIGNAL_UNCLAIMED"]);
    await until(() => world.journal.stats().signals === 0);
  });
});

test("a wait's time is over at its date by the wall clock, not before, whoever sets the clock", async () => {
  await withWorld(saga, async (world) => {
    await world.put("4711");
    await until(() => world.got.length === 1);
    world.clock.jump(-60 * minuteMs);
    await world.pass(dayMs);
    equal(world.got.length, 1, "the clock was set back an hour");
    await world.pass(61 * minuteMs);
    await until(() => world.got.length === 2);
    equal(world.got[1], "timeout for 4711");
  });
  await withWorld(saga, async (world) => {
    await world.put("4711");
    await until(() => world.got.length === 1);
    world.clock.jump(dayMs);
    await world.pass(2000);
    await until(() => world.got.length === 2);
  });
});

test("of a signal and a timeout exactly one wins: by when the signal was received", async () => {
  for (const [beforeMs, winner] of [
    [10, "late"],
    [-10, "timeout"],
  ] as const) {
    await withWorld(saga, async (world) => {
      await world.put("4711");
      await until(() => world.got.length === 1);
      await world.pass(dayMs - minuteMs);
      const { until: dueMs } = (await world.gateway.sleepers.list({ most: 1 })).sleepers[0] ?? { until: 0 };
      world.clock.advance(dueMs - beforeMs - world.clock.now());
      await world.signal("4711", "late");
      await world.pass(minuteMs);
      await until(() => world.got.length === 2);
      equal(world.got[1], `${winner} for 4711`);
      equal(world.journal.stats().signals, winner === "late" ? 0 : 1);
    });
  }
});

test("a failure after a wait is retried from the wait, with attempts of its own; what came before is not repeated", async () => {
  let failures = 0;
  const attempts: number[] = [];
  const script: Script = (event, memory) => {
    if (event.kind === "resume") attempts.push(event.attempt);
    if (event.kind === "signal" && failures++ === 0) return [send("out", "void"), fail("E_ONCE")];
    return saga(event, memory);
  };
  await withWorld(script, async (world) => {
    await world.put("4711");
    await until(() => world.got.length === 1);
    await world.signal("4711", "paid");
    await until(() => failures === 1);
    await world.pass(5000);
    await until(() => world.got.length === 2);
    deepEqual(world.got, ["reserve 4711", "paid for 4711"]);
    deepEqual(attempts, [1, 2]);
    equal(world.runner.delivered.length, 1);
  });
});

test("a transaction that fails for good is a dead letter, and its signal is with it", async () => {
  const script: Script = (event, memory) => (event.kind === "signal" ? [fail("E_ALWAYS", "no", false)] : saga(event, memory));
  await withWorld(script, async (world) => {
    await world.put("4711");
    await until(() => world.got.length === 1);
    await world.signal("4711", "paid");
    const [letter] = await until(async () => {
      const found = await letters(world);
      return found.length > 0 && found;
    });
    deepEqual([letter?.kind, letter?.failure.code], ["message", "E_ALWAYS"]);
    await until(async () => (await asleep(world)).length === 0 && world.journal.stats().signals === 0);
  });
});

test("a dead letter of a machine that slept goes on from its wait when it is retried, with its signal", async () => {
  let failing = true;
  const script: Script = (event, memory) =>
    event.kind === "signal" && failing ? [send("out", "void"), fail("E_ALWAYS", "no", false)] : saga(event, memory);
  await withWorld(script, async (world) => {
    await world.put("4711");
    await until(() => world.got.length === 1);
    await world.signal("4711", "paid");
    const letter = await until(async () => (await letters(world))[0]);
    await until(() => world.journal.stats().signals === 0);
    failing = false;
    equal((await world.gateway.retryDeadLetter(letter.id))?.status, "accepted");
    await until(() => world.got.length === 2);
    deepEqual(world.got, ["reserve 4711", "paid for 4711"]);
    await until(async () => (await asleep(world)).length === 0);
    deepEqual([await letters(world), world.journal.stats().signals], [[], 0]);
  });
});

test("a dead letter of a signal wakes the machine that waits for it by now", async () => {
  await withWorld(
    saga,
    async (world) => {
      await world.signal("4711", "early");
      const letter = await until(async () => {
        await world.pass(minuteMs);
        return (await letters(world))[0];
      });
      await until(() => world.journal.stats().signals === 0);
      await world.put("4711");
      await until(() => world.got.length === 1);
      await world.gateway.retryDeadLetter(letter.id);
      await until(() => world.got.length === 2);
      equal(world.got[1], "early for 4711");
    },
    ", sleep: { early: keep 1m }",
  );
});

test("a send for a later date leaves at that date by the wall clock, not before, whoever sets the clock", async () => {
  const script: Script = (event) => [
    { ...send("out", "later"), dueMs: event.timeMs + 60 * minuteMs } as Effect,
    send("out", "now"),
    done(),
  ];
  await withWorld(script, async (world) => {
    await world.put("x");
    await until(() => world.got.length === 1);
    world.clock.jump(-10 * minuteMs);
    await world.pass(65 * minuteMs);
    deepEqual([world.got, world.journal.outboxDelayed("f", "out")], [["now"], 1]);
    world.clock.jump(6 * minuteMs);
    await world.pass(2_000);
    await until(() => world.got.length === 2);
    await until(() => world.journal.outboxDepth("f", "out") === 0);
  });
});

test("sleeps of ten seconds are durable, shorter ones are not; machine time goes on from where it was", async () => {
  const times: number[] = [];
  const script: Script = (event, memory) => {
    times.push(event.timeMs);
    if (event.kind === "deliver") return [send("out", "1"), timer(1, event.timeMs + 3_600_000)];
    if (event.kind === "resume") return [];
    const n = Number(memory.get("n") ?? 1) + 1;
    memory.set("n", n);
    return n < 4 ? [send("out", String(n)), timer(n, event.timeMs + 3_600_000)] : [done()];
  };
  await withWorld(script, async (world) => {
    await world.put("x");
    await until(() => world.got.length === 1);
    equal(world.runner.running, 0);
    world.clock.jump(-1000);
    await world.pass(4 * 3_600_000);
    await until(async () => (await asleep(world)).length === 0 && world.got.length === 3);
    deepEqual(world.got, ["1", "2", "3"]);
    const once = [...new Set(times)]; // a machine that wakes is given its past again
    deepEqual(
      once,
      once.toSorted((a, b) => a - b),
    );
  });
});

test("while a machine sleeps its key is free; with order strict it is not", async () => {
  for (const strict of [false, true]) {
    await withWorld(
      saga,
      async (world) => {
        await world.put("a", "k");
        await until(() => world.got.length === 1);
        await world.put("b", "k");
        await world.pass(1000);
        equal(world.got.length, strict ? 1 : 2);
        await world.signal("a", "paid");
        await until(() => world.got.length === 3);
        deepEqual([...world.got].sort(), ["paid for a", "reserve a", "reserve b"]);
      },
      strict ? ", key: key, sleep: { order: strict }" : ", key: key",
    );
  }
});

test("an operator wakes a sleeper before its time, and cancels one to a dead letter", async () => {
  await withWorld(saga, async (world) => {
    const [first, second] = [await world.put("1"), await world.put("2")];
    await until(async () => (await asleep(world)).length === 2);
    await world.gateway.sleepers.wake(first ?? "");
    await until(() => world.got.includes("timeout for 1"));
    const detail = await world.gateway.sleepers.show(second ?? "");
    deepEqual([detail.state, detail.waits[0]?.name, detail.transactions], ["asleep", "paid", 1]);
    await world.gateway.sleepers.cancel(second ?? "");
    const [letter] = await letters(world);
    deepEqual([letter?.messageId, letter?.failure.code], [second, "MF_CANCELLED_BY_OPERATOR"]);
    for (const work of ["show", "wake", "cancel", "migrate"] as const)
      await rejects(world.gateway.sleepers[work](second ?? ""), { code: "MF_SLEEPER_UNKNOWN" });
  });
});

test("one signal is for one machine, however many wait for it and are awake at once", async () => {
  const script: Script = (event, memory) =>
    event.kind === "deliver" ? [send("out", "asks"), wait(1, "paid", "k", event.timeMs + dayMs)] : saga(event, memory);
  await withWorld(script, async (world) => {
    const ids = [await world.put("1"), await world.put("2"), await world.put("3")];
    await until(async () => (await asleep(world)).length === 3);
    const woken = ids.map((id) => world.gateway.sleepers.wake(id).catch(() => undefined));
    await Promise.all([world.signal("k", "once"), ...woken]);
    await until(() => world.got.length === 6);
    deepEqual(
      world.got
        .slice(3)
        .map((each) => each.split(" ")[0])
        .sort(),
      ["once", "timeout", "timeout"],
    );
  });
});

test("a sleeper that is moved begins again from its message", async () => {
  await withWorld(saga, async (world) => {
    const id = await world.put("1");
    await until(async () => (await asleep(world)).length === 1);
    await world.gateway.sleepers.migrate(id);
    await until(() => world.got.length === 2);
    deepEqual(world.got, ["reserve 1", "reserve 1"]);
    equal(world.runner.delivered.length, 2);
  });
});

test("a flow goes on as another message, in a fresh machine, with the same key and the first as its parent", async () => {
  const script: Script = (event) => {
    if (event.kind !== "deliver") return [];
    const n = Number(text(event.body));
    return n === 3
      ? [send("out", `${n} ${JSON.parse(event.headersJson)["mayfly-parent"] !== undefined}`), done()]
      : [{ kind: "continue", contentType: "text/plain", headersJson: "{}", body: utf8(String(n + 1)) }];
  };
  await withWorld(script, async (world) => {
    await world.put("1", "k");
    await until(() => world.got.length === 1);
    deepEqual(world.got, ["3 true"]);
    deepEqual(
      world.runner.delivered.map(({ key, attempt }) => [key, attempt]),
      [
        ["k", 1],
        ["k", 1],
        ["k", 1],
      ],
    );
  });
});

test("when as many sleep as may, new messages are refused until one has ended", async () => {
  await withWorld(
    saga,
    async (world) => {
      await world.put("1");
      await world.put("2");
      await until(async () => (await asleep(world)).length === 2);
      const refused = await world.gateway.inject("f", { body: utf8("3"), wait: false });
      ok(refused.status === "refused" && refused.code === "MF_SLEEPERS_FULL");
      await world.signal("1", "paid");
      await until(() => world.got.includes("paid for 1"));
      await until(async () => (await world.gateway.inject("f", { body: utf8("3"), wait: false })).status === "accepted");
    },
    ", sleep: { atMost: 2 }",
  );
});

test("a sleeper that is cancelled is on record with its life so far", async () => {
  const ends: WitnessedEnd[] = [];
  const witness: Witness = {
    wants: () => true,
    attempted: () => undefined,
    delivered: () => undefined,
    ended: (_message, end) => void ends.push(end),
  };
  await withWorld(
    saga,
    async (world) => {
      const id = await world.put("1");
      await until(async () => (await asleep(world)).length === 1);
      await world.gateway.sleepers.cancel(id);
      const end = await until(() => ends[0]);
      deepEqual(
        [end.status, end.failure?.code, end.last?.steps.length, end.last?.deliver?.id],
        ["dead", "MF_CANCELLED_BY_OPERATOR", 1, id],
      );
    },
    "",
    [witness],
  );
});

test("signals are refused that no wait can have: without a key, too long, for no flow", async () => {
  await withWorld(saga, async (world) => {
    equal(await world.signal("", "x"), "MF_SIGNAL_NO_KEY");
    equal(await world.signal("k", "x".repeat(2 ** 20 + 1)), "MF_SIGNAL_TOO_LARGE");
    const outcome = await world.gateway.sleepers.signal({
      flow: "g",
      name: "n",
      key: "k",
      source: "test",
      headers: {},
      contentType: "",
      body: utf8(""),
    });
    ok(outcome.status === "refused" && outcome.code === "MF_FLOW_UNKNOWN" && outcome.final);
  });
});

const damaged = (): Promise<never> => Promise.reject(new CodedError("MF_JOURNAL_CORRUPT", "a record is not what was written"));

test("a sleeper that can't be read is stuck and tried again; others, and new messages, go on", async () => {
  await withWorld(saga, async (world) => {
    const [first, second] = [await world.put("1"), await world.put("2")];
    await until(async () => (await asleep(world)).length === 2);
    const { journal } = world;
    const wake = journal.wake.bind(journal);
    const stuck = await journal.findSleeper(first);
    let tries = 0;
    journal.wake = (sequence) => (sequence === stuck ? ((tries += 1), damaged()) : wake(sequence));
    equal(await world.signal("1", "paid"), "kept, waiting");
    equal(await world.signal("2", "paid"), "kept, waiting");
    await until(() => world.got.includes("paid for 2"));
    await world.pass(5000);
    deepEqual([(await world.gateway.sleepers.show(first)).state, tries], ["stuck", 1], second);
    await world.put("3");
    journal.wake = wake;
    await world.pass(30_000);
    await until(() => world.got.includes("paid for 1"));
  });
});

test("a sleeper that was stuck and has nothing to do sleeps on until its own date", async () => {
  await withWorld(saga, async (world) => {
    const { journal } = world;
    await world.put("1");
    await until(async () => (await asleep(world)).length === 1);
    const wake = journal.wake.bind(journal);
    journal.wake = damaged;
    await world.signal("1", "paid");
    const [signal] = [...journal.keptSignals()];
    ok(signal !== undefined);
    const record = { attempt: 1, startedMs: 0, endedMs: 0, imageSha256: "", failure: failureOf("MF_X", "", false), logs: [] };
    await journal.burySignal(signal.number, record);
    let woken = 0;
    journal.wake = (sequence) => ((woken += 1), wake(sequence));
    await world.pass(2 * minuteMs);
    equal(woken, 1);
    await world.pass(dayMs);
    await until(() => world.got.includes("timeout for 1"));
  });
});

test("a signal that can't be read is passed over: the next is taken, others become dead letters, and new messages go on", async () => {
  await withWorld(saga, async (world) => {
    const { journal } = world;
    const [firstSignal, burySignal] = [journal.firstSignal.bind(journal), journal.burySignal.bind(journal)];
    for (const id of ["bad", "good"]) equal(await world.signal("1", id, { id }), "kept");
    equal(await world.signal("lost", "never"), "kept");
    const [bad] = [...journal.keptSignals()];
    journal.firstSignal = async (...wanted) => {
      const found = await firstSignal(...wanted);
      return found?.id === "bad" ? damaged() : found;
    };
    journal.burySignal = (number, record) => (number === bad?.number ? damaged() : burySignal(number, record));
    await world.put("1");
    await until(() => world.got.includes("good for 1"));
    await world.pass(1.1 * dayMs);
    await until(async () => (await letters(world)).length === 1);
    await world.put("2");
    await until(() => journal.stats().signals === 1);
  });
});

test("a signal stays for its machine while that rests between attempts, and one that is early is not refused then", async () => {
  let failing = true;
  const script: Script = (event, memory) =>
    event.kind === "signal" && failing ? ((failing = false), [fail("E_ONCE")]) : saga(event, memory);
  await withWorld(
    script,
    async (world) => {
      await world.put("1");
      await until(async () => (await asleep(world)).length === 1);
      equal(await world.signal("1", "paid"), "kept, waiting");
      await until(() => !failing);
      await world.pass(3 * minuteMs);
      equal(await world.signal("1", "again"), "kept");
      await world.pass(30 * minuteMs);
      await until(() => world.got.includes("paid for 1"));
      await until(() => world.journal.stats().signals === 0);
      equal((await letters(world)).length, 1, "of the second signal, once its machine had ended");
    },
    ", retry: { attempts: 3, backoff: 20m..20m }, sleep: { early: refuse }",
  );
});

/** All wait for one signal under one key. */
const sharing: Script = (event, memory) => {
  if (event.kind !== "deliver") return saga(event, memory);
  memory.set("order", text(event.body));
  return [send("out", "asks"), wait(1, "paid", "k", event.timeMs + dayMs)];
};

test("signals that come before the first machine is awake wake as many machines as there are signals", async () => {
  await withWorld(sharing, async (world) => {
    const { journal } = world;
    for (const body of ["1", "2", "3"]) await world.put(body);
    await until(async () => (await asleep(world)).length === 3);
    const wake = journal.wake.bind(journal);
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    journal.wake = (sequence) => opened.then(() => wake(sequence));
    for (const body of ["a", "b", "c"]) equal(await world.signal("k", body), "kept, waiting");
    open();
    await until(() => world.got.length === 6);
    deepEqual([...world.got.slice(3)].sort(), ["a for 1", "b for 2", "c for 3"]);
  });
});

test("a signal that a stuck machine leaves is for the next who waits for it, which is tried once when it is stuck as well", async () => {
  for (const isStuck of ["first", "both"]) {
    await withWorld(sharing, async (world) => {
      const { journal } = world;
      const id = await world.put("1");
      await until(async () => (await asleep(world)).length === 1);
      await world.put("2");
      await until(async () => (await asleep(world)).length === 2);
      const first = await journal.findSleeper(id);
      const wake = journal.wake.bind(journal);
      let tries = 0;
      journal.wake = async (sequence) => {
        tries += 1;
        const lease = await wake(sequence);
        const { sleeper } = lease ?? {};
        if (lease === undefined || sleeper === undefined || (isStuck === "first" && sequence !== first)) return lease;
        return { ...lease, sleeper: { ...sleeper, imageSha256: "1".repeat(64) } };
      };
      await world.signal("k", "a");
      await world.pass(5000);
      equal(tries, 2);
      equal((await world.gateway.sleepers.show(id)).state, "stuck");
      equal(world.got.includes("a for 2"), isStuck === "first");
    });
  }
});

test("signals that nobody takes become dead letters also while there is no room for a machine", async () => {
  await withWorld(
    saga,
    async (world) => {
      await world.put("1");
      await until(async () => (await asleep(world)).length === 1);
      world.journal.wake = () => new Promise(() => undefined);
      await world.signal("1", "paid");
      await world.signal("lost", "never");
      await world.pass(2 * minuteMs);
      await until(() => world.journal.stats().signals === 1);
      equal((await letters(world)).length, 1);
    },
    ", concurrency: 1, sleep: { early: keep 1m }",
  );
});

test("a dead letter that holds its key is retried with the signals it had taken in its first transaction", async () => {
  let failing = true;
  const script: Script = (event) => {
    if (event.kind === "deliver") return [wait(1, "paid", "k"), request(1, "out")];
    if (event.kind === "signal" && failing) return [fail("E_ALWAYS", "no", false)];
    return event.kind === "signal" ? [send("out", shown(event)), done()] : [];
  };
  await withWorld(
    script,
    async (world) => {
      await world.signal("k", "taken");
      await world.put("1", "key");
      const letter = await until(async () => (await letters(world))[0]);
      await until(() => world.journal.stats().signals === 0);
      failing = false;
      await world.gateway.retryDeadLetter(letter.id);
      await until(() => world.got.includes("taken"));
      await until(async () => (await letters(world)).length === 0);
      equal(world.journal.stats().signals, 0);
    },
    ", onDead: hold",
  );
});

test("the time it takes to run a machine again up to its wait is not its attempt's, which has its own after that", async () => {
  let [waitMs, isDone] = [8000, true];
  const script: Script = (event, memory) => (event.kind === "signal" && !isDone ? undefined : saga(event, memory));
  await withWorld(
    script,
    async (world) => {
      const { runner, clock } = world;
      const resume = runner.resume.bind(runner);
      runner.resume = (...given) => {
        const machine = resume(...given);
        if (given[1].events.length === 1) return machine;
        const replayed = new Promise<void>((resolve) => clock.after(waitMs, resolve));
        return { ...machine, first: replayed.then(() => machine.first), step: (event) => replayed.then(() => machine.step(event)) };
      };
      await world.put("1");
      await until(async () => (await asleep(world)).length === 1);
      await world.signal("1", "paid");
      await world.pass(9000);
      await until(() => world.got.includes("paid for 1"));
      isDone = false;
      waitMs = 1000;
      await world.put("2");
      await until(async () => (await asleep(world)).length === 1);
      await world.signal("2", "paid");
      await world.pass(7500); // its retry, a second later, is still in time
      const failed = world.logs.filter(({ fields }) => fields["code"] === "MF_TIME_LIMIT");
      equal(failed.length, 1, "a machine that hangs after its replay");
    },
    ", limits: { time: 5s, cpu: 10s }",
  );
});
