/** Probes, metrics and the admin endpoints of a gateway that serves. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { done, fail, text } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:id", method: GET } } ] } }`;

test("/ping, /ready, /metrics and the admin endpoints", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, admin }) => {
    equal(await (await fetch(`${url}/ping`)).text(), "pong\n");
    deepEqual(await (await fetch(`${url}/ready`)).json(), { ready: true });
    deepEqual(await (await admin("/ready")).json(), { ready: true, problems: [] });
    await fetch(`${url}/echo`, { method: "POST" });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    match(metrics, /mayfly_source_received_total\{flow="echo"\} 1/);
    match(metrics, /mayfly_flow_duration_seconds_count\{flow="echo"\} 1/);
    const sent = await admin("/-/flows/echo/messages", { method: "POST", body: "x" });
    const outcome = (await sent.json()) as { status: string; reply: { body: { text: string } } };
    deepEqual([sent.status, outcome.status, outcome.reply.body.text], [200, "done", "ok"]);
    equal((await admin("/-/flows/ecko/messages", { method: "POST" })).status, 404);
  });
});

test("a dead letter is retried through the admin endpoint, with another body if asked", async () => {
  const yaml = `flows: { job: { image: job.mfi, retry: { attempts: 1 }, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
  await withGateway(
    yaml,
    { job: (event) => (event.kind === "deliver" && text(event.body) === "good" ? [done()] : [fail("NO")]) },
    async ({ url, admin, deadLetters, runner }) => {
      await fetch(`${url}/jobs`, { method: "POST", body: "bad" });
      await until(async () => (await deadLetters.count("job")) === 1);
      const [letter] = (await (await admin("/-/dead-letters?flow=job")).json()) as { id: string; failure: { code: string } }[];
      equal(letter?.failure.code, "NO");
      const retried = await admin(`/-/dead-letters/${letter?.id}/retry?edit=true`, { method: "POST", body: "good" });
      deepEqual([retried.status, ((await retried.json()) as { status: string }).status], [200, "done"]);
      await until(() => runner.delivered.length === 2);
      equal(await deadLetters.count("job"), 0);
      equal((await admin("/-/dead-letters/job/..%2f..%2fetc")).status, 404);
    },
  );
});
