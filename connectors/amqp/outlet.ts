/** To an exchange or a queue of RabbitMQ (AMQP 0-9-1), confirmed by the broker. */
import type { Message } from "amqplib";
import { CodedError } from "#base";
import { type Answer, type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import {
  amqpConnectionSchema,
  amqpHeaders,
  amqpOptions,
  type AmqpConnection,
  type AmqpSession,
  amqpPeer,
  explainAmqp,
  openAmqp,
} from "./client.ts";
import { messageOf } from "../shared/explain.ts";
import { Link, type Opening, unlessAborted } from "../shared/link.ts";
import { addressOf, answerOf, checkTemplate, sendableOf, type Sendable } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface AmqpOutletConfig extends AmqpConnection {
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly mandatory: boolean;
  readonly persistent: boolean;
  readonly cloudevents?: CloudEventsConfig;
}

export const amqpOutlet: OutletDefinition<AmqpOutletConfig> = {
  name: "amqp",
  summary: "To an exchange or a queue of RabbitMQ (AMQP 0-9-1), confirmed by the broker.",
  description: `A message counts as sent when the broker has confirmed it: for a persistent message in a durable queue, once it is on disk.

- **Unroutable**: messages are published \`mandatory\`; one that reaches no queue is an error (\`MF_AMQP_UNROUTABLE\`) and is retried.
- **Idempotency**: \`message-id\` is the same for every attempt at one send.
- **Address**: \`queue\`, or \`exchange\` with \`routingKey\`; both may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`.
- **Requests** use RabbitMQ's direct reply-to; the answer's \`mayfly-status\` and \`mayfly-error\` headers are understood.
- **Headers** go into the header table, several values as an array; \`content-encoding\`, content type and correlation id into their properties.
- **Errors**: as those of the source, and \`MF_AMQP_UNROUTABLE\`, \`MF_AMQP_NACKED\` (the broker refused it: a full queue), \`MF_AMQP_BLOCKED\` (an
  alarm for memory or disk), \`MF_AMQP_HEADERS\` (more than 64 KiB of headers; not retried).`,
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...amqpConnectionSchema,
      queue: { type: "string", minLength: 1, maxLength: 255, description: "Queue to send to, through the default exchange." },
      exchange: { type: "string", minLength: 1, maxLength: 255, description: "Exchange to send to. It must exist." },
      routingKey: { type: "string", maxLength: 255, description: "Routing key with `exchange`." },
      mandatory: { type: "boolean", default: true, description: "Treat a message that reaches no queue as an error." },
      persistent: { type: "boolean", default: true, description: "Publish persistent messages, which survive a restart of the broker." },
      cloudevents: cloudEventsSchema,
    },
    oneOf: [
      { required: ["queue"], not: { anyOf: [{ required: ["exchange"] }, { required: ["routingKey"] }] } },
      { required: ["exchange"] },
    ],
  },
  example: `amqp: { url: "\${AMQP_URL}", exchange: orders, routingKey: "orders.{key}" }`,
  answers: true,
  create: (config, context) => new AmqpOutlet(config, context),
};

interface OutletSession extends AmqpSession {
  /** Message ids the broker has returned and not yet confirmed: a return comes right before its confirm. */
  readonly returned: Set<string>;
  readonly answers: Map<string, (message: Message) => void>;
}

