/** The durable journal in a folder of this machine. */
import * as fs from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { systemClock } from "#base";
import { DeadLetters } from "../dead-letters.ts";
import { realDisk } from "./disk.ts";
import { journalError } from "./errors.ts";
import { type LockTimes, takeLock } from "./lock.ts";
import { LogJournal, type LogJournalOptions } from "./log-journal.ts";

export interface OpenOptions extends Omit<LogJournalOptions, "disk" | "deadLetters" | "lock"> {
  readonly lockTimes?: LockTimes | undefined;
  /** Absent: `DIR/dead`. */
  readonly deadLetters?: DeadLetters | undefined;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeFolder(dir: string): Promise<void> {
  try {
    const first = await fs.mkdir(dir, { recursive: true, mode: 0o700 });
    // A folder is safe once the one it is in is synced, or a power loss takes the journal with it.
    if (first !== undefined)
      for (let made = resolve(dir); made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
  } catch (error) {
    throw journalError(error, `make ${dir}`);
  }
}

/** A journal whose files are in `dir`; `recover` is what makes, locks and reads it. */
export function openJournal(dir: string, options: OpenOptions = {}): LogJournal {
  const { lockTimes, deadLetters, ...rest } = options;
  return new LogJournal({
    ...rest,
    disk: realDisk(dir),
    deadLetters: deadLetters ?? new DeadLetters(join(dir, "dead")),
    lock: async (lost) => {
      await makeFolder(dir);
      return await takeLock(dir, options.clock ?? systemClock, lost, lockTimes);
    },
  });
}
