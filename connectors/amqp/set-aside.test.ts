/** See testing/set-aside.case.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import amqp from "amqplib";
import { uniqueName } from "../testing/rig.ts";
import { noRabbit, rabbit, rabbitUrl } from "../testing/servers.ts";
import { setsAside } from "../testing/set-aside.case.ts";

const skip = await noRabbit();

for (const prefetch of [1, 16])
  test(`amqp, prefetch ${prefetch}: a message whose acknowledgement ends the connection is set aside, and those behind it go on`, {
    skip,
    timeout: 60_000,
  }, async () => {
    const connection = await amqp.connect(rabbitUrl);
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
        check: async () => assert.equal((await channel.checkQueue(queue)).consumerCount, 1),
      });
    } finally {
      await channel.deleteQueue(queue);
      await connection.close();
    }
  });
