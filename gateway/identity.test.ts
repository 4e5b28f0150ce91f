/** Ownership of ids: nobody gets another's reply, takes another's id, or makes another's request be dropped, by naming an id. */
import { deepEqual, equal, match, notEqual } from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { done, request, type Script, send, text } from "./testing/scripted.ts";
import { withGateway } from "./testing/rig.ts";

const secret: Script = (event) => (event.kind === "deliver" ? [done(`reply to ${text(event.body)}`)] : []);

type Answer = readonly [status: number, text: string, duplicate: string | null];

async function ask(url: string, body: string, headers: Record<string, string>, method = "POST"): Promise<Answer> {
  const response = await fetch(url, { method, headers, body });
  const answer = await response.text();
  return [
    response.status,
    response.status === 422 ? (JSON.parse(answer) as { code: string }).code : answer,
    response.headers.get("mayfly-duplicate"),
  ];
}

const sources = `
      - http: { path: /private, auth: { bearer: token, basic: "user:word" } }
      - http: { path: /public }
      - http: { path: /public, method: PUT }
      - http: { path: "/items/:id" }`;

for (const mode of ["reply", "accept"])
  test(`an id belongs to its route and caller, and to one request (mode: ${mode})`, async () => {
    const from = sources.replaceAll("path:", `mode: ${mode}, path:`);
    await withGateway(
      `flows:\n  shop:\n    image: shop.mfi\n    dedup: { window: 1h }\n    from:${from}\n`,
      { shop: secret },
      async ({ url, runner }) => {
        const key = { "idempotency-key": "K" };
        const bearer = { ...key, authorization: "Bearer token" };
        const basic = { ...key, authorization: `Basic ${Buffer.from("user:word").toString("base64")}` };
        const runs = async (expected: number): Promise<void> => {
          for (let turn = 0; turn < 200 && runner.delivered.length < expected; turn += 1) await new Promise((next) => setTimeout(next, 5));
          equal(runner.delivered.length, expected);
        };
        const isFirst = async (answer: Promise<Answer>, body: string): Promise<void> => {
          const [status, reply, duplicate] = await answer;
          deepEqual([status, duplicate], [mode === "reply" ? 200 : 202, null]);
          if (mode === "reply") equal(reply, `reply to ${body}`);
        };
        await isFirst(ask(`${url}/private`, "a", bearer), "a");
        await isFirst(ask(`${url}/private`, "a", basic), "a");
        await isFirst(ask(`${url}/public`, "a", key), "a");
        await isFirst(ask(`${url}/public`, "a", key, "PUT"), "a");
        await isFirst(ask(`${url}/items/1`, "a", key), "a");
        await isFirst(ask(`${url}/items/1`, "a", { "idempotency-key": "K2" }), "a");
        await runs(6);
        for (const [path, headers] of [
          ["/private", bearer],
          ["/private", basic],
          ["/public", key],
        ] as const) {
          equal((await ask(`${url}${path}`, "a", headers))[2], "true");
          deepEqual(await ask(`${url}${path}`, "b", headers), [422, "MF_ID_REUSED", null]);
          deepEqual(await ask(`${url}${path}`, "", headers), [422, "MF_ID_REUSED", null]);
        }
        for (const path of ["/items/2", "/items/1?x=1"]) deepEqual(await ask(`${url}${path}`, "a", key), [422, "MF_ID_REUSED", null]);
        await runs(6);
      },
    );
  });

