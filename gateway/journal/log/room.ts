/**
 * Room on the disk for what was accepted. Each message is written once more when it is completed, as its sends or its dead letter, and once
 * more with a checkpoint, which is what makes room again. So a message is accepted only while there is that much for it and for all those
 * before: a disk that is filled by other means then refuses new messages while the accepted ones go through.
 */
import { type Clock, CodedError } from "#base";
import type { Disk } from "./disk.ts";
import { diskCode, goneError } from "./errors.ts";
import type { LiveIndex } from "./live-index.ts";
import { copiesOwed, freeSpaceMs, type LogLimits, plentyBytes, recordOverheadBytes } from "./limits.ts";

export interface RoomOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly index: LiveIndex;
  /** There is no room: a checkpoint may make some. */
  readonly onShort: () => void;
}

export class Room {
  readonly #options: RoomOptions;
  #leftBytes = Number.POSITIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #gone = false;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Why no message is accepted, as far as known. Asks the disk again now and then. */
  get trouble(): CodedError | undefined {
    const maxAgeMs = this.#leftBytes > plentyBytes ? freeSpaceMs.most : freeSpaceMs.least;
    if (this.#options.clock.monotonicMs() - this.#askedMs > maxAgeMs) void this.ask();
    if (this.#gone) return folderGone();
    return this.#leftBytes < 0 ? fullError() : undefined;
  }

  /** Takes room for a message. Throws MF_JOURNAL_FULL without room, MF_JOURNAL_GONE when the folder is gone. At once: messages keep their order. */
  take(bodyBytes: number): void {
    const { trouble } = this;
    if (trouble !== undefined) throw trouble;
    const bytes = (1 + copiesOwed) * (recordOverheadBytes + bodyBytes);
    if (this.#leftBytes < bytes) {
      this.#options.onShort();
      throw fullError();
    }
    this.#leftBytes -= bytes;
  }

  /** Asks the disk how much room there is. */
  ask(): Promise<void> {
    this.#asking ??= this.#measure().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #measure(): Promise<void> {
    const { disk, clock, limits, index, onShort } = this.#options;
    this.#askedMs = clock.monotonicMs();
    try {
      const free = await disk.freeBytes();
      this.#gone = false;
      this.#leftBytes = free - limits.reserveBytes - owedBytes(index);
      if (this.#leftBytes < 0) onShort();
    } catch (error) {
      this.#gone = diskCode(error) === "ENOENT"; // of other errors a write tells more
    }
  }
}

/** Bytes still to be written until everything that is live is done. */
function owedBytes({ ledger, bodies, looseBytes }: LiveIndex): number {
  let bytes = ledger.stateBytes + ledger.signals.bytes + looseBytes;
  for (const flow of ledger.flows.values()) {
    for (const { lease } of flow.pending.values()) bytes += copiesOwed * (recordOverheadBytes + bodies.bytesOf(lease.message.body));
    for (const queue of flow.outbox.values())
      for (const [entry] of queue.entries()) bytes += recordOverheadBytes + bodies.recordedBytesOf(entry.body);
  }
  return bytes;
}

function fullError(): CodedError {
  return new CodedError(
    "MF_JOURNAL_FULL",
    "the journal's disk is nearly full, and the remaining space is reserved for messages already accepted: free space, and the gateway resumes by itself",
  );
}

function folderGone(): CodedError {
  return goneError("its folder is not there any more");
}
