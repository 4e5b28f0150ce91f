/** Servers for one test, each with its data in a temporary folder. A string instead of a server is the reason why it can't be started. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../base/testing/free-port.ts";
import { type BrokerAddress, installed, PrivateBroker, reachable } from "./brokers.ts";

export type Server = Promise<PrivateBroker | string>;

/** Why a program can't be started, or undefined. */
export const missing = (program: string): string | undefined => (installed(program) ? undefined : `no ${program} to start`);

/** With JetStream in files. `more`: further arguments. */
export async function natsServer(...more: readonly string[]): Server {
  const why = missing("nats-server");
  if (why !== undefined) return why;
  return await PrivateBroker.start((dir, port) => {
    return ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", join(dir, "store"), ...more];
  });
}

/** That syncs its append-only file before it answers. `more`: further arguments. */
export async function redisServer(...more: readonly string[]): Server {
  const why = missing("redis-server");
  if (why !== undefined) return why;
  const durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
  return await PrivateBroker.start((dir, port) => {
    return ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--dir", dir, ...durable, ...more];
  });
}

/** A Mosquitto, which writes its store when it ends. `configure` may write files into its folder and gives lines of its configuration. */
export async function mqttServer(configure: (dir: string) => Promise<readonly string[]> = async () => ["allow_anonymous true"]): Server {
  const why = missing("mosquitto");
  if (why !== undefined) return why;
  return await PrivateBroker.start(
    (dir) => ["mosquitto", "-c", join(dir, "mosquitto.conf")],
    async (dir, port) => {
      const root = process.getuid?.() === 0 ? ["user root"] : [];
      const lines = [`listener ${port} 127.0.0.1`, "persistence true", `persistence_location ${dir}/`, ...root, ...(await configure(dir))];
      await writeFile(join(dir, "mosquitto.conf"), `${lines.join("\n")}\n`);
    },
  );
}

/** The RabbitMQ that runs as the computer's service. */
export const rabbit: BrokerAddress = { host: "127.0.0.1", port: 5672 };
export const rabbitUrl = "amqp://guest:guest@127.0.0.1:5672";

/** The reason why the service can't be used, or undefined; starts it if it is down. */
export const noRabbit = (): Promise<string | undefined> => reachable("rabbitmq-server", rabbit);

const rabbitProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/** A RabbitMQ node beside the one that runs as a service. `lines`: of its rabbitmq.conf. End it with `down` before `remove`: SIGKILL reaches its shell only. */
export async function rabbitServer(...lines: readonly string[]): Server {
  if (!existsSync(rabbitProgram)) return `no ${rabbitProgram} to start`;
  const distributionPort = await freePort();
  return await PrivateBroker.start(
    (dir, port) => {
      const settings = {
        NODENAME: `mayfly${port}@localhost`,
        DIST_PORT: distributionPort,
        CONFIG_FILE: join(dir, "rabbitmq"),
        MNESIA_BASE: join(dir, "data"),
        LOG_BASE: join(dir, "log"),
        ENABLED_PLUGINS_FILE: join(dir, "plugins"),
      };
      return ["env", `HOME=${dir}`, ...Object.entries(settings).map(([name, value]) => `RABBITMQ_${name}=${value}`), rabbitProgram];
    },
    (dir, port) => writeFile(join(dir, "rabbitmq.conf"), [`listeners.tcp.1 = 127.0.0.1:${port}`, ...lines, ""].join("\n")),
    60_000,
  );
}

/** The server that a whole suite shares, or the reason to skip it; `end` removes it. */
export interface SuiteServer {
  readonly skip: string | undefined;
  readonly broker: BrokerAddress;
  readonly end: () => Promise<void>;
}

export async function suiteServer(starting: Server): Promise<SuiteServer> {
  const server = await starting;
  if (typeof server === "string") return { skip: server, broker: { host: "127.0.0.1", port: 0 }, end: async () => {} };
  return { skip: undefined, broker: server, end: () => server.remove() };
}

/** The server, or an error with the reason: for a test that is skipped without it. */
export async function started(starting: Server): Promise<PrivateBroker> {
  const server = await starting;
  if (typeof server === "string") throw new Error(server);
  return server;
}
