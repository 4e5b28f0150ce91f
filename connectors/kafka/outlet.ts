/** Into a Kafka topic, by an idempotent producer. */
import type { Producer } from "@platformatic/kafka";
import { headerPairs, headerText } from "#abi";
import { type Attempt, type Outgoing, type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";
import { heartbeat, Link, unlessAborted } from "../shared/link.ts";
import { addressOf, checkTemplate, flatHeaders, header, sendableOf } from "../shared/wire.ts";
import { Batches, type Produced } from "./batches.ts";
import { clientOptions, explainKafka, type KafkaConfig, kafkaPeer, kafkaSchema, loadClient } from "./client.ts";
import { kafkaLimits } from "./limits.ts";

export interface KafkaOutletConfig extends KafkaConfig {
  readonly topic: string;
  readonly partition?: number;
  readonly create: boolean;
  readonly compression: "none" | "gzip" | "zstd" | "snappy" | "lz4";
  readonly cloudevents?: CloudEventsConfig;
}

export const kafkaOutlet: OutletDefinition<KafkaOutletConfig> = {
  name: "kafka",
  summary: "Into a Kafka topic.",
  description: `A message counts as sent when all replicas in sync have it (\`acks=all\`).

- **Client**: \`npm install @platformatic/kafka@1\` beside Mayfly; without it the outlet says \`MF_KAFKA_CLIENT\`.
- **Record**: the message's key is the record's key, its headers are the record's, with \`content-type\`, \`mayfly-id\` (the idempotency key: the
  same for every attempt at one send) and \`mayfly-correlation-id\`. A message with the header \`kafka-tombstone: true\` and an empty body becomes a
  record without a value.
- **Partition**: by the hash of the key that Kafka's own clients use (murmur2), or \`partition\`; without a key, one after the other.
- **Address**: \`topic\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`.
- **Idempotence**: what the client sends again after a lost answer is stored once. An attempt of the gateway after that is a new record under the
  same \`mayfly-id\`.
- **Batches**: one produce request at a time; what is sent meanwhile goes into the next.
- **Errors**: those of the source, and \`MF_KAFKA_TOO_LARGE\`, which is not tried again.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["brokers", "topic"],
    properties: {
      ...kafkaSchema,
      topic: { type: "string", minLength: 1, description: "Topic." },
      partition: { type: "integer", minimum: 0, description: "Partition of every message." },
      create: { type: "boolean", default: false, description: "Create a missing topic, with the broker's defaults." },
      compression: { enum: ["none", "gzip", "zstd", "snappy", "lz4"], default: "none", description: "Compression of batches." },
      cloudevents: cloudEventsSchema,
    },
  },
  example: `kafka: { brokers: ["kafka-1:9092", "kafka-2:9092"], topic: orders }`,
  answers: false,
  create: createKafkaOutlet,
};

const topicName = /^[A-Za-z0-9._-]{1,249}$/;

function createKafkaOutlet(config: KafkaOutletConfig, context: OutletContext): Outlet {
  checkTemplate(config.topic);
  const peer = kafkaPeer(config);
  const what = `topic ${config.topic}`;
  const link = new Link<Batches>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainKafka(peer, what, error),
    async open({ lost, own }) {
      const client = await loadClient();
      const producer = new client.Producer<Buffer, Buffer, Buffer, Buffer>({
        ...(await clientOptions(config, context)),
        idempotent: true,
        partitioner: client.compatibilityPartitioner,
        compression: config.compression,
        autocreateTopics: config.create,
        retries: kafkaLimits.produceRetries,
        retryDelay: kafkaLimits.produceRetryMs,
      });
      own({ close: () => producer.close(true) });
      const topics = config.topic.includes("{") ? [] : [config.topic];
      const look = (): Promise<unknown> => producer.metadata({ topics, autocreateTopics: config.create, forceUpdate: true });
      await look();
      own({ close: heartbeat(context, config.heartbeat, look, lost) });
      return new Batches((messages) => produce(producer, messages), lost);
    },
  });

  return {
    start: () => link.start(),
    async send(message, attempt) {
      const batches = link.need();
      const record = recordOf(config, message, attempt);
      try {
        await unlessAborted(attempt.signal, batches.send(record, attempt.signal));
      } catch (error) {
        if (error instanceof OutletError) throw error;
        const { code, message: text } = explainKafka(peer, `topic ${record.topic}`, error);
        throw new OutletError(code, text, { retryable: code !== "MF_KAFKA_TOO_LARGE", cause: error });
      }
    },
    health: () => link.health(),
    stop: () => link.stop(),
  };
}

/** On any failure the next batch has a new producer id: under the old one its sequence numbers could be taken for those of the failed batch. */
async function produce(producer: Producer<Buffer, Buffer, Buffer, Buffer>, messages: readonly Produced[]): Promise<void> {
  try {
    await producer.send({ messages: [...messages] });
  } catch (error) {
    await producer.initIdempotentProducer({});
    throw error;
  }
}

function recordOf(config: KafkaOutletConfig, message: Outgoing, attempt: Attempt): Produced {
  const sendable = sendableOf(message, attempt, config.cloudevents, "ce_");
  const { [header.key]: _, ...flat } = flatHeaders(sendable);
  const headers = new Map<Buffer, Buffer>([[Buffer.from(header.id), Buffer.from(sendable.id)]]);
  const tombstone = headerText(message.headers["kafka-tombstone"]) === "true" && sendable.body.length === 0;
  for (const [name, value] of headerPairs(flat)) if (!name.startsWith("kafka-")) headers.set(Buffer.from(name), Buffer.from(value));
  return {
    topic: addressOf(config.topic, message, topicName),
    ...(sendable.key === undefined ? {} : { key: Buffer.from(sendable.key) }),
    ...(tombstone ? {} : { value: Buffer.from(sendable.body) }),
    headers,
    ...(config.partition === undefined ? {} : { partition: config.partition }),
  };
}
