/** Codes that docs/CONNECTORS.md promises, against a real broker: shown by /ready, and nothing is met again and again for it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, describe, test } from "node:test";
import amqp from "amqplib";
import { amqpOutlet } from "./outlet.ts";
import { amqpSource } from "./source.ts";
import {
  answered,
  attemptOf,
  eventually,
  outgoing,
  PretendedGateway,
  startOutlet,
  startSource,
  toldBy,
  uniqueName,
} from "../testing/rig.ts";
import { noRabbit, rabbitServer, rabbitUrl } from "../testing/servers.ts";

const skip = (await noRabbit()) ?? (process.getuid?.() === 0 ? false : "only root runs rabbitmqctl");

function rabbitmqctl(...words: readonly string[]): void {
  const { status, stderr } = spawnSync("rabbitmqctl", words, { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, `rabbitmqctl ${words.join(" ")}: ${stderr}`);
}

describe("amqp: codes", { skip, timeout: 120_000 }, () => {
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
    const connection = await amqp.connect(rabbitUrl);
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
    const connection = await amqp.connect(rabbitUrl);
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
      gateway.answer = (incoming) => answered(incoming);
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

test("amqp: a broker that is short of memory blocks the outlet, which says so", { timeout: 120_000 }, async (context) => {
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
