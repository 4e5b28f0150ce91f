/** Messages from flow to flow. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { OutletContext } from "../../gateway/contract/outlet.ts";
import { utf8 } from "../../gateway/testing/scripted.ts";
import { flowOutlet } from "./outlet.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";

const delivering = (deliver: (incoming: Incoming) => Outcome): OutletContext => ({
  ...testContext(),
  deliverTo: async (_flow, incoming) => deliver(incoming),
});

test("outcomes of the other flow are passed on, hops are counted, and circles end", async () => {
  const outcomes: Outcome[] = [
    { status: "accepted", id: "x" },
    { status: "refused", id: undefined, code: "MF_FLOW_BUSY", message: "full", retryAfterMs: 5 },
    { status: "done", id: "x", reply: { status: 200, contentType: "text/plain", headers: {}, body: utf8("reply") } },
  ];
  const seen: string[] = [];
  const outlet = flowOutlet.create(
    { name: "billing" } as never,
    delivering((incoming) => {
      seen.push(`${incoming.id} ${incoming.headers["mayfly-hops"]} ${incoming.keeper}`);
      return outcomes.shift() as Outcome;
    }),
  );
  await outlet.send(message, attempt);
  await rejects(outlet.send(message, attempt), { code: "MF_FLOW_BUSY", retryable: true, retryAfterMs: 5 });
  equal(Buffer.from((await outlet.request?.({ ...message, method: "" }, attempt))?.body ?? []).toString(), "reply");
  deepEqual(seen, ["orders/m1/7/0 1 journal", "orders/m1/7/0 1 journal", "orders/m1/7/0 1 source"]);
  await rejects(outlet.send({ ...message, headers: { "mayfly-hops": "32" } }, attempt), { code: "MF_FLOW_LOOP", retryable: false });
  await rejects(flowOutlet.create({ name: "gone" } as never, testContext()).send(message, attempt), { code: "MF_FLOW_UNKNOWN" });
});

test("a binary CloudEvent has its attributes in the other flow's headers", async () => {
  const got: Incoming[] = [];
  const context = delivering((incoming) => {
    got.push(incoming);
    return { status: "accepted", id: "x" };
  });
  const event = { ...message, contentType: "application/json", body: utf8('{"a":1.0}') };
  await flowOutlet.create({ name: "other", cloudevents: { mode: "binary" } }, context).send(event, attempt);
  deepEqual([got[0]?.headers["ce-id"], got[0]?.contentType, got[0]?.headers["mayfly-hops"]], ["orders/m1/7/0", "application/json", "1"]);
});
