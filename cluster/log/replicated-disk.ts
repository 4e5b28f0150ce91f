/**
 * The files of one partition in a replicated log, as a disk that a journal is written to.
 *
 *   write, create, rename, … ──▶ one message each (publisher.ts) ──stored──▶ applied to the table (file-table.ts)
 *   read ──▶ the table says which messages have the bytes ──▶ they are fetched (message-reader.ts)
 *   remove ──▶ a message, then the file's subject is purged in the background
 *
 * An acknowledged message is with as many servers as the stream has replicas, and its name with it: there is nothing left to sync. Opening
 * writes a take-over: from its acknowledgement on no older writer's message is taken, so the log ends there, and the table is built
 * from all before it.
 */
import { randomBytes } from "node:crypto";
import type { Clock, CodedError } from "#base";
import type { Disk, DiskFile } from "#gateway";
import { decodeEntry, encodeEntry, type Entry, isFileName, noData, ownerSubject, removedSubject, subjectOfLife } from "./entries.ts";
import { damagedStream, diskFailure, partitionLost } from "./errors.ts";
import { FileTable, type Life } from "./file-table.ts";
import { changeMs, readings, removalsKept, repeatMs } from "./limits.ts";
import { MessageReader } from "./message-reader.ts";
import { Publisher, type Unnumbered } from "./publisher.ts";
import type { ReplicatedLog } from "./replicated-log.ts";

export interface ReplicatedDiskOptions {
  readonly log: ReplicatedLog;
  readonly clock: Clock;
  /** Name of this node, for people. */
  readonly node: string;
  /** Called once, when another node has taken over: from then on every call rejects with the error. */
  readonly onLost?: ((error: CodedError) => void) | undefined;
  /** Random text of 8 to 32 digits and small letters that no other opening has. */
  readonly writer?: string | undefined;
}

function entryOf(kind: Entry["kind"], more: Partial<Unnumbered>): Unnumbered {
  return { kind, life: 0, index: 0, name: "", at: 0, bytes: 0, ...more };
}

export class ReplicatedDisk implements Disk {
  readonly growsFreely = true;
  readonly #log: ReplicatedLog;
  readonly #clock: Clock;
  readonly #table: FileTable;
  readonly #publisher: Publisher;
  readonly #reader: MessageReader;
  readonly #purges: (() => Promise<void>)[] = [];
  #purging: Promise<void> | undefined;
  #closed = false;
  /** Removed files that are open: their messages stay, and so does what says that they are removed. */
  #held = 0;

  private constructor(log: ReplicatedLog, clock: Clock, table: FileTable, publisher: Publisher) {
    this.#log = log;
    this.#clock = clock;
    this.#table = table;
    this.#publisher = publisher;
    this.#reader = new MessageReader({ log, clock, lost: () => publisher.lost, confirm: () => publisher.confirm() });
  }

  /**
   * Takes the partition over and reads what is in it. Rejects with MF_JOURNAL_CORRUPT, with MF_PARTITION_LOST if another node is quicker,
   * and as the log does if it does not answer.
   */
  static async open({ log, clock, node, onLost, writer = randomWriter() }: ReplicatedDiskOptions): Promise<ReplicatedDisk> {
    const takeover = { entry: entryOf("own", { name: node }), data: noData };
    const { taken, counter } = await takeOver(log, clock, { ...takeover.entry, writer });
    const { table, removed } = await readTable(log, clock, taken);
    const publisher: Publisher = new Publisher({
      log,
      clock,
      writer,
      last: taken,
      counter,
      takeover,
      stored: (entry, sequence) => table.apply(entry, sequence),
      lost: (error) => onLost?.(error),
    });
    const disk = new ReplicatedDisk(log, clock, table, publisher);
    for (const life of table.displaced()) await disk.#removeLife(life);
    for (const life of removed) disk.#purgeLife(life);
    disk.#later(() => log.trim(ownerSubject(log.prefix), taken));
    return disk;
  }

  /** Longest write that is one message, in bytes. */
  get messageBytes(): number {
    return this.#log.mostBytes;
  }

