/** Messages as lines of the log. */
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { logOutlet } from "./outlet.ts";
import { attempt, message } from "../testing/messages.ts";
import { startOutlet } from "../testing/rig.ts";

test("a send is one line, of the level and text that are asked for, with the message, its length and the start of its body", async () => {
  const { outlet, context } = await startOutlet(logOutlet, { level: "warn", text: "seen", maxBytes: 4 });
  await outlet.send(message, attempt);
  const fields = { message: "m1", send: "orders/m1/7/0", key: "k/../1", contentType: "text/plain", bytes: 5, body: "hell" };
  deepEqual(context.lines, [{ level: "warn", fields, text: "seen" }]);
});

test("a structured CloudEvent is logged as it would be sent", async () => {
  const { outlet, context } = await startOutlet(logOutlet, { cloudevents: { mode: "structured" } });
  await outlet.send(message, attempt);
  const [line] = context.lines;
  equal(line?.level, "info");
  equal(JSON.parse(String(line?.fields["body"])).id, "orders/m1/7/0");
});
