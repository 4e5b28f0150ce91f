/** Nodes of a cluster in one process: gateways whose partitions are on fenced disks, and a way from one to the other. */
import { type Clock, systemClock } from "#base";
import {
  type Cluster,
  type ForwardedMessage,
  type ForwardedOrigin,
  type NodeAnswer,
  type Partition,
  type PartitionHost,
} from "../contract/cluster.ts";
import type { Outcome } from "../contract/message.ts";
import type { IncomingSignal, SignalOutcome } from "../contract/sleep.ts";
import { DeadLetters } from "../journal/dead-letters.ts";
import { LogJournal } from "../journal/log/log-journal.ts";
import { numbersOf, PartitionedJournal } from "../journal/partitions/partitioned-journal.ts";
import { FencedDisks } from "../journal/testing/fenced-disks.ts";

/** Disks and dead letters of all nodes. */
export class SharedCluster {
  readonly partitions: number;
  readonly disks: FencedDisks;
  readonly deadLetters: DeadLetters;
  readonly nodes: TestNode[] = [];

  constructor(partitions: number, seed: number, deadLetters: DeadLetters) {
    this.partitions = partitions;
    this.disks = new FencedDisks(seed);
    this.deadLetters = deadLetters;
  }

  node(name: string): TestNode {
    const node = new TestNode(name, this);
    this.nodes.push(node);
    return node;
  }

  ownerOf(partition: Partition): TestNode | undefined {
    return this.nodes.find((node) => node.journal.takes(partition));
  }
}

export class TestNode implements Cluster {
  readonly node: string;
  readonly partitions: number;
  readonly journal: PartitionedJournal;
  host: PartitionHost | undefined;
  served: string | undefined;
  /** Partitions it lost, in order. */
  readonly lost: Partition[] = [];
  /** Not this node's yet: being taken up. */
  readonly #gaining = new Set<Partition>();
  readonly #shared: SharedCluster;
  readonly #clock: Clock;

  constructor(name: string, shared: SharedCluster, clock: Clock = systemClock) {
    this.node = name;
    this.partitions = shared.partitions;
    this.#shared = shared;
    this.#clock = clock;
    this.journal = new PartitionedJournal({
      partitions: shared.partitions,
      onLost: (partition) => {
        this.lost.push(partition);
        this.host?.lost(partition);
      },
    });
  }

  serves(text: string): void {
    this.served = text;
  }

  /** Takes a partition over, from whoever has it. */
  async take(partition: Partition): Promise<void> {
    this.#gaining.add(partition);
    const journal = new LogJournal({
      disk: await this.#shared.disks.open(partition),
      deadLetters: this.#shared.deadLetters,
      clock: this.#clock,
      numbers: numbersOf(partition, this.partitions),
      limits: { zeroBytes: 4_096, reserveBytes: 4_096, settleDelayMs: 0 },
    });
    await journal.recover();
    this.journal.gain(partition, journal);
    await this.host?.gained(partition);
    this.#gaining.delete(partition);
  }

  /** Gives a partition up in order. */
  async release(partition: Partition, mostMs = 5_000): Promise<void> {
    await this.host?.rest(partition, mostMs);
    await this.journal.lose(partition);
  }

  isOwner(partition: Partition): boolean {
    return this.journal.takes(partition) && !this.#gaining.has(partition);
  }

  async forward(partition: Partition, flow: string, message: ForwardedMessage, origin: ForwardedOrigin): Promise<Outcome> {
    const host = this.#shared.ownerOf(partition)?.host;
    if (host !== undefined) return host.message(flow, message, origin);
    return { status: "refused", id: message.id, code: "MF_PARTITION_AWAY", message: "nobody has it", retryAfterMs: 1_000 };
  }

  async signal(partition: Partition, signal: IncomingSignal): Promise<SignalOutcome> {
    const host = this.#shared.ownerOf(partition)?.host;
    if (host !== undefined) return host.signal(signal);
    return { status: "refused", code: "MF_PARTITION_AWAY", message: "nobody has it", final: false, retryAfterMs: 1_000 };
  }

  async ask(partition: Partition, question: object): Promise<unknown> {
    return this.#shared.ownerOf(partition)?.host?.ask(JSON.parse(JSON.stringify(question)));
  }

  async askOthers(question: object): Promise<readonly NodeAnswer[]> {
    const others = this.#shared.nodes.filter((node) => node !== this);
    const asked = JSON.stringify(question);
    const answerOf = async (node: TestNode): Promise<NodeAnswer> => {
      const answer = await node.host?.ask(JSON.parse(asked));
      return { node: node.node, answer: answer === undefined ? undefined : JSON.parse(JSON.stringify(answer)) };
    };
    return await Promise.all(others.map(answerOf));
  }

  async begin(host: PartitionHost): Promise<void> {
    this.host = host;
  }

  stopTaking(): void {
    this.host = undefined;
  }

  async end(): Promise<void> {}
}
