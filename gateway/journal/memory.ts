/**
 * The journal in memory: the same rules as the durable one, but a crash loses what is pending, the outbox, dedup windows and
 * state. Good for flows whose callers wait (HTTP) or whose sources keep the message (brokers), for development and for tests.
 * Dead letters are on disk here as well.
 */
import { CodedError, type MemoryAccount, memoryBudget } from "#base";
import type { OutboxQueue } from "./outbox-queue.ts";
import { burialOf, letterOfSend, letterOfSignal } from "./burial.ts";
import type { Headers } from "../contract/message.ts";
import type { DeadLetters } from "./dead-letters.ts";
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
} from "./journal.ts";
import { keptAttempts, Ledger, type NumberSeries } from "./ledger.ts";
import { leaseOf, sleeperInfo } from "./sleepers.ts";
import type { SleepingLease } from "./slot.ts";

export class MemoryJournal implements Journal {
  readonly durable = false;
  readonly trouble = undefined;
  /** Sleepers are kept whole. */
  readonly #ledger: Ledger<SleepingLease>;
  readonly #deadLetters: DeadLetters;
  /** Signals whose letter is being written. */
  readonly #buryingSignals = new Set<SignalNumber>();
  #closed = false;
  #committed = 0;
  /** Bodies of sends from their commit to their end; sleepers and signals while they are kept. */
  readonly #memory: MemoryAccount;

  /** `numbers`: those it gives out; absent: every one from 1 on. */
  constructor(deadLetters: DeadLetters, memory: MemoryAccount = memoryBudget(Number.POSITIVE_INFINITY), numbers?: NumberSeries) {
    this.#ledger = new Ledger(undefined, undefined, numbers);
    this.#deadLetters = deadLetters;
    this.#memory = memory;
  }

  async recover(): Promise<Recovery> {
    return this.#ledger.recovery([]);
  }

  async accept(message: NewMessage): Promise<Accepted> {
    this.#open();
    return this.#ledger.duplicate(message) ?? { status: "leased", lease: this.#ledger.admit(message, true) };
  }

  adopt(message: NewMessage): Accepted {
    this.#open();
    return this.#ledger.duplicate(message) ?? { status: "leased", lease: this.#ledger.admit(message, false) };
  }

  async lease(flow: string, most: number): Promise<readonly Lease[]> {
    this.#open();
    return this.#ledger.lease(flow, most);
  }

  async complete(lease: Lease, completion: Completion): Promise<Completed> {
    this.#open();
    const objection = this.#ledger.objection(lease, completion);
    if (objection !== undefined) return objection;
    this.#change(lease.sequence, () => this.#ledger.complete(lease, completion, (asleep) => asleep));
    for (const { body } of completion.sends) this.#memory.force(body.length);
    this.#committed += 1;
    return { status: "committed" };
  }