  /** Why nothing can be done any more, if so. */
  get lost(): CodedError | undefined {
    return this.#publisher.lost;
  }

  async list(): Promise<string[]> {
    this.#check();
    return this.#table.names();
  }

  async freeBytes(): Promise<number> {
    this.#check();
    return this.#log.freeBytes();
  }

  async create(name: string): Promise<DiskFile> {
    if (!isFileName(name)) throw diskFailure("EINVAL", `${name} can't be the name of a file`);
    await this.#publisher.publish((next) => {
      if (this.#table.find(name) !== undefined) throw diskFailure("EEXIST", `${name} exists`);
      return { entry: entryOf("create", { life: next, name }), data: noData };
    });
    return this.open(name);
  }

  createSynced(name: string): Promise<DiskFile> {
    return this.create(name);
  }

  openSynced(name: string): Promise<DiskFile> {
    return this.open(name);
  }

  async open(name: string): Promise<DiskFile> {
    this.#check();
    return this.#file(name, this.#find(name));
  }

  async rename(from: string, to: string): Promise<void> {
    if (!isFileName(to)) throw diskFailure("EINVAL", `${to} can't be the name of a file`);
    await this.#publisher.publish(() => {
      const life = this.#find(from);
      return { entry: entryOf("rename", { life: life.id, index: life.messages, name: to }), data: noData };
    });
    for (const life of this.#table.displaced()) await this.#removeLife(life);
  }

  async remove(name: string): Promise<void> {
    await this.#publisher.settle(); // its creation may be in doubt
    const life = this.#table.find(name);
    if (life !== undefined) await this.#removeLife(life);
  }

  async syncNames(): Promise<void> {
    this.#check();
  }

  /** Another node has the partition, as far as this node knows: nothing is written any more. */
  lose(why: string): void {
    this.#publisher.lose(partitionLost(this.#log.name, why));
  }

  /** Resolves once the messages of removed files are purged, or the disk is closed or lost. */
  async purged(): Promise<void> {
    await this.#purging;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#publisher.close(), this.#purging]);
  }

  #check(): void {
    if (this.#publisher.lost !== undefined) throw this.#publisher.lost;
  }

  #find(name: string): Life {
    const life = this.#table.find(name);
    if (life === undefined) throw diskFailure("ENOENT", `${name} does not exist`);
    return life;
  }

  #file(name: string, life: Life): DiskFile {
    life.handles += 1;
    let open = true;
    return {
      name,
      write: (bytes, at) => this.#write(life, bytes, at),
      sync: async () => this.#check(),
      read: (into, at) => this.#read(life, into, at),
      size: async () => life.size,
      truncate: (length) => this.#truncate(life, length),
      isLinked: () => life.name !== undefined,
      close: async () => {
        if (!open) return;
        open = false;
        life.handles -= 1;
        if (!life.removed || life.handles > 0) return;
        this.#held -= 1;
        this.#purgeLife(life);
      },
    };
  }

  async #write(life: Life, bytes: Uint8Array, at: number): Promise<void> {
    this.#check();
    for (let done = 0; done < bytes.length; ) {
      const data = bytes.subarray(done, done + this.#log.mostBytes);
      const place = at + done;
      await this.#publisher.publish(() => {
        assertThere(life);
        return { entry: entryOf("write", { life: life.id, index: life.messages, at: place, bytes: data.length }), data };
      });
      done += data.length;
    }
  }

  async #truncate(life: Life, length: number): Promise<void> {
    this.#check();
    if (life.size === length) return;
    await this.#publisher.publish(() => {
      assertThere(life);
      return { entry: entryOf("truncate", { life: life.id, index: life.messages, at: length }), data: noData };
    });
  }

  async #read(life: Life, into: Uint8Array, at: number): Promise<number> {
    this.#check();
    const bytes = Math.max(0, Math.min(into.length, life.size - at));
    const target = into.subarray(0, bytes);
    target.fill(0);
    if (bytes > 0) await this.#reader.read(life.extents.within(at, at + bytes), target, at);
    return bytes;
  }

  async #removeLife(life: Life): Promise<void> {
    const sequence = await this.#publisher.publish(() =>
      life.removed ? undefined : { entry: entryOf("remove", { life: life.id }), data: noData },
    );
    if (sequence === undefined) return;
    if (life.handles > 0) this.#held += 1;
    else this.#purgeLife(life);
    const oldest = this.#held > 0 ? undefined : this.#table.takeOldRemovals(removalsKept);
    if (oldest !== undefined) this.#later(() => this.#log.trim(removedSubject(this.#log.prefix), oldest));
  }

  /** Purging is safe whoever does it: nothing is ever written to the subject of a removed file. What is left over the next opening purges. */
  #purgeLife({ id, sequences }: Life): void {
    this.#later(() => this.#log.purge(subjectOfLife(this.#log.prefix, id), sequences));
  }

  #later(purge: () => Promise<void>): void {
    this.#purges.push(purge);
    this.#purging ??= this.#purge();
  }

  async #purge(): Promise<void> {
    let delayMs: number = repeatMs.first;
    for (let next = this.#purges[0]; next !== undefined && !this.#closed && this.lost === undefined; next = this.#purges[0]) {
      try {
        await next();
        this.#purges.shift();
        delayMs = repeatMs.first;
      } catch {
        const waitMs = delayMs;
        await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
        delayMs = Math.min(2 * delayMs, repeatMs.most);
      }
    }
    this.#purging = undefined; // in the same turn as the last look at what there is
  }
}

