/** A Kafka of our own. It survives SIGKILL without a sync of its log, which is in the system's memory then. */
import { Consumer, type Message, Producer } from "@platformatic/kafka";
import { kafkaServer, kafkaUser, noKafka } from "../../../connectors/testing/kafka-server.ts";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import type { Probe } from "../message.ts";
import { Lazy, poll, type Site, type Transport, Unavailable } from "./transport.ts";

type Bytes = Buffer;
interface Reader {
  readonly consumer: Consumer<Bytes, Bytes, Bytes, Bytes>;
  readonly records: AsyncIterator<Message<Bytes, Bytes, Bytes, Bytes>>;
}

export async function kafkaTransport({ run, receive }: Site): Promise<Transport> {
  const why = noKafka();
  if (why !== undefined) throw new Unavailable(why);
  const { broker, proxyPort, directPort } = await kafkaServer();
  const proxy = await Proxy.open(broker, proxyPort);
  const [topic, out] = [`${run}-in`, `${run}-out`];
  const options = { clientId: run, bootstrapBrokers: [`127.0.0.1:${directPort}`], sasl: kafkaUser, retries: 0, timeout: 2_000 };

  const client = new Lazy<Producer<Bytes, Bytes, Bytes, Bytes>>(
    async (lost) => {
      const producer = new Producer<Bytes, Bytes, Bytes, Bytes>({ ...options, autocreateTopics: true, acks: -1 });
      producer.on("client:broker:disconnect", lost);
      return producer;
    },
    async (producer) => producer.close(true),
  );
  const send = ({ id, key, body }: Probe): Promise<void> =>
    client.use(async (producer) => {
      const headers = new Map([
        [Buffer.from("mayfly-id"), Buffer.from(id)],
        [Buffer.from("content-type"), Buffer.from("application/json")],
      ]);
      await producer.send({ messages: [{ topic, key: Buffer.from(key), value: Buffer.from(body), headers }], acks: -1 });
    });

  let next = 0n;
  let readers = 0;
  const receiver = new Lazy<Reader>(
    async (lost) => {
      readers += 1;
      const consumer = new Consumer<Bytes, Bytes, Bytes, Bytes>({ ...options, groupId: `${run}-${readers}`, maxWaitTime: 300 });
      consumer.on("error", lost);
      await consumer.metadata({ topics: [out], autocreateTopics: true });
      const stream = await consumer.consume({ topics: [out], mode: "manual", offsets: [{ topic: out, partition: 0, offset: next }] });
      stream.on("error", lost);
      return { consumer, records: stream[Symbol.asyncIterator]() };
    },
    async ({ consumer }) => consumer.close(true),
  );
  const stop = poll(() =>
    receiver.use(async ({ records }) => {
      const { value: record, done } = await records.next();
      if (done === true) throw new Error("the stream ended");
      next = record.offset + 1n;
      const [, id] = [...record.headers].find(([name]) => String(name) === "mayfly-id") ?? [];
      receive(String(record.value), String(id));
      return true;
    }),
  );
  const common = { brokers: [`127.0.0.1:${proxyPort}`], sasl: kafkaUser, heartbeat: "2s" };
  return {
    name: "kafka",
    lanes: [
      {
        name: "kafka",
        ordered: true,
        lossy: false,
        waits: false,
        from: { kafka: { ...common, topics: [topic], group: run, instance: "gateway", session: "6s", create: true, prefetch: 64 } },
        out: { kafka: { ...common, topic: out, create: true } },
        send,
      },
    ],
    proxy,
    broker,
    stops: ["SIGTERM", "SIGKILL"],
    async close() {
      await stop();
      await client.close();
      await receiver.close();
      await proxy.close();
      await broker.remove();
    },
  };
}
