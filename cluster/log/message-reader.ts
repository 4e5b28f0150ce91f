/** Reads the data of messages, checked, many at once. The stream's leader is asked for each: other servers may be behind. */
import type { Clock, CodedError } from "#base";
import { decodeEntry } from "./entries.ts";
import { damagedStream, diskFailure } from "./errors.ts";
import type { Piece } from "./extents.ts";
import { getsAtOnce, readMs, repeatMs } from "./limits.ts";
import { MessageCache } from "./message-cache.ts";
import type { LogMessage, ReplicatedLog } from "./replicated-log.ts";

export interface MessageReaderOptions {
  readonly log: ReplicatedLog;
  readonly clock: Clock;
  /** Why nothing can be read any more, if so. */
  readonly lost: () => CodedError | undefined;
  /** Rejects with MF_PARTITION_LOST if another node has taken over, known or not. */
  readonly confirm: () => Promise<void>;
}

export class MessageReader {
  readonly #options: MessageReaderOptions;
  readonly #cache = new MessageCache();

  constructor(options: MessageReaderOptions) {
    this.#options = options;
  }

  /** Copies pieces of a file into `into`, whose first byte is the file's at `at`. Rejects with EIO, MF_JOURNAL_CORRUPT or MF_PARTITION_LOST. */
  async read(pieces: readonly Piece[], into: Uint8Array, at: number): Promise<void> {
    const wanted = pieces.filter((piece) => !this.#copyKept(piece, into, at));
    let next = 0;
    const work = async (): Promise<void> => {
      for (let piece = wanted[next++]; piece !== undefined; piece = wanted[next++]) {
        const data = this.#check(await this.#get(piece.sequence));
        this.#cache.put(piece.sequence, data);
        copy(piece, data, into, at);
      }
    };
    await Promise.all(Array.from({ length: Math.min(getsAtOnce, wanted.length) }, work));
  }

  #copyKept(piece: Piece, into: Uint8Array, at: number): boolean {
    const data = this.#cache.get(piece.sequence);
    if (data !== undefined) copy(piece, data, into, at);
    return data !== undefined;
  }

  async #get(sequence: number): Promise<LogMessage> {
    const { log, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + readMs;
    for (let delayMs = repeatMs.first as number; ; delayMs = Math.min(2 * delayMs, repeatMs.most)) {
      let failure: unknown = damagedStream(log.name, sequence, "the message is missing");
      try {
        const message = await log.get(sequence);
        if (message !== undefined) return message;
      } catch (error) {
        failure = error;
      }
      if (clock.monotonicMs() > deadlineMs || this.#options.lost() !== undefined) throw await this.#failure(failure);
      await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    }
  }

  #check(message: LogMessage): Uint8Array {
    const { log } = this.#options;
    if (decodeEntry(log.prefix, message, true)?.kind !== "write")
      throw damagedStream(log.name, message.sequence, "its bytes are not those that were written");
    return message.data;
  }

  /** Of a partition that is lost messages may be purged by its new owner: that is no damage. */
  async #failure(error: unknown): Promise<unknown> {
    try {
      await this.#options.confirm();
    } catch (lost) {
      return lost;
    }
    const { code } = error as { code?: unknown };
    return typeof code === "string" ? error : diskFailure("EIO", `${this.#options.log.name} does not answer`, error);
  }
}

/** Copies as much of a piece as `into` has room for. */
function copy({ offset, length, from }: Piece, data: Uint8Array, into: Uint8Array, at: number): void {
  const start = Math.max(offset, at);
  const end = Math.min(offset + length, at + into.length);
  if (end > start) into.set(data.subarray(from + start - offset, from + end - offset), start - at);
}
