/** Replies that RabbitMQ refuses. Against a real broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import amqp from "amqplib";
import { amqpSource } from "./source.ts";
import { answered, eventually, PretendedGateway, startSource, uniqueName } from "../testing/rig.ts";
import { noRabbit, rabbitUrl as url } from "../testing/servers.ts";

const skip = await noRabbit();

test("amqp: replies RabbitMQ refuses are dropped, the messages acknowledged, and those behind them answered", {
  skip,
  timeout: 90_000,
}, async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const [queue, answers] = [uniqueName("in"), uniqueName("answers")];
  try {
    await channel.assertQueue(queue, { durable: false, expires: 60_000 });
    await channel.assertQueue(answers, { durable: false, expires: 60_000 });
    const gateway = new PretendedGateway();
    gateway.answer = (incoming) => answered(incoming);
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