  async retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    this.#open();
    return this.#ledger.holds(lease) ? this.#ledger.retry(lease, record, dueMs) : undefined;
  }

  async bury(lease: Lease, record: AttemptRecord, consumed: readonly SignalNumber[] = []): Promise<string | undefined> {
    this.#open();
    if (!this.#ledger.holds(lease)) return undefined;
    const signals = consumed.flatMap((number) => this.#ledger.signals.signal(number) ?? []);
    const { letter, asleep } = burialOf(lease, record, signals);
    const id = await this.#deadLetters.put(letter, lease.message.body, String(lease.sequence), asleep);
    this.#change(lease.sequence, () => {
      this.#ledger.finish(lease);
      for (const number of consumed) this.#ledger.signals.take(number);
    });
    return id;
  }

  release(lease: Lease): void {
    this.#ledger.release(lease);
  }

  async drop(lease: Lease): Promise<boolean> {
    this.#open();
    if (!this.#ledger.holds(lease)) return false;
    this.#change(lease.sequence, () => this.#ledger.finish(lease));
    return true;
  }

  async keepSignal(signal: NewSignal): Promise<SignalKept> {
    this.#open();
    const duplicate = this.#ledger.duplicateSignal(signal);
    if (duplicate !== undefined) return duplicate;
    const kept = this.#ledger.newKeptSignal(signal);
    this.#change(undefined, () => this.#ledger.keepSignal(kept));
    return { status: "kept", signal: kept };
  }

  async firstSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): Promise<KeptSignal | undefined> {
    this.#open();
    return this.#ledger.signals.first(flow, name, key, fits);
  }

  hasSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): boolean {
    return this.#ledger.signals.first(flow, name, key, fits) !== undefined;
  }

  keptSignals(): Iterable<KeptSignal> {
    return this.#ledger.signals.kept();
  }

  async burySignal(number: SignalNumber, record: AttemptRecord): Promise<string | undefined> {
    this.#open();
    const signal = this.#ledger.signals.signal(number);
    if (signal === undefined || this.#buryingSignals.has(number)) return undefined;
    this.#buryingSignals.add(number);
    try {
      const id = await this.#deadLetters.put(letterOfSignal(signal, record), signal.body, `signal-${number}`);
      this.#change(undefined, () => this.#ledger.signals.take(number));
      return id;
    } finally {
      this.#buryingSignals.delete(number);
    }
  }

  async replaceSignal(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined> {
    this.#open();
    if (this.#ledger.signals.signal(number) === undefined || this.#buryingSignals.has(number)) return undefined;
    const kept = this.#ledger.newKeptSignal(by);
    this.#change(undefined, () => this.#ledger.commit(this.#ledger.replacementOf(number, kept), undefined));
    return kept;
  }

  async dropSignal(number: SignalNumber): Promise<boolean> {
    this.#open();
    if (this.#ledger.signals.signal(number) === undefined || this.#buryingSignals.has(number)) return false;
    this.#change(undefined, () => this.#ledger.signals.take(number));
    return true;
  }

  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    return this.#ledger.sleepers.waiterFor(flow, name, key);
  }

  isAwaited(flow: string, name: string, key: string): boolean {
    return this.#ledger.sleepers.isAwaited(flow, name, key);
  }

  async wake(sequence: Sequence): Promise<Lease | undefined> {
    this.#open();
    const woken = this.#ledger.wake(sequence);
    return woken && leaseOf(woken.slot.stored, woken.slot, woken.token);
  }

  dueSleepers(flow: string, nowMs: number, most: number): readonly Sequence[] {
    return this.#ledger.sleepers.due(flow, nowMs, most);
  }

  nextSleeperMs(flow: string): number | undefined {
    return this.#ledger.sleepers.nextMs(flow);
  }

  postpone(sequence: Sequence, dueMs: number): void {
    this.#ledger.sleepers.postpone(sequence, dueMs);
  }

  async listSleepers(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]> {
    return this.#ledger.sleepers.list(flow, after, most).map((slot) => sleeperInfo(slot.stored, slot));
  }

  async findSleeper(id: string, flow?: string): Promise<Sequence | undefined> {
    return this.#ledger.sleepers.find(id, flow);
  }

  async readSleeper(sequence: Sequence): Promise<Lease | undefined> {
    const slot = this.#ledger.sleepers.slot(sequence);
    return slot && leaseOf(slot.stored, slot, slot.token ?? slot.stored.token);
  }

  sleeperCount(flow: string): { readonly sleepers: number; readonly signals: number } {
    return { sleepers: this.#ledger.sleepers.sizeOf(flow), signals: this.#ledger.signals.sizeOf(flow) };
  }

  keptBy(owner: string): KeptBytes {
    return { ...this.#ledger.owned.of(owner), deadLetters: this.#deadLetters.bytesOf(owner) };
  }

  sleepersByImage(): ReadonlyMap<string, number> {
    return this.#ledger.sleepers.byImage();
  }

  async readState(flow: string, key: string): Promise<StateSnapshot> {
    this.#open();
    return this.#ledger.readState(flow, key);
  }

  async leaseOutbox(flow: string, outlet: string, most: number, nowMs: number, dateMs: number = nowMs): Promise<readonly OutboxEntry[]> {
    this.#open();
    return this.#ledger.outbox(flow, outlet).lease(most, nowMs, dateMs);
  }

  async settleOutbox(entry: OutboxEntry): Promise<void> {
    this.#open();
    const queue = this.#ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) this.#remove(queue, entry);
  }

  async deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    this.#open();
    const queue = this.#ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) queue.defer(entry.number, keptAttempts(entry.attempts, record), dueMs);
  }

  async buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    this.#open();
    const queue = this.#ledger.outbox(entry.flow, entry.outlet);
    if (!queue.holds(entry)) return undefined;
    const id = await this.#deadLetters.put(letterOfSend(entry, record), entry.body, entry.idempotencyKey);
    this.#remove(queue, entry);
    return id;
  }

  /** Runs a change of the ledger, and counts how much more or less memory signals and this sleeper have afterwards. */
  #change(sequence: Sequence | undefined, change: () => void): void {
    const before = this.#keptBytes(sequence);
    change();
    const more = this.#keptBytes(sequence) - before;
    if (more > 0) this.#memory.force(more);
    else this.#memory.give(-more);
  }

  #keptBytes(sequence: Sequence | undefined): number {
    const { signals, sleepers } = this.#ledger;
    const asleep = sequence === undefined ? undefined : sleepers.slot(sequence)?.stored;
    if (asleep === undefined) return signals.bytes;
    const { recording, pages } = asleep.sleeper;
    return signals.bytes + asleep.message.body.length + recording.length + (pages?.length ?? 0);
  }

  #remove(queue: OutboxQueue, entry: OutboxEntry): void {
    queue.remove(entry.number);
    this.#memory.give(entry.body.length);
  }

  releaseOutbox(entry: OutboxEntry, dueMs?: number): void {
    const queue = this.#ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) queue.release(entry.number, dueMs);
  }

  hastenOutbox(flow: string, outlet: string): void {
    this.#ledger.outbox(flow, outlet).hasten();
  }

  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#ledger.outbox(flow, outlet).nextMs();
  }

  nextOutboxDateMs(flow: string, outlet: string): number | undefined {
    return this.#ledger.outbox(flow, outlet).nextDateMs();
  }

  outboxDelayed(flow: string, outlet: string): number {
    return this.#ledger.outbox(flow, outlet).delayed;
  }

  outboxDepth(flow: string, outlet: string): number {
    return this.#ledger.outbox(flow, outlet).size;
  }

  liveHeaders(): Iterable<Headers> {
    return this.#ledger.headers();
  }

  async sync(): Promise<void> {
    this.#open();
  }

  stats(): JournalStats {
    return { ...this.#ledger.stats(), diskBytes: 0, commits: this.#committed, committed: this.#committed };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #open(): void {
    if (this.#closed) throw new CodedError("MF_JOURNAL_CLOSED", "the journal is closed: the gateway is shutting down");
  }
}
