/**
 * A message whose acknowledgement ends the connection twice becomes a dead letter, and those behind it go on: a gateway, a real broker of
 * each kind, and a proxy between them that ends the connection over the acknowledgement of the first message.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import amqp from "amqplib";
import mqtt from "mqtt";
import pg from "pg";
import { createClient } from "redis";
import { listLetters } from "../../gateway/journal/dead-letter-operations.ts";
import { withGateway } from "../../gateway/testing/rig.ts";
import { done, text } from "../../gateway/testing/scripted.ts";
import { type BrokerAddress, installed, PrivateBroker, reachable } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { Proxy } from "../testing/proxy.ts";
import { eventually, uniqueName } from "../testing/rig.ts";

interface Case {
  /** The source's entry, over the proxy. */
  readonly from: (port: number) => string;
  /** True for an acknowledgement of the first message. */
  readonly deadly: (bytes: Buffer) => boolean;
  readonly publish: (texts: readonly string[]) => Promise<void>;
  /** Messages the broker still has. */
  readonly left: () => Promise<number>;
}

async function setsAside(broker: BrokerAddress, { from, deadly, publish, left }: Case): Promise<void> {
  const proxy = await Proxy.open(broker);
  try {
    await withGateway(
      `flows: { taker: { image: taker.mfi, dedup: { window: 1h }, from: [ { ${from(proxy.port)} } ] } }`,
      { taker: () => [done()] },
      async ({ runner, deadLetters, logs, gateway }) => {
        const ready = (): Promise<void> => eventually("ready", () => gateway.ready().ready);
        const runs = (body: string): number => runner.delivered.filter((event) => text(event.body) === body).length;
        await ready();
        proxy.deadly = deadly;
        await publish(["poison"]);
        await eventually("a letter", async () => (await deadLetters.count("taker")) === 1);
        await ready();
        await publish(["a", "b", "c"]);
        await eventually("those behind it came", () => ["a", "b", "c"].every((body) => runs(body) > 0));
        await eventually("and are acknowledged", async () => (await left()) === 1);
        const killed = proxy.killed;
        assert.equal(killed, 2);
        assert.ok(runs("poison") <= 2, `${runs("poison")} runs`);
        const runsBefore = runs("poison");
        proxy.cut(); // it comes again with the next connection
        await eventually("lost", () => logs.some((line) => line.text === "connected again"));
        await ready();
        await publish(["d"]);
        await eventually("later ones come", () => runs("d") > 0);
        await eventually("and are acknowledged", async () => (await left()) === 1);
        const told: (string | undefined)[] = [];
        for await (const { id, failure } of listLetters(deadLetters))
          told.push(failure.code, Buffer.from((await deadLetters.read(id))?.body ?? []).toString());
        assert.deepEqual([told, proxy.killed], [["MF_MESSAGE_SET_ASIDE", "poison"], 2]);
        assert.equal(runs("poison"), runsBefore);
      },
      { drain: "4s" },
    );
  } finally {
    await proxy.close();
  }
}

const missing = (program: string): string | false => (installed(program) ? false : `no ${program}`);

test("set aside: jetstream", { skip: missing("nats-server"), timeout: 60_000 }, async () => {
  const broker = await PrivateBroker.start((dir, port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir]);
  const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
  try {
    const manager = await jetstreamManager(client);
    await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
    await setsAside(broker, {
      from: (port) => `jetstream: { url: "nats://127.0.0.1:${port}", stream: S, consumer: c, ackWait: 1s }`,
      // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>. …
      deadly: (bytes) => /PUB \$JS\.ACK\.S\.c\.\d+\.1\..*\r\n(\+ACK)?/.test(bytes.toString("latin1")),
      publish: async (texts) => {
        for (const each of texts) await jetstream(client).publish("in", each);
      },
      left: async () => {
        const { num_ack_pending: taken, num_pending: waiting } = await manager.consumers.info("S", "c");
        return taken + waiting;
      },
    });
  } finally {
    await client.close();
    await broker.remove();
  }
});

test("set aside: redis", { skip: missing("redis-server"), timeout: 60_000 }, async () => {
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

test("set aside: mqtt", { skip: missing("mosquitto"), timeout: 60_000 }, async () => {
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

const rabbit = { host: "127.0.0.1", port: 5672 };
const noRabbit = (await reachable("rabbitmq-server", rabbit)) ?? false;

for (const prefetch of [1, 16])
  test(`set aside: amqp, prefetch ${prefetch}`, { skip: noRabbit, timeout: 60_000 }, async () => {
    const connection = await amqp.connect("amqp://guest:guest@127.0.0.1:5672");
    const channel = await connection.createConfirmChannel();
    const queue = uniqueName("aside");
    try {
      await channel.assertQueue(queue, { durable: false, expires: 60_000 });
      let acknowledged = 0;
      let published = 0;
      await setsAside(rabbit, {
        from: (port) => `amqp: { url: "amqp://guest:guest@127.0.0.1:${port}", queue: ${queue}, prefetch: ${prefetch} }`,
        // basic.ack: class 60, method 80, delivery tag. The first message of the queue is the first of every channel.
        deadly: (bytes) => {
          for (let at = bytes.indexOf("003c0050", 0, "hex"); at >= 0; at = bytes.indexOf("003c0050", at + 4, "hex")) {
            if (bytes.readBigUInt64BE(at + 4) === 1n) return true;
            acknowledged += 1;
          }
          return false;
        },
        publish: async (texts) => {
          for (const each of texts) channel.sendToQueue(queue, Buffer.from(each), { messageId: each });
          published += texts.length;
          await channel.waitForConfirms();
        },
        left: async () => published - acknowledged,
      });
    } finally {
      await channel.deleteQueue(queue);
      await connection.close();
    }
  });

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("set aside: postgres", { skip: typeof postgres === "string" && postgres, timeout: 60_000 }, () => {
  for (const done of ["delete", "mark"])
    test(done, async () => {
      if (typeof postgres === "string") return;
      const client = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${postgres.port}/postgres` });
      await client.connect();
      const table = `aside_${done}`;
      try {
        await client.query(`create table ${table} (id bigint generated always as identity primary key, message_id text, key text, content_type text,
          correlation_id text, headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text)`);
        const ending = done === "delete" ? "delete from" : "unnest($1";
        await setsAside(postgres, {
          from: (port) => `postgres: { url: "postgres://postgres@127.0.0.1:${port}/postgres", table: ${table}, poll: 20ms, done: ${done} }`,
          deadly: (bytes) => bytes.includes(ending) && /[{"]1["},]/.test(bytes.toString("latin1")),
          publish: async (texts) => {
            for (const each of texts) await client.query(`insert into ${table} (body) values ($1)`, [Buffer.from(each)]);
          },
          left: async () => (await client.query(`select 1 from ${table} where done_at is null`)).rows.length,
        });
      } finally {
        await client.end();
      }
    });
});
