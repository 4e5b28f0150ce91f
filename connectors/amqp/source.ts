/** Messages of a RabbitMQ queue (AMQP 0-9-1). */
import { guarded, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import type { ConsumeMessage } from "amqplib";
import { amqpConnectionSchema, amqpHeaders, type AmqpConnection, type AmqpSession, amqpPeer, explainAmqp, openAmqp } from "./client.ts";
import { Intake, type Delivery, type Settled } from "../shared/intake.ts";
import { Link, LossGuard } from "../shared/link.ts";
import { incomingOf, replyOf } from "../shared/wire.ts";
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
  description: `At least once. A message is acknowledged only after its effects are committed; until then RabbitMQ has it and gives it
again when the connection or the gateway is lost. Messages of the queue are handed on in the queue's order.

- **Prefetch**: at most \`prefetch\` messages are unacknowledged; that is the backpressure.
- **Dead letters**: with \`deadLetter: gateway\` a message that was given up is acknowledged, since the gateway keeps it. With
  \`deadLetter: broker\` it is rejected without requeue, so that the queue's dead-letter exchange gets it too.
- **Requests**: a message with \`reply-to\` is answered there, with its correlation id; \`mayfly-status\` and, after a failure,
  \`mayfly-error\` are among the reply's headers.
- **Time**: RabbitMQ closes the channel of a consumer that keeps a message for 30 minutes (\`consumer_timeout\`), and gives the message
  again. Flows that wait longer need a higher timeout at the broker.
- **Headers**: the header table as it is, an array of texts and numbers as a header with several values, anything else as JSON; properties as \`amqp-routing-key\`, \`amqp-exchange\`, \`amqp-type\`, \`amqp-app-id\`,
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

  const link = new Link<AmqpSession & { readonly consumption: Consumption }>({
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
        const replies = new Replies(config, context);
        const consumption = new Consumption(config, context, { ...session, replies }, intake as Intake, lost);
        await consumption.start();
        return {
          ...session,
          consumption,
          close: async () => {
            await replies.close();
            await session.close();
          },
        };
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
      await link.lastWords(link.session?.consumption.stop());
      await intake?.drain();
      await link.stop();
    },
    health: () => link.health(),
  };
}

const noContent = Buffer.alloc(0);

interface ReplyingSession extends AmqpSession {
  readonly replies: Replies;
}

interface ReplySession {
  readonly session: AmqpSession;
  /** Ends what waits for a confirmation when the connection is lost. */
  readonly guard: LossGuard;
}

/**
 * Replies, over a connection of their own, made for the first: RabbitMQ closes the channel, or ends the whole connection, over a reply it
 * can't take, and that of the messages must stay. With the refused one go all that were on their way; so each of them is sent once more, by
 * itself.
 */
class Replies {
  readonly #connect: (closed: () => void) => Promise<AmqpSession>;
  #shared: Promise<ReplySession> | undefined;

  constructor(config: AmqpConnection, context: SourceContext) {
    this.#connect = (closed) => openAmqp(config, context, closed);
  }

  /** Resolves when the broker has it. Not mandatory: a requester that went away is no reason to ask again. */
  async send(replyTo: string, correlationId: string | undefined, outcome: Settled): Promise<void> {
    const { body, contentType, headers } = replyOf(outcome);
    const options = { contentType, headers, ...(correlationId === undefined ? {} : { correlationId }) };
    const publish = ({ session, guard }: ReplySession): Promise<void> =>
      guard.during(
        new Promise((resolve, reject) => {
          session.channel.publish("", replyTo, Buffer.from(body), options, (error: unknown) => {
            if (error === null || error === undefined) resolve();
            else reject(error instanceof Error ? error : new Error(String(error)));
          });
        }),
      );
    try {
      await publish(await this.#sharedSession());
    } catch {
      const own = await this.#open(() => undefined);
      try {
        await publish(own);
      } finally {
        await own.session.close();
      }
    }
  }

  async close(): Promise<void> {
    const shared = await this.#shared?.catch(() => undefined);
    await shared?.session.close();
  }

  async #open(closed: () => void): Promise<ReplySession> {
    const guard = new LossGuard();
    const session = await this.#connect(() => {
      closed();
      guard.lost();
    });
    return { session, guard };
  }

  #sharedSession(): Promise<ReplySession> {
    if (this.#shared !== undefined) return this.#shared;
    const opening = this.#open(() => {
      if (this.#shared === opening) this.#shared = undefined;
    });
    this.#shared = opening;
    opening.catch(() => (this.#shared = undefined));
    return opening;
  }
}

/** Unacknowledged messages at first; four times as many whenever so many have come. */
const firstPrefetch = 8;

/**
 * A consumer whose prefetch follows the memory there is. AMQP counts messages, not bytes, and a consumer's prefetch is fixed when it
 * starts; so it is ended and started anew with another. What comes when memory is short goes back to its place in the queue.
 */
class Consumption {
  readonly #config: AmqpSourceConfig;
  readonly #context: SourceContext;
  readonly #session: ReplyingSession;
  readonly #intake: Intake;
  readonly #lost: (error: unknown) => void;
  readonly #most: number;
  #consumerTag: string | undefined;
  #prefetch: number;
  #received = 0;
  #restarting = false;
  #stopped = false;

  constructor(config: AmqpSourceConfig, context: SourceContext, session: ReplyingSession, intake: Intake, lost: (error: unknown) => void) {
    this.#config = config;
    this.#context = context;
    this.#session = session;
    this.#intake = intake;
    this.#lost = lost;
    this.#most = Math.min(config.prefetch ?? context.prefetch, context.prefetch, 65_535);
    this.#prefetch = Math.min(this.#most, firstPrefetch);
  }

  async start(): Promise<void> {
    const { channel } = this.#session;
    this.#received = 0;
    await channel.prefetch(this.#prefetch);
    const take = guarded(this.#context.unexpected, "an AMQP message", (message: ConsumeMessage | null) => this.#take(message));
    ({ consumerTag: this.#consumerTag } = await channel.consume(this.#config.queue, take));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const tag = this.#consumerTag;
    this.#consumerTag = undefined;
    if (tag !== undefined) await this.#session.channel.cancel(tag);
  }

  #take(message: ConsumeMessage | null): void {
    // null: the broker cancelled the consumer, because the queue was deleted or moved.
    if (message === null) return this.#lost(new Error(`the broker ended the consumption of queue ${this.#config.queue}`));
    this.#received += 1;
    if (this.#intake.overfull || (this.#restarting && this.#prefetch === 1)) {
      this.#context.metrics.count("given_back");
      this.#session.channel.nack(message, false, true);
      return this.#restart(1);
    }
    this.#intake.offer({
      ...delivery(this.#context, this.#config, this.#session, message),
      proof: () => this.#session.channel.prefetch(this.#prefetch),
      leave: () => this.#restart(this.#prefetch), // a new consumer has all of its places
    });
    if (this.#received >= this.#prefetch && this.#prefetch < this.#most) this.#restart(Math.min(this.#most, this.#prefetch * 4));
  }

  #restart(prefetch: number): void {
    if (this.#restarting || this.#stopped) return;
    this.#restarting = true;
    this.#prefetch = prefetch;
    this.#startAnew().catch((error: unknown) => this.#lost(error));
  }

  async #startAnew(): Promise<void> {
    const tag = this.#consumerTag;
    this.#consumerTag = undefined;
    if (tag !== undefined) await this.#session.channel.cancel(tag);
    const room = await this.#intake.untilRoom();
    if (room === 0 || this.#stopped) return;
    this.#prefetch = Math.max(1, Math.min(this.#prefetch, room));
    this.#restarting = false;
    await this.start();
  }
}

function delivery(context: SourceContext, config: AmqpSourceConfig, session: ReplyingSession, message: ConsumeMessage): Delivery {
  const { channel } = session;
  const { properties, fields } = message;
  const receipt: ConsumeMessage = { fields, properties, content: noContent }; // not the whole message, which would be in memory twice
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
    ...(replyTo === undefined ? {} : { reply: (outcome: Settled) => session.replies.send(replyTo, received.correlationId, outcome) }),
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
