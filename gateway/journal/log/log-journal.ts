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
import type {
  Accepted,
  AttemptRecord,
  Completed,
  Completion,
  EntryNumber,
  Journal,
  JournalStats,
  Lease,
  NewMessage,
  OutboxEntry,
  Recovery,
  Sequence,
  StateSnapshot,
} from "../journal.ts";
import { type Commit, keptAttempts } from "../ledger.ts";
import type { OutboxQueue } from "../outbox-queue.ts";
import { Bodies } from "./bodies.ts";
import { type BurialPorts, buryMessage, burySend, finishBurials, finishMessage } from "./burials.ts";
import { DiskUse, OpenCalls } from "./counts.ts";
import { Compaction, type CompactionResult, type JournalEvent, type Retention } from "./compaction.ts";
import type { Disk } from "./disk.ts";
import { LiveIndex } from "./live-index.ts";
import { type LogLimits, logLimits, numbersAhead } from "./limits.ts";
import type { Lock } from "./lock.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { Placement } from "./places.ts";
import { readLog } from "./recovery.ts";
import { writeClosed, writeRetry, writeSendAttempt, writeSettle } from "./change-records.ts";
import { writeCommit } from "./commit-record.ts";
import { writeMessage } from "./message-records.ts";
import { Room } from "./room.ts";
import { contradicts, identityOf } from "../dedup-id.ts";
import type { ByteWriter } from "./bytes.ts";
import type { Upgrade } from "./upgrades.ts";
import { RecordTooLong } from "./batch-buffer.ts";
import { LogWriter } from "./writer.ts";

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
  /** Told what happens on its own: a checkpoint, a file that can't be removed. */
  readonly onEvent?: ((event: JournalEvent) => void) | undefined;
}

const nothing = (): undefined => undefined;

function lockLost(): CodedError {
  return new CodedError("MF_JOURNAL_CLOSED", "another process has taken over this journal: stop this gateway");
}

export class LogJournal implements Journal {
  readonly durable = true;
  readonly #options: LogJournalOptions;
  readonly #limits: LogLimits;
  readonly #clock: Clock;
  readonly #messages = new KeyedLocks<Sequence>();
  readonly #entries = new KeyedLocks<EntryNumber>();
  readonly #ids = new KeyedLocks<string>();
  /** Ids of messages whose accept is under way, and the sequence each will have. */
  readonly #entering = new Map<string, { readonly sequence: Sequence; readonly dedupId: string }>();
  readonly #states = new KeyedLocks<string>();
  /** Keys of messages whose large body is being written: what comes behind them waits, or it would be in the log before them. */
  readonly #keys = new KeyedLocks<string>();
  #use = new DiskUse();
  readonly #calls = new OpenCalls();
  #index: LiveIndex;
  #writer: LogWriter | undefined;
  #compaction: Compaction | undefined;
  #room: Room | undefined;
  #lock: Lock | undefined;
  #writingNumbers = false;
  #closed: "open" | "closed" | "lost" = "open";

  constructor(options: LogJournalOptions) {
    this.#options = options;
    this.#limits = { ...logLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#index = new LiveIndex(new Bodies(options.disk, this.#limits));
  }

