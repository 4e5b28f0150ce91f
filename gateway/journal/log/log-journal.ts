/**
 * The durable journal: the ledger in memory, and a log on disk that it can be built from again.
 *
 *   call ──▶ check against the ledger ──▶ append the change ──▶ batch is safe ──▶ change the ledger ──▶ answer
 *             (wait for a call about            (writer.ts)
 *              the same thing first)
 *
 * The ledger never knows more than the disk does, but for settled sends and released leases, which may be lost. What is in the way
 * between the check and the change is marked (marks.ts), so that calls in one batch never depend on each other, and a batch that
 * fails takes nothing else with it.
 */
import { type Clock, CodedError, systemClock } from "#base";
import { letterOfMessage, letterOfSend } from "../burial.ts";
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
import { Compaction, type CompactionResult, type Retention } from "./compaction.ts";
import type { Disk } from "./disk.ts";
import { LiveIndex } from "./index.ts";
import { type LogLimits, logLimits, numbersAhead } from "./limits.ts";
import type { Lock } from "./lock.ts";
import { Marks } from "./marks.ts";
import { readLog } from "./recovery.ts";
import * as records from "./records.ts";
import type { Upgrade } from "./upgrades.ts";
import { LogWriter, type Placement, RecordTooLong } from "./writer.ts";

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

export type JournalEvent =
  | { readonly kind: "checkpoint"; readonly result: CompactionResult }
  | { readonly kind: "checkpoint-failed"; readonly error: unknown }
  | { readonly kind: "lock-lost" };

const nothing = (): undefined => undefined;

export class LogJournal implements Journal {
  readonly durable = true;
  readonly #options: LogJournalOptions;
  readonly #limits: LogLimits;
  readonly #clock: Clock;
  readonly #messages = new Marks<Sequence>();
  readonly #entries = new Marks<EntryNumber>();
  readonly #ids = new Marks<string>();
  readonly #states = new Marks<string>();
  readonly #sizes = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #index: LiveIndex;
  #writer: LogWriter | undefined;
  #compaction: Compaction | undefined;
  #lock: Lock | undefined;
  #calls = 0;
  #closed: "open" | "closed" | "lost" = "open";
  #diskBytes = 0;

  constructor(options: LogJournalOptions) {
    this.#options = options;
    this.#limits = { ...logLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#index = new LiveIndex(new Bodies(options.disk, this.#limits));
  }

