import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import amqp, { type ChannelModel, type ConfirmChannel } from "amqplib";
import { connectorCase } from "../testing/connector.case.ts";
import type { Outcome } from "../../gateway/contract/message.ts";
import { amqpOutlet } from "./outlet.ts";
import { amqpSource } from "./source.ts";
import { reachable } from "../testing/brokers.ts";
import { attemptOf, eventually, outgoing, startOutlet, startSource, uniqueName } from "../testing/rig.ts";

const broker = { host: "127.0.0.1", port: 5672 };
const url = "amqp://guest:guest@127.0.0.1:5672";
const skip = await reachable("rabbitmq-server", broker);

let connection: ChannelModel;
let channel: ConfirmChannel;
if (skip === undefined) {
  before(async () => {
    connection = await amqp.connect(url);
    channel = await connection.createConfirmChannel();
  });
  after(() => connection.close());

  connectorCase({
    name: "amqp",
    source: amqpSource,
    outlet: amqpOutlet,
    broker,
    sourceConfig: (at, queue) => ({ url: `amqp://guest:guest@${at.host}:${at.port}`, queue }),
    outletConfig: (at, queue) => ({ url: `amqp://guest:guest@${at.host}:${at.port}`, queue }),
    make: async (queue) => void (await channel.assertQueue(queue, { durable: true })),
    remove: async (queue) => void (await channel.deleteQueue(queue)),
    badLogin: { code: "MF_AMQP_AUTH", change: { password: "wrong-password" } },
    missing: { source: "MF_AMQP_NOT_FOUND", outlet: "MF_AMQP_NOT_FOUND" },
    keeps: true,
    ordersThroughCuts: true,
    marksRedelivery: true,
    replies: true,
    largestBodyBytes: 2 ** 20,
    quickHeartbeat: { heartbeat: "1s" },
    carriesId: true,
  });
} else test("amqp", { skip }, () => {});

