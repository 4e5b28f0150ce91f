/** Into a NATS JetStream stream, acknowledged by it. */
import { type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { type JetStreamClient, JetStreamApiError, JetStreamError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { NoRespondersError, RequestError, TimeoutError } from "@nats-io/transport-node";
import { brokerLimits } from "../shared/limits.ts";
import { Link, unlessAborted } from "../shared/link.ts";
import {
  explainNats,
  type NatsConfig,
  natsPeer,
  natsSchema,
  type NatsSession,
  openNats,
  streamNameSchema,
  subjectSchema,
  subjectToken,
  toNatsHeaders,
} from "../nats/client.ts";
import { addressOf, checkTemplate, sendableOf } from "../shared/wire.ts";
import { type CloudEventsConfig, cloudEventsSchema } from "../shared/cloudevents/write.ts";
import { checkSize } from "../nats/outlet.ts";

export interface JetStreamOutletConfig extends NatsConfig {
  readonly subject: string;
  readonly stream?: string;
  readonly cloudevents?: CloudEventsConfig;
}

export const jetstreamOutlet: OutletDefinition<JetStreamOutletConfig> = {
  name: "jetstream",
  summary: "To a NATS JetStream stream, acknowledged by it.",
  description: `A message counts as sent when the stream has acknowledged it.

- **Idempotency**: \`Nats-Msg-Id\` is the same for every attempt at one send; within the stream's \`duplicate_window\` (two minutes unless
  configured) the server stores it once.
- **Address**: \`subject\` may hold \`{key}\`, \`{header.name}\`, \`{flow}\`, \`{outlet}\`. With \`stream\`, the stream is checked at the start, and the
  message must land in it.
- **Headers** as with \`nats\`; \`nats-…\` headers are left out.
- **Errors**: those of \`nats\`, and \`MF_JETSTREAM_NO_STREAM\` (no stream stores the subject), \`MF_JETSTREAM_REFUSED\` (a full stream, a wrong stream).`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url", "subject"],
    properties: {
      ...natsSchema,
      subject: subjectSchema("Subject to publish to."),
      stream: streamNameSchema("Stream the subject must belong to."),
      cloudevents: cloudEventsSchema,
    },
  },
  example: `jetstream: { url: "\${NATS_URL}", subject: "orders.{key}", stream: ORDERS }`,
  answers: false,
  create: createJetStreamOutlet,
};

interface Publishing extends NatsSession {
  readonly client: JetStreamClient;
}

function createJetStreamOutlet(config: JetStreamOutletConfig, context: OutletContext): Outlet {
  checkTemplate(config.subject);
  const peer = natsPeer(config);
  const what = config.stream === undefined ? `subject ${config.subject}` : `stream ${config.stream}`;
  const link = new Link<Publishing>({
    context,
    peer: `${peer} ${what}`,
    explain: (error) => explainNats(peer, what, error),
    async open({ lost, own }) {
      const session = own(await openNats(config, context, lost));
      const { connection, guard } = session;
      if (config.stream !== undefined) {
        const manager = await guard.during(jetstreamManager(connection, { timeout: brokerLimits.connectMs }));
        await guard.during(manager.streams.info(config.stream));
      }
      return { ...session, client: jetstream(connection) };
    },
  });

  return {
    start: () => link.start(),
    async send(message, attempt) {
      const { client, connection, guard } = link.need();
      const sendable = sendableOf(message, attempt, config.cloudevents);
      const headers = toNatsHeaders(sendable);
      const sized = toNatsHeaders(sendable);
      sized.set("Nats-Msg-Id", sendable.id); // as the client will
      checkSize(connection, sendable.body, sized);
      const subject = addressOf(config.subject, message, subjectToken);
      const expect = config.stream === undefined ? {} : { expect: { streamName: config.stream } };
      const options = { msgID: sendable.id, headers, timeout: brokerLimits.publishMs, retries: 0, ...expect };
      try {
        await unlessAborted(attempt.signal, guard.during(client.publish(subject, sendable.body, options)));
      } catch (error) {
        throw explainPublish(peer, subject, error);
      }
    },
    health: () => link.health(),
    stop: () => link.stop(),
  };
}

function explainPublish(peer: string, subject: string, error: unknown): unknown {
  if (error instanceof OutletError) return error;
  const noStream = error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders()) || isNoStream(error);
  if (noStream)
    return new OutletError("MF_JETSTREAM_NO_STREAM", `no stream at ${peer} stores ${subject}: create one, or correct the subject`, {
      retryable: true,
      cause: error,
    });
  if (error instanceof JetStreamApiError || error instanceof JetStreamError) {
    return new OutletError("MF_JETSTREAM_REFUSED", `${peer} did not store the message for ${subject}: ${error.message}`, {
      retryable: true,
      cause: error,
    });
  }
  if (error instanceof TimeoutError)
    return new OutletError("MF_OUTLET_TIMEOUT", `${peer} did not acknowledge in time`, { retryable: true, cause: error });
  const { code, message } = explainNats(peer, subject, error);
  return new OutletError(code, message, { retryable: true, cause: error });
}

/** The client turns "no responders" into an error of its own. */
function isNoStream(error: unknown): boolean {
  return error instanceof Error && /no responders|no stream matches|stream not found|jetstream is not available/i.test(error.message);
}
