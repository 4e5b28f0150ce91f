/** The durable journal in a folder of this machine. */
import * as fs from "node:fs/promises";
import { join } from "node:path";
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

/** A journal whose files are in `dir`; `recover` is what opens and locks it. */
export async function openJournal(dir: string, options: OpenOptions = {}): Promise<LogJournal> {
  try {
    await fs.mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw journalError(error, `make ${dir}`);
  }
  const { lockTimes, deadLetters, ...rest } = options;
  return new LogJournal({
    ...rest,
    disk: realDisk(dir),
    deadLetters: deadLetters ?? new DeadLetters(join(dir, "dead")),
    lock: (lost) => takeLock(dir, options.clock ?? systemClock, lost, lockTimes),
  });
}
