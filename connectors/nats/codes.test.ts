/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect as connectNats } from "@nats-io/transport-node";
import { natsOutlet } from "./outlet.ts";
import { natsSource } from "./source.ts";
import { answered, attemptOf, eventually, outgoing, PretendedGateway, startOutlet, startSource, toldBy } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";
import { strictServer } from "../testing/strict-nats.ts";

describe("nats: codes", { skip: missing("nats-server"), timeout: 60_000 }, () => {
  test("what is forbidden or too long", async () => {
    const broker = await strictServer();
    const url = `nats://u:p@127.0.0.1:${broker.port}`;
    try {
      const forbidden = await startSource(natsSource, { url, subject: "forbidden.x" });
      await eventually("told", () => forbidden.source.health().detail.startsWith("MF_NATS_FORBIDDEN"));
      await forbidden.source.stop();

      const { outlet } = await startOutlet(natsOutlet, { url, subject: "out" });
      await assert.rejects(outlet.send(outgoing("x".repeat(70_000)), attemptOf()), { code: "MF_NATS_TOO_LARGE" });
      await assert.rejects(outlet.send(outgoing("x".repeat(65_000), { headers: { a: "y".repeat(2_000) } }), attemptOf()), {
        code: "MF_NATS_TOO_LARGE",
      });
      await outlet.send(outgoing("x".repeat(60_000)), attemptOf());
      await outlet.stop();
    } finally {
      await broker.remove();
    }
  });

  test("a file of credentials that can't be read", async () => {
    await toldBy(natsSource, { url: "nats://127.0.0.1:9", credentials: "absent.creds", subject: "x" }, "MF_NATS_CREDENTIALS: ");
  });

  test("replies to a subject that is forbidden are dropped, and nothing behind them is lost", async () => {
    const broker = await strictServer();
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const gateway = new PretendedGateway();
      gateway.answer = (incoming) => answered(incoming);
      const { source, context } = await startSource(natsSource, { url: `nats://u:p@127.0.0.1:${broker.port}`, subject: "in" }, 64, gateway);
      for (let n = 0; n < 50; n += 1) admin.publish("in", `${n}`, n % 2 === 0 ? { reply: `forbidden.${n}` } : {});
      assert.equal((await admin.request("in", "last", { timeout: 5_000 })).string(), "answer");
      await eventually("all came", () => gateway.received.length === 51);
      await eventually("the refused are counted", () => context.counts.get("reply_dropped") === 25);
      assert.equal(context.counts.get("lost"), undefined);
      assert.equal(source.health().ready, true);
      await source.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });
});
