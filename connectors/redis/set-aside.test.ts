/** See testing/set-aside.case.ts. */
import { test } from "node:test";
import { createClient } from "redis";
import { PrivateBroker } from "../testing/brokers.ts";
import { missing } from "../testing/servers.ts";
import { setsAside } from "../testing/set-aside.case.ts";

test("redis: a message whose acknowledgement ends the connection is set aside, and those behind it go on", {
  skip: missing("redis-server"),
  timeout: 60_000,
}, async () => {
  const broker = await PrivateBroker.start((_dir, port) => ["redis-server", "--port", String(port), "--save", ""]);
  const client = createClient({ url: `redis://127.0.0.1:${broker.port}` });
  await client.connect();
  try {
    await client.xGroupCreate("s", "mayfly", "0", { MKSTREAM: true });
    let first = "";
    await setsAside(broker, {
      from: (port) => `redis: { url: "redis://127.0.0.1:${port}", stream: s }`,
      deadly: (bytes) => bytes.includes("XACK") && bytes.includes(first),
      publish: async (texts) => {
        for (const body of texts) {
          const id = await client.xAdd("s", "*", { body });
          if (first === "") first = id;
        }
      },
      left: async () => (await client.xPending("s", "mayfly")).pending,
    });
  } finally {
    client.destroy();
    await broker.remove();
  }
});
