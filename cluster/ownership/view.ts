/** The store as one node has seen it, and when: entries of nodes with the time at which they last changed. */
import { decodeEntry, type NodeEntry, type PartitionEntry } from "./entries.ts";

interface SeenNode {
  readonly entry: NodeEntry | undefined;
  readonly revision: number;
  /** By this node's monotonic clock. */
  seenMs: number;
}

interface SeenPartition {
  readonly entry: PartitionEntry | undefined;
  /** 0: it was never written. */
  readonly revision: number;
}

const unseen: SeenPartition = { entry: undefined, revision: 0 };

export class View {
  readonly #nodes = new Map<string, SeenNode>();
  readonly #partitions: SeenPartition[];

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => unseen);
  }

  /** Takes a value in; an older one than is known changes nothing. Returns the partition that it is about, if it is one. */
  saw(key: string, value: Uint8Array, revision: number, nowMs: number): number | undefined {
    const seen = decodeEntry(key, value);
    if (seen?.kind === "node") {
      const known = this.#nodes.get(seen.name);
      if (known === undefined || revision > known.revision) this.#nodes.set(seen.name, { entry: seen.node, revision, seenMs: nowMs });
      return undefined;
    }
    const known = seen === undefined ? undefined : this.#partitions[seen.partition];
    if (seen === undefined || known === undefined || revision <= known.revision) return undefined;
    this.#partitions[seen.partition] = { entry: seen.entry, revision };
    return seen.partition;
  }

  partition(partition: number): SeenPartition {
    return this.#partitions[partition] ?? unseen;
  }

  node(name: string): NodeEntry | undefined {
    return this.#nodes.get(name)?.entry;
  }

  /** Of a key, 0 for one that was not seen. */
  revision(key: string): number {
    const about = decodeEntry(key, new Uint8Array(0));
    if (about?.kind === "node") return this.#nodes.get(about.name)?.revision ?? 0;
    return about === undefined ? 0 : this.partition(about.partition).revision;
  }

  countOf(name: string, life: string): number {
    return this.#partitions.filter(({ entry }) => entry?.owner === name && entry.life === life).length;
  }

  /** Nodes whose entry changed within the lease, by name; `own` of this process counts whatever its age. */
  live(own: string, life: string, nowMs: number, leaseMs: number): [string, NodeEntry][] {
    const live: [string, NodeEntry][] = [];
    for (const [name, { entry, seenMs }] of this.#nodes) {
      if (entry === undefined || entry.state === "gone") continue;
      if (name === own ? entry.life === life : nowMs - seenMs <= leaseMs) live.push([name, entry]);
    }
    return live.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Nothing was to be seen for a while: that others did not beat is not known. */
  renew(nowMs: number): void {
    for (const seen of this.#nodes.values()) seen.seenMs = nowMs;
  }
}
