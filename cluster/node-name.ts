import { hostname } from "node:os";
import type { ClusterConfig } from "#gateway";
import { clusterLimits } from "./limits.ts";

/** The name of this node: `cluster.node`, MAYFLY_NODE of the environment, or the computer's. One token of a NATS subject. */
export function nodeName({ node }: Pick<ClusterConfig, "node">, environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment["MAYFLY_NODE"];
  const name = node ?? (given === undefined || given === "" ? hostname() : given);
  const token = name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, clusterLimits.nodeCharacters);
  return token === "" ? "node" : token;
}