/** No wildcards of a topic exchange, no control characters and no line ends. */
const addressValue = /^[^#*\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,255}$/;

class AmqpOutlet implements Outlet {
  readonly #config: AmqpOutletConfig;
  readonly #link: Link<OutletSession>;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #what: string;
  #requests = 0;

  constructor(config: AmqpOutletConfig, context: OutletContext) {
    for (const template of [config.queue, config.exchange, config.routingKey]) if (template !== undefined) checkTemplate(template);
    this.#config = config;
    this.#context = context;
    this.#peer = amqpPeer(config);
    this.#what = config.queue === undefined ? `exchange ${config.exchange ?? ""}` : `queue ${config.queue}`;
    this.#link = new Link({
      context,
      peer: `${this.#peer} ${this.#what}`,
      explain: (error) => explainAmqp(this.#peer, this.#what, error),
      open: (opening) => this.#open(opening),
    });
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    const blocked = this.#link.session?.blocked;
    return blocked === undefined
      ? this.#link.health()
      : { ready: false, detail: `MF_AMQP_BLOCKED: ${this.#peer} blocks publishers: ${blocked}` };
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(...[message, attempt]: Parameters<Outlet["send"]>): Promise<void> {
    const session = this.#link.need();
    const sendable = sendableOf(message, attempt, this.#config.cloudevents, "cloudEvents:");
    await unlessAborted(attempt.signal, this.#publish(session, this.#address(message), sendable, {}));
  }

  async request(...[message, attempt]: Parameters<NonNullable<Outlet["request"]>>): Promise<Answer> {
    const session = this.#link.need();
    const sendable = sendableOf(message, attempt, this.#config.cloudevents, "cloudEvents:");
    const correlationId = `${++this.#requests}`; // direct reply-to belongs to this channel alone: a counter can't be mixed up
    const answer = new Promise<Message>((resolve) => session.answers.set(correlationId, resolve));
    const replyTo = { replyTo: "amq.rabbitmq.reply-to", correlationId, expiration: undefined };
    try {
      await unlessAborted(attempt.signal, this.#publish(session, this.#address(message), sendable, replyTo));
      const reply = await unlessAborted(attempt.signal, answer);
      return answerOf(amqpHeaders(reply, this.#context), reply.properties.contentType as string | undefined, reply.content);
    } finally {
      session.answers.delete(correlationId);
    }
  }

  async #open({ lost, own }: Opening): Promise<OutletSession> {
    const session = own(await openAmqp(this.#config, this.#context, lost));
    const { channel } = session;
    const full: OutletSession = Object.assign(session, {
      returned: new Set<string>(),
      answers: new Map<string, (message: Message) => void>(),
    });
    channel.on("return", (message: Message) => full.returned.add(String(message.properties.messageId)));
    await this.#check(session);
    const onAnswer = (message: Message | null): void => full.answers.get(String(message?.properties.correlationId))?.(message as Message);
    await channel.consume("amq.rabbitmq.reply-to", onAnswer, { noAck: true });
    return full;
  }

  /** A missing queue or exchange shows at once, not only with the first message. */
  async #check({ channel }: AmqpSession): Promise<void> {
    const { queue, exchange, mandatory } = this.#config;
    if (queue !== undefined && !queue.includes("{") && mandatory) await channel.checkQueue(queue);
    if (exchange !== undefined && !exchange.includes("{")) await channel.checkExchange(exchange);
  }

  #address(message: Parameters<Outlet["send"]>[0]): readonly [exchange: string, routingKey: string] {
    const { queue, exchange, routingKey } = this.#config;
    if (queue !== undefined) return ["", addressOf(queue, message, addressValue)];
    return [addressOf(exchange ?? "", message, addressValue), addressOf(routingKey ?? "", message, addressValue)];
  }

  #publish(session: OutletSession, [exchange, routingKey]: readonly [string, string], sendable: Sendable, more: object): Promise<void> {
    const { persistent, mandatory } = this.#config;
    if (session.blocked !== undefined) {
      throw new OutletError("MF_AMQP_BLOCKED", `${this.#peer} blocks publishers: ${session.blocked}`, { retryable: true });
    }
    const options = { ...amqpOptions(sendable), persistent, mandatory, ...more };
    return new Promise((resolve, reject) => {
      const onConfirm = (error: unknown): void => {
        const returned = session.returned.delete(options.messageId ?? "");
        if (error !== null && error !== undefined) reject(this.#refused(session.failure ?? error));
        else if (returned) {
          const where = exchange === "" ? `queue ${routingKey}` : `exchange ${exchange} with routing key ${JSON.stringify(routingKey)}`;
          reject(
            new OutletError("MF_AMQP_UNROUTABLE", `no queue at ${this.#peer} is bound to ${where}: bind one, or correct the routing key`, {
              retryable: true,
            }),
          );
        } else resolve();
      };
      try {
        session.channel.publish(exchange, routingKey, Buffer.from(sendable.body), options, onConfirm);
      } catch (error) {
        // amqplib refuses a header table it can't encode before anything is written; every attempt would end so.
        const hopeless = error instanceof RangeError || error instanceof TypeError;
        const code = hopeless ? "MF_AMQP_HEADERS" : "MF_AMQP_UNREACHABLE";
        reject(new OutletError(code, messageOf(error), { retryable: !hopeless, cause: error }));
      }
    });
  }

  #refused(error: unknown): CodedError {
    if (error instanceof Error && error.message.includes("nacked")) {
      return new OutletError("MF_AMQP_NACKED", `${this.#peer} rejected the message: check whether ${this.#what} is full`, {
        retryable: true,
        cause: error,
      });
    }
    const { code, message } = explainAmqp(this.#peer, this.#what, error);
    return new OutletError(code, message, { retryable: true, cause: error });
  }
}
