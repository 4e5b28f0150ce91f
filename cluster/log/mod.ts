/** A partition's journal on NATS JetStream: its files as messages of one stream, fenced. */
export { openReplicatedDisk, type OpenReplicatedDiskOptions, replicatedLimits } from "./open.ts";
export { type ReplicatedDisk } from "./replicated-disk.ts";
export { headerBytes, requestMs } from "./limits.ts";
export { ensureStream, prefixOfLetters, streamOfCheck, streamOfLetters } from "./streams.ts";
