/**
 * Many computers, one gateway. Each partition of the journal is a log on a NATS JetStream stream, owned by one node at a time; a node that
 * was deposed is refused by the server.
 */
export { type Forwarding, type ForwardingHost, type ForwardingOptions, natsWire, openForwarding } from "./forwarding/mod.ts";
export { connectCluster } from "./connection.ts";
export { nodeName } from "./node-name.ts";
export { openReplicatedDisk, type OpenReplicatedDiskOptions, type ReplicatedDisk, replicatedLimits } from "./log/mod.ts";
export { openDeadLetters, type OpenDeadLettersOptions } from "./letters/mod.ts";
export { openStreamStore, Ownership, type OwnershipOptions, type ShownNode, type StoreOptions } from "./ownership/mod.ts";
export { checkCluster, type CheckedServer, type ClusterCheck, type Finding } from "./checks.ts";