  async recover(): Promise<Recovery> {
    const { disk } = this.#options;
    this.#lock = await this.#options.lock?.(() => this.#lose());
    this.#use = new DiskUse();
    this.#index = new LiveIndex(new Bodies(disk, this.#limits));
    try {
      const log = await readLog({ disk, bodies: this.#index.bodies, limits: this.#limits, sync: true, upgrades: this.#options.upgrades });
      this.#index = log.index;
      for (const [file, bytes] of log.sizes) this.#use.set(file, bytes);
      const salt = log.salt ?? this.#options.salt?.() ?? Math.floor(Math.random() * 2 ** 32);
      this.#writer = new LogWriter({
        disk,
        clock: this.#clock,
        limits: this.#limits,
        salt,
        end: log.end,
        counters: () => this.#index.ledger.counters,
        afterBatch: ({ bytes, file, end }) => this.#compaction?.logged(bytes, file, end),
        onSize: (file, bytes) => this.#use.set(file, bytes),
        afterRefusal: (error) => {
          if (error.code === "MF_JOURNAL_FULL") this.#compaction?.makeRoom();
        },
      });
      this.#compaction = new Compaction({
        disk,
        clock: this.#clock,
        limits: this.#limits,
        salt,
        retention: this.#options.retention,
        index: this.#index,
        writer: this.#writer,
        log,
        onSize: (file, bytes) => this.#use.set(file, bytes),
        onEvent: this.#options.onEvent ?? nothing,
      });
      this.#room = new Room({
        disk,
        clock: this.#clock,
        limits: this.#limits,
        index: () => this.#index,
        onShort: () => this.#compaction?.makeRoom(),
      });
      await this.#room.ask();
      await this.#compaction.removeObsolete(log.obsolete);
      const remarks = [...log.remarks, ...(await this.#begin()), ...(await finishBurials(this.#burialPorts(this.#writer)))];
      this.#compaction.keepReserve();
      return this.#index.ledger.recovery(remarks);
    } catch (error) {
      await this.#compaction?.close();
      await this.#writer?.close();
      this.#compaction = undefined;
      this.#writer = undefined;
      await this.#lock?.release();
      this.#lock = undefined;
      throw error;
    }
  }

  accept(message: NewMessage): Promise<Accepted> {
    return this.#call(async (writer) => {
      const { ledger, bodies } = this.#index;
      const id = message.dedup === undefined ? undefined : `${message.flow}\0${identityOf(message.dedup.id)}`;
      const key = message.key === undefined ? undefined : `${message.flow}\0${message.key}`;
      const wait = (): Promise<void> | undefined => this.#keys.busy(key) ?? this.#ids.busy(id);
      for (let busy = wait(); busy !== undefined; busy = wait()) await busy;
      if (id !== undefined) {
        const duplicate = ledger.duplicate(message);
        if (duplicate !== undefined) return duplicate;
      }
      this.#room?.take(message.body.length);
      this.#ids.acquire(id);
      const slowKey = bodies.isLarge(message.body) ? key : undefined;
      this.#keys.acquire(slowKey);
      let lease = ledger.newLease(message, true);
      if (id !== undefined) this.#entering.set(id, { sequence: lease.sequence, dedupId: message.dedup?.id ?? "" });
      try {
        if (bodies.isLarge(message.body)) {
          const { lastRefusal } = writer;
          const body = await this.#blob(message.body, `m${lease.sequence}`);
          await bodies.syncNames();
          lease = { ...lease, message: { ...message, body } };
          // A message of its key that was on its way before it may have been refused meanwhile.
          if (key !== undefined && writer.lastRefusal !== undefined && writer.lastRefusal !== lastRefusal) throw writer.lastRefusal;
        }
        const body = bodies.toWrite(lease.message.body) ?? message.body;
        await writer.append(
          (out) => writeMessage(out, "accept", { lease, burying: undefined, body }),
          () => ledger.keep(lease, true),
        );
      } catch (error) {
        this.#removeWhenVoid(writer, [bodies.release(lease.message.body)]);
        this.#keys.fail(slowKey, error);
        throw error;
      } finally {
        this.#keys.release(slowKey);
        if (id !== undefined) {
          this.#entering.delete(id);
          this.#ids.release(id);
        }
      }
      return { status: "leased", lease };
    });
  }

  adopt(message: NewMessage): Accepted {
    this.#open();
    const { ledger } = this.#index;
    const { dedup } = message;
    const entering = dedup === undefined ? undefined : this.#entering.get(`${message.flow}\0${identityOf(dedup.id)}`);
    if (dedup !== undefined && entering !== undefined)
      return contradicts(entering.dedupId, dedup.id) ? { status: "mismatch" } : { status: "running", sequence: entering.sequence };
    const duplicate = ledger.duplicate(message);
    if (duplicate !== undefined) return duplicate;
    const lease = ledger.admit(message, false);
    this.#writeNumbers();
    return { status: "leased", lease };
  }

  lease(flow: string, most: number): Promise<readonly Lease[]> {
    return this.#call(async () => {
      const { ledger, bodies } = this.#index;
      const leases = ledger.lease(flow, most);
      this.#writeNumbers();
      if (!leases.some((lease) => bodies.isAway(lease.message.body))) return leases;
      try {
        return await Promise.all(
          leases.map(async (lease) => {
            const body = await bodies.load(lease.message.body);
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
    return this.#call(async (writer) => {
      const { ledger } = this.#index;
      const { flow } = lease.message;
      const state = completion.state === undefined ? undefined : `${flow}\0${completion.state.key}`;
      const wait = (): Promise<void> | undefined => this.#messages.busy(lease.sequence) ?? this.#states.busy(state);
      for (let busy = wait(); busy !== undefined; busy = wait()) await busy;
      const objection = ledger.objection(lease, completion) ?? this.#stateObjection(completion);
      if (objection !== undefined) return objection;
      if (!lease.durable && completion.sends.length === 0 && completion.state === undefined && lease.message.dedup === undefined) {
        // Its sender still has the message, and nothing of it is to be kept: there is nothing to write.
        ledger.complete(lease, completion);
        return { status: "committed" };
      }
      this.#messages.acquire(lease.sequence);
      this.#states.acquire(state);
      let commit = ledger.commitOf(lease, completion);
      try {
        commit = await this.#withBlobs(commit);
        const bodies = commit.entries.map((entry) => this.#index.bodies.toWrite(entry.body) ?? entry.body);
        let offsets: number[] = [];
        await writer.append(
          (out) => {
            const start = out.length;
            offsets = writeCommit(out, commit, bodies).map((offset) => offset - start);
          },
          (placement) => this.#applyCommit(commit, offsets, placement),
        );
      } catch (error) {
        this.#removeWhenVoid(
          writer,
          commit.entries.map((entry) => this.#index.bodies.release(entry.body)),
        );
        if (!(error instanceof RecordTooLong)) throw error;
        return {
          status: "refused",
          code: "MF_JOURNAL_RECORD_LIMIT",
          message: `the completion of message ${lease.message.id} has ${error.bytes} bytes, more than ${this.#limits.recordBytes}: send less, or fewer headers`,
        };
      } finally {
        this.#messages.release(lease.sequence);
        this.#states.release(state);
      }
      return { status: "committed" };
    });
  }

  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    return this.#withMessage(lease, async (writer) => {
      const { ledger } = this.#index;
      if (!lease.durable) return ledger.retry(lease, record, dueMs);
      const next = ledger.nextLease(lease, record, dueMs);
      const apply = (): void => {
        this.#index.burying.delete(lease.sequence);
        ledger.replace(next);
      };
      await this.#record(writer, (out) => writeRetry(out, { flow: lease.message.flow, sequence: lease.sequence, dueMs, record }), apply);
      return next;
    });
  }

  bury(lease: Lease, record: AttemptRecord): Promise<string | undefined> {
    return this.#withMessage(lease, (writer) => buryMessage(this.#burialPorts(writer), lease, record));
  }

  release(lease: Lease): void {
    const busy = this.#messages.busy(lease.sequence);
    if (busy !== undefined) void busy.then(() => this.release(lease));
    else this.#index.ledger.release(lease);
  }

  async drop(lease: Lease): Promise<boolean> {
    const dropped = await this.#withMessage(lease, async (writer) => {
      await finishMessage(this.#burialPorts(writer), lease, undefined);
      return true;
    });
    return dropped === true;
  }

  readState(flow: string, key: string): Promise<StateSnapshot> {
    return this.#call(async () => {
      // A change that is on its way decides: with the old version a completion would only conflict.
      await this.#states.busy(`${flow}\0${key}`);
      return this.#index.ledger.readState(flow, key);
    });
  }

  leaseOutbox(flow: string, outlet: string, most: number, nowMs: number): Promise<readonly OutboxEntry[]> {
    return this.#call(async () => {
      const { bodies, ledger } = this.#index;
      const queue = ledger.outbox(flow, outlet);
      const entries = queue.lease(most, nowMs);
      if (!entries.some((entry) => bodies.isAway(entry.body))) return entries;
      try {
        return await Promise.all(entries.map(async (entry) => ({ ...entry, body: await bodies.load(entry.body) })));
      } catch (error) {
        for (const entry of entries) queue.release(entry.number);
        throw error;
      }
    });
  }

  async settleOutbox(entry: OutboxEntry): Promise<void> {
    await this.#withEntry(entry, async (writer) => {
      const blob = this.#index.removeEntry(entry.flow, entry.outlet, entry.number);
      writer.appendLazily(
        (out) => writeSettle(out, { ...entry, letter: undefined }),
        () => this.#removeLater(blob),
      );
    });
  }

  async deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    await this.#withEntry(entry, (writer, queue) => {
      const apply = (): void => {
        this.#index.buryingSends.delete(entry.number);
        queue.defer(entry.number, keptAttempts(entry.attempts, record), dueMs);
      };
      return this.#record(writer, (out) => writeSendAttempt(out, "defer", { ...entry, dueMs, record }), apply);
    });
  }

  /**
   * Records a failed attempt. A disk that refuses costs that record, after a crash, and nothing else: were the next attempt to wait for the
   * disk, a full one could never empty itself.
   */
  async #record(writer: LogWriter, encode: (out: ByteWriter) => void, apply: () => void): Promise<void> {
    try {
      await writer.append(encode, apply);
    } catch (error) {
      if (this.#closed !== "open") throw error;
      apply();
    }
  }

  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#withEntry(entry, (writer) => burySend(this.#burialPorts(writer), entry, record));
  }

  releaseOutbox(entry: OutboxEntry, dueMs?: number): void {
    const busy = this.#entries.busy(entry.number);
    if (busy !== undefined) return void busy.then(() => this.releaseOutbox(entry, dueMs));
    const queue = this.#index.ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) queue.release(entry.number, dueMs);
  }

  hastenOutbox(flow: string, outlet: string): void {
    this.#index.ledger.outbox(flow, outlet).hasten();
  }

  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#index.ledger.outbox(flow, outlet).nextMs();
  }

  outboxDepth(flow: string, outlet: string): number {
    return this.#index.ledger.outbox(flow, outlet).size;
  }

  liveHeaders(): Iterable<Headers> {
    return this.#index.ledger.headers();
  }

  sync(): Promise<void> {
    return this.#call((writer) => writer.flush());
  }

  get trouble(): CodedError | undefined {
    return this.#closed === "lost" ? lockLost() : (this.#writer?.gone ?? this.#room?.trouble);
  }

  stats(): JournalStats {
    const { batches, records: committed } = this.#writer?.stats ?? { batches: 0, records: 0 };
    return { ...this.#index.ledger.stats(), diskBytes: this.#use.bytes, commits: batches, committed };
  }

  /** Writes a checkpoint now and removes what it makes superfluous. */
  compact(): Promise<CompactionResult> {
    return this.#call(() => {
      const compaction = this.#compaction;
      if (compaction === undefined) throw new CodedError("MF_JOURNAL_CLOSED", "the journal was not recovered yet");
      return compaction.run();
    });
  }

  async close(): Promise<void> {
    if (this.#closed === "closed") return;
    const lost = this.#closed === "lost";
    this.#closed = "closed";
    await this.#calls.end();
    await this.#compaction?.close();
    const writer = this.#writer;
    if (writer !== undefined) {
      if (!lost) await writer.append(writeClosed, nothing).catch(nothing);
      await writer.close();
    }
    this.#index.bodies.close();
    await this.#lock?.release();
  }

  #open(): LogWriter {
    if (this.#closed === "lost") throw this.#writer?.gone ?? lockLost();
    if (this.#closed === "closed") throw new CodedError("MF_JOURNAL_CLOSED", "the journal is closed: the gateway is shutting down");
    if (this.#writer === undefined) throw new CodedError("MF_JOURNAL_CLOSED", "the journal was not recovered yet");
    return this.#writer;
  }

  #lose(): void {
    if (this.#closed === "open") this.#closed = "lost";
    this.#writer?.halt();
    this.#compaction?.halt();
    this.#options.onEvent?.({ kind: "lock-lost" });
  }

  /** Counts a call, so that close waits for it. */
  async #call<T>(work: (writer: LogWriter) => Promise<T>): Promise<T> {
    const writer = this.#open();
    return this.#calls.during(() => work(writer));
  }

  /** Runs `work` while nothing else about the message is under way; undefined when the lease is stale. */
  #withMessage<T>(lease: Lease, work: (writer: LogWriter) => Promise<T>): Promise<T | undefined> {
    return this.#call(async (writer) => {
      for (let busy = this.#messages.busy(lease.sequence); busy !== undefined; busy = this.#messages.busy(lease.sequence)) await busy;
      if (!this.#index.ledger.holds(lease)) return undefined;
      this.#messages.acquire(lease.sequence);
      try {
        return await work(writer);
      } finally {
        this.#messages.release(lease.sequence);
      }
    });
  }

  /** The same for a send. */
  #withEntry<T>(entry: OutboxEntry, work: (writer: LogWriter, queue: OutboxQueue) => Promise<T>): Promise<T | undefined> {
    return this.#call(async (writer) => {
      for (let busy = this.#entries.busy(entry.number); busy !== undefined; busy = this.#entries.busy(entry.number)) await busy;
      const queue = this.#index.ledger.outbox(entry.flow, entry.outlet);
      if (!queue.holds(entry)) return undefined;
      this.#entries.acquire(entry.number);
      try {
        return await work(writer, queue);
      } finally {
        this.#entries.release(entry.number);
      }
    });
  }

  #applyCommit(commit: Commit, offsets: readonly number[], placement: Placement): void {
    this.#removeLater(this.#index.releaseMessage(commit.flow, commit.sequence));
    const entries = commit.entries.map((entry, index) => {
      const body = this.#index.bodies.keep(entry.body, placement.file, placement.offset + (offsets[index] ?? 0));
      return body === entry.body ? entry : { ...entry, body };
    });
    this.#index.ledger.commit({ ...commit, entries });
  }

  async #withBlobs(commit: Commit): Promise<Commit> {
    const { bodies } = this.#index;
    if (!commit.entries.some((entry) => bodies.isLarge(entry.body))) return commit;
    const entries: OutboxEntry[] = [];
    try {
      for (const entry of commit.entries) {
        const large = bodies.isLarge(entry.body);
        entries.push(large ? { ...entry, body: await this.#blob(entry.body, `e${entry.number}`) } : entry);
      }
      await bodies.syncNames();
    } catch (error) {
      for (const entry of entries) this.#removeLater(bodies.release(entry.body));
      throw error;
    }
    return { ...commit, entries };
  }

  async #blob(body: Uint8Array, unique: string): Promise<Uint8Array> {
    const view = await this.#index.bodies.writeBlob(body, unique);
    const place = this.#index.bodies.placeOf(view);
    if (place !== undefined) this.#use.set(place.file, place.length);
    return view;
  }

  #stateObjection(completion: Completion): Completed | undefined {
    if (completion.state === undefined) return undefined;
    let more = 0;
    for (const { name, valueJson } of completion.state.changes) if (valueJson !== undefined) more += name.length + valueJson.length;
    if (more === 0 || this.#index.ledger.stateBytes + more <= this.#limits.stateBytes) return undefined;
    const message = `the state of all flows would exceed ${this.#limits.stateBytes} bytes: delete unused state, or keep it in a database`;
    return { status: "refused", code: "MF_STATE_LIMIT", message };
  }

  #burialPorts(writer: LogWriter): BurialPorts {
    return { index: this.#index, deadLetters: this.#options.deadLetters, writer, remove: (file) => this.#removeLater(file) };
  }

  /** Writes where this life's numbers begin, so that the next one's begin after them, and what of the last segment counts. */
  async #begin(): Promise<string[]> {
    try {
      await this.#writer?.flush();
      return [];
    } catch (error) {
      return [`new messages are refused until the disk accepts writes: ${error instanceof Error ? error.message : String(error)}`];
    }
  }

  /** Numbers that only adopted messages and leases used are in no record: a batch now and then says how far they are. */
  #writeNumbers(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    const { written } = writer.stats;
    const { sequence, token } = this.#index.ledger.counters;
    if (Math.max(sequence - written.sequence, token - written.token) < numbersAhead / 2 || this.#writingNumbers) return;
    this.#writingNumbers = true;
    writer.flush().then(
      () => (this.#writingNumbers = false),
      () => (this.#writingNumbers = false),
    );
  }

  #removeLater(file: string | undefined): void {
    if (file === undefined) return;
    this.#use.set(file, 0);
    this.#options.disk.remove(file).catch(nothing); // swept by the next recovery
  }

  #removeWhenVoid(writer: LogWriter, files: readonly (string | undefined)[]): void {
    if (files.every((file) => file === undefined)) return;
    writer.whenVoid(() => files.forEach((file) => this.#removeLater(file)));
  }
}
