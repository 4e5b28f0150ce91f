/** AMQP 0-9-1 (RabbitMQ) over amqplib: connecting, its errors in our words, and properties ⇄ headers. */
import amqp, { type ChannelModel, type ConfirmChannel, type Message, type Options } from "amqplib";
import { type HeadersDraft, headerText } from "#abi";
import { CodedError } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { checkTls, readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { headersOf, shortId, type Sendable } from "../shared/wire.ts";

export interface AmqpConnection {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly auth: "plain" | "external";
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

export const amqpConnectionSchema: Readonly<Record<string, JsonSchema>> = {
  url: {
    type: "string",
    default: "amqp://localhost",
    description: "`amqp://user:password@host:5672/vhost`, or `amqps://` for TLS. Default: the broker on this computer.",
  },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  auth: {
    enum: ["plain", "external"],
    default: "plain",
    description: "external: the broker takes the user from the client certificate.",
  },
  heartbeat: duration("Heartbeat interval in whole seconds; the connection is lost after two silent intervals.", "10s"),
  tls: tlsSchema,
};

export function amqpPeer(config: AmqpConnection): string {
  parseUrl(config.url, ["amqp:", "amqps:"]);
  checkTls(config.url, config.tls, { "amqp:": "amqps:" });
  return withoutSecrets(config.url);
}

/** An open connection with one channel, both watched: `lost` is called when either ends. */
export interface AmqpSession {
  readonly channel: ConfirmChannel;
  readonly connection: ChannelModel;
  /** The broker's reason to block publishers (an alarm for memory or disk), or undefined. */
  blocked: string | undefined;
  /** The broker's reason to close the channel: pending confirms only learn that it was closed. */
  failure: unknown;
  close(): Promise<void>;
}

export async function openAmqp(config: AmqpConnection, context: ConnectorContext, lost: (error: unknown) => void): Promise<AmqpSession> {
  const url = parseUrl(config.url, ["amqp:", "amqps:"]);
  const tls = await readTls(config.tls, context);
  const target: Options.Connect = {
    protocol: url.protocol.slice(0, -1),
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    username: config.username ?? (decodeURIComponent(url.username) || "guest"),
    password: config.password ?? (decodeURIComponent(url.password) || "guest"),
    heartbeat: Math.max(1, Math.round(config.heartbeat / 1000)),
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    ...(url.pathname.length > 1 ? { vhost: url.pathname.slice(1) } : {}),
  };
  const connection = await amqp.connect(target, {
    noDelay: true,
    timeout: brokerLimits.connectMs,
    clientProperties: { connection_name: `mayfly ${context.flow} ${context.name}` },
    ...(config.auth === "external" ? { credentials: amqp.credentials.external() } : {}),
    ...tls,
  });
  try {
    connection.on("error", lost);
    connection.on("close", (error: unknown) => lost(error ?? new Error("the broker closed the connection")));
    const channel = await connection.createConfirmChannel();
    const session: AmqpSession = { channel, connection, blocked: undefined, failure: undefined, close: () => closeAmqp(session) };
    // A channel's error event comes first and says why; its close says nothing.
    channel.on("error", (error: unknown) => {
      session.failure = error;
      lost(error);
    });
    channel.on("close", () => lost(new Error("the broker closed the channel")));
    connection.on("blocked", (reason: string) => (session.blocked = reason));
    connection.on("unblocked", () => (session.blocked = undefined));
    return session;
  } catch (error) {
    await connection.close().catch(() => {});
    throw error;
  }
}

/** Channel first: its close-ok says that the acknowledgements before it were handled. */
async function closeAmqp({ channel, connection }: AmqpSession): Promise<void> {
  await channel.close().catch(() => {});
  await connection.close().catch(() => {});
}

/** `what`: the connector's queue or exchange, for a 404. */
export function explainAmqp(peer: string, what: string, error: unknown): CodedError {
  const message = messageOf(error);
  const status = Number((error as { readonly code?: unknown } | undefined)?.code ?? /\b(\d{3}) \(/.exec(message)?.[1]);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (/ACCESS[-_]REFUSED/.test(message) && /login|handshake/i.test(message)) {
    return told("MF_AMQP_AUTH", `${peer} rejected the user or password: check url, username and password`);
  }
  // amqplib drops the reason: after the login only the vhost can be refused.
  if (/Expected ConnectionOpenOk; got <ConnectionClose/.test(message))
    return told("MF_AMQP_VHOST", `${peer} denied access to the vhost: create it, correct the url, or grant the user permissions`);
  if (/mechanism/.test(message)) return told("MF_AMQP_AUTH", `${peer} does not support this login mechanism: ${message}`);
  switch (status) {
    case 403:
      return told("MF_AMQP_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
    case 404:
      return told("MF_AMQP_NOT_FOUND", `${what} does not exist at ${peer}: create it, or correct its name`);
    case 405:
      return told("MF_AMQP_LOCKED", `${what} is locked by an exclusive consumer on another connection: ${message}`);
    case 406:
      return told(
        "MF_AMQP_PRECONDITION",
        `${peer} closed the channel: ${message}. It also does so after 30 minutes without an acknowledgement (consumer_timeout)`,
      );
    case 530:
      return told("MF_AMQP_VHOST", `${peer} denied this user access: check the vhost. ${message}`);
    case 320:
      return told("MF_AMQP_UNREACHABLE", `${peer} is shutting down`);
    default:
  }
  if (codeOf(error) === "" && /Socket closed abruptly during opening handshake/.test(message)) {
    return told("MF_AMQP_UNREACHABLE", `${peer} closed the connection during the handshake`);
  }
  return explainNetwork("AMQP", peer, error);
}

/** Properties that have no field in our message, as headers `amqp-…`; and the header table. */
export function amqpHeaders(message: Message, context: ConnectorContext): HeadersDraft {
  const { properties, fields } = message;
  const special: (readonly [string, unknown])[] = [
    ["amqp-exchange", fields.exchange === "" ? undefined : fields.exchange],
    ["amqp-routing-key", fields.routingKey],
    ["amqp-type", properties.type],
    ["amqp-app-id", properties.appId],
    ["amqp-user-id", properties.userId],
    ["amqp-timestamp", properties.timestamp],
    ["amqp-priority", properties.priority],
    ["content-encoding", properties.contentEncoding],
    ["reply-to", properties.replyTo],
  ];
  // Properties win over a header of the same name.
  return { ...headersOf(Object.entries(properties.headers ?? {}), context), ...headersOf(special, context) };
}

/** Short strings hold 255 bytes (AMQP 0-9-1, 4.2.5.3). */
const shortStringBytes = 255;

export function amqpOptions(message: Sendable): Options.Publish {
  const { "content-encoding": contentEncoding, ...headers } = message.headers;
  const options: Options.Publish = {
    headers: message.key === undefined ? headers : { ...headers, "mayfly-key": message.key },
    contentType: message.contentType.slice(0, shortStringBytes),
    messageId: shortId(message.id, shortStringBytes),
  };
  if (contentEncoding !== undefined) options.contentEncoding = headerText(contentEncoding).slice(0, shortStringBytes);
  if (message.correlationId !== undefined) setCorrelation(options, message.correlationId);
  return options;
}

/** A correlation id that is too long for the property goes into a header: cut short it would correlate nothing. */
function setCorrelation(options: Options.Publish, correlationId: string): void {
  if (Buffer.byteLength(correlationId) <= shortStringBytes) options.correlationId = correlationId;
  else (options.headers as HeadersDraft)["mayfly-correlation-id"] = correlationId;
}
