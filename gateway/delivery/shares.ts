/** A node's share of its cluster, as delivery sees it: what of a flow is whose, and the way to another's. */
import type { Cluster, ForwardedMessage, ForwardedOrigin, Partition } from "../contract/cluster.ts";
import { partitionOf } from "../contract/cluster.ts";
import type { Incoming, Outcome } from "../contract/message.ts";
import type { NewMessage } from "../journal/journal.ts";
import type { PartitionedJournal } from "../journal/partitions/partitioned-journal.ts";
import { SignalExchange } from "./sleep/exchange.ts";
import type { Work } from "./work.ts";

export class Shares {
  readonly cluster: Cluster;
  readonly journal: PartitionedJournal;
  readonly exchange: SignalExchange;

  constructor(cluster: Cluster, journal: PartitionedJournal) {
    this.cluster = cluster;
    this.journal = journal;
    this.exchange = new SignalExchange(cluster, journal);
  }

  /** True while this node takes what is new of a partition. */
  owns(partition: Partition): boolean {
    return this.cluster.isOwner(partition) && this.journal.takes(partition);
  }

  /** The partition to hand a message to; undefined for one that is this node's own. Of a message without key and id: any, where this node has none. */
  awayOf(message: NewMessage): Partition | undefined {
    const partition = this.journal.partitionOf(message) ?? partitionOf(message.flow, message.id, this.cluster.partitions);
    return this.owns(partition) ? undefined : partition;
  }

  /** True for a message that this node takes from another one. */
  takes(message: NewMessage): boolean {
    const partition = this.journal.partitionOf(message);
    return partition !== undefined && this.journal.takes(partition);
  }

  /** True while this node runs what one node runs for a flow, such as its cron. */
  runsSingles(flow: string): boolean {
    return this.journal.takes(this.journal.partitionOfFlow(flow)); // before the cluster calls it owned, while it is taken up
  }

  forward(partition: Partition, flow: string, incoming: Incoming, origin: ForwardedOrigin): Promise<Outcome> {
    const { caller, storedBody, ...message } = incoming;
    return this.cluster.forward(partition, flow, message satisfies ForwardedMessage, origin);
  }

  /** The partition of a message in hand; undefined for one without key, id and lease while this node has none. */
  ofWork({ lease, message }: Work): Partition | undefined {
    return lease === undefined ? this.journal.partitionOf(message) : this.journal.partitionOfNumber(lease.sequence);
  }

  /** True for a message in hand whose partition this is. One that is bound to none may run for as long as this node has any. */
  isOf(partition: Partition, work: Work): boolean {
    const { lease, message } = work;
    if (lease === undefined && message.key === undefined && message.dedup === undefined) return this.journal.home() === undefined;
    return this.ofWork(work) === partition;
  }
}
