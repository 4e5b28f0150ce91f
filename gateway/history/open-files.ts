/** Files of a reader: opened when they are read, a few kept open. One that is gone, because it expired, reads as empty. */
import { closeSync, openSync, readSync } from "node:fs";
import { historyLimits } from "./limits.ts";

export class OpenFiles {
  /** The one that was used last is the last. */
  readonly #open = new Map<string, number>();

  /** Reads into `bytes` from a place in the file; the part that was filled. */
  read(path: string, at: number, bytes: Buffer): Buffer {
    const fd = this.#fd(path);
    let read = 0;
    while (fd !== undefined && read < bytes.length) {
      const more = readSync(fd, bytes, read, bytes.length - read, at + read);
      if (more === 0) break;
      read += more;
    }
    return bytes.subarray(0, read);
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #fd(path: string): number | undefined {
    let fd = this.#open.get(path);
    if (fd === undefined) {
      try {
        fd = openSync(path, "r");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    } else this.#open.delete(path);
    this.#open.set(path, fd);
    for (const [oldest, other] of this.#open) {
      if (this.#open.size <= historyLimits.openFiles) break;
      this.#open.delete(oldest);
      closeSync(other);
    }
    return fd;
  }
}