  async recover(): Promise<Recovery> {
    const { disk } = this.#options;
    this.#lock = await this.#options.lock?.(() => this.#lose());
    try {
      const log = await readLog({ disk, bodies: this.#index.bodies, limits: this.#limits, sync: true, upgrades: this.#options.upgrades });
      this.#index = log.index;
      for (const [file, bytes] of log.sizes) this.#setSize(file, bytes);
      const salt = log.salt ?? this.#options.salt?.() ?? Math.floor(Math.random() * 2 ** 32);
      this.#writer = new LogWriter({
        disk,
        clock: this.#clock,
        limits: this.#limits,
        salt,
        end: log.end,
        counters: () => this.#index.ledger.counters,
        afterBatch: ({ bytes, file, end }) => {
          this.#setSize(file, end);
          this.#compaction?.logged(bytes, file, end);
        },
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
        onSize: (file, bytes) => this.#setSize(file, bytes),
        onEvent: this.#options.onEvent ?? nothing,
      });
      await this.#compaction.removeObsolete(log.obsolete);
      const remarks = [...log.remarks, ...(await this.#begin()), ...(await this.#finishBurials())];
      this.#compaction.keepReserve();
      return this.#index.ledger.recovery(remarks);
    } catch (error) {
      await this.#lock?.release();
      this.#lock = undefined;
      throw error;
    }
  }

  accept(message: NewMessage): Promise<Accepted> {
    return this.#call(async (writer) => {
      const { ledger, bodies } = this.#index;
      const id = message.dedup === undefined ? undefined : `${message.flow}\0${message.dedup.id}`;
      if (id !== undefined) {
        for (let busy = this.#ids.wait(id); busy !== undefined; busy = this.#ids.wait(id)) await busy;
        const duplicate = ledger.duplicate(message);
        if (duplicate !== undefined) return duplicate;
        this.#ids.take(id);
      }
      let lease = ledger.newLease(message, true);
      try {
        if (bodies.isLarge(message.body)) {
          const body = await this.#blob(message.body, `m${lease.sequence}`);
          await bodies.syncNames();
          lease = { ...lease, message: { ...message, body } };
        }
        const body = bodies.toWrite(lease.message.body) ?? message.body;
        await writer.append(
          (out) => records.writeMessage(out, "accept", lease, undefined, body),
          () => ledger.keep(lease, true),
        );
      } catch (error) {
        const blob = bodies.release(lease.message.body);
        writer.whenVoid(() => this.#removeLater(blob));
        throw error;
      } finally {
        if (id !== undefined) this.#ids.free(id);
      }
      return { status: "leased", lease };
    });
  }

  adopt(message: NewMessage): Accepted {
    this.#open();
    const { ledger } = this.#index;
    const duplicate = ledger.duplicate(message);
    if (duplicate !== undefined) return duplicate;
    const lease = ledger.admit(message, false);
    this.#writeNumbers();
    return { status: "leased", lease };
  }

  claim(flow: string, most: number): Promise<readonly Lease[]> {
    return this.#call(async () => {
      const { ledger, bodies } = this.#index;
      const leases = ledger.claim(flow, most);
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
      const wait = (): Promise<void> | undefined =>
        this.#messages.wait(lease.sequence) ?? (state === undefined ? undefined : this.#states.wait(state));
      for (let busy = wait(); busy !== undefined; busy = wait()) await busy;
      const objection = ledger.objection(lease, completion) ?? this.#stateObjection(completion);
      if (objection !== undefined) return objection;
      this.#messages.take(lease.sequence);
      if (state !== undefined) this.#states.take(state);
      let commit = ledger.commitOf(lease, completion);
      try {
        commit = await this.#withBlobs(commit);
        const bodies = commit.entries.map((entry) => this.#index.bodies.toWrite(entry.body) ?? entry.body);
        let offsets: number[] = [];
        await writer.append(
          (out) => {
            const start = out.length;
            offsets = records.writeCommit(out, commit, bodies).map((offset) => offset - start);
          },
          (placement) => this.#applyCommit(commit, offsets, placement),
        );
      } catch (error) {
        const blobs = commit.entries.map((entry) => this.#index.bodies.release(entry.body));
        writer.whenVoid(() => blobs.forEach((blob) => this.#removeLater(blob)));
        if (!(error instanceof RecordTooLong)) throw error;
        return {
          status: "refused",
          code: "MF_JOURNAL_RECORD_LIMIT",
          message: `the completion of message ${lease.message.id} is ${error.bytes} bytes, over ${this.#limits.recordBytes}: send less, or fewer headers`,
        };
      } finally {
        this.#messages.free(lease.sequence);
        if (state !== undefined) this.#states.free(state);
      }
      return { status: "committed" };
    });
  }

  retryLater(lease: Lease, record: AttemptRecord, dueMs: number): Promise<Lease | undefined> {
    return this.#withMessage(lease, async (writer) => {
      const { ledger } = this.#index;
      if (!lease.durable) return ledger.retry(lease, record, dueMs);
      const next = ledger.nextLease(lease, record, dueMs);
      await writer.append(
        (out) => records.writeRetry(out, lease.message.flow, lease.sequence, dueMs, record),
        () => {
          this.#index.burying.delete(lease.sequence);
          ledger.replace(next);
        },
      );
      return next;
    });
  }

  /** Says in the log what is about to happen, writes the letter, says that it happened. After a crash in between it is done again, and gives the same letter. */
  bury(lease: Lease, record: AttemptRecord): Promise<string | undefined> {
    return this.#withMessage(lease, async (writer) => {
      const { flow } = lease.message;
      if (lease.durable) {
        await writer.append(
          (out) => records.writeBurying(out, flow, lease.sequence, record),
          () => this.#index.burying.set(lease.sequence, record),
        );
      }
      const id = await this.#options.deadLetters.put(letterOfMessage(lease, record), lease.message.body, String(lease.sequence));
      await this.#finish(writer, lease, id);
      return id;
    });
  }

  release(lease: Lease): void {
    const busy = this.#messages.wait(lease.sequence);
    if (busy !== undefined) void busy.then(() => this.release(lease));
    else this.#index.ledger.release(lease);
  }

