/**
 * The durable journal: the ledger in memory, and a log on disk that it can be built from again.
 *
 *   call ──▶ check against the ledger ──▶ append the change ──▶ batch is safe ──▶ change the ledger ──▶ answer
 *             (wait for a call about            (writer.ts)
 *              the same thing first)
 *
 * The ledger never knows more than the disk does, but for settled sends and released leases, which may be lost. From the check to the
 * change a call holds a lock on what it is about (keyed-locks.ts), so that calls in one batch never depend on each other, and a batch
 * that fails takes nothing else with it.
 */
import { type Clock, CodedError, systemClock } from "#base";
import type { Headers } from "../../contract/message.ts";
import type { DeadLetters } from "../dead-letters.ts";
import { contradicts, identityOf } from "../dedup-id.ts";
import type {
  KeptBytes,
  Accepted,
  AttemptRecord,
  Completed,
  Completion,
  Journal,
  JournalStats,
  KeptSignal,
  SignalHead,
  SignalKept,
  SleeperInfo,
  Lease,
  NewMessage,
  NewSignal,
  OutboxEntry,
  Recovery,
  Sequence,
  SignalNumber,
  StateSnapshot,
} from "../journal.ts";
import type { Commit, NumberSeries } from "../ledger.ts";
import { RecordTooLong } from "./batch-buffer.ts";
import { Bodies } from "./bodies.ts";
import { buryMessage, finishMessage } from "./burials.ts";
import type { ByteWriter } from "../format/bytes.ts";
import { writeRetry } from "../format/change-records.ts";
import type { CompactionResult, JournalEvent, Retention } from "./compaction.ts";
import { OpenCalls } from "./counts.ts";
import type { Disk } from "./disk.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import { type LogLimits, logLimits } from "./limits.ts";
import { LiveIndex } from "./live-index.ts";
import type { Lock } from "./lock.ts";
import { writeMessage } from "../format/message-records.ts";
import { OutboxCalls } from "./outbox-calls.ts";
import { RecoveredLog } from "./recovered-log.ts";
import { readLog } from "./recovery.ts";
import { SleepCalls } from "./sleep-calls.ts";
import { sleepingToWrite } from "./sleeping-bodies.ts";
import type { Upgrade } from "./upgrades.ts";

export interface LogJournalOptions {
  readonly disk: Disk;
  readonly deadLetters: DeadLetters;
  /** Takes the lock; `lost` is called when somebody else has it. Absent in simulations. */
  readonly lock?: ((lost: () => void) => Promise<Lock>) | undefined;
  readonly clock?: Clock | undefined;
  readonly limits?: Partial<LogLimits> | undefined;
  readonly retention?: Retention | undefined;
  /** A random number below 2³², for a journal that is new. */
  readonly salt?: (() => number) | undefined;
  readonly upgrades?: ReadonlyMap<number, Upgrade> | undefined;
  /** The numbers it gives to messages, leases, sends and signals, for a partition of a cluster; absent: every one from 1 on. */
  readonly numbers?: NumberSeries | undefined;
  /** Told what happens on its own: a checkpoint, a file that can't be removed. */
  readonly onEvent?: ((event: JournalEvent) => void) | undefined;
}

const nothing = (): undefined => undefined;

function lockLost(): CodedError {
  return new CodedError("MF_JOURNAL_CLOSED", "another process has taken over this journal: stop this gateway");
}

/** True if a completion changes nothing but its message. */
function isEmpty({ sends, state, sleeper, next, kept = [], consumed = [] }: Completion): boolean {
  return (
    kept.length === 0 && sends.length === 0 && state === undefined && sleeper === undefined && next === undefined && consumed.length === 0
  );
}

/** The dedup id of a message, with its flow. */
function dedupKey({ flow, dedup }: NewMessage): string | undefined {
  return dedup === undefined ? undefined : `${flow}\0${identityOf(dedup.id)}`;
}

