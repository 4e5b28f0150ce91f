/** The small gateway by itself: requests in, events out, effects in, answers out. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "#abi";
import { bodyOf, plainService, ServiceBench, statusOf } from "../testing/service.ts";

const route = plainService.routes[0] as (typeof plainService.routes)[number];

test("a request becomes a message, and the flow's reply an answer", async () => {
  const events: Event[] = [];
  const bench = await ServiceBench.create({
    run: (event) => {
      events.push(event);
      return [
        { kind: "done", reply: { status: 201, contentType: "text/plain", headersJson: '{"x-a":["1","2"]}', body: Buffer.from("hi") } },
      ];
    },
  });
  deepEqual(bench.listening, [80]);
  const answer = bench.ask(
    "POST /?a=b HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX-A: 1\r\nX-A: 2\r\n\r\nabc",
  );
  equal(statusOf(answer), 201);
  equal(bodyOf(answer), "hi");
  match(answer, /\r\nx-a: 1\r\nx-a: 2\r\n/);
  const [event] = events;
  ok(event?.kind === "deliver");
  equal(Buffer.from(event.body).toString(), "abc");
  deepEqual(JSON.parse(event.headersJson), {
    host: "x",
    "x-a": ["1", "2"],
    "mayfly-method": "POST",
    "mayfly-path": "/",
    "mayfly-query": "a=b",
    "content-type": "text/plain",
  });
  equal(bench.host.exports.takenBytes(), 0);
});

void route;
