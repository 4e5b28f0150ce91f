/**
 * Codes that docs/CONNECTORS.md promises for what a broker does not allow, against real brokers: shown by /ready, and nothing is met again and
 * again for it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import amqp from "amqplib";
import { createClient } from "redis";
import type { Incoming, Outcome } from "../message.ts";
import { natsOutlet } from "../outlets/nats.ts";
import { jetstreamOutlet } from "../outlets/jetstream.ts";
import { amqpOutlet } from "../outlets/amqp.ts";
import { amqpSource } from "../sources/amqp.ts";
import { jetstreamSource } from "../sources/jetstream.ts";
import { natsSource } from "../sources/nats.ts";
import { redisSource } from "../sources/redis.ts";
import { installed, PrivateBroker, reachable } from "./testing/brokers.ts";
import { attemptOf, eventually, outgoing, PretendedGateway, startOutlet, startSource, uniqueName } from "./testing/rig.ts";

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
