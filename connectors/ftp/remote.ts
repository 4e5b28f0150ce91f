/**
 * Files of an FTP server. Commands and listings go over one connection, one after the other; contents go over others (`transfers.ts`).
 *
 * The protocol answers 550 both for what is missing and for what is refused: a file is missing if the server tells neither a size of it nor
 * enters it as a folder. Times of listings are for people, so that those of candidate files are asked for one by one (MDTM).
 */
import { randomBytes } from "node:crypto";
import { basename, dirname, isAbsolute, join } from "node:path/posix";
import type { Client, FileInfo } from "basic-ftp";
import { CodedError } from "#base";
import { LossGuard } from "../shared/link.ts";
import { folderLimits } from "../shared/remote-folder/limits.ts";
import { type Entry, type Pieces, ReadAgain, type RemoteFolder } from "../shared/remote-folder/port.ts";
import { ftpLimits } from "./limits.ts";
import { bytesFrom, lastByte, type Transfers, upload } from "./transfers.ts";

/** Control characters would end a command, and begin another one. */
export const forbidden = /[\0\r\n]/;

/** Neither a file nor a folder is there. */
export class NoSuchFile extends Error {}

/** Number of a server's refusal; undefined for other errors. */
export function refusalOf(error: unknown): number | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return typeof code === "number" ? code : undefined;
}

const isRefused = (error: unknown): boolean => (refusalOf(error) ?? 0) >= 500;
/** Answers for a data connection that was not made, or was lost. */
const lostTransfer: readonly (number | undefined)[] = [421, 425, 426];

const monthDay = /^[A-Za-z]{3} +\d{1,2} +\d{1,2}:\d{2}$/;

/** Seconds of a listing's time, which lacks its zone, and the year or the hour; 0 if it can't be read. For a rough order only. */
export function roughSeconds(text: string, nowMs: number): number {
  const dayMs = 86_400_000;
  const year = new Date(nowMs).getUTCFullYear();
  const timeMs = (of: number): number => Date.parse(`${text.replace(/^(\S+ +\d+)/, `$1 ${of}`)} UTC`);
  const ms = monthDay.test(text) ? (timeMs(year) > nowMs + dayMs ? timeMs(year - 1) : timeMs(year)) : Date.parse(`${text} UTC`);
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}

/** An entry whose name leads elsewhere, or can't be part of a command, is nothing that can be used; its name is made harmless. */
export function entryOf(info: FileInfo, nowMs: number): Entry {
  const { name, size, modifiedAt } = info;
  const time = modifiedAt === undefined ? roughSeconds(info.rawModifiedAt, nowMs) : Math.floor(modifiedAt.getTime() / 1000);
  const rough = modifiedAt === undefined ? ({ roughTime: true } as const) : {};
  const bytes = Number.isSafeInteger(size) && size >= 0 ? size : 0;
  const named = name !== "" && name !== "." && name !== ".." && !/[\0\r\n/]/.test(name) && name.length <= folderLimits.nameCharacters;
  if (!named || bytes !== size) {
    const harmless = name.slice(0, folderLimits.nameCharacters).replace(/[\0\r\n/]/g, "\ufffd");
    return { name: harmless, kind: "other", size: bytes, mtime: time, ...rough };
  }
  const kind = info.isFile ? "file" : info.isDirectory ? "folder" : "other";
  return { name, kind, size: bytes, mtime: time, ...rough };
}

const unixLine = /^[-a-zA-Z][-rwxsStTlL]{9}/;
const factsLine = /^[\w.-]+=[^;]*;/;

/** Lines that begin an entry: a name with a line break makes others, and the client tells the format by the last line of all. */
export function entryLines(listing: string): string {
  const lines = listing.split(/\r?\n/);
  const known = [unixLine, factsLine].map((form) => lines.filter((line) => form.test(line))).find(({ length }) => length > 0);
  return (known ?? lines).join("\n");
}

export interface FtpRemoteOptions {
  readonly control: Client;
  readonly transfers: Transfers;
  /** Folder of the login. */
  readonly home: string;
  /** The server can read a file from an offset on (REST). */
  readonly resumes: boolean;
  now(): number;
  lost(error: unknown): void;
}

