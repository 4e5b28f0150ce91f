/**
 * The same for brokers: callback after callback of the connectors that hold a connection is made to throw, in a real `serve` that talks
 * to real brokers. The gateway stands, answers others, and stops in order.
 */
import { equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { packageRoot } from "#cli";
import { reachable } from "../../gateway/brokers/testing/brokers.ts";
import { SabotagedProcess } from "../../gateway/testing/sabotaged-process.ts";

const host = "127.0.0.1";
const unique = `sabotage-${process.pid}`;

/** By name: the service, its port, and an entry each for a source and an outlet. */
const brokers = [
  [
    "nats",
    "nats-server",
    4222,
    `nats: { url: "nats://${host}:4222", subject: ${unique} }`,
    `nats: { url: "nats://${host}:4222", subject: ${unique} }`,
  ],
  [
    "redis",
    "redis-server",
    6379,
    `redis: { url: "redis://${host}:6379", stream: ${unique}, group: g, create: stream }`,
    `redis: { url: "redis://${host}:6379", stream: ${unique} }`,
  ],
  [
    "mqtt",
    "mosquitto",
    1883,
    `mqtt: { url: "mqtt://${host}:1883", topic: ${unique} }`,
    `mqtt: { url: "mqtt://${host}:1883", topic: ${unique} }`,
  ],
  [
    "amqp",
    "rabbitmq-server",
    5672,
    `amqp: { url: "amqp://guest:guest@${host}:5672", queue: ${unique}, declare: classic }`,
    `amqp: { url: "amqp://guest:guest@${host}:5672", queue: ${unique} }`,
  ],
] as const;

const skips = await Promise.all(brokers.map(([, service, port]) => reachable(service, { host, port })));
const here = brokers.filter((_broker, index) => skips[index] === undefined);
const skip = here.length === 0 && skips.join("; ");

const feeder = `import { flow } from "mayfly";
export default flow((msg, { to }) => { for (const name of ${JSON.stringify(here.map(([name]) => name))}) to[name].send("x", { key: "k" }); return "fed"; });
`;
const plain = `import { flow } from "mayfly";
export default flow((msg) => "plain");
`;

let gateway: SabotagedProcess;
const post = async (path: string): Promise<string> =>
  await (await fetch(`${gateway.url}${path}`, { method: "POST", signal: AbortSignal.timeout(10_000) })).text();

before(async () => {
  if (skip !== false) return;
  const yaml = `flows:
  feeder:
    flow: feeder.ts
    from: [ { http: { path: /feed } } ]
    to:
${here.map(([name, , , , to]) => `      ${name}: { ${to}, timeout: 1s }`).join("\n")}
  taker: { flow: plain.ts, from: [ ${here.map(([, , , from]) => `{ ${from} }`).join(", ")} ] }
  plain: { flow: plain.ts, from: [ { http: { path: /plain } } ] }
log: { level: error }
drain: 1s
`;
  const files = /\/dist\/gateway\/(sources|outlets|brokers)\//;
  gateway = await SabotagedProcess.start(join(packageRoot, "dist"), { "feeder.ts": feeder, "plain.ts": plain, "mayfly.yaml": yaml }, files);
});
after(() => gateway?.end());

test("whichever callback of a broker's connector throws, others are answered", { skip, timeout: 120_000 }, async () => {
  for (let round = 1; round <= 40; round += 1) {
    await gateway.tell(`arm ${1 + Math.floor(Math.random() * 60)}`);
    await post("/feed");
    await new Promise((done) => setTimeout(done, 30));
    await gateway.tell("disarm");
    equal(await post("/plain"), "plain");
    ok(gateway.alive);
  }
  match(gateway.written, /Sabotage: sabotage/);
});

test("it stops in order all the same", { skip, timeout: 60_000 }, async () => {
  equal(await gateway.stop(), 0);
});
