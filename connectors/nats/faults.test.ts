/** Headers that no client can read, and replies that the server refuses. Against a real broker. */
import assert from "node:assert/strict";
import { connect as connectSocket } from "node:net";
import { describe, test } from "node:test";
import { connect as connectNats } from "@nats-io/transport-node";
import { natsSource } from "./source.ts";
import { answered, eventually, PretendedGateway, startSource } from "../testing/rig.ts";
import { missing, natsServer, started } from "../testing/servers.ts";

/** Bytes of a NATS PUB with this header block, which no client would write. */
function rawPublish(port: number, subject: string, headers: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const block = `NATS/1.0\r\n${headers}\r\n\r\n`;
    const socket = connectSocket(port, "127.0.0.1");
    let said = "";
    socket.on("error", reject);
    socket.on("data", (data) => {
      said += data.toString("latin1");
      if (said.includes("INFO") && !said.includes("asked")) {
        said += "asked";
        const sizes = `${Buffer.byteLength(block, "latin1")} ${Buffer.byteLength(block, "latin1") + body.length}`;
        socket.write(
          Buffer.from(`CONNECT {"headers":true,"verbose":false}\r\nHPUB ${subject} ${sizes}\r\n${block}${body}\r\nPING\r\n`, "latin1"),
        );
      }
      if (said.includes("PONG")) {
        socket.end();
        resolve();
      }
    });
  });
}

describe("nats: faults of others", { skip: missing("nats-server"), timeout: 60_000 }, () => {
  test("headers no client can read leave the message whole, and the source goes on", async () => {
    const broker = await started(natsServer());
    try {
      const url = `nats://127.0.0.1:${broker.port}`;
      const { gateway, source, context } = await startSource(natsSource, { url, subject: "in" });
      const blocks = ["a b: c", "a\xe9: c", ": c", "no colon", "a: \xff\xfe", "a: b\r\nno colon either", "\r\n", "a:"];
      for (const [index, block] of blocks.entries()) await rawPublish(broker.port, "in", block, `m${index}`);
      await rawPublish(broker.port, "in", "fine: yes", "last");
      await eventually("all came", () => gateway.received.length === blocks.length + 1);
      assert.deepEqual(gateway.texts().sort(), [...blocks.map((_, index) => `m${index}`), "last"].sort());
      assert.equal(gateway.received.find((message) => Buffer.from(message.body).toString() === "last")?.headers["fine"], "yes");
      assert.ok((context.counts.get("headers_dropped") ?? 0) >= 3, String(context.counts.get("headers_dropped")));
      assert.equal(context.lines.filter((line) => JSON.stringify(line).includes("MF_HEADERS_DROPPED")).length, 1);
      assert.equal(source.health().ready, true);
      await source.stop();
    } finally {
      await broker.remove();
    }
  });

  test("a reply the server would not take is told its requester, and the next request is answered", async () => {
    const broker = await started(natsServer());
    const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
    try {
      const gateway = new PretendedGateway();
      const lengths: Readonly<Record<string, number>> = { long: 2 * 2 ** 20, edge: 2 ** 20 - 20 };
      gateway.answer = (incoming) => {
        const text = Buffer.from(incoming.body).toString();
        return answered(incoming, Buffer.alloc(lengths[text] ?? 3, "x"));
      };
      const { source, context } = await startSource(natsSource, { url: `nats://127.0.0.1:${broker.port}`, subject: "in" }, 16, gateway);
      for (const text of ["long", "edge"]) {
        const refused = await client.request("in", text, { timeout: 5_000 });
        assert.equal(refused.headers?.get("mayfly-error"), "MF_NATS_TOO_LARGE", text);
      }
      assert.equal((await client.request("in", "short", { timeout: 5_000 })).string(), "xxx");
      assert.equal(context.counts.get("reply_dropped"), 2);
      await source.stop();
    } finally {
      await client.close();
      await broker.remove();
    }
  });
});
