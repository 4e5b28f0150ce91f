/** `mayfly cluster`: the nodes and partitions of a running cluster, taking a node out of work, and checks of its servers. */
import type { Command } from "commander";
import type { ClusterReload, ClusterStatus, ShownPartition } from "#gateway";
import { AdminClient, type GatewayFlags } from "../admin.ts";
import { action, type Cli, examples, jsonOption } from "../cli.ts";
import { exitCodes, usageError } from "../failure.ts";
import { msText, safeText, table } from "../format.ts";
import { gatewayOptions } from "../gateway-options.ts";
import { cliLimits } from "../limits.ts";

interface Flags extends GatewayFlags {
  readonly json?: boolean;
  readonly all?: boolean;
}

function nodesText({ nodes, node }: ClusterStatus, nowMs: number): string {
  const rows = nodes.map(({ name, state, partitions, version, sinceMs, address, revision = "?" }) => [
    `  ${safeText(name, 64)}${name === node ? " *" : ""}`,
    state,
    String(partitions),
    msText(Math.max(nowMs - sinceMs, 0)),
    safeText(version, 32),
    safeText(revision, 32),
    safeText(address, 80),
  ]);
  return table([["  NODE", "STATE", "PARTITIONS", "UP", "VERSION", "REVISION", "ADDRESS"], ...rows], [2, 3]);
}

const loadOf = ({ pending, outbox }: ShownPartition): number => pending + outbox;

/** Those with the most to do first. */
function partitionsText(partitions: readonly ShownPartition[], most: number): string {
  const hot = [...partitions].sort((a, b) => loadOf(b) - loadOf(a) || a.partition - b.partition);
  const rows = hot
    .slice(0, most)
    .map(({ partition, owner, pending, outbox, sleepers, isKnown }) => [
      `  ${partition}`,
      owner === undefined ? "(nobody)" : safeText(owner, 64),
      ...[pending, outbox, sleepers].map((number) => (isKnown ? String(number) : "?")),
    ]);
  const more = hot.length > most ? `  … and ${hot.length - most} more: --all shows them\n` : "";
  return table([["  PARTITION", "OWNER", "PENDING", "OUTBOX", "SLEEPERS"], ...rows], [2, 3, 4]) + more;
}

function statusText(status: ClusterStatus, all: boolean, nowMs: number): string {
  const { cluster, nodes, partitions } = status;
  const without = partitions.filter(({ owner }) => owner === undefined).length;
  const trouble = without === 0 ? "" : `; ${without} have no owner at the moment`;
  const head = `cluster ${cluster}: ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}, ${partitions.length} partitions${trouble}\n`;
  const revisions = new Set(nodes.flatMap(({ revision }) => revision ?? []));
  const remark =
    revisions.size > 1
      ? "  the nodes serve different revisions: give all the same mayfly.yaml and flows, then run `mayfly cluster reload` (MF_CLUSTER_REVISION)\n"
      : "";
  return `${head}${nodesText(status, nowMs)}${remark}${partitionsText(partitions, all ? partitions.length : cliLimits.partitionsShown)}`;
}

/** Exit code 1 while a partition has no owner. */
async function status({ terminal }: Cli, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const found = (await client.get("GET", "/api/cluster")) as ClusterStatus;
  if (flags.json === true) terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else terminal.out(statusText(found, flags.all === true, Date.now()));
  return found.partitions.some(({ owner }) => owner === undefined) ? exitCodes.failed : exitCodes.ok;
}

const done: Readonly<Record<ClusterReload["nodes"][number]["state"], string>> = {
  swapped: "reloaded",
  prepared: "is ready, and serves what it did",
  refused: "can't",
  silent: "did not answer",
  failed: "is told to reload, and has not confirmed it",
};

function reloadText({ result, revision, nodes }: ClusterReload): string {
  const all = nodes.length === 1 ? "1 node was" : `${nodes.length} nodes were`;
  const head =
    result === "committed" ? `${all} told to serve revision ${revision}\n` : result === "refused" ? "no node was reloaded\n" : "";
  const rows = nodes.map(({ node, state, revision: own = "", code = "", message = "" }) => [
    `  ${safeText(node, 64)}`,
    safeText(own, 32),
    `${done[state]}${message === "" ? "" : `: ${safeText(message, 2_000)} (${safeText(code, 64)})`}`,
  ]);
  return rows.length === 0 ? head : head + table([["  NODE", "REVISION", ""], ...rows], []);
}

