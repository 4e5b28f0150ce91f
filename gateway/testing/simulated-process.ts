/** The world around a delivery core in a simulation: processes that die, a journal whose disk has moods, dead letters without a disk. */
import { type Clock, CodedError, type Prng } from "#base";
import type { Headers } from "../contract/message.ts";
import type { DeadLetterFs } from "../journal/dead-letters.ts";
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
} from "../journal/journal.ts";
import type { MemoryJournal } from "../journal/memory.ts";
import { utf8 } from "./scripted.ts";

export const never = (): Promise<never> => new Promise(() => undefined);

/** A process: once it is dead nothing it started is heard any more. */
export class Process {
  alive = true;

  guard<T>(work: () => Promise<T>): Promise<T> {
    if (!this.alive) return never();
    return work().then(
      (value) => (this.alive ? value : never()),
      (error: unknown) => (this.alive ? Promise.reject(error) : never()),
    );
  }
}

/** A memory journal that says it is durable, whose disk has moods, and that knows what a dead process held. */
export class MoodyJournal implements Journal {
  readonly durable = true;
  readonly trouble = undefined;
  readonly #inner: MemoryJournal;
  readonly #process: Process;
  readonly #random: Prng;
  readonly #clock: Clock;
  #badUntilMs = 0;
  readonly #leases = new Map<number, Lease>();
  readonly #entries = new Map<number, OutboxEntry>();

  constructor(inner: MemoryJournal, process: Process, random: Prng, clock: Clock) {
    this.#inner = inner;
    this.#process = process;
    this.#random = random;
    this.#clock = clock;
  }

