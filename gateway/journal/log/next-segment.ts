/**
 * The next segment, made ahead and full of zeros: writing to a file that need not grow costs the file system half of the CPU and of the
 * time. Made only when a segment is half full, so that a quiet journal does not take the room. Without room or time for it the next segment
 * grows as it is written, like the first one.
 */
import type { Disk, DiskFile } from "./disk.ts";
import { type LogLimits, segmentsFree } from "./limits.ts";
import { nameOfNext } from "./names.ts";

export interface NextSegmentOptions {
  readonly disk: Disk;
  readonly limits: LogLimits;
  /** A file has this many bytes now; 0 when it is gone. */
  readonly onSize: (file: string, bytes: number) => void;
}

export class NextSegment {
  readonly #disk: Disk;
  readonly #limits: LogLimits;
  readonly #onSize: (file: string, bytes: number) => void;
  #making: Promise<void> | undefined;
  #ready = false;
  #over = false;

  constructor({ disk, limits, onSize }: NextSegmentOptions) {
    this.#disk = disk;
    this.#limits = limits;
    this.#onSize = onSize;
  }

  /** Begins to make it, where it is not there and not being made. */
  make(): void {
    if (this.#ready || this.#over || this.#disk.growsFreely === true) return;
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
  }

  /** Gives the file its name, if it is ready; undefined otherwise. */
  async take(name: string): Promise<DiskFile | undefined> {
    if (!this.#ready) return undefined;
    this.#ready = false;
    this.#onSize(nameOfNext, 0);
    try {
      await this.#disk.rename(nameOfNext, name);
      return await this.#disk.openSynced(name);
    } catch {
      return undefined;
    }
  }

  /** Makes nothing any more, and touches no file: they are another process's. */
  halt(): void {
    this.#over = true;
    this.#ready = false;
  }

  async close(): Promise<void> {
    this.halt();
    await this.#making;
    await this.#remove();
  }

  async #make(): Promise<void> {
    const { segmentBytes, zeroBytes } = this.#limits;
    await this.#remove();
    let file: DiskFile | undefined;
    try {
      if ((await this.#disk.freeBytes()) < segmentsFree * segmentBytes || this.#over) return;
      file = await this.#disk.createSynced(nameOfNext);
      const zeros = Buffer.alloc(Math.min(zeroBytes, segmentBytes));
      for (let at = 0; at < segmentBytes && !this.#over; at += zeros.length) await file.write(zeros.subarray(0, segmentBytes - at), at);
      if (this.#over) return;
      this.#ready = true;
      this.#onSize(nameOfNext, segmentBytes);
    } catch {
      if (!this.#over) await this.#remove(); // it is only faster with it, and on a full disk the room is needed
    } finally {
      await file?.close().catch(() => undefined);
    }
  }

  async #remove(): Promise<void> {
    await this.#disk.remove(nameOfNext).catch(() => undefined);
  }
}
