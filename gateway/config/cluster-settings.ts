/** `cluster:` in mayfly.yaml: the servers that several gateways share, and settings that one computer has and a cluster has not. */
import { resolve } from "node:path";
import type { ClusterConfig, FlowConfig } from "../contract/config.ts";
import type { JsonSchema } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Report } from "./problem.ts";
import { object, text, whole } from "./schema-parts.ts";

/** One token of a NATS subject, and part of a stream's name. */
const token = { pattern: "^[A-Za-z0-9_-]{1,64}$", patternErrorMessage: "must be letters, digits, _ and -, at most 64" };

/** The part of the configuration that is looked at, as the schema leaves it. */
export interface CheckedCluster {
  readonly nats: string;
  readonly name: string;
  readonly replicas: number;
  readonly partitions: number;
  readonly node?: string;
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  readonly credentials?: string;
  readonly nkey?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const natsPattern = "^(?:nats|tls)://[^\\s,/]+/?(?:\\s*,\\s*(?:nats|tls)://[^\\s,/]+/?)*$";

export const clusterSchema: JsonSchema = object(
  "Several gateways that are one: they share the work, and the journal is in NATS JetStream. All nodes have the same mayfly.yaml. Default: this gateway is alone.",
  {
    nats: {
      ...text("`nats://user:password@host:4222`, `tls://` for TLS; several servers of one NATS cluster with commas between them."),
      pattern: natsPattern,
      patternErrorMessage: "must be URLs such as nats://host:4222, with commas between them",
    },
    name: { ...text("Name of the cluster: part of the names of its streams and subjects.", "mayfly"), ...token },
    replicas: {
      type: "integer",
      enum: [1, 3, 5],
      default: 3,
      description: "Copies of everything, each on a NATS server of its own. With 3, the loss of one server is survived; with 1, none.",
    },
    partitions: whole(
      "Shares of the keys, moved between nodes as a whole. Fixed for the life of the cluster.",
      1,
      gatewayLimits.partitions,
      64,
    ),
    node: { ...text("Name of this node, unlike all others. Default: MAYFLY_NODE of the environment, or the computer's name."), ...token },
    username: text("Overrides the one in `nats`."),
    password: text("Overrides the one in `nats`."),
    token: text("Token, if the servers require one."),
    credentials: text("File of user JWT and seed (`.creds`), relative to this file."),
    nkey: text("Seed of an nkey (`SU…`)."),
    tls: object("TLS to the servers, if the system's authorities do not know them, or they want a certificate.", {
      ca: text("PEM file of the authorities, in place of the system's, relative to this file."),
      cert: text("PEM file of this node's certificate, relative to this file."),
      key: text("PEM file of its key, relative to this file."),
    }),
  },
  ["nats"],
);

export function clusterConfig(cluster: CheckedCluster | undefined, base: string): ClusterConfig | undefined {
  if (cluster === undefined) return undefined;
  const { nats, name, replicas, partitions, node, username, password, token, credentials, nkey, tls } = cluster;
  const file = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(base, path));
  return {
    ...{ nats, name, replicas, partitions, node, username, password, token, nkey },
    credentials: file(credentials),
    tls: tls === undefined ? undefined : { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key) },
  };
}

interface Alone {
  readonly cluster?: CheckedCluster;
  readonly journal: { readonly memory: boolean };
  readonly functions?: object;
}

/** Settings of one computer's gateway, beside `cluster:`. */
export function checkCluster(data: Alone, flows: Readonly<Record<string, FlowConfig>>, report: Report): void {
  if (data.cluster === undefined) return;
  if (data.journal.memory)
    report(["journal", "memory"], "the journal of a cluster is in NATS JetStream: remove journal.memory, or cluster");
  if (data.functions !== undefined)
    report(["functions"], "functions are kept by one gateway, and its cluster would not have them: remove functions, or cluster");
  if ((data.cluster.tls?.cert === undefined) !== (data.cluster.tls?.key === undefined))
    report(["cluster", "tls"], "must have both cert and key, or neither");
  for (const [name, { claimCheck }] of Object.entries(flows))
    if (claimCheck !== undefined)
      report(
        ["flows", name, "claimCheck"],
        "stored bodies are on one computer, and other nodes would not have them: remove it, or cluster",
      );
}
