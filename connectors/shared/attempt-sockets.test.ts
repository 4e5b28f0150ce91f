import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { amqpSource } from "../amqp/source.ts";
import { mqttSource } from "../mqtt/source.ts";
import { natsSource } from "../nats/source.ts";
import { postgresSource } from "../postgres/source.ts";
import { redisSource } from "../redis/source.ts";
import type { Source } from "../../gateway/contract/source.ts";
import { configured, eventually, testContext } from "../testing/rig.ts";

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
