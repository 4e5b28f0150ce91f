/**
 * All partitions of a cluster whose nodes are stopped, in the hands of one process, to bring its journal in or out. Taking them over refuses
 * whoever had them, so nodes that run are looked for first.
 */
import { randomBytes } from "node:crypto";
import { type Clock, CodedError } from "#base";
import { type ClusterConfig, LogJournal, numbersOf, type Partition, PartitionedJournal } from "#gateway";
import { connectCluster } from "./connection.ts";
import { partitionsOpenedAtOnce } from "./limits.ts";
import { openDeadLetters } from "./letters/mod.ts";
import { openReplicatedDisk, type ReplicatedDisk, replicatedLimits } from "./log/mod.ts";
import { decodeEntry } from "./ownership/entries.ts";
import { openStreamStore, ownershipLimits, type Store } from "./ownership/mod.ts";

export interface WholeCluster {
  readonly journal: PartitionedJournal;
  /** Of each partition. */
  readonly journals: readonly LogJournal[];
}

/** Names of nodes whose beats come in while two of them are due. */
async function runningNodes(store: Store, clock: Clock): Promise<readonly string[]> {
  const names = new Set<string>();
  let isOld = true;
  const end = await store.watch((key, value) => {
    const entry = decodeEntry(key, value);
    if (!isOld && entry?.kind === "node" && entry.node?.state !== "gone") names.add(key.slice(key.indexOf(".") + 1));
  });
  await new Promise<void>((resolve) => clock.after(ownershipLimits.beatMs / 2, resolve)); // what was there is told at first
  isOld = false;
  await new Promise<void>((resolve) => clock.after(ownershipLimits.nameMs, resolve));
  end();
  return [...names].sort();
}

/** Rejects with MF_CLUSTER_RUNNING while a node runs, and as `connectCluster` and the log do. `use` gets every partition's disk, taken over. */
export async function withDisks<T>(config: ClusterConfig, clock: Clock, use: (disks: readonly ReplicatedDisk[]) => Promise<T>): Promise<T> {
  const { name: cluster, replicas, partitions } = config;
  const node = `moving-${randomBytes(4).toString("hex")}`;
  const connection = await connectCluster(config, { name: `mayfly ${cluster} ${node}` });
  try {
    const running = await runningNodes(await openStreamStore({ connection, cluster, replicas, partitions, clock }), clock);
    if (running.length > 0)
      throw new CodedError(
        "MF_CLUSTER_RUNNING",
        `nodes of the cluster ${cluster} run (${running.join(", ")}): stop them all, and start them again when the journal is moved`,
      );
    const disks: ReplicatedDisk[] = [];
    const numbers = Array.from({ length: partitions }, (_, partition) => partition);
    const open = async (): Promise<void> => {
      for (let partition = numbers.shift(); partition !== undefined; partition = numbers.shift())
        disks[partition] = await openReplicatedDisk({ connection, cluster, partition, replicas, node, clock });
    };
    try {
      await Promise.all(Array.from({ length: partitionsOpenedAtOnce }, open));
      return await use(disks);
    } finally {
      await Promise.all(disks.map((disk) => disk.close()));
    }
  } finally {
    await connection.close();
  }
}

/** The same with their journals, recovered. */
export async function withWholeCluster<T>(config: ClusterConfig, clock: Clock, use: (whole: WholeCluster) => Promise<T>): Promise<T> {
  const { name: cluster, replicas, partitions } = config;
  return await withDisks(config, clock, async (disks) => {
    const connection = await connectCluster(config, { name: `mayfly ${cluster} letters` });
    try {
      const deadLetters = await openDeadLetters({ connection, cluster, replicas });
      const journal = new PartitionedJournal({ partitions });
      const journals = disks.map((disk, partition) => {
        const numbers = numbersOf(partition as Partition, partitions);
        return new LogJournal({ disk, deadLetters, clock, limits: replicatedLimits(disk), numbers });
      });
      for (const [partition, each] of journals.entries()) {
        await each.recover();
        journal.gain(partition as Partition, each);
      }
      try {
        return await use({ journal, journals });
      } finally {
        await journal.close();
      }
    } finally {
      await connection.close();
    }
  });
}
