/**
 * A disk in memory that loses power, fills up and fails, as the seed says. It is harsher than most real ones:
 *
 * - Power loss: of what was written since a file's last sync each sector is kept, lost or torn, in no order; the file's length is
 *   any between; of the names made, changed or removed since the last syncNames each is kept or lost by itself.
 * - A kill: everything written is still there (the page cache), but no safer than before.
 * - A sync that fails: each sector is on disk or never will be, and later syncs know nothing of it (what Linux does), while
 *   reads go on showing what was written.
 * - A write that fails: any part of it is written.
 */
import type { Prng } from "#base";
import type { DeadLetterFs } from "../dead-letters.ts";
import type { Disk, DiskFile } from "../log/disk.ts";
import { sectorBytes } from "../log/limits.ts";
import { nameOfNext } from "../log/names.ts";

interface Inode {
  cached: Buffer;
  durable: Buffer;
  readonly dirty: Set<number>;
}

type NameChange =
  | { readonly set: string; readonly inode: Inode }
  | { readonly unset: string }
  | { readonly unset: string; readonly set: string; readonly inode: Inode };

/** Where a simulated journal is, over several lives of its process. */
export interface SimulatedStore {
  readonly faults: Faults;
  /** Calls made so far; each is a place to crash at. */
  readonly calls: number;
  /** Segments made ahead that were put to use. */
  readonly ahead: number;
  /** The call with this number never returns, nor does any after it in this life; `crashed` is called in that moment. */
  crashAt(call: number, crashed: () => void): void;
  /** The life after a crash. Calls of the previous life never return. */
  restart(powerLost: boolean): void;
  /** The files as a process that starts now sees them: when that process is over, its calls never return. */
  mount(): Disk & { readonly deadLetterFs: DeadLetterFs };
}

export interface Faults {
  /** Writes and new files fail with ENOSPC, one time out of so many; 0 for never, 1 for always. */
  full: number;
  /** Writes, syncs, renames and removals fail with EIO. */
  broken: number;
  /** Everything that changes anything fails with EROFS. */
  readOnly: boolean;
}

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

function resized(buffer: Buffer, length: number): Buffer {
  if (length <= buffer.length) return buffer.subarray(0, length);
  const grown = Buffer.alloc(length);
  buffer.copy(grown);
  return grown;
}

function synced(file: DiskFile): DiskFile {
  const write: DiskFile["write"] = async (bytes, at) => {
    await file.write(bytes, at);
    await file.sync();
  };
  return { ...file, write };
}

export class SimulatedDisk implements SimulatedStore {
  readonly faults: Faults = { full: 0, broken: 0, readOnly: false };
  readonly #random: Prng;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #changes: NameChange[] = [];
  #crashAt = Infinity;
  #onCrash: () => void = () => undefined;
  #life = 0;
  calls = 0;
  ahead = 0;

  constructor(random: Prng) {
    this.#random = random;
  }

  crashAt(call: number, crashed: () => void): void {
    this.#crashAt = call;
    this.#onCrash = crashed;
  }

  restart(powerLost: boolean): void {
    this.#life += 1;
    this.#crashAt = Infinity;
    Object.assign(this.faults, { full: 0, broken: 0, readOnly: false });
    if (powerLost) this.#losePower();
  }

  #losePower(): void {
    const names = new Map(this.#durableNames);
    for (const change of this.#changes) {
      if (this.#random.below(2) === 0) continue;
      if ("unset" in change) names.delete(change.unset);
      if ("set" in change) names.set(change.set, change.inode);
    }
    this.#changes = [];
    this.#names = new Map(names);
    this.#durableNames = names;
    for (const inode of new Set(names.values())) this.#settle(inode, true);
  }

  /** Decides sector by sector what a power loss (or a failed sync, without tearing) leaves of unsynced writes. */
  #settle(inode: Inode, torn: boolean): void {
    const { cached, durable, dirty } = inode;
    const random = this.#random;
    const [least, most] = [Math.min(cached.length, durable.length), Math.max(cached.length, durable.length)];
    const between = least + random.below(most - least + 1);
    const length = [cached.length, cached.length, durable.length, between][random.below(4)] ?? between;
    const result = resized(Buffer.from(durable), length);
    for (const sector of dirty) {
      const start = sector * sectorBytes;
      const end = Math.min(start + sectorBytes, length, cached.length);
      if (end <= start) continue;
      const fate = random.below(torn ? 5 : 2);
      if (fate === 0) continue;
      const cut = fate === 4 ? start + random.below(end - start) : end;
      cached.copy(result, start, start, cut);
      if (fate === 4) for (let at = cut; at < end; at++) result[at] = random.below(256);
    }
    dirty.clear();
    inode.durable = result;
    if (torn) inode.cached = Buffer.from(result);
  }

