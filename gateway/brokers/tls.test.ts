/** TLS against real listeners: an unknown authority is refused, a known one accepted, a client certificate shown. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mqttOutlet } from "../outlets/mqtt.ts";
import { natsOutlet } from "../outlets/nats.ts";
import type { OutletDefinition } from "../outlets/outlet.ts";
import { redisOutlet } from "../outlets/redis.ts";
import { installed, PrivateBroker } from "./testing/brokers.ts";
import { makeCertificates } from "./testing/certificates.ts";
import { attemptOf, outgoing, startOutlet } from "./testing/rig.ts";

interface TlsCase {
  readonly program: string;
  // biome-ignore lint/suspicious/noExplicitAny: configurations are checked against the schema
  readonly outlet: OutletDefinition<any>;
  command(dir: string, port: number, certificates: string): readonly string[];
  prepare?(dir: string, port: number, certificates: string): Promise<void>;
  config(port: number): object;
  readonly code: string;
}

const cases: readonly TlsCase[] = [
  {
    program: "nats-server",
    outlet: natsOutlet,
    command: (_, port, tls) => [
      "nats-server",
      "-a",
      "127.0.0.1",
      "-p",
      String(port),
      "--tlsverify",
      "--tlscert",
      join(tls, "server.pem"),
      "--tlskey",
      join(tls, "server.key"),
      "--tlscacert",
      join(tls, "ca.pem"),
    ],
    config: (port) => ({ url: `tls://127.0.0.1:${port}`, subject: "x" }),
    code: "MF_NATS_TLS",
  },
  {
    program: "mosquitto",
    outlet: mqttOutlet,
    command: (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
    prepare: async (dir, port, tls) => {
      const files = [`cafile ${tls}/ca.pem`, `certfile ${tls}/server.pem`, `keyfile ${tls}/server.key`, "require_certificate true"];
      const lines = [`listener ${port} 127.0.0.1`, "allow_anonymous true", ...files, ...(process.getuid?.() === 0 ? ["user root"] : [])];
      await writeFile(join(dir, "mosquitto.conf"), `${lines.join("\n")}\n`);
    },
    config: (port) => ({ url: `mqtts://127.0.0.1:${port}`, topic: "x" }),
    code: "MF_MQTT_TLS",
  },
  {
    program: "redis-server",
    outlet: redisOutlet,
    command: (dir, port, tls) => [
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
    ],
    config: (port) => ({ url: `rediss://127.0.0.1:${port}`, stream: "x" }),
    code: "MF_REDIS_TLS",
  },
];

describe("tls", { skip: installed("openssl") ? false : "no openssl", timeout: 60_000 }, () => {
  let dir: string;
  before(async () => {
    ({ dir } = await makeCertificates());
  });
  after(() => rm(dir, { recursive: true }));

  for (const { program, outlet, command, prepare, config, code } of cases) {
    test(`${program}: trusts only whom it is told to`, { skip: installed(program) ? false : `no ${program}` }, async () => {
      const server = await PrivateBroker.start(
        (folder, port) => command(folder, port, dir),
        async (folder, port) => prepare?.(folder, port, dir),
      );
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
  }
});
