/** CloudEvents over HTTP, beyond the scenarios of test/conformance/cloudevents.ts. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { Effect } from "#abi";
import { fromUtf8 } from "#base";
import { done, utf8 } from "../gateway/testing/scripted.ts";
import { withGateway } from "../gateway/testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /someresource, cloudevents: true } }, { http: { path: /plain } } ] } }`;
const shows = (event: { kind: string; headersJson?: string; body?: Uint8Array }): Effect[] =>
  event.kind === "deliver"
    ? [done(JSON.stringify({ headers: JSON.parse(event.headersJson ?? "{}") as object, body: fromUtf8(event.body ?? utf8("")) }))]
    : [];

test("structured data arrives byte for byte; a value that is not UTF-8 gets 400", async () => {
  await withGateway(echo, { echo: shows as never }, async ({ url }) => {
    const structured = `{"specversion":"1.0","id":"1","source":"/s","type":"t","data": {"n":12345678901234567890.10,  "e":1E400}}`;
    const response = await fetch(`${url}/someresource`, {
      method: "POST",
      body: structured,
      headers: { "content-type": "application/cloudevents+json" },
    });
    equal(((await response.json()) as { body: string }).body, `{"n":12345678901234567890.10,  "e":1E400}`);
    const binary = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
    for (const [value, status] of [
      [`"a%20b"`, 200],
      ["%C0%A0", 400],
      ["%0D%0Ax: y", 400],
    ] as const)
      equal((await fetch(`${url}/someresource`, { method: "POST", headers: { ...binary, "ce-subject": value } })).status, status, value);
  });
});

test("a webhook's handshake is answered where CloudEvents are taken, and nowhere else", async () => {
  await withGateway(echo, { echo: shows as never }, async ({ url, runner }) => {
    const ask = async (path: string, headers: Record<string, string>): Promise<unknown[]> => {
      const { status, headers: got } = await fetch(`${url}${path}`, { method: "OPTIONS", headers });
      return [status, got.get("webhook-allowed-origin"), got.get("webhook-allowed-rate"), got.get("allow")];
    };
    const origin = { "webhook-request-origin": "eventemitter.example.com" };
    deepEqual(await ask("/someresource", origin), [200, "eventemitter.example.com", null, "OPTIONS, POST"]);
    deepEqual(await ask("/someresource", { ...origin, "webhook-request-rate": "120" }), [
      200,
      "eventemitter.example.com",
      "*",
      "OPTIONS, POST",
    ]);
    deepEqual(await ask("/someresource", {}), [204, null, null, "OPTIONS, POST"]);
    deepEqual(await ask("/someresource", { "webhook-request-origin": "a b<c>" }), [204, null, null, "OPTIONS, POST"]);
    deepEqual(await ask("/plain", origin), [204, null, null, "OPTIONS, POST"]);
    equal((await ask("/none", origin))[0], 404);
    equal(runner.delivered.length, 0);
  });
});
