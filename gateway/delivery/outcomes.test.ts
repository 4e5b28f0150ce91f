/** Outcomes of a message, end to end: replies, failures, retries, dead letters, duplicates, expiry. */
import { deepEqual, equal } from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { done, fail, log, text, utf8 } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:id", method: GET } } ] } }`;

test("a flow that fails answers a problem with code and id; its own faults are kept as dead letters, the caller's are not", async () => {
  const script = (event: { kind: string; body?: Uint8Array }): ReturnType<typeof fail>[] => [
    text(event.body ?? utf8("")) === "bad" ? fail("BAD_ORDER", "no such customer", false, 422) : fail("MF_FLOW_THREW", "secret in hand"),
  ];
  await withGateway(echo, { echo: script as never }, async ({ url, deadLetters, runner }) => {
    const bad = await fetch(`${url}/echo`, { method: "POST", body: "bad" });
    const problem = (await bad.json()) as Record<string, unknown>;
    deepEqual(
      [bad.status, bad.headers.get("content-type"), problem["code"], problem["detail"], problem["id"]],
      [422, "application/problem+json", "BAD_ORDER", "no such customer", runner.delivered[0]?.id],
    );
    equal(await deadLetters.count("echo"), 0);
    const threw = await fetch(`${url}/echo`, { method: "POST", body: "boom" });
    const hidden = (await threw.json()) as Record<string, unknown>;
    deepEqual([threw.status, hidden["code"], String(hidden["detail"]).includes("secret")], [500, "MF_FLOW_THREW", false]);
    equal(await deadLetters.count("echo"), 1);
    equal(runner.delivered.length, 2);
  });
});

test("mode accept answers 202 and retries until it works; a message that never works becomes a dead letter with the original bytes", async () => {
  const yaml = `flows: { job: { image: job.mfi, from: [ { http: { path: /jobs, mode: accept } } ], retry: { attempts: 3, backoff: 1ms..2ms } } }`;
  await withGateway(
    yaml,
    {
      job: (event) =>
        event.kind === "deliver"
          ? [log(`try ${event.attempt}`), text(event.body) === "never" || event.attempt < 3 ? fail("MF_FLOW_THREW") : done()]
          : [],
    },
    async ({ url, runner, deadLetters }) => {
      const accepted = await fetch(`${url}/jobs`, { method: "POST", body: "later" });
      deepEqual([accepted.status, ((await accepted.json()) as { status: string }).status], [202, "accepted"]);
      await until(() => runner.delivered.length === 3);
      deepEqual(
        runner.delivered.map((event) => [event.id, event.attempt]),
        [1, 2, 3].map((attempt) => [runner.delivered[0]?.id, attempt]),
      );
      await fetch(`${url}/jobs`, { method: "POST", body: "never", headers: { "x-h": "v" } });
      await until(async () => (await deadLetters.count("job")) === 1);
      for await (const { id } of deadLetters.list()) {
        const found = await deadLetters.read(id);
        deepEqual(
          [
            text(found?.body ?? utf8("")),
            found?.letter.headers["x-h"],
            found?.letter.attempts.map((attempt) => [attempt.attempt, attempt.logs[0]?.text]),
          ],
          ["never", "v", [1, 2, 3].map((n) => [n, `try ${n}`])],
        );
      }
    },
  );
});

