/** Opens the disk of a partition on NATS JetStream. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Clock, type CodedError, isCoded, systemClock } from "#base";
import type { LogLimits } from "#gateway";
import { JetStreamLog } from "./jetstream-log.ts";
import { changeMs, checkpointBytes, repeatMs, requestMs } from "./limits.ts";
import { ReplicatedDisk } from "./replicated-disk.ts";
import { ensureStream, prefixOfPartition, streamOfPartition } from "./streams.ts";

export interface OpenReplicatedDiskOptions {
  readonly connection: NatsConnection;
  /** Name of the cluster: letters, digits, `-` and `_`. */
  readonly cluster: string;
  readonly partition: number;
  readonly replicas: number;
  /** Name of this node, for people: letters, digits, `_`, `.` and `-`. */
  readonly node: string;
  readonly clock?: Clock | undefined;
  /** Called once, when another node has taken over: from then on every call rejects with the error. */
  readonly onLost?: ((error: CodedError) => void) | undefined;
}

/**
 * Makes the partition's stream if it is missing, takes it over and reads what is in it. Whoever had it is refused from then on. Rejects with
 * MF_CLUSTER_STREAM, MF_JOURNAL_CORRUPT or MF_PARTITION_LOST, and as the client does.
 */
export async function openReplicatedDisk(options: OpenReplicatedDiskOptions): Promise<ReplicatedDisk> {
  const { connection, cluster, partition, replicas, node, clock = systemClock, onLost } = options;
  const stream = streamOfPartition(cluster, partition);
  const prefix = prefixOfPartition(cluster, partition);
  const manager = await jetstreamManager(connection, { timeout: requestMs, checkAPI: false });
  await answered(clock, () => ensureStream(manager, { name: stream, prefix, replicas }));
  const log = await JetStreamLog.open({ connection, stream, prefix, clock });
  return ReplicatedDisk.open({ log, clock, node, onLost });
}

/** Tries again while servers elect a leader, or do not answer for another reason. */
async function answered<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  const deadlineMs = clock.monotonicMs() + changeMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (isCoded(error) || clock.monotonicMs() > deadlineMs) throw error;
      await new Promise<void>((resolve) => clock.after(repeatMs.most, resolve));
    }
  }
}

/** Limits of a journal on such a disk: a batch is one message, and a start reads little. */
export function replicatedLimits(disk: ReplicatedDisk): Partial<LogLimits> {
  return { batchBytes: Math.floor(disk.messageBytes / 2), checkpointBytes };
}