test("another body under an id that is being worked on is refused too, and a key of the flow's own promises no such thing", async () => {
  const yaml = `flows:
  shop: { image: shop.mfi, dedup: { window: 1h }, from: [ { http: { path: /shop } } ] }
  bills: { image: shop.mfi, dedup: { window: 1h, by: "json:/id" }, from: [ { http: { path: /bills } } ] }
`;
  const slow: Script = (event) =>
    event.kind === "deliver" && text(event.body) === "slow" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 300 }] : [done("done")];
  await withGateway(yaml, { shop: slow }, async ({ url, runner }) => {
    const first = ask(`${url}/shop`, "slow", { "idempotency-key": "K" });
    while (runner.running === 0) await new Promise((next) => setTimeout(next, 5));
    deepEqual(await ask(`${url}/shop`, "other", { "idempotency-key": "K" }), [422, "MF_ID_REUSED", null]);
    equal((await first)[0], 200);
    await ask(`${url}/bills`, '{"id":1,"at":1}', { "idempotency-key": "A" });
    equal((await ask(`${url}/bills`, '{"id":1,"at":2}', { "idempotency-key": "B" }))[2], "true");
  });
});

test("source and id of a CloudEvent are one id in one way only", async () => {
  const yaml = `flows: { events: { image: shop.mfi, dedup: { window: 1h }, from: [ { http: { path: /events, cloudevents: true } } ] } }`;
  await withGateway(yaml, { shop: secret }, async ({ url, runner }) => {
    const event = (source: string, id: string): Promise<Answer> =>
      ask(`${url}/events`, "x", { "ce-specversion": "1.0", "ce-type": "t", "ce-source": source, "ce-id": id });
    const pairs = [
      ["a", "b c"],
      ["a b", "c"],
      ["a%20b", "c"],
      ["a%2520b", "c"],
      ["a", "b%20c"],
      ["a%20b%20c", "d"],
    ] as const;
    for (const [source, id] of pairs) await event(source, id);
    const distinct = new Set(pairs.map(([source, id]) => JSON.stringify([decodeURIComponent(source), decodeURIComponent(id)])));
    equal(runner.delivered.length, distinct.size);
    equal((await event("a", "b c"))[2], "true");
  });
});

test("two sources of a flow have ids of their own, also of one kind", async () => {
  const yaml = `flows:
  shop: { image: shop.mfi, dedup: { window: 1h }, from: [ { http: { path: /a } }, { http: { path: /b } } ] }
`;
  await withGateway(yaml, { shop: secret }, async ({ url, gateway, runner }) => {
    for (const path of ["a", "b", "a"]) await ask(`${url}/${path}`, "x", { "idempotency-key": "7" });
    await gateway.inject("shop", { id: "7", body: new Uint8Array(1), wait: true });
    equal(runner.delivered.length, 3);
  });
});

test("a sender can't choose the idempotency key of a request or a send, nor an id the gateway makes", async () => {
  const keys: string[] = [];
  const peer = createServer((incoming, response) => {
    keys.push(String(incoming.headers["idempotency-key"]));
    response.end("fine");
  });
  await new Promise<void>((listening) => peer.listen(0, "127.0.0.1", listening));
  const at = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  const yaml = `flows: { shop: { image: shop.mfi, from: [ { http: { path: /shop } }, { http: { path: /queue, mode: accept } } ], to: { erp: { http: { url: "${at}" } } } } }`;
  const asks: Script = (event) => (event.kind === "deliver" ? [request(1, "erp", "x")] : [send("erp", "y"), done("ok")]);
  await withGateway(yaml, { shop: asks }, async ({ url, runner }) => {
    for (const path of ["shop", "shop", "queue", "queue"]) await ask(`${url}/${path}`, "x", { "idempotency-key": "victim" });
    while (keys.length < 8) await new Promise((next) => setTimeout(next, 5));
    equal(new Set(keys).size, 8);
    for (const key of keys) match(key, /^shop\/victim\/(mf-[\w-]{22}|\d+)\/(call\/)?\d+$/);
    await ask(`${url}/shop`, "x", {});
    const own = runner.delivered.at(-1)?.id ?? "";
    await ask(`${url}/shop`, "x", { "idempotency-key": own });
    match(own, /^mf-/);
    notEqual(runner.delivered.at(-1)?.id, own);
  });
  peer.closeAllConnections();
  peer.close();
});
