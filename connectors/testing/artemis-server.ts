/** ActiveMQ Artemis for tests, of the jars that scripts/java-servers.mjs fetches: AMQP 1.0, queues that must be made, and a login. */
import { readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Connection, EventContext, Message, ReceiverOptions } from "rhea";
import { loadClient } from "../amqp1/client.ts";
import { decodeMessage } from "../amqp1/message.ts";
import { PrivateBroker } from "./brokers.ts";
import { missing } from "./servers.ts";

const jars = join(homedir(), ".cache", "mayfly", "artemis-2.40.0");
const mainClass = "org.apache.activemq.artemis.core.server.embedded.Main";
const loginModule = "org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule";

export const artemisUser = { username: "mayfly", password: "secret" } as const;
/** A user without rights. */
export const artemisGuest = { username: "guest", password: "another" } as const;

/** The reason why it can't be started, or undefined. */
export function noArtemis(): string | undefined {
  const java = missing("java");
  if (java !== undefined) return java;
  try {
    return readdirSync(jars).length > 0 ? undefined : "the folder of Artemis's jars is empty";
  } catch {
    return "ActiveMQ Artemis was not fetched: `npm run services -- up` says why";
  }
}

function brokerXml(dir: string, port: number, settings: string): string {
  const folders = ["bindings", "journal", "large-messages", "paging"].map(
    (name) => `<${name}-directory>${join(dir, name)}</${name}-directory>`,
  );
  const permission = (type: string, roles = "all"): string => `<permission type="${type}" roles="${roles}"/>`;
  const permissions = [
    ...[
      "createAddress",
      "createDurableQueue",
      "createNonDurableQueue",
      "deleteNonDurableQueue",
      "deleteDurableQueue",
      "deleteAddress",
      "browse",
    ],
    ...["send", "consume", "manage"],
  ].map((type) => permission(type));
  return `<configuration xmlns="urn:activemq"><core xmlns="urn:activemq:core">
    <journal-type>NIO</journal-type>${folders.join("")}
    <max-disk-usage>100</max-disk-usage>
    <acceptors><acceptor name="amqp">tcp://127.0.0.1:${port}?protocols=AMQP;saslMechanisms=PLAIN;securityDomain=activemq</acceptor></acceptors>
    <security-settings><security-setting match="#">${permissions.join("")}</security-setting></security-settings>
    <address-settings>
      <address-setting match="#">
        <auto-create-queues>false</auto-create-queues><auto-create-addresses>false</auto-create-addresses>
        <dead-letter-address>letters</dead-letter-address><max-delivery-attempts>-1</max-delivery-attempts>${settings}
      </address-setting>
      <address-setting match="made.#"><auto-create-queues>true</auto-create-queues><auto-create-addresses>true</auto-create-addresses></address-setting>
    </address-settings>
    <addresses><address name="letters"><anycast><queue name="letters"/></anycast></address></addresses>
  </core></configuration>`;
}

export interface ArtemisServer {
  readonly broker: PrivateBroker;
  readonly make: (queue: string) => Promise<void>;
  readonly remove: (queue: string) => Promise<void>;
  readonly count: (queue: string) => Promise<number>;
  readonly end: () => Promise<void>;
}

/** `settings`: of all addresses. */
export async function artemisServer(settings = ""): Promise<ArtemisServer> {
  const classPath = readdirSync(jars)
    .map((name) => join(jars, name))
    .join(":");
  const broker = await PrivateBroker.start(
    (dir) => {
      const java = ["java", "-Xms48m", "-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classPath];
      return [...java, `-Djava.security.auth.login.config=${join(dir, "login.config")}`, mainClass, dir];
    },
    async (dir, port) => {
      await mkdir(join(dir, "etc"));
      await writeFile(join(dir, "etc", "broker.xml"), brokerXml(dir, port, settings));
      const files = Object.entries({ user: "users.properties", role: "roles.properties" }).map(
        ([kind, file]) => `org.apache.activemq.jaas.properties.${kind}="${file}"`,
      );
      await writeFile(join(dir, "login.config"), `activemq { ${loginModule} sufficient baseDir="${dir}" ${files.join(" ")}; };\n`);
      const users = [artemisUser, artemisGuest].map(({ username, password }) => `${username}=${password}\n`);
      await writeFile(join(dir, "users.properties"), users.join(""));
      await writeFile(join(dir, "roles.properties"), `all=${artemisUser.username}\nnone=${artemisGuest.username}\n`);
    },
    60_000,
  );
  const manager = new Manager(broker);
  const queueOf = (name: string): string => JSON.stringify({ name, address: name, "routing-type": "ANYCAST", durable: true });
  return {
    broker,
    async make(name) {
      await manager.call("broker", "createAddress", [name, "ANYCAST"]);
      await manager.call("broker", "createQueue", [queueOf(name)]);
    },
    remove: async (name) => void (await manager.call("broker", "deleteAddress", [name, true])),
    count: async (name) => Number(await manager.call(`queue.${name}`, "countMessages", [])),
    async end() {
      manager.close();
      await broker.remove();
    },
  };
}

/** Calls operations of the broker's management address: one connection for each. */
class Manager {
  readonly #broker: PrivateBroker;
  readonly #open = new Set<Connection>();

  constructor(broker: PrivateBroker) {
    this.#broker = broker;
  }

  async call(resource: string, operation: string, values: readonly unknown[]): Promise<unknown> {
    const { host, port } = this.#broker;
    const rhea = await loadClient();
    const connection = rhea.create_container().connect({ host, port, ...artemisUser, reconnect: false });
    this.#open.add(connection);
    const answered = new Promise<unknown>((resolve, reject) => {
      connection.on("error", reject).on("connection_error", reject).on("disconnected", reject);
      const receiver = connection.open_receiver({ source: { dynamic: true } } as ReceiverOptions);
      receiver.on("receiver_open", () => {
        const application_properties = { _AMQ_ResourceName: resource, _AMQ_OperationName: operation };
        const sender = connection.open_sender("activemq.management");
        const request = { reply_to: receiver.source.address, application_properties, body: JSON.stringify(values) };
        sender.once("sendable", () => void sender.send(request as Message));
      });
      receiver.on("message", ({ message }: EventContext) => {
        const { body, application } = decodeMessage(message as unknown as Uint8Array); // as loadClient leaves it
        const text = Buffer.from(body).toString();
        if (application.get("_AMQ_OperationSucceeded") === true) resolve(text === "" ? undefined : (JSON.parse(text) as unknown[])[0]);
        else reject(new Error(`Artemis, ${operation}: ${text}`));
      });
    });
    return await answered.finally(() => {
      this.#open.delete(connection);
      connection.removeAllListeners("disconnected");
      connection.on("disconnected", () => undefined);
      connection.close();
    });
  }

  close(): void {
    for (const connection of this.#open) connection.close();
  }
}
