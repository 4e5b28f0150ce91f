/**
 * Small records by key, durable: one file of lines, each a batch of changes that counts as a whole.
 *
 *     mayfly functions 1
 *     1c291ca3 [["f acme/hello","{…}"],["s acme/OLD",null]]
 *
 * A line begins with the CRC-32 of the rest, in hexadecimal. A change is a key and its new value, or null. A write is one append that is on
 * disk when it resolves; it begins at a sector of its own, so that a power loss while it is written tears nothing that was on disk before.
 * One file of 100,000 records is read in a second; a file for each would take 100,000 opens, and an index that is replaced as a whole would
 * be written as a whole by every deploy.
 *
 *   open      an unfinished last line is cut off; damage before the end is an error
 *   write     append, synced. After an append that failed nothing is known of the file's end: the next write begins with a new file
 *   new file  functions.new, synced ─▶ renamed to functions.log ─▶ names synced; also when more than half of the file is outdated
 */
import { crc32 } from "node:zlib";
import { CodedError, fromUtf8, toUtf8 } from "#base";
import type { Disk, DiskFile } from "../journal/log/disk.ts";
import { diskFailure } from "./failures.ts";
import { sectorBytes } from "../journal/log/limits.ts";
import { functionLimits } from "./limits.ts";

const logName = "functions.log";
const newName = "functions.new";
const header = "mayfly functions 1\n";

/** A key and its new value; undefined removes it. */
export type Change = readonly [key: string, value: string | undefined];

/** Bytes of a line besides its JSON. */
const frameBytes = 10;

/** The line of a batch; with `at`, its place in the file, spaces fill it up to the end of a sector. */
function lineOf(changes: readonly Change[], at?: number): Uint8Array {
  const json = toUtf8(JSON.stringify(changes.map(([key, value]) => [key, value ?? null])));
  const end = at === undefined ? 0 : Math.ceil((at + json.length + frameBytes) / sectorBytes) * sectorBytes;
  const line = Buffer.alloc(Math.max(json.length + frameBytes, end - (at ?? 0)), " ");
  line.set(json, 9);
  line.write(crc32(line.subarray(9, -1)).toString(16).padStart(8, "0"), 0, "latin1");
  line[line.length - 1] = 0x0a;
  return line;
}

/** The changes of a line without its end; undefined if it is damaged. */
function changesOf(line: Uint8Array): readonly Change[] | undefined {
  if (line.length < 10 || line[8] !== 0x20) return undefined;
  const json = line.subarray(9);
  if (fromUtf8(line.subarray(0, 8)) !== crc32(json).toString(16).padStart(8, "0")) return undefined;
  const changes = JSON.parse(fromUtf8(json)) as readonly (readonly [string, string | null])[];
  return changes.map(([key, value]) => [key, value ?? undefined]);
}

async function wholeFile(file: DiskFile): Promise<Uint8Array> {
  const bytes = Buffer.alloc(await file.size());
  return bytes.subarray(0, await file.read(bytes, 0));
}

