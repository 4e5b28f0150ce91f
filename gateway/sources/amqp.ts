/** Messages of a RabbitMQ queue (AMQP 0-9-1). */
import type { ConsumeMessage } from "amqplib";
import {
  amqpConnectionSchema,
  amqpHeaders,
  type AmqpConnection,
  type AmqpSession,
  amqpPeer,
  explainAmqp,
  openAmqp,
} from "../brokers/amqp.ts";
import { Intake, type Delivery, type Settled } from "../brokers/intake.ts";
import { Link } from "../brokers/link.ts";
import { incomingOf, replyOf } from "../brokers/wire.ts";
import { acceptCloudEventsSchema } from "../outlets/cloudevents.ts";
import type { Source, SourceContext, SourceDefinition } from "./source.ts";

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
  description: `At least once. A message is acknowledged only after its effects are committed; until then RabbitMQ has it and gives it
again when the connection or the gateway is lost. Messages of the queue are handed on in the queue's order.

- **Prefetch**: at most \`prefetch\` messages are unacknowledged; that is the backpressure.
- **Dead letters**: with \`deadLetter: gateway\` a message that was given up is acknowledged, since the gateway keeps it. With
  \`deadLetter: broker\` it is rejected without requeue, so that the queue's dead-letter exchange gets it too.
- **Requests**: a message with \`reply-to\` is answered there, with its correlation id; \`mayfly-status\` and, after a failure,
  \`mayfly-error\` are among the reply's headers.
- **Time**: RabbitMQ closes the channel of a consumer that keeps a message for 30 minutes (\`consumer_timeout\`), and gives the message
  again. Flows that wait longer need a higher timeout at the broker.
- **Headers**: the header table as it is; properties as \`amqp-routing-key\`, \`amqp-exchange\`, \`amqp-type\`, \`amqp-app-id\`,
  \`amqp-user-id\`, \`amqp-timestamp\`, \`amqp-priority\`, \`content-encoding\`, \`reply-to\`. \`message-id\` is what duplicates are recognised by.
- **Errors** (tried again with backoff, shown by \`/ready\`): \`MF_AMQP_UNREACHABLE\`, \`MF_AMQP_AUTH\`, \`MF_AMQP_VHOST\`, \`MF_AMQP_FORBIDDEN\`,
  \`MF_AMQP_NOT_FOUND\` (no such queue), \`MF_AMQP_LOCKED\`, \`MF_AMQP_PRECONDITION\`, \`MF_AMQP_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "queue"],
    properties: {
      ...amqpConnectionSchema,
      queue: { type: "string", minLength: 1, maxLength: 255, description: "Queue to consume." },
      declare: { enum: ["none", "classic", "quorum"], default: "none", description: "Create the queue, durable, when it is missing." },
      prefetch: {
        type: "integer",
        minimum: 1,
        maximum: 65535,
        description: "Most unacknowledged messages; never more than the flow can queue.",
      },
      deadLetter: { enum: ["gateway", "broker"], default: "gateway", description: "Who keeps a message that was given up." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `amqp: { url: "\${AMQP_URL}", queue: orders, prefetch: 64 }`,
  create: createAmqpSource,
};

function createAmqpSource(config: AmqpSourceConfig, context: SourceContext): Source {
  const peer = amqpPeer(config);
  const what = `queue ${config.queue}`;
  const limit = Math.min(config.prefetch ?? context.prefetch, context.prefetch);
  let intake: Intake | undefined;

  const link = new Link<AmqpSession & { readonly consumerTag: string }>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainAmqp(peer, what, error),
    onLost: () => intake?.forget(),
    async open(lost) {
      const session = await openAmqp(config, context, lost);
      try {
        const { channel } = session;
        if (config.declare === "none") await channel.checkQueue(config.queue);
        else await channel.assertQueue(config.queue, { durable: true, arguments: { "x-queue-type": config.declare } });
        await channel.prefetch(Math.min(limit, 65535));
        const onMessage = (message: ConsumeMessage | null): void => {
          // null: the broker cancelled the consumer, because the queue was deleted or moved.
          if (message === null) lost(new Error(`the broker ended the consumption of ${what}`));
          else intake?.offer(delivery(config, session, message));
        };
        const { consumerTag } = await channel.consume(config.queue, onMessage);
        return { ...session, consumerTag };
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
      const session = link.session;
      if (session !== undefined) await session.channel.cancel(session.consumerTag).catch(() => {});
      await intake?.drain();
      await link.stop();
    },
    health: () => link.health(),
  };
}

function delivery(config: AmqpSourceConfig, session: AmqpSession, message: ConsumeMessage): Delivery {
  const { channel } = session;
  const { properties, fields } = message;
  const replyTo = typeof properties.replyTo === "string" && properties.replyTo !== "" ? properties.replyTo : undefined;
  const received = {
    headers: amqpHeaders(message),
    body: message.content,
    id: textOf(properties.messageId),
    contentType: textOf(properties.contentType),
    correlationId: textOf(properties.correlationId),
    replyWanted: replyTo !== undefined,
    redelivered: fields.redelivered,
  };
  return {
    incoming: incomingOf(received, config.cloudevents ? { prefixes: ["cloudEvents:", "cloudEvents_", "ce-"] } : undefined),
    async settle(outcome) {
      if (replyTo !== undefined) await reply(session, replyTo, received.correlationId, outcome);
      if (outcome.status === "dead" && config.deadLetter === "broker") channel.nack(message, false, false);
      else channel.ack(message);
    },
    giveBack: () => channel.nack(message, false, true),
  };
}

function textOf(property: unknown): string | undefined {
  return typeof property === "string" && property !== "" ? property : undefined;
}

/** Confirmed before the request is acknowledged. Not mandatory: a requester that went away is no reason to ask again. */
function reply({ channel }: AmqpSession, replyTo: string, correlationId: string | undefined, outcome: Settled): Promise<void> {
  const { body, contentType, headers } = replyOf(outcome);
  const options = { contentType, headers, ...(correlationId === undefined ? {} : { correlationId }) };
  return new Promise((resolve, reject) => {
    channel.publish("", replyTo, Buffer.from(body), options, (error: unknown) => {
      if (error === null || error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error(String(error)));
    });
  });
}
