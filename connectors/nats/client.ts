/** NATS over @nats-io: connecting, its errors in our words, and headers. Used by NATS core and JetStream. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { checkServerIdentity } from "node:tls";
import {
  connect,
  credsAuthenticator,
  headers as natsHeaders,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nkeyAuthenticator,
  PermissionViolationError,
} from "@nats-io/transport-node";
import { headerPairs, type Headers, type HeadersDraft, headerText } from "#abi";
import { CodedError } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { LossGuard } from "../shared/link.ts";
import { readTls, tlsSchema, type TlsConfig, type TlsMaterial } from "../shared/tls.ts";
import { flatHeaders, headersOf, reportHeaders, type Sendable } from "../shared/wire.ts";

export interface NatsConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  readonly credentials?: string;
  readonly nkey?: string;
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

/** Schema of a subject that is published to. */
export function subjectSchema(description: string): JsonSchema {
  const patternErrorMessage = "must be a subject without spaces and the wildcards * and >";
  return { type: "string", minLength: 1, pattern: "^[^\\s*>]+$", patternErrorMessage, description };
}

/** Schema of a subject that is read: it may have wildcards. */
export function filterSchema(description: string): JsonSchema {
  return { type: "string", minLength: 1, pattern: "^[^\\s]+$", patternErrorMessage: "must be a subject without spaces", description };
}

/** Schema of a stream's or a consumer's name. */
export function streamNameSchema(description: string): JsonSchema {
  const patternErrorMessage = "must be a name without spaces, dots, *, > and slashes";
  return { type: "string", pattern: "^[^\\s.*>/\\\\]+$", patternErrorMessage, description };
}

export const natsSchema: Readonly<Record<string, JsonSchema>> = {
  url: {
    type: "string",
    description: "`nats://user:password@host:4222`, `tls://` for TLS; separate several servers of one cluster with commas.",
  },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  token: { type: "string", description: "Token, if the server requires one." },
  credentials: { type: "string", description: "File of user JWT and seed (`.creds`), relative to mayfly.yaml." },
  nkey: { type: "string", description: "Seed of an nkey (`SU…`)." },
  heartbeat: duration("Ping interval; the connection is lost after three unanswered pings.", "10s"),
  tls: tlsSchema,
};

const schemes = ["nats:", "tls:"];

export function natsPeer(config: NatsConfig): string {
  const urls = config.url.split(",").map((url) => url.trim());
  for (const url of urls) parseUrl(url, schemes);
  return urls.map(withoutSecrets).join(",");
}

export interface NatsSession {
  readonly connection: NatsConnection;
  /** With reconnecting off the client leaves pings and requests waiting when the connection is lost. */
  readonly guard: LossGuard;
  close(): Promise<void>;
}

/** `refused` gets publications that the server forbids; absent: these end the session. */
export async function openNats(
  config: NatsConfig,
  context: ConnectorContext,
  lost: (error: unknown) => void,
  refused: (error: Error) => void = lost,
): Promise<NatsSession> {
  const urls = config.url.split(",").map((url) => parseUrl(url.trim(), schemes));
  const [first] = urls;
  const tls = await readTls(config.tls, context);
  const username = config.username ?? decodeURIComponent(first?.username ?? "");
  const password = config.password ?? decodeURIComponent(first?.password ?? "");
  const connection = await connect({
    servers: urls.map((url) => url.host),
    name: `mayfly ${context.flow} ${context.name}`,
    reconnect: false, // the Link does it
    timeout: brokerLimits.connectMs,
    pingInterval: config.heartbeat,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(username === "" ? {} : { user: username, pass: password }),
    ...(config.token === undefined ? {} : { token: config.token }),
    ...(config.nkey === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(config.nkey)) }),
    ...(config.credentials === undefined ? {} : { authenticator: credsAuthenticator(await readCredentials(config.credentials, context)) }),
    ...(tls !== undefined || first?.protocol === "tls:" ? { tls: { ...(tls ?? {}), ...checkedAddress(urls, tls) } } : {}),
  });
  const guard = new LossGuard();
  void connection.closed().then((error) => {
    lost(error ?? new Error("the connection was closed"));
    guard.lost();
  });
  void watch(connection, lost, refused);
  return { connection, guard, close: () => connection.close() };
}

