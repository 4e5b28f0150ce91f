import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "redis";
import { redisSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { missing } from "../testing/servers.ts";

test("redis: no more long messages are in the process than there is memory for", {
  skip: missing("redis-server"),
  timeout: 90_000,
}, async () => {
  const broker = await PrivateBroker.start((_dir, port) => ["redis-server", "--port", String(port), "--save", ""]);
  const client = createClient({ url: `redis://127.0.0.1:${broker.port}` });
  await client.connect();
  try {
    for (let n = 0; n < messages; n += 1) await client.sendCommand(["XADD", "s", "*", "body", longBody(n)]);
    await takesByBytes(redisSource, { url: `redis://127.0.0.1:${broker.port}`, stream: "s" }, 2);
    assert.equal((await client.xPending("s", "mayfly")).pending, 0);
  } finally {
    client.destroy();
    await broker.remove();
  }
});
