/** The connection of a node to its NATS servers. It comes back by itself for as long as the process runs. */
import { readFile } from "node:fs/promises";
import type { ConnectionOptions, NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { CodedError } from "#base";
import type { ClusterConfig } from "#gateway";
import { clusterLimits } from "./limits.ts";

export interface ConnectOptions {
  /** Shown by the servers. */
  readonly name: string;
  /** How long the first connection may take, in milliseconds. */
  readonly mostMs?: number;
}

/** Rejects with MF_CLUSTER_UNREACHABLE, MF_CLUSTER_AUTH, MF_CLUSTER_TLS or MF_CLUSTER_CREDENTIALS. */
export async function connectCluster(config: ClusterConfig, options: ConnectOptions): Promise<NatsConnection> {
  const urls = config.nats.split(",").map((url) => new URL(url.trim()));
  const nats = await import("@nats-io/transport-node");
  const settings: ConnectionOptions = {
    servers: urls.map((url) => url.host),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: clusterLimits.reconnectMs,
    timeout: options.mostMs ?? clusterLimits.connectMs,
    pingInterval: clusterLimits.pingMs,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...loginOf(config, urls),
    ...(await authenticatorOf(config, nats)),
    ...(await tlsOf(config, urls)),
  };
  try {
    return await nats.connect(settings);
  } catch (error) {
    throw explained(error, urls);
  }
}

function loginOf({ username, password, token }: ClusterConfig, [first]: readonly URL[]): ConnectionOptions {
  const user = username ?? decodeURIComponent(first?.username ?? "");
  const pass = password ?? decodeURIComponent(first?.password ?? "");
  return { ...(user === "" ? {} : { user, pass }), ...(token === undefined ? {} : { token }) };
}

type Client = typeof import("@nats-io/transport-node");

async function authenticatorOf({ credentials, nkey }: ClusterConfig, nats: Client): Promise<ConnectionOptions> {
  if (credentials !== undefined) return { authenticator: nats.credsAuthenticator(await fileOf(credentials, "cluster.credentials")) };
  return nkey === undefined ? {} : { authenticator: nats.nkeyAuthenticator(new TextEncoder().encode(nkey)) };
}

async function tlsOf({ tls }: ClusterConfig, urls: readonly URL[]): Promise<ConnectionOptions> {
  if (tls === undefined && !urls.some(({ protocol }) => protocol === "tls:")) return {};
  const text = async (file: string | undefined, setting: string): Promise<string | undefined> =>
    file === undefined ? undefined : (await fileOf(file, setting)).toString();
  const [ca, cert, key] = await Promise.all([
    text(tls?.ca, "cluster.tls.ca"),
    text(tls?.cert, "cluster.tls.cert"),
    text(tls?.key, "cluster.tls.key"),
  ]);
  const material: TlsOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  return { tls: material };
}

async function fileOf(path: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CodedError("MF_CLUSTER_CREDENTIALS", `the file that ${setting} names can't be read: correct the path, or its permissions`, {
      cause,
    });
  }
}

/** Addresses without user and password. */
function explained(cause: unknown, urls: readonly URL[]): CodedError {
  const peers = urls.map(({ protocol, host }) => `${protocol}//${host}`).join(", ");
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/authorization|authentication/i.test(message))
    return new CodedError(
      "MF_CLUSTER_AUTH",
      `the NATS servers rejected the login of the cluster: check the user, token or credentials (${peers})`,
      {
        cause,
      },
    );
  if (/certificate|tls|ssl/i.test(message))
    return new CodedError(
      "MF_CLUSTER_TLS",
      `no TLS connection to the NATS servers of the cluster: check cluster.tls and their certificates (${peers}: ${message})`,
      {
        cause,
      },
    );
  return new CodedError(
    "MF_CLUSTER_UNREACHABLE",
    `no NATS server of the cluster can be reached: start one, or correct cluster.nats (${peers})`,
    {
      cause,
    },
  );
}