export class RecordLog {
  readonly #disk: Disk;
  readonly #records: Map<string, string>;
  #file: DiskFile | undefined;
  #fileBytes = 0;
  /** Bytes of keys and values. */
  #liveBytes = 0;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk) {
    this.#disk = disk;
    this.#records = new Map();
  }

  /** Reads the log, or begins one. Rejects with MF_FUNCTIONS_DAMAGED, MF_FUNCTIONS_VERSION, MF_FUNCTIONS_FULL or MF_FUNCTIONS_DISK. */
  static async open(disk: Disk): Promise<RecordLog> {
    const log = new RecordLog(disk);
    try {
      const names = await disk.list();
      if (!names.includes(logName)) await log.#renew();
      else if (!(await log.#read())) await log.#renew(); // without the unfinished line
    } catch (error) {
      throw error instanceof CodedError ? error : diskFailure(error, "the record of functions");
    }
    return log;
  }

  get size(): number {
    return this.#records.size;
  }

  get(key: string): string | undefined {
    return this.#records.get(key);
  }

  /** Keys that begin with `prefix`. */
  *keys(prefix: string): Generator<string> {
    for (const key of this.#records.keys()) if (key.startsWith(prefix)) yield key;
  }

  /**
   * Makes the changes, all or none. They count once they are on disk. `what` names them in the error: "the function hello". Rejects with
   * MF_FUNCTIONS_FULL or MF_FUNCTIONS_DISK; then they do not count while this process runs, and after a crash they may.
   */
  write(changes: readonly Change[], what: string): Promise<void> {
    const written = this.#tail.then(() => this.#write(changes)).catch((error: unknown) => Promise.reject(diskFailure(error, what)));
    this.#tail = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    if (this.#file === undefined || this.#fileBytes > 2 * this.#liveBytes + functionLimits.logSlackBytes) await this.#renew();
    const file = this.#file as DiskFile | undefined;
    if (file === undefined) throw new Error("assertion failed: a renewed log is open");
    const line = lineOf(changes, this.#fileBytes);
    try {
      await file.write(line, this.#fileBytes);
    } catch (error) {
      await this.#forget();
      throw error;
    }
    this.#fileBytes += line.length;
    this.#apply(changes);
  }

  #apply(changes: readonly Change[]): void {
    for (const [key, value] of changes) {
      const before = this.#records.get(key);
      if (before !== undefined) this.#liveBytes -= key.length + before.length;
      if (value === undefined) this.#records.delete(key);
      else {
        this.#records.set(key, value);
        this.#liveBytes += key.length + value.length;
      }
    }
  }

  /** False where the last line is unfinished, and is not among the records. */
  async #read(): Promise<boolean> {
    const file = await this.#disk.openSynced(logName);
    this.#file = file;
    await file.sync(); // what a process that was killed has written is read here, and may not be on disk yet
    await this.#disk.syncNames();
    const bytes = await wholeFile(file);
    if (fromUtf8(bytes.subarray(0, header.length)) !== header)
      throw new CodedError(
        "MF_FUNCTIONS_VERSION",
        `${logName} was written by another version of Mayfly, or is not a record of functions: serve it with the version that wrote it`,
      );
    let at = header.length;
    let isWhole = true;
    while (at < bytes.length) {
      const end = bytes.indexOf(0x0a, at);
      const changes = end < 0 ? undefined : changesOf(bytes.subarray(at, end));
      if (changes === undefined) isWhole = false;
      else if (isWhole) this.#apply(changes);
      else
        throw new CodedError(
          "MF_FUNCTIONS_DAMAGED",
          `${logName} is damaged before byte ${at}, and what follows can't be trusted: restore the folder of functions from a backup, or deploy to an empty one`,
        );
      at = end < 0 ? bytes.length : end + 1;
    }
    this.#fileBytes = at;
    return isWhole;
  }

  async #forget(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }

  /** Replaces the file by one with the records as they are. */
  async #renew(): Promise<void> {
    await this.#forget();
    await this.#disk.remove(newName);
    const file = await this.#disk.create(newName);
    let bytes = 0;
    try {
      for (const piece of this.#pieces()) {
        await file.write(piece, bytes);
        bytes += piece.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(newName, logName);
    await this.#disk.syncNames();
    this.#file = await this.#disk.openSynced(logName);
    this.#fileBytes = bytes;
  }

  *#pieces(): Generator<Uint8Array> {
    let lines: Uint8Array[] = [toUtf8(header)];
    let bytes = 0;
    let written = 0;
    for (const [key, value] of this.#records) {
      const line = lineOf([[key, value]]);
      lines.push(line);
      bytes += line.length;
      if (bytes < functionLimits.logPieceBytes) continue;
      const piece = Buffer.concat(lines);
      written += piece.length;
      yield piece;
      lines = [];
      bytes = 0;
    }
    const last = Buffer.concat(lines);
    yield Buffer.concat([last, lineOf([], written + last.length)]);
  }
}
