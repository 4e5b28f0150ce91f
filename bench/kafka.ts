/**
 * Kafka → flow → Kafka: records of a topic that is full already, transformed into another, beside a program of Node and Camel with the same
 * broker. The rate counts from the first records that are there to the last.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Admin, ListOffsetTimestamps, Producer } from "@platformatic/kafka";
import { type KafkaServer, kafkaServer, kafkaUser, noKafka } from "../connectors/testing/kafka-server.ts";
import { end, startGateway } from "./gateway.ts";
import { inFolder } from "./journal.ts";
import { buildForeign } from "./peer-servers.ts";
import { peersFolder } from "./peers.ts";
import { type Row, say } from "./rows.ts";
import { orderText } from "./start.ts";

const suite = "kafka";
const name = "records a second from topic to topic, a fresh machine for each";
const partitions = 4;
const keys = 1000;
const patienceMs = 300_000;
const flow = fileURLToPath(new URL("../../bench/flows/route.ts", import.meta.url));

interface Topics {
  readonly admin: Admin;
  readonly broker: string;
  readonly count: number;
}

const client = (broker: string): { clientId: string; bootstrapBrokers: string[]; sasl: typeof kafkaUser } => ({
  clientId: "bench",
  bootstrapBrokers: [broker],
  sasl: kafkaUser,
});

async function fill(broker: string, topic: string, count: number): Promise<void> {
  const producer = new Producer<Buffer, Buffer, Buffer, Buffer>(client(broker));
  const value = Buffer.from(orderText);
  const headers = new Map([[Buffer.from("content-type"), Buffer.from("application/json")]]);
  for (let sent = 0; sent < count; sent += 1000) {
    const messages = Array.from({ length: Math.min(1000, count - sent) }, (_, index) => ({
      topic,
      key: Buffer.from(`customer-${(sent + index) % keys}`),
      value,
      headers,
    }));
    await producer.send({ messages, acks: -1 });
  }
  await producer.close();
}

async function recordsIn(admin: Admin, topic: string): Promise<number> {
  const all = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: ListOffsetTimestamps.LATEST }));
  const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions: all }] });
  return (listed?.partitions ?? []).reduce((sum, { offset }) => sum + Number(offset), 0);
}

/** Records a second until `count` are in the topic. Rejects when they stay away. */
async function rateInto({ admin, count }: Topics, topic: string, isThere: () => boolean): Promise<number> {
  let first: { readonly records: number; readonly atMs: number } | undefined;
  for (const untilMs = performance.now() + patienceMs; performance.now() < untilMs && isThere(); ) {
    const records = await recordsIn(admin, topic);
    const atMs = performance.now();
    if (first === undefined && records > 0) first = { records, atMs };
    if (first !== undefined && records >= count) return ((records - first.records) * 1000) / (atMs - first.atMs);
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`only ${await recordsIn(admin, topic)} of ${count} records came into ${topic}`);
}

function mayflyRate(topics: Topics): Promise<number> {
  return inFolder(async (folder) => {
    const login = `brokers: ["${topics.broker}"], sasl: { mechanism: PLAIN, username: ${kafkaUser.username}, password: "${kafkaUser.password}" }`;
    const gateway = await startGateway(
      folder,
      `route:
    flow: ${flow}
    from: [ { kafka: { ${login}, topics: [orders], group: mayfly } } ]
    to: { routed: { kafka: { ${login}, topic: mayfly } } }`,
    );
    try {
      return await rateInto(topics, "mayfly", () => gateway.child.exitCode === null);
    } finally {
      await gateway.close();
    }
  });
}

/** Of a program that ends when it is told to. */
async function rateOf(what: string, topics: Topics, topic: string, child: ChildProcess): Promise<number | string> {
  let fault: Error | undefined;
  child.once("error", (error) => (fault = error));
  try {
    return await rateInto(topics, topic, () => fault === undefined && child.exitCode === null);
  } catch (error) {
    return `${what}: ${(fault ?? (error as Error)).message}`;
  } finally {
    await end(child);
  }
}

function plainRate(topics: Topics): Promise<number | string> {
  const program = fileURLToPath(new URL("./kafka-copy.js", import.meta.url));
  const child = spawn(process.execPath, [program, topics.broker, "orders", "plain"], { stdio: ["ignore", "ignore", "inherit"] });
  return rateOf("plain Node", topics, "plain", child);
}

async function camelRate(topics: Topics): Promise<number | string> {
  const failure = buildForeign("camel-kafka", "target/lib", [
    ["mvn", "-q", "-B", "package"],
    ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"],
  ]);
  if (failure !== undefined) return failure;
  const { username, password } = kafkaUser;
  const login = `org.apache.kafka.common.security.plain.PlainLoginModule required username="${username}" password="${password}";`;
  const values = ["-cp", "target/copy-1.jar:target/lib/*", "peer.Copy", topics.broker, login, "orders", "camel", String(partitions)];
  const child: ChildProcess = spawn("java", values, { cwd: join(peersFolder, "camel-kafka"), stdio: "ignore" });
  return rateOf("Camel", topics, "camel", child);
}

async function measure(server: KafkaServer, quick: boolean): Promise<Row[]> {
  const broker = `127.0.0.1:${server.directPort}`;
  const count = quick ? 20_000 : 100_000;
  const admin = new Admin(client(broker));
  try {
    await admin.createTopics({ topics: ["orders", "mayfly", "plain", "camel"], partitions, replicas: 1 });
    say(`Kafka: ${count} records through mayfly, plain Node and Camel`);
    await fill(broker, "orders", count);
    const topics = { admin, broker, count };
    const own = await mayflyRate(topics);
    const row = { suite, name, value: own, unit: "1/s" };
    const beside = (peer: string, theirs: number | string): Row =>
      typeof theirs === "string"
        ? { ...row, name: `${name}, beside ${peer}`, value: Number.NaN, skipped: theirs }
        : { ...row, beside: { name: peer, value: theirs }, ratio: own / theirs };
    return [
      beside("plain Node with the same client, no isolation", await plainRate(topics)),
      beside("Camel, no isolation", await camelRate(topics)),
      beside("Benthos", "Benthos itself has no Kafka component: that of Redpanda Connect is not under an open-source licence"),
    ];
  } finally {
    await admin.close();
  }
}

export async function kafkaRows(quick: boolean): Promise<Row[]> {
  const why = noKafka();
  if (why !== undefined) return [{ suite, name, value: Number.NaN, unit: "1/s", skipped: why }];
  const server = await kafkaServer();
  try {
    return await measure(server, quick);
  } finally {
    await server.broker.remove();
  }
}
