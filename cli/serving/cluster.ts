/** The cluster that a served mayfly.yaml names, and the folders of this node. */
import { join } from "node:path";
import { systemClock } from "#base";
import type { OpenedCluster } from "#cluster";
import { type GatewayConfig, type GatewayMemory, type Logger, logLimits } from "#gateway";
import { version } from "../package.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface ClusterParts {
  readonly logger: Logger;
  readonly memory: GatewayMemory;
  readonly environment: Environment;
  readonly keepsCredentials: (flow: string) => boolean;
  /** Where this node listens; undefined until it does. */
  readonly address: () => string | undefined;
}

/** Undefined without `cluster:`. Rejects as `openCluster` does. The client of NATS is loaded only here. */
export async function openedCluster(config: GatewayConfig, parts: ClusterParts): Promise<OpenedCluster | undefined> {
  if (config.cluster === undefined) return undefined;
  const { nodeName, openCluster } = await import("#cluster");
  const { environment, memory, ...rest } = parts;
  const bodyMemoryBytes = Math.min(logLimits.bodyMemoryBytes, Math.floor(memory.journal.mostBytes / 2));
  return await openCluster({
    ...rest,
    config: config.cluster,
    node: nodeName(config.cluster, environment),
    version: version(),
    clock: systemClock,
    bodyMemoryBytes,
  });
}

/** Nodes of one folder, as on a laptop, keep what is each one's own apart: images of sleepers, history, the admin socket. */
export async function ownFolders(config: GatewayConfig, environment: Environment): Promise<GatewayConfig> {
  const { cluster, journal, history } = config;
  if (cluster === undefined || journal.dir === undefined) return config;
  const { nodeName } = await import("#cluster");
  const node = nodeName(cluster, environment);
  return { ...config, journal: { ...journal, dir: join(journal.dir, node) }, history: { ...history, dir: join(history.dir, node) } };
}
