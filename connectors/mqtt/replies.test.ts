/** Replies to topics that nothing can be published to. Against a real broker. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import mqtt from "mqtt";
import { mqttSource } from "./source.ts";
import { PrivateBroker } from "../testing/brokers.ts";
import { answered, eventually, PretendedGateway, startSource } from "../testing/rig.ts";
import { missing } from "../testing/servers.ts";

describe("mqtt: faults of others", { skip: missing("mosquitto"), timeout: 60_000 }, () => {
  const start = (): Promise<PrivateBroker> =>
    PrivateBroker.start(
      (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
      async (dir, port) => {
        await writeFile(join(dir, "acl"), "topic readwrite in\ntopic readwrite answers/#\n");
        await writeFile(
          join(dir, "mosquitto.conf"),
          `listener ${port} 127.0.0.1\nallow_anonymous true\nacl_file ${join(dir, "acl")}\nuser root\n`,
        );
      },
    );

  test("replies to topics that can't be published to are dropped, and nothing is met again", async () => {
    const broker = await start();
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
    try {
      const gateway = new PretendedGateway();
      gateway.answer = (incoming) => answered(incoming);
      const { source, context } = await startSource(mqttSource, { url, topic: "in", clientId: "gateway" }, 4, gateway);
      await eventually("ready", () => source.health().ready);
      const topics = ["$SYS/broker", "$share/g/x", "a/+/b", "a/#", "#", "forbidden/by/acl", "x".repeat(30_000)];
      for (const responseTopic of topics)
        await client.publishAsync("in", responseTopic.slice(0, 20), { qos: 1, properties: { responseTopic } }).catch(() => undefined);
      await client.subscribeAsync("answers/1");
      const firstAnswer = new Promise<string>((resolve) => client.once("message", (_topic, payload) => resolve(payload.toString())));
      await client.publishAsync("in", "good", { qos: 1, properties: { responseTopic: "answers/1" } });
      assert.equal(await firstAnswer, "answer");
      assert.equal(new Set(gateway.texts()).size, gateway.texts().length, "none twice");
      assert.ok((context.counts.get("reply_dropped") ?? 0) >= 2);
      assert.equal(source.health().ready, true);
      const before = gateway.received.length;
      await source.stop();
      const next = await startSource(mqttSource, { url, topic: "in", clientId: "gateway" }, 4, gateway);
      await eventually("ready", () => next.source.health().ready);
      await client.publishAsync("in", "marker", { qos: 1 });
      await eventually("the marker", () => gateway.texts().includes("marker"));
      assert.equal(gateway.received.length, before + 1, "all were acknowledged");
      await next.source.stop();
    } finally {
      await client.endAsync(true);
      await broker.remove();
    }
  });
});