/** Exit code 1 unless every node has swapped. */
async function reload({ terminal }: Cli, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const found = (await client.get("POST", "/api/cluster/reload")) as ClusterReload;
  if (flags.json === true) terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else {
    terminal.out(reloadText(found));
    if (found.code !== undefined) terminal.err(`${safeText(found.code, 64)}: ${safeText(found.message ?? "", 2_000)}\n`);
  }
  return found.result === "committed" && found.code === undefined ? exitCodes.ok : exitCodes.failed;
}

async function drain({ terminal }: Cli, node: string, flags: Flags): Promise<number> {
  const client = await AdminClient.open(flags, terminal.env);
  const answer = await client.get("POST", `/api/cluster/nodes/${encodeURIComponent(node)}/drain`);
  if (flags.json === true) terminal.out(`${JSON.stringify(answer, undefined, 2)}\n`);
  else terminal.out(`${node} gives its partitions away, one after the other: \`mayfly cluster status\` shows how many it has left\n`);
  return exitCodes.ok;
}

/** Needs no running node. Exit code 1 unless the servers will do. */
async function check({ terminal }: Cli, flags: Flags): Promise<number> {
  const [{ checkCluster }, { connectors }, { loadConfig }] = await Promise.all([
    import("#cluster"),
    import("#connectors"),
    import("#gateway"),
  ]);
  const { cluster } = await loadConfig(flags.config, connectors, terminal.env);
  if (cluster === undefined) throw usageError(`${flags.config} has no cluster: add cluster: { nats: "nats://host:4222" }`);
  const found = await checkCluster(cluster);
  if (flags.json === true) terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else {
    for (const { name, version } of found.servers) terminal.out(`server ${safeText(name, 64)}: NATS ${safeText(version, 32)}\n`);
    for (const { level, code, message } of found.findings) terminal.out(`${level.padEnd(5)} ${code} ${safeText(message, 1_000)}\n`);
    terminal.out(found.ok ? "the servers can hold this cluster\n" : "the servers can't hold this cluster yet\n");
  }
  return found.ok ? exitCodes.ok : exitCodes.failed;
}

export function addCluster(program: Command, cli: Cli): Command {
  const cluster = program
    .command("cluster")
    .description(
      "Nodes and partitions of a cluster, as any of its nodes shows them; a reload of all nodes; draining a node; checks of the NATS servers.",
    );
  gatewayOptions(cluster.command("status").description("List nodes and partitions, those with the most to do first."))
    .option("--all", "every partition")
    .action(action(cli, (flags: Flags) => status(cli, flags)));
  gatewayOptions(
    cluster
      .command("reload")
      .description("Have all nodes read their mayfly.yaml and swap to it together, or none if one can't or differs."),
  ).action(action(cli, (flags: Flags) => reload(cli, flags)));
  gatewayOptions(
    cluster
      .command("drain")
      .description("Have a node give its partitions away, and take no others while it runs.")
      .argument("<node>", "name of the node"),
  ).action(action(cli, (node: string, flags: Flags) => drain(cli, node, flags)));
  cluster
    .command("check")
    .description("Try what the NATS servers of mayfly.yaml can and can't keep, and say what a power loss may cost. Needs no running node.")
    .option("-c, --config <file>", "the configuration", "mayfly.yaml")
    .addOption(jsonOption())
    .action(action(cli, (flags: Flags) => check(cli, flags)));
  return examples(cluster, [
    ["mayfly cluster status", "shows who owns what, as the node beside mayfly.yaml sees it"],
    ["mayfly cluster status --gateway http://node-2:9090 --json", "asks another node"],
    ["mayfly cluster reload", "has all nodes serve what their mayfly.yaml says now"],
    ["mayfly cluster drain node-2", "empties a node before it is stopped"],
    ["mayfly cluster check", "says whether the servers are fit"],
  ]);
}
