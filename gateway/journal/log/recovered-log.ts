/** A log after recovery: its live index, and the parts that write it, compact it, store large bodies and watch the disk. */
import type { Clock, CodedError } from "#base";
import type { DeadLetters } from "../dead-letters.ts";
import type { OutboxEntry } from "../journal.ts";
import type { Commit } from "../ledger.ts";
import { type BurialPorts, finishBurials } from "./burials.ts";
import { writeClosed } from "../format/change-records.ts";
import { type CommitBodies, writeCommit } from "../format/commit-record.ts";
import { Compaction, type JournalEvent, type Retention } from "./compaction.ts";
import { DiskUse } from "./counts.ts";
import type { Disk } from "./disk.ts";
import { type LogLimits, numbersAhead } from "./limits.ts";
import type { LiveIndex } from "./live-index.ts";
import type { RecordPlace } from "./places.ts";
import type { ReadLog } from "./recovery.ts";
import { Room } from "./room.ts";
import { bodiesOf, mapBodies, withBodies } from "./sleeping-bodies.ts";
import { LogWriter } from "./writer.ts";

export interface RecoveredLogOptions {
  readonly disk: Disk;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly retention: Retention | undefined;
  /** A random number below 2³². */
  readonly salt: number;
  readonly onEvent: (event: JournalEvent) => void;
}

const nothing = (): undefined => undefined;
const nothingYet = new Uint8Array(0);

export class RecoveredLog {
  readonly index: LiveIndex;
  readonly writer: LogWriter;
  readonly compaction: Compaction;
  readonly room: Room;
  readonly #options: RecoveredLogOptions;
  readonly #log: ReadLog;
  readonly #use = new DiskUse();
  #writingNumbers = false;

  constructor(log: ReadLog, options: RecoveredLogOptions) {
    const { disk, clock, limits, salt, retention, onEvent } = options;
    this.#options = options;
    this.#log = log;
    this.index = log.index;
    for (const [file, bytes] of log.sizes) this.#use.set(file, bytes);
    const onSize = (file: string, bytes: number): void => this.#use.set(file, bytes);
    const common = { disk, clock, limits, salt, onSize };
    this.writer = new LogWriter({
      ...common,
      end: log.end,
      counters: () => this.index.ledger.counters,
      afterBatch: ({ bytes, file, end }) => this.compaction.logged(bytes, file, end),
      afterRefusal: (error) => {
        if (error.code === "MF_JOURNAL_FULL") this.compaction.makeRoom();
      },
    });
    this.compaction = new Compaction({ ...common, retention, index: this.index, writer: this.writer, log, onEvent });
    this.room = new Room({ disk, clock, limits, index: this.index, onShort: () => this.compaction.makeRoom() });
  }

  get diskBytes(): number {
    return this.#use.bytes;
  }

  /** The reason why no message is accepted, if any. */
  get trouble(): CodedError | undefined {
    return this.writer.gone ?? this.room.trouble;
  }

