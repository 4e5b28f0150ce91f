/** Flows that send to flows. */
import { equal } from "node:assert/strict";
import { test } from "node:test";
import { done, request, send, text } from "../../gateway/testing/scripted.ts";
import { until, withGateway } from "../../gateway/testing/rig.ts";

test("a flow sends to another flow and asks it; a circle of flows ends", async () => {
  const yaml = `flows:
  a: { image: a.mfi, from: [ { http: { path: /a } } ], to: { b: { flow: { name: b } } } }
  b: { image: b.mfi, from: [ { flow: {} } ], to: { again: { flow: { name: b } } } }`;
  let hops = 0;
  await withGateway(
    yaml,
    {
      a: (event) =>
        event.kind === "deliver" ? [send("b", "sent"), request(0, "b", "asked")] : event.kind === "resolve" ? [done(text(event.body))] : [],
      b: (event) =>
        event.kind !== "deliver" ? [] : text(event.body) === "asked" ? [done("answer")] : ((hops += 1), [send("again", "on"), done()]),
    },
    async ({ url, deadLetters }) => {
      equal(await (await fetch(`${url}/a`, { method: "POST" })).text(), "answer");
      await until(async () => (await deadLetters.count("b")) === 1);
      equal(hops, 32);
      for await (const letter of deadLetters.list("b")) equal(letter.failure.code, "MF_FLOW_LOOP");
    },
  );
});
