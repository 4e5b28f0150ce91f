/** The live index: the state of the log in memory. The ledger, where bodies are, and which burials were begun; built by applying records in order. */
import { type Commit, keptAttempts, Ledger, type NumberSeries } from "../ledger.ts";
import type { AttemptRecord, EntryNumber, KeptSignal, OutboxEntry, Sequence, SignalNumber } from "../journal.ts";
import type { Bodies } from "./bodies.ts";
import { AsleepPack } from "../format/asleep-pack.ts";
import type { Fields, LogRecord } from "../format/record.ts";
import { isSamePlace, type RecordPlace } from "./places.ts";
import { type Slot, slotOf } from "../slot.ts";
import { isLoose } from "./sleeper-files.ts";
import { blobsOf, blobsOfRecord } from "./sleeping-bodies.ts";

/** A burial that was begun: the last attempt, and the signals it had been given. */
export interface Burying {
  readonly record: AttemptRecord;
  readonly consumed: readonly SignalNumber[];
}

export class LiveIndex {
  readonly ledger: Ledger<RecordPlace>;
  readonly bodies: Bodies;
  /** Messages whose dead letter was begun. */
  readonly burying = new Map<Sequence, Burying>();
  /** Sends of which the same is true. */
  readonly buryingSends = new Map<EntryNumber, AttemptRecord>();
  /** Signals of which the same is true. */
  readonly buryingSignals = new Map<SignalNumber, AttemptRecord>();
  /** The pack of those who were read last. */
  #growing = AsleepPack.begin();
  /** Bytes of sleepers that no checkpoint has taken out of their segments yet. */
  looseBytes = 0;
  /** True while the last record is the one of a clean stop. */
  closed = false;

  constructor(bodies: Bodies, numbers?: NumberSeries) {
    this.bodies = bodies;
    this.ledger = new Ledger(
      (body) => bodies.bytesOf(body),
      (body) => bodies.recordedBytesOf(body),
      numbers,
    );
  }

  /**
   * Applies a record that is safe. A record about something that is not there is passed over: a send that was settled just
   * before a checkpoint was taken has its settle record after it.
   */
  apply(record: LogRecord, payload: RecordPlace): void {
    this.closed = record.kind === "closed";
    switch (record.kind) {
      case "accept":
      case "pending": {
        const { lease } = record;
        const body = this.bodies.recovered(record.body, payload);
        if (record.burying !== undefined) this.burying.set(lease.sequence, { record: record.burying, consumed: [] });
        return this.ledger.keep({ ...lease, message: { ...lease.message, body } }, false);
      }
      case "complete":
      case "transaction": {
        this.releaseCommitted(record.commit, []); // blobs no longer named are swept at the end of recovery
        const { sleeping, nextBody, keptBodies } = record;
        const { next } = record.commit;
        const entries = record.commit.entries.map((entry, index): OutboxEntry => {
          const stored = record.bodies[index];
          return stored === undefined ? entry : { ...entry, body: this.bodies.recovered(stored, payload) };
        });
        if (sleeping !== undefined) this.looseBytes += payload.length;
        const kept = record.commit.kept.map((signal, index): KeptSignal => {
          const stored = keptBodies[index];
          return stored === undefined ? signal : { ...signal, body: this.bodies.recovered(stored, payload) };
        });
        const followed = next && nextBody && { ...next, message: { ...next.message, body: this.bodies.recovered(nextBody, payload) } };
        const isBare = entries.length === 0 && kept.length === 0 && followed === undefined;
        this.ledger.commit(isBare ? record.commit : { ...record.commit, entries, kept, next: followed }, undefined);
        if (sleeping !== undefined) this.#pack(slotOf(sleeping.lease, payload, blobsOfRecord(sleeping.bodies)));
        return;
      }
      case "sleeper":
        return; // of a file that is read by place only (sleeper-files.ts)
      case "asleep":
        this.ledger.sleepers.putPack(record.slots.kept());
        for (const [at, burying] of record.slots.burying) this.burying.set(record.slots.sequence(at), { record: burying, consumed: [] });
        return;
      case "signal": {
        const { number } = record.signal;
        if (record.burying !== undefined) this.buryingSignals.set(number, record.burying);
        return this.ledger.keepSignal({ ...record.signal, body: this.bodies.recovered(record.body, payload) });
      }
      case "burySignal":
        this.buryingSignals.set(record.number, record.record);
        return;
      case "endSignal":
        this.releaseSignal(record.number);
        return this.ledger.signals.take(record.number);
      case "retry": {
        this.burying.delete(record.sequence);
        return this.ledger.failed(record.flow, record.sequence, record.record, record.dueMs);
      }
      case "burying":
        this.burying.set(record.sequence, record);
        return;
      case "finish": {
        this.finish(record);
        return;
      }
      case "entry": {
        const body = this.bodies.recovered(record.body, payload);
        if (record.burying !== undefined) this.buryingSends.set(record.entry.number, record.burying);
        return this.ledger.outbox(record.entry.flow, record.entry.outlet).restore({ ...record.entry, body }, record.dueMs, record.entered);
      }
      case "completedId":
        return this.ledger.restoreId(record);
      case "state":
        return this.ledger.restoreState(record.flow, record.key, record.version, record.values);
      case "settle":
      case "defer":
      case "burySend":
        return this.#applyToEntry(record);
      case "closed":
      case "end":
        return;
    }
  }

