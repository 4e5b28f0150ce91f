/**
 * The port between a gateway and the cluster its process is a node of. Without one a gateway is alone, and everything is its own.
 *
 *   a message ──▶ its partition ──┬── owned here ──▶ journal, machine
 *                                 └── another's ───▶ forward ──▶ `PartitionHost.message` of the owner, which forwards nothing
 *
 *   partition  away ──gain──▶ owned ──▶ resting ──▶ away       (handed over: what is under way ends first)
 *                               └────────lose─────▶ away       (taken: what is under way ends without an effect, callers get a 503)
 *
 * Safety is the journal's: a write of a node that owns a partition no longer is refused. What is said here only keeps it from trying.
 */
import type { Brand } from "#base";
import type { Incoming, Outcome } from "./message.ts";
import type { IncomingSignal, SignalOutcome } from "./sleep.ts";

/** A share of the keys, 0 up to the cluster's number of partitions. */
export type Partition = Brand<number, "Partition">;

/** Where a message came from: its source's connector, and the queue, path or table of that kind. */
export interface ForwardedOrigin {
  readonly source: string;
  readonly place: string;
}

/** A message on its way to another node. Its caller and a body that is stored beside stay with the node that took it. */
export type ForwardedMessage = Omit<Incoming, "caller" | "storedBody">;

export interface NodeAnswer {
  readonly node: string;
  /** Undefined: it did not answer in time, or did not understand. */
  readonly answer: unknown;
}

export interface Cluster {
  /** This node's name. */
  readonly node: string;
  /** Partitions of the cluster: a power of two is not needed, and the number never changes. */
  readonly partitions: number;
  /** True while this node owns it and takes new messages for it. */
  isOwner(partition: Partition): boolean;
  /**
   * Hands a message to its partition's owner. Messages of one turn of the event loop reach one owner in their order. Never rejects: `refused`
   * with MF_PARTITION_AWAY when nobody owns it or the owner ended meanwhile, MF_FLOW_BUSY when too much is under way, and
   * `dead` for a message that is longer than a node takes from another.
   */
  forward(partition: Partition, flow: string, message: ForwardedMessage, origin: ForwardedOrigin): Promise<Outcome>;
  /** The same for a signal, to the owner of its partition. */
  signal(partition: Partition, signal: IncomingSignal): Promise<SignalOutcome>;
  /** Asks the partition's owner, which may be this node. Undefined: nobody answered. Never rejects. */
  ask(partition: Partition, question: object): Promise<unknown>;
  /** Asks all other nodes that are up. Never rejects. */
  askOthers(question: object): Promise<readonly NodeAnswer[]>;
  /** Takes up partitions from now on, and answers other nodes. Called once, when the gateway's flows are ready. */
  begin(host: PartitionHost): Promise<void>;
  /** The gateway serves this now: a text that has secrets in it, and is the same at nodes that serve the same. */
  serves(text: string): void;
  /** Takes no more partitions and no more from other nodes. The gateway drains its flows afterwards. */
  stopTaking(): void;
  /** Gives up all partitions, for others to take at once. Called when the journal is closed. */
  end(): Promise<void>;
}

/** A node as `mayfly cluster status` shows it. */
export interface ShownNode {
  readonly name: string;
  /** Of its process: a restarted node has another one. */
  readonly life: string;
  /** Milliseconds since 1970, by that node's clock. */
  readonly sinceMs: number;
  readonly version: string;
  /** Where its HTTP server listens; empty until it does. */
  readonly address: string;
  readonly state: "up" | "draining";
  /** How many it owns. */
  readonly partitions: number;
  /** Of the configuration that it serves: the same at nodes that serve the same. Undefined: it does not say, as one of an older version. */
  readonly revision?: string | undefined;
}

/** A node in a reload of the cluster. */
export interface NodeReload {
  readonly node: string;
  /**
   * `swapped`: it serves the new revision. `prepared`: it could have, and serves what it did. `refused`: it could not. `silent`: it did not answer
   * before the swap. `failed`: it did not confirm the swap, or could not carry it out.
   */
  readonly state: "swapped" | "prepared" | "refused" | "silent" | "failed";
  /** That it is prepared for, or has. */
  readonly revision?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** The result of a reload of the cluster. */
export interface ClusterReload {
  /** `unknown`: the servers did not say; nodes follow what they have. */
  readonly result: "committed" | "refused" | "unknown";
  readonly revision?: string | undefined;
  /** Why it was refused or is unknown, or that a node has not swapped. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** By name. */
  readonly nodes: readonly NodeReload[];
}

/** Numbers of one partition; only its owner knows them. */
export interface PartitionLoad {
  readonly partition: number;
  /** Messages that wait or run. */
  readonly pending: number;
  readonly outbox: number;
  readonly sleepers: number;
}

export interface ShownPartition extends PartitionLoad {
  /** Undefined: nobody. */
  readonly owner: string | undefined;
  /** False where the owner did not answer: its numbers are 0. */
  readonly isKnown: boolean;
}

/** A cluster as any of its nodes shows it. */
export interface ClusterStatus {
  readonly cluster: string;
  /** The node that was asked. */
  readonly node: string;
  /** By name. */
  readonly nodes: readonly ShownNode[];
  /** By number. */
  readonly partitions: readonly ShownPartition[];
}

/** The cluster for its operator. */
export interface ClusterDesk {
  /** Numbers of the partitions that this node owns. */
  loads(): readonly PartitionLoad[];
  status(): Promise<ClusterStatus>;
  /** The node gives its partitions away, and takes no others as long as it runs. Rejects with MF_CLUSTER_NODE_UNKNOWN. */
  drain(node: string): Promise<void>;
  /** Has all nodes swap to what their configurations say, if that is the same for all; none otherwise. Never rejects. */
  reload(): Promise<ClusterReload>;
  /** A sentence on nodes that serve another revision than this one; undefined: all that are up serve the same. */
  readonly difference: string | undefined;
}

/** The gateway, as its cluster sees it. None of these rejects. */
export interface PartitionHost {
  /** The partition's journal was read back and is part of the gateway's: its backlog, sleepers and sends are taken up. */
  gained(partition: Partition): Promise<void>;
  /** Nothing of it is begun any more. Resolves when nothing is under way, or after `mostMs`. */
  rest(partition: Partition, mostMs: number): Promise<void>;
  /** The journal has forgotten it: what is under way ends without an effect. */
  lost(partition: Partition): void;
  /** A message that another node took and this one owns. Never forwarded again: `refused` with MF_PARTITION_AWAY if it is not owned. */
  message(flow: string, message: ForwardedMessage, origin: ForwardedOrigin): Promise<Outcome>;
  signal(signal: IncomingSignal): Promise<SignalOutcome>;
  /** A question of `ask` or `askOthers`, as JSON has it. Undefined: it is not understood. */
  ask(question: unknown): Promise<unknown>;
}

/**
 * The partition of a key: FNV-1a over the UTF-8 bytes of the flow's name, a zero byte and the key, mixed as MurmurHash3 ends, modulo the
 * number of partitions. Fixed for ever: where a key's messages, state and ids are depends on it.
 */
export function partitionOf(flow: string, key: string, partitions: number): Partition {
  const bytes = Buffer.from(`${flow}\0${key}`);
  let hash = 0x811c_9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) % partitions) as Partition;
}