export class LogJournal implements Journal {
  readonly durable = true;
  readonly #options: LogJournalOptions;
  readonly #limits: LogLimits;
  readonly #clock: Clock;
  readonly #messages = new KeyedLocks<Sequence>();
  readonly #ids = new KeyedLocks<string>();
  /** Ids of messages whose accept is under way, and the sequence each will have. */
  readonly #entering = new Map<string, { readonly sequence: Sequence; readonly dedupId: string }>();
  readonly #states = new KeyedLocks<string>();
  /** Keys of messages whose large body is being written: what comes behind them waits, or it would be in the log before them. */
  readonly #keys = new KeyedLocks<string>();
  readonly #outbox = new OutboxCalls({
    index: () => this.#index,
    call: (work) => this.#call(work),
    record: (log, encode, apply) => this.#record(log, encode, apply),
  });
  readonly #sleep = new SleepCalls({ call: (work) => this.#call(work), busy: (sequence) => this.#messages.busy(sequence) });
  readonly #calls = new OpenCalls();
  /** Stands for the live index until the log is recovered. */
  readonly #empty: LiveIndex;
  #log: RecoveredLog | undefined;
  #lock: Lock | undefined;
  #closed: "open" | "closed" | "lost" = "open";

  constructor(options: LogJournalOptions) {
    this.#options = options;
    this.#limits = { ...logLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#empty = new LiveIndex(new Bodies(options.disk, this.#limits));
  }

  get #index(): LiveIndex {
    return this.#log?.index ?? this.#empty;
  }

  async recover(): Promise<Recovery> {
    const { disk, deadLetters, retention, upgrades, numbers, onEvent = nothing } = this.#options;
    this.#lock = await this.#options.lock?.(() => this.#lose());
    try {
      const read = await readLog({ disk, bodies: new Bodies(disk, this.#limits), limits: this.#limits, sync: true, upgrades, numbers });
      const salt = read.salt ?? this.#options.salt?.() ?? Math.floor(Math.random() * 2 ** 32);
      this.#log = new RecoveredLog(read, { disk, deadLetters, clock: this.#clock, limits: this.#limits, retention, salt, onEvent });
      if (this.#closed === "lost") this.#log.halt();
      const remarks = await this.#log.begin();
      return this.#index.ledger.recovery(remarks);
    } catch (error) {
      await this.#log?.close(false);
      this.#log = undefined;
      await this.#lock?.release();
      this.#lock = undefined;
      throw error;
    }
  }

  accept(message: NewMessage): Promise<Accepted> {
    return this.#call(async (log) => {
      const { ledger } = log.index;
      const id = dedupKey(message);
      const key = message.key === undefined ? undefined : `${message.flow}\0${message.key}`;
      const busy = (): Promise<void> | undefined => this.#keys.busy(key) ?? this.#ids.busy(id);
      for (let wait = busy(); wait !== undefined; wait = busy()) await wait;
      const duplicate = id === undefined ? undefined : ledger.duplicate(message);
      if (duplicate !== undefined) return duplicate;
      log.room.take(message.body.length);
      const lease = ledger.newLease(message, true);
      this.#ids.acquire(id);
      if (id !== undefined) this.#entering.set(id, { sequence: lease.sequence, dedupId: message.dedup?.id ?? "" });
      try {
        return { status: "leased", lease: await this.#keep(log, lease, key) };
      } finally {
        if (id !== undefined) this.#entering.delete(id);
        this.#ids.release(id);
      }
    });
  }

  /** Writes an accepted message. A large body is stored first, and messages of its key wait for that. */
  async #keep(log: RecoveredLog, accepted: Lease, key: string | undefined): Promise<Lease> {
    const { ledger, bodies } = log.index;
    const { message } = accepted;
    const isLarge = bodies.isLarge(message.body);
    const slowKey = isLarge ? key : undefined;
    this.#keys.acquire(slowKey);
    let lease = accepted;
    try {
      if (isLarge) {
        const { lastRefusal } = log.writer;
        const body = await log.storeBody(message.body, `m${lease.sequence}`);
        await bodies.syncNames();
        lease = { ...lease, message: { ...message, body } };
        // A message of its key that was on its way before it may have been refused meanwhile.
        if (key !== undefined && log.writer.lastRefusal !== undefined && log.writer.lastRefusal !== lastRefusal)
          throw log.writer.lastRefusal;
      }
      const body = bodies.toWrite(lease.message.body) ?? message.body;
      await log.writer.append(
        (out) => writeMessage(out, "accept", { lease, burying: undefined, body }),
        () => ledger.keep(lease, true),
      );
      return lease;
    } catch (error) {
      log.removeWhenVoid([bodies.release(lease.message.body)]);
      this.#keys.fail(slowKey, error);
      throw error;
    } finally {
      this.#keys.release(slowKey);
    }
  }

  adopt(message: NewMessage): Accepted {
    const log = this.#open();
    const { ledger } = log.index;
    const { dedup } = message;
    const entering = this.#entering.get(dedupKey(message) ?? "");
    if (dedup !== undefined && entering !== undefined)
      return contradicts(entering.dedupId, dedup.id) ? { status: "mismatch" } : { status: "running", sequence: entering.sequence };
    const duplicate = ledger.duplicate(message);
    if (duplicate !== undefined) return duplicate;
    const lease = ledger.admit(message, false);
    log.writeNumbers();
    return { status: "leased", lease };
  }

  lease(flow: string, most: number): Promise<readonly Lease[]> {
    return this.#call(async (log) => {
      const { ledger, bodies } = log.index;
      const leases = ledger.lease(flow, most);
      log.writeNumbers();
      if (!leases.some((lease) => bodies.isAway(lease.message.body))) return leases;
      try {
        return await Promise.all(
          leases.map(async (lease) => {
            const { body, damage } = await bodies.loadLeased(lease.message.body);
            if (damage !== undefined) return { ...lease, damage };
            const whole = { ...lease, message: { ...lease.message, body } };
            ledger.replace(whole);
            return whole;
          }),
        );
      } catch (error) {
        for (const lease of leases) ledger.release(lease);
        throw error;
      }
    });
  }

  complete(lease: Lease, completion: Completion): Promise<Completed> {
    return this.#call(async (log) => {
      const { ledger } = log.index;
      const state = completion.state === undefined ? undefined : `${lease.message.flow}\0${completion.state.key}`;
      const { consumed = [] } = completion;
      const signals = this.#sleep.signals;
      const busy = (): Promise<void> | undefined =>
        this.#messages.busy(lease.sequence) ?? this.#states.busy(state) ?? consumed.map((number) => signals.busy(number)).find(Boolean);
      for (let wait = busy(); wait !== undefined; wait = busy()) await wait;
      const objection = ledger.objection(lease, completion) ?? this.#stateObjection(completion);
      if (objection !== undefined) return objection;
      if (!lease.durable && isEmpty(completion) && lease.message.dedup === undefined) {
        // Its sender still has the message, and nothing of it must be kept: there is nothing to write.
        ledger.commit(ledger.commitOf(lease, completion), undefined);
        return { status: "committed" };
      }
      this.#messages.acquire(lease.sequence);
      this.#states.acquire(state);
      for (const number of consumed) signals.acquire(number);
      try {
        return await this.#commit(log, lease, ledger.commitOf(lease, completion));
      } finally {
        this.#messages.release(lease.sequence);
        this.#states.release(state);
        for (const number of consumed) signals.release(number);
      }
    });
  }

  async #commit(log: RecoveredLog, lease: Lease, uncommitted: Commit): Promise<Completed> {
    const { bodies } = log.index;
    let files: readonly string[] = [];
    try {
      const stored = await log.storeBodies(uncommitted);
      const { commit } = stored;
      files = stored.files;
      const written = {
        entries: commit.entries.map((entry) => bodies.toWrite(entry.body) ?? entry.body),
        sleeping: commit.sleeping && sleepingToWrite(commit.sleeping, bodies),
        next: commit.next && (bodies.toWrite(commit.next.message.body) ?? commit.next.message.body),
      };
      await log.writeCommit(commit, written);
      return { status: "committed" };
    } catch (error) {
      log.removeWhenVoid(files);
      if (!(error instanceof RecordTooLong)) throw error;
      return {
        status: "refused",
        code: "MF_JOURNAL_RECORD_LIMIT",
        message: `the completion of message ${lease.message.id} has ${error.bytes} bytes, more than ${this.#limits.recordBytes}: send less, or fewer headers`,
      };
    }
  }

  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    return this.#withMessage(lease, async (log) => {
      const { ledger } = this.#index;
      if (!lease.durable) return ledger.retry(lease, record, dueMs);
      const next = ledger.nextLease(lease, record, dueMs);
      const apply = (): void => {
        this.#index.burying.delete(lease.sequence);
        ledger.replace(next);
      };
      await this.#record(log, (out) => writeRetry(out, { flow: lease.message.flow, sequence: lease.sequence, dueMs, record }), apply);
      return next;
    });
  }

  bury(lease: Lease, record: AttemptRecord, consumed: readonly SignalNumber[] = []): Promise<string | undefined> {
    return this.#withMessage(lease, async (log) => {
      const { signals } = this.#sleep;
      const busy = (): Promise<void> | undefined => consumed.map((number) => signals.busy(number)).find(Boolean);
      for (let wait = busy(); wait !== undefined; wait = busy()) await wait;
      for (const number of consumed) signals.acquire(number);
      try {
        return await buryMessage(log.burialPorts, lease, { record, consumed });
      } finally {
        for (const number of consumed) signals.release(number);
      }
    });
  }

  release(lease: Lease): void {
    const busy = this.#messages.busy(lease.sequence);
    if (busy !== undefined) void busy.then(() => this.release(lease));
    else this.#index.ledger.release(lease);
  }

  async drop(lease: Lease): Promise<boolean> {
    const dropped = await this.#withMessage(lease, async (log) => {
      await finishMessage(log.burialPorts, lease, undefined);
      return true;
    });
    return dropped === true;
  }

  keepSignal(signal: NewSignal): Promise<SignalKept> {
    return this.#sleep.keep(signal);
  }

  firstSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): Promise<KeptSignal | undefined> {
    return this.#sleep.firstSignal(flow, name, key, fits);
  }

  hasSignal(flow: string, name: string, key: string, fits: (head: SignalHead) => boolean): boolean {
    return this.#index.ledger.signals.first(flow, name, key, fits) !== undefined;
  }

  keptSignals(): Iterable<KeptSignal> {
    return this.#index.ledger.signals.kept();
  }

  burySignal(number: SignalNumber, record: AttemptRecord): Promise<string | undefined> {
    return this.#sleep.bury(number, record);
  }

  replaceSignal(number: SignalNumber, by: NewSignal): Promise<KeptSignal | undefined> {
    return this.#sleep.replace(number, by);
  }

  dropSignal(number: SignalNumber): Promise<boolean> {
    return this.#sleep.drop(number);
  }

  waiterFor(flow: string, name: string, key: string): Sequence | undefined {
    return this.#index.ledger.sleepers.waiterFor(flow, name, key);
  }

  isAwaited(flow: string, name: string, key: string): boolean {
    return this.#index.ledger.sleepers.isAwaited(flow, name, key);
  }

  wake(sequence: Sequence): Promise<Lease | undefined> {
    return this.#sleep.wake(sequence);
  }

  dueSleepers(flow: string, nowMs: number, most: number): readonly Sequence[] {
    return this.#index.ledger.sleepers.due(flow, nowMs, most);
  }

  nextSleeperMs(flow: string): number | undefined {
    return this.#index.ledger.sleepers.nextMs(flow);
  }

  postpone(sequence: Sequence, dueMs: number): void {
    this.#index.ledger.sleepers.postpone(sequence, dueMs);
  }

  listSleepers(flow: string | undefined, after: Sequence | undefined, most: number): Promise<readonly SleeperInfo[]> {
    return this.#sleep.list(flow, after, most);
  }

  async findSleeper(id: string, flow?: string): Promise<Sequence | undefined> {
    return this.#index.ledger.sleepers.find(id, flow);
  }

  readSleeper(sequence: Sequence): Promise<Lease | undefined> {
    return this.#sleep.read(sequence);
  }

  sleeperCount(flow: string): { readonly sleepers: number; readonly signals: number } {
    const { sleepers, signals } = this.#index.ledger;
    return { sleepers: sleepers.sizeOf(flow), signals: signals.sizeOf(flow) };
  }

  keptBy(owner: string): KeptBytes {
    return { ...this.#index.ledger.owned.of(owner), deadLetters: this.#options.deadLetters.bytesOf(owner) };
  }

  sleepersByImage(): ReadonlyMap<string, number> {
    return this.#index.ledger.sleepers.byImage();
  }

  readState(flow: string, key: string): Promise<StateSnapshot> {
    return this.#call(async () => {
      // A change that is on its way decides: with the old version a completion would only conflict.
      await this.#states.busy(`${flow}\0${key}`);
      return this.#index.ledger.readState(flow, key);
    });
  }

  leaseOutbox(flow: string, outlet: string, most: number, nowMs: number, dateMs: number = nowMs): Promise<readonly OutboxEntry[]> {
    return this.#outbox.lease({ flow, outlet, most, nowMs, dateMs });
  }

  settleOutbox(entry: OutboxEntry): Promise<void> {
    return this.#outbox.settle(entry);
  }

  deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    return this.#outbox.defer(entry, record, dueMs);
  }

  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#outbox.bury(entry, record);
  }

  releaseOutbox(entry: OutboxEntry, dueMs?: number): void {
    this.#outbox.release(entry, dueMs);
  }

  hastenOutbox(flow: string, outlet: string): void {
    this.#index.ledger.outbox(flow, outlet).hasten();
  }

  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#index.ledger.outbox(flow, outlet).nextMs();
  }

  nextOutboxDateMs(flow: string, outlet: string): number | undefined {
    return this.#index.ledger.outbox(flow, outlet).nextDateMs();
  }

  outboxDelayed(flow: string, outlet: string): number {
    return this.#index.ledger.outbox(flow, outlet).delayed;
  }

  outboxDepth(flow: string, outlet: string): number {
    return this.#index.ledger.outbox(flow, outlet).size;
  }

  liveHeaders(): Iterable<Headers> {
    return this.#index.ledger.headers();
  }

  sync(): Promise<void> {
    return this.#call((log) => log.writer.flush());
  }

  get trouble(): CodedError | undefined {
    return this.#closed === "lost" ? lockLost() : this.#log?.trouble;
  }

  stats(): JournalStats {
    const { batches, records: committed } = this.#log?.writer.stats ?? { batches: 0, records: 0 };
    return { ...this.#index.ledger.stats(), diskBytes: this.#log?.diskBytes ?? 0, commits: batches, committed };
  }

  /** Writes a checkpoint now and removes what it makes superfluous. */
  compact(): Promise<CompactionResult> {
    return this.#call((log) => log.compaction.run());
  }

  async close(): Promise<void> {
    if (this.#closed === "closed") return;
    const lost = this.#closed === "lost";
    this.#closed = "closed";
    await this.#calls.end();
    await this.#log?.close(!lost);
    this.#index.bodies.close();
    await this.#lock?.release();
  }

  #open(): RecoveredLog {
    if (this.#closed === "lost") throw this.#log?.writer.gone ?? lockLost();
    if (this.#closed === "closed") throw new CodedError("MF_JOURNAL_CLOSED", "the journal is closed: the gateway is shutting down");
    if (this.#log === undefined) throw new CodedError("MF_JOURNAL_CLOSED", "the journal was not recovered yet");
    return this.#log;
  }

  #lose(): void {
    if (this.#closed === "open") this.#closed = "lost";
    this.#log?.halt();
    this.#options.onEvent?.({ kind: "lock-lost" });
  }

  /** Counts a call, so that close waits for it. */
  async #call<T>(work: (log: RecoveredLog) => Promise<T>): Promise<T> {
    const log = this.#open();
    return this.#calls.during(() => work(log));
  }

  /** Runs `work` while no other call about the message is in flight; undefined when the lease is stale. */
  #withMessage<T>(lease: Lease, work: (log: RecoveredLog) => Promise<T>): Promise<T | undefined> {
    return this.#call(async (log) => {
      for (let busy = this.#messages.busy(lease.sequence); busy !== undefined; busy = this.#messages.busy(lease.sequence)) await busy;
      if (!this.#index.ledger.holds(lease)) return undefined;
      this.#messages.acquire(lease.sequence);
      try {
        return await work(log);
      } finally {
        this.#messages.release(lease.sequence);
      }
    });
  }

  /**
   * Records a failed attempt. A disk that refuses costs that record, after a crash, and nothing else: were the next attempt to wait for the
   * disk, a full one could never empty itself.
   */
  async #record(log: RecoveredLog, encode: (out: ByteWriter) => void, apply: () => void): Promise<void> {
    try {
      await log.writer.append(encode, apply);
    } catch (error) {
      if (this.#closed !== "open") throw error;
      apply();
    }
  }

  #stateObjection(completion: Completion): Completed | undefined {
    if (completion.state === undefined) return undefined;
    let more = 0;
    for (const { name, valueJson } of completion.state.changes) if (valueJson !== undefined) more += name.length + valueJson.length;
    if (more === 0 || this.#index.ledger.stateBytes + more <= this.#limits.stateBytes) return undefined;
    const message = `the state of all flows would exceed ${this.#limits.stateBytes} bytes: delete unused state, or keep it in a database`;
    return { status: "refused", code: "MF_STATE_LIMIT", message };
  }
}
