import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import mqtt from "mqtt";
import { mqttSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { longBody, messages, takesByBytes } from "../testing/bytes.case.ts";
import { configured, testContext } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";

test("mqtt: no more long messages are in the process than there is memory for", {
  skip: missing("mosquitto"),
  timeout: 90_000,
}, async () => {
  const broker = await PrivateBroker.start(
    (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
    (dir, port) => writeFile(join(dir, "mosquitto.conf"), `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 1000\n`),
  );
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
  try {
    const config = { url, topic: "in", clientId: "gateway" };
    const first = mqttSource.create(configured(mqttSource, config), testContext());
    await first.start(async () => ({ status: "done", id: "x", reply: undefined }));
    await first.stop(); // the session stays, and collects
    for (let n = 0; n < messages; n += 1) await client.publishAsync("in", longBody(n), { qos: 1 });
    await takesByBytes(mqttSource, config, 8);
  } finally {
    await client.endAsync(true);
    await broker.remove();
  }
});
