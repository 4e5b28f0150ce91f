/** Records of Kafka topics, by a consumer group. */
import { isUtf8 } from "node:buffer";
import { hostname } from "node:os";
import type { Message, MessagesStream } from "@platformatic/kafka";
import { type HeadersDraft, headerText } from "#abi";
import { duration, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import { brokerSource, FetchLoop, type Reading, type SourceOpening } from "../shared/broker-source.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";
import type { Delivery } from "../shared/intake.ts";
import { heartbeat } from "../shared/link.ts";
import { header, headersOf, incomingOf } from "../shared/wire.ts";
import {
  type Client,
  clientOptions,
  explainKafka,
  type KafkaConfig,
  kafkaPeer,
  kafkaSchema,
  loadClient,
  protocolErrorOf,
} from "./client.ts";
import { Commits, type From, type Member, memberOf, settlePositions } from "./group.ts";
import { kafkaLimits } from "./limits.ts";
import { PartitionProgress } from "./progress.ts";

export interface KafkaSourceConfig extends KafkaConfig {
  readonly topics: readonly string[];
  readonly group: string;
  readonly instance?: string;
  readonly from: From;
  readonly create: boolean;
  readonly session: number;
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

const nameInGroup = { type: "string", pattern: "^\\S+$", patternErrorMessage: "must have no spaces" };

export const kafkaSource: SourceDefinition<KafkaSourceConfig> = {
  name: "kafka",
  summary: "Records of Kafka topics, by a consumer group.",
  description: `At least once. The group's position moves past a record only after its effects are committed, and those of all records before it in
its partition.

- **Client**: \`npm install @platformatic/kafka@1\` beside Mayfly; without it the source says \`MF_KAFKA_CLIENT\`.
- **Order**: records of a partition reach the flow in their order. The record's key is the message's key, so that messages of one key are worked
  on one after the other; those without a key at the same time.
- **Rebalances**: when the group is divided anew, the source stops reading, lets the messages in hand end, and commits before it joins again, for
  half of \`session\` at most. What has not ended by then comes again to whoever has the partition.
- **Instance**: a static member (\`group.instance.id\`), derived from the computer's name, the flow and the position in \`from\`: a gateway that
  restarts has its partitions back without a rebalance. Set an \`instance\` for each of several gateways on one computer.
- **Headers**: \`content-type\`, \`mayfly-correlation-id\` and \`mayfly-id\` have their meaning. Also set: \`kafka-topic\`, \`kafka-partition\`,
  \`kafka-offset\`, \`kafka-timestamp\` (milliseconds), \`kafka-tombstone: true\` for a record without a value, and \`kafka-key-encoding: base64\`
  where the key is not UTF-8.
- **Duplicates** are recognised by \`mayfly-id\`, or else by the topic's id, partition and offset: a topic that is made anew has new ones.
- **Records that are gone**: if the group's position lies outside the partition (retention, a topic cut short), reading goes on with the first record
  there is; logged as \`MF_KAFKA_TRIMMED\` and counted as \`trimmed\`.
- **Transactions**: records of transactions that were not committed are not read.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_KAFKA_UNREACHABLE\`, \`MF_KAFKA_AUTH\`, \`MF_KAFKA_FORBIDDEN\`, \`MF_KAFKA_NO_TOPIC\`,
  \`MF_KAFKA_FENCED\`, \`MF_KAFKA_REFUSED\`, \`MF_KAFKA_TLS\`, \`MF_KAFKA_BATCH\` (a compressed batch of more than 64 MiB, behind which nothing of its partition
  is read), \`MF_KAFKA_CLIENT\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["brokers", "topics"],
    properties: {
      ...kafkaSchema,
      topics: {
        type: "array",
        minItems: 1,
        uniqueItems: true,
        items: {
          type: "string",
          pattern: "^[A-Za-z0-9._-]{1,249}$",
          patternErrorMessage: "must be the name of a topic: letters, digits, dots, hyphens and underscores",
        },
        description: "Topics to read.",
      },
      group: { ...nameInGroup, default: "mayfly", description: "Consumer group." },
      instance: { ...nameInGroup, description: "Name within the group. It must stay the same over restarts." },
      from: { enum: ["all", "new"], default: "all", description: "Where a group without a position begins." },
      create: { type: "boolean", default: false, description: "Create missing topics, with the broker's defaults." },
      session: duration("Time after which the group gives up a gateway that is silent.", "45s"),
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of records in flight in this gateway." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `kafka: { brokers: ["kafka-1:9092", "kafka-2:9092"], topics: [orders], group: mayfly }`,
  create: createKafkaSource,
};

function createKafkaSource(config: KafkaSourceConfig, context: SourceContext): Source {
  return brokerSource({
    context,
    peer: kafkaPeer(config),
    place: `topic ${config.topics.join(", ")}`,
    prefetch: config.prefetch,
    explain: explainKafka,
    async open(opening) {
      const client = await loadClient();
      return await new GroupReading(config, context, opening, client).open();
    },
  });
}

/** One session: joins the group and reads its part of it, until the group is divided anew. */
class GroupReading {
  readonly #config: KafkaSourceConfig;
  readonly #context: SourceContext;
  readonly #opening: SourceOpening;
  readonly #client: Client;
  readonly #ids = new Map<string, string>();
  #member!: Member;
  #share: Share | undefined;
  /** Joins so far; what was begun under an earlier one is void. */
  #joins = 0;
  #joining = true;
  #ended = false;

  constructor(config: KafkaSourceConfig, context: SourceContext, opening: SourceOpening, client: Client) {
    this.#config = config;
    this.#context = context;
    this.#opening = opening;
    this.#client = client;
  }

  async open(): Promise<Reading> {
    const { lost, own } = this.#opening;
    const { group, instance, session, topics, create, heartbeat: everyMs } = this.#config;
    const { flow, name } = this.#context;
    const options = {
      ...(await clientOptions(this.#config, this.#context)),
      groupId: group,
      groupInstanceId: (instance ?? `${hostname()}/${flow}/${name}`).replace(/\s/g, "-"),
      autocommit: false,
      sessionTimeout: session,
      rebalanceTimeout: Math.max(session, kafkaLimits.leastRebalanceMs),
      heartbeatInterval: Math.min(kafkaLimits.groupHeartbeatMs, Math.floor(session / 3)),
    };
    const member = memberOf(this.#client, options, () => this.#handOff());
    own({ close: () => member.close(true) });
    this.#member = member;
    member.on("error", lost);
    member.on("consumer:heartbeat:error", ({ error }) => lost(error));
    const metadata = await member.metadata({ topics: [...topics], autocreateTopics: create });
    for (const topic of topics) {
      this.#ids.set(topic, metadata.topics.get(topic)?.id ?? topic);
      member.topics.track(topic); // for the session, whatever becomes of a stream
    }
    await member.joinGroup();
    member.on("consumer:group:join", () => void this.#read().catch(lost));
    await this.#read();
    const stopBeating = heartbeat(
      this.#context,
      everyMs,
      async () => (this.#joining ? undefined : await member.metadata({ topics: [...topics], forceUpdate: true })),
      lost,
    );
    own({ close: stopBeating });
    return {
      end: async () => {
        this.#ended = true;
        this.#opening.intake.shut();
        await this.#share?.end();
      },
    };
  }

  /** Before a join: what is in hand ends, or is left to the next reader. */
  async #handOff(): Promise<void> {
    this.#joining = true;
    const share = this.#share;
    this.#share = undefined;
    if (share === undefined) return;
    this.#context.metrics.count("rebalance");
    await share.end();
    if (!this.#ended) await this.#opening.intake.clear(this.#config.session * kafkaLimits.handOffShare);
    share.commits.end();
  }

  /** After a join: reads the partitions that are now this member's, from the group's positions on. */
  async #read(): Promise<void> {
    const { intake, lost } = this.#opening;
    const join = ++this.#joins;
    this.#joining = false;
    if (this.#ended) return;
    for (const { topic, partition, from, to } of await settlePositions(this.#client, this.#member, this.#config.from)) {
      this.#context.metrics.count("trimmed", Math.max(1, Number(to - from)));
      const fields = { code: "MF_KAFKA_TRIMMED", topic, partition, position: String(from), first: String(to) };
      this.#context.logger.error(fields, "records were gone before they were read; reading goes on with the first that there is");
    }
    const stream = await this.#member.consume({
      topics: [...this.#config.topics],
      autocommit: false,
      mode: "committed",
      fallbackMode: "earliest",
      maxBytes: kafkaLimits.fetchBytes,
      maxWaitTime: kafkaLimits.fetchWaitMs,
      highWaterMark: kafkaLimits.recordsAhead,
    });
    const share = new Share(stream, new Commits(this.#member), (record) => intake.offer(this.#delivery(share, record)));
    if (this.#joining || join !== this.#joins || this.#ended) return void (await share.end()); // divided anew, or stopped, meanwhile
    this.#share = share;
    share.read(intake, lost);
  }

  #delivery(share: Share, record: Record): Delivery {
    const { cloudevents } = this.#config;
    const { topic, partition, offset } = record;
    const progress = share.progressOf(topic, partition);
    const settle = async (): Promise<void> => {
      const position = progress.end(offset);
      if (position === undefined) return;
      try {
        await share.commits.move(topic, partition, position);
      } catch (error) {
        if (!rejoins.has(protocolErrorOf(error) ?? "")) this.#opening.lost(error);
        throw error;
      }
    };
    return {
      incoming: incomingOf(this.#received(record), cloudevents ? { prefixes: ["ce_"] } : undefined),
      settle,
      giveBack: () => undefined, // not committed: whoever reads the partition next gets it
      leave: () => void progress.end(offset),
    };
  }

  #received({ topic, partition, offset, key, value, headers, timestamp }: Record) {
    const pairs: [string, unknown][] = [];
    for (const [name, text] of headers) pairs.push([String(name), text]);
    const utf8 = key === undefined || key === null || isUtf8(key);
    const own: [string, string][] = [
      ["kafka-topic", topic],
      ["kafka-partition", String(partition)],
      ["kafka-offset", String(offset)],
      ["kafka-timestamp", String(timestamp)],
    ];
    if (value === undefined || value === null) own.push(["kafka-tombstone", "true"]);
    if (!utf8) own.push(["kafka-key-encoding", "base64"]);
    const all: HeadersDraft = { ...headersOf(pairs, this.#context), ...headersOf(own, this.#context) };
    return {
      id: headerText(all[header.id]) ?? `${this.#ids.get(topic)}/${partition}@${offset}`,
      headers: all,
      body: value ?? new Uint8Array(),
      key: key?.toString(utf8 ? "utf8" : "base64"),
    };
  }
}

type Record = Message<Buffer, Buffer, Buffer, Buffer>;

/** Errors after which the member joins again by itself. */
const rejoins = new Set(["REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"]);

/** Partitions that are read between two joins. */
class Share {
  readonly commits: Commits;
  readonly #stream: MessagesStream<Buffer, Buffer, Buffer, Buffer>;
  readonly #take: (record: Record) => void;
  readonly #progress = new Map<string, PartitionProgress>();
  #loop: FetchLoop | undefined;
  #ended = false;

  constructor(stream: MessagesStream<Buffer, Buffer, Buffer, Buffer>, commits: Commits, take: (record: Record) => void) {
    this.commits = commits;
    this.#stream = stream;
    this.#take = take;
  }

  read(intake: SourceOpening["intake"], lost: (error: unknown) => void): void {
    const records = this.#stream[Symbol.asyncIterator]();
    this.#loop = new FetchLoop(
      intake,
      (error) => (this.#ended ? undefined : lost(error)),
      async () => {
        const { value: record, done } = await records.next();
        if (this.#ended) return;
        if (done === true) throw new Error("the broker ended the connection");
        if (this.progressOf(record.topic, record.partition).take(record.offset)) this.#take(record);
      },
    );
  }

  progressOf(topic: string, partition: number): PartitionProgress {
    const name = `${topic} ${partition}`;
    let progress = this.#progress.get(name);
    if (progress === undefined) this.#progress.set(name, (progress = new PartitionProgress()));
    return progress;
  }

  /** No record is taken any more. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#loop?.close();
    this.#stream.on("error", () => undefined).destroy();
  }
}