test("a flow that hangs is ended at its time limit, and its neighbours do not notice", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, from: [ { http: { path: /slow } } ], limits: { time: 40ms } }, echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }`;
  await withGateway(yaml, { slow: () => undefined, echo: () => [done("ok")] }, async ({ url, runner }) => {
    const slow = fetch(`${url}/slow`, { method: "POST" });
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
    const response = await slow;
    deepEqual([response.status, ((await response.json()) as { code: string }).code], [504, "MF_TIME_LIMIT"]);
    await until(() => runner.running === 0);
  });
});

test("a caller who leaves cancels the message", async () => {
  const seen: string[] = [];
  await withGateway(
    echo,
    {
      echo: (event) =>
        event.kind === "deliver"
          ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 60_000 }]
          : (seen.push(event.kind), [log("bye"), fail("MF_CANCELLED")]),
    },
    async ({ url, logs, runner, deadLetters }) => {
      const outgoing = httpRequest(`${url}/echo`, { method: "POST" }).on("error", () => undefined);
      outgoing.end("x");
      await until(() => runner.running === 1);
      outgoing.destroy();
      await until(() => runner.running === 0);
      deepEqual(seen, ["cancel"]);
      await until(() => logs.some((line) => line.text === "bye"));
      equal(await deadLetters.count("echo"), 0);
    },
  );
});

test("a caller who leaves does not take the message from a duplicate that waits for it", async () => {
  const yaml = `flows: { once: { image: once.mfi, dedup: { window: 1m }, from: [ { http: { path: /once } } ] } }`;
  await withGateway(
    yaml,
    {
      once: (event) =>
        event.kind === "deliver"
          ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 80 }]
          : event.kind === "wake"
            ? [done("reply")]
            : [fail("MF_CANCELLED")],
    },
    async ({ url, runner, journal, logs }) => {
      const leaving = httpRequest(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } }).on("error", () => undefined);
      leaving.end();
      await until(() => runner.running === 1);
      const staying = fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } });
      await until(async () => /duplicates_total\{flow="once"\} 1/.test(await (await fetch(`${url}/metrics`)).text()));
      leaving.destroy();
      equal(await (await staying).text(), "reply");
      equal(journal.stats().pending, 0);
      await (await fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } })).text();
      deepEqual(
        logs
          .filter((line) => line.text.startsWith("a duplicate"))
          .map(({ level, fields }) => [level, fields["message"], fields["source"], fields["first"]]),
        [
          ["info", "a", "http", "running"],
          ["info", "a", "http", "done"],
        ],
      );
    },
  );
});

test("a full queue answers 503 with Retry-After, and everything that was taken is answered", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, from: [ { http: { path: /slow } } ], concurrency: 1, queue: 3 } }`;
  let held = true; // until all excess messages have been refused
  await withGateway(
    yaml,
    { slow: (event) => (held ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 5 }] : [done("ok")]) },
    async ({ url, runner }) => {
      let refusals = 0;
      const post = async (): Promise<Response> => {
        const response = await fetch(`${url}/slow`, { method: "POST" });
        if (response.status === 503) refusals += 1;
        if (refusals === 5) held = false;
        return response;
      };
      const responses = await Promise.all(Array.from({ length: 8 }, post));
      const statuses = responses.map((response) => response.status).sort();
      deepEqual(statuses, [200, 200, 200, 503, 503, 503, 503, 503]);
      const refused = responses.find((response) => response.status === 503);
      deepEqual([refused?.headers.get("retry-after"), ((await refused?.json()) as { code: string }).code], ["1", "MF_FLOW_BUSY"]);
      equal(runner.mostRunning, 1);
    },
  );
});

test("a duplicate within the window gets the first one's reply and is not run again; one that comes meanwhile waits for it", async () => {
  const yaml = `flows: { once: { image: once.mfi, dedup: { window: 1m }, from: [ { http: { path: /once } } ] } }`;
  await withGateway(
    yaml,
    { once: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 20 }] : [done("first")]) },
    async ({ url, runner }) => {
      const post = (): Promise<Response> => fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "abc" } });
      const both = await Promise.all([post(), post()]);
      const third = await post();
      deepEqual(await Promise.all([...both, third].map((response) => response.text())), ["first", "first", "first"]);
      equal(third.headers.get("mayfly-duplicate"), "true");
      equal(runner.delivered.length, 1);
    },
  );
});

test("a message that is not begun in time is dead; the caller who waits is told", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, concurrency: 1, expires: 20ms, from: [ { http: { path: /slow } } ] } }`;
  await withGateway(
    yaml,
    { slow: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 60 }] : [done("ok")]) },
    async ({ url }) => {
      const [first, second] = await Promise.all([1, 2].map(() => fetch(`${url}/slow`, { method: "POST" })));
      deepEqual([first?.status, second?.status].sort(), [200, 504]);
      const late = first?.status === 504 ? first : second;
      equal(((await late?.json()) as { code: string }).code, "MF_EXPIRED");
    },
  );
});

test("a message too long for a machine is refused as the sender's fault, and a runner that throws harms its message alone", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, gateway, runner, deadLetters }) => {
    const outcome = await gateway.inject("echo", { body: utf8("x"), headers: { "x-long": "a".repeat(70_000) }, wait: true });
    deepEqual([outcome.status, outcome.status === "dead" ? outcome.failure.code : ""], ["dead", "MF_MESSAGE_LIMIT"]);
    equal(runner.delivered.length, 0);
    equal(await deadLetters.count("echo"), 0);
    const { scripts } = runner;
    const echoing = scripts.get("echo");
    scripts.delete("echo");
    const lost = await fetch(`${url}/echo`, { method: "POST" });
    deepEqual([lost.status, ((await lost.json()) as { code: string }).code], [500, "MF_MACHINE_LOST"]);
    if (echoing !== undefined) scripts.set("echo", echoing);
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
  });
});

test("seeds and ids are never used twice", async () => {
  await withGateway(echo, { echo: () => [done("x")] }, async ({ url, runner }) => {
    for (let round = 0; round < 6; round += 1)
      await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${url}/echo`, { method: "POST", body: "x" })).text()));
    equal(new Set(runner.delivered.map((event) => Buffer.from(event.seed).toString("hex"))).size, 300);
    equal(new Set(runner.delivered.map((event) => event.id)).size, 300);
  });
});