export class FtpRemote implements RemoteFolder {
  readonly #options: FtpRemoteOptions;
  readonly #guard = new LossGuard();
  #last: Promise<unknown> = Promise.resolve();
  #asking = 0;
  #closed = false;

  constructor(options: FtpRemoteOptions) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Fails the calls that wait, and closes the connections. */
  close(): void {
    this.#closed = true;
    this.#options.control.close();
    this.#options.transfers.close();
    this.#guard.lost();
  }

  /** Resolves if the server answers. A command under way has a timeout of its own. */
  async probe(): Promise<void> {
    if (this.#asking === 0) await this.#ask((client) => client.send("NOOP"));
  }

  async list(folder: string, wanted: (entry: Entry) => boolean = () => true, most: number = folderLimits.entriesPerList): Promise<Entry[]> {
    const infos = await this.#ask(async (client) => {
      try {
        await client.cd(this.#at(folder));
      } catch (error) {
        throw refusalOf(error) === 550 ? new NoSuchFile(`no folder ${basename(folder)} that can be entered`, { cause: error }) : error;
      }
      return await client.list();
    });
    const entries: Entry[] = [];
    for (const info of infos) {
      const entry = entryOf(info, this.#options.now());
      if (wanted(entry) && entries.push(entry) === most) break;
    }
    return entries;
  }

  async exact(folder: string, entries: Entry[]): Promise<Entry[]> {
    if (!entries.some(({ roughTime }) => roughTime)) return entries;
    const exact: Entry[] = [];
    for (const { name } of entries.slice(0, ftpLimits.exactPerLook)) {
      const entry = await this.#ask((client) => this.#fileAt(client, join(folder, name)));
      if (entry !== undefined) exact.push({ ...entry, name });
    }
    return exact;
  }

  stat(path: string): Promise<Entry | undefined> {
    return this.#ask(async (client) => {
      const file = await this.#fileAt(client, path);
      if (file !== undefined) return file;
      const entered = await ifThere(client.cd(this.#at(path)));
      return entered && { name: basename(path), kind: "folder", size: 0, mtime: 0, roughTime: true };
    });
  }

  async makeFolder(path: string): Promise<void> {
    if ((await this.stat(path))?.kind === "folder") return;
    if (dirname(path) !== path) await this.makeFolder(dirname(path));
    try {
      await this.#ask((client) => client.send(`MKD ${this.#at(path)}`));
    } catch (error) {
      if ((await this.stat(path))?.kind !== "folder") throw error;
    }
  }

  async removeFolder(path: string): Promise<void> {
    await this.#ask((client) => client.send(`RMD ${this.#at(path)}`));
  }

  async remove(path: string): Promise<void> {
    await this.#ask((client) => client.remove(this.#at(path)));
  }

  /** Length and time of the file change: the time of a listing alone may have no seconds. */
  async mark(path: string, stamp: number): Promise<void> {
    const bytes = Buffer.alloc((stamp % ftpLimits.leaseBytes) + 1, "m");
    await this.#ask((client) => upload(client, "STOR", this.#at(path), [bytes], new AbortController().signal));
  }

  /** In one step on Unix; where the server renames over no file, the other one is removed first. */
  async replace(from: string, to: string): Promise<void> {
    try {
      await this.#rename(from, to);
    } catch (error) {
      if (!isRefused(error) || (await this.stat(to))?.kind !== "file") throw error;
      await this.remove(to);
      await this.#rename(from, to);
    }
  }

  /** A rename would replace the other file on Unix, so that its name is looked for before. */
  async moveBeside(from: string, to: string): Promise<void> {
    const free = (await this.stat(to)) === undefined;
    await this.#rename(from, free ? to : `${to}.${randomBytes(4).toString("hex")}`);
  }

  /** Goes on where a lost data connection has ended, if the server can. */
  async *read(path: string, size: number, goOn: () => boolean): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (let tries = 0; at < size; ) {
      const start = at;
      try {
        for await (const piece of this.#readFrom(path, start)) {
          at += piece.length;
          if (at > size) throw new ReadAgain();
          yield piece;
          if (!goOn()) throw new ReadAgain();
        }
        if (at < size) throw new ReadAgain();
      } catch (error) {
        if (error instanceof ReadAgain) throw error;
        if (isRefused(error)) throw (await this.stat(path)) === undefined ? new NoSuchFile("no such file", { cause: error }) : error;
        tries = at > start ? 1 : tries + 1;
        const over = this.#closed || !this.#options.resumes || tries > ftpLimits.resumptions;
        if (over || (refusalOf(error) !== undefined && !lostTransfer.includes(refusalOf(error)))) throw error;
      }
    }
  }

