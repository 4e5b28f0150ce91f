/** Messages of a RabbitMQ queue (AMQP 0-9-1). */
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import type { ConfirmChannel, ConsumeMessage } from "amqplib";
import { amqpConnectionSchema, amqpHeaders, type AmqpConnection, amqpPeer, explainAmqp, openAmqp } from "./client.ts";
import { Replies } from "./replies.ts";
import { brokerSource, type SourceOpening } from "../shared/broker-source.ts";
import type { Delivery, Settled } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { incomingOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface AmqpSourceConfig extends AmqpConnection {
  readonly queue: string;
  readonly declare: "none" | "classic" | "quorum";
  readonly prefetch?: number;
  readonly deadLetter: "gateway" | "broker";
  readonly cloudevents: boolean;
}

export const amqpSource: SourceDefinition<AmqpSourceConfig> = {
  name: "amqp",
  summary: "Messages of a RabbitMQ queue (AMQP 0-9-1).",
  description: `At least once. A message is acknowledged only after its effects are committed; until then RabbitMQ keeps it and redelivers it
when the connection or the gateway is lost. Messages are delivered in the order of the queue.

- **Prefetch**: at most \`prefetch\` messages are unacknowledged; that is the backpressure.
- **Dead letters**: with \`deadLetter: gateway\` a message that failed for good is acknowledged, since the gateway keeps it. With
  \`deadLetter: broker\` it is rejected without requeue, so the queue's dead-letter exchange gets it too.
- **Requests**: a message with \`reply-to\` is answered there, with its correlation id; \`mayfly-status\` and, after a failure,
  \`mayfly-error\` are among the reply's headers.
- **Time**: RabbitMQ closes the channel of a consumer that keeps a message for 30 minutes (\`consumer_timeout\`), and redelivers the
  message. Flows that wait longer need a higher timeout at the broker.
- **Headers**: the header table as it is, an array of texts and numbers as a header with several values, anything else as JSON; properties as \`amqp-routing-key\`, \`amqp-exchange\`, \`amqp-type\`, \`amqp-app-id\`,
  \`amqp-user-id\`, \`amqp-timestamp\`, \`amqp-priority\`, \`content-encoding\`, \`reply-to\`. Duplicates are recognised by \`message-id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_AMQP_UNREACHABLE\`, \`MF_AMQP_AUTH\`, \`MF_AMQP_VHOST\`, \`MF_AMQP_FORBIDDEN\`,
  \`MF_AMQP_NOT_FOUND\` (no such queue), \`MF_AMQP_LOCKED\`, \`MF_AMQP_PRECONDITION\`, \`MF_AMQP_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["queue"],
    properties: {
      ...amqpConnectionSchema,
      queue: { type: "string", minLength: 1, maxLength: 255, description: "Queue to consume." },
      declare: { enum: ["none", "classic", "quorum"], default: "none", description: "Create the queue as durable if it is missing." },
      prefetch: {
        type: "integer",
        minimum: 1,
        maximum: brokerLimits.unacknowledged,
        description: "Maximum number of unacknowledged messages; capped by the flow's queue.",
      },
      deadLetter: { enum: ["gateway", "broker"], default: "gateway", description: "Keeper of a message that failed for good." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `amqp: { url: "\${AMQP_URL}", queue: orders, prefetch: 64 }`,
  create: createAmqpSource,
};

function createAmqpSource(config: AmqpSourceConfig, context: SourceContext): Source {
  return brokerSource({
    context,
    peer: amqpPeer(config),
    place: `queue ${config.queue}`,
    prefetch: config.prefetch ?? brokerLimits.unacknowledged,
    explain: explainAmqp,
    async open({ intake, lost, own, callback }) {
      const { channel } = own(await openAmqp(config, context, lost));
      if (config.declare === "none") await channel.checkQueue(config.queue);
      else await channel.assertQueue(config.queue, { durable: true, arguments: { "x-queue-type": config.declare } });
      const replies = own(new Replies((closed) => openAmqp(config, context, closed)));
      const deliver = (message: ConsumeMessage): Delivery => delivery({ config, context, channel, replies }, message);
      const consumption = new Consumption({ config, context, channel, intake, lost, callback, deliver });
      await consumption.start();
      return { end: () => consumption.stop() };
    },
  });
}

interface ConsumptionOptions extends Pick<SourceOpening, "intake" | "lost" | "callback"> {
  readonly config: AmqpSourceConfig;
  readonly context: SourceContext;
  readonly channel: ConfirmChannel;
  readonly deliver: (message: ConsumeMessage) => Delivery;
}

/**
 * A consumer whose prefetch follows the memory there is. AMQP counts messages, not bytes, and a consumer's prefetch is fixed when it
 * starts; so the consumer is replaced to change it. Messages that come while memory is short go back to their place in the queue.
 */
class Consumption {
  readonly #options: ConsumptionOptions;
  #consumerTag: string | undefined;
  #consumers = 0;
  #prefetch: number;
  #received = 0;
  #restarting = false;
  #stopped = false;

  constructor(options: ConsumptionOptions) {
    this.#options = options;
    this.#prefetch = Math.min(options.intake.limit, brokerLimits.amqpFirstPrefetch);
  }

  async start(): Promise<void> {
    const { config, channel, callback } = this.#options;
    this.#received = 0;
    await channel.prefetch(this.#prefetch);
    const take = callback((message: ConsumeMessage | null) => this.#take(message));
    this.#consumerTag = `mayfly-${++this.#consumers}`; // ours: a tag made by the broker may arrive after the first message
    await channel.consume(config.queue, take, { consumerTag: this.#consumerTag });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#cancel();
  }

  async #cancel(): Promise<void> {
    const tag = this.#consumerTag;
    this.#consumerTag = undefined;
    if (tag !== undefined) await this.#options.channel.cancel(tag);
  }

  #take(message: ConsumeMessage | null): void {
    const { config, context, channel, intake, lost, deliver } = this.#options;
    // null: the broker cancelled the consumer, because the queue was deleted or moved.
    if (message === null) return lost(new Error(`the broker ended the consumption of queue ${config.queue}`));
    this.#received += 1;
    if (intake.overfull || (this.#restarting && this.#prefetch === 1)) {
      context.metrics.count("given_back");
      channel.nack(message, false, true);
      return this.#restart(1);
    }
    intake.offer({
      ...deliver(message),
      proof: () => channel.prefetch(this.#prefetch),
      leave: () => this.#restart(this.#prefetch), // a new consumer has all of its places
    });
    if (this.#received >= this.#prefetch && this.#prefetch < intake.limit) this.#restart(Math.min(intake.limit, this.#prefetch * 4));
  }

  #restart(prefetch: number): void {
    if (this.#restarting || this.#stopped) return;
    this.#restarting = true;
    this.#prefetch = prefetch;
    this.#startAnew().catch(this.#options.lost);
  }

  async #startAnew(): Promise<void> {
    await this.#cancel();
    const room = await this.#options.intake.untilRoom();
    if (room === 0 || this.#stopped) return;
    this.#prefetch = Math.max(1, Math.min(this.#prefetch, room));
    this.#restarting = false;
    await this.start();
  }
}

interface Receiving extends Pick<ConsumptionOptions, "config" | "context" | "channel"> {
  readonly replies: Replies;
}

const noContent = Buffer.alloc(0);

function delivery({ config, context, channel, replies }: Receiving, message: ConsumeMessage): Delivery {
  const { properties, fields } = message;
  const receipt: ConsumeMessage = { fields, properties, content: noContent }; // without the body, which would be in memory twice
  const replyTo = typeof properties.replyTo === "string" && properties.replyTo !== "" ? properties.replyTo : undefined;
  const received = {
    headers: amqpHeaders(message, context),
    body: message.content,
    id: textOf(properties.messageId),
    contentType: textOf(properties.contentType),
    correlationId: textOf(properties.correlationId),
    replyWanted: replyTo !== undefined,
    redelivered: fields.redelivered,
  };
  return {
    incoming: incomingOf(received, config.cloudevents ? { prefixes: ["cloudEvents:", "cloudEvents_", "ce-"] } : undefined),
    ...(replyTo === undefined ? {} : { reply: (outcome: Settled) => replies.send(replyTo, received.correlationId, outcome) }),
    settle(outcome) {
      if (outcome.status === "dead" && config.deadLetter === "broker") channel.nack(receipt, false, false);
      else channel.ack(receipt);
    },
    giveBack: () => channel.nack(receipt, false, true),
  };
}

function textOf(property: unknown): string | undefined {
  return typeof property === "string" && property !== "" ? property : undefined;
}
