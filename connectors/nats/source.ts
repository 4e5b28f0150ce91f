/** Messages of NATS core subjects. */
import { CodedError } from "#base";
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import {
  explainNats,
  filterSchema,
  fromNatsHeaders,
  idOf,
  type Msg,
  natsBytes,
  type NatsConfig,
  type NatsConnection,
  natsPeer,
  natsSchema,
  openNats,
  toNatsHeaders,
} from "./client.ts";
import { brokerSource } from "../shared/broker-source.ts";
import { messageOf } from "../shared/explain.ts";
import type { Delivery, Intake, Settled } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { incomingOf, replyOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface NatsSourceConfig extends NatsConfig {
  readonly subject: string;
  readonly queue?: string;
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const natsSource: SourceDefinition<NatsSourceConfig> = {
  isSingle: ({ queue }) => queue === undefined,
  name: "nats",
  summary: "Messages and requests of NATS core subjects.",
  description: `**At most once**: NATS core keeps no message after sending it. A message that arrives goes into the journal at once and is
safe from then on; a message sent while the gateway is down is lost. Use \`jetstream\` if that matters.

- **Requests**: a message with a reply subject is answered there; the sender sees a failure as \`mayfly-error\` and \`mayfly-status\` headers.
- **Backpressure**: NATS has none. While the flow is busy, up to 4,096 messages (32 MiB, within the memory budget) wait in memory; further ones are dropped, counted as
  \`dropped\` and logged; a request is answered with \`MF_BUSY\`, status 503.
- **Several gateways** share the messages if they use the same \`queue\` group.
- **Headers** as they are, in lower case, each value of a repeated one, and \`nats-subject\`. Duplicates are recognised by \`Nats-Msg-Id\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_NATS_UNREACHABLE\`, \`MF_NATS_AUTH\`, \`MF_NATS_FORBIDDEN\`, \`MF_NATS_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "subject"],
    properties: {
      ...natsSchema,
      subject: filterSchema("Subject; `*` and `>` as in NATS."),
      queue: { type: "string", minLength: 1, description: "Queue group whose members share the messages." },
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of messages in the flow's queue." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `nats: { url: "\${NATS_URL}", subject: orders.>, queue: mayfly }`,
  create: createNatsSource,
};

function createNatsSource(config: NatsSourceConfig, context: SourceContext): Source {
  const backlog = new Backlog(config, context);
  return brokerSource({
    context,
    peer: natsPeer(config),
    place: `subject ${config.subject}`,
    prefetch: config.prefetch,
    atMostOnce: true,
    explain: explainNats,
    async open({ intake, lost, own, callback }) {
      // The requester chooses the subject of the reply: a forbidden one must not end the connection.
      const session = await openNats(config, context, lost, (error) => {
        context.metrics.count("reply_dropped");
        context.logger.warn({ code: "MF_REPLY_DROPPED" }, `the server rejected a reply, which is dropped: ${messageOf(error)}`);
      });
      const { connection, guard } = own(session);
      const subscription = connection.subscribe(config.subject, {
        callback: callback((error: Error | null, message: Msg) => {
          if (error !== null) lost(error);
          else backlog.take(intake, connection, message);
        }),
        ...(config.queue === undefined ? {} : { queue: config.queue }),
      });
      const flush = (): Promise<void> => guard.during(connection.flush());
      await flush(); // the server answers only after it has the subscription
      return { end: () => guard.during(subscription.drain()), flush };
    },
  });
}

/** Messages that wait in memory, over all connections. Those beyond its bounds are dropped. */
class Backlog {
  readonly #config: NatsSourceConfig;
  readonly #context: SourceContext;
  #bytes = 0;
  #dropping = false;

  constructor(config: NatsSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
  }

  take(intake: Intake, connection: NatsConnection, message: Msg): void {
    const bytes = message.data.length;
    const full =
      intake.inHand >= intake.limit + brokerLimits.natsWaiting || this.#bytes + bytes > brokerLimits.natsWaitingBytes || intake.overfull;
    if (full) return this.#drop(connection, message);
    this.#dropping = false;
    this.#bytes += bytes;
    intake.offer(
      delivery(this.#config, this.#context, {
        connection,
        message,
        over: () => (this.#bytes -= bytes),
        drop: () => this.#drop(connection, message),
      }),
    );
  }

  #drop(connection: NatsConnection, message: Msg): void {
    const { metrics, logger } = this.#context;
    metrics.count("dropped");
    if (!this.#dropping)
      logger.error({ code: "MF_NATS_DROPPED", subject: message.subject }, "NATS messages are dropped: the flow can't keep up");
    this.#dropping = true;
    if (message.reply !== undefined && message.reply !== "" && !connection.isClosed())
      message.respond(Buffer.from(`{"code":"MF_BUSY"}`), { headers: busy() });
  }
}

/** If the reply is longer than the server accepts, its requester gets a failure instead of waiting until its timeout. */
function respond(connection: NatsConnection, message: Msg, outcome: Settled): void {
  if (connection.isClosed()) return;
  const reply = replyOf(outcome);
  const mostBytes = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  const headers = toNatsHeaders(reply);
  if (natsBytes(reply.body, headers) <= mostBytes) message.respond(reply.body, { headers });
  else {
    const text = `the reply has ${reply.body.length} bytes, and the server accepts ${mostBytes} including headers`;
    message.respond(Buffer.from(JSON.stringify({ code: "MF_NATS_TOO_LARGE", message: text })), {
      headers: toNatsHeaders({
        headers: { "mayfly-status": "500", "mayfly-error": "MF_NATS_TOO_LARGE" },
        contentType: "application/json",
        correlationId: undefined,
        key: undefined,
      }),
    });
    throw new CodedError("MF_NATS_TOO_LARGE", text);
  }
}

function busy(): ReturnType<typeof toNatsHeaders> {
  const headers = { "mayfly-status": "503", "mayfly-error": "MF_BUSY" };
  return toNatsHeaders({ headers, contentType: "application/json", correlationId: undefined, key: undefined });
}

interface Taken {
  readonly connection: NatsConnection;
  readonly message: Msg;
  /** The message no longer waits here. */
  readonly over: () => void;
  readonly drop: () => void;
}

function delivery(config: NatsSourceConfig, context: SourceContext, { connection, message, over, drop }: Taken): Delivery {
  const headers = fromNatsHeaders(message, context);
  const replyWanted = message.reply !== undefined && message.reply !== "";
  const received = { id: idOf(headers), headers: { ...headers, "nats-subject": message.subject }, body: message.data, replyWanted };
  return {
    // A requester waits for the reply and can repeat its request; any other message exists only here, so the journal must have it first.
    incoming: incomingOf(
      { ...received, keeper: replyWanted ? "source" : "journal" },
      config.cloudevents ? { prefixes: ["ce-"] } : undefined,
    ),
    ...(replyWanted ? { reply: (outcome: Settled) => respond(connection, message, outcome) } : {}),
    settle: over,
    giveBack() {
      over();
      drop();
    },
  };
}
