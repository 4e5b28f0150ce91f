/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createClient } from "redis";
import { redisOutlet } from "./outlet.ts";
import { redisSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { attemptOf, eventually, outgoing, startOutlet, startSource, toldBy } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";

describe("redis: codes", { skip: missing("redis-server"), timeout: 60_000 }, () => {
  test("what is not there, is something else, or is full", async () => {
    const broker = await PrivateBroker.start((_dir, port) => ["redis-server", "--port", String(port), "--save", ""]);
    const admin = createClient({ url: `redis://127.0.0.1:${broker.port}` });
    await admin.connect();
    try {
      const url = `redis://127.0.0.1:${broker.port}`;
      await admin.set("text", "x");
      await admin.xAdd("there", "*", { body: "x" });
      await toldBy(redisSource, { url, stream: "text" }, "MF_REDIS_WRONG_TYPE");
      await toldBy(redisSource, { url, stream: "absent", create: "none" }, "MF_REDIS_NO_STREAM");
      await toldBy(redisSource, { url, stream: "there", group: "g", create: "none" }, "MF_REDIS_NO_GROUP");
      await admin.sendCommand(["CONFIG", "SET", "maxmemory", "1"]);
      const { outlet } = await startOutlet(redisOutlet, { url, stream: "there" });
      await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_REDIS_FULL" });
      await outlet.stop();
      await admin.sendCommand(["CONFIG", "SET", "maxmemory", "0"]);
      await admin.sendCommand(["REPLICAOF", "127.0.0.1", "1"]);
      await toldBy(redisSource, { url, stream: "new" }, "MF_REDIS_UNAVAILABLE");
    } finally {
      admin.destroy();
      await broker.remove();
    }
  });

  test("a user who may not acknowledge gets nothing, from the start or from when the right is taken", async () => {
    const broker = await PrivateBroker.start((_dir, port) => ["redis-server", "--port", String(port), "--save", ""]);
    const admin = createClient({ url: `redis://127.0.0.1:${broker.port}` });
    await admin.connect();
    try {
      const rights = (...more: readonly string[]): Promise<unknown> =>
        admin.sendCommand(["ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", ...more]);
      const config = { url: `redis://u:p@127.0.0.1:${broker.port}`, stream: "s", claimAfter: "1s" };
      await rights("-xack");
      await admin.xAdd("s", "*", { body: "one" });
      const { source, gateway } = await startSource(redisSource, config);
      assert.match(source.health().detail, /^MF_REDIS_FORBIDDEN/);
      assert.equal(gateway.received.length, 0);
      await rights("+xack");
      await eventually("it is ready", () => source.health().ready);
      await eventually("it came", () => gateway.settled === 1);
      await rights("-xack");
      await admin.xAdd("s", "*", { body: "two" });
      await eventually("it is told", () => source.health().detail.startsWith("MF_REDIS_FORBIDDEN"));
      const before = gateway.received.length;
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      assert.equal(gateway.received.length, before, "nothing is run while it can't be acknowledged");
      await rights("+xack");
      await eventually("all is acknowledged", async () => (await admin.xPending("s", "mayfly")).pending === 0, 20_000);
      await source.stop();
    } finally {
      admin.destroy();
      await broker.remove();
    }
  });
});
