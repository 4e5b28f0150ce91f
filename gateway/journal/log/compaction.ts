/** When checkpoints are written, and which files go afterwards. */
import type { Clock } from "#base";
import { capture, estimatedBytes, writeCheckpoint } from "./checkpoint.ts";
import type { Disk } from "./disk.ts";
import type { LiveIndex } from "./live-index.ts";
import type { LogLimits } from "./limits.ts";
import { nameOfCheckpoint, nameOfReserve } from "./names.ts";
import type { CoveredSegment, ReadLog } from "./recovery.ts";
import type { LogWriter } from "./writer.ts";

/** How long segments are kept after a checkpoint has made them superfluous, for `export`. Both bounds hold; without it they go at once. */
export interface Retention {
  readonly ageMs: number;
  readonly bytes: number;
}

export interface CompactionResult {
  readonly checkpoint: string;
  readonly checkpointBytes: number;
  readonly removedFiles: number;
  readonly removedBytes: number;
}

/** Background work of the journal, for the operator's log. */
export type JournalEvent =
  | { readonly kind: "checkpoint"; readonly result: CompactionResult }
  | { readonly kind: "checkpoint-failed"; readonly error: unknown }
  | { readonly kind: "lock-lost" };

export interface CompactionOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: LogLimits;
  readonly salt: number;
  readonly retention: Retention | undefined;
  readonly index: LiveIndex;
  readonly writer: LogWriter;
  readonly log: ReadLog;
  readonly onSize: (file: string, bytes: number) => void;
  readonly onEvent: (event: JournalEvent) => void;
}

export class Compaction {
  readonly #options: CompactionOptions;
  /** Segments that are in no checkpoint yet, and those that are but are kept for a while. */
  #live: CoveredSegment[];
  #covered: CoveredSegment[];
  /** Files of sleepers that the checkpoint names, and their sizes. */
  #sleeperFiles: ReadonlyMap<string, number>;
  #checkpoint: string | undefined;
  #checkpointBytes: number;
  #logged: number;
  #running: Promise<CompactionResult> | undefined;
  #reserving: Promise<void> | undefined;
  #notBeforeMs = 0;
  #closed = false;

  constructor(options: CompactionOptions) {
    const { log } = options;
    this.#options = options;
    this.#live = log.chain.map(({ file, createdMs }) => ({ file, bytes: log.sizes.get(file) ?? 0, createdMs }));
    this.#covered = [...log.covered];
    this.#sleeperFiles = log.sleeperFiles;
    this.#checkpoint = log.checkpoint === 0 ? undefined : nameOfCheckpoint(log.checkpoint);
    this.#checkpointBytes = log.checkpointBytes;
    this.#logged = log.loggedBytes;
  }