  async drop(lease: Lease): Promise<boolean> {
    const dropped = await this.#withMessage(lease, async (writer) => {
      await this.#finish(writer, lease, undefined);
      return true;
    });
    return dropped === true;
  }

  readState(flow: string, key: string): Promise<StateSnapshot> {
    return this.#call(async () => {
      // A change that is on its way decides: with the old version a completion would only conflict.
      await this.#states.wait(`${flow}\0${key}`);
      return this.#index.ledger.readState(flow, key);
    });
  }

  claimOutbox(flow: string, outlet: string, most: number, nowMs: number): Promise<readonly OutboxEntry[]> {
    return this.#call(async () => {
      const { bodies, ledger } = this.#index;
      const queue = ledger.outbox(flow, outlet);
      const entries = queue.claim(most, nowMs);
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
        (out) => records.writeSettle(out, entry, undefined),
        () => this.#removeLater(blob),
      );
    });
  }

  async deferOutbox(entry: OutboxEntry, record: AttemptRecord, dueMs: number): Promise<void> {
    await this.#withEntry(entry, (writer, queue) =>
      writer.append(
        (out) => records.writeSendAttempt(out, "defer", entry, dueMs, record),
        () => {
          this.#index.buryingSends.delete(entry.number);
          queue.defer(entry.number, keptAttempts(entry.attempts, record), dueMs);
        },
      ),
    );
  }

  buryOutbox(entry: OutboxEntry, record: AttemptRecord): Promise<string | undefined> {
    return this.#withEntry(entry, async (writer) => {
      await writer.append(
        (out) => records.writeSendAttempt(out, "burySend", entry, 0, record),
        () => this.#index.buryingSends.set(entry.number, record),
      );
      return this.#buryEntry(writer, entry, record);
    });
  }

  releaseOutbox(entry: OutboxEntry): void {
    const busy = this.#entries.wait(entry.number);
    if (busy !== undefined) return void busy.then(() => this.releaseOutbox(entry));
    const queue = this.#index.ledger.outbox(entry.flow, entry.outlet);
    if (queue.holds(entry)) queue.release(entry.number);
  }

  nextOutboxMs(flow: string, outlet: string): number | undefined {
    return this.#index.ledger.outbox(flow, outlet).nextMs();
  }

  outboxDepth(flow: string, outlet: string): number {
    return this.#index.ledger.outbox(flow, outlet).size;
  }

  stats(): JournalStats {
    const { batches, records: committed } = this.#writer?.stats ?? { batches: 0, records: 0 };
    return { ...this.#index.ledger.stats(), diskBytes: this.#diskBytes, commits: batches, committed };
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
    while (this.#calls > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#compaction?.close();
    const writer = this.#writer;
    if (writer !== undefined) {
      if (!lost) await writer.append(records.writeClosed, nothing).catch(nothing);
      await writer.close();
    }
    this.#index.bodies.close();
    await this.#lock?.release();
  }

  #open(): LogWriter {
    if (this.#closed === "lost")
      throw new CodedError("MF_JOURNAL_CLOSED", "another process has taken over this journal: stop this gateway");
    if (this.#closed === "closed") throw new CodedError("MF_JOURNAL_CLOSED", "the journal is closed: the gateway is shutting down");
    if (this.#writer === undefined) throw new CodedError("MF_JOURNAL_CLOSED", "the journal was not recovered yet");
    return this.#writer;
  }

  #lose(): void {
    if (this.#closed === "open") this.#closed = "lost";
    this.#options.onEvent?.({ kind: "lock-lost" });
  }

  /** Counts a call, so that close waits for it. */
  async #call<T>(work: (writer: LogWriter) => Promise<T>): Promise<T> {
    const writer = this.#open();
    this.#calls += 1;
    try {
      return await work(writer);
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0) for (const done of this.#idle.splice(0)) done();
    }
  }

  /** Runs `work` while nothing else about the message is under way; undefined when the lease is stale. */
  #withMessage<T>(lease: Lease, work: (writer: LogWriter) => Promise<T>): Promise<T | undefined> {
    return this.#call(async (writer) => {
      for (let busy = this.#messages.wait(lease.sequence); busy !== undefined; busy = this.#messages.wait(lease.sequence)) await busy;
      if (!this.#index.ledger.holds(lease)) return undefined;
      this.#messages.take(lease.sequence);
      try {
        return await work(writer);
      } finally {
        this.#messages.free(lease.sequence);
      }
    });
  }

  /** The same for a send. */
  #withEntry<T>(entry: OutboxEntry, work: (writer: LogWriter, queue: OutboxQueue) => Promise<T>): Promise<T | undefined> {
    return this.#call(async (writer) => {
      for (let busy = this.#entries.wait(entry.number); busy !== undefined; busy = this.#entries.wait(entry.number)) await busy;
      const queue = this.#index.ledger.outbox(entry.flow, entry.outlet);
      if (!queue.holds(entry)) return undefined;
      this.#entries.take(entry.number);
      try {
        return await work(writer, queue);
      } finally {
        this.#entries.free(entry.number);
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
    if (place !== undefined) this.#setSize(place.file, place.length);
    return view;
  }

  #stateObjection(completion: Completion): Completed | undefined {
    if (completion.state === undefined) return undefined;
    let more = 0;
    for (const { name, valueJson } of completion.state.changes) if (valueJson !== undefined) more += name.length + valueJson.length;
    if (more === 0 || this.#index.ledger.stateBytes + more <= this.#limits.stateBytes) return undefined;
    const message = `the state of all flows would be over ${this.#limits.stateBytes} bytes: delete what is no longer needed, or keep it in a database`;
    return { status: "refused", code: "MF_STATE_LIMIT", message };
  }

  async #finish(writer: LogWriter, lease: Lease, letter: string | undefined): Promise<void> {
    const { ledger } = this.#index;
    if (!lease.durable) return ledger.finish(lease);
    await writer.append(
      (out) => records.writeFinish(out, lease.message.flow, lease.sequence, letter),
      () => {
        this.#removeLater(this.#index.releaseMessage(lease.message.flow, lease.sequence));
        ledger.finish(lease);
      },
    );
  }

  async #buryEntry(writer: LogWriter, entry: OutboxEntry, record: AttemptRecord): Promise<string> {
    const id = await this.#options.deadLetters.put(letterOfSend(entry, record), entry.body, entry.idempotencyKey);
    await writer.append(
      (out) => records.writeSettle(out, entry, id),
      () => this.#removeLater(this.#index.removeEntry(entry.flow, entry.outlet, entry.number)),
    );
    return id;
  }

  /** Writes where this life's numbers begin, so that the next one's begin after them, and what of the last segment counts. */
  async #begin(): Promise<string[]> {
    try {
      await this.#writer?.flush();
      return [];
    } catch (error) {
      return [`new messages are refused until the disk takes them: ${error instanceof Error ? error.message : String(error)}`];
    }
  }

  /** Burials a crash has cut: the letter may be there or not, so it is written again. */
  async #finishBurials(): Promise<string[]> {
    const { ledger, bodies } = this.#index;
    const writer = this.#open();
    const remarks: string[] = [];
    const attempt = async (what: string, bury: () => Promise<string>): Promise<void> => {
      try {
        remarks.push(`${what}: its burial was cut short and is finished, dead letter ${await bury()}`);
      } catch (error) {
        remarks.push(
          `${what}: its burial was cut short and can't be finished (${String(error)}); it is tried again, and a dead letter of it may exist`,
        );
      }
    };
    for (const flow of ledger.flows.values()) {
      for (const { lease } of [...flow.pending.values()]) {
        const record = this.#index.burying.get(lease.sequence);
        if (record === undefined) continue;
        await attempt(`message ${lease.message.id} of ${lease.message.flow}`, async () => {
          const body = await bodies.load(lease.message.body);
          const id = await this.#options.deadLetters.put(letterOfMessage(lease, record), body, String(lease.sequence));
          await this.#finish(writer, lease, id);
          return id;
        });
      }
      for (const queue of flow.outbox.values()) {
        for (const [entry] of [...queue.entries()]) {
          const record = this.#index.buryingSends.get(entry.number);
          if (record === undefined) continue;
          await attempt(`send ${entry.idempotencyKey}`, async () =>
            this.#buryEntry(writer, { ...entry, body: await bodies.load(entry.body) }, record),
          );
        }
      }
    }
    return remarks;
  }

  /** Numbers that only adopted messages and claims used are in no record: a batch now and then says how far they are. */
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

  #writingNumbers = false;

  #removeLater(file: string | undefined): void {
    if (file === undefined) return;
    this.#setSize(file, 0);
    this.#options.disk.remove(file).catch(nothing); // swept by the next recovery
  }

  #setSize(file: string, bytes: number): void {
    this.#diskBytes += bytes - (this.#sizes.get(file) ?? 0);
    if (bytes === 0) this.#sizes.delete(file);
    else this.#sizes.set(file, bytes);
  }
}
