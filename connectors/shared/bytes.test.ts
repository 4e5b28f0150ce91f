/**
 * Sources take by bytes: of many long messages that a broker has, no more are in the process than its budget has room for, and all come in
 * the end. Against real brokers; those of AMQP and PostgreSQL stand in refusals.test.ts.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import mqtt from "mqtt";
import { createClient } from "redis";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import { jetstreamSource } from "../jetstream/source.ts";
import { mqttSource } from "../mqtt/source.ts";
import { redisSource } from "../redis/source.ts";
import type { Source, SourceDefinition } from "../../gateway/contract/source.ts";
import { installed, PrivateBroker } from "../testing/brokers.ts";
import { configured, eventually, testContext } from "../testing/rig.ts";

const mib = 2 ** 20;
const messages = 40;
const bodyBytes = 2 * mib;
const body = (n: number): Buffer => Buffer.alloc(bodyBytes, n);

/** Starts the source before a queue of long messages; `extra`: how many a broker may send before anything is known of their length. */
async function takesByBytes<C>(definition: SourceDefinition<C>, raw: object, extra: number): Promise<void> {
  const memory = gatewayMemory(32 * mib);
  const context = { ...testContext(1_000), memory };
  let mostBytes = 0;
  let mostAtOnce = 0;
  let atOnce = 0;
  const seen = new Set<number>();
  const source: Source = definition.create(configured<C>(definition, raw), context);
  await source.start(async (incoming) => {
    memory.messages.force(incoming.body.length); // as the flow's queue does
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    mostBytes = Math.max(mostBytes, memory.intake.takenBytes);
    await new Promise((resolve) => setTimeout(resolve, 5));
    memory.messages.give(incoming.body.length);
    atOnce -= 1;
    seen.add(incoming.body[0] as number);
    return { status: "done", id: incoming.id ?? "made", reply: undefined };
  });
  await eventually("all came", () => seen.size === messages, 40_000);
  await source.stop();
  assert.ok(mostBytes <= memory.intake.mostBytes + extra * bodyBytes, `${mostBytes} of ${memory.intake.mostBytes} bytes at once`);
  assert.ok(mostAtOnce < messages / 2, `${mostAtOnce} messages at once`);
  assert.equal(memory.all.takenBytes, 0);
}

const missing = (program: string): string | false => (installed(program) ? false : `no ${program}`);

test("bytes: redis", { skip: missing("redis-server"), timeout: 90_000 }, async () => {
  const broker = await PrivateBroker.start((_dir, port) => ["redis-server", "--port", String(port), "--save", ""]);
  const client = createClient({ url: `redis://127.0.0.1:${broker.port}` });
  await client.connect();
  try {
    for (let n = 0; n < messages; n += 1) await client.sendCommand(["XADD", "s", "*", "body", body(n)]);
    await takesByBytes(redisSource, { url: `redis://127.0.0.1:${broker.port}`, stream: "s" }, 2);
    assert.equal((await client.xPending("s", "mayfly")).pending, 0);
  } finally {
    client.destroy();
    await broker.remove();
  }
});

test("bytes: jetstream", { skip: missing("nats-server"), timeout: 90_000 }, async () => {
  const broker = await PrivateBroker.start(
    (dir) => ["nats-server", "-c", join(dir, "nats.conf")],
    (dir, port) =>
      writeFile(join(dir, "nats.conf"), `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dir}" }\nmax_payload: 4194304\n`),
  );
  const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
  try {
    const manager = await jetstreamManager(client);
    await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
    for (let n = 0; n < messages; n += 1) await jetstream(client).publish("in", body(n));
    await takesByBytes(jetstreamSource, { url: `nats://127.0.0.1:${broker.port}`, stream: "S", consumer: "c" }, 2);
    const { num_ack_pending: taken, num_pending: waiting } = await manager.consumers.info("S", "c");
    assert.deepEqual([taken, waiting], [0, 0]);
  } finally {
    await client.close();
    await broker.remove();
  }
});

test("bytes: mqtt", { skip: missing("mosquitto"), timeout: 90_000 }, async () => {
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
    for (let n = 0; n < messages; n += 1) await client.publishAsync("in", body(n), { qos: 1 });
    await takesByBytes(mqttSource, config, 8);
  } finally {
    await client.endAsync(true);
    await broker.remove();
  }
});
