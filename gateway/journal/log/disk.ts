/**
 * The file system as the journal sees it: one flat folder. The real one is below; simulated-disk.ts is the one that loses power.
 *
 * Guarantees, of the real disk as of POSIX: bytes written are safe after the file's `sync`; names created, renamed and
 * removed are safe after `syncNames`; before that any part of them may be lost in a power loss, in any order. After a `sync` that
 * failed nothing is known of what was written since the last one that did not. Errors are Node's, with their `code` (ENOSPC, EIO, …).
 */
import * as fs from "node:fs";
import { join } from "node:path";

export interface DiskFile {
  readonly name: string;
  /** All of `bytes`, or rejects; then any part of them may be written. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  sync(): Promise<void>;
  /** Fills `into` from `at`; gives how many bytes there were, fewer only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /** False once nobody can find the file any more, since it was deleted. At once, and cheap. */
  isLinked(): boolean;
  close(): Promise<void>;
}

export interface Disk {
  /** Growing a file costs no more than writing over it, and zeros are not worth their room: nothing is made ahead, nothing reserved. */
  readonly growsFreely?: true;
  /** Names of all files. */
  list(): Promise<string[]>;
  /** Free space, in bytes. */
  freeBytes(): Promise<number>;
  /** A new file; rejects with EEXIST. */
  create(name: string): Promise<DiskFile>;
  /** The same, but what is written is safe when `write` resolves: no `sync` is needed, and one call less. */
  createSynced(name: string): Promise<DiskFile>;
  /** A file that exists, to be written in the same way; rejects with ENOENT. */
  openSynced(name: string): Promise<DiskFile>;
  /** A file that exists, to be read and synced; rejects with ENOENT. */
  open(name: string): Promise<DiskFile>;
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Nothing happens when there is no such file. */
  remove(name: string): Promise<void>;
  syncNames(): Promise<void>;
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** Node's callbacks cost half of what its promises do. */
function promised<T>(run: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)));
  });
}

class RealFile implements DiskFile {
  readonly name: string;
  readonly #fd: number;
  readonly #syncs: boolean;

  constructor(name: string, fd: number, syncs = false) {
    this.name = name;
    this.#fd = fd;
    this.#syncs = syncs;
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += await promised<number>((callback) => fs.write(this.#fd, bytes, done, bytes.length - done, at + done, callback));
    }
    if (this.#syncs) await this.sync();
  }

  sync(): Promise<void> {
    return promised((done) => fs.fdatasync(this.#fd, done as fs.NoParamCallback));
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const read = await promised<number>((callback) => fs.read(this.#fd, into, done, into.length - done, at + done, callback));
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  async size(): Promise<number> {
    return (await promised<fs.Stats>((done) => fs.fstat(this.#fd, done))).size;
  }

  truncate(length: number): Promise<void> {
    return promised((done) => fs.ftruncate(this.#fd, length, done as fs.NoParamCallback));
  }

  isLinked(): boolean {
    return fs.fstatSync(this.#fd).nlink > 0;
  }

  close(): Promise<void> {
    return promised((done) => fs.close(this.#fd, done as fs.NoParamCallback));
  }
}

const { O_CREAT, O_EXCL, O_RDWR } = fs.constants;
/** open(2): each write returns as if fdatasync had followed. Windows has no such thing. */
const dataSync: number | undefined = fs.constants.O_DSYNC;

/** The files of a folder, which exists. */
export function realDisk(folder: string): Disk {
  const open = async (name: string, flags: string | number, syncs = false): Promise<DiskFile> =>
    new RealFile(name, await promised<number>((done) => fs.open(join(folder, name), flags, 0o600, done)), syncs);
  return {
    list: async () =>
      (await fs.promises.readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => entry.name),
    freeBytes: async () => {
      const { bavail, bsize } = await fs.promises.statfs(folder);
      return bavail * bsize;
    },
    create: (name) => open(name, "wx+"),
    createSynced: (name) => (dataSync === undefined ? open(name, "wx+", true) : open(name, O_CREAT | O_EXCL | O_RDWR | dataSync)),
    openSynced: (name) => (dataSync === undefined ? open(name, "r+", true) : open(name, O_RDWR | dataSync)),
    // A read-only descriptor is enough for fdatasync, and opens on a disk that was remounted read-only.
    open: (name) => open(name, "r"),
    rename: (from, to) => fs.promises.rename(join(folder, from), join(folder, to)),
    remove: (name) => fs.promises.rm(join(folder, name), { force: true }),
    syncNames: async () => {
      const fd = await promised<number>((done) => fs.open(folder, "r", done));
      try {
        await promised((done) => fs.fsync(fd, done as fs.NoParamCallback));
      } finally {
        await promised((done) => fs.close(fd, done as fs.NoParamCallback));
      }
    },
  };
}
