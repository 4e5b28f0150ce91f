/**
 * Many computers, one gateway. Each partition of the journal is a log on a NATS JetStream stream, owned by one node at a time; a node that
 * was deposed is refused by the server.
 */
export { connectCluster } from "./connection.ts";
export { withDisks, type WholeCluster, withWholeCluster } from "./whole.ts";
export { nodeName } from "./node-name.ts";
export { checkCluster, type CheckedServer, type ClusterCheck, type Finding } from "./checks.ts";
export { openCluster, type OpenClusterOptions, type OpenedCluster } from "./node/mod.ts";
