/** A message to send, with values that must not lead an outlet astray, and its first attempt. */
import type { Outgoing } from "../../gateway/contract/message.ts";
import type { Attempt } from "../../gateway/contract/outlet.ts";
import { utf8 } from "../../gateway/testing/scripted.ts";

export const message: Outgoing = {
  messageId: "m1",
  flow: "orders",
  outlet: "out",
  key: "k/../1",
  contentType: "text/plain",
  headers: { "x-a": "../../etc/passwd", "x-none": "" },
  body: utf8("hello"),
  correlationId: "c1",
  timeMs: Date.UTC(2026, 10, 23, 8, 7, 6, 5),
};
export const attempt: Attempt = { idempotencyKey: "orders/m1/7/0", attempt: 1, signal: new AbortController().signal };
