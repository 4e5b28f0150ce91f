/**
 * One node: what its gateway, its partitions' journals, other nodes and the table of owners have to do with each other.
 *
 *   ownership ──gain──▶ open the partition's disk (fence) ──▶ recover its journal ──▶ PartitionedJournal ──▶ the gateway takes it up
 *             ──rest──▶ the gateway ends what is under way ──▶ the journal is closed ──▶ the disk is closed
 *             ──lost──▶ the disk writes no more ──▶ the journal is forgotten ──▶ the gateway lets go
 */
import { randomUUID } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { assert, type Clock, CodedError } from "#base";
import {
  type Cluster,
  type ClusterConfig,
  type ClusterDesk,
  type ClusterReload,
  type ClusterStatus,
  type DeadLetters,
  type ForwardedMessage,
  type ForwardedOrigin,
  type IncomingSignal,
  LogJournal,
  type Logger,
  type NodeAnswer,
  numbersOf,
  type Outcome,
  type Partition,
  PartitionedJournal,
  type PartitionHost,
  partitionLost,
  type PartitionLoad,
  type PreparedReload,
  type SignalOutcome,
} from "#gateway";
import { type Forwarding, natsWire, openForwarding } from "../forwarding/mod.ts";
import { openReplicatedDisk, type ReplicatedDisk, replicatedLimits } from "../log/mod.ts";
import { Ownership, type Store } from "../ownership/mod.ts";
import { ClusterReloads, revisionOf } from "../reload/mod.ts";
import { nodeLimits } from "./limits.ts";
import { type Question, questionOf } from "./questions.ts";
import { differenceOf, loadOf, loadsIn, shownPartitions } from "./status.ts";

export interface NodeOptions {
  readonly connection: NatsConnection;
  readonly config: Pick<ClusterConfig, "name" | "replicas" | "partitions">;
  /** Name of this node. */
  readonly node: string;
  /** Of this process, unique. */
  readonly life: string;
  readonly version: string;
  readonly store: Store;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bodies that the journals of all partitions keep in memory, in bytes. */
  readonly bodyMemoryBytes: number;
  /** Where this node's HTTP server listens, to be shown; undefined until it does. */
  readonly address: () => string | undefined;
  /** Of the cluster, secret: revisions are hashed with it. */
  readonly revisionKey: string;
}

interface Open {
  readonly journal: LogJournal;
  readonly disk: ReplicatedDisk;
}

export class ClusterNode implements Cluster, ClusterDesk {
  readonly node: string;
  readonly partitions: number;
  readonly journal: PartitionedJournal;
  readonly #options: NodeOptions;
  readonly #ownership: Ownership;
  readonly #forwarding: Forwarding;
  readonly #open = new Map<Partition, Open>();
  /** Being given away in order: their end is no loss. */
  readonly #leaving = new Set<Partition>();
  #host: PartitionHost | undefined;
  readonly #reloads: ClusterReloads;
  #revision: string | undefined;
  #hashing: Promise<void> = Promise.resolve();

