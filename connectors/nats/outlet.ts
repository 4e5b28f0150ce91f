/** To a NATS core subject. */
import {
  type Answer,
  type Attempt,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
} from "#gateway/contract";
import { createInbox, type MsgHdrs } from "@nats-io/transport-node";
import {
  explainNats,
  fromNatsHeaders,
  type Msg,
  natsBytes,
  type NatsConfig,
  type NatsConnection,
  natsPeer,
  natsSchema,
  type NatsSession,
  openNats,
  subjectSchema,
  subjectToken,
  toNatsHeaders,
} from "./client.ts";
import { Link, unlessAborted } from "../shared/link.ts";
import { addressOf, answerOf, checkTemplate, sendableOf } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface NatsOutletConfig extends NatsConfig {
  readonly subject: string;
  readonly cloudevents?: CloudEventsConfig;
}

export const natsOutlet: OutletDefinition<NatsOutletConfig> = {
  name: "nats",
  summary: "To a NATS core subject; requests wait for the answer.",
  description: `A message counts as sent when the server has received it; there may be no subscribers. Use \`jetstream\` to
have it stored.

- **Address**: \`subject\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`; a value with a dot, a space or a wildcard is an error.
- **Idempotency**: \`Nats-Msg-Id\` is the same for every attempt at one send.
- **Requests** are NATS requests; without a subscriber they fail at once with \`MF_NATS_NO_RESPONDERS\`.
- **Headers** go with the message, one line for each value, content type as \`content-type\`, correlation id as \`mayfly-correlation-id\`; \`nats-…\` headers are left out.
- **Errors**: as those of the source, and \`MF_NATS_TOO_LARGE\` (over the server's max_payload; not retried).`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "subject"],
    properties: {
      ...natsSchema,
      subject: subjectSchema("Subject to send to."),
      cloudevents: cloudEventsSchema,
    },
  },
  example: `nats: { url: "\${NATS_URL}", subject: orders.big }`,
  answers: true,
  create: createNatsOutlet,
};

function createNatsOutlet(config: NatsOutletConfig, context: OutletContext): Outlet {
  checkTemplate(config.subject);
  const peer = natsPeer(config);
  const what = `subject ${config.subject}`;
  const link = new Link<NatsSession>({
    context,
    peer,
    explain: (error) => explainNats(peer, what, error),
    open: async ({ lost, own }) => own(await openNats(config, context, lost)),
  });

  return {
    start: () => link.start(),
    async send(message, attempt) {
      const { connection, guard } = link.need();
      const { subject, body, headers } = addressed(config, connection, message, attempt);
      connection.publish(subject, body, { headers });
      await unlessAborted(attempt.signal, guard.during(connection.flush())); // PONG comes after the server has read everything sent before
    },
    async request(message, attempt): Promise<Answer> {
      const session = link.need();
      const question = addressed(config, session.connection, message, attempt);
      const answer = await ask(session, attempt.signal, question);
      if (answer.headers?.code === 503 && answer.data.length === 0) {
        throw new OutletError(
          "MF_NATS_NO_RESPONDERS",
          `no service at ${peer} answers requests to ${question.subject}: start one, or correct the subject`,
          {
            retryable: true,
            status: 503,
          },
        );
      }
      return answerOf(fromNatsHeaders(answer, context), undefined, answer.data);
    },
    health: () => link.health(),
    async stop() {
      const { session } = link;
      await link.lastWords(session?.guard.during(session.connection.flush()));
      await link.stop();
    },
  };
}

interface Addressed {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly headers: MsgHdrs;
}

function addressed(config: NatsOutletConfig, connection: NatsConnection, message: Outgoing, attempt: Attempt): Addressed {
  const sendable = sendableOf(message, attempt, config.cloudevents);
  const headers = toNatsHeaders(sendable);
  headers.set("Nats-Msg-Id", sendable.id);
  checkSize(connection, sendable.body, headers);
  return { subject: addressOf(config.subject, message, subjectToken), body: sendable.body, headers };
}

/** The client's own request has a timeout that outlives the attempt; here the attempt's signal is the only timeout. */
async function ask({ connection, guard }: NatsSession, signal: AbortSignal, { subject, body, headers }: Addressed): Promise<Msg> {
  const inbox = createInbox();
  let unsubscribe = (): void => {};
  const answer = new Promise<Msg>((resolve, reject) => {
    const callback = (error: Error | null, message: Msg): void => (error === null ? resolve(message) : reject(error));
    const subscription = connection.subscribe(inbox, { max: 1, callback });
    unsubscribe = () => subscription.unsubscribe();
    connection.publish(subject, body, { headers, reply: inbox });
  });
  try {
    return await unlessAborted(signal, guard.during(answer));
  } finally {
    unsubscribe();
  }
}

/** The server counts headers and body together, and ends the connection over more than it takes. */
export function checkSize(connection: NatsConnection, body: Uint8Array, headers: MsgHdrs): void {
  const most = connection.info?.max_payload ?? Infinity;
  const bytes = natsBytes(body, headers);
  if (bytes > most) {
    throw new OutletError(
      "MF_NATS_TOO_LARGE",
      `the message has ${bytes} bytes including headers, and the server accepts ${most}: send less, or raise max_payload`,
      {
        retryable: false,
      },
    );
  }
}
