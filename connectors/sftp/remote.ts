/** Files of an SFTP server: each call is one request or a few, and ends when the connection does. */
import { randomBytes } from "node:crypto";
import { dirname } from "node:path/posix";
import type { FileEntryWithStats, SFTPWrapper, Stats } from "ssh2";
import { CodedError } from "#base";
import type { ConnectorContext } from "#gateway/contract";
import { LossGuard } from "../shared/link.ts";
import { type Entry, type Pieces, ReadAgain, type RemoteFolder } from "../shared/remote-folder/port.ts";
import { sftpLimits } from "./limits.ts";

const endOfFile = 1;
const noSuchFile = 2;
/** Number of the status that a server has answered with; undefined for other errors. */
export function statusOf(error: unknown): number | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "number" ? code : undefined;
}

export const isMissing = (error: unknown): boolean => statusOf(error) === noSuchFile;

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** A name that is too long is cut, and its entry is nothing that can be used. */
function entryOf(name: string, stats: Stats): Entry {
  if (name.length > sftpLimits.nameCharacters)
    return { name: `${name.slice(0, sftpLimits.nameCharacters)}…`, kind: "other", size: stats.size, mtime: stats.mtime };
  const kind = stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "other";
  return { name, kind, size: stats.size, mtime: stats.mtime };
}

export class Remote implements RemoteFolder {
  readonly #sftp: SFTPWrapper;
  readonly #clock: ConnectorContext["clock"];
  readonly #silent: (error: Error) => void;
  readonly #guard = new LossGuard();
  /** Timeouts of calls that wait for their answer. */
  readonly #waiting = new Set<() => void>();
  #closed = false;

  /** `silent` is called when the server does not answer. */
  constructor(sftp: SFTPWrapper, clock: ConnectorContext["clock"], silent: (error: Error) => void) {
    this.#sftp = sftp;
    this.#clock = clock;
    this.#silent = silent;
  }

