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
import { Intake, type Delivery } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { Link } from "../shared/link.ts";
import { explainNats, fromNatsHeaders, idOf, type NatsConfig, type NatsSession, natsPeer, natsSchema, openNats } from "../nats/client.ts";
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

const name = { type: "string", pattern: "^[^\\s.*>/\\\\]+$" };

export const jetstreamSource: SourceDefinition<JetStreamSourceConfig> = {
  name: "jetstream",
  summary: "Messages of a NATS JetStream stream, by a durable pull consumer.",
  description: `At least once. A message is acknowledged only after its effects are committed, and the server confirms the acknowledgement (double ack).

- **Consumer**: a durable one with explicit acknowledgement; created when it is missing, unless \`create: false\`. Gateways that name the same
  consumer share its messages.
- **Time**: a message not acknowledged within \`ackWait\` comes again. While the gateway has it, it says \`working\` every third of that; so
  \`ackWait\` is how long a message of a gateway that died is out of reach, not how long a flow may take.
- **Order**: that of the stream, as long as nothing comes again: what was under way when a connection broke returns after \`ackWait\`, behind later
  messages. For strict order over failures set \`maxAckPending: 1\`.
- **Dead letters**: \`deadLetter: broker\` terminates a message that was given up (the server publishes an advisory), \`gateway\` acknowledges it.
- **Headers** as they are, in lower case, each value of a repeated one, and \`nats-subject\`, \`nats-sequence\`, \`nats-stream\`. Duplicates are recognised by \`Nats-Msg-Id\`, or
  else by stream and sequence.
- **Durability** is the server's: by default it syncs its files every two minutes (\`sync_interval\`), so a crash of its machine can lose
  acknowledged messages of a stream without replicas.
- **Errors** (tried again with backoff, shown by \`/ready\`): those of \`nats\`, and \`MF_JETSTREAM_NO_STREAM\`, \`MF_JETSTREAM_NO_CONSUMER\`,
  \`MF_JETSTREAM_CONSUMER\` (it exists, but is a push consumer or needs no acknowledgement), \`MF_JETSTREAM_DISABLED\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "stream", "consumer"],
    properties: {
      ...natsSchema,
      stream: { ...name, description: "Stream to read. It must exist." },
      consumer: { ...name, description: "Durable name of the consumer." },
      create: { type: "boolean", default: true, description: "Create the consumer when it is missing." },
      subject: { type: "string", pattern: "^[^\\s]+$", description: "Filter, for a consumer that is created." },
      from: { enum: ["all", "new"], default: "all", description: "Where a consumer that is created begins." },
      ackWait: duration("For a consumer that is created: after so long without a sign of life a message comes again.", "30s"),
      maxAckPending: {
        type: "integer",
        minimum: 1,
        default: 1000,
        description: "For a consumer that is created: most messages out at once, over all gateways.",
      },
      prefetch: { type: "integer", minimum: 1, description: "Most messages at once in this gateway." },
      deadLetter: { enum: ["gateway", "broker"], default: "gateway", description: "Who keeps a message that was given up." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `jetstream: { url: "\${NATS_URL}", stream: ORDERS, consumer: mayfly-orders, subject: orders.new }`,
  create: createJetStreamSource,
};

function createJetStreamSource(config: JetStreamSourceConfig, context: SourceContext): Source {
  const peer = natsPeer(config);
  const what = `stream ${config.stream}, consumer ${config.consumer}`;
  const limit = Math.min(config.prefetch ?? context.prefetch, context.prefetch);
  let intake: Intake | undefined;

  const link = new Link<Pulling>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainNats(peer, what, error),
    onLost: () => intake?.forget(),
    async open(lost) {
      const session = await openNats(config, context, lost);
      try {
        const manager = await session.guard.during(jetstreamManager(session.connection, { timeout: brokerLimits.connectMs }));
        const ackWaitMs = await session.guard.during(consumerReady(config, manager));
        const { created } = await session.guard.during(manager.streams.info(config.stream));
        const consumer = await session.guard.during(jetstream(session.connection).consumers.get(config.stream, config.consumer));
        if (intake === undefined) throw new CodedError("MF_STOPPED", "not started");
        const pulling = new Pulling({ config, context, session, consumer, intake, ackWaitMs, streamCreated: String(created) });
        pulling.run().catch(lost);
        return pulling;
      } catch (error) {
        lost(error); // before closing, which would be taken for the reason
        await session.close();
        throw error;
      }
    },
  });

  return {
    start(accept) {
      intake = new Intake({ context, accept, limit });
      return link.start();
    },
    pause: () => intake?.pause(),
    resume: () => intake?.resume(),
    async stop() {
      await link.lastWords(link.session?.stopPulling());
      await intake?.drain();
      await link.lastWords(link.session?.flush()); // what was given back
      await link.stop();
    },
    health: () => link.health(),
  };
}

/** Makes sure that the consumer is there and one we can work with; answers with its ack wait in milliseconds. */
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

interface PullingOptions {
  readonly config: JetStreamSourceConfig;
  readonly context: SourceContext;
  readonly session: NatsSession;
  readonly consumer: Consumer;
  readonly intake: Intake;
  readonly ackWaitMs: number;
  /** When the stream was made. */
  readonly streamCreated: string;
}

/** Pulls as many messages as there is room for, one pull after the other, and tells the server which are still being worked on. */
class Pulling {
  readonly #config: JetStreamSourceConfig;
  readonly #context: SourceContext;
  readonly #session: NatsSession;
  readonly #consumer: Consumer;
  readonly #intake: Intake;
  readonly #ackWaitMs: number;
  /** A stream that is deleted and made again counts its messages from 1 again. */
  readonly #streamCreated: string;
  readonly #open = new Set<JsMsg>();
  #ended = false;
  #endPull: () => void = () => {};
  #cancelWorking: (() => void) | undefined;

  constructor({ config, context, session, consumer, intake, ackWaitMs, streamCreated }: PullingOptions) {
    this.#config = config;
    this.#context = context;
    this.#session = session;
    this.#consumer = consumer;
    this.#intake = intake;
    this.#ackWaitMs = ackWaitMs;
    this.#streamCreated = streamCreated;
    this.#scheduleWorking();
  }

  async run(): Promise<void> {
    while (!this.#ended) {
      const room = await this.#intake.untilRoom();
      if (this.#ended || room === 0) return;
      // Two missed heartbeats end the pull with an error: a consumer that was deleted while no pull was open says nothing else.
      const idleHeartbeat = Math.min(Math.max(this.#config.heartbeat, 500), brokerLimits.pullMs / 2);
      const messages = await this.#consumer.fetch({ max_messages: room, expires: brokerLimits.pullMs, idle_heartbeat: idleHeartbeat });
      this.#endPull = () => void messages.close();
      if (this.#ended) return void messages.close();
      for await (const message of messages) this.#take(message);
    }
  }

  /** Resolves when the server knows: what is given back earlier than that would be sent to the pull that has just been left. */
  async stopPulling(): Promise<void> {
    this.#ended = true;
    this.#endPull();
    await this.flush();
  }

  flush(): Promise<void> {
    return this.#session.guard.during(this.#session.connection.flush());
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#endPull();
    this.#cancelWorking?.();
    await this.#session.close();
  }

  #scheduleWorking(): void {
    this.#cancelWorking = this.#context.clock.after(this.#ackWaitMs / 3, () => {
      for (const message of this.#open) message.working();
      this.#scheduleWorking();
    });
  }

  #take(message: JsMsg): void {
    this.#open.add(message);
    this.#intake.offer(this.#delivery(message));
  }

  #delivery(message: JsMsg): Delivery {
    const headers = fromNatsHeaders(message, this.#context);
    const { stream, streamSequence } = message.info;
    const id = idOf(headers) ?? `${stream}@${this.#streamCreated}:${streamSequence}`;
    const place = { "nats-subject": message.subject, "nats-stream": stream, "nats-sequence": String(streamSequence) };
    const received = { id, headers: { ...headers, ...place }, body: message.data, redelivered: message.redelivered };
    return {
      incoming: incomingOf(received, this.#config.cloudevents ? { prefixes: ["ce-"] } : undefined),
      settle: async (outcome) => {
        this.#open.delete(message);
        if (outcome.status === "dead" && this.#config.deadLetter === "broker") return message.term();
        await this.#session.guard.during(message.ackAck({ timeout: brokerLimits.connectMs }));
      },
      giveBack: () => {
        this.#open.delete(message);
        message.nak();
      },
      leave: () => this.#open.delete(message),
    };
  }
}
