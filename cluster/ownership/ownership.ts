/**
 * Ownership of partitions: how this node takes, keeps, gives away and loses them.
 *
 *                    claimed (compare and set)        gain
 *     nobody's ───────────────▶ gaining ─────────────────────▶ owned ──target is another, or stopping──▶ resting ──▶ nobody's
 *        ▲                         │ gain rejects                │                                           │
 *        └─────────────────────────┴───────── lost: another has it, or no beat was kept for a while ◀────────┘
 *
 * A node's beat is a write of its own key at an interval. A node whose beat has not changed for a lease, by the clock of who looks, is taken
 * for gone, and others take its partitions. No clocks are compared. A node whose beats are not kept steps down by itself before that. All of
 * this is for liveness alone: what makes a deposed owner harmless is the fence of the partition's log.
 */
import { type Clock, CodedError, isCoded } from "#base";
import type { Logger, Partition, ShownNode } from "#gateway";
import { assign } from "./assignment.ts";
import { decodeEntry, encodeEntry, type NodeEntry, nodeKey, type PartitionEntry, partitionKey } from "./entries.ts";
import { ownershipLimits, type OwnershipLimits } from "./limits.ts";
import type { Store, Take } from "./store.ts";
import { View } from "./view.ts";

export interface OwnershipOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of this node. */
  readonly node: string;
  /** Of this process, unique. */
  readonly life: string;
  readonly partitions: number;
  readonly version: string;
  readonly limits?: OwnershipLimits;
  /** Where this node's HTTP server listens, to be shown; empty until it does. */
  readonly address: () => string;
  /** Of the configuration that this node serves, to be shown; undefined until it does. */
  readonly revision?: () => string | undefined;
  /**
   * Takes it up, and calls `begin` in the turn from which on it is worked on; false there: it was lost meanwhile. Rejects when that fails: it is
   * given back, for this node or another to try again.
   */
  gain(partition: Partition, begin: () => boolean): Promise<void>;
  /** Ends what is under way, within `mostMs`, and closes it. Never rejects. */
  rest(partition: Partition, mostMs: number): Promise<void>;
  /** Another may have it: nothing of it goes on. Also called for one that was being gained or rested. */
  lost(partition: Partition): void;
}

