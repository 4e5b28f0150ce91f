/** Apache Kafka for tests: one node in KRaft mode, of the jars that scripts/java-servers.mjs fetches. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../base/testing/free-port.ts";
import { PrivateBroker } from "./brokers.ts";
import { missing } from "./servers.ts";

const jars = join(homedir(), ".cache", "mayfly", "kafka-4.1.0");

export const kafkaUser = { mechanism: "PLAIN", username: "mayfly", password: "secret of tests" } as const;

/** Of whom a test may take rights: `kafkaUser` has all. */
export const kafkaGuest = { mechanism: "PLAIN", username: "guest", password: "another secret" } as const;

export interface KafkaServer {
  /** Its port tells clients to come back to `proxyPort`: behind it a proxy sees all of their connections. */
  readonly broker: PrivateBroker;
  readonly proxyPort: number;
  /** Without a proxy. */
  readonly directPort: number;
  /** With TLS and client certificates, where `certificates` were given. */
  readonly tlsPort: number;
}

/** The reason why it can't be started, or undefined. */
export function noKafka(): string | undefined {
  const java = missing("java");
  if (java !== undefined) return java;
  try {
    return readdirSync(jars).length > 0 ? undefined : "the folder of Kafka's jars is empty";
  } catch {
    return "Apache Kafka was not fetched: `npm run services -- up` says why";
  }
}

/** Logins are those of `kafkaUser`. `lines`: of its server.properties. */
export async function kafkaServer(certificates?: string, ...lines: readonly string[]): Promise<KafkaServer> {
  const [controllerPort, proxyPort, directPort, tlsPort] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const classPath = readdirSync(jars)
    .map((name) => join(jars, name))
    .join(":");
  const java = ["java", "-Xms64m", "-Xmx224m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classPath];
  const broker = await PrivateBroker.start(
    (dir) => [...java, "kafka.Kafka", join(dir, "server.properties")],
    async (dir, port) => {
      const names = ["PROXIED", "DIRECT", ...(certificates === undefined ? [] : ["SECURE"])];
      const listening = { PROXIED: port, DIRECT: directPort, SECURE: tlsPort } as Readonly<Record<string, number>>;
      const told = { ...listening, PROXIED: proxyPort } as Readonly<Record<string, number>>;
      const listeners = (ports: Readonly<Record<string, number>>): string =>
        names.map((name) => `${name}://127.0.0.1:${ports[name]}`).join(",");
      const user = ({ username, password }: { readonly username: string; readonly password: string }): string =>
        `user_${username}="${password}"`;
      const login = `org.apache.kafka.common.security.plain.PlainLoginModule required ${user(kafkaUser)} ${user(kafkaGuest)};`;
      const settings = [
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        `super.users=User:ANONYMOUS;User:${kafkaUser.username}`,
        "allow.everyone.if.no.acl.found=true",
        "process.roles=broker,controller",
        "node.id=1",
        `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
        `listeners=CONTROLLER://127.0.0.1:${controllerPort},${listeners(listening)}`,
        `advertised.listeners=${listeners(told)}`,
        "controller.listener.names=CONTROLLER",
        "inter.broker.listener.name=DIRECT",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PROXIED:SASL_PLAINTEXT,DIRECT:SASL_PLAINTEXT,SECURE:SSL",
        "sasl.enabled.mechanisms=PLAIN",
        "sasl.mechanism.inter.broker.protocol=PLAIN",
        `listener.name.proxied.plain.sasl.jaas.config=${login}`,
        `listener.name.direct.plain.sasl.jaas.config=${login.replace("required", `required username="${kafkaUser.username}" password="${kafkaUser.password}"`)}`,
        `log.dirs=${join(dir, "logs")}`,
        ...["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"].flatMap((topic) => [
          `${topic}.replication.factor=1`,
          `${topic}.num.partitions=1`,
        ]),
        "transaction.state.log.min.isr=1",
        "share.coordinator.state.topic.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
        "group.min.session.timeout.ms=500",
        "auto.create.topics.enable=true",
        "log.cleaner.dedupe.buffer.size=4194304",
        ...(certificates === undefined ? [] : await secured(certificates, dir)),
        ...lines,
      ];
      await writeFile(join(dir, "server.properties"), `${settings.join("\n")}\n`);
      const format = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", join(dir, "server.properties")];
      const { status, stderr } = spawnSync("java", [...java.slice(1), ...format], { encoding: "utf8" });
      if (status !== 0) throw new Error(`Kafka's storage can't be formatted: ${stderr.slice(-2_000)}`);
    },
    60_000,
  );
  return { broker, proxyPort, directPort, tlsPort };
}

async function secured(certificates: string, dir: string): Promise<readonly string[]> {
  const key = spawnSync("openssl", ["pkcs8", "-topk8", "-nocrypt", "-in", join(certificates, "server.key")], { encoding: "utf8" }).stdout;
  await writeFile(join(dir, "keystore.pem"), key + (await readFile(join(certificates, "server.pem"), "utf8")));
  const prefix = "listener.name.secure.ssl";
  return [
    `${prefix}.keystore.type=PEM`,
    `${prefix}.keystore.location=${join(dir, "keystore.pem")}`,
    `${prefix}.truststore.type=PEM`,
    `${prefix}.truststore.location=${join(certificates, "ca.pem")}`,
    `${prefix}.client.auth=required`,
  ];
}
