/** Messages of a NATS JetStream stream, by a durable pull consumer. */
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { CodedError } from "#base";
import { duration, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import {
  explainNats,
  filterSchema,
  fromNatsHeaders,
  idOf,
  type NatsConfig,
  natsPeer,
  natsSchema,
  openNats,
  streamNameSchema,
} from "../nats/client.ts";
import { brokerSource, FetchLoop, Held } from "../shared/broker-source.ts";
import type { Delivery } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import type { LossGuard } from "../shared/link.ts";
import { incomingOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface JetStreamSourceConfig extends NatsConfig {
  readonly stream: string;
  readonly consumer: string;
  readonly create: boolean;
  readonly subject?: string;
  readonly from: "all" | "new";
  readonly ackWait: number;
  readonly maxAckPending: number;
  readonly prefetch?: number;
  readonly deadLetter: "gateway" | "broker";
  readonly cloudevents: boolean;
}

export const jetstreamSource: SourceDefinition<JetStreamSourceConfig> = {
  name: "jetstream",
  summary: "Messages of a NATS JetStream stream, through a durable pull consumer.",
  description: `At least once. A message is acknowledged only after its effects are committed, and the server confirms the acknowledgement (double ack).

- **Consumer**: a durable one with explicit acknowledgement, created if it is missing, unless \`create: false\`. Gateways that use the same
  consumer share its messages.
- **Time**: a message not acknowledged within \`ackWait\` is redelivered. While the gateway works on a message it reports progress every third of that; so
  \`ackWait\` delays the messages of a gateway that died; it does not limit how long a flow runs.
- **Order**: that of the stream, until a message is redelivered: messages in flight when a connection broke return after \`ackWait\`, behind later
  messages. For strict order despite failures set \`maxAckPending: 1\`.
- **Dead letters**: \`deadLetter: broker\` terminates a message that failed for good (the server publishes an advisory), \`gateway\` acknowledges it.
- **Headers** as they are, in lower case, each value of a repeated one, and \`nats-subject\`, \`nats-sequence\`, \`nats-stream\`. Duplicates are recognised by \`Nats-Msg-Id\`, or
  else by stream and sequence.
- **Durability** is the server's: it syncs its files at intervals and not with each message, so a crash of its computer can lose acknowledged
  messages of a stream without replicas. From NATS 2.10 on the interval is \`sync_interval\`, two minutes unless set; \`always\` syncs before each
  acknowledgement. NATS 2.9 has no such setting, and does not start with it.
- **Errors** (retried with backoff, shown by \`/ready\`): those of \`nats\`, and \`MF_JETSTREAM_NO_STREAM\`, \`MF_JETSTREAM_NO_CONSUMER\`,
  \`MF_JETSTREAM_CONSUMER\` (it exists, but is a push consumer or needs no acknowledgement), \`MF_JETSTREAM_DISABLED\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "stream", "consumer"],
    properties: {
      ...natsSchema,
      stream: streamNameSchema("Stream to read. It must exist."),
      consumer: streamNameSchema("Durable name of the consumer."),
      create: { type: "boolean", default: true, description: "Create the consumer if it is missing." },
      subject: filterSchema("Filter subject of a consumer that is created."),
      from: { enum: ["all", "new"], default: "all", description: "Start position of a consumer that is created." },
      ackWait: duration("Redelivery timeout of a consumer that is created.", "30s"),
      maxAckPending: {
        type: "integer",
        minimum: 1,
        default: 1000,
        description: "Maximum number of unacknowledged messages of a consumer that is created, over all gateways.",
      },
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of messages in flight in this gateway." },
      deadLetter: { enum: ["gateway", "broker"], default: "gateway", description: "Keeper of a message that failed for good." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `jetstream: { url: "\${NATS_URL}", stream: ORDERS, consumer: mayfly-orders, subject: orders.new }`,
  create: createJetStreamSource,
};

function createJetStreamSource(config: JetStreamSourceConfig, context: SourceContext): Source {
  return brokerSource({
    context,
    peer: natsPeer(config),
    place: `stream ${config.stream}, consumer ${config.consumer}`,
    prefetch: config.prefetch,
    explain: explainNats,
    async open({ intake, lost, own }) {
      const { connection, guard } = own(await openNats(config, context, lost));
      const manager = await guard.during(jetstreamManager(connection, { timeout: brokerLimits.connectMs }));
      const ackWaitMs = await guard.during(consumerReady(config, manager));
      const { created } = await guard.during(manager.streams.info(config.stream));
      const consumer = await guard.during(jetstream(connection).consumers.get(config.stream, config.consumer));
      const held = own(new Held<JsMsg>(context, ackWaitMs / 3, (messages) => messages.forEach((message) => message.working())));
      const deliver = (message: JsMsg): Delivery => delivery({ config, context, guard, held, streamCreated: String(created) }, message);
      const pulls = own(new Pulls(consumer, config.heartbeat, (message) => intake.offer(deliver(message))));
      const loop = own(new FetchLoop(intake, lost, (room) => pulls.pull(room)));
      const flush = (): Promise<void> => guard.during(connection.flush());
      return {
        /** Flushed: a message given back before the server knows of the end would be sent to the pull that has just ended. */
        end() {
          loop.close();
          pulls.close();
          return flush();
        },
        flush,
      };
    },
  });
}

/** Creates the consumer or checks that it is usable; returns its ack wait in milliseconds. */
async function consumerReady(config: JetStreamSourceConfig, manager: JetStreamManager): Promise<number> {
  const found = await manager.consumers.info(config.stream, config.consumer).catch((error: unknown) => {
    if (config.create && error instanceof JetStreamApiError && /consumer not found/i.test(error.message)) return undefined;
    throw error;
  });
  const made =
    found ??
    (await manager.consumers.add(config.stream, {
      durable_name: config.consumer,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(config.ackWait),
      max_ack_pending: config.maxAckPending,
      deliver_policy: config.from === "all" ? DeliverPolicy.All : DeliverPolicy.New,
      ...(config.subject === undefined ? {} : { filter_subject: config.subject }),
    }));
  if (made.config.ack_policy !== AckPolicy.Explicit || made.config.deliver_subject !== undefined) {
    const why = `consumer ${config.consumer} of stream ${config.stream} must be a pull consumer with explicit acknowledgement`;
    throw new CodedError("MF_JETSTREAM_CONSUMER", `${why}: delete it, or name another`);
  }
  return (made.config.ack_wait ?? nanos(config.ackWait)) / 1e6;
}

/** One pull after the other; `take` gets the messages. */
class Pulls {
  readonly #consumer: Consumer;
  readonly #idleHeartbeatMs: number;
  readonly #take: (message: JsMsg) => void;
  #closed = false;
  #endPull: () => void = () => {};

  constructor(consumer: Consumer, heartbeatMs: number, take: (message: JsMsg) => void) {
    this.#consumer = consumer;
    // Two missed heartbeats end the pull with an error: a consumer that was deleted while no pull was open says nothing else.
    this.#idleHeartbeatMs = Math.min(Math.max(heartbeatMs, brokerLimits.pullHeartbeatMs), brokerLimits.pullMs / 2);
    this.#take = take;
  }

  async pull(room: number): Promise<void> {
    const messages = await this.#consumer.fetch({
      max_messages: room,
      expires: brokerLimits.pullMs,
      idle_heartbeat: this.#idleHeartbeatMs,
    });
    this.#endPull = () => void messages.close();
    if (this.#closed) return void messages.close();
    for await (const message of messages) this.#take(message);
  }

  close(): void {
    this.#closed = true;
    this.#endPull();
  }
}

interface Receiving {
  readonly config: JetStreamSourceConfig;
  readonly context: SourceContext;
  readonly guard: LossGuard;
  readonly held: Held<JsMsg>;
  /** Time of the stream's creation: a stream that is deleted and created again counts its messages from 1 again. */
  readonly streamCreated: string;
}

function delivery({ config, context, guard, held, streamCreated }: Receiving, message: JsMsg): Delivery {
  held.add(message);
  const headers = fromNatsHeaders(message, context);
  const { stream, streamSequence } = message.info;
  const id = idOf(headers) ?? `${stream}@${streamCreated}:${streamSequence}`;
  const place = { "nats-subject": message.subject, "nats-stream": stream, "nats-sequence": String(streamSequence) };
  const received = { id, headers: { ...headers, ...place }, body: message.data, redelivered: message.redelivered };
  return {
    incoming: incomingOf(received, config.cloudevents ? { prefixes: ["ce-"] } : undefined),
    settle: async (outcome) => {
      held.delete(message);
      if (outcome.status === "dead" && config.deadLetter === "broker") return message.term();
      await guard.during(message.ackAck({ timeout: brokerLimits.connectMs }));
    },
    giveBack: () => {
      held.delete(message);
      message.nak();
    },
    leave: () => held.delete(message),
  };
}