/**
 * For a url with an address in place of a name the client names no server, and Node then checks the certificate for "localhost". The
 * certificate must be for the address; of several in the url, for one of them.
 */
function checkedAddress(urls: readonly URL[], tls: TlsMaterial | undefined): { readonly checkServerIdentity?: typeof checkServerIdentity } {
  const addresses = urls.map((url) => url.hostname.replace(/^\[|\]$/g, "")).filter((host) => isIP(host) !== 0);
  if (addresses.length === 0 || tls?.servername !== undefined) return {};
  return {
    checkServerIdentity: (host, certificate) => {
      if (host !== "localhost" && host !== "") return checkServerIdentity(host, certificate);
      const errors = addresses.map((address) => checkServerIdentity(address, certificate));
      return errors.includes(undefined) ? undefined : errors[0];
    },
  };
}

async function readCredentials(file: string, context: ConnectorContext): Promise<Uint8Array> {
  try {
    return await readFile(resolve(context.base, file));
  } catch (cause) {
    throw new CodedError("MF_NATS_CREDENTIALS", `the credentials file ${file} can't be read`, { cause });
  }
}

/** Reports why a connection was lost or refused; `closed` does not tell. */
async function watch(connection: NatsConnection, lost: (error: unknown) => void, refused: (error: Error) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect") lost(new Error("the connection was lost"));
    else if (status.type === "staleConnection") lost(new Error("the server does not answer pings"));
    else if (status.type !== "error") continue;
    else if (status.error instanceof PermissionViolationError && status.error.operation === "publish") refused(status.error);
    else lost(status.error);
  }
}

export function explainNats(peer: string, what: string, error: unknown): CodedError {
  const message = messageOf(error);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (/permissions violation/i.test(message)) return told("MF_NATS_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
  if (/authorization|authentication/i.test(message))
    return told("MF_NATS_AUTH", `${peer} rejected the login: check username, password, token or credentials`);
  if (/jetstream not enabled|jetstream is not enabled/i.test(message))
    return told("MF_JETSTREAM_DISABLED", `${peer} has JetStream disabled for this account: enable it at the server`);
  if (/stream not found/i.test(message))
    return told("MF_JETSTREAM_NO_STREAM", `no stream for ${what} exists at ${peer}: create it, or correct its name`);
  if (/consumer (not found|deleted|is push based)/i.test(message))
    return told("MF_JETSTREAM_NO_CONSUMER", `${what} at ${peer}: ${message}`);
  return explainNetwork("NATS", peer, error);
}

/**
 * Headers of a message. JetStream's own (Nats-…) stay in. A header block the client can't read is left out and counted: the message itself
 * is whole.
 */
export function fromNatsHeaders(message: { readonly headers?: MsgHdrs | undefined }, context: ConnectorContext): HeadersDraft {
  try {
    const { headers } = message;
    if (headers === undefined) return {};
    return headersOf(
      headers.keys().map((name) => [name, headers.values(name)] as const),
      context,
    );
  } catch (error) {
    reportHeaders("dropped", context, `they can't be read (${messageOf(error)})`);
    return {};
  }
}

/** Bytes of a message that count against the server's `max_payload`: the header block as it is written, and the body. */
export function natsBytes(body: Uint8Array, headers: MsgHdrs): number {
  let bytes = body.length + "NATS/1.0\r\n\r\n".length;
  for (const name of headers.keys())
    for (const value of headers.values(name)) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  return bytes;
}

/** Without `Nats-Msg-Id`, which JetStream's outlet sets itself. */
export function toNatsHeaders(message: Omit<Sendable, "id" | "body">): MsgHdrs {
  const headers = natsHeaders();
  // Nats-… headers are commands to the server (expectations, rollups, ids): a forwarded header must not become one.
  for (const [name, value] of headerPairs(flatHeaders(message))) if (!/^nats-/i.test(name)) headers.append(name, value);
  return headers;
}

/** A value that is safe in a subject: no wildcard, no space, and no dot, which would make it several tokens. */
export const subjectToken = /^[^\s.*>\u0000-\u001f\u007f]+$/;

export function idOf(headers: Headers): string | undefined {
  return headerText(headers["nats-msg-id"]);
}

export type { Msg, NatsConnection };