  /** The connection is gone: nothing can be asked any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Fails the calls that wait. */
  lost(): void {
    this.#closed = true;
    for (const cancel of this.#waiting) cancel();
    this.#waiting.clear();
    this.#guard.lost();
  }

  /** Entries that are wanted, as many as the limit allows. Throws MF_SFTP_LISTING for a folder with too many others. */
  async list(folder: string, wanted: (entry: Entry) => boolean = () => true, most: number = sftpLimits.entriesPerList): Promise<Entry[]> {
    const entries: Entry[] = [];
    const handle = await this.#call<Buffer>((done) => this.#sftp.opendir(folder, done));
    try {
      for (let looked = 0; entries.length < most; ) {
        const batch = await this.#call<FileEntryWithStats[]>((done) => this.#sftp.readdir(handle, done));
        for (const { filename, attrs } of batch) {
          const entry = entryOf(filename, attrs);
          if (wanted(entry)) entries.push(entry);
        }
        looked += batch.length === 0 ? sftpLimits.emptyEntries : batch.length;
        if (looked < sftpLimits.entriesPerLook) continue;
        if (entries.length > 0) break; // these first
        throw new CodedError(
          "MF_SFTP_LISTING",
          `none of the first ${sftpLimits.entriesPerLook} entries of ${folder} is a file to be taken: move them to another folder`,
        );
      }
    } catch (error) {
      if (statusOf(error) !== endOfFile) throw error;
    } finally {
      this.#close(handle);
    }
    return entries.slice(0, most);
  }

  /** Those of a listing are exact. */
  exact(_folder: string, entries: Entry[]): Promise<Entry[]> {
    return Promise.resolve(entries);
  }

  /** Undefined for what does not exist. `follow`: of what a symbolic link points at. */
  async stat(path: string, follow = false): Promise<Entry | undefined> {
    try {
      return entryOf(path, await this.#call<Stats>((done) => (follow ? this.#sftp.stat(path, done) : this.#sftp.lstat(path, done))));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** With those above it. */
  async makeFolder(path: string): Promise<void> {
    if ((await this.stat(path, true))?.kind === "folder") return;
    if (dirname(path) !== path) await this.makeFolder(dirname(path));
    try {
      await this.#call<void>((done) => this.#sftp.mkdir(path, done));
    } catch (error) {
      if ((await this.stat(path, true))?.kind !== "folder") throw error;
    }
  }

  /** Of an empty folder. */
  removeFolder(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.rmdir(path, done));
  }

  remove(path: string): Promise<void> {
    return this.#call((done) => this.#sftp.unlink(path, done));
  }

  /** The protocol has the times of a listing in seconds. */
  async mark(path: string, stamp: number): Promise<void> {
    const touch = (): Promise<void> => this.#call((done) => this.#sftp.utimes(path, stamp, stamp, done));
    try {
      await touch();
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.write(path, [], new AbortController().signal);
      await touch();
    }
  }

  /** In one step, also over an existing file, if the server has posix-rename; otherwise the file is removed first. */
  async replace(from: string, to: string): Promise<void> {
    try {
      return await this.#call((done) => this.#sftp.ext_openssh_rename(from, to, done));
    } catch (error) {
      if (statusOf(error) !== undefined || this.#closed) throw error;
    }
    if ((await this.stat(to)) !== undefined) await this.remove(to);
    await this.#rename(from, to);
  }

  /** Moves a file beside one of its name, never over it. */
  async moveBeside(from: string, to: string): Promise<void> {
    const other = `${to}.${randomBytes(4).toString("hex")}`;
    if ((await this.stat(to)) !== undefined) return await this.#rename(from, other);
    try {
      await this.#rename(from, to);
    } catch (error) {
      if (isMissing(error) || this.#closed || (await this.stat(to)) === undefined) throw error;
      await this.#rename(from, other);
    }
  }

  /** The first `size` bytes, read ahead. Throws ReadAgain if there are fewer, and when `goOn` says no. */
  async *read(path: string, size: number, goOn: () => boolean): AsyncGenerator<Uint8Array> {
    const handle = await this.#call<Buffer>((done) => this.#sftp.open(path, "r", done));
    try {
      const ahead: Promise<Buffer>[] = [];
      for (let at = 0; at < size || ahead.length > 0; ) {
        for (; at < size && ahead.length < sftpLimits.piecesAtOnce; at += sftpLimits.pieceBytes) {
          const piece = this.#readAt(handle, at, Math.min(sftpLimits.pieceBytes, size - at));
          piece.catch(() => {});
          ahead.push(piece);
        }
        yield (await ahead.shift()) as Buffer;
        if (!goOn()) throw new ReadAgain();
      }
    } finally {
      this.#close(handle);
    }
  }

  async #readAt(handle: Buffer, position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let at = 0, reads = 0; at < length; reads += 1) {
      if (reads === sftpLimits.readsPerPiece) throw new Error(`the server reads ${at} bytes in ${reads} answers`);
      const count = await this.#call<number>((done) => this.#sftp.read(handle, bytes, at, length - at, position + at, done));
      if (count === 0) throw new ReadAgain();
      at += count;
    }
    return bytes;
  }

  /** A new file, on the server's disk if it can say so. */
  async write(path: string, pieces: Pieces, signal: AbortSignal): Promise<void> {
    const handle = await this.#call<Buffer>((done) => this.#sftp.open(path, "wx", done));
    try {
      await this.#writeAll(handle, pieces, signal);
      await this.#sync(handle);
    } finally {
      this.#close(handle);
    }
  }

  /** A line at the end of a file; on a line of its own also where an earlier one was cut short. */
  async append(path: string, line: Uint8Array, signal: AbortSignal): Promise<void> {
    const handle = await this.#call<Buffer>((done) => this.#sftp.open(path, "a+", done));
    try {
      const { size } = await this.#call<Stats>((done) => this.#sftp.fstat(handle, done));
      const whole = size === 0 || (await this.#readAt(handle, size - 1, 1))[0] === 10;
      await this.#writeAll(handle, [whole ? line : Buffer.concat([Buffer.from("\n"), line])], signal, size);
      await this.#sync(handle);
    } finally {
      this.#close(handle);
    }
  }

  async #writeAll(handle: Buffer, pieces: Pieces, signal: AbortSignal, start = 0): Promise<void> {
    const ahead: Promise<void>[] = [];
    let position = start;
    for await (const piece of pieces)
      for (let at = 0; at < piece.length; at += sftpLimits.pieceBytes) {
        signal.throwIfAborted(); // nobody waits for the rest of a long body
        const part = Buffer.from(piece.subarray(at, at + sftpLimits.pieceBytes));
        const offset = position;
        const writing = this.#call<void>((done) =>
          this.#sftp.write(handle, part, 0, part.length, offset, (error) => done(error, undefined)),
        );
        writing.catch(() => {});
        ahead.push(writing);
        position += part.length;
        if (ahead.length >= sftpLimits.piecesAtOnce) await ahead.shift();
      }
    await Promise.all(ahead);
  }

  async #sync(handle: Buffer): Promise<void> {
    try {
      await this.#call<void>((done) => this.#sftp.ext_openssh_fsync(handle, done));
    } catch (error) {
      if (statusOf(error) !== undefined || this.#closed) throw error; // otherwise the server has no fsync
    }
  }

  #rename(from: string, to: string): Promise<void> {
    return this.#call((done) => this.#sftp.rename(from, to, done));
  }

  #close(handle: Buffer): void {
    this.#call<void>((done) => this.#sftp.close(handle, done)).catch(() => {});
  }

  #call<T>(start: (done: Done<T>) => void): Promise<T> {
    const asked = this.#guard.during(
      new Promise<T>((resolve, reject) => {
        const cancel = this.#clock.after(sftpLimits.answerMs, () =>
          this.#silent(new Error(`a request had no answer within ${sftpLimits.answerMs} ms`)),
        );
        this.#waiting.add(cancel);
        start((error, value) => {
          cancel();
          this.#waiting.delete(cancel);
          if (error) reject(error);
          else resolve(value);
        });
      }),
    );
    if (this.#closed) this.lost(); // ssh2 leaves it unanswered
    return asked;
  }
}
