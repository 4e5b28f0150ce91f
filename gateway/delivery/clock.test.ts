/** Somebody sets the computer's clock an hour back or forth: nothing that has a duration notices, and dates are right. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { connectors } from "#connectors";
import { prng } from "#base";
import { logOutlet } from "../../connectors/log/outlet.ts";
import { type Outlet, type OutletDefinition, OutletError } from "../contract/outlet.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { type Rig, until, withGateway } from "../testing/rig.ts";
import { done, fail, type Script, send, text, utf8 } from "../testing/scripted.ts";

const hourMs = 3_600_000;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n += 1) await turn();
};

/** An outlet whose peer refuses the first sends. */
function moody(refusals: number): { readonly definition: OutletDefinition; readonly got: string[]; attempts: () => number } {
  const got: string[] = [];
  let attempts = 0;
  const outlet: Outlet = {
    async send(message) {
      attempts += 1;
      if (attempts <= refusals) throw new OutletError("MF_TEST", "not now", { retryable: true });
      got.push(text(message.body));
    },
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "" }),
  };
  const definition: OutletDefinition = { ...(logOutlet as OutletDefinition), create: () => outlet };
  return { definition, got, attempts: () => attempts };
}

async function withClock(
  yaml: string,
  script: Script,
  run: (rig: Rig, clock: ManualClock) => Promise<void>,
  outlets: readonly OutletDefinition[] = [],
): Promise<void> {
  const clock = new ManualClock(Date.UTC(2026, 5, 1, 10));
  let ticking: NodeJS.Timeout | undefined;
  const scripts = { f: script };
  const ports = { random: prng(1), connectors: outlets.length === 0 ? connectors : { ...connectors, outlets } };
  const test = (rig: Rig): Promise<void> => run(rig, clock).finally(() => (ticking = setInterval(() => clock.advance(1000), 1))); // its stop waits by this clock
  await withGateway(yaml, scripts, test, { clock, ports }).finally(() => clearInterval(ticking));
}

for (const [name, jumpMs] of [
  ["back", -hourMs],
  ["forth", hourMs],
] as const) {
  test(`an hour ${name}: a message's time limit comes when it is due, neither before nor after`, async () => {
    await withClock(
      'flows: { f: { image: f.mfi, from: [{ http: { path: "/f" } }], limits: { time: 3s }, retry: { attempts: 1 } } }',
      () => undefined,
      async ({ gateway }, clock) => {
        let outcome: string | undefined;
        void gateway.inject("f", { body: utf8("x"), wait: true }).then((found) => (outcome = found.status));
        await turns();
        clock.advance(1000);
        clock.jump(jumpMs);
        clock.advance(1900);
        await turns();
        equal(outcome, undefined);
        clock.advance(200);
        equal(await until(() => outcome), "dead");
      },
    );
  });

  test(`an hour ${name}: a machine's timers and its own time go on steadily, and the next machine has the new date`, async () => {
    const told: number[] = [];
    const script: Script = (event) => {
      told.push(event.timeMs);
      if (event.kind === "deliver") return [{ kind: "timer", timer: 1, dueMs: event.timeMs + 2000 }];
      return [done("slept")];
    };
    await withClock('flows: { f: { image: f.mfi, from: [{ http: { path: "/f" } }] } }', script, async ({ gateway }, clock) => {
      const startMs = clock.now();
      const first = gateway.inject("f", { body: utf8("x"), wait: true });
      await turns();
      clock.jump(jumpMs);
      clock.advance(1999);
      await turns();
      deepEqual(told, [startMs]);
      clock.advance(1);
      equal((await first).status, "done");
      deepEqual(told, [startMs, startMs + 2000]);
      void gateway.inject("f", { body: utf8("x"), wait: true });
      await turns();
      equal(told[2], startMs + 2000 + jumpMs);
      clock.advance(2000);
    });
  });

  test(`an hour ${name}: retries of a message and of a send come after their backoff`, async () => {
    const peer = moody(2);
    let runs = 0;
    const script: Script = (event) => {
      if (event.kind !== "deliver") return undefined;
      runs += 1;
      return runs === 1 ? [fail("APP")] : [send("out", text(event.body)), done()];
    };
    const yaml = `flows: { f: { image: f.mfi, from: [{ http: { path: "/f" } }], retry: { backoff: 10s..10s, age: 30m },
      to: { out: { log: {}, retry: { backoff: 10s..10s, age: 30m }, breaker: { failures: 1, pause: 20s } } } } }`;
    await withClock(
      yaml,
      script,
      async ({ gateway }, clock) => {
        await gateway.inject("f", { body: utf8("a"), wait: false });
        await turns();
        equal(runs, 1);
        clock.jump(jumpMs);
        clock.advance(4000);
        await turns();
        equal(runs, 1);
        clock.advance(6000);
        await turns();
        equal(runs, 2);
        equal(peer.attempts(), 1);
        clock.jump(-jumpMs);
        clock.advance(19_000); // the circuit is open
        await turns();
        equal(peer.attempts(), 1);
        clock.advance(1100);
        await until(() => peer.attempts() === 2);
        await turns();
        clock.jump(jumpMs);
        clock.advance(20_100);
        await until(() => peer.got.length === 1);
        deepEqual(peer.got, ["a"]);
      },
      [peer.definition],
    );
  });

  test(`an hour ${name}: a message expires by the time it has waited`, async () => {
    const script: Script = (event) => {
      if (event.kind !== "deliver") return [done()];
      return text(event.body) === "first" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 5000 }] : [done()];
    };
    const yaml = 'flows: { f: { image: f.mfi, from: [{ http: { path: "/f" } }], concurrency: 1, expires: 8s } }';
    await withClock(yaml, script, async ({ gateway }, clock) => {
      const statuses: string[] = [];
      for (const body of ["first", "second"])
        void gateway.inject("f", { body: utf8(body), wait: true }).then((outcome) => statuses.push(`${body} ${outcome.status}`));
      await turns();
      clock.jump(jumpMs);
      clock.advance(5000);
      await turns();
      deepEqual(statuses, ["first done", "second done"]);
      void gateway.inject("f", { body: utf8("first"), wait: true });
      void gateway.inject("f", { body: utf8("late"), wait: true }).then((outcome) => statuses.push(`late ${outcome.status}`));
      await turns();
      clock.jump(-jumpMs);
      clock.advance(4900);
      await turns();
      clock.advance(200);
      await turns();
      equal(statuses[2], "late done");
    });
  });
}
