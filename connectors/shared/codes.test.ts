/**
 * Codes that docs/CONNECTORS.md promises for what a broker does not allow, against real brokers: shown by /ready, and nothing is met again and
 * again for it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { DiscardPolicy, jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import amqp from "amqplib";
import pg from "pg";
import { createClient } from "redis";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import { natsOutlet } from "../nats/outlet.ts";
import { jetstreamOutlet } from "../jetstream/outlet.ts";
import { amqpOutlet } from "../amqp/outlet.ts";
import { mqttOutlet } from "../mqtt/outlet.ts";
import { postgresOutlet } from "../postgres/outlet.ts";
import { redisOutlet } from "../redis/outlet.ts";
import { amqpSource } from "../amqp/source.ts";
import { jetstreamSource } from "../jetstream/source.ts";
import { mqttSource } from "../mqtt/source.ts";
import { natsSource } from "../nats/source.ts";
import { postgresSource } from "../postgres/source.ts";
import { redisSource } from "../redis/source.ts";
import type { SourceDefinition } from "../../gateway/contract/source.ts";
import { installed, PrivateBroker, reachable } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { rabbitServer } from "../testing/servers.ts";
import { attemptOf, eventually, outgoing, PretendedGateway, startOutlet, startSource, uniqueName } from "../testing/rig.ts";

const rabbit = { host: "127.0.0.1", port: 5672 };
const noRabbit = (await reachable("rabbitmq-server", rabbit)) ?? (process.getuid?.() === 0 ? false : "only root runs rabbitmqctl");

function rabbitmqctl(...words: readonly string[]): void {
  const { status, stderr } = spawnSync("rabbitmqctl", words, { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, `rabbitmqctl ${words.join(" ")}: ${stderr}`);
}

const answer = (incoming: Incoming): Outcome => ({
  status: "done",
  id: incoming.id ?? "made",
  reply: { status: 200, contentType: "text/plain", headers: {}, body: Buffer.from("answer") },
});

/** The source says so, and goes on trying. */
async function toldBy<C>(definition: SourceDefinition<C>, raw: object, code: string): Promise<void> {
  const { source } = await startSource(definition, raw);
  await eventually(`${code}, not: ${source.health().detail}`, () => source.health().detail.startsWith(code), 5_000);
  assert.equal(source.health().ready, false);
  await source.stop();
}

describe("codes: amqp", { skip: noRabbit, timeout: 120_000 }, () => {
  const user = `u${process.pid}`;
  const queue = uniqueName("codes");
  const as = (name: string, vhost = ""): string => `amqp://${name}:${name}@127.0.0.1:5672${vhost}`;
  after(() => void spawnSync("rabbitmqctl", ["delete_user", user], { timeout: 60_000 }));

  test("an unknown vhost", async () => {
    for (const vhost of ["/nowhere", "/no%2Fwhere"]) {
      const { source } = await startSource(amqpSource, { url: as("guest", vhost), queue });
      assert.match(source.health().detail, /^MF_AMQP_VHOST/);
      await source.stop();
      const { outlet } = await startOutlet(amqpOutlet, { url: as("guest", vhost), queue });
      assert.match(outlet.health().detail, /^MF_AMQP_VHOST/);
      await outlet.stop();
    }
  });

  test("a queue that another connection holds, and one of another kind", async () => {
    const connection = await amqp.connect("amqp://guest:guest@127.0.0.1:5672");
    const channel = await connection.createChannel();
    const [held, kind] = [uniqueName("held"), uniqueName("kind")];
    try {
      await channel.assertQueue(held, { exclusive: true });
      await channel.assertQueue(kind, { durable: false, expires: 60_000 });
      await toldBy(amqpSource, { url: as("guest"), queue: held }, "MF_AMQP_LOCKED");
      await toldBy(amqpSource, { url: as("guest"), queue: kind, declare: "classic" }, "MF_AMQP_PRECONDITION");
    } finally {
      await connection.close();
    }
  });

  test("a user who may not read the queue, write the reply, or publish", async () => {
    const connection = await amqp.connect("amqp://guest:guest@127.0.0.1:5672");
    const channel = await connection.createConfirmChannel();
    const answers = uniqueName("answers");
    try {
      await channel.assertQueue(queue, { durable: false, expires: 60_000 });
      await channel.assertQueue(answers, { durable: false, expires: 60_000 });
      rabbitmqctl("add_user", user, user);
      const noVhost = await startSource(amqpSource, { url: as(user), queue });
      assert.match(noVhost.source.health().detail, /^MF_AMQP_VHOST/);
      await noVhost.source.stop();
      rabbitmqctl("set_permissions", user, "^$", "^$", "^$");
      const unread = await startSource(amqpSource, { url: as(user), queue });
      assert.match(unread.source.health().detail, /^MF_AMQP_FORBIDDEN/);
      await unread.source.stop();
      const { outlet } = await startOutlet(amqpOutlet, { url: as(user), exchange: "amq.direct", routingKey: "x" });
      const sent = outlet.send(outgoing("x"), attemptOf());
      await assert.rejects(sent, { code: "MF_AMQP_FORBIDDEN" });
      await outlet.stop();

      rabbitmqctl("set_permissions", user, "^$", "^$", `^${queue}$`);
      const gateway = new PretendedGateway();
      gateway.answer = answer;
      const { source, context } = await startSource(amqpSource, { url: as(user), queue }, 4, gateway);
      for (let n = 0; n < 6; n += 1) channel.sendToQueue(queue, Buffer.from(`${n}`), { replyTo: answers });
      channel.sendToQueue(queue, Buffer.from("no reply"));
      await channel.waitForConfirms();
      await eventually("all came", () => gateway.texts().includes("no reply") && gateway.settled >= 7);
      await eventually("replies are dropped", () => context.counts.get("reply_dropped") === 6);
      await eventually("all acknowledged", async () => (await channel.checkQueue(queue)).messageCount === 0);
      assert.equal(gateway.received.length, 7, "none came twice");
      assert.equal(source.health().ready, true);
      await source.stop();
      assert.equal((await channel.checkQueue(queue)).messageCount, 0);
    } finally {
      await channel.deleteQueue(queue);
      await channel.deleteQueue(answers);
      await connection.close();
    }
  });
});

