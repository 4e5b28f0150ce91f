/** Partitions and journals on servers of a test, and what to close at its end. */
import { basename } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type CodedError, systemClock } from "#base";
import { type DeadLetters, LogJournal } from "#gateway";
import type { NatsServers } from "../../testing/nats-servers.ts";
import { openReplicatedDisk, replicatedLimits } from "../open.ts";
import type { ReplicatedDisk } from "../replicated-disk.ts";

export interface OpenedPartition {
  readonly disk: ReplicatedDisk;
  /** Errors that `onLost` was called with. */
  readonly lost: CodedError[];
}

export interface PartitionRig {
  connection(): Promise<NatsConnection>;
  /** Partition 7 of a cluster, by a node with a connection of its own. */
  open(cluster: string, node: string): Promise<OpenedPartition>;
  /** A journal on partition 7 of the cluster that is called like the last folder of `dir`. */
  openJournal(dir: string, deadLetters: DeadLetters, compacts: boolean): Promise<LogJournal>;
  /** Closes all connections and removes the servers. */
  close(): Promise<void>;
}

export function partitionRig(servers: NatsServers | string, replicas = 1): PartitionRig {
  const connections: NatsConnection[] = [];
  const connection = async (): Promise<NatsConnection> => {
    if (typeof servers === "string") throw new Error(servers);
    const addresses = servers.url.replaceAll("nats://", "").split(",");
    // As a node's connection is (connection.ts): a server that stands still is left after some seconds.
    const opened = await connect({
      servers: addresses,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      pingInterval: 1_000,
      maxPingOut: 2,
    });
    connections.push(opened);
    return opened;
  };
  const open = async (cluster: string, node: string): Promise<OpenedPartition> => {
    const lost: CodedError[] = [];
    const common = { connection: await connection(), cluster, partition: 7, replicas, node };
    return { disk: await openReplicatedDisk({ ...common, onLost: (error) => lost.push(error) }), lost };
  };
  return {
    connection,
    open,
    openJournal: async (dir, deadLetters, compacts) => {
      const { disk } = await open(basename(dir), "a");
      const clock = compacts ? { ...systemClock, now: () => 2_500 } : systemClock;
      const journal = new LogJournal({ disk, deadLetters, clock, limits: replicatedLimits(disk) });
      const close = journal.close.bind(journal);
      return Object.assign(journal, {
        close: async () => {
          if (compacts) await journal.compact().catch(() => undefined);
          await close();
          await disk.close();
        },
      });
    },
    close: async () => {
      for (const each of connections) await each.close();
      if (typeof servers !== "string") await servers.remove();
    },
  };
}
