/** AMQP 1.0 over rhea, an optional package: loading it, connecting, opening links, its errors in our words. */
import { isIP } from "node:net";
import type * as Rhea from "rhea";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { quoteLimits } from "../shared/limits.ts";
import { checkTls, readTls, tlsSchema, type TlsConfig } from "../shared/tls.ts";
import { FrameGuard } from "./frame-guard.ts";
import { amqp1Limits } from "./limits.ts";
import { BadEncoding } from "./values.ts";

export type Client = Rhea.Container;

export interface Amqp1Config {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly auth: "plain" | "anonymous" | "external";
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

export const amqp1Schema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`amqp://user:password@host:5672`, or `amqps://` (port 5671) for TLS." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  auth: {
    enum: ["plain", "anonymous", "external"],
    default: "plain",
    description: "Login: user and password, none, or the client certificate.",
  },
  heartbeat: duration("Interval of heartbeats; the connection is lost after two silent intervals.", "10s"),
  tls: tlsSchema,
};

export const addressSchema = (description: string): JsonSchema => ({
  type: "string",
  minLength: 1,
  maxLength: amqp1Limits.addressCharacters,
  description,
});

const schemes = ["amqp:", "amqps:"];

export function amqp1Peer(config: Amqp1Config): string {
  parseUrl(config.url, schemes);
  checkTls(config.url, config.tls, { "amqp:": "amqps:" });
  return withoutSecrets(config.url);
}

/** Throws MF_AMQP1_CLIENT when the package is not installed. */
export async function loadClient(load: () => Promise<{ readonly default: unknown }> = () => import("rhea")): Promise<Client> {
  try {
    const client = (await load()).default as Client;
    // Messages are decoded with bounds, by message.ts.
    (client.message as { decode: (bytes: Buffer) => unknown }).decode = (bytes) => bytes;
    return client;
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new CodedError("MF_AMQP1_CLIENT", "the AMQP 1.0 client is not installed: run `npm install rhea@3` beside mayfly", { cause });
  }
}

/** The peer refused or ended something, and said this. */
export class Amqp1Fault extends Error {
  /** For example amqp:not-found. */
  readonly condition: string;
  readonly of: "login" | "connection" | "link";

  constructor(of: Amqp1Fault["of"], condition: string, description: string) {
    super(description);
    this.condition = condition;
    this.of = of;
  }
}

interface Told {
  readonly condition?: unknown;
  readonly description?: unknown;
  readonly message?: unknown;
}

function faultOf(of: Amqp1Fault["of"], told: unknown, otherwise: string): Amqp1Fault {
  const { condition, description, message } = (told ?? {}) as Told;
  const text = [description, message].find((each) => typeof each === "string" && each !== "") ?? otherwise;
  return new Amqp1Fault(of, String(condition ?? ""), String(text).slice(0, quoteLimits.text));
}

/** An open connection; `lost` was told when it ended. */
export interface Amqp1Session {
  readonly client: Client;
  readonly connection: Rhea.Connection;
  readonly guard: FrameGuard;
  close(): Promise<void>;
}

interface Opening {
  readonly config: Amqp1Config;
  readonly context: ConnectorContext;
  /** Name of this client at the broker, where it keeps a subscription under it. */
  readonly containerId?: string | undefined;
  readonly lost: (error: unknown) => void;
}

