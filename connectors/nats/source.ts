/** Messages of NATS core subjects. */
import { CodedError } from "#base";
import { guarded, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import {
  idOf,
  explainNats,
  fromNatsHeaders,
  type Msg,
  type NatsConfig,
  type NatsConnection,
  type NatsSession,
  natsPeer,
  natsBytes,
  natsSchema,
  openNats,
  toNatsHeaders,
} from "./client.ts";
import { messageOf } from "../shared/explain.ts";
import { Intake, type Delivery, type Settled } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { Link } from "../shared/link.ts";
import { incomingOf, replyOf } from "../shared/wire.ts";
import { acceptCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface NatsSourceConfig extends NatsConfig {
  readonly subject: string;
  readonly queue?: string;
  readonly prefetch?: number;
  readonly cloudevents: boolean;
}

export const natsSource: SourceDefinition<NatsSourceConfig> = {
  name: "nats",
  summary: "Messages and requests of NATS core subjects.",
  description: `**At most once**: NATS core forgets a message as soon as it has sent it. What arrives is put into the journal at once, and is
safe from there on; what is sent while the gateway is away, is lost. Use \`jetstream\` where that matters.

- **Requests**: a message with a reply subject is answered there; its sender sees a failure as \`mayfly-error\` and \`mayfly-status\` headers.
- **Backpressure**: NATS has none. While the flow is busy up to 4,096 messages (32 MiB, within the memory budget) wait in memory; what comes then is dropped, counted as
  \`dropped\` and logged; a request is answered with \`MF_BUSY\`, status 503.
- **Several gateways** share the messages when they name one \`queue\` group.
- **Headers** as they are, in lower case, each value of a repeated one, and \`nats-subject\`. \`Nats-Msg-Id\` is what duplicates are recognised by.
- **Errors** (tried again with backoff, shown by \`/ready\`): \`MF_NATS_UNREACHABLE\`, \`MF_NATS_AUTH\`, \`MF_NATS_FORBIDDEN\`, \`MF_NATS_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "subject"],
    properties: {
      ...natsSchema,
      subject: { type: "string", minLength: 1, pattern: "^[^\\s]+$", description: "Subject; `*` and `>` as in NATS." },
      queue: { type: "string", minLength: 1, description: "Queue group whose members share the messages." },
      prefetch: { type: "integer", minimum: 1, description: "Most messages at once in the flow's queue." },
      cloudevents: acceptCloudEventsSchema,
    },
  },
  example: `nats: { url: "\${NATS_URL}", subject: orders.>, queue: mayfly }`,
  create: createNatsSource,
};

function createNatsSource(config: NatsSourceConfig, context: SourceContext): Source {
  const peer = natsPeer(config);
  const what = `subject ${config.subject}`;
  const limit = Math.min(config.prefetch ?? context.prefetch, context.prefetch);
  let intake: Intake | undefined;
  let waitingBytes = 0;
  let dropping = false;

  function take(connection: NatsConnection, message: Msg): void {
    const bytes = message.data.length;
    const full =
      intake === undefined ||
      intake.inHand >= limit + brokerLimits.natsWaiting ||
      waitingBytes + bytes > brokerLimits.natsWaitingBytes ||
      intake.overfull;
    if (full) return drop(connection, message);
    dropping = false;
    waitingBytes += bytes;
    intake?.offer(
      delivery(config, context, {
        connection,
        message,
        over: () => (waitingBytes -= bytes),
        drop: () => drop(connection, message),
      }),
    );
  }

  function drop(connection: NatsConnection, message: Msg): void {
    context.metrics.count("dropped");
    if (!dropping)
      context.logger.error({ code: "MF_NATS_DROPPED", subject: message.subject }, "NATS messages are dropped: the flow can't keep up");
    dropping = true;
    if (message.reply !== undefined && message.reply !== "" && !connection.isClosed())
      message.respond(Buffer.from(`{"code":"MF_BUSY"}`), { headers: busy() });
  }

  const link = new Link<Subscribed>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainNats(peer, what, error),
    // What was received before the connection was lost is still good: nothing has to be acknowledged over it.
    async open(lost) {
      // Whoever asks names the subject of the reply: one that is forbidden must not end the connection.
      const session = await openNats(config, context, lost, (error) => {
        context.metrics.count("reply_dropped");
        context.logger.warn({ code: "MF_REPLY_DROPPED" }, `a reply is refused by the server and dropped: ${messageOf(error)}`);
      });
      const { connection, guard } = session;
      const callback = guarded(context.unexpected, "a NATS message", (error: Error | null, message: Msg): void =>
        error === null ? take(connection, message) : lost(error),
      );
      const subscription = connection.subscribe(config.subject, {
        callback,
        ...(config.queue === undefined ? {} : { queue: config.queue }),
      });
      await guard.during(connection.flush()); // the server answers only after it has the subscription
      return { ...session, unsubscribe: () => guard.during(subscription.drain()) };
    },
  });

  return {
    start(accept) {
      intake = new Intake({ context, accept, limit, handOverAtStop: true });
      return link.start();
    },
    pause: () => intake?.pause(),
    resume: () => intake?.resume(),
    async stop() {
      await link.lastWords(link.session?.unsubscribe());
      await intake?.drain();
      const session = link.session;
      await link.lastWords(session?.guard.during(session.connection.flush())); // replies
      await link.stop();
    },
    health: () => link.health(),
  };
}

interface Subscribed extends NatsSession {
  unsubscribe(): Promise<void>;
}

/** A reply that is longer than the server takes is told its requester as a failure: else they would wait to the end. */
function respond(connection: NatsConnection, message: Msg, outcome: Settled): void {
  if (connection.isClosed()) return;
  const reply = replyOf(outcome);
  const mostBytes = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  const headers = toNatsHeaders(reply);
  if (natsBytes(reply.body, headers) <= mostBytes) message.respond(reply.body, { headers });
  else {
    const text = `the reply has ${reply.body.length} bytes, and the server takes ${mostBytes}, headers included`;
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
  /** It is out of our hands. */
  readonly over: () => void;
  readonly drop: () => void;
}

function delivery(config: NatsSourceConfig, context: SourceContext, { connection, message, over, drop }: Taken): Delivery {
  const headers = fromNatsHeaders(message, context);
  const replyWanted = message.reply !== undefined && message.reply !== "";
  const received = { id: idOf(headers), headers: { ...headers, "nats-subject": message.subject }, body: message.data, replyWanted };
  return {
    // A caller waits for a reply and can ask again; anything else exists only here, so the journal has to have it first.
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