  /** One call: waits a little, crashes or fails when it is time to, else goes on. `partly` is what a crash or failure leaves done. */
  async #call(life: number, kind: "read" | "write" | "sync" | "name" | "removal", partly: () => void = () => undefined): Promise<void> {
    if (life !== this.#life) await new Promise(() => undefined);
    this.calls += 1;
    const crash = this.calls >= this.#crashAt;
    if (crash) {
      this.#crashAt = Infinity;
      this.#life += 1;
      if (this.#random.below(2) === 0) partly();
      this.#onCrash();
    }
    const turns = this.#random.below(4);
    for (let turn = 0; turn < turns; turn++) await (turn === 2 ? new Promise((resolve) => setImmediate(resolve)) : undefined);
    if (crash || life !== this.#life) await new Promise(() => undefined);
    if (kind === "read") return;
    const { full, broken, readOnly } = this.faults;
    if (readOnly && kind !== "sync") throw diskError("EROFS");
    if ((kind === "write" || kind === "name") && full > 0 && this.#random.below(full) === 0) {
      partly();
      throw diskError("ENOSPC");
    }
    if (broken > 0 && this.#random.below(broken) === 0) {
      partly();
      throw diskError("EIO");
    }
  }

  mount(): Disk & { readonly deadLetterFs: DeadLetterFs } {
    const life = this.#life;
    const disk: Disk = {
      list: async () => {
        await this.#call(life, "read");
        return [...this.#names.keys()].filter((name) => !name.includes("/"));
      },
      freeBytes: async () => {
        await this.#call(life, "read");
        return Infinity;
      },
      create: async (name) => {
        await this.#call(life, "name");
        if (this.#names.has(name)) throw diskError("EEXIST");
        const inode: Inode = { cached: Buffer.alloc(0), durable: Buffer.alloc(0), dirty: new Set() };
        this.#change({ set: name, inode });
        return this.#file(life, name, inode);
      },
      createSynced: async (name) => {
        if (name === nameOfNext && this.#random.below(4) === 0) throw diskError("ENOSPC"); // too little room for a segment made ahead
        return synced(await disk.create(name));
      },
      openSynced: async (name) => synced(await disk.open(name)),
      open: async (name) => {
        await this.#call(life, "read");
        return this.#file(life, name, this.#inode(name));
      },
      rename: async (from, to) => {
        await this.#call(life, "name");
        this.#change({ unset: from, set: to, inode: this.#inode(from) });
        if (from === nameOfNext) this.ahead += 1;
      },
      remove: async (name) => {
        await this.#call(life, "removal");
        if (this.#names.has(name)) this.#change({ unset: name });
      },
      syncNames: async () => {
        const changes = [...this.#changes];
        await this.#call(life, "sync");
        for (const change of changes) {
          if ("unset" in change) this.#durableNames.delete(change.unset);
          if ("set" in change) this.#durableNames.set(change.set, change.inode);
        }
        this.#changes = this.#changes.filter((change) => !changes.includes(change));
      },
    };
    const names = async (): Promise<string[]> => {
      await this.#call(life, "read");
      return [...this.#names.keys()];
    };
    return { ...disk, deadLetterFs: lettersOn(disk, names, async (path) => this.#inode(path).cached) };
  }

  /** Bytes of a file as they are now, to be damaged by a test. */
  bytesOf(name: string): Buffer {
    return this.#inode(name).cached;
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw diskError("ENOENT");
    return inode;
  }

  #change(change: NameChange): void {
    if ("unset" in change) this.#names.delete(change.unset);
    if ("set" in change) this.#names.set(change.set, change.inode);
    this.#changes.push(change);
  }

  #file(life: number, name: string, inode: Inode): DiskFile {
    const put = (bytes: Uint8Array, at: number): void => {
      if (inode.cached.length < at + bytes.length) inode.cached = resized(inode.cached, at + bytes.length);
      inode.cached.set(bytes, at);
      for (let sector = Math.floor(at / sectorBytes); sector * sectorBytes < at + bytes.length; sector++) inode.dirty.add(sector);
    };
    return {
      name,
      write: async (bytes, at) => {
        const whole = Buffer.from(bytes);
        await this.#call(life, "write", () => put(whole.subarray(0, this.#random.below(whole.length + 1)), at));
        put(bytes, at);
      },
      sync: async () => {
        await this.#call(life, "sync", () => this.#settle(inode, false));
        inode.durable = Buffer.from(inode.cached);
        inode.dirty.clear();
      },
      read: async (into, at) => {
        await this.#call(life, "read");
        return inode.cached.copy(into, 0, at, Math.min(inode.cached.length, at + into.length));
      },
      size: async () => inode.cached.length,
      isLinked: () => true,
      truncate: async (length) => {
        await this.#call(life, "write");
        inode.cached = resized(inode.cached, length);
      },
      close: async () => undefined,
    };
  }
}

/** A folder of dead letters among the files of a disk. `names` gives those that `list` leaves out as well. */
export function lettersOn(disk: Disk, names: () => Promise<string[]>, read: (path: string) => Promise<Uint8Array>): DeadLetterFs {
  const open: DeadLetterFs["open"] = async (path, flags) => {
    if (flags === "r") return { writeFile: async () => undefined, datasync: () => disk.syncNames(), close: async () => undefined };
    const file = await disk.create(path);
    const writeFile = (data: Uint8Array | string): Promise<void> => file.write(Buffer.from(data as string), 0);
    return { writeFile, datasync: () => file.sync(), close: () => file.close() };
  };
  return {
    mkdir: async () => undefined,
    open,
    rename: (from, to) => disk.rename(from, to),
    readdir: async (path) => {
      const below = (await names()).filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1));
      return [...new Set(below.map((name) => name.split("/")[0] ?? ""))];
    },
    readFile: async (path) => Buffer.from(await read(path)),
    stat: async (path) => ({ size: (await read(path)).length }),
    rm: (path) => disk.remove(path),
  };
}