  /** A batch of `bytes` was written to `file`, whose length is now `size`. */
  logged(bytes: number, file: string, end: number): void {
    this.#logged += bytes;
    const last = this.#live.at(-1);
    if (last?.file === file) this.#live[this.#live.length - 1] = { file, bytes: end, createdMs: last.createdMs };
    else this.#live.push({ file, bytes: end, createdMs: this.#options.clock.now() });
    if (this.#closed || this.#running !== undefined) return;
    if (this.#logged < Math.max(this.#options.limits.checkpointBytes, 2 * this.#checkpointBytes)) return;
    if (this.#options.clock.monotonicMs() < this.#notBeforeMs) return;
    this.run().catch(() => undefined);
  }

  /**
   * The disk is full, or nearly. What is live is often little, and a checkpoint of it makes all that is done superfluous: the reserve is
   * room for it, with what is free besides. When what is live does not fit the reserve stays, or new messages would only eat it up.
   */
  makeRoom(): void {
    void this.#makeRoom().catch(() => undefined);
  }

  async #makeRoom(): Promise<void> {
    const { clock, disk, limits, index } = this.#options;
    if (this.#closed || this.#running !== undefined || clock.monotonicMs() < this.#notBeforeMs) return;
    this.#notBeforeMs = clock.monotonicMs() + limits.checkpointRetryMs;
    const bytes = estimatedBytes(index);
    if (bytes > this.#logged / 2) return;
    const free = await disk.freeBytes().catch(() => 0);
    if (bytes > limits.reserveBytes + free / 2 || this.#closed) return;
    try {
      if (free < 2 * bytes) await this.#remove(nameOfReserve);
      await this.run();
    } catch {
      this.keepReserve();
    }
  }

  /** Makes a missing reserve, in the background. A disk without room for it has no reserve. */
  keepReserve(): void {
    const { limits, disk, onSize } = this.#options;
    if (disk.growsFreely === true) return;
    this.#reserving ??= (async () => {
      if ((await disk.list()).includes(nameOfReserve)) return;
      const temporary = `${nameOfReserve}.tmp`;
      try {
        await disk.remove(temporary);
        const file = await disk.create(temporary);
        const zeros = Buffer.alloc(Math.min(limits.reserveBytes, limits.batchBytes));
        try {
          for (let at = 0; at < limits.reserveBytes; at += zeros.length) await file.write(zeros.subarray(0, limits.reserveBytes - at), at);
          await file.sync(); // some file systems find out only now that there is no room
        } finally {
          await file.close();
        }
        await disk.rename(temporary, nameOfReserve);
        onSize(nameOfReserve, limits.reserveBytes);
      } catch {
        await disk.remove(temporary);
      }
    })()
      .catch(() => undefined)
      .finally(() => (this.#reserving = undefined));
  }

  /** Writes a checkpoint, or waits for the one that is being written. */
  run(): Promise<CompactionResult> {
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Removes what recovery found to be of no use. A file that stays is found again. */
  async removeObsolete(files: readonly string[]): Promise<void> {
    for (const file of files) await this.#remove(file);
    await this.#prune();
  }

  /** Begins nothing and removes nothing any more. */
  halt(): void {
    this.#closed = true;
  }

  async close(): Promise<void> {
    this.halt();
    await this.#running?.catch(() => undefined);
    await this.#reserving;
  }

  async #run(): Promise<CompactionResult> {
    const { disk, clock, limits, salt, index, writer, onEvent, onSize } = this.#options;
    try {
      const captured = await writer.boundary((segment, batch) => ({
        state: capture(index, segment, batch, clock.now()),
        segments: this.#live.splice(0),
        logged: this.#logged,
      }));
      let written;
      try {
        written = await writeCheckpoint(captured.state, { disk, clock, limits, salt, index, sleeperFiles: this.#sleeperFiles });
      } catch (error) {
        this.#live = [...captured.segments, ...this.#live];
        throw error;
      }
      onSize(written.file, written.bytes);
      const before = this.#checkpoint;
      this.#checkpoint = written.file;
      this.#checkpointBytes = written.bytes;
      this.#logged -= captured.logged;
      this.#covered.push(...captured.segments);
      const sleepersBefore = this.#sleeperFiles;
      this.#sleeperFiles = written.sleeperFiles;
      for (const [file, bytes] of written.sleeperFiles) onSize(file, bytes);
      const removed = await this.#prune();
      for (const file of sleepersBefore.keys()) if (!written.sleeperFiles.has(file)) await this.#remove(file);
      if (before !== undefined && before !== written.file) await this.#remove(before);
      const result: CompactionResult = { checkpoint: written.file, checkpointBytes: written.bytes, ...removed };
      this.keepReserve();
      onEvent({ kind: "checkpoint", result });
      return result;
    } catch (error) {
      this.#notBeforeMs = clock.monotonicMs() + limits.checkpointRetryMs;
      onEvent({ kind: "checkpoint-failed", error });
      throw error;
    }
  }

  /** Removes covered segments, oldest first, until the rest is within retention. */
  async #prune(): Promise<{ removedFiles: number; removedBytes: number }> {
    const { retention, clock } = this.#options;
    const keptFromMs = clock.now() - (retention?.ageMs ?? 0);
    let bytes = this.#covered.reduce((sum, segment) => sum + segment.bytes, 0);
    let removedFiles = 0;
    let removedBytes = 0;
    for (let oldest = this.#covered[0]; oldest !== undefined; oldest = this.#covered[0]) {
      if (retention !== undefined && bytes <= retention.bytes && oldest.createdMs >= keptFromMs) break;
      this.#covered.shift();
      await this.#remove(oldest.file);
      bytes -= oldest.bytes;
      removedFiles += 1;
      removedBytes += oldest.bytes;
    }
    return { removedFiles, removedBytes };
  }

  async #remove(file: string): Promise<void> {
    this.#options.index.bodies.drop(file);
    this.#options.onSize(file, 0);
    await this.#options.disk.remove(file).catch(() => undefined);
  }
}
