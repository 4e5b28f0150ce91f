import assert from "node:assert/strict";
import { test } from "node:test";
import amqp from "amqplib";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import type { Source } from "../../gateway/contract/source.ts";
import { amqpSource } from "./source.ts";
import { configured, eventually, PretendedGateway, testContext, uniqueName } from "../testing/rig.ts";
import { noRabbit, rabbitUrl as url } from "../testing/servers.ts";

const skip = await noRabbit();
const mib = 2 ** 20;

test("amqp: no more long messages are in the process than there is memory for", { skip, timeout: 90_000 }, async () => {
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
