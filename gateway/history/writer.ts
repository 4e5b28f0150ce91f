/**
 * Writes history: appends batches to the newest segment, seals it when it is full or old, and lets the oldest ones go. Every call is
 * synchronous; it runs in a thread of its own (thread.ts). An error of the disk costs recordings, never more.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { EntryIndex, scanEntries } from "./entry-index.ts";
import { bytesOf, bytesShort, FolderLock, makeFolder, removeSegment, type SegmentFile, segmentsIn } from "./folder.ts";
import { entryHeaderBytes, indexName, isSegmentHeader, segmentHeader, segmentHeaderBytes, segmentName } from "./layout.ts";
import { historyLimits } from "./limits.ts";
import { OpenFiles } from "./open-files.ts";
import { encodeIndex, IndexFile } from "./segment-index.ts";
import type { FolderSettings } from "./settings.ts";

export interface WriterStatus {
  /** Why nothing is recorded now; undefined: it is. */
  readonly trouble: string | undefined;
  readonly bytes: number;
  readonly segments: number;
  /** Entries that could not be written. */
  readonly lost: number;
  /** Segments that went before their time, because the disk was short. */
  readonly gaveWay: number;
  readonly remarks: readonly string[];
}

/** A sealed segment. */
interface Sealed extends SegmentFile {
  readonly maxEndedMs: number;
  readonly allBytes: number;
}

export interface WriterPorts {
  readonly now: () => number;
  /** For tests: another disk's room. */
  readonly bytesShort?: (folder: string) => number;
  /** Absent: by the settings. */
  readonly segmentBytes?: number;
}

export class HistoryWriter {
  readonly #folder: string;
  readonly #settings: FolderSettings;
  readonly #ports: WriterPorts;
  readonly #segmentBytes: number;
  #sealed: Sealed[] = [];
  #fd: number | undefined;
  #number = 0;
  #bytes = 0;
  #index = new EntryIndex();
  /** When the newest segment got its first entry. */
  #begunMs = 0;
  #lock: FolderLock | undefined;
  #trouble: string | undefined;
  #retryMs = 0;
  #remarks: string[] = [];
  #lost = 0;
  #gaveWay = 0;

  constructor(folder: string, settings: FolderSettings, ports: WriterPorts) {
    this.#folder = folder;
    this.#settings = settings;
    this.#ports = ports;
    const { least, most } = historyLimits.segmentBytes;
    this.#segmentBytes = ports.segmentBytes ?? Math.min(Math.max(Math.floor(settings.sizeBytes / historyLimits.segments), least), most);
  }

  /** Figures as of now, and the remarks since the last call. */
  status(): WriterStatus {
    const remarks = this.#remarks;
    this.#remarks = [];
    return {
      trouble: this.#trouble,
      bytes: this.#sealed.reduce((sum, { allBytes }) => sum + allBytes, this.#bytes),
      segments: this.#sealed.length + (this.#fd === undefined ? 0 : 1),
      lost: this.#lost,
      gaveWay: this.#gaveWay,
      remarks,
    };
  }

  /** Takes the lock, and reads back what the last process left. */
  open(): void {
    this.#guard("open it", () => {
      makeFolder(this.#folder);
      const lock = FolderLock.take(this.#folder, this.#ports.now());
      if (!(lock instanceof FolderLock)) {
        this.#stop(`another process (${lock.heldBy}) writes to ${this.#folder}: give this gateway a folder of its own with history.dir`);
        return;
      }
      this.#lock = lock;
      const segments = segmentsIn(this.#folder);
      const last = segments.pop();
      this.#sealed = segments.map((segment) => this.#readSealed(segment));
      if (last !== undefined) this.#reopen(last);
      this.#expire();
    });
  }

  /** Appends entries, whose CRCs are filled in here. False: they are lost. */
  append(bytes: Buffer, entries: number): boolean {
    if (this.#trouble !== undefined) {
      this.#lost += entries;
      return false;
    }
    const places: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + entryHeaderBytes + bytes.readUInt32LE(at + 4);
      bytes.writeUInt32LE(crc32(bytes.subarray(at + entryHeaderBytes, end)), at + 8);
      places.push(at);
      at = end;
    }
    const written = this.#guard("write to it", () => {
      if (this.#fd !== undefined && this.#bytes > segmentHeaderBytes && this.#bytes + bytes.length > this.#segmentBytes) this.#seal();
      if (this.#fd === undefined) this.#begin();
      this.#write(bytes);
      const start = this.#bytes;
      for (const at of places) this.#index.add(bytes, at, start + at);
      this.#bytes += bytes.length;
    });
    if (!written) this.#lost += entries;
    return written;
  }

