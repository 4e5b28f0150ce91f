/** Messages of an address at an AMQP 1.0 broker. */
import type * as Rhea from "rhea";
import { CodedError } from "#base";
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import { brokerSource, FetchLoop, type SourceOpening } from "../shared/broker-source.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";
import type { Delivery, Settled } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { incomingOf, replyOf } from "../shared/wire.ts";
import {
  addressSchema,
  type Amqp1Config,
  amqp1Peer,
  amqp1Schema,
  type Amqp1Session,
  explainAmqp1,
  openAmqp1,
  opened,
  roundTrip,
} from "./client.ts";
import { contentOf, messageOf } from "./content.ts";
import { amqp1Limits } from "./limits.ts";
import { Senders } from "./senders.ts";

export interface Amqp1SourceConfig extends Amqp1Config {
  readonly address: string;
  readonly kind?: "queue" | "topic";
  readonly subscription?: string;
  readonly selector?: string;
  readonly prefetch?: number;
  readonly deadLetter: "gateway" | "broker";
  readonly cloudevents: boolean;
}

export const amqp1Source: SourceDefinition<Amqp1SourceConfig> = {
  name: "amqp1",
  summary: "Messages of an AMQP 1.0 broker: ActiveMQ Artemis, Azure Service Bus, Qpid.",
  description: `At least once. A message is settled as accepted only after its effects are committed; until then the broker keeps it and gives it again
when the connection or the gateway is lost. Messages come in the order of the queue.

- **Client**: \`npm install rhea@3\` beside Mayfly; without it the source says \`MF_AMQP1_CLIENT\`.
- **Prefetch**: the broker is given credit for at most \`prefetch\` messages, and for no more than there is memory for; that is the backpressure.
- **Dead letters**: with \`deadLetter: gateway\` a message that failed for good is accepted, since the gateway keeps it. With \`deadLetter: broker\` it
  is rejected, and the broker puts it among its own dead letters.
- **Topics**: \`subscription\` names a durable subscription; without one, messages that come while the gateway is away are not for it.
- **Azure Service Bus**: \`amqps://NAMESPACE.servicebus.windows.net\`, user and password are the name and the key of an access policy, address a queue
  or \`TOPIC/Subscriptions/NAME\`. A lock ends after its time there (five minutes at most): the message of a flow that takes longer comes again.
- **Requests**: a message with \`reply-to\` is answered there, with its correlation id; \`mayfly-status\` and, after a failure, \`mayfly-error\` are
  among the reply's headers.
- **Headers**: application properties; the broker's annotations under their names (\`x-opt-…\`); properties as \`amqp-subject\`, \`amqp-to\`,
  \`amqp-user-id\`, \`amqp-group-id\`, \`amqp-group-sequence\`, \`amqp-reply-to-group-id\`, \`amqp-creation-time\`, \`amqp-absolute-expiry-time\`,
  \`content-encoding\`, \`reply-to\`. The key is \`mayfly-key\`, else the group id. Duplicates are recognised by \`message-id\`.
- **Body**: data sections as they are; a value that is text, as text; any other value or sequence, as JSON. What is no AMQP 1.0 message comes as its
  bytes, with the reason in \`mayfly-error\`. A message over 64 MiB is rejected.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_AMQP1_UNREACHABLE\`, \`MF_AMQP1_AUTH\`, \`MF_AMQP1_FORBIDDEN\`, \`MF_AMQP1_NOT_FOUND\`,
  \`MF_AMQP1_LOCKED\`, \`MF_AMQP1_FULL\`, \`MF_AMQP1_REFUSED\`, \`MF_AMQP1_PROTOCOL\`, \`MF_AMQP1_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "address"],
    properties: {
      ...amqp1Schema,
      address: addressSchema("Queue, topic or subscription, as the broker writes it."),
      kind: {
        enum: ["queue", "topic"],
        description: "For brokers that create a missing address, such as Artemis: as what. Absent: as the broker has it.",
      },
      subscription: { type: "string", minLength: 1, maxLength: 255, description: "Durable subscription of a topic: its name." },
      selector: { type: "string", minLength: 1, description: "Only messages for which this JMS selector holds: `priority > 4`." },
      prefetch: {
        type: "integer",
        minimum: 1,
        maximum: brokerLimits.unacknowledged,
        description: "Maximum number of messages in hand; capped by the flow's queue.",
      },
      deadLetter: { enum: ["gateway", "broker"], default: "gateway", description: "Keeper of a message that failed for good." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `amqp1: { url: "\${AMQP1_URL}", address: orders, prefetch: 64 }`,
  create: createAmqp1Source,
};

function createAmqp1Source(config: Amqp1SourceConfig, context: SourceContext): Source {
  const peer = amqp1Peer(config);
  const place = `address ${config.address}`;
  const containerId = config.subscription === undefined ? undefined : `mayfly-${context.flow}`;
  return brokerSource({
    context,
    peer,
    place,
    prefetch: config.prefetch,
    explain: explainAmqp1,
    async open({ intake, lost, own, callback }) {
      const senders: Senders[] = [];
      const session = own(
        await openAmqp1({
          config,
          context,
          containerId,
          lost(error) {
            lost(error);
            for (const each of senders) each.lost();
          },
        }),
      );
      const replies = new Senders(session);
      senders.push(replies);
      const receiver = await attach(config, session, lost);
      const reception = new Reception({ config, context, session, receiver, intake, lost, replies });
      receiver.on(
        "message",
        callback((event: Rhea.EventContext) => reception.take(event)),
      );
      reception.start();
      return { end: () => reception.end() };
    },
  });
}

async function attach(
  config: Amqp1SourceConfig,
  { client, connection }: Amqp1Session,
  lost: (error: unknown) => void,
): Promise<Rhea.Receiver> {
  const { address, kind, subscription, selector } = config;
  const session = connection.create_session({ incoming: amqp1Limits.sessionDeliveries });
  session.begin();
  const durable = subscription === undefined ? {} : { durable: 2, expiry_policy: "never" };
  const receiver = session.open_receiver({
    ...(subscription === undefined ? {} : { name: subscription }),
    source: {
      address,
      ...durable,
      ...(kind === undefined ? {} : { capabilities: [kind] }),
      ...(selector === undefined ? {} : { filter: client.filter.selector(selector) }),
    },
    max_message_size: amqp1Limits.messageBytes,
    credit_window: 0,
    autoaccept: false,
    autosettle: false,
  });
  return await opened(receiver, lost);
}

interface ReceptionOptions extends Pick<SourceOpening, "intake" | "lost"> {
  readonly config: Amqp1SourceConfig;
  readonly context: SourceContext;
  readonly session: Amqp1Session;
  readonly receiver: Rhea.Receiver;
  readonly replies: Senders;
}

/** Gives the broker credit for what there is room for, and hands on what comes. */
class Reception {
  readonly #options: ReceptionOptions;
  /** Messages that the broker may still send. */
  #credit = 0;
  #isMeasured = false;
  #loop: FetchLoop | undefined;
  #arrived: () => void = () => undefined;

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  start(): void {
    const { intake, lost, receiver } = this.#options;
    this.#loop = new FetchLoop(intake, lost, async (room) => {
      const arrival = new Promise<void>((resolve) => (this.#arrived = resolve));
      const most = this.#isMeasured ? room : Math.min(room, amqp1Limits.firstCredit);
      const more = most - this.#credit;
      if (more > 0) {
        this.#credit += more;
        receiver.add_credit(more);
      }
      await arrival;
    });
  }

  /** The broker takes back the credit it has, and says so after the last message. */
  async end(): Promise<void> {
    const { receiver } = this.#options;
    this.#loop?.close();
    this.#arrived();
    if (this.#credit === 0) return;
    const drained = new Promise<void>((resolve) => receiver.once("receiver_drained", () => resolve()));
    receiver.drain_credit();
    await drained;
    this.#credit = 0;
  }

  take({ message, delivery }: Rhea.EventContext): void {
    const { context, intake, lost, session } = this.#options;
    if (message === undefined || delivery === undefined) return;
    if (this.#credit === 0) return lost(new CodedError("MF_AMQP1_PROTOCOL", "the broker sent a message that it had no credit for"));
    this.#credit -= 1;
    this.#isMeasured = true;
    if (session.guard.isCut) this.#reject(delivery);
    else if (intake.overfull) {
      context.metrics.count("given_back");
      delivery.release();
    } else intake.offer(this.#delivery(message as unknown as Buffer, delivery));
    this.#arrived();
  }

  /** Nobody here could keep it; a broker keeps what is rejected among its dead letters. */
  #reject(delivery: Rhea.Delivery): void {
    const { config, context } = this.#options;
    const text = `a message of ${config.address} has more than ${amqp1Limits.messageBytes} bytes: it is rejected, and is for the broker to keep`;
    context.metrics.count("too_large");
    context.logger.error({ code: "MF_AMQP1_TOO_LARGE" }, text);
    delivery.reject({ condition: "amqp:link:message-size-exceeded", description: text });
  }

  #delivery(bytes: Uint8Array, delivery: Rhea.Delivery): Delivery {
    const { config, context, session, replies } = this.#options;
    const received = contentOf(bytes, context);
    const { replyTo, correlationId, id } = received;
    return {
      incoming: incomingOf(received, config.cloudevents ? { prefixes: ["cloudEvents:", "cloudEvents_", "ce-"] } : undefined),
      ...(replyTo === undefined
        ? {}
        : { reply: (outcome: Settled) => this.#reply(replies, session, replyTo, correlationId ?? id, outcome) }),
      settle(outcome) {
        if (outcome.status === "dead" && config.deadLetter === "broker")
          delivery.reject({ condition: "amqp:internal-error", description: outcome.failure.code });
        else delivery.accept();
      },
      proof: () => roundTrip(session),
      giveBack: () => delivery.release(),
    };
  }

  async #reply(
    replies: Senders,
    { client }: Amqp1Session,
    replyTo: string,
    correlationId: string | undefined,
    outcome: Settled,
  ): Promise<void> {
    const more = { to: replyTo, ...(correlationId === undefined ? {} : { correlation_id: correlationId }) };
    await replies.send(replyTo, messageOf(client, replyOf(outcome), more), AbortSignal.timeout(brokerLimits.settleMs));
  }
}