  constructor(options: NodeOptions) {
    const { connection, config, node, life, version, store, clock, logger, address } = options;
    this.#options = options;
    this.node = node;
    this.partitions = config.partitions;
    this.journal = new PartitionedJournal({
      partitions: config.partitions,
      onLost: (partition) => this.#gone(partition),
    });
    const rest = (partition: Partition, mostMs: number): Promise<void> => this.#rest(partition, mostMs);
    const taught: Store = {
      put: (key, value, expected) => store.put(key, value, expected),
      watch: (take) =>
        store.watch((key, value, revision, isPresent) => {
          take(key, value, revision, isPresent);
          this.#reloads.saw(key, value, revision, isPresent);
        }),
    };
    this.#ownership = new Ownership({
      revision: () => this.#revision,
      ...{ store: taught, clock, logger, node, life, version, partitions: config.partitions, address: () => address() ?? "", rest },
      gain: (partition, begin) => this.#gain(partition, begin),
      lost: (partition) => this.#lost(partition),
    });
    const wire = natsWire(connection);
    this.#forwarding = openForwarding({
      ...{ wire, clock, cluster: config.name, node, life },
      ownerOf: (partition) => this.#ownership.ownerOf(partition),
    });
    this.#reloads = new ClusterReloads({
      ...{ store, clock, logger, node, life, newId: randomUUID },
      nodes: () => this.#ownership.nodes(),
      ask: (to, question, mostMs) => this.#forwarding.ask(to, question, mostMs),
    });
  }

  /** Also false while older messages of the partition are on their way to its former owner: those that come now go behind them. */
  isOwner(partition: Partition): boolean {
    return this.#ownership.isOwned(partition) && this.journal.takes(partition) && !this.#forwarding.isOnTheWay(partition);
  }

  forward(partition: Partition, flow: string, message: ForwardedMessage, origin: ForwardedOrigin): Promise<Outcome> {
    return this.#forwarding.message({ partition, flow, message, origin });
  }

  signal(partition: Partition, signal: IncomingSignal): Promise<SignalOutcome> {
    return this.#forwarding.signal({ partition, signal });
  }

  /** Asks the gateway of the partition's owner, which may be this one. Undefined: it has none, or does not answer. */
  async ask(partition: Partition, about: object): Promise<unknown> {
    const owner = this.#ownership.ownerOf(partition);
    if (owner === this.node) return await this.#host?.ask(about);
    return owner === undefined ? undefined : await this.#forwarding.ask(owner, { kind: "gateway", about } satisfies Question);
  }

  /** Asks the gateways of all other nodes. */
  async askOthers(about: object): Promise<readonly NodeAnswer[]> {
    const ask: Question = { kind: "gateway", about };
    const others = this.#ownership.nodes().filter(({ name }) => name !== this.node);
    return await Promise.all(others.map(async ({ name }) => ({ node: name, answer: await this.#forwarding.ask(name, ask) })));
  }

  async begin(host: PartitionHost): Promise<void> {
    assert(this.#host === undefined, "a node begins once");
    this.#host = host;
    this.#forwarding.serve({
      message: (flow, message, origin) => host.message(flow, message, origin),
      signal: (signal) => host.signal(signal),
      ask: (question) => this.#answer(questionOf(question)),
    });
    await this.#ownership.start();
  }

  serves(text: string): void {
    const hash = async (): Promise<void> => {
      this.#revision = await revisionOf(text, this.#options.revisionKey);
      this.#ownership.beatSoon();
    };
    this.#hashing = this.#hashing.then(hash);
  }

  /** Called once, when the gateway serves. `prepare`: its revision is the text of `serves`. */
  async serveReloads(prepare: () => Promise<PreparedReload>): Promise<void> {
    await this.#hashing;
    this.#reloads.serve({
      revision: () => this.#revision ?? "",
      prepare: async () => {
        const ready = await prepare();
        return {
          revision: await revisionOf(ready.revision, this.#options.revisionKey),
          commit: () => ready.commit(),
          abandon: () => ready.abandon(),
        };
      },
    });
  }

  async reload(): Promise<ClusterReload> {
    return await this.#reloads.reload();
  }

  get difference(): string | undefined {
    return differenceOf(this.#ownership.nodes());
  }

  stopTaking(): void {
    this.#reloads.stop();
    this.#forwarding.stopTaking();
    this.#ownership.drain();
  }

  async end(): Promise<void> {
    await this.#ownership.stop();
    this.#forwarding.close();
  }

  /** Numbers of owned partitions. */
  loads(): PartitionLoad[] {
    return [...this.#open].map(([partition, { journal }]) => loadOf(partition, journal.stats()));
  }

  /** Asks the other nodes for their numbers; one that does not answer in time leaves its own out. */
  async status(): Promise<ClusterStatus> {
    const nodes = this.#ownership.nodes();
    const ask: Question = { kind: "loads" };
    const others = nodes.filter(({ name }) => name !== this.node);
    const answers = await Promise.all(others.map(({ name }) => this.#forwarding.ask(name, ask, nodeLimits.statusMs)));
    const loads = [...this.loads(), ...answers.flatMap(loadsIn)];
    const partitions = shownPartitions(this.#ownership.owners(), loads);
    return { cluster: this.#options.config.name, node: this.node, nodes, partitions };
  }

  /** Rejects with MF_CLUSTER_NODE_UNKNOWN for a node that is not there, or does not answer. */
  async drain(node: string): Promise<void> {
    if (node === this.node) return this.#ownership.drain();
    const ask: Question = { kind: "drain" };
    const isThere = this.#ownership.nodes().some(({ name }) => name === node);
    if (!isThere || (await this.#forwarding.ask(node, ask, nodeLimits.statusMs)) !== true)
      throw new CodedError("MF_CLUSTER_NODE_UNKNOWN", `no node ${node} answers: mayfly cluster status lists the nodes`);
  }

  async #gain(partition: Partition, begin: () => boolean): Promise<void> {
    const { connection, config, clock, deadLetters, logger, bodyMemoryBytes } = this.#options;
    const disk = await openReplicatedDisk({
      ...{ connection, cluster: config.name, partition, replicas: config.replicas, node: this.node, clock },
      onLost: () => void this.journal.lose(partition),
    });
    const limits = { ...replicatedLimits(disk), bodyMemoryBytes: Math.floor(bodyMemoryBytes / config.partitions) };
    const journal = new LogJournal({ disk, deadLetters, clock, limits, numbers: numbersOf(partition, config.partitions) });
    try {
      const { remarks } = await journal.recover();
      for (const remark of remarks) logger.warn({ partition }, remark);
      if (disk.lost !== undefined) throw disk.lost;
      if (!begin()) throw partitionLost(partition);
    } catch (error) {
      await journal.close().catch(() => undefined); // what it could not read is the error
      await disk.close();
      throw error;
    }
    this.#open.set(partition, { journal, disk });
    this.journal.gain(partition, journal);
    await this.#host?.gained(partition);
  }

  async #rest(partition: Partition, mostMs: number): Promise<void> {
    await this.#host?.rest(partition, mostMs);
    this.#leaving.add(partition);
    const open = this.#open.get(partition);
    await this.journal.lose(partition);
    await open?.disk.close();
    this.#leaving.delete(partition);
  }

  /** Ownership says so: the lease is over, or another has it. */
  #lost(partition: Partition): void {
    this.#open.get(partition)?.disk.lose("its lease is over");
    void this.journal.lose(partition);
  }

  /** The journal has let go of it: because it was told to, or its stream refused it. */
  #gone(partition: Partition): void {
    const open = this.#open.get(partition);
    this.#open.delete(partition);
    this.#host?.lost(partition);
    if (this.#leaving.has(partition)) return;
    this.#ownership.forget(partition);
    void open?.disk.close();
  }

  async #answer(question: Question | undefined): Promise<unknown> {
    switch (question?.kind) {
      case "loads":
        return this.loads();
      case "reload":
        return await this.#reloads.answer(question);
      case "drain":
        this.#ownership.drain();
        return true;
      case "gateway":
        return await this.#host?.ask(question.about);
      default:
        return undefined;
    }
  }
}
