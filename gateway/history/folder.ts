/** The folder of history on the disk: its segments, the room around it, and the lock of the one process that writes. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { indexName, segmentName, segmentNumber } from "./layout.ts";
import { historyLimits } from "./limits.ts";

export interface SegmentFile {
  readonly number: number;
  readonly path: string;
  readonly indexPath: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** Numbers of segments; none when there is no folder. */
export function segmentNumbers(folder: string): ReadonlySet<number> {
  try {
    return new Set(readdirSync(folder).flatMap((name) => segmentNumber(name) ?? []));
  } catch {
    return new Set();
  }
}

/** Segments in order. */
export function segmentsIn(folder: string): SegmentFile[] {
  const numbers = [...segmentNumbers(folder)].sort((a, b) => a - b);
  return numbers.flatMap((number) => {
    const path = join(folder, segmentName(number));
    try {
      const { size, mtimeMs } = statSync(path);
      return [{ number, path, indexPath: join(folder, indexName(number)), bytes: size, modifiedMs: mtimeMs }];
    } catch {
      return []; // it expired just now
    }
  });
}

export function bytesOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

export function removeSegment({ path, indexPath }: SegmentFile): void {
  rmSync(path, { force: true });
  rmSync(indexPath, { force: true });
}

/** Bytes missing on the disk until it has the room that is left to others; 0 or less when it has. */
export function bytesShort(folder: string): number {
  const { bavail, blocks, bsize } = statfsSync(folder);
  const leave = Math.min(historyLimits.leaveFree.bytes, Math.floor(blocks * bsize * historyLimits.leaveFree.share));
  return leave - bavail * bsize;
}

export function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

function startTimeOf(pid: number): string {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function namespace(): string {
  try {
    return `${textOf("/proc/sys/kernel/random/boot_id").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "";
  }
}

/**
 * The lock of the writer: a file that names it, touched while it lives. A process of this kernel and pid namespace is asked for; any other
 * one is gone when nobody has touched the file for a while.
 */
export class FolderLock {
  readonly #path: string;
  readonly #mine: string;

  private constructor(path: string, mine: string) {
    this.#path = path;
    this.#mine = mine;
  }

  /** The pid of the process that has it, when somebody has. */
  static take(folder: string, nowMs: number): FolderLock | { readonly heldBy: number } {
    const path = join(folder, "lock");
    const mine = JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid), namespace: namespace() });
    for (let attempt = 0; ; attempt++) {
      try {
        const fd = openSync(path, "wx", 0o600);
        writeSync(fd, mine);
        closeSync(fd);
        return new FolderLock(path, mine);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = holderIn(path, nowMs);
      if (holder !== undefined || attempt > 3) return { heldBy: holder ?? 0 };
      rmSync(path, { force: true });
    }
  }

  /** Says that the process lives. */
  touch(nowMs: number): void {
    try {
      utimesSync(this.#path, nowMs / 1000, nowMs / 1000);
    } catch {
      // removed by hand: nothing else is lost by it
    }
  }

  release(): void {
    if (textOf(this.#path) === this.#mine) rmSync(this.#path, { force: true });
  }
}

/** The pid of a holder that lives; undefined when it is gone, or never was. */
function holderIn(path: string, nowMs: number): number | undefined {
  const text = textOf(path);
  try {
    const holder = JSON.parse(text) as { readonly pid: number; readonly startTime: string; readonly namespace: string };
    const near = holder.namespace === namespace() && holder.startTime !== "";
    if (near) return startTimeOf(holder.pid) === holder.startTime ? holder.pid : undefined;
    return nowMs - statSync(path).mtimeMs < historyLimits.lockSilenceMs ? holder.pid : undefined;
  } catch {
    return undefined;
  }
}