  /** State that the next process finds. */
  crash(): void {
    for (const lease of this.#leases.values()) this.#inner.release(lease);
    for (const entry of this.#entries.values()) this.#inner.releaseOutbox(entry);
  }

  calm(): void {
    this.#badUntilMs = Number.NEGATIVE_INFINITY;
  }

  async recover(): Promise<Recovery> {
    return this.#inner.recover();
  }
  accept(message: NewMessage): Promise<Accepted> {
    return this.#write(async () => this.#hold(await this.#inner.accept(message)));
  }
  adopt(message: NewMessage): Accepted {
    return this.#hold(this.#inner.adopt(message));
  }
  lease(flow: string, most: number): Promise<readonly Lease[]> {
    return this.#write(async () => {
      const leases = await this.#inner.lease(flow, most);
      for (const lease of leases) this.#leases.set(lease.sequence, lease);
      return leases;
    });
  }
  complete(lease: Lease, completion: Completion): Promise<Completed> {
    return this.#write(async () => {
      const completed = await this.#inner.complete(lease, completion);
      if (completed.status === "committed") this.#leases.delete(lease.sequence);
      return completed;
    });
  }
  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    return this.#write(async () => {
      const next = await this.#inner.retryLater(lease, record, dueMs);
      if (next !== undefined) this.#leases.set(next.sequence, next);
      return next;
    });
  }
  bury(lease: Lease, record: AttemptRecord, consumed?: readonly SignalNumber[]): Promise<string | undefined> {
    return this.#write(async () => {
      const letter = await this.#inner.bury(lease, record, consumed);
      if (letter !== undefined) this.#leases.delete(lease.sequence);
      return letter;
    });
  }
  release(lease: Lease): void {
    if (!this.#process.alive) return;
    this.#leases.delete(lease.sequence);
    this.#inner.release(lease);
  }
  drop(lease: Lease): Promise<boolean> {
    return this.#write(async () => {
      this.#leases.delete(lease.sequence);
      return this.#inner.drop(lease);
    });
  }
  replaceSignal(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined> {
    return this.#write(() => this.#inner.replaceSignal(number, by));
  }

  dropSignal(number: SignalNumber): Promise<boolean> {
    return this.#write(() => this.#inner.dropSignal(number));
  }

  keepSignal(signal: NewSignal): Promise<SignalKept> {
    return this.#write(() => this.#inner.keepSignal(signal));
  }
  firstSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): Promise<KeptSignal | undefined> {
    return this.#process.guard(async () => {
      this.#refuseRead("MF_JOURNAL_IO");
      return this.#inner.firstSignal(flow, name, key, fits);
    });
  }
  hasSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): boolean {
    return this.#inner.hasSignal(flow, name, key, fits);
  }
  keptSignals(): Iterable<KeptSignal> {
    return this.#inner.keptSignals();
  }
  burySignal(number: SignalNumber, record: AttemptRecord): Promise<string | undefined> {
    return this.#write(() => this.#inner.burySignal(number, record));
  }
  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    return this.#inner.waiterFor(flow, name, key);
  }
  isAwaited(flow: string, name: string, key: string): boolean {
    return this.#inner.isAwaited(flow, name, key);
  }
  wake(sequence: Sequence): Promise<Lease | undefined> {
    return this.#process.guard(async () => {
      this.#refuseRead("MF_JOURNAL_CORRUPT");
      const lease = await this.#inner.wake(sequence);
      if (lease !== undefined) this.#leases.set(lease.sequence, lease);
      return lease;
    });
  }
  dueSleepers(flow: string, nowMs: number, most: number): readonly Sequence[] {
    return this.#inner.dueSleepers(flow, nowMs, most);
  }
  nextSleeperMs(flow: string): number | undefined {
    return this.#inner.nextSleeperMs(flow);
  }
  postpone(sequence: Sequence, dueMs: number): void {
    if (this.#process.alive) this.#inner.postpone(sequence, dueMs);
  }
  listSleepers(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]> {
    return this.#process.guard(() => this.#inner.listSleepers(flow, after, most));
  }
  findSleeper(id: string, flow?: string): Promise<Sequence | undefined> {
    return this.#process.guard(() => this.#inner.findSleeper(id, flow));
  }
  readSleeper(sequence: Sequence): Promise<Lease | undefined> {
    return this.#process.guard(() => this.#inner.readSleeper(sequence));
  }
  sleeperCount(flow: string): { readonly sleepers: number; readonly signals: number } {
    return this.#inner.sleeperCount(flow);
  }
  keptBy(owner: string): KeptBytes {
    return this.#inner.keptBy(owner);
  }
  sleepersByImage(): ReadonlyMap<string, number> {
    return this.#inner.sleepersByImage();
  }
  liveHeaders(): Iterable<Headers> {
    return this.#inner.liveHeaders();
  }
  sync(): Promise<void> {
    return this.#write(() => this.#inner.sync());
  }
  readState(flow: string, key: string): Promise<StateSnapshot> {
    return this.#process.guard(() => this.#inner.readState(flow, key));
  }
  leaseOutbox(flow: string, outlet: string, most: number, nowMs: number, dateMs?: number): Promise<readonly OutboxEntry[]> {
    return this.#process.guard(async () => {
      const entries = await this.#inner.leaseOutbox(flow, outlet, most, nowMs, dateMs);
      for (const entry of entries) this.#entries.set(entry.number, entry);
      return entries;
    });
  }
  settleOutbox(entry: OutboxEntry): Promise<void> {
    return this.#write(() => this.#settled(entry, this.#inner.settleOutbox(entry)));
  }
  deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    return this.#write(() => this.#settled(entry, this.#inner.deferOutbox(entry, record, dueMs)));
  }
  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#write(() => this.#settled(entry, this.#inner.buryOutbox(entry, record)));
  }
  releaseOutbox(entry: OutboxEntry, dueMs?: number): void {
    if (!this.#process.alive) return;
    this.#entries.delete(entry.number);
    this.#inner.releaseOutbox(entry, dueMs);
  }
  hastenOutbox(flow: string, outlet: string): void {
    if (this.#process.alive) this.#inner.hastenOutbox(flow, outlet);
  }
  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#inner.nextOutboxMs(flow, outlet);
  }
  nextOutboxDateMs(flow: string, outlet: string): number | undefined {
    return this.#inner.nextOutboxDateMs(flow, outlet);
  }
  outboxDelayed(flow: string, outlet: string): number {
    return this.#inner.outboxDelayed(flow, outlet);
  }
  outboxDepth(flow: string, outlet: string): number {
    return this.#inner.outboxDepth(flow, outlet);
  }
  stats(): JournalStats {
    return this.#inner.stats();
  }
  async close(): Promise<void> {}

  async #settled<T>(entry: OutboxEntry, settling: Promise<T>): Promise<T> {
    const result = await settling;
    this.#entries.delete(entry.number);
    return result;
  }

  #hold(accepted: Accepted): Accepted {
    if (accepted.status === "leased") this.#leases.set(accepted.lease.sequence, accepted.lease);
    return accepted;
  }

  /** A file that can't be read now and then. */
  #refuseRead(code: string): void {
    if (this.#badUntilMs !== Number.NEGATIVE_INFINITY && this.#random.below(50) === 0)
      throw new CodedError(code, "the simulated disk gives something else");
  }

  /** A write on a disk that now and then refuses for a while. What it refuses has not happened. */
  #write<T>(work: () => Promise<T>): Promise<T> {
    return this.#process.guard(async () => {
      const nowMs = this.#clock.now();
      if (this.#badUntilMs !== Number.NEGATIVE_INFINITY && this.#random.below(200) === 0)
        this.#badUntilMs = nowMs + this.#random.below(3000);
      if (nowMs < this.#badUntilMs) throw new CodedError("MF_JOURNAL_FULL", "the simulated disk is full");
      return work();
    });
  }
}

/** Dead letters that need no disk. */
export function memoryFs(files: Map<string, Uint8Array>): DeadLetterFs {
  return {
    mkdir: async () => undefined,
    open: async (path) => ({
      writeFile: async (data) => void files.set(path, typeof data === "string" ? utf8(data) : data),
      datasync: async () => undefined,
      close: async () => undefined,
    }),
    rename: async (from, to) => {
      const data = files.get(from);
      files.delete(from);
      if (data !== undefined) files.set(to, data);
    },
    readdir: async (path) => [
      ...new Set(
        [...files.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1).split("/")[0] ?? ""),
      ),
    ],
    readFile: async (path) => files.get(path) ?? Promise.reject(Object.assign(new Error("none"), { code: "ENOENT" })),
    stat: async (path) => ({ size: files.get(path)?.length ?? 0 }),
    rm: async (path) => void files.delete(path),
  };
}

/** Lets promises run until they wait for time or for something outside. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
