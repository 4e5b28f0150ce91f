import assert from "node:assert/strict";
import { test } from "node:test";
import { amqpOutlet } from "../amqp/outlet.ts";
import { amqpSource } from "../amqp/source.ts";
import { httpOutlet } from "../http/outlet.ts";
import { mqttOutlet } from "../mqtt/outlet.ts";
import { mqttSource } from "../mqtt/source.ts";
import { redisOutlet } from "../redis/outlet.ts";
import { redisSource } from "../redis/source.ts";
import { configured, testContext } from "../testing/rig.ts";

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
