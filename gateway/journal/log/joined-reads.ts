/**
 * Reads of records that are asked for together and lie near each other are one read of the file: machines that are due at once fell asleep
 * one after the other, and a read costs the same for one of them as for a hundred.
 */
import { joinedBytes, joinedGapBytes } from "./limits.ts";

/** Fills `into` from `offset` of a file, and gives the number of bytes there were. */
export type ReadAt = (file: string, into: Uint8Array, offset: number) => Promise<number>;

interface Wanted {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

export class JoinedReads {
  readonly #readAt: ReadAt;
  #wanted: Wanted[] = [];

  constructor(readAt: ReadAt) {
    this.#readAt = readAt;
  }

  /** The bytes, the caller's own; fewer only at the end of the file. */
  read(file: string, offset: number, length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ file, offset, length, resolve, reject });
      if (this.#wanted.length === 1) queueMicrotask(() => this.#readAll());
    });
  }

  #readAll(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    if (wanted.length > 1) wanted.sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
    let group: Wanted[] = [];
    for (const next of wanted) {
      if (group.length > 0 && !isNear(group, next)) {
        void this.#readGroup(group);
        group = [];
      }
      group.push(next);
    }
    void this.#readGroup(group);
  }

  async #readGroup(group: readonly Wanted[]): Promise<void> {
    const [first] = group as readonly [Wanted];
    if (group.length === 1) return this.#readAlone(first);
    let whole: Buffer;
    let read: number;
    try {
      whole = Buffer.allocUnsafeSlow(Math.max(...group.map(endOf)) - first.offset);
      read = await this.#readAt(first.file, whole, first.offset);
    } catch {
      for (const each of group) void this.#readAlone(each); // what is wrong with one must not be told of another
      return;
    }
    for (const { offset, length, resolve, reject } of group) {
      const from = offset - first.offset;
      try {
        const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, read - from)));
        whole.copy(bytes, 0, from); // a view would keep all of it in memory
        resolve(bytes);
      } catch (error) {
        reject(error); // out of memory
      }
    }
  }

  async #readAlone({ file, offset, length, resolve, reject }: Wanted): Promise<void> {
    try {
      const bytes = Buffer.allocUnsafeSlow(length);
      resolve(bytes.subarray(0, await this.#readAt(file, bytes, offset)));
    } catch (error) {
      reject(error);
    }
  }
}

function endOf({ offset, length }: Wanted): number {
  return offset + length;
}

/** True when one read of both is not much longer than two. `group` is in the order of offsets. */
function isNear(group: readonly Wanted[], next: Wanted): boolean {
  const [first] = group as readonly [Wanted];
  const last = group.at(-1) as Wanted;
  return next.file === first.file && next.offset - endOf(last) <= joinedGapBytes && endOf(next) - first.offset <= joinedBytes;
}