export async function openAmqp1({ config, context, containerId, lost }: Opening): Promise<Amqp1Session> {
  const rhea = await loadClient();
  const url = parseUrl(config.url, schemes);
  const isSecure = url.protocol === "amqps:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const container = rhea.create_container(containerId === undefined ? {} : { id: containerId });
  const connection = container.create_connection({
    host,
    hostname: config.tls?.servername ?? host,
    port: url.port === "" ? (isSecure ? 5671 : 5672) : Number(url.port),
    ...(isSecure ? { transport: "tls", servername: isIP(host) === 0 ? host : "", ...(await readTls(config.tls, context)) } : {}),
    reconnect: false,
    tcp_no_delay: true,
    max_frame_size: amqp1Limits.frameBytes,
    idle_time_out: config.heartbeat,
    session_buffer_size: amqp1Limits.sessionDeliveries,
    sasl_mechanisms: mechanisms(rhea, config, url),
  } as unknown as Rhea.ConnectionOptions);
  const guard = guarded(connection);
  let isOpen = false;
  const opened = new Promise<void>((resolve, reject) => {
    const ended = (error: unknown): void => {
      reject(error instanceof Error ? error : new Error(String(error)));
      lost(error);
    };
    connection.on("connection_open", () => {
      isOpen = true;
      resolve();
    });
    connection.on("connection_error", ({ error }: Rhea.EventContext) => ended(faultOf(isOpen ? "connection" : "login", error, "")));
    connection.on("connection_close", () => ended(new Error("the broker closed the connection")));
    connection.on("disconnected", ({ error }: Rhea.EventContext) => ended(error ?? new Error("the connection ended")));
    for (const event of ["protocol_error", "error"]) connection.on(event, ended);
    container.on("error", ended);
    for (const event of ["session_error", "session_close"])
      container.on(event, ({ session }: Rhea.EventContext) => {
        if (session?.error !== undefined) ended(faultOf("connection", session.error, "the broker ended the session"));
      });
  });
  connection.connect();
  const session: Amqp1Session = { client: rhea, connection, guard, close: () => closeAmqp1(connection) };
  try {
    await opened;
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Checks all that comes in before the library reads it. */
function guarded(connection: Rhea.Connection): FrameGuard {
  const read = connection["input"] as (bytes: Buffer) => void;
  const guard = new FrameGuard((frame) => read.call(connection, frame));
  connection["input"] = (chunk: Buffer): void => {
    try {
      guard.take(chunk);
    } catch (error) {
      (connection["socket"] as { destroy(): void }).destroy();
      connection.emit("error", error);
    }
  };
  return guard;
}

function mechanisms({ sasl }: Client, { auth, username, password }: Amqp1Config, url: URL): unknown {
  const chosen = sasl.client_mechanisms();
  const user = username ?? decodeURIComponent(url.username);
  if (auth === "external") chosen.enable_external();
  else if (auth === "anonymous" || user === "") chosen.enable_anonymous("mayfly");
  else chosen.enable_plain(user, password ?? decodeURIComponent(url.password));
  return chosen;
}

/** Resolves when the broker has read all that was written before. */
function closeAmqp1(connection: Rhea.Connection): Promise<void> {
  return new Promise((resolve) => {
    if (!connection.is_open()) return resolve();
    for (const event of ["connection_close", "disconnected"]) connection.on(event, () => resolve());
    connection.close();
  });
}

/** Resolves when the broker has read all that was written before. */
export function roundTrip({ connection }: Amqp1Session): Promise<void> {
  const session = connection.create_session();
  return new Promise((resolve) => {
    session.once("session_open", () => {
      session.close();
      resolve();
    });
    session.begin();
  });
}

/** Resolves when the peer has opened the link too; rejects when it refuses. `ended` is told when it ends a link that was open. */
export function opened<L extends Rhea.Sender | Rhea.Receiver>(link: L, ended: (error: unknown) => void): Promise<L> {
  const side = link.is_receiver() ? "receiver" : "sender";
  return new Promise((resolve, reject) => {
    const close = (): void => {
      const error = faultOf("link", link.error, "the broker ended the link");
      reject(error);
      ended(error);
    };
    link.on(`${side}_open`, () => {
      // A peer that refuses a link opens it without an address, and closes it with the reason.
      const { source, target } = link as { readonly source?: unknown; readonly target?: unknown };
      if ((side === "receiver" ? source : target) !== undefined) resolve(link);
    });
    for (const event of [`${side}_error`, `${side}_close`]) link.on(event, close);
    link.session.on("session_error", close).on("session_close", close);
  });
}

/** `what`: the connector's address, for people. */
export function explainAmqp1(peer: string, what: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  const message = messageOf(error);
  if (error instanceof BadEncoding) return told("MF_AMQP1_PROTOCOL", `${peer} sent what is no AMQP 1.0: ${message}`);
  if (error instanceof Error && error.name === "ProtocolError")
    return told("MF_AMQP1_PROTOCOL", `${peer} does not speak AMQP 1.0 (${message}): for RabbitMQ's own protocol use amqp`);
  if (!(error instanceof Amqp1Fault)) return explainNetwork("AMQP1", peer, error);
  if (error.of === "login") {
    if (/^No suitable mechanism/.test(message)) return told("MF_AMQP1_AUTH", `${peer} does not offer this login, auth: ${message}`);
    return told("MF_AMQP1_AUTH", `${peer} rejected the login: check url, username, password and auth`);
  }
  switch (error.condition) {
    case "amqp:not-found":
      return told("MF_AMQP1_NOT_FOUND", `${what} does not exist at ${peer}: create it, or correct its name. ${message}`);
    case "amqp:unauthorized-access":
      return told("MF_AMQP1_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
    case "amqp:resource-locked":
      return told("MF_AMQP1_LOCKED", `${what} is locked by another receiver: ${message}`);
    case "amqp:resource-limit-exceeded":
      return told("MF_AMQP1_FULL", `${peer} has no room: ${message}`);
    default:
      return told(
        "MF_AMQP1_REFUSED",
        `${peer} ended ${error.of === "link" ? what : "the connection"}: ${error.condition} ${message}`.trim(),
      );
  }
}
