/** IMAP over imapflow, an optional package: loading it, login and TLS, its errors in our words. */
import type { ImapFlow, ImapFlowOptions } from "imapflow";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits, quoteLimits } from "../shared/limits.ts";
import type { Opening } from "../shared/link.ts";
import { readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { imapLimits } from "./limits.ts";

export interface ImapConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly accessToken?: string;
  readonly requireTls: boolean;
  readonly tls?: TlsConfig;
  readonly heartbeat: number;
}

export const imapSchema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`imaps://user:password@host:993`, or `imap://host:143`, which goes on with STARTTLS." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  accessToken: { type: "string", description: "Access token of OAuth 2 instead of a password; `${file:…}` is read again when it changes." },
  requireTls: { type: "boolean", default: true, description: "false: log in without TLS where an `imap://` server offers no STARTTLS." },
  tls: tlsSchema,
  heartbeat: duration("Time without an answer after which the connection counts as lost.", "30s"),
};

export const imapPeer = ({ url }: ImapConfig): string => withoutSecrets(url);

type Client = Pick<typeof import("imapflow"), "ImapFlow">;

/** Throws MF_IMAP_CLIENT when a package is not installed. */
export async function loadClient(load: () => Promise<Client> = loadBoth): Promise<Client> {
  try {
    return await load();
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    const text = "the IMAP client is not installed: run `npm install imapflow@2 postal-mime@4` beside mayfly";
    throw new CodedError("MF_IMAP_CLIENT", text, { cause });
  }
}

/** The parser is loaded by its process: here it only shows that it is there. */
async function loadBoth(): Promise<Client> {
  const [client] = await Promise.all([import("imapflow"), import("postal-mime")]);
  return client;
}

/** Connects and logs in. Closed with the session. */
export async function openImap(config: ImapConfig, context: ConnectorContext, { lost, own }: Opening): Promise<ImapFlow> {
  const { ImapFlow } = await loadClient();
  const url = parseUrl(config.url, ["imap:", "imaps:"]);
  const secure = url.protocol === "imaps:";
  const tls = await readTls(config.tls, context);
  const user = config.username ?? decodeURIComponent(url.username);
  const pass = config.password ?? decodeURIComponent(url.password);
  const options: ImapFlowOptions = {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (secure ? 993 : 143) : Number(url.port),
    secure,
    ...(secure || !config.requireTls ? {} : { doSTARTTLS: true }),
    auth: { user, ...(config.accessToken === undefined ? { pass } : { accessToken: config.accessToken }) },
    ...(tls === undefined ? {} : { tls, ...(tls.servername === undefined ? {} : { servername: tls.servername }) }),
    logger: false, // it would log what is sent
    autoIdleDelay: imapLimits.idleAfterMs,
    maxIdleTime: imapLimits.idleMs,
    disableCompression: true, // what unfolds has no bound
    connectionTimeout: brokerLimits.connectMs,
    greetingTimeout: brokerLimits.connectMs,
    maxLineLength: imapLimits.lineBytes,
    maxLiteralSize: imapLimits.literalBytes,
    maxResponseSize: imapLimits.responseBytes,
    maxResponseTokens: imapLimits.responseTokens,
  };
  const client = new ImapFlow(options);
  client.on("error", lost);
  client.on("close", () => lost(new Error("the connection was closed")));
  own({ close: () => client.close() });
  await client.connect();
  return client;
}

/** The server's own words on what it refused; undefined for other errors. */
function refusal(error: unknown): string | undefined {
  const { responseStatus, responseText } = error as { readonly responseStatus?: unknown; readonly responseText?: unknown };
  if (typeof responseStatus !== "string") return undefined;
  return typeof responseText === "string" ? responseText.slice(0, quoteLimits.text) : responseStatus;
}

export function explainImap(peer: string, place: string, error: unknown): CodedError {
  if (isCoded(error)) return error;
  if ((error as { readonly authenticationFailed?: unknown }).authenticationFailed === true)
    return new CodedError("MF_IMAP_AUTH", `${peer} rejected the login: check username and password, or accessToken`, { cause: error });
  if (/STARTTLS/i.test(messageOf(error))) {
    const text = `${peer} offers no STARTTLS: use imaps://, or requireTls: false where the network is trusted`;
    return new CodedError("MF_IMAP_TLS", text, { cause: error });
  }
  const why = refusal(error);
  if (why === undefined) return explainNetwork("IMAP", peer, error);
  return new CodedError("MF_IMAP_REFUSED", `${peer} refused a command on ${place}: ${why}`, { cause: error });
}