  get burialPorts(): BurialPorts {
    const { index, writer } = this;
    return { index, writer, deadLetters: this.#options.deadLetters, remove: (...files) => files.forEach((file) => this.removeLater(file)) };
  }

  /** Removes what recovery found superfluous and finishes burials that a crash has cut. Resolves with remarks for people. */
  async begin(): Promise<readonly string[]> {
    await this.room.ask();
    await this.compaction.removeObsolete(this.#log.obsolete);
    const remarks = [...this.#log.remarks, ...(await this.#writeFirstNumbers()), ...(await finishBurials(this.burialPorts))];
    this.compaction.keepReserve();
    return remarks;
  }

  /** Writes nothing any more: the files are another process's. */
  halt(): void {
    this.writer.halt();
    this.compaction.halt();
  }

  /** Closes the files; with `clean` the log says that nothing was cut off. */
  async close(clean: boolean): Promise<void> {
    await this.compaction.close();
    if (clean) await this.writer.append(writeClosed, nothing).catch(nothing);
    await this.writer.close();
  }

  /** Numbers that only adopted messages and leases used are in no record: a batch now and then says how far they are. */
  writeNumbers(): void {
    const { written } = this.writer.stats;
    const { counters, numbers } = this.index.ledger;
    const ahead = Math.max(counters.sequence - written.sequence, counters.token - written.token) / numbers.step;
    if (ahead < numbersAhead / 2 || this.#writingNumbers) return;
    this.#writingNumbers = true;
    const done = (): void => void (this.#writingNumbers = false);
    this.writer.flush().then(done, done);
  }

  /** Stores a large body in a file of its own, safely; `bodies.syncNames` must follow. */
  async storeBody(body: Uint8Array, unique: string): Promise<Uint8Array> {
    const view = await this.index.bodies.writeBlob(body, unique);
    const place = this.index.bodies.placeOf(view);
    if (place !== undefined) this.#use.set(place.file, place.length);
    return view;
  }

  /** The commit with its large bodies stored, and the files that were made for it. */
  async storeBodies(commit: Commit): Promise<{ readonly commit: Commit; readonly files: readonly string[] }> {
    const { bodies, ledger } = this.index;
    const isNew = (body: Uint8Array): boolean => bodies.isLarge(body) && bodies.blobOf(body) === undefined;
    const { sleeping, next } = commit;
    const asleep = sleeping === undefined ? undefined : bodiesOf(sleeping);
    const ofSleeper = asleep === undefined ? [] : [asleep.body, asleep.recording, ...(asleep.pages === undefined ? [] : [asleep.pages])];
    if (
      !commit.entries.some((entry) => bodies.isLarge(entry.body)) &&
      !ofSleeper.some(isNew) &&
      !bodies.isLarge(next?.message.body ?? nothingYet)
    )
      return { commit, files: [] };
    const entries: OutboxEntry[] = [];
    const files: string[] = [];
    const store = async (body: Uint8Array, unique: string): Promise<Uint8Array> => {
      const stored = await this.storeBody(body, unique);
      files.push(bodies.blobOf(stored) ?? "");
      return stored;
    };
    try {
      for (const entry of commit.entries)
        entries.push(bodies.isLarge(entry.body) ? { ...entry, body: await store(entry.body, `e${entry.number}`) } : entry);
      const stored = asleep && (await mapBodies(asleep, async (body) => (isNew(body) ? store(body, `s${ledger.newEntry()}`) : body)));
      const message = next && {
        ...next.message,
        body: await (bodies.isLarge(next.message.body) ? store(next.message.body, `m${next.sequence}`) : next.message.body),
      };
      await bodies.syncNames();
      return {
        files,
        commit: {
          ...commit,
          entries,
          next: next && message && { ...next, message },
          sleeping: sleeping && stored && withBodies(sleeping, stored),
        },
      };
    } catch (error) {
      for (const file of files) this.removeLater(file);
      throw error;
    }
  }

  /** Writes a commit whose bodies are stored, and applies it once it is safe. Rejects with RecordTooLong, too. */
  async writeCommit(commit: Commit, written: CommitBodies): Promise<void> {
    let offsets: number[] = [];
    let length = 0;
    await this.writer.append(
      (out) => {
        const start = out.length;
        offsets = writeCommit(out, commit, written).map((offset) => offset - start);
        length = out.length - start;
      },
      ({ file, offset }) => this.#applyCommit(commit, offsets, { file, offset, length }),
    );
  }

  /** Applies a commit that is safe; `offsets` are those of its entries' bodies, then of its kept signals', in the record's payload. */
  #applyCommit(commit: Commit, offsets: readonly number[], place: RecordPlace): void {
    const { bodies } = this.index;
    const keep = <T extends { readonly body: Uint8Array }>(given: T, index: number): T => {
      const body = bodies.keep(given.body, place.file, place.offset + (offsets[index] ?? 0));
      return body === given.body ? given : { ...given, body };
    };
    const entries = commit.entries.map(keep);
    const kept = commit.kept.map((signal, index) => keep(signal, entries.length + index));
    const isSame =
      entries.every((entry, index) => entry === commit.entries[index]) && kept.every((each, index) => each === commit.kept[index]);
    for (const file of this.index.commit(isSame ? commit : { ...commit, entries, kept }, place)) this.removeLater(file);
  }

  removeLater(file: string | undefined): void {
    if (file === undefined) return;
    this.#use.set(file, 0);
    this.#options.disk.remove(file).catch(nothing); // swept by the next recovery
  }

  /** Removes the files of a refused record, once a crash can't bring that record back. */
  removeWhenVoid(files: readonly (string | undefined)[]): void {
    if (files.every((file) => file === undefined)) return;
    this.writer.whenVoid(() => files.forEach((file) => this.removeLater(file)));
  }

  /** Writes where this life's numbers begin, so that the next one's begin after them, and what of the last segment counts. */
  async #writeFirstNumbers(): Promise<readonly string[]> {
    try {
      await this.writer.flush();
      return [];
    } catch (error) {
      return [`new messages are refused until the disk accepts writes: ${error instanceof Error ? error.message : String(error)}`];
    }
  }
}
