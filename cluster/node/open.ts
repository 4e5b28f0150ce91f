/** Opens a node: the connection to its servers, the letters and the table of owners. */
import { randomBytes } from "node:crypto";
import { type Clock, CodedError, isCoded } from "#base";
import type { Cluster, ClusterConfig, ClusterDesk, DeadLetters, Logger, PartitionedJournal, PreparedReload } from "#gateway";
import { connectCluster } from "../connection.ts";
import { openDeadLetters } from "../letters/mod.ts";
import { openStreamStore } from "../ownership/mod.ts";
import { newRevisionKey } from "../reload/mod.ts";
import { nodeLimits } from "./limits.ts";
import { ClusterNode } from "./node.ts";

export interface OpenClusterOptions {
  readonly config: ClusterConfig;
  /** Name of this node: see `nodeName`. */
  readonly node: string;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bodies that the journals of all partitions keep in memory, in bytes. */
  readonly bodyMemoryBytes: number;
  /** Where this node's HTTP server listens, to be shown; undefined until it does. */
  readonly address: () => string | undefined;
  /** The flows whose letters keep what their callers identified themselves with. */
  readonly keepsCredentials?: ((flow: string) => boolean) | undefined;
}

export interface OpenedCluster extends ClusterDesk {
  /** For the gateway's ports of these names. */
  readonly cluster: Cluster;
  readonly journal: PartitionedJournal;
  readonly deadLetters: DeadLetters;
  /** From now on reloads of the cluster have this node swap as well. */
  serveReloads(prepare: () => Promise<PreparedReload>): Promise<void>;
  /** After the gateway has stopped. */
  close(): Promise<void>;
}

/** Tries again while the servers elect, as they do when they have just started. Rejects with MF_CLUSTER_JETSTREAM, or a coded error at once. */
async function withJetStream<T>(clock: Clock, open: () => Promise<T>): Promise<T> {
  for (const untilMs = clock.monotonicMs() + nodeLimits.openMs; ; ) {
    try {
      return await open();
    } catch (cause) {
      if (isCoded(cause)) throw cause;
      if (clock.monotonicMs() > untilMs)
        throw new CodedError(
          "MF_CLUSTER_JETSTREAM",
          `JetStream does not answer, or refuses: see what \`mayfly cluster check\` says of the servers (${cause instanceof Error ? cause.message : String(cause)})`,
          { cause },
        );
      await new Promise<void>((resolve) => clock.after(nodeLimits.openAgainMs, resolve));
    }
  }
}

/** Rejects with MF_CLUSTER_UNREACHABLE and its like, MF_CLUSTER_PARTITIONS, MF_CLUSTER_STREAM or MF_CLUSTER_JETSTREAM. */
export async function openCluster(options: OpenClusterOptions): Promise<OpenedCluster> {
  const { config, node: name, version, clock, logger, bodyMemoryBytes, address, keepsCredentials } = options;
  const { name: cluster, replicas, partitions } = config;
  const connection = await connectCluster(config, { name: `mayfly ${cluster} ${name}` });
  try {
    const [store, deadLetters, revisionKey] = await withJetStream(clock, async () => {
      const table = await openStreamStore({ connection, cluster, replicas, partitions, clock });
      const letters = await openDeadLetters({ connection, cluster, replicas, keepsCredentials });
      return [table, letters, await table.fixed("meta.revisions", newRevisionKey())] as const;
    });
    const life = randomBytes(nodeLimits.lifeBytes).toString("base64url");
    const node = new ClusterNode({
      ...{ connection, config, node: name, life, version, store, deadLetters, clock, logger, bodyMemoryBytes, address, revisionKey },
    });
    return {
      cluster: node,
      journal: node.journal,
      deadLetters,
      loads: () => node.loads(),
      status: () => node.status(),
      drain: (other) => node.drain(other),
      reload: () => node.reload(),
      get difference() {
        return node.difference;
      },
      serveReloads: (prepare) => node.serveReloads(prepare),
      close: () => connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