  /** Now and then: age, room, the lock, and another try after an error. */
  tick(): void {
    const nowMs = this.#ports.now();
    this.#lock?.touch(nowMs);
    if (this.#trouble !== undefined && nowMs >= this.#retryMs) {
      if (this.#lock === undefined) {
        this.#trouble = undefined;
        this.open();
      } else if (this.#short() <= 0) this.#trouble = undefined;
    }
    if (this.#lock === undefined) return;
    this.#guard("tidy it", () => {
      const { keepMs } = this.#settings;
      if (this.#fd !== undefined && this.#index.count > 0 && nowMs - this.#begunMs > keepMs * historyLimits.segmentAgeShare) this.#seal();
      this.#expire();
      this.#makeRoom();
    });
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    try {
      if (fd !== undefined) {
        fsyncSync(fd);
        closeSync(fd);
      }
      this.#lock?.release();
    } catch {
      // what was written is there; the next start tidies up
    }
  }

  #short(): number {
    return (this.#ports.bytesShort ?? bytesShort)(this.#folder);
  }

  /** Runs a step that may fail by the disk: then nothing is recorded for a moment. False if it failed. */
  #guard(what: string, step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#stop(`history is not recorded: could not ${what} (${code ?? message}, ${this.#folder})`);
      return false;
    }
  }

  #stop(trouble: string): void {
    this.#trouble = trouble;
    this.#retryMs = this.#ports.now() + historyLimits.retryMs;
  }

  /** All or nothing: what was written of a batch that failed is cut off. A full disk gets its room from the oldest segments. */
  #write(bytes: Buffer): void {
    for (;;) {
      try {
        let at = 0;
        while (at < bytes.length) at += writeSync(this.#fd as number, bytes, at, bytes.length - at, this.#bytes + at);
        return;
      } catch (error) {
        ftruncateSync(this.#fd as number, this.#bytes);
        const { code } = error as NodeJS.ErrnoException;
        if ((code !== "ENOSPC" && code !== "EDQUOT") || !this.#dropOldest()) throw error;
      }
    }
  }

  #begin(): void {
    this.#number += 1;
    const fd = openSync(join(this.#folder, segmentName(this.#number)), "w+", 0o600);
    try {
      writeSync(fd, segmentHeader(), 0, segmentHeaderBytes, 0);
    } catch (error) {
      closeSync(fd);
      rmSync(join(this.#folder, segmentName(this.#number)), { force: true });
      throw error;
    }
    this.#fd = fd;
    this.#bytes = segmentHeaderBytes;
    this.#index = new EntryIndex();
    this.#begunMs = this.#ports.now();
  }

  /** The newest segment takes no more: its index is written. Without one a reader scans the segment. */
  #seal(): void {
    const fd = this.#fd as number;
    const file = this.#file(this.#number, this.#bytes);
    this.#fd = undefined;
    const maxEndedMs = this.#index.count > 0 ? this.#index.maxEndedMs : this.#ports.now();
    this.#sealed.push({ ...file, maxEndedMs, allBytes: this.#bytes });
    const sealed = this.#sealed.length - 1;
    closeSync(fd); // without fsync: it would hold up the journal's on the same disk, and a moment's recordings are worth less than that
    this.#bytes = 0;
    this.#writeIndex(file, this.#index);
    this.#sealed[sealed] = { ...(this.#sealed[sealed] as Sealed), allBytes: file.bytes + bytesOf(file.indexPath) };
    this.#expire();
  }

  #writeIndex({ indexPath, bytes }: SegmentFile, index: EntryIndex): void {
    const temporary = `${indexPath}.tmp`;
    try {
      writeFileSync(temporary, encodeIndex(index, bytes), { mode: 0o600 });
      renameSync(temporary, indexPath);
    } catch {
      rmSync(temporary, { force: true }); // on a full disk: searched without it
    }
  }

  #file(number: number, bytes: number): SegmentFile {
    const path = join(this.#folder, segmentName(number));
    return { number, path, indexPath: join(this.#folder, indexName(number)), bytes, modifiedMs: this.#ports.now() };
  }

  #readSealed(segment: SegmentFile): Sealed {
    const files = new OpenFiles();
    const known = IndexFile.open(files, segment.indexPath, segment.bytes);
    const isWhole = known?.whole === true;
    files.close();
    if (known !== undefined && isWhole) {
      return {
        ...segment,
        maxEndedMs: known.count > 0 ? known.maxEndedMs : segment.modifiedMs,
        allBytes: segment.bytes + bytesOf(segment.indexPath),
      };
    }
    const { index } = this.#scan(segment);
    this.#writeIndex(segment, index);
    return {
      ...segment,
      maxEndedMs: index.count > 0 ? index.maxEndedMs : segment.modifiedMs,
      allBytes: segment.bytes + bytesOf(segment.indexPath),
    };
  }

  /** The segment's index from its entries, and where the last whole one ends. */
  #scan({ path, number }: SegmentFile): { readonly index: EntryIndex; readonly end: number } {
    const bytes = readFileSync(path);
    const index = new EntryIndex();
    if (!isSegmentHeader(bytes)) {
      this.#remarks.push(`segment ${number} of history is damaged from its beginning: what it held is lost`);
      return { index, end: 0 };
    }
    const { end, gaps, skippedBytes } = scanEntries(bytes, segmentHeaderBytes, (at) => index.add(bytes, at, at));
    if (gaps > 0) this.#remarks.push(`segment ${number} of history is damaged in ${gaps} places: ${skippedBytes} bytes are passed over`);
    return { index, end };
  }

  /** Goes on where the last process stopped; what it was writing when it was ended is cut off. */
  #reopen(segment: SegmentFile): void {
    const { index, end } = this.#scan(segment);
    this.#number = segment.number;
    if (end === 0) {
      this.#sealed.push({ ...segment, maxEndedMs: segment.modifiedMs, allBytes: segment.bytes });
      return;
    }
    const fd = openSync(segment.path, "r+");
    if (end < segment.bytes) {
      ftruncateSync(fd, end);
      this.#remarks.push(
        `segment ${segment.number} of history ended in the middle of an entry: its last ${segment.bytes - end} bytes were cut off`,
      );
    }
    rmSync(segment.indexPath, { force: true });
    this.#fd = fd;
    this.#bytes = end;
    this.#index = index;
    this.#begunMs = index.count > 0 ? index.minReceivedMs : this.#ports.now();
  }

  /** Lets go of what is too old, and of the oldest while there is too much. */
  #expire(): void {
    const { keepMs, sizeBytes } = this.#settings;
    const nowMs = this.#ports.now();
    let bytes = this.#sealed.reduce((sum, { allBytes }) => sum + allBytes, this.#bytes);
    this.#sealed = this.#sealed.filter((segment, index) => {
      const tooOld = segment.maxEndedMs < nowMs - keepMs;
      const tooMuch = bytes > sizeBytes && index < this.#sealed.length;
      if (!tooOld && !tooMuch) return true;
      bytes -= segment.allBytes;
      removeSegment(segment);
      return false;
    });
  }

  /** The disk is short for others: history gives way. */
  #makeRoom(): void {
    while (this.#short() > 0) {
      if (this.#dropOldest()) continue;
      this.#stop(`the disk of ${this.#folder} is nearly full: history is not recorded until there is room again`);
      return;
    }
  }

  #dropOldest(): boolean {
    const oldest = this.#sealed.shift();
    if (oldest === undefined) return false;
    removeSegment(oldest);
    this.#gaveWay += 1;
    return true;
  }
}
