/**
 * The journals of the partitions that this node of a cluster owns, behind the one port.
 *
 *   a message ──▶ partitionOf(flow, key), or of its dedup id, or `home` ──▶ that partition's journal
 *   a lease, a send, a sleeper, a signal ──▶ its number modulo the number of partitions ──▶ the journal that gave it out
 *
 * A call about a partition that is not here is answered as a stale lease is: nothing was done, and nothing must be told to anyone. That
 * begins in the turn in which `lose` was called, whatever was under way; a new message is refused with MF_PARTITION_AWAY.
 *
 * A signal is kept in the partition of its name and key, where its duplicates are recognised. The machine that takes it may sleep in another:
 * the signal is moved there before the commit that consumes it, so that taking it and what follows from it stay one commit.
 */
import { assert, CodedError, isCoded } from "#base";
import { type Partition, partitionOf } from "../../contract/cluster.ts";
import type { Headers } from "../../contract/message.ts";
import { identityOf } from "../dedup-id.ts";
import type {
  KeptBytes,
  Accepted,
  AttemptRecord,
  Completed,
  Completion,
  Journal,
  JournalStats,
  KeptSignal,
  Lease,
  NewMessage,
  NewSignal,
  OutboxEntry,
  Recovery,
  Sequence,
  SignalHead,
  SignalKept,
  SignalNumber,
  SleeperInfo,
  StateSnapshot,
} from "../journal.ts";
import type { NumberSeries } from "../ledger.ts";
import { copied, MovedSignals, reserved, reservedFor } from "./moved-signals.ts";

/** True for the refusal of a message whose partition is not here. */
export function isPartitionAway(error: unknown): boolean {
  return isCoded(error) && error.code === "MF_PARTITION_AWAY";
}

/** For the log of a partition that refuses its former owner, now and for ever. */
export function partitionLost(partition: number): CodedError {
  return new CodedError("MF_PARTITION_LOST", `partition ${partition} has another owner: this node writes nothing of it any more`);
}

export function partitionAway(partition: Partition): CodedError {
  return new CodedError("MF_PARTITION_AWAY", `partition ${partition} is being taken over by another node: send the message again`);
}

/** The numbers that the journal of a partition gives out. */
export function numbersOf(partition: Partition, partitions: number): NumberSeries {
  return { first: partition === 0 ? partitions : partition, step: partitions };
}

/** True for an error, or its cause, that says that another node owns the partition. */
export function isPartitionLost(error: unknown): boolean {
  for (let each: unknown = error; each instanceof Error; each = each.cause)
    if (isCoded(each) && each.code === "MF_PARTITION_LOST") return true;
  return false;
}

export interface PartitionedJournalOptions {
  /** Of the cluster, owned or not. */
  readonly partitions: number;
  /** Called in the turn in which a partition is lost, by `lose` or by the refusal of its stream. */
  readonly onLost?: ((partition: Partition) => void) | undefined;
}

/** Owners of partitions that are not here, for signals on their way. */
export interface SignalPeers {
  /** Has the owner drop a signal; false while that is not known to be done. */
  readonly drop: (partition: Partition, number: SignalNumber) => Promise<boolean>;
  /** Brings a signal that is reserved for it to the owner, which keeps it and has it dropped here. */
  readonly bring: (partition: Partition, signal: KeptSignal) => Promise<void>;
}

/** Begins the keys of what is kept for a flow itself: no message's key begins so. All of it is in one partition. */
export const flowKey = "\0source";

type Fits = (head: SignalHead) => boolean;

export class PartitionedJournal implements Journal {
  readonly durable = true;
  readonly #partitions: number;
  readonly #onLost: (partition: Partition) => void;
  #peers: SignalPeers = { drop: () => Promise.resolve(false), bring: () => Promise.resolve() };
  readonly #journals = new Map<Partition, Journal>();
  /** Nothing of these is given out any more. */
  readonly #resting = new Set<Partition>();
  readonly #closing = new Set<Promise<void>>();
  readonly #moved = new MovedSignals();
  #home: Partition | undefined;
  #turn = 0;
  #closed = false;

  constructor({ partitions, onLost = () => undefined }: PartitionedJournalOptions) {
    this.#partitions = partitions;
    this.#onLost = onLost;
  }

  /** From now on signals move to and from other nodes, too. */
  connect(peers: SignalPeers): void {
    this.#peers = peers;
  }