  async *#readFrom(path: string, start: number): AsyncGenerator<Uint8Array> {
    const client = await this.#guard.during(this.#options.transfers.take());
    let whole = false;
    try {
      yield* bytesFrom(client, this.#at(path), start);
      whole = true;
    } finally {
      this.#options.transfers.give(client, whole);
    }
  }

  /** The server must have every byte in the end: a lost data connection looks to it like the end of the file. */
  async write(path: string, pieces: Pieces, signal: AbortSignal): Promise<void> {
    const bytes = await this.#transfer((client) => upload(client, "STOR", this.#at(path), pieces, signal));
    const now = await this.stat(path);
    if (now?.size !== bytes) throw new Error(`the server has ${now?.size ?? 0} bytes of the ${bytes} that were sent`);
  }

  async append(path: string, line: Uint8Array, signal: AbortSignal): Promise<void> {
    const place = this.#at(path);
    await this.#transfer(async (client) => {
      const size = (await ifThere(client.size(place))) ?? 0;
      const whole = size === 0 || !this.#options.resumes || (await lastByte(client, place, size)) === 10;
      const bytes = await upload(client, "APPE", place, whole ? [line] : [Buffer.from("\n"), line], signal);
      const now = await client.size(place);
      if (now < size + bytes) throw new Error(`the server has ${now - size} bytes of the ${bytes} that were sent`);
    });
  }

  async #transfer<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#guard.during(this.#options.transfers.take());
    let whole = false;
    try {
      const result = await run(client);
      whole = true;
      return result;
    } finally {
      this.#options.transfers.give(client, whole);
    }
  }

  async #fileAt(client: Client, path: string): Promise<Entry | undefined> {
    const place = this.#at(path);
    const size = await ifThere(client.size(place));
    const time = size === undefined ? undefined : await ifThere(client.lastMod(place));
    if (size === undefined || time === undefined) return undefined;
    return { name: basename(path), kind: "file", size, mtime: Math.floor(time.getTime() / 1000) };
  }

  async #rename(from: string, to: string): Promise<void> {
    try {
      await this.#ask((client) => client.rename(this.#at(from), this.#at(to)));
    } catch (error) {
      if (!isRefused(error) || (await this.stat(from)) !== undefined) throw error;
      throw new NoSuchFile("no such file", { cause: error });
    }
  }

  /** Absolute, as the folder of the connection changes. */
  #at(path: string): string {
    if (forbidden.test(path)) throw new NoSuchFile("a name with a control character");
    return isAbsolute(path) ? path : join(this.#options.home, path);
  }

  /** Commands wait for each other. An error that is no answer leaves the connection in an unknown state: it is given up. */
  #ask<T>(run: (client: Client) => Promise<T>): Promise<T> {
    this.#asking += 1;
    const asked = this.#last.then(async () => {
      if (this.#closed) throw new Error("the connection was closed");
      return await run(this.#options.control);
    });
    const told = asked
      .catch((error: unknown) => {
        if (error instanceof NoSuchFile || refusalOf(error) !== undefined) throw error;
        const why = /Maximum bytes exceeded/.test(String(error)) ? listingTooLong(error) : error;
        this.#closed = true;
        setImmediate(() => this.#options.lost(why)); // this call is told the reason first
        throw why;
      })
      .finally(() => (this.#asking -= 1));
    this.#last = told.catch(() => {});
    if (!this.#closed) return this.#guard.during(told);
    return told;
  }
}

const listingTooLong = (cause: unknown): CodedError =>
  new CodedError(
    "MF_FTP_LISTING",
    `the listing of a folder has more than ${ftpLimits.listingBytes} bytes: move what is no message to another folder`,
    { cause },
  );

/** Undefined where the server answers that it is not there. */
async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (refusalOf(error) === 550) return undefined;
    throw error;
  }
}
