/**
 * The same for brokers: callback after callback of the connectors that hold a connection is made to throw, in a real `serve` that talks
 * to real brokers. The gateway stands, answers others, and stops in order.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import pg from "pg";
import { prng } from "#base";
import { packageRoot } from "#cli";
import { seed } from "../../base/testing/seed.ts";
import { inboxTable } from "../../connectors/postgres/client.ts";
import { reachable } from "../../connectors/testing/brokers.ts";
import { privateMysql } from "../../connectors/testing/mysql-server.ts";
import { privatePostgres } from "../../connectors/testing/postgres-server.ts";
import { mqttServer, natsServer, redisServer, type SuiteServer, suiteServer } from "../../connectors/testing/servers.ts";
import { SmtpServer } from "../../connectors/testing/smtp-server.ts";
import { SabotagedProcess } from "../../gateway/testing/sabotaged-process.ts";

const name = `sabotage-${process.pid}`;
const rabbit = { host: "127.0.0.1", port: 5672 };
const noRabbit = await reachable("rabbitmq-server", rabbit);
const [nats, redis, mosquitto, postgres, mysql, mails] = await Promise.all([
  suiteServer(natsServer()),
  suiteServer(redisServer()),
  suiteServer(mqttServer()),
  suiteServer(privatePostgres()),
  suiteServer(privateMysql()),
  SmtpServer.open(),
]);

/** A source and an outlet of each connector that holds a connection. */
interface Case {
  readonly name: string;
  readonly skip: string | undefined;
  readonly from?: string;
  readonly to: string;
}

const at = ({ broker }: SuiteServer): string => `${broker.host}:${broker.port}`;
const natsUrl = `url: "nats://${at(nats)}"`;
const redisUrl = `url: "redis://${at(redis)}"`;
const mqttUrl = `url: "mqtt://${at(mosquitto)}"`;
const postgresUrl = `postgres://postgres@${at(postgres)}/postgres`;
const mysqlUrl = `mysql://root@${at(mysql)}/test`;
const amqpUrl = `url: "amqp://guest:guest@${rabbit.host}:${rabbit.port}"`;
const cases: readonly Case[] = [
  { name: "nats", skip: nats.skip, from: `nats: { ${natsUrl}, subject: ${name} }`, to: `nats: { ${natsUrl}, subject: ${name} }` },
  {
    name: "jetstream",
    skip: nats.skip,
    from: `jetstream: { ${natsUrl}, stream: S, consumer: c }`,
    to: `jetstream: { ${natsUrl}, subject: s, stream: S }`,
  },
  {
    name: "redis",
    skip: redis.skip,
    from: `redis: { ${redisUrl}, stream: ${name}, group: g, create: stream }`,
    to: `redis: { ${redisUrl}, stream: ${name} }`,
  },
  { name: "mqtt", skip: mosquitto.skip, from: `mqtt: { ${mqttUrl}, topic: ${name} }`, to: `mqtt: { ${mqttUrl}, topic: ${name} }` },
  {
    name: "amqp",
    skip: noRabbit,
    from: `amqp: { ${amqpUrl}, queue: ${name}, declare: classic }`,
    to: `amqp: { ${amqpUrl}, queue: ${name} }`,
  },
  {
    name: "postgres",
    skip: postgres.skip,
    from: `postgres: { url: "${postgresUrl}", table: inbox, poll: 100ms }`,
    to: `postgres: { url: "${postgresUrl}", sql: "insert into inbox (body) values ($body)" }`,
  },
  {
    name: "mysql",
    skip: mysql.skip,
    from: `mysql: { url: "${mysqlUrl}", table: inbox, poll: 100ms, create: true }`,
    to: `mysql: { url: "${mysqlUrl}", table: inbox, create: true }`,
  },
  {
    name: "smtp",
    skip: undefined,
    to: `smtp: { url: "smtp://127.0.0.1:${mails.port}", from: a@example.com, to: b@example.com, subject: s }`,
  },
];
const here = cases.filter(({ skip }) => skip === undefined);

const feeder = `import { flow } from "mayfly";
export default flow((msg, { to }) => { for (const name of ${JSON.stringify(here.map((one) => one.name))}) to[name].send("x", { key: "k" }); return "fed"; });
`;
const taker = `import { flow } from "mayfly";
export default flow<"seen">((msg, { to }) => { to.seen.send(msg.source + "\\n"); });
`;
const plain = `import { flow } from "mayfly";
export default flow((msg) => "plain");
`;

let gateway: SabotagedProcess;
const post = async (path: string): Promise<string> =>
  await (await fetch(`${gateway.url}${path}`, { method: "POST", signal: AbortSignal.timeout(10_000) })).text();

before(async () => {
  if (nats.skip === undefined) {
    const connection = await connect({ servers: at(nats) });
    await (await jetstreamManager(connection)).streams.add({ name: "S", subjects: ["s"] });
    await connection.close();
  }
  if (postgres.skip === undefined) {
    const client = new pg.Client({ connectionString: postgresUrl });
    await client.connect();
    await client.query(inboxTable("inbox"));
    await client.end();
  }
  const yaml = `flows:
  feeder:
    flow: feeder.ts
    from: [ { http: { path: /feed } } ]
    to:
${here.map(({ name: outlet, to }) => `      ${outlet}: { ${to}, timeout: 1s }`).join("\n")}
  taker:
    flow: taker.ts
    from: [ ${here.flatMap(({ from }) => (from === undefined ? [] : [`{ ${from} }`])).join(", ")} ]
    to: { seen: { file: { dir: seen, name: lines, append: true } } }
  plain: { flow: plain.ts, from: [ { http: { path: /plain } } ] }
log: { level: error }
drain: 1s
`;
  const callbacks = /\/dist\/connectors\/(?!http)/;
  gateway = await SabotagedProcess.start(
    join(packageRoot, "dist"),
    { "feeder.ts": feeder, "taker.ts": taker, "plain.ts": plain, "mayfly.yaml": yaml },
    { callbacks },
  );
});
after(async () => {
  await gateway.end();
  await Promise.all([...[nats, redis, mosquitto, postgres, mysql].map(({ end }) => end()), mails.close()]);
});

test("whichever callback of a broker's connector throws, others are answered, and every source hears again", {
  timeout: 120_000,
}, async (t) => {
  for (const { name: connector, skip } of cases) if (skip !== undefined) t.diagnostic(`skipped: ${connector}: ${skip}`);
  const random = prng(seed);
  for (let round = 1; round <= 40; round += 1) {
    await gateway.tell(`arm ${1 + random.below(60)}`);
    await post("/feed");
    await new Promise((done) => setTimeout(done, 30));
    await gateway.tell("disarm");
    equal(await post("/plain"), "plain");
    ok(gateway.alive);
  }
  match(gateway.written, /Sabotage: sabotage/);
  const sources = here.flatMap(({ name: source, from }) => (from === undefined ? [] : [source])).sort();
  const lines = join(gateway.folder, "seen", "lines");
  const seen = async (): Promise<string[]> => [...new Set((await readFile(lines, "utf8").catch(() => "")).trim().split("\n"))].sort();
  await rm(lines, { force: true });
  for (let tries = 0; tries < 60 && (await seen()).length < sources.length; tries += 1) {
    await post("/feed");
    await new Promise((done) => setTimeout(done, 500));
  }
  deepEqual(await seen(), sources);
});

test("it stops in order all the same", { timeout: 60_000 }, async () => {
  equal(await gateway.stop(), 0);
});