const missing = (program: string): string | false => (installed(program) ? false : `no ${program}`);

describe("codes: redis", { skip: missing("redis-server"), timeout: 60_000 }, () => {
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

test("codes: amqp, a broker that is short of memory", { timeout: 120_000 }, async (context) => {
  const broker = await rabbitServer("vm_memory_high_watermark.absolute = 1MB");
  if (typeof broker === "string") return context.skip(broker);
  try {
    const { outlet } = await startOutlet(amqpOutlet, {
      url: `amqp://127.0.0.1:${broker.port}`,
      exchange: "amq.topic",
      routingKey: "x",
      mandatory: false,
    });
    assert.equal(outlet.health().ready, true, outlet.health().detail);
    // The broker tells a connection once it publishes.
    const first = outlet.send(outgoing("x"), attemptOf());
    first.catch(() => undefined);
    await eventually("it is told", () => outlet.health().detail.startsWith("MF_AMQP_BLOCKED: "));
    assert.equal(outlet.health().ready, false);
    await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_AMQP_BLOCKED", retryable: true });
    await outlet.stop();
    await assert.rejects(first);
  } finally {
    await broker.down();
    await broker.remove();
  }
});

/** A broker that answers CONNECT, and what comes then, with given packets: for codes that Mosquitto never gives. */
async function scripted(
  ...packets: readonly (readonly number[] | ((got: Buffer) => readonly number[]))[]
): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const left = [...packets];
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (got: Buffer) => {
      const next = left.shift();
      if (next !== undefined) socket.write(Uint8Array.from(typeof next === "function" ? next(got) : next));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

describe("codes: mqtt", { skip: missing("mosquitto"), timeout: 60_000 }, () => {
  test("a topic that is forbidden", async () => {
    const broker = await PrivateBroker.start(
      (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
      async (dir, port) => {
        await writeFile(join(dir, "acl"), "topic readwrite in\n");
        await writeFile(
          join(dir, "mosquitto.conf"),
          `listener ${port} 127.0.0.1\nallow_anonymous true\nacl_file ${join(dir, "acl")}\nuser root\n`,
        );
      },
    );
    try {
      const url = `mqtt://127.0.0.1:${broker.port}`;
      const { outlet } = await startOutlet(mqttOutlet, { url, topic: "forbidden" });
      await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_MQTT_FORBIDDEN" });
      await outlet.stop();
    } finally {
      await broker.remove();
    }
  });

  test("codes that Mosquitto never gives", async () => {
    const connack = (...rest: readonly number[]): readonly number[] => [0x20, rest.length, ...rest];
    const suback =
      (reason: number) =>
      (subscribe: Buffer): readonly number[] => [0x90, 4, subscribe[2] ?? 0, subscribe[3] ?? 0, 0, reason];
    const cases = [
      ["MF_MQTT_CLIENT_ID: ", connack(0, 133, 0)],
      ["MF_MQTT_VERSION: ", connack(0, 1)], // MQTT 3.1.1, 3.2.2.3
      ["MF_MQTT_VERSION: ", connack(0, 132, 0)],
      ["MF_MQTT_REFUSED: ", connack(0, 0, 0), suback(158)],
      ["MF_MQTT_FORBIDDEN: ", connack(0, 0, 0), suback(135)],
      ["MF_MQTT_TAKEN_OVER: ", connack(0, 0, 0), (got: Buffer) => [...suback(1)(got), 0xe0, 2, 142, 0]],
      ["MF_MQTT_UNREACHABLE: ", connack(0, 136, 0)],
    ] as const;
    for (const [code, ...packets] of cases) {
      const { url, close } = await scripted(...packets);
      await toldBy(mqttSource, { url, topic: "t" }, code).finally(close);
    }
  });
});

const postgres = await privatePostgres();
after(async () => {
  if (typeof postgres !== "string") await postgres.remove();
});

describe("codes: postgres", { skip: typeof postgres === "string" && postgres, timeout: 60_000 }, () => {
  test("a database, table or column that is not there, and a user who may not", async () => {
    if (typeof postgres === "string") return;
    const url = (user: string, database = "postgres"): string => `postgres://${user}@127.0.0.1:${postgres.port}/${database}`;
    const client = new pg.Client({ connectionString: url("postgres") });
    await client.connect();
    try {
      await client.query("create table short (id bigint); create role stranger login");
      await client.query(`create table whole (id bigint generated always as identity primary key, message_id text, key text, content_type text,
        correlation_id text, headers jsonb, body bytea, attempts integer, claimed_by text, claimed_until timestamptz, done_at timestamptz, error text)`);
      await toldBy(postgresSource, { url: url("postgres", "nowhere"), table: "whole" }, "MF_POSTGRES_NO_DATABASE");
      await toldBy(postgresSource, { url: url("nobody"), table: "whole" }, "MF_POSTGRES_AUTH");
      await toldBy(postgresSource, { url: url("postgres"), table: "absent" }, "MF_POSTGRES_NO_TABLE");
      await toldBy(postgresSource, { url: url("postgres"), table: "short" }, "MF_POSTGRES_COLUMNS");
      await toldBy(postgresSource, { url: url("stranger"), table: "whole" }, "MF_POSTGRES_FORBIDDEN");

      await client.query(
        "create role late login connection limit 0; create role reader login; alter role reader set default_transaction_read_only = on",
      );
      await client.query("grant all on whole to reader");
      for (const user of ["late", "reader"]) await toldBy(postgresSource, { url: url(user), table: "whole" }, "MF_POSTGRES_UNAVAILABLE");

      await client.query("create function refuse() returns void language plpgsql as $$ begin raise exception 'no'; end $$");
      for (const [sql, code, retryable] of [
        ["select refuse()", "MF_POSTGRES_FAILED", true],
        ["select $text::integer", "MF_POSTGRES_REFUSED", false],
      ] as const) {
        const { outlet } = await startOutlet(postgresOutlet, { url: url("postgres"), sql });
        await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code, retryable });
        await outlet.stop();
      }
    } finally {
      await client.end();
    }
  });
});

describe("codes: nats", { skip: missing("nats-server"), timeout: 60_000 }, () => {
  const permissions = `
    default_permissions = { publish: { deny: ["$JS.ACK.>", "forbidden.>", "$JS.API.CONSUMER.CREATE.T.>"] }, subscribe: { deny: ["forbidden.>"] } }
    users = [ { user: u, password: p }, { user: admin, password: p, permissions: { publish: ">", subscribe: ">" } } ]`;
  const start = (): Promise<PrivateBroker> =>
    PrivateBroker.start(
      (dir) => ["nats-server", "-c", join(dir, "nats.conf")],
      (dir, port) =>
        writeFile(
          join(dir, "nats.conf"),
          `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${dir}" }\nmax_payload: 65536\nauthorization {${permissions}\n}\n`,
        ),
    );

  test("a server without JetStream", async () => {
    const broker = await PrivateBroker.start((_dir, port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port)]);
    try {
      const url = `nats://127.0.0.1:${broker.port}`;
      await toldBy(jetstreamSource, { url, stream: "S", consumer: "c" }, "MF_JETSTREAM_DISABLED");
    } finally {
      await broker.remove();
    }
  });

  test("what is forbidden or too long", async () => {
    const broker = await start();
    const url = `nats://u:p@127.0.0.1:${broker.port}`;
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const forbidden = await startSource(natsSource, { url, subject: "forbidden.x" });
      await eventually("told", () => forbidden.source.health().detail.startsWith("MF_NATS_FORBIDDEN"));
      await forbidden.source.stop();

      const { outlet } = await startOutlet(natsOutlet, { url, subject: "out" });
      await assert.rejects(outlet.send(outgoing("x".repeat(70_000)), attemptOf()), { code: "MF_NATS_TOO_LARGE" });
      await assert.rejects(outlet.send(outgoing("x".repeat(65_000), { headers: { a: "y".repeat(2_000) } }), attemptOf()), {
        code: "MF_NATS_TOO_LARGE",
      });
      await outlet.send(outgoing("x".repeat(60_000)), attemptOf());
      await outlet.stop();

      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
      const stream = await startOutlet(jetstreamOutlet, { url, stream: "S", subject: "in" });
      await assert.rejects(stream.outlet.send(outgoing("x".repeat(65_000), { headers: { a: "y".repeat(2_000) } }), attemptOf()), {
        code: "MF_NATS_TOO_LARGE",
      });
      await stream.outlet.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });

  test("a stream that is full", async () => {
    const broker = await start();
    const url = `nats://admin:p@127.0.0.1:${broker.port}`;
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory, max_msgs: 1, discard: DiscardPolicy.New });
      const { outlet } = await startOutlet(jetstreamOutlet, { url, stream: "S", subject: "in" });
      await outlet.send(outgoing("one"), attemptOf());
      await assert.rejects(outlet.send(outgoing("two"), { ...attemptOf(), idempotencyKey: "two" }), {
        code: "MF_JETSTREAM_REFUSED",
        retryable: true,
      });
      await manager.streams.purge("S");
      await outlet.send(outgoing("two"), { ...attemptOf(), idempotencyKey: "two" });
      await outlet.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });

  test("a file of credentials that can't be read", async () => {
    await toldBy(natsSource, { url: "nats://127.0.0.1:9", credentials: "absent.creds", subject: "x" }, "MF_NATS_CREDENTIALS: ");
  });

  test("replies to a subject that is forbidden are dropped, and nothing behind them is lost", async () => {
    const broker = await start();
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const gateway = new PretendedGateway();
      gateway.answer = answer;
      const { source, context } = await startSource(natsSource, { url: `nats://u:p@127.0.0.1:${broker.port}`, subject: "in" }, 64, gateway);
      for (let n = 0; n < 50; n += 1) admin.publish("in", `${n}`, n % 2 === 0 ? { reply: `forbidden.${n}` } : {});
      assert.equal((await admin.request("in", "last", { timeout: 5_000 })).string(), "answer");
      await eventually("all came", () => gateway.received.length === 51);
      await eventually("the refused are counted", () => context.counts.get("reply_dropped") === 25);
      assert.equal(context.counts.get("lost"), undefined);
      assert.equal(source.health().ready, true);
      await source.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });

  test("a consumer that may not acknowledge says so, and runs nothing again and again", async () => {
    const broker = await start();
    const admin = await connectNats({ servers: `127.0.0.1:${broker.port}`, user: "admin", pass: "p" });
    try {
      const manager = await jetstreamManager(admin);
      await manager.streams.add({ name: "S", subjects: ["in"], storage: StorageType.Memory });
      await jetstream(admin).publish("in", "one");
      const { source, gateway } = await startSource(jetstreamSource, {
        url: `nats://u:p@127.0.0.1:${broker.port}`,
        stream: "S",
        consumer: "c",
        ackWait: "1s",
      });
      await eventually("told", () => source.health().detail.startsWith("MF_NATS_FORBIDDEN"));
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      assert.ok(gateway.received.filter(({ setAside }) => setAside === undefined).length <= 3, `${gateway.received.length} runs`);
      await source.stop();
    } finally {
      await admin.close();
      await broker.remove();
    }
  });
});