  /** Takes in the journal of a partition, which was recovered. */
  gain(partition: Partition, journal: Journal): void {
    assert(!this.#journals.has(partition), "a partition is gained once");
    this.#journals.set(partition, journal);
  }

  /** From now on nothing of the partition is given out; what is under way goes on. */
  rest(partition: Partition): void {
    if (this.#journals.has(partition)) this.#resting.add(partition);
    if (this.#home === partition) this.#home = undefined;
  }

  /** Ends `rest`. */
  resume(partition: Partition): void {
    this.#resting.delete(partition);
  }

  /** Forgets a partition and closes its journal; resolves once that is closed. What is under way is answered as stale from now on. */
  lose(partition: Partition): Promise<void> {
    const journal = this.#journals.get(partition);
    if (journal === undefined) return Promise.resolve();
    this.#journals.delete(partition);
    this.#resting.delete(partition);
    if (this.#home === partition) this.#home = undefined;
    this.#moved.forget((number) => this.partitionOfNumber(number) === partition);
    this.#onLost(partition);
    const closing = journal.close().catch(() => undefined); // its stream is another's, or its end is not written: recovery reads it all the same
    this.#closing.add(closing);
    return closing.finally(() => this.#closing.delete(closing));
  }

  /** True while the partition is here and new messages of it are taken. */
  takes(partition: Partition): boolean {
    return this.#journals.has(partition) && !this.#resting.has(partition);
  }

  /** Partitions that are here, resting ones included. */
  get owned(): readonly Partition[] {
    return [...this.#journals.keys()];
  }

  /** The partition of messages that have neither a key nor an id: one and the same for long, so that batches are. */
  home(): Partition | undefined {
    if (this.#home === undefined || !this.takes(this.#home)) this.#home = this.owned.find((each) => this.takes(each));
    return this.#home;
  }

  /** The partition of a message; undefined for one that has neither a key nor an id while none is here. */
  partitionOf({ flow, key, dedup }: Pick<NewMessage, "flow" | "key" | "dedup">): Partition | undefined {
    const text = key ?? (dedup === undefined ? undefined : identityOf(dedup.id));
    return text === undefined ? this.home() : this.#partitionOfKey(flow, text);
  }

  /** The partition whose owner runs a flow's single sources, and where what they keep is. */
  partitionOfFlow(flow: string): Partition {
    return this.#partitionOfKey(flow, flowKey);
  }

  #partitionOfKey(flow: string, key: string): Partition {
    return partitionOf(flow, key.startsWith(flowKey) ? flowKey : key, this.#partitions);
  }

  /** The partition that gave out a number. */
  partitionOfNumber(number: number): Partition {
    return (number % this.#partitions) as Partition;
  }

  /** The partition where signals of a name and key are kept first. */
  partitionOfSignal({ flow, name, key }: Pick<NewSignal, "flow" | "name" | "key">): Partition {
    return partitionOf(flow, `${name}\0${key}`, this.#partitions);
  }

  async recover(): Promise<Recovery> {
    return { pending: {}, sleepers: {}, outbox: [], remarks: [] };
  }

  async accept(message: NewMessage): Promise<Accepted> {
    const partition = this.#targetOf(message);
    const accepted = await this.#in<Accepted | undefined>(partition, undefined, (journal) => journal.accept(message));
    if (accepted === undefined) throw partitionAway(partition);
    return accepted;
  }

  /** Throws MF_PARTITION_AWAY. */
  adopt(message: NewMessage): Accepted {
    const partition = this.#targetOf(message);
    const journal = this.#journals.get(partition);
    if (journal === undefined) throw partitionAway(partition);
    return journal.adopt(message);
  }

  #targetOf(message: NewMessage): Partition {
    const partition = this.partitionOf(message) ?? this.owned[0]; // resting: a message without key and id that ran meanwhile
    if (partition !== undefined && (this.#closed || this.#journals.has(partition))) return partition;
    throw partitionAway(partition ?? (0 as Partition));
  }

  lease(flow: string, most: number): Promise<readonly Lease[]> {
    return this.#gather(
      most,
      (journal, left) => journal.lease(flow, left),
      (journal, lease) => journal.release(lease),
    );
  }

  async complete(lease: Lease, whole: Completion): Promise<Completed> {
    const partition = this.partitionOfNumber(lease.sequence);
    return this.#in<Completed>(partition, { status: "stale" }, async (journal) => {
      const completion = whole.bounds === undefined ? whole : { ...whole, bounds: this.#boundsIn(journal, whole.bounds) };
      const given = completion.consumed ?? [];
      if (given.length === 0) return journal.complete(lease, completion);
      const moved = await this.#withMoved(partition, given, async (consumed) => {
        const completed = await journal.complete(lease, { ...completion, consumed });
        return { completed, gone: completed.status === "committed" };
      });
      return moved?.completed ?? { status: "stale" };
    });
  }

  /** Those of one partition: what others of this node have is taken off. */
  #boundsIn(journal: Journal, bounds: NonNullable<Completion["bounds"]>): Completion["bounds"] {
    const [all, own] = [this.keptBy(bounds.owner), journal.keptBy(bounds.owner)];
    return { ...bounds, state: bounds.state - (all.state - own.state), messages: bounds.messages - (all.messages - own.messages) };
  }

  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    return this.#ofNumber(lease.sequence, undefined, (journal) => journal.retryLater(lease, record, dueMs));
  }

  bury(lease: Lease, record: AttemptRecord, given: readonly SignalNumber[] = []): Promise<string | undefined> {
    const partition = this.partitionOfNumber(lease.sequence);
    return this.#in(partition, undefined, async (journal) => {
      const moved = await this.#withMoved(partition, given, async (consumed) => {
        const letter = await journal.bury(lease, record, consumed);
        return { letter, gone: letter !== undefined };
      });
      return moved?.letter;
    });
  }

