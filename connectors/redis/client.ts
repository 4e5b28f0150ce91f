/** Redis over node-redis: connecting, its errors in our words, heartbeats. Commands are sent raw, so that replies are those of the manual. */
import { createClient, RESP_TYPES } from "redis";
import { CodedError } from "#base";
import { type ConnectorContext, duration, type JsonSchema } from "#gateway/contract";
import { explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { heartbeat } from "../shared/link.ts";
import { checkTls, readTls, tlsSchema, type TlsConfig, type TlsMaterial } from "../shared/tls.ts";

export interface RedisConfig {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly heartbeat: number;
  readonly tls?: TlsConfig;
}

export const redisSchema: Readonly<Record<string, JsonSchema>> = {
  url: { type: "string", description: "`redis://user:password@host:6379/0`, or `rediss://` for TLS." },
  username: { type: "string", description: "Overrides the one in `url`." },
  password: { type: "string", description: "Overrides the one in `url`." },
  heartbeat: duration("Timeout after which a server that does not answer a ping counts as lost.", "10s"),
  tls: tlsSchema,
};

const schemes = ["redis:", "rediss:"];

export function redisPeer(config: RedisConfig): string {
  parseUrl(config.url, schemes);
  checkTls(config.url, config.tls, { "redis:": "rediss:" });
  return withoutSecrets(config.url);
}

/** Reply of a raw command: RESP2, strings as bytes. */
export type Reply = null | number | string | Buffer | readonly Reply[];

export interface RedisConnection {
  command(...words: readonly (string | Buffer)[]): Promise<Reply>;
  close(): Promise<void>;
}

/** Without a heartbeat a silent server is not noticed. */
export async function openRedis(
  config: Omit<RedisConfig, "heartbeat"> & { readonly heartbeat: number | undefined },
  context: ConnectorContext,
  lost: (error: unknown) => void,
): Promise<RedisConnection> {
  const url = parseUrl(config.url, schemes);
  const tls = await readTls(config.tls, context);
  const username = config.username ?? decodeURIComponent(url.username);
  const password = config.password ?? decodeURIComponent(url.password);
  const client = createClient({
    RESP: 2,
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
    ...(url.pathname.length > 1 ? { database: Number(url.pathname.slice(1)) } : {}),
    name: `mayfly-${context.flow}-${context.name}`.replace(/[^!-~]/g, "-"),
    disableOfflineQueue: true,
    socket: socketOptions(url, tls),
  });
  client.on("error", lost);
  client.on("end", () => lost(new Error("the connection was closed")));
  try {
    await client.connect();
  } catch (error) {
    if (client.isOpen) client.destroy();
    throw error;
  }
  const command = (...words: readonly (string | Buffer)[]): Promise<Reply> =>
    client.sendCommand<Reply>(words, { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } });
  const stopBeating = config.heartbeat === undefined ? undefined : heartbeat(context, config.heartbeat, () => command("PING"), lost);
  return {
    command,
    close: async () => {
      stopBeating?.();
      if (client.isOpen) client.destroy();
    },
  };
}

function socketOptions(url: URL, tls: TlsMaterial | undefined): NonNullable<NonNullable<Parameters<typeof createClient>[0]>["socket"]> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const common = {
    host,
    port: url.port === "" ? 6379 : Number(url.port),
    connectTimeout: brokerLimits.connectMs,
    reconnectStrategy: false as const, // the Link does it
  };
  return url.protocol === "rediss:" ? { ...common, tls: true as const, ...tls } : common;
}

export function explainRedis(peer: string, what: string, error: unknown): CodedError {
  const message = messageOf(error);
  const told = (code: string, text: string): CodedError => new CodedError(code, text, { cause: error });
  if (/^(NOAUTH|WRONGPASS)|AUTH .*called without any password/.test(message)) {
    return told("MF_REDIS_AUTH", `${peer} rejected the login: check url, username and password`);
  }
  if (message.startsWith("NOPERM")) return told("MF_REDIS_FORBIDDEN", `${peer} denied this user access to ${what}: ${message}`);
  if (/requires the key to exist|no such key|UNBLOCKED the stream key no longer exists/i.test(message)) {
    return told("MF_REDIS_NO_STREAM", `${what} does not exist at ${peer}: create it, correct its name, or use create`);
  }
  if (message.startsWith("NOGROUP")) return told("MF_REDIS_NO_GROUP", `the consumer group of ${what} does not exist at ${peer}`);
  if (message.startsWith("WRONGTYPE")) return told("MF_REDIS_WRONG_TYPE", `${what} at ${peer} is not a stream`);
  if (message.startsWith("OOM")) return told("MF_REDIS_FULL", `${peer} is out of memory: ${message}`);
  if (/^(READONLY|MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN)/.test(message))
    return told("MF_REDIS_UNAVAILABLE", `${peer} does not accept writes: ${message}`);
  return explainNetwork("REDIS", peer, error);
}

export function isReply(error: unknown): boolean {
  return error instanceof Error && /^[A-Z]{2,} /.test(error.message);
}
