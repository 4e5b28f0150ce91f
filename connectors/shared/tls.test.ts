/** TLS against real listeners: an unknown authority is refused, a known one accepted, a client certificate shown. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { amqpOutlet } from "../amqp/outlet.ts";
import { mqttOutlet } from "../mqtt/outlet.ts";
import { natsOutlet } from "../nats/outlet.ts";
import type { OutletDefinition } from "../../gateway/contract/outlet.ts";
import { postgresOutlet } from "../postgres/outlet.ts";
import { redisOutlet } from "../redis/outlet.ts";
import { installed, PrivateBroker, reachable } from "../testing/brokers.ts";
import { privatePostgres } from "../testing/postgres-server.ts";
import { makeCertificates } from "../testing/certificates.ts";
import { attemptOf, outgoing, startOutlet } from "../testing/rig.ts";
import { mqttServer, natsServer, started } from "../testing/servers.ts";
import { TlsFront } from "../testing/tls-front.ts";

interface TlsCase {
  readonly name: string;
  readonly skip: string | false;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  /** A listener that wants a client certificate of this authority. */
  open(certificates: string): Promise<{ readonly port: number; remove(): Promise<void> }>;
  config(port: number): object;
  readonly code: string;
}

const unlessInstalled = (program: string): string | false => (installed(program) ? false : `no ${program}`);
const rabbit = { host: "127.0.0.1", port: 5672 };
const postgres = await privatePostgres();

const cases: readonly TlsCase[] = [
  {
    name: "nats-server",
    skip: unlessInstalled("nats-server"),
    outlet: natsOutlet,
    open: (tls) =>
      started(
        natsServer(
          "--tlsverify",
          "--tlscert",
          join(tls, "server.pem"),
          "--tlskey",
          join(tls, "server.key"),
          "--tlscacert",
          join(tls, "ca.pem"),
        ),
      ),
    config: (port) => ({ url: `tls://127.0.0.1:${port}`, subject: "x" }),
    code: "MF_NATS_TLS",
  },
  {
    name: "mosquitto",
    skip: unlessInstalled("mosquitto"),
    outlet: mqttOutlet,
    open: (tls) =>
      started(
        mqttServer(async () => [
          "allow_anonymous true",
          `cafile ${tls}/ca.pem`,
          `certfile ${tls}/server.pem`,
          `keyfile ${tls}/server.key`,
          "require_certificate true",
        ]),
      ),
    config: (port) => ({ url: `mqtts://127.0.0.1:${port}`, topic: "x" }),
    code: "MF_MQTT_TLS",
  },
  {
    name: "redis-server",
    skip: unlessInstalled("redis-server"),
    outlet: redisOutlet,
    open: (tls) =>
      PrivateBroker.start((dir, port) => [
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "--tls-port",
        String(port),
        "--dir",
        dir,
        "--save",
        "",
        "--tls-cert-file",
        join(tls, "server.pem"),
        "--tls-key-file",
        join(tls, "server.key"),
        "--tls-ca-cert-file",
        join(tls, "ca.pem"),
      ]),
    config: (port) => ({ url: `rediss://127.0.0.1:${port}`, stream: "x" }),
    code: "MF_REDIS_TLS",
  },
  {
    name: "rabbitmq-server behind TLS",
    skip: (await reachable("rabbitmq-server", rabbit)) ?? false,
    outlet: amqpOutlet,
    open: (tls) => TlsFront.open(rabbit, tls, false),
    config: (port) => ({ url: `amqps://guest:guest@127.0.0.1:${port}`, exchange: "amq.topic", routingKey: "x", mandatory: false }),
    code: "MF_AMQP_TLS",
  },
  {
    name: "postgresql behind TLS",
    skip: typeof postgres === "string" ? postgres : false,
    outlet: postgresOutlet,
    open: (tls) => TlsFront.open(postgres as PrivateBroker, tls, true),
    config: (port) => ({ url: `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=require`, sql: "select 1" }),
    code: "MF_POSTGRES_TLS",
  },
];

describe("tls", { skip: installed("openssl") ? false : "no openssl", timeout: 60_000 }, () => {
  let dir: string;
  /** The server's certificate here is for a name that is not the host of the url. */
  let named: string;
  before(async () => {
    ({ dir } = await makeCertificates());
    ({ dir: named } = await makeCertificates("DNS:broker.test"));
  });
  after(async () => {
    for (const each of [dir, named]) await rm(each, { recursive: true });
    if (typeof postgres !== "string") await postgres.remove();
  });

  for (const { name, skip, outlet, open, config, code } of cases) {
    test(`${name}: trusts only whom it is told to`, { skip }, async () => {
      const server = await open(dir);
      try {
        const strict = await startOutlet(outlet, config(server.port));
        assert.equal(strict.outlet.health().ready, false);
        assert.ok(strict.outlet.health().detail.startsWith(`${code}: `), strict.outlet.health().detail);
        await strict.outlet.stop();
        const files = { ca: "ca.pem", cert: "client.pem", key: "client.key" };
        const known = await startOutlet(outlet, { ...config(server.port), tls: files }, dir);
        assert.equal(known.outlet.health().ready, true, known.outlet.health().detail);
        await known.outlet.send(outgoing("x"), attemptOf());
        await known.outlet.stop();
        const absent = await startOutlet(outlet, { ...config(server.port), tls: { ca: "absent.pem" } }, dir);
        assert.match(absent.outlet.health().detail, /^MF_TLS_FILE: .*absent\.pem/);
        await absent.outlet.stop();
      } finally {
        await server.remove();
      }
    });

    test(`${name}: the certificate must be for the host of the url, or for servername`, { skip }, async () => {
      const server = await open(named);
      const files = { ca: "ca.pem", cert: "client.pem", key: "client.key" };
      try {
        for (const servername of [undefined, "localhost", "other.test"]) {
          const tls = servername === undefined ? files : { ...files, servername };
          const refused = await startOutlet(outlet, { ...config(server.port), tls }, named);
          assert.ok(refused.outlet.health().detail.startsWith(`${code}: `), `${servername}: ${refused.outlet.health().detail}`);
          await refused.outlet.stop();
        }
        const right = await startOutlet(outlet, { ...config(server.port), tls: { ...files, servername: "broker.test" } }, named);
        assert.equal(right.outlet.health().ready, true, right.outlet.health().detail);
        await right.outlet.stop();
      } finally {
        await server.remove();
      }
    });
  }
});