describe("amqp: what only RabbitMQ does", { skip, timeout: 60_000 }, () => {
  const dead: Outcome = {
    status: "dead",
    id: "1",
    failure: { origin: "flow", code: "MF_TEST", message: "no", status: 0, retry: false },
    kept: true,
  };

  async function queueWithDeadLetters(): Promise<{ queue: string; letters: string }> {
    const [queue, letters] = [uniqueName("queue"), uniqueName("letters")];
    await channel.assertQueue(letters, { durable: false, autoDelete: true });
    await channel.assertQueue(queue, { durable: false, expires: 60_000, deadLetterExchange: "", deadLetterRoutingKey: letters });
    return { queue, letters };
  }

  test("deadLetter: broker rejects a dead message into the dead-letter exchange, gateway does not", async () => {
    for (const [deadLetter, expected] of [
      ["broker", 1],
      ["gateway", 0],
    ] as const) {
      const { queue, letters } = await queueWithDeadLetters();
      const { source, gateway } = await startSource(amqpSource, { url, queue, deadLetter });
      gateway.answer = () => dead;
      channel.sendToQueue(queue, Buffer.from("poison"));
      await eventually("settled", () => gateway.settled === 1);
      await source.stop();
      const counts = await Promise.all([queue, letters].map(async (name) => (await channel.checkQueue(name)).messageCount));
      assert.deepEqual(counts, [0, expected], deadLetter);
      await channel.deleteQueue(queue);
      await channel.deleteQueue(letters);
    }
  });

  test("an unroutable message is an error worth retrying", async () => {
    const exchange = uniqueName("exchange");
    await channel.assertExchange(exchange, "direct", { durable: false });
    const { outlet } = await startOutlet(amqpOutlet, { url, exchange, routingKey: "{key}" });
    await assert.rejects(outlet.send(outgoing("x", { key: "nobody" }), attemptOf()), { code: "MF_AMQP_UNROUTABLE", retryable: true });
    await assert.rejects(outlet.send(outgoing("x"), attemptOf()), { code: "MF_OUTLET_ADDRESS", retryable: false });
    for (const key of ["a\nb", "a\r", "\u2028", "\0", "#", "a.#", "*.b", "\u0085"])
      await assert.rejects(outlet.send(outgoing("x", { key }), attemptOf()), { code: "MF_OUTLET_ADDRESS", retryable: false });
    const { queue } = await channel.assertQueue("", { exclusive: true });
    await channel.bindQueue(queue, exchange, "somebody");
    await outlet.send(outgoing("x", { key: "somebody" }), attemptOf());
    assert.notEqual(await channel.get(queue), false);
    await outlet.stop();
    await channel.deleteExchange(exchange);
  });

  test("a full queue that rejects is an error, not a loss", async () => {
    const queue = uniqueName("full");
    await channel.assertQueue(queue, { durable: false, maxLength: 1, overflow: "reject-publish", autoDelete: true });
    const { outlet } = await startOutlet(amqpOutlet, { url, queue });
    await outlet.send(outgoing("fits"), attemptOf());
    await assert.rejects(outlet.send(outgoing("does not"), attemptOf()), { code: "MF_AMQP_NACKED", retryable: true });
    await outlet.stop();
    await channel.deleteQueue(queue);
  });

  test("headers that can't be encoded fail at once and harm nobody else", async () => {
    const queue = uniqueName("headers");
    await channel.assertQueue(queue, { durable: false });
    const { outlet } = await startOutlet(amqpOutlet, { url, queue });
    const headers = { "x-long": "x".repeat(70_000) };
    await assert.rejects(outlet.send(outgoing("x", { headers }), attemptOf()), { code: "MF_AMQP_HEADERS", retryable: false });
    await outlet.send(outgoing("x"), attemptOf("k".repeat(600)));
    const message = await channel.get(queue, { noAck: true });
    assert.equal((message || undefined)?.properties.messageId.length, 64);
    await outlet.stop();
    await channel.deleteQueue(queue);
  });

  test("a queue that is deleted while it is consumed is missing, then found again", async () => {
    const queue = uniqueName("deleted");
    await channel.assertQueue(queue);
    const { source, gateway } = await startSource(amqpSource, { url, queue });
    await channel.deleteQueue(queue);
    await eventually("it says so", () => source.health().detail.startsWith("MF_AMQP_NOT_FOUND"));
    await channel.assertQueue(queue);
    await eventually("it is back", () => source.health().ready);
    channel.sendToQueue(queue, Buffer.from("x"));
    await eventually("the message", () => gateway.received.length === 1);
    await source.stop();
    await channel.deleteQueue(queue);
  });

  test("header tables of every type become text", async () => {
    const queue = uniqueName("types");
    await channel.assertQueue(queue);
    const { source, gateway } = await startSource(amqpSource, { url, queue });
    const headers = { Number: 5, yes: true, nested: { a: [1] }, "new\nline": "a\r\nb", none: null };
    channel.sendToQueue(queue, Buffer.from("x"), { headers, type: "order", appId: "erp", contentEncoding: "identity" });
    await eventually("the message", () => gateway.received.length === 1);
    const { "amqp-routing-key": routingKey, ...rest } = gateway.received[0]?.headers ?? {};
    assert.equal(routingKey, queue);
    assert.deepEqual(rest, {
      number: "5",
      yes: "true",
      nested: '{"a":[1]}',
      "new-line": "a  b",
      "amqp-type": "order",
      "amqp-app-id": "erp",
      "content-encoding": "identity",
    });
    await source.stop();
    await channel.deleteQueue(queue);
  });

  test("headers that are changed or left out are counted, and logged once", async () => {
    const queue = uniqueName("many");
    await channel.assertQueue(queue);
    const { source, gateway, context } = await startSource(amqpSource, { url, queue });
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`h${n}`, n]));
    const tables = [{ a: "a\r\nb" }, { "a b": "c" }, { long: "x".repeat(9_000) }, many, { "": "x" }, { A: "b\tc", none: null }];
    for (const headers of tables) channel.sendToQueue(queue, Buffer.from("x"), { headers });
    await eventually("the messages", () => gateway.received.length === tables.length);
    assert.equal(Object.keys(gateway.received[3]?.headers ?? {}).filter((name) => /^h\d/.test(name)).length, 256);
    assert.equal(gateway.received[2]?.headers["long"]?.length, 8_192);
    assert.deepEqual([context.counts.get("headers_altered"), context.counts.get("headers_dropped")], [3, 2]);
    const lines = context.lines.filter((line) => /MF_HEADERS/.test(JSON.stringify(line)));
    assert.equal(lines.length, 2, JSON.stringify(lines));
    assert.match(JSON.stringify(lines), /MF_HEADERS_ALTERED.*control character.*MF_HEADERS_DROPPED.*more than 256/);
    await source.stop();
    await channel.deleteQueue(queue);
  });
});
