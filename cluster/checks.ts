/**
 * Looks whether a cluster's servers can hold its journals, before a node relies on them: `mayfly cluster check`. All that a client can see is
 * seen by trying it on a stream of its own, which is removed at the end.
 */
import { JetStreamApiError, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { isCoded } from "#base";
import type { ClusterConfig } from "#gateway";
import { connectCluster } from "./connection.ts";
import { checkLimits } from "./limits.ts";
import { ensureStream, streamOfCheck } from "./log/mod.ts";

export interface Finding {
  /** `error`: nodes can't work like this. `warn`: they can, at the risk that the message names. */
  readonly level: "error" | "warn" | "info";
  readonly code: string;
  readonly message: string;
}

export interface CheckedServer {
  /** As the server calls itself. */
  readonly name: string;
  readonly version: string;
  readonly maxPayloadBytes: number;
}

export interface ClusterCheck {
  /** False with an `error` among the findings. */
  readonly ok: boolean;
  /** Those of the configuration that answered, in its order. */
  readonly servers: readonly CheckedServer[];
  readonly findings: readonly Finding[];
}

type Tell = (level: Finding["level"], code: string, message: string) => void;

/** Never rejects: what goes wrong is a finding. */
export async function checkCluster(config: ClusterConfig): Promise<ClusterCheck> {
  const findings: Finding[] = [];
  const tell: Tell = (level, code, message) => void findings.push({ level, code, message });
  const servers: CheckedServer[] = [];
  const urls = config.nats.split(",").map((url) => url.trim());
  for (const nats of urls) {
    const server = await look({ ...config, ...loginIn(config, urls), nats }, urls.length > 1, tell);
    if (server !== undefined) servers.push(server);
  }
  if (servers.length > 0) {
    checkVersions(servers, config, tell);
    await onConnection(config, tell, (connection) => tryStream(connection, config, tell));
  }
  return { ok: !findings.some(({ level }) => level === "error"), servers, findings };
}

/** The login of the first address is that of all. */
function loginIn({ username, password }: ClusterConfig, [first = ""]: readonly string[]): Pick<ClusterConfig, "username" | "password"> {
  const url = URL.canParse(first) ? new URL(first) : undefined;
  const given = (text: string | undefined): string | undefined =>
    text === undefined || text === "" ? undefined : decodeURIComponent(text);
  return { username: username ?? given(url?.username), password: password ?? given(url?.password) };
}

async function onConnection(config: ClusterConfig, tell: Tell, use: (connection: NatsConnection) => Promise<void>): Promise<void> {
  let connection: NatsConnection | undefined;
  try {
    connection = await connectCluster(config, { name: "mayfly cluster check" });
    await use(connection);
  } catch (error) {
    tell("error", isCoded(error) ? error.code : "MF_CLUSTER_UNANSWERED", error instanceof Error ? error.message : String(error));
  } finally {
    await connection?.close().catch(() => undefined);
  }
}

/** One server of the configuration. Without it a cluster of several may work all the same. */
async function look(config: ClusterConfig, hasOthers: boolean, tell: Tell): Promise<CheckedServer | undefined> {
  let server: CheckedServer | undefined;
  const tellOne: Tell = (level, code, message) => tell(hasOthers && code === "MF_CLUSTER_UNREACHABLE" ? "warn" : level, code, message);
  await onConnection(config, tellOne, async ({ info }) => {
    if (info !== undefined) server = { name: info.server_name, version: info.version, maxPayloadBytes: info.max_payload };
  });
  return server;
}

/** Major and minor version as one number: 2.10.27 is 2010. */
function versionNumber(version: string): number {
  const [major = "0", minor = "0"] = version.split(".");
  return 1_000 * Number(major) + Number(minor);
}

function checkVersions(servers: readonly CheckedServer[], { replicas }: ClusterConfig, tell: Tell): void {
  for (const { name, version } of servers) {
    if (versionNumber(version) < 2_009)
      tell("error", "MF_CLUSTER_SERVER_OLD", `${name} runs NATS ${version}: 2.9 or newer is needed, 2.10 or newer recommended`);
    else if (versionNumber(version) < 2_010)
      tell(
        "warn",
        "MF_CLUSTER_SERVER_OLD",
        `${name} runs NATS ${version}: it works, and 2.10 or newer is recommended (sync_interval, less memory)`,
      );
  }
  const lost = "the journal's messages of the last two minutes, though they were acknowledged";
  const who = replicas === 1 ? "a power loss of the server" : "a power loss of all servers at once";
  if (servers.some(({ version }) => versionNumber(version) < 2_010))
    tell(
      "warn",
      "MF_CLUSTER_SYNC",
      `${who} can cost ${lost}: these servers write to disk every two minutes, which only NATS 2.10 or newer can change`,
    );
  else
    tell(
      "warn",
      "MF_CLUSTER_SYNC",
      `unless each server's configuration has "jetstream { sync_interval: always }", ${who} can cost ${lost}; a client can't see this setting`,
    );
  if (replicas === 1)
    tell(
      "warn",
      "MF_CLUSTER_REPLICAS",
      "cluster.replicas is 1: while that server is away no partition works, and a lost disk loses them all",
    );
  if (replicas === 2)
    tell("warn", "MF_CLUSTER_REPLICAS", "cluster.replicas is 2: both servers must be there for every write; 3 survive the loss of one");
  for (const { name, maxPayloadBytes } of servers)
    if (maxPayloadBytes < checkLimits.payloadBytes)
      tell(
        maxPayloadBytes < checkLimits.leastPayloadBytes ? "error" : "warn",
        "MF_CLUSTER_PAYLOAD",
        `${name} takes messages of ${maxPayloadBytes} bytes: set max_payload to ${checkLimits.payloadBytes} or more, or batches are cut into many`,
      );
}

/** Makes a stream as a partition has it, tries the fence on it, and removes it. */
async function tryStream(connection: NatsConnection, config: ClusterConfig, tell: Tell): Promise<void> {
  const manager = await jetstreamManager(connection, { timeout: checkLimits.requestMs, checkAPI: false });
  if (!(await checkAccount(manager, config, tell))) return;
  const name = streamOfCheck(config.name);
  const prefix = `mayfly.${config.name}.check`;
  try {
    await manager.streams.delete(name).catch(() => undefined);
    await ensureStream(manager, { name, prefix, replicas: config.replicas });
    await tryFence(connection, name, prefix, tell);
    await manager.streams.purge(name, { filter: `${prefix}.a` });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    if (error instanceof JetStreamApiError && noReplicas.has(error.code))
      tell(
        "error",
        "MF_CLUSTER_REPLICAS",
        `the servers can't keep ${config.replicas} copies (${what}): start as many with JetStream, or lower cluster.replicas`,
      );
    else if (isCoded(error)) tell("error", error.code, error.message);
    else tell("error", "MF_CLUSTER_UNANSWERED", `a stream of ${config.replicas} copies could not be made and written (${what})`);
  } finally {
    await manager.streams.delete(name).catch(() => undefined);
  }
}

/** No suitable peers, not clustered, insufficient resources. */
const noReplicas: ReadonlySet<number> = new Set([10005, 10074, 10023]);

/** False if nothing more can be tried. */
async function checkAccount(manager: JetStreamManager, { name, partitions }: ClusterConfig, tell: Tell): Promise<boolean> {
  try {
    const { limits, streams } = await manager.getAccountInfo();
    const present = (await manager.streams.names(`mayfly.${name}.>`).next()).length;
    const needed = Math.max(0, partitions + checkLimits.otherStreams - present);
    if (limits.max_streams > 0 && streams + needed > limits.max_streams)
      tell(
        "error",
        "MF_CLUSTER_LIMITS",
        `the account may have ${limits.max_streams} streams, and this cluster needs ${needed} more: raise max_streams`,
      );
    if (limits.max_storage === 0) tell("error", "MF_CLUSTER_LIMITS", "the account may store nothing in files: raise its max_file");
    return true;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    tell("error", "MF_CLUSTER_JETSTREAM", `JetStream does not answer this account (${what}): enable it at the servers and for the account`);
    return false;
  }
}

async function tryFence(connection: NatsConnection, stream: string, prefix: string, tell: Tell): Promise<void> {
  const js = jetstream(connection, { timeout: checkLimits.requestMs });
  const options = { expect: { streamName: stream, lastSequence: 0 } };
  await js.publish(`${prefix}.a`, "1", options);
  const isRefused = await js.publish(`${prefix}.a`, "2", options).then(
    () => false,
    () => true,
  );
  if (!isRefused)
    tell(
      "error",
      "MF_CLUSTER_FENCE",
      "the servers take a message that expects another one to be the last: they can't keep two nodes apart",
    );
}