  /** Puts a message to sleep, as bytes: it may stay so for long. */
  #pack(slot: Slot<RecordPlace>): void {
    if (this.#growing.isFull) this.#growing = AsleepPack.begin();
    const at = this.#growing.length;
    this.#growing.add(slot);
    this.ledger.sleepers.putPack(this.#growing, at);
  }

  /** Ends what is known of a message beside the ledger; gives the blobs that are needed no longer. */
  releaseMessage(flow: string, sequence: Sequence): string[] {
    this.burying.delete(sequence);
    const pending = this.ledger.flow(flow).pending.get(sequence);
    if (pending === undefined) {
      const slot = this.ledger.sleepers.slot(sequence);
      if (slot !== undefined && isLoose(slot.stored)) this.looseBytes -= slot.stored.length;
      return [...(slot?.blobs ?? [])];
    }
    const blob = this.bodies.release(pending.lease.message.body);
    return blob === undefined ? [] : [blob];
  }

  /** Ends a message that has a dead letter or was dropped, and the signals that are in the letter; gives the blobs that are needed no longer. */
  finish({ flow, sequence, letter }: Omit<Fields<"finish">, "kind">): string[] {
    const consumed = letter === undefined ? [] : (this.burying.get(sequence)?.consumed ?? []);
    const blobs = [...this.releaseMessage(flow, sequence), ...consumed.flatMap((number) => this.releaseSignal(number) ?? [])];
    for (const number of consumed) this.ledger.signals.take(number);
    this.ledger.end(flow, sequence);
    return blobs;
  }

  /** Ends what is known of a signal beside the ledger; gives a blob that is needed no longer. */
  releaseSignal(number: SignalNumber): string | undefined {
    this.buryingSignals.delete(number);
    const signal = this.ledger.signals.signal(number);
    return signal === undefined ? undefined : this.bodies.release(signal.body);
  }

  /** The same for all that a commit ends; `kept` are the blobs that the message sleeps on with. */
  releaseCommitted({ flow, sequence, consumed }: Commit, kept: readonly string[]): string[] {
    const blobs = this.releaseMessage(flow, sequence).filter((blob) => !kept.includes(blob));
    return [...blobs, ...consumed.flatMap((number) => this.releaseSignal(number) ?? [])];
  }

  /** Applies a commit that is safe, but for bodies of its entries, which `entries` have. Gives the blobs that are needed no longer. */
  commit(commit: Commit, place: RecordPlace): string[] {
    const blobs = commit.sleeping === undefined ? [] : blobsOf(commit.sleeping, this.bodies);
    const free = this.releaseCommitted(commit, blobs);
    if (commit.sleeping !== undefined) this.looseBytes += place.length;
    this.ledger.commit(commit, commit.sleeping && slotOf(commit.sleeping, place, blobs));
    return free;
  }

  /** A checkpoint has taken a sleeper out of its segment or file; `from` is where it was. */
  move(sequence: Sequence, from: RecordPlace, to: RecordPlace): void {
    const isMoved = this.ledger.sleepers.move(sequence, (now) => (isSamePlace(now, from) ? to : undefined));
    if (isMoved && isLoose(from)) this.looseBytes -= from.length;
  }

  /** The same for a send, which is removed as well. */
  removeEntry(flow: string, outlet: string, number: EntryNumber): string | undefined {
    this.buryingSends.delete(number);
    const queue = this.ledger.outbox(flow, outlet);
    const entry = queue.get(number);
    if (entry === undefined) return undefined;
    queue.remove(number);
    return this.bodies.release(entry.body);
  }

  #applyToEntry(record: Extract<LogRecord, { kind: "settle" | "defer" | "burySend" }>): void {
    const queue = this.ledger.outbox(record.flow, record.outlet);
    const entry = queue.get(record.number);
    if (entry === undefined) return;
    if (record.kind === "settle") {
      this.removeEntry(record.flow, record.outlet, record.number);
      return;
    }
    if (record.kind === "burySend") {
      this.buryingSends.set(record.number, record.record);
      return;
    }
    this.buryingSends.delete(record.number);
    queue.defer(record.number, keptAttempts(entry.attempts, record.record), record.dueMs);
  }
}