  release(lease: Lease): void {
    this.#journals.get(this.partitionOfNumber(lease.sequence))?.release(lease);
  }

  drop(lease: Lease): Promise<boolean> {
    return this.#ofNumber(lease.sequence, false, (journal) => journal.drop(lease));
  }

  async keepSignal(signal: NewSignal): Promise<SignalKept> {
    const partition = this.partitionOfSignal(signal);
    const kept = await this.#in<SignalKept | undefined>(partition, undefined, (journal) => journal.keepSignal(signal));
    if (kept === undefined) throw partitionAway(partition);
    return kept;
  }

  async firstSignal(flow: string, name: string, key: string, fits: Fits): Promise<KeptSignal | undefined> {
    for (;;) {
      const head = this.#firstHead(flow, name, key, fits);
      if (head === undefined) return undefined;
      const { number } = head;
      const found = await this.#ofNumber(number, undefined, (journal) =>
        journal.firstSignal(flow, name, key, (each) => each.number === number && fits(each)),
      );
      if (found !== undefined) return found;
      if (this.#firstHead(flow, name, key, fits)?.number === number) return undefined;
    }
  }

  hasSignal(flow: string, name: string, key: string, fits: Fits): boolean {
    return this.#firstHead(flow, name, key, fits) !== undefined;
  }

  /** The oldest over all partitions. */
  #firstHead(flow: string, name: string, key: string, fits: Fits): SignalHead | undefined {
    let first: SignalHead | undefined;
    for (const journal of this.#journals.values()) {
      journal.hasSignal(flow, name, key, (head) => {
        if (this.#moved.isHidden(head) || !fits(head)) return false;
        if (first === undefined || head.receivedMs < first.receivedMs) first = head;
        return true;
      });
    }
    return first;
  }

