/**
 * Faults of senders and brokers that a source must stand, against real brokers: replies that are refused, headers that can't be read, rows that are
 * no messages, more bytes than there is memory for. The message is acknowledged or marked, and those behind it come.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, connect as connectSocket } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connect as connectNats } from "@nats-io/transport-node";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import amqp from "amqplib";
import mqtt from "mqtt";
import pg from "pg";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import { amqpOutlet } from "../amqp/outlet.ts";
import { httpOutlet } from "../http/outlet.ts";
import { mqttOutlet } from "../mqtt/outlet.ts";
import { redisOutlet } from "../redis/outlet.ts";
import { amqpSource } from "../amqp/source.ts";
import { jetstreamSource } from "../jetstream/source.ts";
import { mqttSource } from "../mqtt/source.ts";
import { natsSource } from "../nats/source.ts";
import { postgresSource } from "../postgres/source.ts";
import { redisSource } from "../redis/source.ts";
import type { Source } from "../../gateway/contract/source.ts";
import { installed, PrivateBroker, reachable } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { configured, eventually, PretendedGateway, startSource, testContext, uniqueName } from "../testing/rig.ts";

const unlessInstalled = (program: string): string | false => (installed(program) ? false : `no ${program}`);
const mib = 2 ** 20;

const replying = (incoming: Incoming, body: Uint8Array = Buffer.from("answer")): Outcome => ({
  status: "done",
  id: incoming.id ?? "made",
  reply: { status: 200, contentType: "text/plain", headers: {}, body },
});

function answering(): PretendedGateway {
  const gateway = new PretendedGateway();
  gateway.answer = (incoming) => replying(incoming);
  return gateway;
}

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

describe("refusals: nats", { skip: unlessInstalled("nats-server"), timeout: 60_000 }, () => {
  const start = (): Promise<PrivateBroker> =>
    PrivateBroker.start((dir, port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir]);

  test("headers no client can read leave the message whole, and the source goes on", async () => {
    const broker = await start();
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
    const broker = await start();
    const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
    try {
      const gateway = new PretendedGateway();
      const lengths: Readonly<Record<string, number>> = { long: 2 * mib, edge: mib - 20 };
      gateway.answer = (incoming) => {
        const text = Buffer.from(incoming.body).toString();
        return replying(incoming, Buffer.alloc(lengths[text] ?? 3, "x"));
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

  test("a stream that is deleted and made again has other ids", async () => {
    const broker = await start();
    const client = await connectNats({ servers: `127.0.0.1:${broker.port}` });
    try {
      const manager = await jetstreamManager(client);
      const ids: (string | undefined)[] = [];
      for (const round of [1, 2]) {
        await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
        await jetstream(client).publish("in", `round ${round}`);
        const { gateway, source } = await startSource(jetstreamSource, {
          url: `nats://127.0.0.1:${broker.port}`,
          stream: "S",
          consumer: "c",
        });
        await eventually("it came", () => gateway.received.length === 1);
        ids.push(gateway.received[0]?.id);
        await source.stop();
        await manager.streams.delete("S");
      }
      assert.notEqual(ids[0], ids[1]);
    } finally {
      await client.close();
      await broker.remove();
    }
  });
});

describe("refusals: mqtt", { skip: unlessInstalled("mosquitto"), timeout: 60_000 }, () => {
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
      const gateway = answering();
      const { source, context } = await startSource(mqttSource, { url, topic: "in", clientId: "gateway" }, 4, gateway);
      await eventually("ready", () => source.health().ready);
      const topics = ["$SYS/broker", "$share/g/x", "a/+/b", "a/#", "#", "forbidden/by/acl", "x".repeat(30_000)];
      for (const responseTopic of topics)
        await client.publishAsync("in", responseTopic.slice(0, 20), { qos: 1, properties: { responseTopic } }).catch(() => undefined);
      await client.subscribeAsync("answers/1");
      const answered = new Promise<string>((resolve) => client.once("message", (_topic, payload) => resolve(payload.toString())));
      await client.publishAsync("in", "good", { qos: 1, properties: { responseTopic: "answers/1" } });
      assert.equal(await answered, "answer");
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

const rabbit = { host: "127.0.0.1", port: 5672 };
const noRabbit = await reachable("rabbitmq-server", rabbit);

describe("refusals: amqp", { skip: noRabbit ?? false, timeout: 90_000 }, () => {
  const url = "amqp://guest:guest@127.0.0.1:5672";

  test("replies RabbitMQ refuses are dropped, the messages acknowledged, and those behind them answered", async () => {
    const connection = await amqp.connect(url);
    const channel = await connection.createConfirmChannel();
    const [queue, answers] = [uniqueName("in"), uniqueName("answers")];
    try {
      await channel.assertQueue(queue, { durable: false, expires: 60_000 });
      await channel.assertQueue(answers, { durable: false, expires: 60_000 });
      const gateway = answering();
      const { source, context } = await startSource(amqpSource, { url, queue }, 4, gateway);
      await eventually("ready", () => source.health().ready);
      const refused = ["amq.rabbitmq.reply-to.malformed", "amq.rabbitmq.reply-to.g1h2AA==.x"];
      for (const replyTo of refused) channel.sendToQueue(queue, Buffer.from(replyTo), { replyTo });
      for (let n = 0; n < 10; n += 1) channel.sendToQueue(queue, Buffer.from(`good ${n}`), { replyTo: answers, correlationId: `c${n}` });
      await channel.waitForConfirms();
      const got: string[] = [];
      await channel.consume(answers, (message) => void got.push(String(message?.properties.correlationId)), { noAck: true });
      await eventually("ten answers", () => got.length === 10);
      assert.deepEqual(
        got.sort(), // messages without a key run side by side: their replies come in any order
        Array.from({ length: 10 }, (_, n) => `c${n}`),
      );
      assert.equal(gateway.received.length, refused.length + 10, "none came twice");
      assert.equal(source.health().ready, true);
      await eventually("all acknowledged", async () => (await channel.checkQueue(queue)).messageCount === 0);
      assert.ok((context.counts.get("reply_dropped") ?? 0) >= 1);
      await source.stop();
      assert.equal((await channel.checkQueue(queue)).messageCount, 0);
    } finally {
      await channel.deleteQueue(queue);
      await channel.deleteQueue(answers);
      await connection.close();
    }
  });

  test("messages are taken by their bytes: 60 of 4 MiB never are more than the budget has room for", async () => {
    const connection = await amqp.connect(url);
    const channel = await connection.createConfirmChannel();
    const queue = uniqueName("large");
    try {
      await channel.assertQueue(queue, { durable: false, expires: 60_000 });
      for (let n = 0; n < 60; n += 1) channel.sendToQueue(queue, Buffer.alloc(4 * mib, n));
      await channel.waitForConfirms();
      const memory = gatewayMemory(64 * mib);
      const context = { ...testContext(1_000), memory };
      const gateway = new PretendedGateway();
      let mostBytes = 0;
      const seen = new Set<number>();
      const source: Source = amqpSource.create(configured(amqpSource, { url, queue }), context);
      await source.start(async (incoming) => {
        memory.messages.force(incoming.body.length); // as the flow's queue does
        mostBytes = Math.max(mostBytes, memory.intake.takenBytes);
        await new Promise((resolve) => setTimeout(resolve, 5));
        memory.messages.give(incoming.body.length);
        seen.add(incoming.body[0] as number);
        return await gateway.accept(incoming);
      });
      await eventually("all came", () => seen.size === 60, 30_000);
      assert.ok(mostBytes <= memory.intake.mostBytes + 8 * 4 * mib, `${mostBytes} at once`);
      await source.stop();
      await eventually("nothing is left", async () => (await channel.checkQueue(queue)).messageCount === 0);
      assert.equal(memory.all.takenBytes, 0);
    } finally {
      await channel.deleteQueue(queue);
      await connection.close();
    }
  });
});

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("refusals: postgres", { skip: typeof postgres === "string" && postgres, timeout: 60_000 }, () => {
  const url = typeof postgres === "string" ? "" : `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
  const columns = `id bigint generated always as identity primary key, message_id text, key text, content_type text, correlation_id text,
    headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text`;

  async function withTable(run: (client: pg.Client, table: string) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const table = `t${Math.random().toString(36).slice(2)}`;
    try {
      await client.query(`create table ${table} (${columns})`);
      await run(client, table);
    } finally {
      await client.end();
    }
  }

  test("rows that are no messages are marked and passed; a count at its end does not stop the table", async () => {
    await withTable(async (client, table) => {
      await client.query(`insert into ${table} (body, attempts, headers) values
        (null, 0, '{}'), ('a', 2147483647, '{}'), ('b', null, null), (null, null, '[1]'), ('c', 0, '"text"'), ('d', -1, '{"x": {"y": 1}, "z": null}')`);
      const { gateway, source, context } = await startSource(postgresSource, { url, table, poll: "20ms" });
      await eventually("all came", () => gateway.settled === 4);
      assert.deepEqual(gateway.texts(), ["a", "b", "c", "d"]);
      assert.equal(context.counts.get("unreadable"), 2);
      await eventually("the rest is marked", async () => {
        const { rows } = await client.query(`select id, error, done_at from ${table} order by id`);
        return (
          rows.length === 2 &&
          rows.every((row: { error: string; done_at: unknown }) => row.error.startsWith("MF_POSTGRES_ROW") && row.done_at !== null)
        );
      });
      assert.equal(source.health().ready, true);
      await source.stop();
    });
  });

  test("a table that is truncated with its identity restarted has other ids", async () => {
    await withTable(async (client, table) => {
      const ids: (string | undefined)[] = [];
      for (const round of ["one", "two"]) {
        await client.query(`insert into ${table} (body) values ($1)`, [Buffer.from(round)]);
        const { gateway, source } = await startSource(postgresSource, { url, table, poll: "20ms" });
        await eventually("it came", () => gateway.settled === 1);
        assert.equal(gateway.received[0]?.headers["postgres-id"], "1");
        ids.push(gateway.received[0]?.id);
        await source.stop();
        await client.query(`truncate ${table} restart identity`);
      }
      assert.notEqual(ids[0], ids[1]);
    });
  });

  test("rows are taken by their bytes", async () => {
    await withTable(async (client, table) => {
      await client.query(`insert into ${table} (body) select decode(repeat('61', 4194304), 'hex') from generate_series(1, 20)`);
      const memory = gatewayMemory(64 * mib);
      const gateway = new PretendedGateway();
      gateway.answer = gateway.hold;
      const source = postgresSource.create(configured(postgresSource, { url, table, poll: "20ms" }), { ...testContext(1_000), memory });
      await source.start((incoming) => {
        memory.messages.force(incoming.body.length);
        return gateway.accept(incoming).finally(() => memory.messages.give(incoming.body.length));
      });
      await eventually("some came", () => gateway.received.length > 0);
      while (gateway.settled < 20) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.ok(memory.intake.takenBytes <= memory.intake.mostBytes + 4 * mib, `${memory.intake.takenBytes} bytes at once`);
        gateway.release();
      }
      await source.stop();
    });
  });
});

test("tls beside a url without TLS is an error of the configuration", () => {
  const tls = { ca: "ca.pem" };
  for (const [definition, config] of [
    [amqpSource, { url: "amqp://x", queue: "q", tls }],
    [amqpOutlet, { url: "amqp://x", queue: "q", tls }],
    [mqttSource, { url: "mqtt://x", topic: "t", tls }],
    [mqttSource, { url: "ws://x", topic: "t", tls }],
    [mqttOutlet, { url: "mqtt://x", topic: "t", tls }],
    [redisSource, { url: "redis://x", stream: "s", group: "g", tls }],
    [redisOutlet, { url: "redis://x", stream: "s", tls }],
    [httpOutlet, { url: "http://x", tls }],
  ] as const) {
    const create = definition.create as (config: unknown, context: unknown) => unknown;
    assert.throws(() => create(configured(definition, config), testContext()), { code: "MF_CONFIG_TLS" }, JSON.stringify(config));
  }
});

test("a server that takes the connection and says nothing keeps no socket of an attempt that is over", { timeout: 60_000 }, async () => {
  let open = 0;
  const server = createServer((socket) => {
    open += 1;
    socket.on("error", () => undefined);
    socket.on("close", () => (open -= 1));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sources: Source[] = [];
  for (const [definition, config] of [
    [natsSource, { url: `nats://127.0.0.1:${port}`, subject: "x" }],
    [redisSource, { url: `redis://127.0.0.1:${port}`, stream: "s", group: "g" }],
    [amqpSource, { url: `amqp://127.0.0.1:${port}`, queue: "q" }],
    [mqttSource, { url: `mqtt://127.0.0.1:${port}`, topic: "t" }],
    [postgresSource, { url: `postgres://postgres@127.0.0.1:${port}/x`, table: "t" }],
  ] as const) {
    const context = testContext();
    // The attempt's time, twenty times as fast.
    const clock = { ...context.clock, after: (ms: number, task: () => void) => context.clock.after(ms / 20, task) };
    const create = definition.create as (config: unknown, context: unknown) => Source;
    const source = create(configured(definition, config), { ...context, clock });
    sources.push(source);
    void source.start(async () => ({ status: "done", id: "x", reply: undefined }));
  }
  await eventually("all are connected", () => open >= sources.length);
  await eventually("an attempt of each was given up", () => sources.every((source) => /MF_[A-Z]+_/.test(source.health().detail)), 20_000);
  await Promise.all(sources.map((source) => source.stop()));
  await eventually("no socket is left", () => open === 0, 15_000);
  server.close();
});
