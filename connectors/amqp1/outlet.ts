/** To an address at an AMQP 1.0 broker, settled by it. */
import type * as Rhea from "rhea";
import {
  type Answer,
  type Attempt,
  duration,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
} from "#gateway/contract";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";
import { Link, type Opening, unlessAborted } from "../shared/link.ts";
import { addressOf, answerOf, checkTemplate, sendableOf } from "../shared/wire.ts";
import { addressSchema, type Amqp1Config, amqp1Peer, amqp1Schema, type Amqp1Session, explainAmqp1, openAmqp1, opened } from "./client.ts";
import { contentOf, messageOf } from "./content.ts";
import { amqp1Limits } from "./limits.ts";
import { isFinal, NotAccepted, Senders } from "./senders.ts";

export interface Amqp1OutletConfig extends Amqp1Config {
  readonly address: string;
  readonly kind?: "queue" | "topic";
  readonly subject?: string;
  readonly groupId?: string;
  readonly durable: boolean;
  readonly ttl?: number;
  readonly cloudevents?: CloudEventsConfig;
}

export const amqp1Outlet: OutletDefinition<Amqp1OutletConfig> = {
  name: "amqp1",
  summary: "To an AMQP 1.0 broker: ActiveMQ Artemis, Azure Service Bus, Qpid.",
  description: `A message counts as sent when the broker has accepted it: a durable one in a durable queue, once it is on disk.

- **Client**: \`npm install rhea@3\` beside Mayfly; without it the outlet says \`MF_AMQP1_CLIENT\`.
- **Address**: \`address\`, \`subject\` and \`groupId\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`. A group id keeps messages with one consumer;
  Azure Service Bus takes it as the session.
- **Idempotency**: \`message-id\` is the same for every attempt at one send; brokers with duplicate detection use it.
- **Content**: the body is a data section, headers are application properties. Of a header with several values the property has the first, and
  \`mayfly-repeated\` has all as JSON.
- **Requests**: the broker makes an address for this connection, and the answer comes there; its headers \`mayfly-status\` and \`mayfly-error\` are
  understood. Azure Service Bus makes no such address: a request fails with \`MF_AMQP1_NO_REPLIES\`.
- **Errors**: as those of the source, and \`MF_AMQP1_REJECTED\` (tried again unless the message itself is at fault), \`MF_AMQP1_RELEASED\` (the broker does
  not want it now), \`MF_AMQP1_TOO_LARGE\` (not tried again).`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "address"],
    properties: {
      ...amqp1Schema,
      address: addressSchema("Queue or topic."),
      kind: { enum: ["queue", "topic"], description: "For brokers that create a missing address: as what." },
      subject: { type: "string", minLength: 1, description: "Subject of each message; Azure Service Bus calls it the label." },
      groupId: { type: "string", minLength: 1, description: "Group id of each message." },
      durable: { type: "boolean", default: true, description: "false: the broker need not keep it over a restart." },
      ttl: duration("Time after which the broker may drop the message."),
      cloudevents: cloudEventsSchema,
    },
  },
  example: `amqp1: { url: "\${AMQP1_URL}", address: invoices }`,
  answers: true,
  create: (config, context) => new Amqp1Outlet(config, context),
};

interface OutletSession extends Amqp1Session {
  readonly senders: Senders;
  /** Where answers come; opened for the first request. */
  answers: Promise<string> | undefined;
  readonly waiting: Map<string, { readonly resolve: (bytes: Uint8Array) => void; readonly reject: (error: unknown) => void }>;
}

const addressValue = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029*#]{1,255}$/;

class Amqp1Outlet implements Outlet {
  readonly #config: Amqp1OutletConfig;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #what: string;
  readonly #link: Link<OutletSession>;
  #requests = 0;

  constructor(config: Amqp1OutletConfig, context: OutletContext) {
    for (const template of [config.address, config.subject, config.groupId]) if (template !== undefined) checkTemplate(template);
    this.#config = config;
    this.#context = context;
    this.#peer = amqp1Peer(config);
    this.#what = `address ${config.address}`;
    this.#link = new Link({
      context,
      peer: `${this.#peer} ${this.#what}`,
      explain: (error) => explainAmqp1(this.#peer, this.#what, error),
      open: (opening) => this.#open(opening),
    });
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(message: Outgoing, attempt: Attempt): Promise<void> {
    await this.#send(this.#link.need(), message, attempt, {});
  }

