/** The port of a worker, beside its slots: images it has to know and frames that no slot can hold go out, effects as long as that come back. */
import type { Worker } from "node:worker_threads";
import type { MemoryAccount } from "#base";
import { embeddedLimits } from "./limits.ts";
import type { PageStore, PageTable } from "./page-store.ts";
import type { FromWorker, ToWorker } from "./wire.ts";

export interface TaughtImage {
  readonly slot: number;
  readonly table: PageTable;
}

export class WorkerPort {
  readonly #thread: Worker;
  readonly #account: MemoryAccount;
  #chunksGiven = 0;
  readonly #images = new Set<number>();
  readonly #effects = new Map<number, Uint8Array>();
  /** Bytes of the frames that are on their way, by submission. */
  readonly #frames = new Map<number, number>();
  #frameBytes = 0;

  constructor(thread: Worker, account: MemoryAccount) {
    this.#thread = thread;
    this.#account = account;
  }

  get full(): boolean {
    return this.#frameBytes >= embeddedLimits.frameBytes;
  }

  #post(message: ToWorker): void {
    this.#thread.postMessage(message);
  }

  teach(image: TaughtImage, store: PageStore): void {
    if (this.#images.has(image.slot)) return;
    for (; this.#chunksGiven < store.chunks.length; this.#chunksGiven++)
      this.#post({ kind: "chunk", buffer: store.chunks[this.#chunksGiven] as SharedArrayBuffer });
    if (this.#images.size >= embeddedLimits.imagesKnown) {
      this.#images.clear();
      this.#post({ kind: "forget" });
    }
    const { entries, stackPointer, memoryPages } = image.table;
    this.#post({ kind: "image", slot: image.slot, entries, stackPointer, memoryPages });
    this.#images.add(image.slot);
  }

  /** Returns the length that the slot says: −1. */
  postFrames(submission: number, frames: readonly Uint8Array[], memory?: Uint8Array): -1 {
    const message: ToWorker = { kind: "frames", submission, frames, memory };
    const all = memory === undefined ? frames : [memory, ...frames];
    const length = all.reduce((sum, frame) => sum + frame.length, 0); // 0 once they are handed over
    const whole = all.filter((frame) => frame.byteLength === frame.buffer.byteLength);
    this.#thread.postMessage(
      message,
      whole.map((frame) => frame.buffer as ArrayBuffer),
    );
    this.#frames.set(submission, length);
    this.#frameBytes += length;
    this.#account.force(length);
    return -1;
  }

  received({ submission, effects }: Extract<FromWorker, { effects: Uint8Array }>): void {
    this.#effects.set(submission, effects);
  }

  /** The effects of a submission that no slot could hold, once they are here. */
  effects(submission: number): Uint8Array | undefined {
    return this.#effects.size === 0 ? undefined : this.#effects.get(submission);
  }

  /** The worker is done with a submission, and its answer was taken. */
  done(submission: number): void {
    if (this.#effects.size > 0) this.#effects.delete(submission);
    if (this.#frames.size > 0) this.#frameRead(submission);
  }

  #frameRead(submission: number): void {
    const bytes = this.#frames.get(submission);
    if (bytes === undefined) return;
    this.#frames.delete(submission);
    this.#frameBytes -= bytes;
    this.#account.give(bytes);
  }

  /** The worker is gone: nothing is on its way any more. */
  ended(): void {
    for (const submission of [...this.#frames.keys()]) this.#frameRead(submission);
  }
}
