/** A folder on a file server as the source and the outlet use it. SFTP and FTP implement it. */
import type { CodedError } from "#base";
import type { Opening } from "../link.ts";

/** Identity of a file's content; the time is in seconds since 1970. */
export interface Version {
  readonly size: number;
  readonly mtime: number;
}

export interface Entry extends Version {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
  /** The time is a guess from a listing for people, or unknown. */
  readonly roughTime?: true;
}

export function sameVersion(a: Version, b: Version | undefined): boolean {
  return b !== undefined && a.size === b.size && a.mtime === b.mtime;
}

/** The file is not as long as it was, or its reader has no use for the rest. */
export class ReadAgain extends Error {}

export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** One connection. Every call rejects once it is lost. */
export interface RemoteFolder {
  /** The connection is gone: nothing can be asked any more. */
  readonly closed: boolean;
  /** Entries that are wanted, as many as the limit allows. */
  list(folder: string, wanted?: (entry: Entry) => boolean, most?: number): Promise<Entry[]>;
  /** The first of these entries of a folder, with exact times: how many is up to the protocol. Those that are gone are left out. */
  exact(folder: string, entries: Entry[]): Promise<Entry[]>;
  /** Undefined for what does not exist. `follow`: of what a symbolic link points at. */
  stat(path: string, follow?: boolean): Promise<Entry | undefined>;
  /** With those above it. */
  makeFolder(path: string): Promise<void>;
  /** Of an empty folder. */
  removeFolder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Changes the size or time that a listing shows of a file; creates it if missing. `stamp`: a number that grows. */
  mark(path: string, stamp: number): Promise<void>;
  /** Renames, also over an existing file; in one step if the server can. */
  replace(from: string, to: string): Promise<void>;
  /** Moves a file beside one of its name. */
  moveBeside(from: string, to: string): Promise<void>;
  /** The first `size` bytes. Throws ReadAgain if the file has fewer, and when `goOn` returns false. */
  read(path: string, size: number, goOn: () => boolean): AsyncGenerator<Uint8Array>;
  /** A new file, whole on the server when it resolves. */
  write(path: string, pieces: Pieces, signal: AbortSignal): Promise<void>;
  /** A line at the end of a file; on a line of its own also where an earlier one was cut short. */
  append(path: string, line: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** Error codes of one protocol. */
export interface FolderCodes {
  readonly changed: string;
  readonly ignored: string;
  readonly limit: string;
  readonly method: string;
  readonly move: string;
  readonly name: string;
  readonly noFile: string;
  readonly read: string;
  readonly taken: string;
  readonly takenOver: string;
  readonly write: string;
}

/** A protocol with the options of one connector. */
export interface FolderProtocol {
  /** Of the connector, in lower case. */
  readonly name: string;
  readonly codes: FolderCodes;
  /** Url of the server, for people. */
  readonly peer: string;
  /** Characters that no name may have. */
  readonly forbidden: RegExp;
  open(opening: Opening): Promise<RemoteFolder>;
  explain(place: string, error: unknown): CodedError;
  /** True if the error says that a file or folder does not exist. */
  isMissing(error: unknown): boolean;
  /** True if the server has answered, with a refusal. */
  isRefusal(error: unknown): boolean;
}
