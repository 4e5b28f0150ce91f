/** The guest's answers beside the gateway's, to the same bytes. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { withGateway } from "../../gateway/testing/rig.ts";
import { plainFlow, ServiceBench } from "../../kernel/net/testing/service.ts";
import type { DeliverEvent, Effect, Event } from "#abi";
import { requestCases } from "./requests.ts";
import { answersIn, rawAnswers } from "./wire.ts";

const yaml = `flows: { orders: { image: orders.mfi, from: [ { http: { path: /in, bodyLimit: 1MB } }, { http: { path: "/items/:id", method: [GET, PUT] } }, { http: { path: "/files/*", method: GET } } ] } }`;
const route = { ...(plainFlow.routes[0] as (typeof plainFlow.routes)[number]), bodyLimit: 1_000_000 };
const routes = [
  { ...route, path: "/in" },
  { ...route, path: "/items/:id", methods: ["GET", "PUT"] },
  { ...route, path: "/files/*", methods: ["GET"] },
];

const echo = (event: Event): readonly Effect[] => [
  {
    kind: "done",
    reply: {
      status: 200,
      contentType: "text/plain",
      headersJson: "{}",
      body: event.kind === "deliver" ? Buffer.from(`${event.headersJson} ${Buffer.from(event.body).toString()}`) : new Uint8Array(0),
    },
  },
];

function methodsOf(bytes: string): readonly string[] {
  return [bytes.trimStart().split(" ")[0] ?? ""];
}

/** Of several requests of one connection the gateway runs all at once: they are sorted here. */
function seen(events: readonly DeliverEvent[]): readonly object[] {
  return events
    .map(({ source, attempt, headersJson, body, key, stateJson }) => {
      return { source, attempt, key, stateJson, headers: headersJson, body: Buffer.from(body).toString() };
    })
    .sort((a, b) => (a.headers < b.headers ? -1 : 1));
}

test("requests that servers disagree about are answered as the gateway answers them, or refused", { timeout: 120_000 }, async () => {
  const delivered: DeliverEvent[] = [];
  const bench = await ServiceBench.create({
    service: { routes },
    run: (event) => {
      if (event.kind === "deliver") delivered.push(event);
      return echo(event);
    },
  });
  await withGateway(yaml, { orders: echo }, async ({ gateway, runner }) => {
    for (const { name, bytes, stricter, byNode } of requestCases) {
      delivered.length = 0;
      runner.delivered.length = 0;
      const peer = bench.open();
      ok(peer !== undefined);
      bench.send(peer, bytes);
      const methods = methodsOf(bytes);
      const ours = answersIn(peer.text, methods);
      if (stricter !== undefined) {
        equal(ours[0]?.status, 400, name);
        equal(delivered.length, 0, name);
        bench.close(peer);
        continue;
      }
      const closes = peer.finished || peer.aborted;
      const answers = ours.filter(({ status }) => status >= 200).length;
      const theirs = await rawAnswers(gateway.address?.port ?? 0, Buffer.from(bytes, "latin1"), { answers, closes, methods });
      if (byNode === true) equal(ours[0]?.status, theirs[0]?.status, name);
      else deepEqual(ours, theirs, name);
      deepEqual(seen(delivered), seen(runner.delivered), name);
      bench.close(peer);
    }
  });
});
