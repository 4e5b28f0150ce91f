/**
 * Entries on their way to the thread that writes them: collected in a buffer, handed over when it is full or a moment later. What waits is
 * bounded; beyond it entries are dropped and counted, so that a slow disk never holds up a message.
 */
import { type Entry, writeEntry } from "./facts.ts";
import { historyLimits } from "./limits.ts";

export interface BatchPorts {
  /** Hands a buffer over; it is gone here. */
  readonly hand: (bytes: ArrayBuffer, length: number, entries: number) => void;
  /** Runs a task after so many milliseconds. */
  readonly after: (ms: number, task: () => void) => () => void;
}

export class Batches {
  readonly #ports: BatchPorts;
  #buffer: Buffer | undefined;
  #at = 0;
  #entries = 0;
  #spare: Buffer[] = [];
  #cancel: (() => void) | undefined;
  /** Bytes handed over that are not written. */
  waitingBytes = 0;
  recorded = 0;
  dropped = 0;

  constructor(ports: BatchPorts) {
    this.#ports = ports;
  }

  /** Bytes that it takes; 0: there was no room, and it is dropped. */
  add(entry: Entry): number {
    if (this.waitingBytes >= historyLimits.waitingBytes) return this.drop();
    const buffer = (this.#buffer ??= this.#spare.pop() ?? Buffer.from(new ArrayBuffer(historyLimits.batchBytes)));
    const end = writeEntry(buffer, this.#at, entry);
    if (end >= 0) {
      const bytes = end - this.#at;
      this.#at = end;
      this.#entries += 1;
      this.recorded += 1;
      this.#cancel ??= this.#ports.after(historyLimits.flushMs, () => this.flush());
      return bytes;
    }
    if (this.#at === 0) return this.#addAlone(entry);
    this.flush();
    return this.add(entry);
  }

  drop(): 0 {
    this.dropped += 1;
    return 0;
  }

  /** One that is longer than a batch. */
  #addAlone(entry: Entry): number {
    const mostBytes = 2 * historyLimits.waitingBytes + historyLimits.entryBytes - this.waitingBytes;
    for (let roomBytes = 2 * historyLimits.batchBytes; roomBytes <= mostBytes; roomBytes *= 2) {
      const buffer = Buffer.from(new ArrayBuffer(roomBytes));
      const end = writeEntry(buffer, 0, entry);
      if (end < 0) continue;
      this.recorded += 1;
      this.#hand(buffer, end, 1);
      return end;
    }
    return this.drop();
  }

  /** Hands over what there is. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const buffer = this.#buffer;
    if (buffer === undefined || this.#at === 0) return;
    const at = this.#at;
    const entries = this.#entries;
    this.#buffer = undefined;
    this.#at = 0;
    this.#entries = 0;
    this.#hand(buffer, at, entries);
  }

  #hand(buffer: Buffer, length: number, entries: number): void {
    this.waitingBytes += length;
    this.#ports.hand(buffer.buffer as ArrayBuffer, length, entries);
  }

  /** The thread has written so many bytes, and gives their buffer back. */
  written(length: number, bytes: ArrayBuffer | undefined): void {
    this.waitingBytes -= length;
    if (bytes !== undefined && bytes.byteLength === historyLimits.batchBytes && this.#spare.length < historyLimits.spareBatches)
      this.#spare.push(Buffer.from(bytes));
  }

  /** The thread is gone with what it had. */
  lost(): void {
    this.waitingBytes = 0;
  }
}