interface Own {
  /** Claiming: it is asked for, and not this node's yet. */
  state: "claiming" | "gaining" | "owned" | "resting";
  revision: number;
  /** Its gain, or its end. */
  work: Promise<void>;
}

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #limits: OwnershipLimits;
  #view: View;
  readonly #own = new Map<number, Own>();
  /** Partitions that could not be taken up, and when to try again. */
  readonly #againMs = new Map<number, number>();
  #state: NodeEntry["state"] = "up";
  #sinceMs = 0;
  #startedMs = 0;
  #beat = 0;
  #beating = false;
  /** A beat of this process was kept. */
  #hasName = false;
  /** When the last beat that was kept was sent, and when one was sent at all. */
  #keptMs = 0;
  #sentMs = Number.NEGATIVE_INFINITY;
  /** When this node last saw a beat of its own among the changes: others would have been seen, too. */
  #echoMs = Number.NEGATIVE_INFINITY;
  /** How often it turned out that the servers had lost writes. */
  #losses = 0;
  #claiming = 0;
  #cancelTick: (() => void) | undefined;
  #endWatch: (() => void) | undefined;
  #ended = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#limits = options.limits ?? ownershipLimits;
    this.#view = new View(options.partitions);
  }

  /** Rejects with MF_CLUSTER_NODE_TAKEN when a process of this name is there. */
  async start(): Promise<void> {
    const { store, clock } = this.#options;
    this.#sinceMs = clock.now();
    this.#endWatch = await store.watch(this.#take());
    await this.#takeName();
    this.#startedMs = clock.monotonicMs();
    this.#keptMs = this.#startedMs;
    this.#tick();
  }

  /** The node to hand messages of a partition to; undefined while nobody takes them. */
  ownerOf(partition: Partition): string | undefined {
    if (this.#own.has(partition)) return this.isOwned(partition) ? this.#options.node : undefined;
    const { entry } = this.#view.partition(partition);
    if (entry?.owner === undefined || entry.resting || entry.owner === this.#options.node) return undefined;
    return this.#view.node(entry.owner)?.life === entry.life ? entry.owner : undefined;
  }

  /** Gained, and not being given away. False at once when the last beat is too old, also if no timer has run since: after a long stop. */
  isOwned(partition: Partition): boolean {
    return this.#own.get(partition)?.state === "owned" && !this.#isOver(this.#options.clock.monotonicMs());
  }

  #isOver(nowMs: number): boolean {
    return nowMs - this.#keptMs > this.#limits.stepDownMs;
  }

  /** Gained partitions, in order. */
  get owned(): readonly Partition[] {
    return [...this.#own]
      .filter(([, { state }]) => state === "owned")
      .map(([partition]) => partition as Partition)
      .sort((a, b) => a - b);
  }

  get state(): NodeEntry["state"] {
    return this.#state;
  }

  /** Nodes that beat, by name; this one is among them once it has begun. */
  nodes(): readonly ShownNode[] {
    return this.#live().map(([name, { life, sinceMs, version, address, state, revision }]) => {
      const partitions = this.#view.countOf(name, life);
      return { name, life, sinceMs, version, address, state: state === "up" ? "up" : "draining", partitions, revision };
    });
  }

  /** The owner of each partition as this node sees it, also while it rests; undefined: nobody. */
  owners(): readonly (string | undefined)[] {
    return this.#present();
  }

  /** Something that beats tell has changed: the next tick tells it. */
  beatSoon(): void {
    this.#sentMs = Number.NEGATIVE_INFINITY;
  }

  /** This node gives its partitions away, one after the other, and takes no others, as long as it runs. */
  drain(): void {
    if (this.#state === "up") this.#state = "draining";
    this.beatSoon();
  }

  /** The partition's journal was taken over by another: nothing is told to `lost`. */
  forget(partition: Partition): void {
    this.#own.delete(partition);
  }

  /** Gives up everything, several at once, and leaves. Never rejects. */
  async stop(): Promise<void> {
    this.#state = "draining";
    const queue = [...this.#own.entries()];
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await next[1].work;
        await this.#giveUp(next[0] as Partition);
      }
    };
    await Promise.all(Array.from({ length: this.#limits.restsAtStop }, worker));
    if (this.#ended) return;
    this.#ended = true;
    this.#state = "gone";
    await this.#putBeat().catch(() => undefined);
    this.#leave();
  }

  #live(): [string, NodeEntry][] {
    return this.#view.live(this.#options.node, this.#options.life, this.#options.clock.monotonicMs(), this.#limits.leaseMs);
  }

  /** The owner of each partition, if it beats. */
  #present(): (string | undefined)[] {
    const live = new Map(this.#live());
    return Array.from({ length: this.#options.partitions }, (_, partition) => {
      const { entry } = this.#view.partition(partition);
      return entry?.owner !== undefined && live.get(entry.owner)?.life === entry.life ? entry.owner : undefined;
    });
  }

  #take(): Take {
    const loss = this.#losses;
    return (key, value, revision, isPresent) => {
      if (loss === this.#losses && !this.#ended) this.#saw(key, value, revision, isPresent);
    };
  }

  #saw(key: string, value: Uint8Array, revision: number, isPresent?: boolean): void {
    const { clock, node, life } = this.#options;
    if (isPresent === true && revision < this.#view.revision(key)) return this.#lostWrites();
    if (key === nodeKey(node) && isPresent !== true) this.#echoMs = clock.monotonicMs();
    if (key === nodeKey(node) && this.#isReplaced(value, revision)) return this.#replaced();
    const seen = this.#view.saw(key, value, revision, clock.monotonicMs());
    if (seen === undefined) return;
    const own = this.#own.get(seen);
    if (own === undefined) return;
    const { entry } = this.#view.partition(seen);
    const isGivenUp = entry?.life === life && entry.owner === undefined;
    if (isGivenUp || (own.state === "claiming" && entry?.life !== life)) this.#own.delete(seen);
    else if (entry?.life === life) own.revision = Math.max(own.revision, revision);
    else if (revision > own.revision) this.#lose(seen as Partition, "another node has taken it");
  }

  async #write(key: string, entry: NodeEntry | PartitionEntry, expected: number): Promise<number | undefined> {
    const { store, clock } = this.#options;
    const losses = this.#losses;
    const value = encodeEntry(entry);
    const revision = await store.put(key, value, expected);
    if (revision === undefined || losses !== this.#losses) return undefined; // or of a table that this node no longer goes by
    this.#view.saw(key, value, revision, clock.monotonicMs());
    return revision;
  }

  /** The table is not what this node takes it for: it gives up everything, reads the table anew, and takes part again. */
  #lostWrites(): void {
    const { clock, logger, partitions } = this.#options;
    logger.error(
      { code: "MF_CLUSTER_WRITES_LOST", partitions: this.#own.size },
      "the NATS servers have lost writes that they had confirmed: this node gives up its partitions, and begins anew with what is left",
    );
    this.#losses += 1;
    this.#hasName = false;
    this.#view = new View(partitions);
    this.#startedMs = clock.monotonicMs();
    this.#echoMs = Number.NEGATIVE_INFINITY;
    for (const partition of [...this.#own.keys()]) this.#lose(partition as Partition, undefined);
    this.#watchAnew(this.#losses);
  }

  #watchAnew(losses: number): void {
    const { store, clock } = this.#options;
    const isPast = (): boolean => this.#ended || losses !== this.#losses;
    this.#endWatch?.();
    this.#endWatch = undefined;
    store.watch(this.#take()).then(
      (end) => (isPast() ? end() : (this.#endWatch = end)),
      () => clock.after(this.#limits.beatMs, () => (isPast() ? undefined : this.#watchAnew(losses))),
    );
  }

  /** Another process beats under this node's name, which this one has had. */
  #isReplaced(value: Uint8Array, revision: number): boolean {
    if (revision <= this.#view.revision(nodeKey(this.#options.node))) return false; // of the one before, told late
    const seen = decodeEntry(nodeKey(this.#options.node), value);
    return this.#hasName && seen?.kind === "node" && seen.node?.life !== this.#options.life;
  }

  /** It was stopped for long, and its successor has taken the name: it takes no part any more. */
  #replaced(): void {
    this.#options.logger.error(
      { code: "MF_CLUSTER_NODE_TAKEN" },
      "another process has taken over this node's name and partitions: stop this one, or give it another name",
    );
    this.#leave();
    for (const partition of [...this.#own.keys()]) this.#lose(partition as Partition, undefined);
  }

  #leave(): void {
    this.#ended = true;
    this.#state = "gone";
    this.#cancelTick?.();
    this.#endWatch?.();
  }

  /** Waits for the beats of another process of this name, if the last one did not leave. */
  async #takeName(): Promise<void> {
    const { clock, node } = this.#options;
    const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
    const entry = this.#view.node(node);
    if (entry === undefined || entry.state === "gone") return;
    await pause(this.#limits.lastBeatMs);
    const before = this.#view.revision(nodeKey(node));
    await pause(this.#limits.nameMs);
    if (this.#view.revision(nodeKey(node)) !== before && this.#view.node(node)?.state !== "gone") {
      this.#endWatch?.();
      throw new CodedError(
        "MF_CLUSTER_NODE_TAKEN",
        `another node of the cluster is called ${node}: set cluster.node, or MAYFLY_NODE, to another name`,
      );
    }
  }

  #tick(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#ended) return;
    this.#cancelTick = clock.after(this.#limits.tickMs, () => this.#tick());
    if (nowMs - this.#sentMs >= this.#limits.beatMs && !this.#beating) this.#sendBeat(nowMs);
    if (this.#isOver(nowMs)) return this.#stepDown();
    if (nowMs - this.#echoMs > this.#limits.freshMs) return this.#view.renew(nowMs);
    if (nowMs - this.#startedMs < this.#limits.settleMs) return;
    this.#act(nowMs);
  }

  #sendBeat(nowMs: number): void {
    this.#sentMs = nowMs;
    this.#beating = true;
    this.#putBeat().then(
      (isKept) => {
        this.#beating = false;
        if (isKept) this.#keptMs = Math.max(this.#keptMs, nowMs);
      },
      () => {
        this.#beating = false; // it may have been kept: the view tells
      },
    );
  }

  async #putBeat(): Promise<boolean> {
    const { node, life, version, address } = this.#options;
    const told = { address: address(), revision: this.#options.revision?.() };
    const entry: NodeEntry = { life, sinceMs: this.#sinceMs, version, ...told, state: this.#state, beat: ++this.#beat };
    const revision = await this.#write(nodeKey(node), entry, this.#view.revision(nodeKey(node)));
    if (revision === undefined) return this.#view.node(node)?.life === life; // a retry of one that was kept
    this.#hasName = true;
    return true;
  }

  #stepDown(): void {
    if (this.#own.size === 0) return;
    this.#options.logger.error(
      { code: "MF_CLUSTER_STEP_DOWN", partitions: this.#own.size },
      "the NATS servers have not kept this node's beats: it gives up its partitions until they do",
    );
    for (const partition of [...this.#own.keys()]) this.#lose(partition as Partition, undefined);
  }

  #lose(partition: Partition, why: string | undefined): void {
    if (!this.#own.delete(partition)) return;
    if (why !== undefined) this.#options.logger.warn({ code: "MF_PARTITION_LOST", partition }, `a partition was lost: ${why}`);
    this.#options.lost(partition);
  }

  /** Takes what is this node's by the assignment, and gives away what is not. */
  #act(nowMs: number): void {
    const { node } = this.#options;
    const nodes = this.#live().filter(([, { state }]) => state === "up");
    const present = this.#present();
    const target = assign(
      nodes.map(([name]) => name),
      present,
    );
    for (const [partition, owner] of target.entries()) {
      if (this.#claiming >= this.#limits.gainsAtOnce) break;
      const isFree = present[partition] === undefined || present[partition] === node;
      const isDue = (this.#againMs.get(partition) ?? 0) <= nowMs;
      if (!isDue || this.#own.has(partition)) continue;
      if (owner === node && isFree && this.#state === "up") this.#claim(partition as Partition);
      else if (present[partition] === node) this.#disown(partition as Partition, nowMs);
    }
    if (this.#ended || [...this.#own.values()].some(({ state }) => state === "resting")) return;
    const away = [...this.#own].find(([partition, { state }]) => state === "owned" && target[partition] !== node && nodes.length > 0);
    if (away !== undefined) void this.#giveUp(away[0] as Partition);
  }

  #claim(partition: Partition): void {
    const own: Own = { state: "claiming", revision: this.#view.partition(partition).revision, work: Promise.resolve() };
    this.#own.set(partition, own);
    own.work = this.#gain(partition, own);
  }

  /** It is this node's by name only: giving it up was not kept. */
  #disown(partition: Partition, nowMs: number): void {
    const { revision } = this.#view.partition(partition);
    this.#againMs.set(partition, nowMs + this.#limits.gainAgainMs);
    void this.#release(partition, { state: "resting", revision, work: Promise.resolve() });
  }

  async #gain(partition: Partition, own: Own): Promise<void> {
    const { clock, gain, logger } = this.#options;
    this.#claiming += 1;
    let isClaiming = true;
    const claimed = (): void => {
      if (isClaiming) this.#claiming -= 1;
      isClaiming = false;
    };
    try {
      const isClaimed = await this.#put(partition, own, { owner: this.#options.node, life: this.#options.life, resting: false });
      if (!isClaimed) return void (this.#own.get(partition) === own && this.#own.delete(partition));
      own.state = "gaining";
      await gain(partition, () => {
        if (this.#isOver(clock.monotonicMs())) this.#stepDown();
        if (this.#own.get(partition) !== own) return false;
        own.state = "owned";
        claimed();
        return true;
      });
      if (this.#own.get(partition) !== own) return this.#options.lost(partition);
      this.#againMs.delete(partition);
      logger.debug({ partition }, "a partition was taken up");
    } catch (error) {
      this.#againMs.set(partition, clock.monotonicMs() + this.#limits.gainAgainMs);
      if (this.#own.get(partition) !== own) return;
      logger.warn({ partition, code: isCoded(error) ? error.code : undefined, error: String(error) }, "a partition could not be taken up");
      await this.#release(partition, own);
    } finally {
      claimed();
    }
  }

  /** Says that it takes nothing for it any more, ends what is under way, and leaves it to others. */
  #giveUp(partition: Partition): Promise<void> {
    const own = this.#own.get(partition);
    if (own?.state === "owned") {
      own.state = "resting";
      const begun = own.work;
      own.work = begun.then(() => (this.#own.get(partition) === own ? this.#rest(partition, own) : undefined));
    }
    return own?.work ?? Promise.resolve();
  }

  async #rest(partition: Partition, own: Own): Promise<void> {
    const { node, life } = this.#options;
    await this.#put(partition, own, { owner: node, life, resting: true }).catch(() => false); // told only so that others wait
    if (this.#own.get(partition) !== own) return;
    await this.#options.rest(partition, this.#limits.restMs);
    if (this.#own.get(partition) === own) await this.#release(partition, own);
  }

  async #release(partition: Partition, own: Own): Promise<void> {
    await this.#put(partition, own, { owner: undefined, life: this.#options.life, resting: false }).catch(() => false);
    if (this.#own.get(partition) === own) this.#own.delete(partition);
  }

  async #put(partition: Partition, own: Own, entry: PartitionEntry): Promise<boolean> {
    const revision = await this.#write(partitionKey(partition), entry, own.revision);
    if (revision === undefined) return false;
    own.revision = revision;
    return true;
  }
}