  async request(...[message, attempt]: Parameters<NonNullable<Outlet["request"]>>): Promise<Answer> {
    const session = this.#link.need();
    const replyTo = await unlessAborted(attempt.signal, this.#answersOf(session));
    const correlationId = `${++this.#requests}`; // the address belongs to this connection alone: a counter can't be mixed up
    const answer = new Promise<Uint8Array>((resolve, reject) => session.waiting.set(correlationId, { resolve, reject }));
    answer.catch(() => undefined); // the send may fail first
    try {
      await this.#send(session, message, attempt, { reply_to: replyTo, correlation_id: correlationId });
      const { headers, contentType, body } = contentOf(await unlessAborted(attempt.signal, answer), this.#context);
      return answerOf(headers, contentType, body);
    } finally {
      session.waiting.delete(correlationId);
    }
  }

  async #open({ lost, own }: Opening): Promise<OutletSession> {
    let full: OutletSession | undefined;
    const ended = (error: unknown): void => {
      lost(error);
      full?.senders.lost();
      for (const { reject } of full?.waiting.values() ?? [])
        reject(new OutletError("MF_CONNECTION_LOST", "the connection was lost before the peer answered", { retryable: true }));
    };
    const session = own(await openAmqp1({ config: this.#config, context: this.#context, lost: ended }));
    const { kind, address } = this.#config;
    const senders = new Senders(session, kind === undefined ? undefined : [kind]);
    full = { ...session, senders, answers: undefined, waiting: new Map() };
    if (!address.includes("{")) await senders.check(address); // a missing one shows at once, not only with the first message
    return full;
  }

  #answersOf(session: OutletSession): Promise<string> {
    if (session.answers !== undefined) return session.answers;
    const opening = this.#openAnswers(session);
    session.answers = opening;
    opening.catch(() => (session.answers = undefined));
    return opening;
  }

  async #openAnswers({ connection, waiting, guard }: OutletSession): Promise<string> {
    const own = connection.create_session();
    own.begin();
    const receiver = own.open_receiver({
      source: { dynamic: true },
      credit_window: amqp1Limits.answerCredit,
      max_message_size: amqp1Limits.messageBytes,
    });
    receiver.on("message", ({ message }: Rhea.EventContext) => {
      if (guard.isCut) return; // longer than any answer may be: its request ends with its time
      const bytes = message as unknown as Buffer;
      waiting.get(contentOf(bytes, this.#context).correlationId ?? "")?.resolve(bytes);
    });
    try {
      await opened(receiver, () => undefined);
    } catch (cause) {
      const { message } = explainAmqp1(this.#peer, "an address for answers", cause);
      throw new OutletError(
        "MF_AMQP1_NO_REPLIES",
        `${this.#peer} makes no address for answers: send, and take the answer from a source. ${message}`,
        {
          retryable: false,
          cause,
        },
      );
    }
    const { address } = receiver.source;
    if (typeof address !== "string")
      throw new OutletError("MF_AMQP1_NO_REPLIES", `${this.#peer} made an address for answers without a name`, { retryable: false });
    return address;
  }

  async #send(session: OutletSession, message: Outgoing, attempt: Attempt, more: Omit<Rhea.Message, "body">): Promise<void> {
    const { durable, ttl, cloudevents, subject, groupId } = this.#config;
    const sendable = sendableOf(message, attempt, cloudevents, "cloudEvents:");
    const address = addressOf(this.#config.address, message, addressValue);
    const properties = {
      message_id: sendable.id,
      durable,
      ...(ttl === undefined ? {} : { ttl }),
      ...(subject === undefined ? {} : { subject: addressOf(subject, message, addressValue) }),
      ...(groupId === undefined ? {} : { group_id: addressOf(groupId, message, addressValue) }),
      ...more,
    };
    try {
      await session.senders.send(address, messageOf(session.client, sendable, properties), attempt.signal);
    } catch (error) {
      throw this.#refused(address, error);
    }
  }

  #refused(address: string, error: unknown): unknown {
    if (error instanceof OutletError) return error;
    if (error instanceof NotAccepted) {
      const code = error.outcome === "rejected" ? "MF_AMQP1_REJECTED" : "MF_AMQP1_RELEASED";
      const text = `${this.#peer} ${error.outcome} a message for ${address}: ${error.condition} ${error.message}`.trim();
      return new OutletError(code, text, { retryable: !isFinal(error), cause: error });
    }
    const { code, message } = explainAmqp1(this.#peer, `address ${address}`, error);
    return new OutletError(code, message, { retryable: code !== "MF_AMQP1_HEADERS", cause: error });
  }
}
