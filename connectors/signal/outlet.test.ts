/** Signals to sleeping machines, by a send. */
import { deepEqual, rejects } from "node:assert/strict";
import { test } from "node:test";
import { expression } from "../../gateway/delivery/admission/expression.ts";
import type { OutletContext } from "../../gateway/contract/outlet.ts";
import type { IncomingSignal, SignalOutcome } from "../../gateway/contract/sleep.ts";
import { utf8 } from "../../gateway/testing/scripted.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";
import { signalOutlet } from "./outlet.ts";

test("a send is a signal under its own key, or else the one that the configuration finds", async () => {
  const seen: IncomingSignal[] = [];
  const outcomes: SignalOutcome[] = [
    { status: "kept", id: "x", waiting: true },
    { status: "duplicate", id: "x" },
    { status: "refused", code: "MF_SIGNALS_FULL", message: "full", final: false, retryAfterMs: 5 },
    { status: "refused", code: "MF_STOPPING", message: "starts", final: false, retryAfterMs: 5 },
    { status: "refused", code: "MF_SIGNAL_TOO_LARGE", message: "long", final: true, retryAfterMs: 0 },
  ];
  const context: OutletContext = {
    ...testContext(),
    expression,
    signalTo: (signal) => {
      seen.push(signal);
      return Promise.resolve(outcomes.shift() as SignalOutcome);
    },
  };
  const outlet = signalOutlet.create({ flow: "orders", name: "payment", key: "json:/order" } as never, context);
  const send = { ...message, key: undefined, body: utf8('{"order":4711}') };
  await outlet.send(send, attempt);
  await outlet.send({ ...send, key: "own" }, attempt);
  await rejects(outlet.send(send, attempt), { code: "MF_SIGNALS_FULL", retryable: true, unreached: false, retryAfterMs: 5 });
  await rejects(outlet.send(send, attempt), { code: "MF_STOPPING", retryable: true, unreached: true });
  await rejects(outlet.send(send, attempt), { code: "MF_SIGNAL_TOO_LARGE", retryable: false });
  deepEqual(
    seen.map(({ flow, name, key, id }) => [flow, name, key, id]),
    ["4711", "own", "4711", "4711", "4711"].map((key) => ["orders", "payment", key, attempt.idempotencyKey]),
  );
  await rejects(outlet.send({ ...send, body: utf8("{}") }, attempt), { code: "MF_SIGNAL_NO_KEY", retryable: false });
});

test("a flow that was removed may come back: the send is retried", async () => {
  const outlet = signalOutlet.create({ flow: "gone", name: "payment" } as never, testContext());
  await rejects(outlet.send({ ...message, key: "1" }, attempt), { code: "MF_FLOW_UNKNOWN", retryable: true });
});
