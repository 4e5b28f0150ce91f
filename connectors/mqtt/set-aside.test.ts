/** See testing/set-aside.case.ts. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import mqtt from "mqtt";
import { PrivateBroker } from "../testing/brokers.ts";
import { missing } from "../testing/servers.ts";
import { setsAside } from "../testing/set-aside.case.ts";

test("mqtt: a message whose acknowledgement ends the connection is set aside, and those behind it go on", {
  skip: missing("mosquitto"),
  timeout: 60_000,
}, async () => {
  const broker = await PrivateBroker.start(
    (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
    (dir, port) => writeFile(join(dir, "mosquitto.conf"), `listener ${port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n`),
  );
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5, reconnectPeriod: 0 });
  try {
    const acknowledged = new Set<number>();
    let published = 0;
    await setsAside(broker, {
      from: (port) => `mqtt: { url: "mqtt://127.0.0.1:${port}", topic: in, clientId: gateway }`,
      // PUBACK: 40 02 and the packet identifier, which stays the same when the message is given again.
      deadly: (bytes) => {
        for (let at = 0; at + 4 <= bytes.length; at += 1) {
          if (bytes[at] !== 0x40 || bytes[at + 1] !== 2) continue;
          const id = bytes.readUInt16BE(at + 2);
          if (id === 1) return true;
          acknowledged.add(id);
        }
        return false;
      },
      publish: async (texts) => {
        for (const each of texts) await client.publishAsync("in", each, { qos: 1, properties: { userProperties: { "mayfly-id": each } } });
        published += texts.length;
      },
      left: async () => published - acknowledged.size,
    });
  } finally {
    await client.endAsync(true);
    await broker.remove();
  }
});