  *keptSignals(): Iterable<Pick<KeptSignal, "number" | "flow" | "name" | "key" | "keptUntilMs" | "dedup">> {
    for (const journal of this.#journals.values())
      for (const signal of journal.keptSignals()) if (!this.#moved.isHidden(signal)) yield signal;
  }

  async burySignal(number: SignalNumber, record: AttemptRecord): Promise<string | undefined> {
    const letter = await this.#ofNumber(number, undefined, (journal) => journal.burySignal(number, record));
    if (letter !== undefined) this.#moved.consumed([number]);
    return letter;
  }

  replaceSignal(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined> {
    return this.#ofNumber(number, undefined, (journal) => journal.replaceSignal(number, by));
  }

  dropSignal(number: SignalNumber): Promise<boolean> {
    return this.#ofNumber(number, false, (journal) => journal.dropSignal(number));
  }

  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    for (const [partition, journal] of this.#journals) {
      const waiter = this.#resting.has(partition) ? undefined : journal.waiterFor(flow, name, key);
      if (waiter !== undefined) return waiter;
    }
    return undefined;
  }

  isAwaited(flow: string, name: string, key: string): boolean {
    return this.#some((journal) => journal.isAwaited(flow, name, key));
  }

  async wake(sequence: Sequence): Promise<Lease | undefined> {
    if (this.#resting.has(this.partitionOfNumber(sequence))) return undefined;
    return this.#ofNumber(sequence, undefined, (journal) => journal.wake(sequence));
  }

  dueSleepers(flow: string, nowMs: number, most: number): readonly Sequence[] {
    const due: Sequence[] = [];
    for (const journal of this.#active()) {
      if (due.length >= most) break;
      due.push(...journal.dueSleepers(flow, nowMs, most - due.length));
    }
    return due;
  }

  nextSleeperMs(flow: string): number | undefined {
    return this.#least((journal) => journal.nextSleeperMs(flow));
  }

  postpone(sequence: Sequence, dueMs: number): void {
    this.#journals.get(this.partitionOfNumber(sequence))?.postpone(sequence, dueMs);
  }

  async listSleepers(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]> {
    const all: SleeperInfo[] = [];
    for (const partition of this.owned)
      all.push(...(await this.#in<readonly SleeperInfo[]>(partition, [], (journal) => journal.listSleepers(flow, after, most))));
    return all.sort((a, b) => a.sequence - b.sequence).slice(0, most);
  }

  async findSleeper(id: string, flow?: string): Promise<Sequence | undefined> {
    for (const partition of this.owned) {
      const found = await this.#in(partition, undefined, (journal) => journal.findSleeper(id, flow));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  readSleeper(sequence: Sequence): Promise<Lease | undefined> {
    return this.#ofNumber(sequence, undefined, (journal) => journal.readSleeper(sequence));
  }

  sleeperCount(flow: string): { readonly sleepers: number; readonly signals: number } {
    let [sleepers, signals] = [0, 0];
    for (const journal of this.#journals.values()) {
      const count = journal.sleeperCount(flow);
      sleepers += count.sleepers;
      signals += count.signals;
    }
    return { sleepers, signals };
  }

  /** Of the partitions that are this node's; letters are in one folder. */
  keptBy(owner: string): KeptBytes {
    let [state, messages, deadLetters] = [0, 0, 0];
    for (const journal of this.#journals.values()) {
      const kept = journal.keptBy(owner);
      state += kept.state;
      messages += kept.messages;
      deadLetters = Math.max(deadLetters, kept.deadLetters);
    }
    return { state, messages, deadLetters };
  }

  sleepersByImage(): ReadonlyMap<string, number> {
    const all = new Map<string, number>();
    for (const journal of this.#journals.values())
      for (const [image, count] of journal.sleepersByImage()) all.set(image, (all.get(image) ?? 0) + count);
    return all;
  }

  readState(flow: string, key: string): Promise<StateSnapshot> {
    return this.#in<StateSnapshot>(this.#partitionOfKey(flow, key), { version: 0, json: undefined }, (journal) =>
      journal.readState(flow, key),
    );
  }

  leaseOutbox(flow: string, outlet: string, most: number, nowMs: number, dateMs: number = nowMs): Promise<readonly OutboxEntry[]> {
    const due = (journal: Journal): boolean =>
      (journal.nextOutboxMs(flow, outlet) ?? Number.POSITIVE_INFINITY) <= nowMs ||
      (journal.nextOutboxDateMs(flow, outlet) ?? Number.POSITIVE_INFINITY) <= dateMs;
    return this.#gather(
      most,
      async (journal, left) => (due(journal) ? journal.leaseOutbox(flow, outlet, left, nowMs, dateMs) : []),
      (journal, entry) => journal.releaseOutbox(entry),
    );
  }

  settleOutbox(entry: OutboxEntry): Promise<void> {
    return this.#ofNumber(entry.number, undefined, (journal) => journal.settleOutbox(entry));
  }

  deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    return this.#ofNumber(entry.number, undefined, (journal) => journal.deferOutbox(entry, record, dueMs));
  }

  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#ofNumber(entry.number, undefined, (journal) => journal.buryOutbox(entry, record));
  }

  releaseOutbox(entry: OutboxEntry, dueMs?: number): void {
    this.#journals.get(this.partitionOfNumber(entry.number))?.releaseOutbox(entry, dueMs);
  }

  hastenOutbox(flow: string, outlet: string): void {
    for (const journal of this.#journals.values()) journal.hastenOutbox(flow, outlet);
  }

  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#least((journal) => journal.nextOutboxMs(flow, outlet));
  }

  nextOutboxDateMs(flow: string, outlet: string): number | undefined {
    return this.#least((journal) => journal.nextOutboxDateMs(flow, outlet));
  }

  outboxDelayed(flow: string, outlet: string): number {
    return this.#sum((journal) => journal.outboxDelayed(flow, outlet));
  }

  outboxDepth(flow: string, outlet: string): number {
    return this.#sum((journal) => journal.outboxDepth(flow, outlet));
  }

  *liveHeaders(): Iterable<Headers> {
    for (const journal of this.#journals.values()) yield* journal.liveHeaders();
  }

  async sync(): Promise<void> {
    await Promise.all(this.owned.map((partition) => this.#in(partition, undefined, (journal) => journal.sync())));
  }

  /** Trouble of one partition refuses its messages alone; all in trouble are as one journal is. */
  get trouble(): CodedError | undefined {
    let trouble: CodedError | undefined;
    for (const journal of this.#journals.values()) {
      if (journal.trouble === undefined) return undefined;
      trouble ??= journal.trouble;
    }
    return trouble;
  }

  stats(): JournalStats {
    const sum: Record<keyof JournalStats, number> = {
      pending: 0,
      pendingBytes: 0,
      outbox: 0,
      delayed: 0,
      dedupIds: 0,
      stateKeys: 0,
      sleepers: 0,
      signals: 0,
      diskBytes: 0,
      commits: 0,
      committed: 0,
    };
    for (const journal of this.#journals.values()) {
      const stats = journal.stats();
      for (const name of Object.keys(sum) as (keyof JournalStats)[]) sum[name] += stats[name];
    }
    return sum;
  }

  /** The journals stay, closed: what comes after is refused by each of them. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#closing, ...[...this.#journals.values()].map((journal) => journal.close())]);
  }

  /** Journals that give something out, from another one on each time: none comes last for ever. */
  #active(): Journal[] {
    const active = [...this.#journals].flatMap(([partition, journal]) => (this.#resting.has(partition) ? [] : [journal]));
    const from = active.length === 0 ? 0 : this.#turn++ % active.length;
    return [...active.slice(from), ...active.slice(0, from)];
  }

  #some(test: (journal: Journal) => boolean): boolean {
    for (const journal of this.#journals.values()) if (test(journal)) return true;
    return false;
  }

  #sum(count: (journal: Journal) => number): number {
    let sum = 0;
    for (const journal of this.#journals.values()) sum += count(journal);
    return sum;
  }

  #least(read: (journal: Journal) => number | undefined): number | undefined {
    let least: number | undefined;
    for (const [partition, journal] of this.#journals) {
      const value = this.#resting.has(partition) ? undefined : read(journal);
      if (value !== undefined && (least === undefined || value < least)) least = value;
    }
    return least;
  }

  /** Up to `most` of all partitions that give something out. When one can't, the others' are given back. */
  async #gather<T>(
    most: number,
    take: (journal: Journal, left: number) => Promise<readonly T[]>,
    giveBack: (journal: Journal, each: T) => void,
  ): Promise<readonly T[]> {
    const taken: { readonly journal: Journal; readonly each: T }[] = [];
    try {
      for (const journal of this.#active()) {
        if (taken.length >= most) break;
        const partition = this.#partitionAt(journal);
        if (partition === undefined) continue; // lost meanwhile
        const some = await this.#in<readonly T[]>(partition, [], () => take(journal, most - taken.length));
        for (const each of some) taken.push({ journal, each });
      }
    } catch (error) {
      for (const { journal, each } of taken) giveBack(journal, each);
      throw error;
    }
    return taken.filter(({ journal }) => this.#partitionAt(journal) !== undefined).map(({ each }) => each);
  }

  #partitionAt(journal: Journal): Partition | undefined {
    for (const [partition, each] of this.#journals) if (each === journal) return partition;
    return undefined;
  }

  #ofNumber<T>(number: number, away: T, call: (journal: Journal) => Promise<T>): Promise<T> {
    return this.#in(this.partitionOfNumber(number), away, call);
  }

  /** Runs a call of the partition's journal. `away`: the answer where it is not here, or is lost before the call has ended. */
  async #in<T>(partition: Partition, away: T, call: (journal: Journal) => Promise<T>): Promise<T> {
    const journal = this.#journals.get(partition);
    if (journal === undefined) return away;
    try {
      return await call(journal);
    } catch (error) {
      if (this.#journals.get(partition) !== journal) return away;
      if (!isPartitionLost(error)) throw error;
      void this.lose(partition);
      return away;
    }
  }

  /** Runs `work` with the numbers of signals in the partition of whoever consumes them. Undefined: one of them is not here any more. */
  async #withMoved<T extends { readonly gone: boolean }>(
    partition: Partition,
    given: readonly SignalNumber[],
    work: (numbers: readonly SignalNumber[]) => Promise<T>,
  ): Promise<T | undefined> {
    const numbers: SignalNumber[] = [];
    try {
      for (const each of given) {
        const number = this.#moved.now(each);
        const from = this.partitionOfNumber(number);
        const moved = from === partition ? number : await this.#move(number, from, partition);
        if (moved === undefined) return undefined;
        if (moved !== each) this.#moved.moved(each, moved);
        numbers.push(moved);
      }
      const done = await work(numbers);
      if (done.gone) this.#moved.consumed(numbers);
      return done;
    } finally {
      this.#moved.reveal(numbers);
    }
  }

  /** Gives the number at the new place, hidden there until it is revealed. Undefined: somebody else has it, or a crash will show who. */
  async #move(number: SignalNumber, from: Partition, to: Partition): Promise<SignalNumber | undefined> {
    const source = this.#journals.get(from);
    const head = source && [...source.keptSignals()].find((each) => each.number === number);
    if (source === undefined || head === undefined || reservedFor(head) !== undefined) return undefined;
    const signal = await source.firstSignal(head.flow, head.name, head.key, (each) => each.number === number);
    const ours = signal && (await source.replaceSignal(number, reserved(signal, to)));
    return ours && this.#bring(ours, to);
  }

  /** Brings a signal to the partition that it is reserved for. */
  async #bring(signal: KeptSignal, to: Partition): Promise<SignalNumber | undefined> {
    const kept = await this.#in(to, undefined, (journal) => journal.keepSignal(copied(signal)));
    if (kept === undefined) return undefined;
    const copy = kept.status === "kept" ? kept.signal.number : undefined;
    if (!(await this.#dropOriginal(signal.number)) || copy === undefined) return undefined;
    this.#moved.hide(copy);
    this.#moved.settled(copy);
    return copy;
  }

  /** Sends a signal that is here to a partition, which may be another node's. */
  async send(signal: KeptSignal, to: Partition): Promise<void> {
    const { number } = signal;
    if (this.partitionOfNumber(number) === to || this.#moved.isHidden(signal)) return;
    const ours = await this.#ofNumber(number, undefined, (journal) => journal.replaceSignal(number, reserved(signal, to)));
    if (ours === undefined) return;
    if (!this.#journals.has(to)) return await this.#peers.bring(to, ours);
    const copy = await this.#bring(ours, to);
    if (copy !== undefined) this.#moved.reveal([copy]);
  }

  /** Keeps a signal that another node sends to a partition that is here. Undefined: it is not, or the signal was there before. */
  async receive(partition: Partition, signal: KeptSignal): Promise<KeptSignal | undefined> {
    const copy = await this.#bring(signal, partition);
    if (copy === undefined) return undefined;
    this.#moved.reveal([copy]);
    return { ...signal, number: copy };
  }

  /** Goes on with moves that a crash has cut; gives how many signals are somebody's to take now. */
  async settleMoves(): Promise<number> {
    let settled = 0;
    for (const journal of [...this.#journals.values()]) {
      for (const head of [...journal.keptSignals()]) {
        const original = this.#moved.originalOf(head);
        if (original !== undefined && (await this.#dropOriginal(original))) {
          this.#moved.settled(head.number);
          settled += 1;
        }
        const to = reservedFor(head);
        if (to === undefined) continue;
        const signal = await this.#ofNumber(head.number, undefined, (owner) =>
          owner.firstSignal(head.flow, head.name, head.key, (each) => each.number === head.number),
        );
        if (signal !== undefined && !this.#journals.has(to)) {
          await this.#peers.bring(to, signal);
          continue;
        }
        const copy = signal && (await this.#bring(signal, to));
        if (copy === undefined) continue;
        this.#moved.reveal([copy]);
        settled += 1;
      }
    }
    return settled;
  }

  /** True once the signal is nowhere under that number. */
  async #dropOriginal(number: SignalNumber): Promise<boolean> {
    const partition = this.partitionOfNumber(number);
    if (!this.#journals.has(partition)) return this.#peers.drop(partition, number);
    return this.dropForGood(number);
  }

  /** True once the signal is not here under that number; false while its partition is not. */
  async dropForGood(number: SignalNumber): Promise<boolean> {
    const partition = this.partitionOfNumber(number);
    const dropped = await this.#in<boolean | undefined>(partition, undefined, (journal) => journal.dropSignal(number).then(() => true));
    return dropped === true;
  }
}
