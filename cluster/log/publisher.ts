/**
 * Appends the changes of one writer to the log, one at a time, each fenced by the number of the last message.
 *
 *   change ──▶ append(expected) ──stored──▶ done
 *                 │ refused, or no answer
 *                 ▼
 *              message expected + 1 ──ours──▶ it is stored: this change, or one before whose end was unknown
 *                 │ missing                    another's ──▶ deposed: nothing is written any more
 *                 ▼
 *              the same append again, until changeMs have passed; then the change is refused, and remembered as one in doubt
 */
import { type Clock, CodedError } from "#base";
import { decodeEntry, encodeEntry, type Entry } from "./entries.ts";
import { damagedStream, diskFailure, partitionLost } from "./errors.ts";
import { changeMs, doubtsAtMost, missedAtMost, repeatMs } from "./limits.ts";
import type { ReplicatedLog } from "./replicated-log.ts";

/** A change as its caller describes it, undefined if there is nothing to change; `next` is the number its message will have. */
export type Draft = (next: number) => Drafted | undefined;

export interface Drafted {
  readonly entry: Unnumbered;
  readonly data: Uint8Array;
}

export type Unnumbered = Omit<Entry, "writer" | "counter">;

export interface PublisherOptions {
  readonly log: ReplicatedLog;
  readonly clock: Clock;
  /** Random; of this opening alone. */
  readonly writer: string;
  /** Number of the last message. */
  readonly last: number;
  /** The writer's changes so far. */
  readonly counter: number;
  /** The take-over that this writer began with. */
  readonly takeover: Drafted;
  /** A message of ours is stored. */
  readonly stored: (entry: Entry, sequence: number) => void;
  readonly lost: (error: CodedError) => void;
}

/** The message with the next number. */
type Found = "nothing" | "own" | "doubtful";

function isFull(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ENOSPC";
}

export class Publisher {
  readonly #options: PublisherOptions;
  #last: number;
  #counter: number;
  #lost: CodedError | undefined;
  #closed = false;
  /** Changes that were refused and may still be stored, as the next message. */
  #doubts: Entry[] = [];
  #probe: Entry | undefined;
  /** How often in turn the next message was missing though the log goes on behind it. */
  #missed = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#last = options.last;
    this.#counter = options.counter;
  }

  /** Number of the last message, as far as this writer knows. */
  get last(): number {
    return this.#last;
  }

  get lost(): CodedError | undefined {
    return this.#lost;
  }

  /** Gives the number of the stored message, undefined if there was nothing to change. Rejects with ENOSPC, EIO, or MF_PARTITION_LOST; after the first two it may yet be stored. */
  publish(draft: Draft): Promise<number | undefined> {
    return this.#inTurn(() => this.#publish(draft));
  }

  /** Finds out what became of changes whose end is unknown. Rejects as `publish` does. */
  settle(): Promise<void> {
    return this.#inTurn(async () => {
      this.#check();
      if (this.#doubts.length > 0) await this.#settle();
    });
  }

  /** Resolves if this writer is the last one, or nobody can say; rejects with MF_PARTITION_LOST otherwise. */
  async confirm(): Promise<void> {
    await this.#inTurn(() => this.#settle()).catch(() => undefined);
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** Another node has the partition. */
  lose(error: CodedError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#options.lost(error);
  }

  /** Waits for what is under way; nothing is written afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #publish(draft: Draft): Promise<number | undefined> {
    if (this.#doubts.length >= doubtsAtMost) await this.#settle();
    if (this.#probe !== undefined) this.#doubts.push(this.#probe); // what follows has a higher number
    this.#probe = undefined;
    return this.#repeat(draft, undefined);
  }

  /** Writes what changes nothing, the same whenever it is tried: once it is stored, what was in doubt is stored before it or void. */
  async #settle(): Promise<void> {
    this.#probe ??= this.#number(this.#options.takeover.entry);
    await this.#repeat(() => this.#options.takeover, this.#probe);
    this.#probe = undefined;
  }

  async #repeat(draft: Draft, probe: Entry | undefined): Promise<number | undefined> {
    const { log, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + changeMs;
    for (let delayMs = repeatMs.first as number, entry = probe; ; delayMs = Math.min(2 * delayMs, repeatMs.most)) {
      this.#check();
      const expected = this.#last;
      const drafted = draft(expected + 1);
      if (drafted === undefined) return undefined;
      entry ??= this.#number(drafted.entry);
      const failure = await this.#append(entry, drafted.data, expected);
      if (failure === undefined) return this.#take(entry);
      const found = await this.#look(entry, expected).catch((): Found => "nothing");
      if (found === "own") return this.#take(entry);
      if (found === "doubtful") {
        entry = probe; // its number has changed
        continue;
      }
      if (isFull(failure) || clock.monotonicMs() > deadlineMs) {
        if (probe === undefined) this.#doubts.push(entry);
        throw isFull(failure) ? failure : diskFailure("EIO", `${log.name} does not acknowledge`, failure);
      }
      await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    }
  }

  #number(entry: Unnumbered): Entry {
    return { ...entry, writer: this.#options.writer, counter: ++this.#counter };
  }

  #check(): void {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#closed) throw new CodedError("MF_JOURNAL_CLOSED", "the journal is closed: the gateway is shutting down");
  }

  /** Undefined if the message is stored. */
  async #append(entry: Entry, data: Uint8Array, expected: number): Promise<Error | undefined> {
    const { log } = this.#options;
    try {
      const message = encodeEntry(log.prefix, entry, data);
      return (await log.append(message, expected)) === "stored" ? undefined : new Error("another message was expected to be the last");
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Looks at the message that has the number of ours, or would have it. Rejects when the log does not answer. */
  async #look(entry: Entry, expected: number): Promise<Found> {
    const { log } = this.#options;
    const message = await log.get(expected + 1);
    if (message === undefined) {
      // Its writer may have purged it already; or two servers answered, and the first was behind.
      const isThere = (await log.last()) > expected;
      this.#missed = isThere ? this.#missed + 1 : 0;
      if (this.#missed >= missedAtMost) this.lose(partitionLost(log.name, `message ${expected + 1} is not this node's`));
      return "nothing";
    }
    const found = decodeEntry(log.prefix, message, true);
    if (found === undefined) {
      this.lose(damagedStream(log.name, message.sequence, "it is no message of a journal"));
      return "nothing";
    }
    if (found.writer === entry.writer && found.counter === entry.counter) return "own";
    const doubtful = this.#doubts.find(({ writer, counter }) => writer === found.writer && counter === found.counter);
    if (doubtful === undefined) {
      this.lose(partitionLost(log.name, found.kind === "own" ? `node ${found.name} has taken over` : "another node has written to it"));
      return "nothing";
    }
    this.#take(doubtful);
    return "doubtful";
  }

  #take(entry: Entry): number {
    this.#missed = 0;
    this.#last += 1;
    this.#doubts = [];
    this.#options.stored(entry, this.#last);
    return this.#last;
  }
}