function assertThere(life: Life): void {
  if (life.removed) throw diskFailure("ENOENT", "the file was removed");
}

function randomWriter(): string {
  return randomBytes(12).toString("hex");
}

/**
 * Writes the take-over behind whatever is last; gives its number. Whoever has written meanwhile is the reason for another try, which has
 * another number of the writer: both may be stored.
 */
async function takeOver(
  log: ReplicatedLog,
  clock: Clock,
  entry: Omit<Entry, "counter">,
): Promise<{ readonly taken: number; readonly counter: number }> {
  const deadlineMs = clock.monotonicMs() + changeMs;
  let expected = -1;
  let counter = 0;
  for (let delayMs = repeatMs.first as number; ; delayMs = Math.min(2 * delayMs, repeatMs.most)) {
    let failure: unknown;
    try {
      const last = await log.last();
      if (last > expected) [expected, counter] = [last, counter + 1];
      const message = encodeEntry(log.prefix, { ...entry, counter }, noData);
      if ((await log.append(message, expected)) === "stored") return { taken: expected + 1, counter };
    } catch (error) {
      failure = error;
    }
    const found = await log.get(expected + 1).catch(() => undefined);
    const there = found && decodeEntry(log.prefix, found, true);
    if (there?.writer === entry.writer && there.counter === counter) return { taken: expected + 1, counter };
    if (clock.monotonicMs() > deadlineMs) throw failure ?? partitionLost(log.name, "others write to it all the time");
    const waitMs = delayMs;
    await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  }
}

interface ReadTable {
  readonly table: FileTable;
  /** Removed files of which something was left. */
  readonly removed: readonly Life[];
}

/**
 * Builds the table from all messages up to the take-over. Damage is believed when it is seen several times: a server that stood still and
 * takes itself for the leader yet lacks the newest messages.
 */
async function readTable(log: ReplicatedLog, clock: Clock, takeover: number): Promise<ReadTable> {
  for (let reading = 1; ; reading++) {
    try {
      return await readOnce(log, takeover);
    } catch (error) {
      if (reading === readings) throw error;
      await new Promise<void>((resolve) => clock.after(repeatMs.most, resolve));
    }
  }
}

async function readOnce(log: ReplicatedLog, takeover: number): Promise<ReadTable> {
  let table = new FileTable(log.name);
  let removed: Life[] = [];
  await log.readHeaders(takeover, () => {
    table = new FileTable(log.name);
    removed = [];
    return (message) => {
      const entry = decodeEntry(log.prefix, message, false);
      if (entry === undefined) throw damagedStream(log.name, message.sequence, "it is no message of a journal, or its header is damaged");
      const life = table.apply(entry, message.sequence);
      if (life !== undefined) removed.push(life);
    };
  });
  table.checkWhole();
  return { table, removed };
}
